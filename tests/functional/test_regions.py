"""Means of features by class and image, beside loops over pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aucseg.functional import regions
from aucseg.functional.regions import (
    connected_region_means,
    labels_at,
    region_means,
    shares_at,
    weighted_region_means,
)

K = 4


def by_hand(features: Tensor, rows: Tensor, *, per_image: bool) -> dict[tuple[int, int], tuple[Tensor, int]]:
    """(group, class): mean and pixels, pixel by pixel."""
    found: dict[tuple[int, int], list[Tensor]] = {}
    for b in range(len(rows)):
        for y in range(rows.shape[1]):
            for x in range(rows.shape[2]):
                if rows[b, y, x] < K:
                    key = (b if per_image else 0, int(rows[b, y, x]))
                    found.setdefault(key, []).append(features[b, :, y, x])
    return {key: (torch.stack(rows).mean(0), len(rows)) for key, rows in found.items()}


def batch(seed: int = 0, size: tuple[int, int] = (5, 6)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, 7, *size, generator=generator, dtype=torch.float64)
    rows = torch.randint(0, K + 1, (3, *size), generator=generator)
    rows[1] = rows[1].clamp(max=1)  # an image that lacks classes
    rows[2] = K  # and one that is void
    return features, rows


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("strip", [4, 2**14])
def test_means_are_those_of_a_loop(monkeypatch, per_image, strip):
    monkeypatch.setattr(regions, "_STRIP", strip)
    features, rows = batch()
    found = region_means(features, rows, K, per_image=per_image)
    expected = by_hand(features, rows, per_image=per_image)
    groups = 3 if per_image else 1
    assert found.means.shape == (groups * K, 7)
    assert found.label.tolist() == list(range(K)) * groups
    for row in range(groups * K):
        key = divmod(row, K)
        if key in expected:
            torch.testing.assert_close(found.means[row], expected[key][0])
            assert found.size[row] == expected[key][1]
        else:
            assert found.size[row] == 0
            assert (found.means[row] == 0).all()


def test_gradients():
    features, rows = batch(size=(3, 4))
    features.requires_grad_()

    def means(x: Tensor) -> Tensor:
        return region_means(x, rows, K).means

    assert torch.autograd.gradcheck(means, features)
    assert torch.autograd.gradgradcheck(lambda x: means(x).square(), features)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 100), st.integers(1, 9), st.integers(1, 9))
def test_shares_of_whole_labels_are_the_labels(seed, height, width):
    features, rows = batch(seed, (height, width))
    shares = shares_at(rows, K, (height, width))
    assert torch.equal(shares.sum(1), (rows < K).float())
    a, b = region_means(features, rows, K), weighted_region_means(features, shares)
    torch.testing.assert_close(a.means, b.means)
    torch.testing.assert_close(a.size, b.size)


def test_area_keeps_what_the_nearest_pixel_loses():
    rows = torch.zeros(1, 8, 8, dtype=torch.int64)
    rows[0, 0, 3] = 2
    assert set(labels_at(rows, (2, 2)).unique().tolist()) == {0}
    shares = shares_at(rows, K, (2, 2))
    assert shares[0, 2].tolist() == [[1 / 16, 0], [0, 0]]
    features = torch.arange(4.0).view(1, 1, 2, 2) + 5
    found = weighted_region_means(features, shares)
    assert found.means[2].item() == 5
    assert found.means[0].item() == pytest.approx((15 / 16 * 5 + 6 + 7 + 8) / (3 + 15 / 16))


def test_labels_are_those_of_the_pixel_under_the_middle_of_a_cell():
    rows = torch.arange(16).view(1, 4, 4)
    assert labels_at(rows, (4, 4)) is rows
    assert labels_at(rows, (2, 2)).tolist() == [[[5, 7], [13, 15]]]


def test_connected_parts():
    rows = torch.tensor([[[0, 4, 0], [1, 1, 0], [0, 4, 1]], [[4, 4, 4], [4, 2, 4], [4, 4, 4]]])
    features = torch.arange(18.0).view(2, 1, 3, 3).requires_grad_()
    found = connected_region_means(features, rows, K)
    # class 0 has three parts (sides alone connect), class 1 two
    assert found.label.tolist() == [0, 0, 0, 1, 1, 2]
    assert found.size.tolist() == [1, 2, 1, 2, 1, 1]
    assert found.means.flatten().tolist() == [0, 3.5, 6, 3.5, 8, 13]
    found.means.sum().backward()
    assert features.grad[0, 0].tolist() == [[1, 0, 0.5], [0.5, 0.5, 0.5], [1, 0, 1]]


def test_no_part_at_all():
    found = connected_region_means(torch.ones(1, 2, 2, 2), torch.full((1, 2, 2), K), K)
    assert found.size.tolist() == [0]
    assert found.means.tolist() == [[0, 0]]


def test_half_precision_is_summed_in_single():
    features = torch.full((1, 1, 64, 64), 1.001, dtype=torch.bfloat16)
    found = region_means(features, torch.zeros(1, 64, 64, dtype=torch.int64), K)
    assert found.means.dtype == torch.float32
    assert found.means[0].item() == pytest.approx(features[0, 0, 0, 0].item(), rel=1e-6)

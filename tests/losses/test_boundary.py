from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.losses import boundary_loss, boundary_targets

VOID = 255


def labels(seed, batch, height, width, void=0.2, classes=3):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, classes, (batch, height, width), generator=generator)
    return target.masked_fill(torch.rand(target.shape, generator=generator) < void, VOID)


def by_looking(target, strides):
    """Edges of one image, pixel by pixel."""
    height, width = target.shape

    def changes(y, x):
        around = [
            int(target[v, u])
            for v in range(max(0, y - 1), min(height, y + 2))
            for u in range(max(0, x - 1), min(width, x + 2))
        ]
        return target[y, x] != VOID and any(label not in (VOID, target[y, x]) for label in around)

    edges = torch.zeros(height, width, dtype=torch.bool)
    for y in range(height):
        for x in range(width):
            edges[y, x] = target[y, x] != VOID and any(changes(y - y % s, x - x % s) for s in strides)
    return edges


def loss_by_looking(logits, target):
    entropies, dices = [], []
    for image, plane in zip(logits[:, 0], target, strict=True):
        edges, both, shown, true = by_looking(plane, (1, 2, 4)), 0.0, 0.0, 0.0
        for y, x in (plane != VOID).nonzero().tolist():
            p = 1 / (1 + math.exp(-image[y, x].item()))
            g = float(edges[y, x])
            entropies.append(-math.log(p if g else 1 - p))
            both, shown, true = both + p * g, shown + p * p, true + g * g
        dices.append(1 - (2 * both + 1) / (shown + true + 1))
    return sum(entropies) / max(1, len(entropies)) + sum(dices) / len(dices)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    void=st.sampled_from([0.0, 0.3, 1.0]),
    strides=st.sampled_from([(1,), (2,), (1, 2, 4), (3, 5)]),
)
def test_edges_are_found_one_by_one(seed, height, width, void, strides):
    target = labels(seed, 2, height, width, void, classes=20)
    target = target.where(target == VOID, target // 9)  # mostly two classes, a third is rare
    found = boundary_targets(target, strides=strides)
    assert found.dtype == torch.bool
    assert torch.equal(found, torch.stack([by_looking(image, strides) for image in target]))


def test_of_two_classes_it_is_where_the_laplacian_is_not_zero():
    """The convolutions of the paper, where they say what they mean: two classes, no void, border repeated."""
    target = (labels(3, 2, 16, 24, void=0.0, classes=40) == 0).long()
    kernel = torch.full((1, 1, 3, 3), -1.0)
    kernel[..., 1, 1] = 8.0
    padded = F.pad(target[:, None].float(), (1, 1, 1, 1), mode="replicate")
    expected = torch.zeros(target.shape)
    for stride in (1, 2, 4):
        edges = (F.conv2d(padded, kernel, stride=stride).abs() > 0.1).float()
        expected += F.interpolate(edges, target.shape[1:], mode="nearest")[:, 0]
    assert 0.1 < (expected > 0).float().mean() < 0.9
    assert torch.equal(boundary_targets(target), expected > 0)


def test_the_numbers_of_classes_do_not_matter():
    target = labels(0, 2, 8, 8)
    order = torch.arange(256)
    order[:3] = torch.tensor([2, 0, 1])
    assert torch.equal(boundary_targets(target), boundary_targets(order[target]))


def test_void_and_the_border_of_the_image_make_no_edges():
    target = torch.full((1, 8, 8), 5)
    assert not boundary_targets(target).any()
    target[:, 2:4, 2:4] = VOID
    assert not boundary_targets(target).any()
    target[:, :, 6:] = 7
    target[:, :, 5] = VOID  # a void band between two classes
    assert not boundary_targets(target).any()


def test_strides_widen_an_edge():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[:, :, 4:] = 1
    columns = {
        s: boundary_targets(target, strides=(s,))[0].all(0).nonzero().flatten().tolist() for s in (1, 2, 4)
    }
    # at stride 2 and 4 column 3 is not looked at, column 4 is and marks its cell
    assert columns == {1: [3, 4], 2: [4, 5], 4: [4, 5, 6, 7]}


def test_another_void_label():
    target = labels(0, 2, 8, 8)
    for void in (-1, 0, 1):
        shifted = (target + 2).where(target != VOID, void)
        assert torch.equal(boundary_targets(target), boundary_targets(shifted, ignore_index=void))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), void=st.sampled_from([0.0, 0.3, 1.0]), classes=st.sampled_from([1, 2, 3]))
def test_loss_is_the_formula(seed, void, classes):
    target = labels(seed, 2, 5, 6, void, classes)
    logits = torch.randn(2, 1, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert boundary_loss(logits, target).item() == pytest.approx(loss_by_looking(logits, target), rel=1e-9)


def test_loss_of_a_perfect_map_is_zero_and_of_its_opposite_is_not():
    target = labels(1, 2, 16, 16, void=0.1, classes=2)
    logits = boundary_targets(target)[:, None].float() * 200 - 100
    assert boundary_loss(logits, target).item() == pytest.approx(0, abs=1e-6)
    assert boundary_loss(-logits, target) > 50


def test_gradcheck():
    target = labels(2, 2, 4, 5)
    logits = torch.randn(2, 1, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: boundary_loss(x, target), logits.requires_grad_())


def test_void_pixels_do_not_matter():
    target = labels(2, 2, 6, 5, void=0.4)
    void = (target == VOID)[:, None]
    logits = torch.randn(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    other = logits.masked_fill(void, torch.nan).requires_grad_()
    loss = boundary_loss(other, target)
    loss.backward()
    assert torch.equal(loss, boundary_loss(logits, target))
    assert not other.grad[void].any()
    assert other.grad[~void].all()


def test_all_void_is_zero():
    logits = torch.randn(2, 1, 6, 5, requires_grad=True)
    loss = boundary_loss(logits, torch.full((2, 6, 5), VOID))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_is_computed_in_float32_at_least(dtype):
    target = labels(2, 2, 6, 5)
    logits = torch.randn(2, 1, 6, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    loss = boundary_loss(logits, target)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(loss.double(), boundary_loss(logits.double(), target), rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(2, 1, 3, 3), (2, 2, 6, 5), (1, 1, 6, 5), (2, 6, 5)])
def test_shapes_that_do_not_fit_are_named(shape):
    with pytest.raises(ValueError, match=r"shape \(2, 1, 6, 5\) .* got .*size=\(6, 5\)"):
        boundary_loss(torch.zeros(shape), labels(0, 2, 6, 5))


def test_bad_strides_and_targets_are_named():
    with pytest.raises(ValueError, match=r"from 1 on, at least one, got \[\]"):
        boundary_targets(labels(0, 1, 4, 4), strides=())
    with pytest.raises(ValueError, match="strides must be an int of at least 1, got 0"):
        boundary_targets(labels(0, 1, 4, 4), strides=(1, 0))
    with pytest.raises(ValueError, match=r"\(B, H, W\), .*got \(4, 4\)"):
        boundary_targets(labels(0, 1, 4, 4)[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_of_any_width_and_shape(dtype):
    """In uint8 the label 255 equals -1, which is another void label."""
    target = labels(0, 2, 6, 5).clamp(max=255)
    logits = torch.randn(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    for shaped in (target, target[:, None], target[..., None]):
        assert torch.equal(boundary_targets(shaped.to(dtype)), boundary_targets(target))
        assert torch.equal(boundary_loss(logits, shaped.to(dtype)), boundary_loss(logits, target))
    none_void = boundary_targets(target, ignore_index=-1)
    assert torch.equal(boundary_targets(target.to(dtype), ignore_index=-1), none_void)

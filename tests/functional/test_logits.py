"""Counts from whatever holds them, and the cross entropy of changed logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.errors import UserError
from aucseg.functional import adjusted_cross_entropy, draw_noise, log_prior, noise_mean, rarity
from aucseg.functional.logits import class_counts, class_vector, never_seen_as_rarest
from aucseg.longtail import load_statistics
from tests.functional.oracle import streets


def rows_of(target, k):
    return target.where(target != 255, k).flatten(1)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 1000),
    k=st.integers(2, 9),
    void=st.sampled_from([0.0, 0.3, 1.0]),
    strip=st.sampled_from([1, 7, 2**18]),
    scaled=st.booleans(),
)
def test_is_torchs_cross_entropy_of_the_changed_logits(seed, k, void, strip, scaled):
    logits, target = streets(2, k, 5, 7, seed=seed, void=void)
    logits.requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    shift, scale = torch.randn(2, k, 1, generator=generator, dtype=torch.float64).unbind()
    scale = scale.exp() if scaled else torch.ones_like(scale)

    def adjust(z, label, out):
        return torch.addcmul(shift, scale, z, out=out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aucseg.functional.logits.STRIP_MIN_PIXELS", strip)
        patch.setattr("aucseg.functional.logits.STRIP_SCORES_CPU", strip)
        found = adjusted_cross_entropy(
            logits.flatten(2), rows_of(target, k), adjust, scale=scale[:, 0] if scaled else None
        )
    expected = F.cross_entropy(
        scale * logits.flatten(2) + shift, target.flatten(1), ignore_index=255, reduction="none"
    )
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    grads = [torch.autograd.grad(value, logits, upstream)[0] for value in (found, expected)]
    torch.testing.assert_close(*grads)


def test_without_a_gradient_nothing_is_kept():
    logits, target = streets(1, 4, 5, 6, seed=0)
    logits.requires_grad_()
    with torch.no_grad():
        assert not adjusted_cross_entropy(logits.flatten(2), rows_of(target, 4)).requires_grad
    assert not adjusted_cross_entropy(logits.detach().flatten(2), rows_of(target, 4)).requires_grad


def test_backward_twice_on_one_graph():
    logits, target = streets(1, 4, 5, 6, seed=0)
    logits.requires_grad_()
    value = adjusted_cross_entropy(logits.flatten(2), rows_of(target, 4)).sum()
    first = torch.autograd.grad(value, logits, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(value, logits)[0])


def test_a_strip_gets_its_labels_and_cannot_see_void():
    logits, target = streets(2, 4, 5, 6, seed=0, void=0.5)
    seen = []

    def adjust(z, label, out):
        seen.append(label.clone())
        return out.copy_(z)

    adjusted_cross_entropy(logits.flatten(2), rows_of(target, 4), adjust)
    assert torch.equal(torch.cat(seen), target.where(target != 255, 0).flatten())


def test_log_prior_by_hand():
    assert log_prior(torch.tensor([6.0, 0, 3, 1]).double()).exp().tolist() == pytest.approx(
        [0.6, 0.1, 0.3, 0.1]
    )


def test_counts_of_published_statistics_and_their_units():
    statistics = load_statistics("cityscapes")
    assert np.array_equal(class_counts(statistics).numpy(), statistics.pixels)
    assert np.array_equal(class_counts(statistics, unit="images").numpy(), statistics.images)
    assert class_counts(statistics, num_classes=19, names=statistics.names).dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "regions"}, "unknown unit 'regions'; use one of 'pixels', 'images'"),
        ({"num_classes": 150}, "counts are of 19 classes, expected 150; count the masks"),
        ({"names": ("road", "bus")}, "number 1 is 'sidewalk', expected 'bus'.*19 counted, 2 expected"),
        ({"names": ("road",)}, "number 1 is 'sidewalk', expected 'nothing'"),
    ],
)
def test_counts_of_other_classes(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        class_counts(load_statistics("cityscapes"), **options)
    assert isinstance(caught.value, UserError) or "unit" in options


def test_the_same_classes_in_another_order_are_other_classes():
    statistics = load_statistics("cityscapes")
    names = (*statistics.names[:2], *reversed(statistics.names[2:]))
    with pytest.raises(ValueError, match="number 2 is 'building', expected 'bicycle'"):
        class_counts(statistics, names=names)


def test_a_vector_is_a_copy():
    given_ = torch.tensor([1.0, 2.0], dtype=torch.float64)
    class_vector(given_, "x").mul_(2)
    assert given_.tolist() == [1, 2]


def test_never_seen_as_rarest_by_hand():
    assert never_seen_as_rarest(torch.tensor([5.0, 0, 2])).tolist() == [5, 2, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rarity(torch.ones(2), "log"), "unknown coefficient 'log'"),
        (lambda: noise_mean("cauchy"), "unknown variation 'cauchy'"),
        (lambda: noise_mean("beta", order="x"), "unknown order 'x'"),
        (lambda: draw_noise(torch.ones(2), torch.Generator(), variation="x"), "unknown variation 'x'"),
    ],
)
def test_unknown_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()

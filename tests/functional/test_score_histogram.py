from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import aucseg.functional.score_histogram as module
from aucseg.functional.ranking import pairwise_auc
from aucseg.functional.score_histogram import add_score_histogram, histogram_auc, score_bins
from tests.functional.ranked import pixels

K = 4


def counted(scores, labels, bins, score_range=None):
    """Histograms of (P, K) scores."""
    histogram = torch.zeros(K, K, bins, dtype=torch.int64)
    batch, target = scores.t()[None, :, None], labels[None, None]
    return add_score_histogram(histogram, batch, target, torch.ones_like(target).bool(), score_range)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 80),
    spread=st.sampled_from((0.3, 3.0, 30.0)),
    bins=st.sampled_from((2, 3, 17, 256)),
    max_fpr=st.sampled_from((None, 0.05, 0.5, 1.0)),
    score_range=st.sampled_from((None, (-2.0, 1.5))),
    absent=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_equals_the_exact_auc_of_the_bins_and_keeps_the_bound(
    count, spread, bins, max_fpr, score_range, absent, seed
):
    scores, labels = pixels(count=count, k=K, levels=1000, seed=seed, absent=absent)
    scores = scores * spread
    scores = scores.sigmoid() if score_range is None else scores
    value, bound = histogram_auc(counted(scores, labels, bins, score_range), max_fpr=max_fpr)
    binned = pairwise_auc(score_bins(scores, bins, score_range).float(), labels, K, max_fpr=max_fpr)
    exact = pairwise_auc(scores, labels, K, max_fpr=max_fpr)
    for own, same, off, truth in zip(value, binned, bound, exact, strict=True):
        np.testing.assert_allclose(own, same, rtol=1e-9, atol=1e-12)
        assert torch.equal(own.isnan(), off.isnan())
        assert (((own - truth).abs() <= off + 1e-12) | off.isnan()).all()


def test_bound_is_reached():
    """All in one bin: the histogram says 1/2, the truth is 1, and the bound is the difference."""
    scores = torch.tensor([[0.3001, 0.5], [0.3, 0.5]])[:, [0, 1, 1, 1]]
    value, bound = histogram_auc(counted(scores, torch.tensor([0, 1]), 8))
    assert pairwise_auc(scores, torch.tensor([0, 1]), K).pairs[0, 1] == 1
    assert value.pairs[0, 1] == 0.5
    assert bound.pairs[0, 1] == 0.5


@pytest.mark.parametrize("bins", [2, 100, 4096, module.MAX_BINS])
@pytest.mark.parametrize("score_range", [None, (-0.25, 1.5)])
def test_bins_ascend_with_the_score(bins, score_range):
    small = torch.tensor([2.0**-e for e in range(150, 0, -1)])
    scores = torch.cat((small, 1 - small.flip(0), torch.linspace(0, 1, 999))).sort().values
    found = score_bins(scores, bins, score_range)
    assert (found.diff() >= 0).all()
    assert found.min() >= 0
    assert found.max() < bins
    # the same score gets the same bin, whichever instruction of the processor handles its place
    alone = torch.cat([score_bins(score, bins, score_range) for score in scores.split(1)])
    assert torch.equal(found, alone)


def test_bins_are_fine_at_both_ends():
    scores = torch.tensor([1e-12, 1e-11, 1e-6, 1e-3, 0.5, 0.999, 0.999999, 1 - 2**-24, 1.0])
    found = score_bins(scores, 256)
    assert (found.diff() > 0).all()
    assert found[0] == 0
    assert found[-1] >= 251


def test_all_bins_of_a_range_are_used_and_nothing_is_lost():
    scores = torch.tensor([-torch.inf, -9.0, -4.0, -1.1, 0.1, 3.9, 4.0, 1e30, torch.inf])
    assert score_bins(scores, 4, (-4.0, 4.0)).tolist() == [0, 0, 0, 1, 2, 3, 3, 3, 3]


def test_chunks_and_void(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(3, K, 5, 7, generator=generator)
    labels = torch.randint(0, K, (3, 5, 7), generator=generator)
    valid = torch.rand(3, 5, 7, generator=generator) < 0.7
    zeros = torch.zeros(K, K, 32, dtype=torch.int64)
    whole = add_score_histogram(zeros.clone(), scores, labels, valid)
    monkeypatch.setitem(module.BLOCK, "cpu", 8 * K)
    assert torch.equal(add_score_histogram(zeros.clone(), scores, labels, valid), whole)
    bins = score_bins(scores, 32)
    for c in range(K):
        for d in range(K):
            expected = torch.bincount(bins[:, c][valid & (labels == d)], minlength=32)
            assert torch.equal(whole[c, d], expected)


def test_error_of_many_bins_is_small():
    generator = torch.Generator().manual_seed(0)
    labels = torch.multinomial(torch.tensor([0.5, 0.3, 0.15, 0.05]), 60_000, True, generator=generator)
    scores = torch.randn(60_000, K, generator=generator)
    scores[torch.arange(60_000), labels] += 2
    scores = scores.sigmoid()
    value, bound = histogram_auc(counted(scores, labels, 4096))
    error = value.pairs - pairwise_auc(scores, labels, K).pairs
    assert error.nanmean().abs() < 1e-5
    assert error.abs().nan_to_num(0).max() < 1e-4
    assert bound.pairs.nan_to_num(0).max() < 1e-3


def test_bad_options():
    for bins in (1, 0, -5, 2.0, True, 2**20 + 1):
        with pytest.raises(ValueError, match=f"bins must be an int from 2 to 1048576, got {bins}"):
            module.check_bins(bins)
    for wrong in ((1.0, 1.0), (2, 1), (0, float("inf")), (0, 1, 2)):
        with pytest.raises(ValueError, match="score_range must be two finite numbers"):
            module.check_bins(8, wrong)
    with pytest.raises(ValueError, match="max_fpr must be a number"):
        histogram_auc(torch.zeros(K, K, 8, dtype=torch.int64), max_fpr=2.0)

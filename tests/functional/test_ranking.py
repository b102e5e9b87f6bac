from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from aucseg.functional.ranking import pairwise_auc, standardize_partial_area
from tests.functional.ranked import pixels

tables = st.fixed_dictionaries(
    {
        "count": st.integers(1, 60),
        "k": st.integers(2, 6),
        "levels": st.sampled_from((2, 5, 1000)),
        "absent": st.booleans(),
        "seed": st.integers(0, 2**31),
    }
)


def brute_force(scores, labels, k):
    """AUC of each pair and of each class against the rest, by comparing all pairs of pixels."""
    pairs, ova = np.full((k, k), np.nan), np.full(k, np.nan)

    def share(own, other):
        gap = own[:, None] - other[None, :]
        return ((gap > 0) + 0.5 * (gap == 0)).mean() if gap.size else np.nan

    for c in range(k):
        own = scores[labels == c, c]
        for d in set(range(k)) - {c}:
            pairs[c, d] = share(own, scores[labels == d, c])
        ova[c] = share(own, scores[labels != c, c])
    return pairs, ova


def partial(scores, labels, k, max_fpr):
    """The same with scikit-learn, up to a limit of the false positive rate."""
    pairs, ova = np.full((k, k), np.nan), np.full(k, np.nan)
    for c in range(k):
        for d in set(range(k)) - {c}:
            pair = (labels == c) | (labels == d)
            if len(set(labels[pair])) == 2:
                pairs[c, d] = roc_auc_score(labels[pair] == c, scores[pair, c], max_fpr=max_fpr)
        if 0 < (labels == c).sum() < len(labels):
            ova[c] = roc_auc_score(labels == c, scores[:, c], max_fpr=max_fpr)
    return pairs, ova


@settings(max_examples=60, deadline=None)
@given(table=tables)
def test_equals_all_pairs_of_pixels(table):
    scores, labels = pixels(**table)
    result = pairwise_auc(scores, labels, table["k"])
    for value, expected in zip(result, brute_force(scores.numpy(), labels.numpy(), table["k"]), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        assert value.dtype == torch.float64


@settings(max_examples=40, deadline=None)
@given(table=tables, max_fpr=st.sampled_from((0.01, 0.1, 0.25, 0.5, 0.77, 1.0)))
def test_partial_area_equals_scikit_learn(table, max_fpr):
    scores, labels = pixels(**table)
    result = pairwise_auc(scores, labels, table["k"], max_fpr=max_fpr)
    expected = partial(scores.numpy(), labels.numpy(), table["k"], max_fpr)
    for value, wanted in zip(result, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-10, atol=1e-12)


def test_by_hand():
    """Class 0 scores 3, 1 and 1 on its channel, class 1 scores 2 and 1, class 2 scores 0."""
    own = torch.tensor([3.0, 1.0, 1.0, 2.0, 1.0, 0.0])
    scores = torch.stack((own, torch.zeros(6), own, own), 1)
    result = pairwise_auc(scores, torch.tensor([0, 0, 0, 1, 1, 2]), 4)
    # (0, 1): 3 wins twice, each 1 loses once and ties once: 3 of 6
    nan = torch.nan
    expected = [[nan, 0.5, 1, nan], [0.5, nan, 0.5, nan], [0, 0, nan, nan], [nan] * 4]
    np.testing.assert_allclose(result.pairs, expected, rtol=1e-15)
    np.testing.assert_allclose(result.ova, [(3 + 3) / 9, 0.5, 0, nan], rtol=1e-15)


def test_partial_area_by_hand():
    """One positive below the best of four negatives: the curve rises at a false positive rate of 1/4."""
    scores = torch.tensor([[3.0, 0], [4, 0], [2, 0], [1, 0], [0, 0]])
    area = {0.25: 0.0, 0.5: 0.25, 1.0: 0.75}
    for max_fpr, raw in area.items():
        result = pairwise_auc(scores, torch.tensor([0, 1, 1, 1, 1]), 2, max_fpr=max_fpr)
        wanted = standardize_partial_area(torch.tensor(raw, dtype=torch.float64), max_fpr)
        assert result.pairs[0, 1].item() == pytest.approx(wanted.item())
        lowest = max_fpr**2 / 2  # and back again, as the docstring says
        assert lowest + (2 * wanted.item() - 1) * (max_fpr - lowest) == pytest.approx(raw)


@pytest.mark.parametrize("grow", [torch.sigmoid, torch.exp, lambda s: s * 3 - 1, lambda s: s.double()])
def test_only_the_order_matters(grow):
    scores, labels = pixels(count=200, k=4, levels=50, seed=1)
    for max_fpr in (None, 0.3):
        first = pairwise_auc(scores, labels, 4, max_fpr=max_fpr)
        second = pairwise_auc(grow(scores), labels, 4, max_fpr=max_fpr)
        assert torch.equal(first.pairs.nan_to_num(9), second.pairs.nan_to_num(9))


def test_extreme_scores():
    """Zeros of either sign tie, infinities and the smallest numbers keep their order."""
    own = torch.tensor([torch.inf, 3e38, 1e-45, 0.0, -0.0, -1e-45, -3e38, -torch.inf])
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    result = pairwise_auc(own[:, None].expand(-1, 2), labels, 2)
    assert result.pairs[0, 1].item() == (4 + 3 + 2.5 + 1) / 16
    assert result.pairs[1, 0].item() == 1 - result.pairs[0, 1].item()


def test_many_pixels():
    """Sums of ranks beyond float32 and int32: half of the positives above, half below all negatives."""
    n = 200_000
    labels = torch.cat((torch.zeros(n), torch.ones(n))).long()
    own = torch.cat((torch.full((n // 2,), -1.0), torch.full((n // 2,), 2.0), torch.linspace(0, 1, n)))
    result = pairwise_auc(own[:, None].expand(-1, 2), labels, 2)
    assert result.pairs[0, 1].item() == 0.5


def test_pieces_are_one_table():
    scores, labels = pixels(count=50, k=3, levels=9, seed=4)
    whole = pairwise_auc(scores, labels, 3)
    pieces = pairwise_auc([scores[:7], scores[7:7], scores[7:]], labels, 3)
    assert torch.equal(whole.pairs.nan_to_num(9), pieces.pairs.nan_to_num(9))
    assert pairwise_auc([], labels[:0], 3).pairs.isnan().all()


def test_bad_input():
    scores, labels = pixels(count=10, k=3, levels=5, seed=0)
    bad = scores.clone()
    bad[2:4, 1] = torch.nan
    with pytest.raises(ValueError, match=r"2 of 30 scores are nan, .*void"):
        pairwise_auc(bad, labels, 3)
    with pytest.raises(ValueError, match=r"scores must have shape \(P, 4\), got \(10, 3\)"):
        pairwise_auc(scores, labels, 4)
    with pytest.raises(ValueError, match=r"10 rows of scores need labels of shape \(10,\), got \(9,\)"):
        pairwise_auc(scores, labels[1:], 3)
    with pytest.raises(ValueError, match="labels holds label 255"):
        pairwise_auc(scores, torch.full_like(labels, 255), 3)
    with pytest.raises(TypeError, match=r"floating point, got dtype torch\.int64"):
        pairwise_auc(scores.long(), labels, 3)
    for limit in (0, -0.1, 1.1, True, "half"):
        with pytest.raises(ValueError, match=r"max_fpr must be a number in \(0, 1\], got"):
            pairwise_auc(scores, labels, 3, max_fpr=limit)

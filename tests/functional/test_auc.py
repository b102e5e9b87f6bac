from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.functional import ClassMoments, auc_risk, class_moments
from tests.functional.oracle import pair_table, streets


@settings(max_examples=30, deadline=None)
@given(
    k=st.integers(2, 6),
    size=st.integers(1, 6),
    void=st.sampled_from((0.0, 0.5, 0.95)),
    margin=st.sampled_from((0.3, 1.0, 2.0)),
    seed=st.integers(0, 2**31),
)
def test_equals_all_pairs(k, size, void, margin, seed):
    scores, target = streets(2, k, size, size, seed=seed, void=void)
    moments = class_moments(scores, target, k)
    expected = pair_table(scores, target, k, margin)
    options = {"margin": margin}
    table = auc_risk(moments, reduction="none", **options)
    torch.testing.assert_close(table, expected, equal_nan=True, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(auc_risk(moments, reduction="sum", **options), expected.nansum())
    if not expected.isnan().all():
        torch.testing.assert_close(auc_risk(moments, **options), expected.nanmean())


def test_by_hand():
    """Class 0 scores 1 and 0 on its channel, class 1 scores 0 there; on channel 1 all scores are 0.5."""
    scores = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.5]]]])
    moments = class_moments(scores, torch.tensor([[[0, 0, 1]]]), 2)
    # pairs (0,1): differences 1 and 0, losses 0 and 1; pair (1,0): differences 0 and 0, losses 1 and 1
    assert auc_risk(moments, reduction="none")[0, 1].item() == pytest.approx(0.5)
    assert auc_risk(moments, reduction="none")[1, 0].item() == pytest.approx(1.0)
    assert auc_risk(moments).item() == pytest.approx(0.75)
    assert auc_risk(moments, reduction="sum").item() == pytest.approx(1.5)


def test_perfect_ranking_is_free():
    target = torch.randint(0, 5, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    scores = torch.nn.functional.one_hot(target, 5).movedim(-1, 1).double()
    assert auc_risk(class_moments(scores, target, 5)).item() == 0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("label", [0, 255])
def test_no_pair_is_zero_and_attached(reduction, label):
    scores = torch.rand(1, 3, 4, 4, requires_grad=True)
    moments = class_moments(scores, torch.full((1, 4, 4), label), 3)
    risk = auc_risk(moments, reduction=reduction)
    risk.backward()
    assert risk.item() == 0
    assert (scores.grad == 0).all()


def test_none_is_nan_where_absent():
    scores, target = streets(1, 4, 6, 6, seed=0)
    target[target == 3] = 0
    table = auc_risk(class_moments(scores, target, 4), reduction="none")
    assert table.isnan().tolist() == [[c == d or 3 in (c, d) for d in range(4)] for c in range(4)]


def test_unknown_options_list_the_known():
    moments = ClassMoments(torch.ones(2), torch.zeros(2, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"unknown surrogate 'cubic'; use one of 'square'"):
        auc_risk(moments, surrogate="cubic")
    with pytest.raises(ValueError, match=r"unknown multiclass 'all'; use one of 'ovo'"):
        auc_risk(moments, multiclass="all")
    with pytest.raises(ValueError, match=r"unknown reduction 'max'; use one of 'mean', 'sum', 'none'"):
        auc_risk(moments, reduction="max")
    for margin in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="margin must be a positive number"):
            auc_risk(moments, margin=margin)

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.functional import (
    Request,
    class_sums,
    pair_table,
    reduce_pairs,
    separable_risk,
    separable_weights,
    surrogate_form,
    tail_versus_rest,
)
from aucseg.functional.auc import check_pair_weights
from tests.functional import oracle
from tests.functional.oracle import streets


def rows_of(target, k):
    return torch.where(target == 255, k, target).flatten(1)


def table_of(scores, target, k, form):
    sums = class_sums(scores.flatten(2), rows_of(target, k), Request(form, k, "identity"))
    return pair_table(sums, form), sums.count


@settings(max_examples=30, deadline=None)
@given(
    k=st.integers(2, 6),
    size=st.integers(1, 6),
    void=st.sampled_from((0.0, 0.5, 0.95)),
    options=st.sampled_from(
        (
            ("square", 0.3, 1.0),
            ("square", 1.0, 4.0),
            ("hinge", 2.0, 1.5),
            ("exp", 1.0, 3.0),
            ("logistic", 1.0, 2.0),
        )
    ),
    seed=st.integers(0, 2**31),
)
def test_equals_all_pairs(k, size, void, options, seed):
    surrogate, margin, scale = options
    logits, target = streets(2, k, size, size, seed=seed, void=void)
    scores = logits.sigmoid()
    form = surrogate_form(surrogate, margin=margin, scale=scale)
    pairs, count = table_of(scores, target, k, form)
    expected = oracle.pair_table(scores, target, k, margin, surrogate=surrogate, scale=scale)
    near = {"rtol": 1e-10, "atol": form.error_bound + 1e-12}
    torch.testing.assert_close(reduce_pairs(pairs, count, reduction="none"), expected, equal_nan=True, **near)
    torch.testing.assert_close(
        reduce_pairs(pairs, count, reduction="sum"), expected.nansum(), rtol=1e-10, atol=k * k * near["atol"]
    )
    mean = oracle.present_mean(expected, scores)
    torch.testing.assert_close(reduce_pairs(pairs, count), mean, **near)
    every = oracle.one_versus_all(scores, target, k, margin, surrogate=surrogate, scale=scale)
    ova = reduce_pairs(pairs, count, multiclass="ova", reduction="none")
    torch.testing.assert_close(ova, every, equal_nan=True, **near)
    torch.testing.assert_close(
        reduce_pairs(pairs, count, multiclass="ova"), oracle.present_mean(every, scores), **near
    )


@settings(max_examples=30, deadline=None)
@given(
    k=st.integers(2, 6),
    void=st.sampled_from((0.0, 0.5, 0.95, 1.0)),
    multiclass=st.sampled_from(("ovo", "ova")),
    reduction=st.sampled_from(("mean", "sum")),
    surrogate=st.sampled_from(("square", "exp", "logistic")),
    seed=st.integers(0, 2**31),
)
def test_k_numbers_do_what_the_table_does(k, void, multiclass, reduction, surrogate, seed):
    logits, target = streets(2, k, 5, 5, seed=seed, void=void)
    form, rows = surrogate_form(surrogate), rows_of(target, k)
    request = Request(form, k)
    sums = class_sums(logits.flatten(2), rows, request)
    options = {"multiclass": multiclass, "reduction": reduction}
    expected = reduce_pairs(pair_table(sums, form), sums.count, **options)
    weights = separable_weights(sums.count, **options)
    few = class_sums(logits.flatten(2), rows, request, weights.pixel)
    torch.testing.assert_close(separable_risk(few, sums.count, form, weights), expected)


def test_by_hand():
    """Class 0 scores 1 and 0 on its channel, class 1 scores 0 there; on channel 1 all scores are 0.5."""
    scores = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.5]]]])
    pairs, count = table_of(scores, torch.tensor([[[0, 0, 1]]]), 2, surrogate_form("square"))
    # pairs (0,1): differences 1 and 0, losses 0 and 1; pair (1,0): differences 0 and 0, losses 1 and 1
    assert reduce_pairs(pairs, count, reduction="none")[0, 1].item() == pytest.approx(0.5)
    assert reduce_pairs(pairs, count, reduction="none")[1, 0].item() == pytest.approx(1.0)
    assert reduce_pairs(pairs, count).item() == pytest.approx(0.75)
    assert reduce_pairs(pairs, count, reduction="sum").item() == pytest.approx(1.5)
    weights = torch.tensor([[0.0, 3.0], [1.0, 0.0]])
    assert reduce_pairs(pairs, count, weights=weights).item() == pytest.approx((3 * 0.5 + 1.0) / 4)
    assert reduce_pairs(pairs, count, weights=weights, reduction="sum").item() == pytest.approx(2.5)


def test_perfect_ranking_is_free():
    target = torch.randint(0, 5, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    scores = torch.nn.functional.one_hot(target, 5).movedim(-1, 1).double()
    for surrogate in ("square", "hinge", "squared_hinge"):
        assert reduce_pairs(*table_of(scores, target, 5, surrogate_form(surrogate))).item() == 0


def test_none_is_nan_where_absent():
    scores, target = streets(1, 4, 6, 6, seed=0)
    target[target == 3] = 0
    table = reduce_pairs(*table_of(scores, target, 4, surrogate_form("square")), reduction="none")
    assert table.isnan().tolist() == [[c == d or 3 in (c, d) for d in range(4)] for c in range(4)]


def test_pairs_of_two_remembered_classes_are_left_out():
    """A queue fills in classes 2 and 3; between the two of them there is nothing to learn from this batch."""
    pairs = torch.arange(16.0).view(4, 4)
    current = torch.tensor([True, True, False, False])
    table = reduce_pairs(pairs, torch.ones(4), reduction="none", current=current)
    assert table[2, 3].isnan()
    assert table[3, 2].isnan()
    assert table[0, 2] == 2
    assert table[3, 1] == 13
    assert reduce_pairs(pairs, torch.ones(4), current=current) == table.nanmean()


def test_tail_versus_rest():
    mask = tail_versus_rest([1, 3], 4)
    assert mask.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    for tail, message in (
        ([], r"must be some of the 4 classes, each once, got \[\]"),
        ([1, 1], "each once"),
        ([0, 1, 2, 3], "must be some of the 4"),
        ([4], "tail class 4 is outside the classes 0 to 3"),
    ):
        with pytest.raises(ValueError, match=message):
            tail_versus_rest(tail, 4)


def test_pair_weights_are_checked():
    assert check_pair_weights([[0, 1], [2, 0]], 2).dtype == torch.float64
    for weights, message in (
        (torch.ones(2, 3), r"pair_weights must be \(2, 2\), got \(2, 3\)"),
        (torch.zeros(2, 2), "one at least positive"),
        (-torch.ones(2, 2), "not negative"),
        (torch.full((2, 2), torch.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            check_pair_weights(weights, 2)

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.functional import Request, small, surrogate_form
from aucseg.functional.auc import auc_risk
from tests.functional.oracle import streets

FORMS = {
    "square": surrogate_form("square"),
    "hinge": surrogate_form("hinge", margin=2.0),
    "exp": surrogate_form("exp", scale=2.0),
    "logistic": surrogate_form("logistic", tolerance=1e-3),
}


def value_and_slope(logits, target, request, weights, largest):
    """Of both terms, weighted; by the way for batches of at most so many scores, or by the other one."""
    leaf = logits.clone().requires_grad_()
    rows = torch.where(target == 255, request.num_classes, target).flatten(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "SMALL_SCORES", largest)
        values = auc_risk(leaf.flatten(2), rows, request)
    total = sum(value * weight for value, weight in zip(values, weights, strict=True))
    (slope,) = torch.autograd.grad(total, leaf)
    return torch.stack([value.detach() for value in values]), slope


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 3),
    k=st.integers(2, 7),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    void=st.sampled_from((0.0, 0.3, 1.0)),
    activation=st.sampled_from(("sigmoid", "softmax")),
    multiclass=st.sampled_from(("ovo", "ova")),
    reduction=st.sampled_from(("mean", "sum")),
    cross_entropy=st.booleans(),
    dtype=st.sampled_from((torch.float64, torch.float32, torch.bfloat16)),
    seed=st.integers(0, 2**31),
)
def test_one_piece_equals_strips(
    form, batch, k, height, width, void, activation, multiclass, reduction, cross_entropy, dtype, seed
):
    logits, target = streets(batch, k, height, width, seed=seed, void=void)
    logits = logits.to(dtype)
    options = {"activation": activation, "multiclass": multiclass, "reduction": reduction}
    request = Request(form, k, cross_entropy=cross_entropy, **options)
    weights = (0.7, 1.3 if cross_entropy else 0.0)
    mine, theirs = (value_and_slope(logits, target, request, weights, most) for most in (2**17, 0))
    near = {} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(mine[0], theirs[0], **near)
    # both round the sum of the two terms to bfloat16, once
    near = {"rtol": 1e-2, "atol": 1e-6} if dtype == torch.bfloat16 else near
    torch.testing.assert_close(mine[1], theirs[1], **near)


def test_what_is_small():
    request = Request(FORMS["square"], 3)
    assert small.is_small(torch.zeros(2, 3, 8), request)
    assert not small.is_small(torch.zeros(2, 3, 0), request)  # nothing to cut up, and nothing to add
    assert not small.is_small(torch.zeros(1, 3, small.SMALL_SCORES // 3 + 1), request)
    assert not small.is_small(torch.zeros(2, 3, 8, device="meta"), request)


def test_scores_are_looked_at_where_their_range_carries_the_form():
    """Past it the loss is nan and not a number that holds for other scores."""
    form = surrogate_form("hinge", margin=2.0, score_range=(-1.0, 1.0))
    request = Request(form, 2, activation="identity")
    scores, rows = torch.tensor([[[0.5, 1.5], [0.0, 0.0]]]), torch.tensor([[0, 1]])
    assert auc_risk(scores, rows, request)[0].isnan()
    assert auc_risk(scores.clamp(-1, 1), rows, request)[0].isfinite()


def test_no_gradient_is_made_where_none_is_wanted(monkeypatch):
    monkeypatch.setattr(small._Piece, "put", lambda *arguments: pytest.fail("wrote a slope"))
    monkeypatch.setattr(
        small._Piece, "blank", lambda piece, scores: scores.view(-1).index_fill_(0, piece.own, 0)
    )
    logits, rows = torch.randn(1, 3, 9), torch.arange(9)[None] % 3
    assert auc_risk(logits, rows, Request(FORMS["square"], 3))[0].isfinite()


def test_goes_backward_more_than_once():
    logits = torch.randn(1, 3, 9, requires_grad=True)
    risk, mean = auc_risk(logits, torch.arange(9)[None] % 3, Request(FORMS["square"], 3, cross_entropy=True))
    first, second = (torch.autograd.grad(risk + mean, logits, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)

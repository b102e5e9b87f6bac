from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.functional import Request, channels_of, checks, class_sums, engine, surrogate_form
from tests.functional.oracle import ACTIVATIONS, flat, streets

FORMS = {
    "square": surrogate_form("square"),
    "hinge": surrogate_form("hinge", margin=2.0),
    "exp": surrogate_form("exp", scale=2.0),
    "logistic": surrogate_form("logistic", tolerance=1e-3),
}


def polynomials(form, feature, scores):
    """(D, ...) written out, by other formulas than the engine's recurrences."""
    z = feature(scores)
    orders = range(1, form.degree + 1)
    return torch.stack([torch.cos(j * torch.arccos(z)) if form.chebyshev else z**j for j in orders])


def brute(logits, target, k, form, activation="sigmoid"):
    rows, labels = flat(ACTIVATIONS[activation](logits.double()), target)
    own, other = torch.zeros(k, form.degree).double(), torch.zeros(k, k, form.degree).double()
    count = torch.zeros(k).double()
    for d in range(k):
        held = rows[labels == d]
        count[d] = len(held)
        own[d] = polynomials(form, form.own, held[:, d]).sum(1)
        other[d] = polynomials(form, form.other, held).sum(1).t()
    return count, own, other


def sums(logits, target, form, k=None, *, all_channels=False, **options):
    k = k or logits.shape[1]
    rows = torch.where(target == 255, k, target).flatten(1)
    return class_sums(logits.flatten(2), rows, Request(form, k, **options), all_channels=all_channels)


def present_rows(count, other):
    """Channels of absent classes are left out unless asked for."""
    return other * (count > 0)[None, :, None]


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=12, deadline=None)
@given(
    batch=st.integers(1, 3),
    k=st.integers(2, 7),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    void=st.sampled_from((0.0, 0.3, 0.95, 1.0)),
    activation=st.sampled_from(("sigmoid", "softmax")),
    seed=st.integers(0, 2**31),
)
def test_class_by_class(name, batch, k, height, width, void, activation, seed):
    logits, target = streets(batch, k, height, width, seed=seed, void=void)
    count, own, other = brute(logits, target, k, FORMS[name], activation)
    result = sums(logits, target, FORMS[name], activation=activation, all_channels=True)
    torch.testing.assert_close(result.count, count)
    torch.testing.assert_close(result.own, own)
    torch.testing.assert_close(result.other, other)
    few = sums(logits, target, FORMS[name], activation=activation)
    torch.testing.assert_close(few.own, own)
    torch.testing.assert_close(present_rows(count, few.other), present_rows(count, other))


@pytest.mark.parametrize("name", FORMS)
def test_channel_sums_are_the_table_contracted(name):
    form = FORMS[name]
    logits, target = streets(2, 6, 9, 9, seed=1)
    target[target == 4] = 0
    rows = torch.where(target == 255, 6, target).flatten(1)
    weights = torch.rand(6, dtype=torch.float64)
    table = sums(logits, target, form, all_channels=True)
    expected = channels_of(table, weights)
    result = class_sums(logits.flatten(2), rows, Request(form, 6), weights, all_channels=True)
    torch.testing.assert_close(result.own, expected.own)
    torch.testing.assert_close(result.rest, expected.rest)
    by_hand = sum(weights[d] * table.other[d] for d in range(6) if d != 2)[2]
    torch.testing.assert_close(result.rest[2], by_hand)


@pytest.fixture(params=["strips", "device"])
def unusual(request, monkeypatch):
    """Strips of seven pixels, or the way of a device that must not be waited for."""
    if request.param == "strips":
        monkeypatch.setattr(engine, "STRIP_SCORES_CPU", 1)
        monkeypatch.setattr(engine, "STRIP_MIN_PIXELS", 7)
    else:
        monkeypatch.setattr(checks, "synchronizes", lambda device: True)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("cross_entropy", [False, True])
def test_another_way_through_the_pixels(unusual, name, cross_entropy):
    logits, target = streets(2, 5, 13, 11, seed=3)
    target[target == 3] = 1
    form = FORMS[name]
    count, own, other = brute(logits, target, 5, form)
    result = sums(logits, target, form, all_channels=True, cross_entropy=cross_entropy)
    torch.testing.assert_close(result.count, count)
    torch.testing.assert_close(result.own, own)
    torch.testing.assert_close(result.other, other)
    small, part = logits[:, :, :3, :4].requires_grad_(), target[:, :3, :4]
    assert torch.autograd.gradcheck(lambda x: outputs(x, part, form, cross_entropy), small)


def outputs(logits, target, form, cross_entropy=True, activation="sigmoid"):
    """Everything that has a gradient, both ways."""
    k = logits.shape[1]
    rows = torch.where(target == 255, k, target).flatten(1)
    request = Request(form, k, activation, cross_entropy=cross_entropy)
    table = class_sums(logits.flatten(2), rows, request)
    weights = torch.linspace(0.5, 2, k, dtype=torch.float64)
    few = class_sums(logits.flatten(2), rows, request, weights)
    off_diagonal = table.other * ~torch.eye(k, dtype=torch.bool)[..., None]
    return table.own, off_diagonal, few.own, few.rest, table.cross_entropy + few.cross_entropy


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("void", [0.0, 0.4, 1.0])
def test_gradcheck(name, activation, void):
    logits, target = streets(2, 4, 3, 3, seed=1, void=void)
    target[target == 2] = 1  # a class that is missing
    logits = (logits.sigmoid() if activation == "identity" else logits).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: outputs(x, target, FORMS[name], activation=activation), logits)


def test_cross_entropy_is_torchs():
    logits, target = streets(2, 5, 6, 7, seed=2)
    result = sums(logits, target, FORMS["square"], cross_entropy=True)
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=255, reduction="sum")
    torch.testing.assert_close(result.cross_entropy, expected)


def test_sums_add_up():
    logits, target = streets(4, 5, 6, 7, seed=2)
    options = {"all_channels": True, "cross_entropy": True}
    whole = sums(logits, target, FORMS["exp"], **options)
    parts = [
        sums(x, y, FORMS["exp"], **options) for x, y in zip(logits.split(1), target.split(1), strict=True)
    ]
    total = parts[0] + parts[1] + parts[2] + parts[3]
    for name, value in vars(whole).items():
        torch.testing.assert_close(getattr(total, name), value)


def test_ten_million_pixels_of_one_score_in_float32():
    """A plain float32 sum of 0.1 stops growing long before; a hundred million are ten of these added."""
    logits = torch.tensor(0.1).logit().expand(1, 2, 3200, 3200)
    target = torch.ones(1, 3200, 3200, dtype=torch.long)
    target[0, 0, 0] = 0
    result = sums(logits, target, FORMS["square"])
    exact = float(torch.tensor(0.1).logit().sigmoid())
    assert (result.other[1, 0, 0] / result.count[1]).item() == pytest.approx(exact, rel=1e-6)
    assert (result.other[1, 0, 1] / result.count[1]).item() == pytest.approx(exact**2, rel=1e-6)


def test_confident_scores_keep_their_digits():
    """A positive at 1 - 1e-6 costs 1e-12: the distance to the margin is squared, not the score."""
    form = FORMS["square"]
    scores = torch.tensor([1 - 1e-6, 0.0], dtype=torch.float32).view(1, 1, 1, 2).repeat(1, 2, 1, 1)
    result = sums(scores, torch.tensor([[[0, 1]]]), form, activation="identity")
    exact = (1 - float(scores[0, 0, 0, 0])) ** 2
    assert result.own[0, 1].item() == pytest.approx(exact, rel=1e-6)


def test_a_bad_label_poisons(monkeypatch):
    logits, target = streets(1, 3, 4, 4, seed=0, void=0)
    rows = target.flatten(1).clone()
    rows[0, 0] = 4  # K + 1: what class_index makes of a label that it may not look at
    monkeypatch.setattr(checks, "synchronizes", lambda device: True)
    result = class_sums(logits.flatten(2), rows, Request(FORMS["square"], 3))
    assert result.own.isnan().all()
    assert result.other.isnan().all()


def test_a_sorted_surrogate_has_no_sums():
    logits, target = streets(1, 3, 4, 4, seed=0)
    with pytest.raises(ValueError, match="needs the order of the pixels, which has no sums"):
        sums(logits, target, surrogate_form("hinge", margin=0.5))


def test_more_classes_than_a_byte_holds():
    logits, target = streets(1, 300, 5, 5, seed=0, void=0)
    target = torch.randint(0, 300, target.shape, generator=torch.Generator().manual_seed(0))
    target[0, 0, 0] = 299
    rows = target.flatten(1)
    result = class_sums(logits.flatten(2), rows, Request(FORMS["square"], 300), all_channels=True)
    count, own, other = brute(logits, torch.where(target == 255, 254, target), 300, FORMS["square"])
    if not (target == 255).any():
        torch.testing.assert_close(result.count, count)
        torch.testing.assert_close(result.own, own)
        torch.testing.assert_close(result.other, other)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
@pytest.mark.parametrize("name", ["square", "logistic"])
def test_products_keep_float32(precision, name):
    """Whatever torch is allowed to round in products of matrices, the sums and the gradient are exact."""
    logits, target = streets(1, 3, 40, 50, seed=6)
    form = FORMS[name]
    _, own, other = brute(logits.float(), target, 3, form)

    def gradient(logits):
        leaf = logits.detach().requires_grad_()
        total = sum(part.sum() for part in outputs(leaf, target, form))
        return torch.autograd.grad(total, leaf)[0]

    exact = gradient(logits)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        result = sums(logits.float(), target, form)
        found = gradient(logits.float())
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(result.own, own, rtol=1e-6, atol=0)
    torch.testing.assert_close(result.other, other, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("largest", [1.0, 38.0, 60.0, 200.0])
def test_logits_of_any_size_beside_their_exponentials(largest, activation):
    """Exponentials that are shared by scores and cross entropy would overflow from 88 on."""
    logits, target = streets(2, 5, 13, 11, seed=3)
    logits = (logits / logits.abs().max() * largest).float()
    leaf = logits.clone().requires_grad_()
    result = sums(leaf, target, FORMS["square"], activation=activation, cross_entropy=True)
    _, own, other = brute(logits, target, 5, FORMS["square"], activation)
    torch.testing.assert_close(result.own, own, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result.other, other, rtol=1e-5, atol=1e-6)
    wide = logits.double().requires_grad_()
    expected = torch.nn.functional.cross_entropy(wide, target, ignore_index=255, reduction="sum")
    torch.testing.assert_close(result.cross_entropy, expected, rtol=1e-6, atol=0)
    (found,) = torch.autograd.grad(result.cross_entropy, leaf)
    torch.testing.assert_close(found.double(), torch.autograd.grad(expected, wide)[0], rtol=1e-5, atol=1e-6)


def test_a_confident_pixel_keeps_its_cross_entropy():
    """log(1 + e^-15), of two logits of which one is large: to the digits that float32 has near one."""
    logits = torch.tensor([30.0, 15.0]).view(1, 2, 1, 1)
    found = sums(logits, torch.zeros(1, 1, 1, dtype=torch.long), FORMS["square"], cross_entropy=True)
    assert found.cross_entropy.item() == pytest.approx(3.06e-7, abs=6e-8)


def test_a_small_batch_goes_backward_twice_and_gives_its_memory_back():
    logits, target = streets(1, 5, 20, 20, seed=3)
    leaf = logits.float().requires_grad_()
    result = sums(leaf, target, FORMS["square"], cross_entropy=True, all_channels=True)
    total = (result.own.sum() + result.other.sum()) * result.cross_entropy
    (once,) = torch.autograd.grad(total, leaf, retain_graph=True)
    again = sums(-leaf, target, FORMS["square"], cross_entropy=True)  # beside it, in memory of its own
    assert again.own.isfinite().all()
    (twice,) = torch.autograd.grad(total, leaf)
    assert torch.equal(once, twice)

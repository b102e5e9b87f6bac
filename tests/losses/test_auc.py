from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.functional import checks, small
from aucseg.losses import AUCLoss
from tests.functional import oracle
from tests.functional.oracle import ACTIVATIONS, pair_mean, pair_table, streets
from tests.losses.base import LossTester
from tests.repository import ROOT


def variant(**fixed):
    """A factory of losses with some options."""
    return staticmethod(lambda num_classes, **options: AUCLoss(num_classes, **fixed, **options))


class AUCLossTester(LossTester):
    compiles = False  # in a test below
    twice = False  # beside

    def binary_reference(self, two, target):
        """The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)); the sigmoid of 0 says nothing of class 0."""
        loss = self.build(2)
        loss.activation = "softmax"
        return loss(two, target)


class InStrips:
    """By the way that batches take which are not as small as those of tests."""

    @pytest.fixture(autouse=True)
    def large(self, monkeypatch):
        monkeypatch.setattr(small, "SMALL_SCORES", 0)


class TestAUCLoss(AUCLossTester):
    factory = AUCLoss


class TestStrips(InStrips, AUCLossTester):
    factory = AUCLoss


class TestStripsOfSoftmax(InStrips, AUCLossTester):
    factory = variant(activation="softmax")


class TestSoftmax(AUCLossTester):
    factory = variant(activation="softmax")


class TestSum(AUCLossTester):
    factory = variant(reduction="sum")


class TestOneVersusAll(AUCLossTester):
    factory = variant(multiclass="ova")


class TestExponential(AUCLossTester):
    factory = variant(surrogate="exp", scale=2.0)


class TestLogistic(AUCLossTester):
    factory = variant(surrogate="logistic", scale=3.0)


class TestLinearHinge(AUCLossTester):
    factory = variant(surrogate="hinge")


class TestSortedHinge(AUCLossTester):
    factory = variant(surrogate="hinge", margin=0.31)


class TestSortedSquaredHinge(AUCLossTester):
    factory = variant(surrogate="squared_hinge", margin=0.5, activation="softmax")


class TestPairWeights(AUCLossTester):
    """The way through the K x K table."""

    factory = staticmethod(
        lambda num_classes, **options: (
            AUCLoss(num_classes, pair_weights=torch.ones(num_classes, num_classes), **options)
            if not isinstance(num_classes, float) and num_classes > 1
            else AUCLoss(num_classes, **options)
        )
    )


@pytest.mark.parametrize("largest", [0, small.SMALL_SCORES])
@pytest.mark.parametrize("surrogate", oracle.SURROGATES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=8, deadline=None)
@given(
    k=st.integers(2, 5),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    void=st.sampled_from((0.0, 0.5, 1.0)),
    margin=st.sampled_from((0.47, 1.0, 3.0)),
    scale=st.sampled_from((0.5, 1.0, 2.5)),
    multiclass=st.sampled_from(("ovo", "ova")),
    seed=st.integers(0, 2**31),
)
def test_value_and_gradient_equal_all_pairs(
    largest, surrogate, activation, k, height, width, void, margin, scale, multiclass, seed
):
    logits, target = streets(2, k, height, width, seed=seed, void=void)
    margin = 1.0 if surrogate in ("exp", "logistic") else margin
    bounds = (-6.0, 6.0) if activation == "identity" and surrogate == "logistic" else None
    fast, slow = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    options = {"surrogate": surrogate, "scale": scale}
    loss = AUCLoss(
        k, activation=activation, multiclass=multiclass, margin=margin, score_range=bounds, **options
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "SMALL_SCORES", largest)
        value = loss(fast, target)
    scores = ACTIVATIONS[activation](slow)
    every = pair_table if multiclass == "ovo" else oracle.one_versus_all
    expected = oracle.present_mean(every(scores, target, k, margin, **options), scores)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12 + loss.error_bound)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-8, atol=1e-12 + 100 * loss.error_bound)


def test_any_smooth_function():
    logits, target = streets(2, 4, 6, 6, seed=0)
    loss = AUCLoss(4, surrogate=lambda x: (1 - x).clamp(-9) ** 4, scale=2.0, tolerance=1e-9)
    expected = pair_table(logits.sigmoid(), target, 4, surrogate=lambda x: (1 - x) ** 4, scale=2.0)
    assert loss.form.degree == 4  # a polynomial is found out
    torch.testing.assert_close(loss(logits, target), expected.nanmean(), rtol=0, atol=1e-8)


def test_error_bound():
    assert AUCLoss(3).error_bound == 0
    assert AUCLoss(3, surrogate="hinge", margin=0.2).error_bound == 0
    coarse = AUCLoss(3, surrogate="logistic", tolerance=1e-3)
    assert 1e-8 < coarse.error_bound <= 1e-3
    logits, target = streets(1, 3, 9, 9, seed=0)
    exact = pair_table(logits.sigmoid(), target, 3, surrogate="logistic")
    error = (AUCLoss(3, surrogate="logistic", tolerance=1e-3, reduction="none")(logits, target) - exact).abs()
    assert error.nan_to_num().max() <= coarse.error_bound


def test_reductions_agree():
    logits, target = streets(2, 5, 8, 8, seed=0)
    target[target == 4] = 0
    table = AUCLoss(5, reduction="none")(logits, target)
    torch.testing.assert_close(table, pair_table(logits.sigmoid(), target, 5), equal_nan=True)
    total, mean = AUCLoss(5, reduction="sum")(logits, target), AUCLoss(5)(logits, target)
    torch.testing.assert_close(total, table.nansum())
    torch.testing.assert_close(total, mean * 4 * 3)  # n(n - 1) ordered pairs of the n = 4 classes present


def test_table_has_a_gradient_through_nanmean():
    logits, target = streets(2, 5, 4, 4, seed=0)
    target[target == 4] = 0
    grads = []
    for reduce in (
        lambda x: AUCLoss(5, reduction="none")(x, target).nanmean(),
        lambda x: AUCLoss(5)(x, target),
    ):
        x = logits.clone().requires_grad_()
        grads.append(torch.autograd.grad(reduce(x), x)[0])
    torch.testing.assert_close(*grads)


def test_pair_weights_and_tail():
    logits, target = streets(2, 4, 8, 8, seed=0)
    table = pair_table(logits.sigmoid(), target, 4)
    weights = torch.rand(4, 4, dtype=torch.float64)
    off = ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(
        AUCLoss(4, pair_weights=weights)(logits, target), (weights * table)[off].sum() / weights[off].sum()
    )
    tail = torch.tensor([[False, False, True, True]] * 2 + [[True, True, False, False]] * 2)
    torch.testing.assert_close(AUCLoss(4, tail_classes=[2, 3])(logits, target), table[tail].mean())
    both = AUCLoss(4, tail_classes=[2, 3], pair_weights=weights, reduction="sum")(logits, target)
    torch.testing.assert_close(both, (weights * table)[tail].sum())
    # sorted surrogates know weights as well
    hinge = pair_table(logits.sigmoid(), target, 4, 0.3, surrogate="hinge")
    torch.testing.assert_close(
        AUCLoss(4, surrogate="hinge", margin=0.3, tail_classes=[2, 3])(logits, target), hinge[tail].mean()
    )


def test_mean_of_one_versus_all_is_not_its_sum():
    """Table 16 of the paper compares a mean with a sum: the released code's two weights differ K times."""
    logits, target = streets(2, 5, 8, 8, seed=0)
    mean = AUCLoss(5, multiclass="ova")(logits, target)
    torch.testing.assert_close(AUCLoss(5, multiclass="ova", reduction="sum")(logits, target), 5 * mean)


def test_single_class_is_zero():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    for options in ({}, {"surrogate": "exp"}, {"multiclass": "ova"}, {"surrogate": "hinge", "margin": 0.1}):
        logits.grad = None
        loss = AUCLoss(3, **options)(logits, torch.ones(2, 4, 4, dtype=torch.long))
        loss.backward()
        assert loss.item() == 0
        assert (logits.grad == 0).all()


def test_descent_separates_the_classes():
    """Minimising the loss on free logits ranks every pair of pixels the right way."""
    logits, target = streets(1, 4, 8, 8, seed=1)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = AUCLoss(4)(logits, target)
        loss.backward()
        optimizer.step()
    assert loss < 0.01
    rows, labels = logits.detach().movedim(1, -1).reshape(-1, 4), target.reshape(-1)
    for c in range(4):
        assert rows[labels == c, c].min() > rows[(labels != c) & (labels != 255), c].max()


def test_large_offset_in_float32_is_exact():
    """E[x^2] - E[x]^2 in float32 would have lost every digit here: scores near 10000 with a spread of 1."""
    logits, target = streets(2, 4, 40, 40, seed=2)
    shifted = (logits + 1e4).float().requires_grad_()
    loss = AUCLoss(4, activation="identity")(shifted, target)
    loss.backward()
    exact = shifted.detach().double().requires_grad_()
    expected = pair_mean(exact, target, 4)
    expected.backward()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(shifted.grad.double(), exact.grad, rtol=1e-3, atol=1e-7)


def test_images_of_the_batch_form_one_set_of_pixels():
    """Eq. 7 pairs the pixels of the whole batch: one wide image with the same pixels has the same loss."""
    logits, target = streets(3, 4, 6, 6, seed=3)
    wide = torch.cat(list(logits), dim=2)[None]
    torch.testing.assert_close(
        AUCLoss(4)(logits, target), AUCLoss(4)(wide, torch.cat(list(target), dim=1)[None])
    )


@pytest.mark.parametrize("options", [{}, {"multiclass": "ova"}, {"surrogate": "exp"}, {"tail_classes": [0]}])
def test_micro_batches_add_up_to_the_batch(options):
    """Two passes: sums without a gradient, then the loss of each part as a part of the whole."""
    logits, target = streets(5, 4, 6, 6, seed=4)
    target[:4][target[:4] == 3] = 0  # a class that only the last part holds
    target[4:, 0, 0] = 3
    loss = AUCLoss(4, **options)
    whole = logits.clone().requires_grad_()
    expected = loss(whole, target)
    expected.backward()
    parts = [part.clone().requires_grad_() for part in logits.split((2, 2, 1))]
    labels = target.split((2, 2, 1))
    with torch.no_grad():
        sums = [loss.class_sums(x, y) for x, y in zip(parts, labels, strict=True)]
    total = sums[0] + sums[1] + sums[2]
    for x, y in zip(parts, labels, strict=True):
        value = loss(x, y, whole=total)
        torch.testing.assert_close(value, expected)
        value.backward()
    torch.testing.assert_close(torch.cat([x.grad for x in parts]), whole.grad)


def test_sorted_losses_have_no_sums():
    loss = AUCLoss(3, surrogate="hinge", margin=0.5)
    logits, target = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long)
    with pytest.raises(
        ValueError, match=r"'hinge' with margin 0.5 and scale 1 needs the order of the pixels"
    ):
        loss.class_sums(logits, target)
    sums = AUCLoss(3).class_sums(logits, target)
    with pytest.raises(ValueError, match="needs the order of the pixels"):
        loss(logits, target, whole=sums)


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "1 nan and 0"), (float("inf"), "0 nan and 1")])
def test_logits_that_are_not_finite(value, message):
    logits, target = streets(1, 3, 4, 4, seed=0, void=0)
    logits[0, 1, 2, 3] = value
    with pytest.raises(ValueError, match=f"logits hold {message} infinite values of 48"):
        AUCLoss(3)(logits, target)
    if value != value:
        for surrogate in ("square", "exp", "logistic"):
            assert AUCLoss(3, surrogate=surrogate, validate=False)(logits, target).isnan()


def test_scores_outside_their_range():
    logits, target = streets(1, 3, 4, 4, seed=0)
    options = {"activation": "identity", "surrogate": "logistic"}
    inside = AUCLoss(3, score_range=(-9, 9), **options)(logits, target)
    assert inside.isfinite()
    assert AUCLoss(3, score_range=(-0.1, 0.1), **options)(logits, target).isnan()


def test_bad_labels_that_must_not_be_waited_for(monkeypatch):
    """On a device without validation the loss is nan, not a wrong number."""
    logits, target = streets(1, 3, 4, 4, seed=0, void=0)
    monkeypatch.setattr(checks, "synchronizes", lambda device: True)
    assert AUCLoss(3, validate=False)(logits, target).isfinite()
    for label in (3, 77, -2):
        target[0, 0, 0] = label
        assert AUCLoss(3, validate=False)(logits, target).isnan()
        with pytest.raises(ValueError, match=f"label {label}"):
            AUCLoss(3)(logits, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, "unknown activation 'relu'; use one of 'sigmoid', 'softmax', 'identity'"),
        ({"surrogate": "cubic"}, "unknown surrogate 'cubic'; use one of 'square'"),
        ({"multiclass": "all"}, "unknown multiclass 'all'; use one of 'ovo', 'ova'"),
        ({"reduction": "max"}, "unknown reduction 'max'; use one of 'mean', 'sum', 'none'"),
        ({"gradients": "max"}, "unknown gradients 'max'; use one of 'averaged', 'summed'"),
        ({"margin": -1}, "margin must be a positive number, got -1"),
        ({"score_range": (0, 1)}, "score_range is for activation='identity'; sigmoid has"),
        ({"multiclass": "ova", "tail_classes": [0]}, "multiclass='ova' has none"),
        ({"multiclass": "ova", "pair_weights": torch.ones(4, 4)}, "multiclass='ova' has none"),
        ({"tail_classes": [9]}, "tail class 9 is outside"),
        ({"pair_weights": torch.ones(3, 3)}, r"must be \(4, 4\), got \(3, 3\)"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        AUCLoss(4, **options)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # dynamo looks at it where the graph breaks
@pytest.mark.parametrize("options", [{}, {"surrogate": "hinge", "margin": 0.5}, {"tail_classes": [1]}])
def test_inside_torch_compile(options):
    logits, target = streets(2, 5, 6, 6, seed=0)
    loss = AUCLoss(5, **options)
    grads, traced = [], []

    def backend(graph, inputs):
        traced.extend(node.op for node in graph.graph.nodes if node.op.startswith("call"))
        return graph.forward

    for function in (loss, torch.compile(lambda x, y: loss(x * 1, y) * 2 / 2, backend=backend)):
        x = logits.clone().requires_grad_()
        function(x, target).backward()
        grads.append(x.grad)
    assert torch.equal(*grads)
    assert len(traced) == 3  # what is outside of the loss; nothing of it


LIGHT = """
import sys, torch
before = set(sys.modules)
import aucseg.losses
heavy = [name for name in set(sys.modules) - before if name in ("torch._dynamo", "torch._inductor", "sympy")]
assert not heavy, heavy
"""


def test_the_compiler_is_not_imported():
    """It takes as long as torch itself."""
    subprocess.run([sys.executable, "-c", LIGHT], check=True, cwd=ROOT)


def test_stateless():
    assert AUCLoss(19).state_dict() == {}
    assert AUCLoss(19, tail_classes=[3]).state_dict() == {}


@pytest.mark.parametrize("k", [2, 40, 300, 1000])
def test_number_of_classes(k):
    logits, target = streets(1, k, 12, 12, seed=0, void=0)
    held = torch.randperm(k, generator=torch.Generator().manual_seed(0))[: min(k, 6)]
    target = held[target.clamp(max=len(held) - 1)]
    value = AUCLoss(k, ignore_index=-1)(logits, target)
    torch.testing.assert_close(value, pair_table_of_few(logits.sigmoid(), target, held).nanmean())


def pair_table_of_few(scores, target, held):
    new = torch.full((scores.shape[1],), -1)
    new[held] = torch.arange(len(held))
    return pair_table(scores[:, held], new[target], len(held))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["highest", "high"])
@pytest.mark.parametrize("options", [{}, {"surrogate": "logistic"}, {"surrogate": "hinge", "margin": 0.4}])
def test_cuda_agrees(precision, options):
    logits, target = streets(2, 19, 64, 64, seed=4)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        here, there = logits.float().requires_grad_(), logits.float().cuda().requires_grad_()
        loss, other = AUCLoss(19, **options)(here, target), AUCLoss(19, **options)(there, target.cuda())
        loss.backward()
        other.backward()
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(loss, other.cpu(), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(here.grad, there.grad.cpu(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"surrogate": "hinge", "margin": 0.4}, {"tail_classes": [0]}])
def test_any_number_of_axes(options):
    logits, target = streets(2, 3, 4, 6, seed=0)
    loss = AUCLoss(3, **options)
    expected = loss(logits, target)
    torch.testing.assert_close(loss(logits.flatten(2), target.flatten(1)), expected)
    torch.testing.assert_close(loss(logits.view(2, 3, 2, 2, 6), target.view(2, 2, 2, 6)), expected)


@pytest.mark.parametrize("options", [{}, {"surrogate": "hinge", "margin": 0.4}, {"tail_classes": [0]}])
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 0, 4)])
def test_no_pixel_at_all(options, shape):
    logits = torch.zeros(shape, requires_grad=True)
    value = AUCLoss(3, **options)(logits, torch.zeros(shape[0], *shape[2:], dtype=torch.long))
    value.backward()
    assert value.item() == 0
    assert logits.grad.shape == shape


@pytest.mark.parametrize("surrogate", oracle.SURROGATES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("activation", ["sigmoid", "identity"])
def test_one_channel_is_the_binary_loss(surrogate, reduction, activation):
    """AUCSeg, Eq. 5: every pixel of class 1 against every pixel of class 0, by one score."""
    logits, target = streets(2, 2, 5, 6, seed=7, void=0.2)
    bounds = None
    if activation == "identity":
        logits, bounds = logits.sigmoid() * 0.6 + 0.1, (0.1, 0.7)
    fast, slow = logits[:, 1:].clone().requires_grad_(), logits[:, 1:].clone().requires_grad_()
    loss = AUCLoss(
        2, surrogate=surrogate, scale=1.3, activation=activation, reduction=reduction, score_range=bounds
    )
    value = loss(fast, target)
    score = (slow.sigmoid() if activation == "sigmoid" else slow)[:, 0]
    positive, negative = score[target == 1], score[target == 0]
    pairs = oracle.SURROGATES[surrogate](1.3 * (positive[:, None] - negative), 1.0)
    # the sum of Eq. 7 has both ordered pairs, and each of them costs this
    expected = pairs.mean() * (2 if reduction == "sum" else 1)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12 + 2 * loss.error_bound)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-8, atol=1e-12 + 100 * loss.error_bound)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_one_channel_in_half_precision_keeps_the_order_of_both_classes(dtype):
    """1 - 0.0003 is 1 in bfloat16: class 0 would have ties where class 1 has none."""
    scores = torch.tensor([3e-4, 5e-4, -1e-3, -2e-3, 2e-5, 0.0]).to(dtype).view(1, 1, 2, 3)
    target = torch.tensor([0, 0, 1, 1, 1, 1]).view(1, 2, 3)
    options = {"activation": "identity", "score_range": (-1, 2), "surrogate": "squared_hinge", "margin": 0.5}
    found = AUCLoss(2, **options)(scores, target)
    assert found.item() == pytest.approx(AUCLoss(2, **options)(scores.double(), target).item(), rel=1e-6)


def test_one_channel_at_the_edge_of_its_range():
    """lowest + highest - score is rounded; it must not leave the range, where the loss would be nan."""
    scores = torch.tensor([0.1, 0.7, 0.3, 0.1, 0.7, 0.45]).view(1, 1, 2, 3)
    target = torch.tensor([[[0, 1, 0], [1, 0, 1]]])
    for low, high in ((0.1, 0.7), (-0.3, 0.7), (0.1, 1.1)):
        loss = AUCLoss(2, surrogate="logistic", activation="identity", score_range=(low, high))
        shifted = torch.where(scores == 0.1, low, torch.where(scores == 0.7, high, scores))
        assert loss(shifted, target).isfinite()
        assert loss(shifted + high, target).isnan()


@pytest.mark.parametrize("surrogate", ["square", "hinge", "squared_hinge", "exp", "logistic"])
def test_resized_scores_stay_in_their_range(surrogate: str) -> None:
    """A mean of equal scores is rounded: at the edge of the range it came out beyond, for a loss of nan."""
    scores = torch.full((1, 3, 2, 2), 3.0, dtype=torch.float64)
    assert torch.nn.functional.interpolate(scores, size=(6, 6), mode="bilinear").max() > 3
    scores[:, 1:] = -1
    scores.requires_grad_()
    target = torch.arange(36).reshape(1, 6, 6) % 3
    loss = AUCLoss(3, surrogate=surrogate, activation="identity", score_range=(-3.0, 3.0), size="target")
    value = loss(scores, target)
    value.backward()
    expected = AUCLoss(3, surrogate=surrogate, activation="identity", score_range=(-3.0, 3.0))(
        scores.detach()[..., :1, :1].expand(1, 3, 6, 6), target
    )
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_three_axes_of_space():
    """Volumes, as MONAI has them, in every form of their labels."""
    logits, target = streets(2, 3, 4, 6, seed=1, void=0.2)
    loss, wide = AUCLoss(3), AUCLoss(3, size="target")
    value = loss(logits, target)
    volume = logits.unflatten(-1, (2, 3))
    for shape in (target.unflatten(-1, (2, 3)), target.unflatten(-1, (2, 3))[:, None].int()):
        torch.testing.assert_close(loss(volume, shape), value)
    large = torch.nn.functional.interpolate(volume, scale_factor=2, mode="trilinear")
    labels = torch.zeros(2, 8, 4, 6, dtype=torch.uint8)
    labels[:, :4] = 1
    torch.testing.assert_close(wide(volume, labels), loss(large, labels))

"""The sorted hinge against a walk through all pairs of pixels, on one process and on several."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aucseg.functional import hinge, sorted_hinge
from aucseg.functional.hinge import cpu, cuda
from tests.processes import on_ranks

BACKENDS = [cpu, cuda]
POWERS = [1, 2]


@pytest.fixture(params=BACKENDS, ids=["cpu", "cuda"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Both ways to compute, the one for accelerators included, on this CPU; in several rounds."""
    monkeypatch.setitem(hinge.BACKENDS, "cpu", request.param)
    monkeypatch.setattr(cuda, "ELEMENTS", 300)
    monkeypatch.setattr(cpu, "STRIP_PIXELS", 17)
    return request.param


def all_pairs(
    scores: Tensor, rows: Tensor, num_classes: int, *, margin: float = 1.0, scale: float = 1.0, power: int = 1
) -> tuple[Tensor, Tensor]:
    """The definition, pair of pixels by pair of pixels, differentiated by autograd."""
    flat, labels = scores.transpose(1, 2).reshape(-1, num_classes), rows.flatten()
    count = torch.stack([(labels == c).sum() for c in range(num_classes)]).double()
    table = torch.zeros(num_classes, num_classes, dtype=torch.float64)
    for c in range(num_classes):
        for d in range(num_classes):
            own, other = flat[labels == c, c].double(), flat[labels == d, c].double()
            if c != d and len(own) and len(other):
                cost = (margin - scale * (own[:, None] - other)).clamp(min=0)
                table[c, d] = cost.pow(power).mean()
    return count, table


def make(
    batch: int, num_classes: int, pixels: int, *, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, rows with void and a long tail, and weights of the pairs."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(batch, num_classes, pixels, generator=generator, dtype=torch.float64).to(dtype)
    share = torch.cat((0.7 ** torch.arange(num_classes), torch.tensor([0.3])))
    drawn = torch.multinomial(share, max(batch * pixels, 1), replacement=True, generator=generator)
    rows = drawn[: batch * pixels].view(batch, pixels)
    weight = torch.randn(num_classes, num_classes, generator=generator, dtype=torch.float64)
    return scores.requires_grad_(), rows, weight


def compare(scores: Tensor, rows: Tensor, weight: Tensor, tolerance: float = 1e-12, **options: float) -> None:
    """Value and gradient of the weighted total are those of the walk through all pairs."""
    count, pairs = sorted_hinge(scores, rows, len(weight), **options)  # type: ignore[arg-type]
    wanted_count, wanted = all_pairs(scores, rows, len(weight), **options)  # type: ignore[arg-type]
    assert count.dtype == pairs.dtype == torch.float64
    assert not count.requires_grad
    torch.testing.assert_close(count, wanted_count, rtol=0, atol=0)
    size = wanted.detach().abs().max().clamp(min=1).item()
    torch.testing.assert_close(pairs, wanted, rtol=tolerance, atol=tolerance * size)
    (gradient,) = torch.autograd.grad((pairs * weight).sum(), scores)
    if not wanted.requires_grad:
        assert not gradient.any()
        return
    (wanted_gradient,) = torch.autograd.grad((wanted * weight).sum(), scores)
    bound = tolerance * wanted_gradient.abs().max().clamp(min=1e-3).item()
    torch.testing.assert_close(gradient, wanted_gradient, rtol=tolerance, atol=bound)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("shape", [(2, 2, 1), (2, 2, 60), (3, 5, 40), (1, 30, 150)])
def test_equals_all_pairs(backend: ModuleType, shape: tuple[int, int, int], power: int) -> None:
    compare(*make(*shape), margin=0.7, scale=1.3, power=power)


@settings(deadline=None, max_examples=25)
@given(
    batch=st.integers(0, 3),
    num_classes=st.integers(2, 6),
    pixels=st.integers(0, 30),
    margin=st.floats(-2, 4),
    scale=st.floats(0.05, 20),
    power=st.sampled_from(POWERS),
    digits=st.sampled_from([0, 1, 17]),
    blocks=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_any_batch(
    batch: int,
    num_classes: int,
    pixels: int,
    margin: float,
    scale: float,
    power: int,
    digits: int,
    blocks: bool,
    seed: int,
) -> None:
    """Few digits make many ties among the scores; the margin is kept off their grid, where the kink is."""
    scores, rows, weight = make(batch, num_classes, pixels, seed=seed)
    scores = scores.detach().round(decimals=digits).requires_grad_()
    reach = margin / scale
    margin = margin + scale * 0.013 if abs(reach * 10**digits % 1 - 0.5) > 0.499 else margin
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(hinge.BACKENDS, "cpu", BACKENDS[blocks])
        compare(scores, rows, weight, 1e-9, margin=margin, scale=scale, power=power)


@pytest.mark.parametrize("power", POWERS)
def test_gradcheck(backend: ModuleType, power: int) -> None:
    scores, rows, _ = make(2, 3, 12, seed=3)
    assert torch.autograd.gradcheck(
        lambda s: sorted_hinge(s, rows, 3, margin=0.4, scale=0.8, power=power)[1], (scores,), atol=1e-7
    )


@pytest.mark.parametrize("power", POWERS)
def test_hand_worked(backend: ModuleType, power: int) -> None:
    """One positive at 0.9 and 0.5, negatives at 0.25 and 1: costs 0.35, 1.1, 0.75 and 1.5 at margin 1."""
    scores = torch.zeros(1, 2, 4, dtype=torch.float64)
    scores[0, 0] = torch.tensor([0.9, 0.5, 0.25, 1.0])
    _, pairs = sorted_hinge(scores, torch.tensor([[0, 0, 1, 1]]), 2, power=power)
    assert pairs[0, 1].item() == pytest.approx(sum(x**power for x in (0.35, 1.1, 0.75, 1.5)) / 4)
    assert pairs[1, 0].item() == 1  # all scores of channel 1 are equal: every pair costs the margin
    assert not pairs.diagonal().any()


def test_kink_has_subgradient_zero(backend: ModuleType) -> None:
    scores = torch.tensor([[[1.5, 0.5, 0.25], [0.0, 0.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    _, pairs = sorted_hinge(scores, torch.tensor([[0, 1, 1]]), 2)
    assert pairs[0, 1].item() == 0
    (gradient,) = torch.autograd.grad(pairs[0, 1], scores)
    assert not gradient.any()


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize(
    "kind", ["all equal", "saturated", "wide", "one outlier", "one positive", "infinite reach"]
)
def test_awkward_scores(backend: ModuleType, kind: str, power: int) -> None:
    scores, rows, weight = make(2, 4, 50, seed=5)
    data = scores.detach()
    options = {"margin": 0.3, "power": power}
    if kind == "all equal":
        data = torch.full_like(data, 0.1)
    elif kind == "saturated":
        data = (40 * data).sigmoid()
    elif kind == "wide":
        data = data.sign() * (8 * data).exp()
    elif kind == "one outlier":
        data = data.clone()
        data[0, :, 0] = 1e6
        rows[0, 0] = 0
    elif kind == "one positive":
        rows[rows == 2] = 0
        rows[0, 3] = 2
    else:
        options["margin"] = 1e9
    compare(data.requires_grad_(), rows, weight, 1e-9, **options)


@pytest.mark.parametrize("power", POWERS)
def test_nothing_to_compare(backend: ModuleType, power: int) -> None:
    """No image, no pixel, void alone or one class alone: finite zeros, and a gradient of zeros."""
    for batch, pixels, row in ((0, 7, 0), (2, 0, 0), (2, 7, 3), (2, 7, 1)):
        scores = torch.randn(batch, 3, pixels, requires_grad=True)
        rows = torch.full((batch, pixels), row)
        count, pairs = sorted_hinge(scores, rows, 3, power=power)
        assert count.sum() == (0 if row == 3 else batch * pixels)
        assert pairs.shape == (3, 3)
        assert not pairs.any()
        pairs.sum().backward()
        assert scores.grad is not None
        assert scores.grad.shape == scores.shape
        assert not scores.grad.any()


def test_absent_classes_void_and_own_channels_are_left_alone(backend: ModuleType) -> None:
    scores, rows, weight = make(2, 5, 40, seed=2)
    rows[rows == 3] = 0
    _, pairs = sorted_hinge(scores, rows, 5)
    assert not pairs[3].any()
    assert not pairs[:, 3].any()
    (gradient,) = torch.autograd.grad((pairs * weight).sum(), scores)
    assert not gradient[:, 3].any()
    assert not gradient.transpose(0, 1)[:, rows == 5].any()
    # moving all scores of a channel together changes nothing
    torch.testing.assert_close(gradient.sum((0, 2)), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("power", POWERS)
def test_large_offset_in_float32(backend: ModuleType, power: int) -> None:
    """Scores that float32 holds exactly, with and without 10,000 on top: the same to the last digit."""
    scores, rows, weight = make(2, 4, 60, dtype=torch.float32)
    plain = (scores.detach() * 64).round() / 64
    compare((plain + 1e4).requires_grad_(), rows, weight, 2e-6, margin=0.305, power=power)
    _, near = sorted_hinge(plain, rows, 4, margin=0.305, power=power)
    _, far = sorted_hinge(plain + 1e4, rows, 4, margin=0.305, power=power)
    torch.testing.assert_close(near, far, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("power", POWERS)
def test_long_sums(power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million pixels in float32 against the same numbers in float64, one way and the other."""
    scores, rows, weight = make(1, 2, 10**6, seed=8, dtype=torch.float32)
    gradients, tables = [], []
    runs = [(torch.float32, cpu), (torch.float64, cpu), (torch.float64, cuda)]
    for dtype, way in runs:
        monkeypatch.setitem(hinge.BACKENDS, "cpu", way)
        leaf = scores.detach().to(dtype).requires_grad_()
        _, pairs = sorted_hinge(leaf, rows, 2, margin=0.5, power=power)
        gradients.append(torch.autograd.grad((pairs * weight).sum(), leaf)[0].double())
        tables.append(pairs.detach())
    torch.testing.assert_close(tables[0], tables[1], rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(tables[1], tables[2], rtol=1e-12, atol=1e-12)
    largest = gradients[1].abs().max().item()
    # float32 takes a pair that is nearly at the margin to the one or the other side of it
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=2e-5 * largest)
    torch.testing.assert_close(gradients[1], gradients[2], rtol=1e-10, atol=1e-12 * largest)


def test_nan_is_not_hidden(backend: ModuleType) -> None:
    for pixel in (0, 1):
        scores = torch.tensor([[[0.5, 0.2], [0.1, 0.3]]])
        scores[0, 0, pixel] = torch.nan
        _, pairs = sorted_hinge(scores.requires_grad_(), torch.tensor([[0, 1]]), 2)
        assert pairs[0, 1].isnan()
        assert pairs[1, 0].isfinite()


class NoWaiting(TorchDispatchMode):
    """Refuses what an accelerator can only answer by making the host wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal"), name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("power", POWERS)
def test_accelerator_way_never_waits(power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, rows, _ = make(2, 4, 30)
    with NoWaiting(), pytest.raises(AssertionError, match=r"_local_scalar_dense|bincount|nonzero"):
        sorted_hinge(scores, rows, 4)  # the way of the CPU does, so the test can fail
    monkeypatch.setitem(hinge.BACKENDS, "cpu", cuda)
    with NoWaiting():
        sorted_hinge(scores, rows, 4, power=power)[1].sum().backward()


def test_no_gradient_and_strided_scores() -> None:
    scores, rows, _ = make(1, 3, 20)
    assert not sorted_hinge(scores.detach(), rows, 3)[1].requires_grad
    views = scores.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    (plain,) = torch.autograd.grad(sorted_hinge(scores, rows, 3)[1].sum(), scores)
    (strided,) = torch.autograd.grad(sorted_hinge(views, rows, 3)[1].sum(), views)
    torch.testing.assert_close(plain, strided)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": torch.zeros(1, 3, 4, dtype=torch.float16)}, TypeError, r"float16; widen"),
        ({"rows": torch.zeros(1, 4)}, TypeError, r"integer class labels"),
        ({"rows": torch.zeros(1, 4, dtype=torch.int32)}, TypeError, r"int32; convert"),
        ({"scores": torch.zeros(1, 2, 4)}, ValueError, r"\(B, 3, P\), got \(1, 2, 4\)"),
        ({"rows": torch.zeros(1, 5, dtype=torch.int64)}, ValueError, r"\(1, 4\), got \(1, 5\)"),
        ({"margin": float("nan")}, ValueError, r"finite number, got nan"),
        ({"scale": 0.0}, ValueError, r"positive number, got 0.0"),
        ({"power": 3}, ValueError, r"squared hinge\), got 3"),
        ({"num_classes": 1}, ValueError, r"at least 2, got 1"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[Exception], message: str) -> None:
    given: dict[str, object] = {
        "scores": torch.zeros(1, 3, 4),
        "rows": torch.zeros(1, 4, dtype=torch.int64),
        "num_classes": 3,
    }
    with pytest.raises(error, match=message):
        sorted_hinge(**(given | change))  # type: ignore[arg-type]


def shared_cases(ranks: int) -> list[tuple[list[Tensor], list[Tensor], Tensor, dict[str, float]]]:
    """What each rank holds: uneven batches; a class on one rank only; void alone on one rank, or on all."""
    cases = []
    for number in range(4):
        sizes = [1 + (r + number) % 3 for r in range(ranks)]
        scores, rows, weight = make(sum(sizes), 4, 25, seed=number)
        data, parts = scores.detach(), list(rows.split(sizes))
        if number == 1:
            data = data.round(decimals=1)
            for part in parts[:-1]:
                part[part == 2] = 0
        elif number == 2:
            parts[0].fill_(4)
        elif number == 3:
            for part in parts:
                part.fill_(4)
        options = {"margin": 0.533, "scale": 1.4, "power": 1 + number % 2}
        cases += [(list(data.split(sizes)), parts, weight, options | {"power": p}) for p in POWERS]
    return cases


def check_group(group: dist.ProcessGroup) -> None:
    rank, ranks = dist.get_rank(group), dist.get_world_size(group)
    for scores, rows, weight, options in shared_cases(ranks):
        mine = scores[rank].clone().requires_grad_()
        count, pairs = sorted_hinge(mine, rows[rank], 4, group=group, **options)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad((pairs * weight).sum(), mine)

        whole = torch.cat(scores).requires_grad_()
        wanted_count, wanted = all_pairs(whole, torch.cat(rows), 4, **options)  # type: ignore[arg-type]
        total = (wanted * weight).sum() + 0 * whole.sum()
        (wanted_gradient,) = torch.autograd.grad(total, whole)
        wanted_gradient = wanted_gradient.split([len(s) for s in scores])[rank]
        torch.testing.assert_close(count, wanted_count, rtol=0, atol=0)
        torch.testing.assert_close(pairs, wanted, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-10, atol=1e-14)


def on_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    limit = timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=3, timeout=limit)
    try:
        assert dist.group.WORLD is not None
        groups = [dist.group.WORLD]
        two = dist.new_group([1, 2])  # every rank must take part in making it
        if rank > 0:
            groups.append(two)
        for backend in BACKENDS:
            hinge.BACKENDS["cpu"] = backend
            for group in groups:
                check_group(group)
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch is built without torch.distributed")
def test_ranks_together_equal_one_process(tmp_path: Path) -> None:
    """Three processes: all of them as one group, and two of them, whose ranks there are not their own."""
    on_ranks(on_rank, 3, str(tmp_path))

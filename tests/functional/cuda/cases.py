"""Cases for the Triton kernels, and their run in Triton's interpreter.

The interpreter must be chosen before Triton is imported and changes Triton for the whole process, so it gets
a process of its own. The same cases run on a CUDA device where there is one.
"""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional import ChannelSums, Request, class_sums, surrogate_form
from aucseg.functional.cuda import launch
from aucseg.functional.engine import class_count
from aucseg.functional.separable import separable_risk, separable_weights


@dataclass(frozen=True)
class Case:
    """One call; every second class is absent, a tenth of the pixels is void."""

    k: int
    pixels: int
    surrogate: str = "square"
    activation: str = "sigmoid"
    cross_entropy: bool = True
    dtype: torch.dtype = torch.float32
    layout: str = "channels first"
    batch: int = 2


CASES = {
    "two classes": Case(2, 1037),
    "two classes, exp": Case(2, 515, "exp", cross_entropy=False),
    "exp with entropy": Case(5, 131, "exp"),
    "linear hinge": Case(5, 203, "hinge", "identity", cross_entropy=False),
    "linear hinge with entropy": Case(5, 77, "hinge", "identity"),
    "logistic": Case(5, 99, "logistic", cross_entropy=False),
    "logistic with entropy": Case(5, 99, "logistic"),
    "logistic of softmax": Case(5, 99, "logistic", "softmax", cross_entropy=False),
    "softmax": Case(5, 131, "square", "softmax", cross_entropy=False),
    "softmax with entropy, channels last": Case(5, 131, "exp", "softmax", layout="channels last"),
    "several tiles for a program": Case(19, 1153),
    "without entropy": Case(19, 1153, cross_entropy=False),
    "bfloat16": Case(19, 301, dtype=torch.bfloat16),
    "bfloat16 without entropy": Case(19, 301, cross_entropy=False, dtype=torch.bfloat16),
    "float16": Case(19, 301, "exp", dtype=torch.float16),
    "channels last": Case(19, 301, layout="channels last"),
    "channels last without entropy": Case(19, 301, cross_entropy=False, layout="channels last"),
    "channels last in half": Case(19, 65, dtype=torch.bfloat16, layout="channels last"),
    "strided": Case(5, 131, layout="every second pixel"),
    "many classes": Case(150, 77),
    "many classes without entropy": Case(150, 77, cross_entropy=False, batch=1),
    "labels of two bytes": Case(300, 41),
    "labels of two bytes without entropy": Case(300, 41, "exp", cross_entropy=False, batch=1),
    "a thousand classes": Case(1000, 11, batch=1),
}
# Those that ``compiled`` compiles.
COMPILED = (
    "several tiles for a program",
    "bfloat16 without entropy",
    "channels last",
    "count",
)


def inputs(case: Case, device: str) -> tuple[Tensor, Tensor, Request, Tensor]:
    """Logits, labels, request and weights."""
    generator = torch.Generator().manual_seed(case.k + case.pixels)
    shape = (case.batch, case.k, case.pixels)
    if case.activation == "identity":
        logits = torch.rand(shape, generator=generator)
    else:
        logits = torch.randn(shape, generator=generator) * 3
    logits = logits.to(case.dtype).to(device)
    if case.layout == "channels last":
        logits = logits.movedim(1, 2).contiguous().movedim(2, 1)
    elif case.layout == "every second pixel":
        logits = logits.repeat_interleave(2, 2)[..., ::2]
    rows = torch.randint(0, (case.k + 1) // 2, shape[::2], generator=generator) * 2
    rows[torch.rand(shape[::2], generator=generator) < 0.1] = case.k
    weights = torch.rand(case.k, generator=generator, dtype=torch.float64)
    form = surrogate_form(case.surrogate)
    request = Request(form, case.k, case.activation, case.cross_entropy)
    # labels come as narrow as the classes allow
    rows = rows.to(torch.uint8 if case.k < 254 else torch.int16)
    return logits, rows.to(device), request, weights.to(device)


def brute_force(logits: Tensor, rows: Tensor, request: Request, weights: Tensor) -> ChannelSums:
    """The sums as they are defined, class by class in float64."""
    form, k = request.bilinear, request.num_classes
    scores = logits.double()
    if request.activation != "identity":
        scores = scores.sigmoid() if request.activation == "sigmoid" else scores.softmax(1)
    scores, labels = scores.movedim(1, 0).flatten(1), rows.long().flatten()
    pixel = torch.cat((weights, weights.new_zeros(1)))[labels]

    def polynomials(z: Tensor) -> Tensor:
        orders = range(1, form.degree + 1)
        return torch.stack([(j * z.acos()).cos() if form.chebyshev else z**j for j in orders], -1)

    own, rest = [], []
    for c in range(k):
        mine = labels == c
        own.append(polynomials(form.own(scores[c, mine])).sum(0))
        rest.append((pixel[~mine, None] * polynomials(form.other(scores[c, ~mine]))).sum(0))
    entropy = scores.new_zeros(())
    if request.cross_entropy:
        entropy = F.cross_entropy(logits.double(), rows.long(), reduction="sum", ignore_index=k)
    return ChannelSums(torch.stack(own), torch.stack(rest), entropy)


def strip_by_strip(*arguments) -> ChannelSums:
    """The path without Triton."""
    return class_sums(*arguments, all_channels=True)


def differentiate(function, logits: Tensor, *arguments) -> tuple[Tensor, ...]:
    """The sums, and the gradient of the same random mixture of them all."""
    logits = logits.detach().requires_grad_()
    sums = function(logits, *arguments)
    generator = torch.Generator().manual_seed(1)
    mixed = 0.7 * sums.cross_entropy
    for part in (sums.own, sums.rest):
        mixed = mixed + (torch.randn(part.shape, generator=generator).to(part) * part).sum()
    (gradient,) = torch.autograd.grad(mixed, logits)
    return sums.own.detach(), sums.rest.detach(), sums.cross_entropy.detach(), gradient


def check(name: str, device: str) -> None:
    """Value and gradient are those of the definition and of the path without Triton."""
    case = CASES[name]
    arguments = inputs(case, device)
    result = differentiate(launch.channel_sums, *arguments)
    exact = differentiate(brute_force, arguments[0].double(), *arguments[1:])
    plain = differentiate(strip_by_strip, *inputs(case, "cpu"))
    assert result[3].dtype == case.dtype
    assert [part.dtype for part in result[:3]] == [torch.float64] * 3
    rounding = 2 * torch.finfo(case.dtype).eps
    for expected in (exact, plain):
        for part, (mine, theirs) in enumerate(zip(result, expected, strict=True)):
            theirs = theirs.to(device)
            scale = theirs.double().abs().max().item()
            if part == 3 and expected is plain and rounding > 1e-4 and case.cross_entropy:
                continue  # which adds two gradients in half precision
            rtol = rounding if part == 3 else 2e-6
            atol = (2e-5 if arguments[2].bilinear.chebyshev else 4e-6) * scale + 1e-12
            torch.testing.assert_close(mine.double(), theirs.double(), rtol=rtol, atol=atol)


def check_bad_label(device: str) -> None:
    """A label that is none makes the loss nan, whatever class it stands beside."""
    logits, rows, request, weights = inputs(Case(5, 131), device)
    rows[1, 7] = 6
    sums = launch.channel_sums(logits, rows, request, weights)
    assert sums.rest.isnan().all()
    count = class_count(rows, 5)
    pair = separable_weights(count, multiclass="ovo", reduction="mean")
    assert separable_risk(sums, count, request.bilinear, pair).isnan()


def check_score_outside(device: str) -> None:
    """So does a score outside the range that the surrogate was made for."""
    logits, rows, request, weights = inputs(Case(5, 131, "hinge", "identity"), device)
    logits[0, 2, 5] = 1.25
    assert launch.channel_sums(logits, rows, request, weights).rest[2].isnan().all()


def check_void_only(device: str) -> None:
    """Nothing to sum, and a gradient of zeros."""
    logits, rows, request, weights = inputs(Case(5, 131), device)
    result = differentiate(launch.channel_sums, logits, rows.fill_(5), request, weights)
    assert all((part == 0).all() for part in result)


def check_saturated(device: str) -> None:
    """Logits beyond any exponential leave values and gradients finite and right."""
    logits, rows, request, weights = inputs(Case(5, 131), device)
    result = differentiate(launch.channel_sums, logits * 3000, rows, request, weights)
    exact = differentiate(brute_force, logits.double() * 3000, rows, request, weights)
    for mine, theirs in zip(result, exact, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-2)


def check_count(device: str) -> None:
    """Counts are those of a loop; void and what is none are left out."""
    for k, pixels in ((2, 5000), (19, 4096), (300, 9000)):
        rows = torch.randint(0, k + 2, (2, pixels), generator=torch.Generator().manual_seed(k)).to(device)
        count = launch.class_count(rows, k)
        assert count.dtype == torch.float64
        assert count.tolist() == [(rows == c).sum().item() for c in range(k)]


def check_second_derivatives(device: str) -> None:
    """A gradient by the kernels can be differentiated, by the logits and by what it is weighted with."""
    for case in (Case(5, 131), Case(5, 99, "exp", "softmax", cross_entropy=False)):
        logits, rows, request, weights = inputs(case, device)
        direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(2)).to(logits)
        found = []
        for function, dtype in ((launch.channel_sums, torch.float32), (brute_force, torch.float64)):
            leaf = logits.to(dtype).requires_grad_()
            sums = function(leaf, rows, request, weights)
            mixed = sum(
                (part / case.pixels).square().sum() for part in (sums.own, sums.rest, sums.cross_entropy)
            )
            (first,) = torch.autograd.grad(mixed, leaf, create_graph=True)
            (second,) = torch.autograd.grad((first * direction).sum(), leaf)
            found.append(second.double())
        torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5 * found[1].abs().max().item())


CHECKS = {
    "second derivatives": check_second_derivatives,
    "bad label": check_bad_label,
    "score outside the range": check_score_outside,
    "void only": check_void_only,
    "saturated": check_saturated,
    "count": check_count,
}


def run(name: str, device: str) -> None:
    """The case or check of this name."""
    if name in CASES:
        check(name, device)
    else:
        CHECKS[name](device)


def main() -> None:
    """All of them on the CPU; prints a JSON object from each name to what went wrong, or null."""
    torch.set_num_threads(1)
    outcome: dict[str, str | None] = {}
    for name in (*CASES, *CHECKS):
        try:
            run(name, "cpu")
            outcome[name] = None
        except Exception:  # reported by the test of that name
            outcome[name] = traceback.format_exc()
    print(json.dumps(outcome))  # noqa: T201


if __name__ == "__main__":
    main()

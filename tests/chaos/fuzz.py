"""Random inputs for every loss, bank and metric, and what a slow and obvious program makes of them.

A subject is a function of a :class:`Draw`; it asks the package, asks the oracle, and hands both to
``draw.compare``. The oracles work in float64 on the pixels one by one or on all pairs of them, and PyTorch
differentiates them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from aucseg import losses, memory, metrics
from aucseg.errors import UserError
from aucseg.functional import small
from tests.functional.oracle import SURROGATES
from tests.losses.test_boundary import by_looking
from tests.metrics.test_cityscapes import by_loops
from tests.metrics.test_saliency import by_hand

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int16, torch.int32, torch.int64)
# what the rounding of the last result may cost, beside what the sums may
_COMPUTED = {torch.float64: 1e-9, torch.float32: 3e-5}


class Mismatch(AssertionError):
    """The package and the oracle do not agree."""


class Batch(NamedTuple):
    """A batch as a user gives it, and as the oracle sees it.

    Attributes:
        logits: of any dtype and layout, a leaf with a gradient.
        target: labels, of any integer dtype.
        leaf: the same logits in float64, with a gradient.
        z: (B, K, H, W) float64, what the oracle takes them for.
        y: (B, H, W), -1 for void.
        options: ``ignore_index``, ``size``.
        kinked: many logits are equal, so that where a maximum lies is open.
    """

    logits: Tensor
    target: Tensor
    leaf: Tensor
    z: Tensor
    y: Tensor
    options: dict[str, Any]
    kinked: bool

    def rows(self) -> tuple[Tensor, Tensor]:
        """Logits (N, K) and labels (N,) of the labelled pixels."""
        return labelled(self.z, self.y)


def labelled(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N, K) and labels (N,) of the pixels that are not void (-1)."""
    kept = y.flatten() >= 0
    return z.movedim(1, -1).reshape(-1, z.shape[1])[kept], y.flatten()[kept]


class Draw:
    """One case: its random numbers, and how far package and oracle are apart.

    Args:
        seed: of the case.

    Attributes:
        errors: largest error so far, relative where the value is above 1, by the dtype that was computed in.
        refused: inputs that had to be refused, and were.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.errors: dict[torch.dtype, float] = {}
        self.refused = 0

    def pick(self, *options: Any) -> Any:
        """One of them."""
        return self.random.choice(options)

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.random.random() < share

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self.random.randint(low, high)

    def normal(self, *size: int) -> Tensor:
        """Normal numbers in float64."""
        return torch.randn(*size, generator=self.generator, dtype=torch.float64)

    def labels(self, size: Sequence[int], classes: int) -> Tensor:
        """Labels with a long tail, of all classes or few, with much void or none; -1 for void."""
        held = self.random.sample(range(classes), self.pick(1, 2, classes, classes) if classes > 2 else 2)
        held = held[: self.pick(1, len(held), len(held))]
        share = 0.5 ** torch.arange(len(held), dtype=torch.float64)
        number = math.prod(size)
        drawn = torch.multinomial(share, max(1, number), replacement=True, generator=self.generator)[:number]
        y = torch.tensor(held)[drawn]
        void = torch.rand(number, generator=self.generator) < self.pick(0.0, 0.0, 0.2, 0.6, 1.0)
        return y.masked_fill(void, -1).view(*size)

    def given(self, y: Tensor, classes: int) -> tuple[Tensor, int]:
        """Labels as a user has them, and the label of void."""
        dtype = self.pick(*INTEGERS)
        void = 255 if dtype == torch.uint8 else self.pick(255, 255, -1, classes)
        target = y.masked_fill(y < 0, void).to(dtype)
        return self.pick(target, target, target[:, None], target[..., None]), void

    def layout(self, tensor: Tensor) -> Tensor:
        """The same values, laid out otherwise in memory."""
        if tensor.ndim != 4:
            return tensor
        way = self.whole(0, 3)
        if way == 0:
            return tensor.contiguous(memory_format=torch.channels_last)
        if way == 1:
            return tensor.transpose(2, 3).contiguous().transpose(2, 3)
        if way == 2:
            wide = tensor.new_zeros(*tensor.shape[:3], 2 * tensor.shape[3])
            wide[..., ::2] = tensor
            return wide[..., ::2]
        return tensor

    def batch(
        self, classes: int | None = None, *, most: int = 6, one_channel: bool = True, resized: bool = True
    ) -> Batch:
        """A batch.

        Args:
            classes: number of classes; drawn if None.
            most: longest side of an image in pixels.
            one_channel: with two classes the logits may have one channel.
            resized: the logits may be of another size than the labels.
        """
        k = classes or self.whole(2, 6)
        b, h, w = self.whole(1, 3), self.whole(1, most), self.whole(1, most)
        y = self.labels((b, h, w), k)
        target, void = self.given(y, k)
        options: dict[str, Any] = {"ignore_index": void}
        size = (h, w)
        if resized and self.chance(0.15):
            size, options["size"] = (self.whole(1, most), self.whole(1, most)), "target"
            # an axis of one must not be taken for the channel
            target = target.reshape(b, h, w)
        one = one_channel and k == 2 and self.chance(0.5)
        dtype = self.pick(*FLOATS)
        values = self.normal(b, 1 if one else k, *size) * self.pick(0.0, 1e-3, 1, 1, 1, 1, 5, 40, 500)
        kinked = self.chance(0.1)
        if kinked:
            values = (values * 2).round() / 2
        logits = self.layout(values.to(dtype)).detach().requires_grad_()
        leaf = logits.detach().double().contiguous().requires_grad_()
        z = leaf
        if size != (h, w):
            z = F.interpolate(z, size=(h, w), mode="bilinear", align_corners=False)
        if one:
            z = torch.cat((torch.zeros_like(z), z), 1)
        return Batch(logits, target, leaf, z, y, options, kinked or not bool(values.any()))

    def compare(
        self,
        what: str,
        found: Any,
        expected: Any,
        computed: torch.dtype,
        *,
        loose: float = 1.0,
        most: float = 0,
    ) -> None:
        """See that a result is the oracle's.

        Args:
            what: it is.
            found: by the package.
            expected: by the oracle.
            computed: the dtype that it was computed in.
            loose: how many times the usual error is allowed.
            most: an error that the package itself states.

        Raises:
            Mismatch: if not.
        """
        a, b = (torch.as_tensor(each, dtype=torch.float64).detach() for each in (found, expected))
        if a.shape != b.shape:
            raise Mismatch(f"{what}: shape {tuple(a.shape)}, not {tuple(b.shape)}")
        if not torch.equal(a.isnan(), b.isnan()):
            raise Mismatch(f"{what}: nan {a.isnan().sum()} times, not {b.isnan().sum()}")
        a, b = a.nan_to_num(), b.nan_to_num()
        scale = max(1.0, b.abs().max().item() if b.numel() else 1.0)
        error = (a - b).abs().max().item() / scale if b.numel() else 0.0
        if not error <= loose * _COMPUTED[computed] + most / scale:
            raise Mismatch(f"{what}: {error:.3g} apart ({a.flatten()[:4]}, not {b.flatten()[:4]})")
        self.errors[computed] = max(self.errors.get(computed, 0.0), error if most == 0 else 0.0)

    def refuse(self, call: Callable[[], Any], what: str) -> None:
        """See that an input is refused in words, or makes the result nan.

        Args:
            call: with that input.
            what: it is.

        Raises:
            Mismatch: if a number comes out of it.
        """
        try:
            value = call()
        except (UserError, ValueError, TypeError):
            self.refused += 1
            return
        if isinstance(value, Tensor) and not value.isfinite().all():
            self.refused += 1
            return
        raise Mismatch(f"{what}: {value} comes out of it")

    def loss(
        self,
        build: Callable[..., Callable[..., Tensor]],
        oracle: Callable[[Batch], Tensor],
        batch: Batch,
        *,
        loose: float = 1.0,
        most: float = 0.0,
        rounding: float = 0.0,
        scaled: Callable[[Batch, Tensor], Tensor] | None = None,
        apart: Callable[[Batch], Tensor] | None = None,
        smooth: bool = True,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        """Compare value and gradient of a loss with the oracle's, and what it makes of bad input.

        Args:
            build: makes the loss of the options of a batch.
            oracle: of a batch.
            batch: the batch.
            loose: how many times the usual error is allowed.
            most: an error that the loss itself states.
            rounding: of the gradient, absolute, besides.
            scaled: of the batch and the oracle's value, what each number of the gradient may be off besides.
            apart: a term of it whose gradient is rounded to the dtype by itself, before it is added.
            smooth: it has one gradient here.
            arguments: of the call, after the target.
        """
        loss = build(**batch.options)
        computed = torch.promote_types(batch.logits.dtype, torch.float32)
        found, expected = loss(batch.logits, batch.target, *arguments), oracle(batch)
        if found.dtype != computed:
            raise Mismatch(f"value: dtype {found.dtype}, not {computed}")
        self.compare("value", found, expected, computed, loose=loose, most=most)
        (grad,) = torch.autograd.grad(found, batch.logits)
        wanted = torch.zeros_like(batch.leaf)
        if expected.requires_grad:
            (given,) = torch.autograd.grad(expected, batch.leaf, allow_unused=True, retain_graph=True)
            wanted = wanted if given is None else given
        if smooth:
            parts = wanted
            if apart is not None and (term := apart(batch)).requires_grad:
                (part,) = torch.autograd.grad(term, batch.leaf, retain_graph=True)
                parts = part.abs() + (wanted - part).abs()
            extra = None if scaled is None else scaled(batch, expected)
            self.gradient(grad, wanted, loose=loose, most=most + rounding, rounded=parts, extra=extra)
        elif not grad.isfinite().all():
            raise Mismatch("gradient: not finite")
        if self.chance(0.03) and (batch.y >= 0).any() and "size" not in batch.options:
            where = (batch.y >= 0).nonzero()[0].tolist()
            bad = batch.logits.detach().clone()
            bad[where[0], :, where[1], where[2]] = torch.nan
            self.refuse(lambda: build(**batch.options)(bad, batch.target, *arguments), "nan at a label")
        if self.chance(0.03):
            k = batch.z.shape[1]
            wrong = batch.target.long().clone()
            wrong.view(-1)[0] = next(n for n in (k + 1, k + 2) if n != batch.options["ignore_index"])
            self.refuse(lambda: build(**batch.options)(batch.logits, wrong, *arguments), "a label too large")

    def gradient(
        self,
        found: Tensor,
        wanted: Tensor,
        *,
        loose: float = 1.0,
        most: float = 0.0,
        computed: torch.dtype | None = None,
        rounded: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> None:
        """Compare a gradient, which is rounded to the dtype of what it is by; or ``rounded`` is, if given.

        Each number of it may be off by that of ``extra`` besides.
        """
        dtype = found.dtype
        computed = computed or torch.promote_types(dtype, torch.float32)
        a, b = found.double(), wanted.double()
        # what lies beyond the dtype is rounded to its infinity
        beyond = (b.abs() > torch.finfo(dtype).max) & a.isinf() & (a.sign() == b.sign())
        a, b = a.masked_fill(beyond, 0.0), b.masked_fill(beyond, 0.0)
        if not a.isfinite().all():
            raise Mismatch("gradient: not finite")
        rounding = (
            2 * torch.finfo(dtype).eps * (b if rounded is None else rounded).abs()
            + 2 * torch.finfo(dtype).smallest_normal
        )
        if dtype == torch.float16:
            rounding = rounding + 1e-7  # below the smallest normal number they lie so far apart
        if extra is not None:
            rounding = rounding + extra
        excess = ((a - b).abs() - rounding).clamp(min=0).max().item() if b.numel() else 0.0
        allowed = (
            3 * loose * _COMPUTED[computed] * max(1e-3, b.abs().max().item() if b.numel() else 0.0) + most
        )
        if excess > allowed:
            at = (a - b).abs().argmax()
            raise Mismatch(f"gradient: {excess:.3g} apart ({a.flatten()[at]}, not {b.flatten()[at]})")


# ---- losses -------------------------------------------------------------------------------------------


def _mean(draw: Draw, k: int) -> tuple[dict[str, Any], Callable[[Tensor, Tensor], Tensor]]:
    """Weights of classes, and the mean over pixels with them."""
    if draw.chance(0.6):
        return {}, lambda costs, y: costs.sum() / max(1, len(y))
    weights = draw.normal(k).abs() * torch.tensor([draw.pick(0.0, 1.0, 1.0) for _ in range(k)])
    weights[draw.whole(0, k - 1)] = 1.5
    normalize = draw.pick("weights", "pixels")

    def mean(costs: Tensor, y: Tensor) -> Tensor:
        own = weights.double()[y]
        mass = own.sum() if normalize == "weights" else torch.tensor(float(len(y)))
        return (own * costs).sum() / (mass if mass > 0 else 1.0)

    return {"weights": weights.tolist(), "normalize": normalize}, mean


def _class_mean(draw: Draw, k: int) -> tuple[dict[str, Any], Callable[[dict[int, Tensor]], Tensor | None]]:
    """Weights of classes, and the mean over those of a table with them; None where none weighs anything."""
    weights = [1.0] * k
    options = {}
    if draw.chance(0.5):
        weights = [draw.pick(0.0, 0.25, 1.0, 7.5) for _ in range(k)]
        weights[draw.whole(0, k - 1)] = 1.5
        options = {"weights": weights}

    def mean(table: dict[int, Tensor]) -> Tensor | None:
        mass = sum(weights[c] for c in table)
        return sum(weights[c] * value for c, value in table.items()) / mass if mass else None

    return options, mean


def _softmax_cost(z: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy of each pixel; a share of its target may be spread over all classes."""
    log_p = z - torch.logsumexp(z, 1, keepdim=True)
    own = -log_p.gather(1, y[:, None])[:, 0]
    return (1 - smoothing) * own - smoothing * log_p.mean(1) if smoothing else own


def _counts(draw: Draw, k: int) -> Tensor:
    counts = torch.tensor(
        [float(draw.whole(1, 10 ** draw.whole(1, 8))) for _ in range(k)], dtype=torch.float64
    )
    if draw.chance(0.2):
        counts[draw.whole(0, k - 1)] = 0
        counts[draw.whole(0, k - 1)] = 7
    return counts


def _seen(counts: Tensor) -> Tensor:
    """A class that never occurs counts as the rarest that does."""
    return torch.where(counts > 0, counts, counts[counts > 0].min())


def cross_entropy(draw: Draw) -> None:
    batch = draw.batch()
    share = draw.pick(0.0, 0.0, 0.1, 1.0)
    draw.loss(
        lambda **options: lambda z, y: losses.cross_entropy(z, y, label_smoothing=share, **options),
        lambda b: _softmax_cost(*b.rows(), share).sum() / max(1, len(b.rows()[1])),
        batch,
    )


def weighted_cross_entropy(draw: Draw) -> None:
    batch = draw.batch()
    k = batch.z.shape[1]
    chosen, mean = {}, None
    while "weights" not in chosen:
        chosen, mean = _mean(draw, k)
    weights = chosen.pop("weights")
    share = chosen["label_smoothing"] = draw.pick(0.0, 0.0, 0.1, 1.0)
    draw.loss(
        lambda **options: losses.WeightedCrossEntropyLoss(weights, **chosen, **options),
        lambda b: mean(_softmax_cost(*b.rows(), share), b.rows()[1]),
        batch,
    )


def ohem(draw: Draw) -> None:
    batch = draw.batch()
    threshold, kept = draw.pick(0.3, 0.7, 0.95), draw.pick(0, 1, 5, 10_000)

    def oracle(b: Batch) -> Tensor:
        costs = _softmax_cost(*b.rows())
        order = costs.sort(descending=True).values
        hard = int((order > -math.log(threshold)).sum())
        chosen = order[: max(hard, min(kept, len(order)))]
        return chosen.sum() / max(1, len(chosen))

    draw.loss(
        lambda **options: (
            lambda z, y: losses.ohem_cross_entropy(z, y, threshold=threshold, min_kept=kept, **options)
        ),
        oracle,
        batch,
        smooth=not batch.kinked and "size" not in batch.options,
    )


def _adjusted(
    draw: Draw,
    build: Callable[..., Any],
    change: Callable[[Tensor, Tensor], Tensor],
    k: int,
    scale: float | None = None,
    shift: float = 0.0,
) -> None:
    """A mean of softmax costs of changed logits; ``scale`` and ``shift`` are for :func:`_scaled_rounding`."""
    batch = draw.batch(k)
    chosen, mean = _mean(draw, k)

    def oracle(b: Batch) -> Tensor:
        z, y = b.rows()
        return mean(_softmax_cost(change(z, y), y), y)

    scaled = None if scale is None else _scaled_rounding(mean, scale, shift)
    draw.loss(lambda **options: build(**chosen, **options), oracle, batch, scaled=scaled)


def _scaled_rounding(
    mean: Callable[[Tensor, Tensor], Tensor], scale: float, shift: Tensor | float
) -> Callable[[Batch, Tensor], Tensor]:
    """What one precision may cost the gradient of a mean of softmax costs of ``scale * (z + shift)``.

    Let u be half the eps of what is computed in, M the largest ``scale * (|z| + |shift|)`` of a pixel, s the
    scale and w the share that a pixel has in the mean. Its gradient is g = s w (p - onehot).

    What is exponentiated is off by 3 u M (a rounding of each product and one of the sum) and, once the
    maximum is taken away, by 2 u M more. Exponents that are off by d change p by at most 2 p (1 - p) d, and
    s w p (1 - p) is at most the size of g: that makes 10 u M of g. That the logarithm is rounded makes 2 u M
    more. All of it is relative to g.

    What is not relative to g is the own class's p - 1 where p is nearly 1. The sum of the K exponentials is
    then 1 and a little, rounded K - 1 times, and the exponential of its logarithm is known to two units more:
    p is off by (K + 1) u, however near to 1 it ought to be, and g by s w (K + 1) u. Plain cross entropy of
    the scaled logits, in the same precision, is off by as much.

    Args:
        mean: of the costs and labels of the pixels, linear in the costs.
        scale: s.
        shift: of the logits, of the shape of ``Batch.z``, or the largest of it.

    Returns:
        A function of a batch and the oracle's value of it, which gives the bound, shaped as ``Batch.leaf``.
    """

    def bound(b: Batch, value: Tensor) -> Tensor:
        unit = torch.finfo(torch.promote_types(b.logits.dtype, torch.float32)).eps / 2
        y = b.rows()[1]
        costs = torch.zeros(len(y), dtype=torch.float64, requires_grad=True)
        (given,) = torch.autograd.grad(mean(costs, y), costs)
        share = torch.zeros(b.y.shape, dtype=torch.float64)
        share[b.y >= 0] = given
        (slope,) = torch.autograd.grad(value, b.z, retain_graph=True)
        largest = scale * (b.z.detach().abs() + abs(shift)).amax(1, keepdim=True)
        each = 12 * unit * largest * slope.abs() + (b.z.shape[1] + 1) * unit * scale * share[:, None]
        # logits of another size share in the pixels' gradients, by weights that are not negative
        (total,) = torch.autograd.grad(b.z, b.leaf, each, retain_graph=True)
        return total

    return bound


def logit_adjustment(draw: Draw) -> None:
    k = draw.whole(2, 6)
    counts, tau = _counts(draw, k), draw.pick(0.0, 0.5, 1.0, 2.0)
    prior = (_seen(counts) / counts.sum()).log()
    build = lambda **options: losses.LogitAdjustedLoss(counts, tau=tau, **options)  # noqa: E731
    _adjusted(draw, build, lambda z, y: z + tau * prior, k)


def balanced_softmax(draw: Draw) -> None:
    k = draw.whole(2, 6)
    counts = _counts(draw, k)
    build = lambda **options: losses.BalancedSoftmaxLoss(counts, **options)  # noqa: E731
    _adjusted(draw, build, lambda z, y: z + _seen(counts).log(), k)


def vector_scaling(draw: Draw) -> None:
    k = draw.whole(2, 6)
    counts, tau, gamma = _counts(draw, k), draw.pick(0.0, 1.0), draw.pick(0.0, 0.3, 1.0)
    seen = _seen(counts)
    build = lambda **options: losses.VSLoss(counts, tau=tau, gamma=gamma, **options)  # noqa: E731
    _adjusted(draw, build, lambda z, y: z * (seen / seen.max()) ** gamma + tau * seen.log(), k)


def margins(draw: Draw) -> None:
    k = draw.whole(2, 6)
    counts, most, scale = _counts(draw, k), draw.pick(0.0, 0.5, 2.0), draw.pick(1.0, 30.0)
    root = _seen(counts) ** -0.25
    own = most * root / root.max()
    build = lambda **options: losses.LDAMLoss(counts, max_margin=most, scale=scale, **options)  # noqa: E731
    _adjusted(draw, build, lambda z, y: scale * (z - F.one_hot(y, k) * own), k, scale, most)


def focal(draw: Draw) -> None:
    batch = draw.batch()
    k = batch.z.shape[1]
    gamma, variant = draw.pick(0.0, 0.5, 1.0, 2.0, 3.5), draw.pick("softmax", "sigmoid")
    alpha = draw.pick(None, 0.25) if variant == "sigmoid" else None
    chosen, mean = _mean(draw, k)

    def oracle(b: Batch) -> Tensor:
        z, y = b.rows()
        if variant == "softmax":
            cost = _softmax_cost(z, y)
            return mean((-torch.expm1(-cost)).clamp(min=1e-300) ** gamma * cost, y)
        one = b.logits.shape[1] == 1
        own = F.one_hot(y, k).bool()
        if one:  # one binary problem in place of two
            raise AssertionError
        positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
        wrong = torch.sigmoid(torch.where(own, -z, z)).clamp(min=1e-300)
        costs = wrong**gamma * F.softplus(torch.where(own, -z, z)) * torch.where(own, positive, negative)
        return mean(costs.sum(1), y)

    if variant == "sigmoid" and batch.logits.shape[1] == 1:
        batch = draw.batch(k, one_channel=False)
    draw.loss(
        lambda **options: losses.FocalLoss(k, gamma=gamma, variant=variant, alpha=alpha, **chosen, **options),
        oracle,
        batch,
        smooth=gamma in (0.0, 1.0, 2.0) or not batch.kinked,
    )


def pat(draw: Draw) -> None:
    batch = draw.batch()
    k = batch.z.shape[1]
    temperature, weighting = draw.pick(0.3, 1.0, 4.0), draw.pick("inverted_softmax", "archive")
    chosen, mean = _mean(draw, k)

    def oracle(b: Batch) -> Tensor:
        z, y = b.rows()
        p = z.detach().softmax(1)
        own = p.gather(1, y[:, None])[:, 0]
        beta = k * (-own / temperature).exp() / (-p / temperature).exp().sum(1)
        if weighting == "archive":
            beta = (k * (1 - own)).exp() / 2
        return mean(beta * _softmax_cost(z, y), y)

    draw.loss(
        lambda **options: losses.PATLoss(
            k, temperature=temperature, weighting=weighting, **chosen, **options
        ),
        oracle,
        batch,
    )


def seesaw(draw: Draw) -> None:
    k = draw.whole(2, 6)
    p, q, floor = draw.pick(0.0, 0.8, 1.2), draw.pick(0.0, 1.0, 2.0), draw.pick(0.0, 0.01, 0.3)
    batch = draw.batch(k)
    chosen, mean = _mean(draw, k)
    before = draw.labels((2, 4, 4), k)
    seen = torch.bincount(torch.cat((before.flatten(), batch.y.flatten())) + 1, minlength=k + 1)[1:]
    log_n = seen.double().clamp(min=1).log()

    def build(**options: Any) -> Any:
        loss = losses.SeesawLoss(k, p=p, q=q, floor=floor, **chosen, **options)
        target = before.masked_fill(before < 0, options["ignore_index"])
        loss(torch.zeros(2, k, 4, 4, requires_grad=True), target)
        return loss

    def oracle(b: Batch) -> Tensor:
        z, y = b.rows()
        share = z.detach().log_softmax(1)
        own = share.gather(1, y[:, None]).clamp(min=math.log(floor) if floor else -math.inf)
        extra = p * (log_n - log_n[y][:, None]).clamp(max=0)
        if q:
            extra = extra + q * (share - own).clamp(min=0)
        extra = extra.masked_fill(F.one_hot(y, k).bool(), 0)
        return mean(_softmax_cost(z + extra, y), y)

    draw.loss(build, oracle, batch, loose=2)


def _noisy(draw: Draw, made: Any, batch: Batch, low: Tensor, high: Tensor, scale: float) -> None:
    """A loss that adds noise which it can tell beforehand, within limits for each class."""
    k = batch.z.shape[1]
    chosen, mean = _mean(draw, k)
    loss = made(**chosen, **batch.options)
    rows = batch.y.flatten(1).masked_fill(batch.y.flatten(1) < 0, k)
    noise = loss.noise(batch.z.detach().flatten(2).to(batch.logits.dtype), rows).double()
    if ((noise < low[:, None] - 1e-3) | (noise > high[:, None] + 1e-3)).any():
        raise Mismatch("noise: outside its limits")

    def oracle(b: Batch) -> Tensor:
        z, y = labelled(scale * (b.z + noise.view_as(b.z)), b.y)
        return mean(_softmax_cost(z, y), y)

    draw.loss(lambda **_: loss, oracle, batch, scaled=_scaled_rounding(mean, scale, noise.view_as(batch.z)))


def _rarities(counts: Tensor) -> tuple[Tensor, Tensor]:
    """BLV's coefficients (Eq. 3) and those of the clouds."""
    seen = _seen(counts)
    log_sum = counts.sum().log()
    c = log_sum - seen.log()
    spread = (seen.max() / seen.min()).log()
    zero = torch.zeros_like(seen)
    return c / c.max() if c.max() > 0 else zero, (seen.max() / seen).log() / spread if spread > 0 else zero


def blv(draw: Draw) -> None:
    k = draw.whole(2, 6)
    counts, sigma = _counts(draw, k), draw.pick(0.0, 0.5, 6.0)
    seed, draws = draw.whole(0, 99), draw.pick("pixel_class", "pixel", "class")
    batch = draw.batch(k, one_channel=False, resized=False)
    build = lambda **options: losses.BLVLoss(counts, sigma=sigma, draws=draws, seed=seed, **options)  # noqa: E731
    high = _rarities(counts)[0] if sigma else torch.zeros(k, dtype=torch.float64)
    _noisy(draw, build, batch, torch.zeros(k, dtype=torch.float64), high.clamp(min=0), 1.0)


def clouds(draw: Draw) -> None:
    k = draw.whole(2, 6)
    counts, strength, scale = _counts(draw, k), draw.pick(0.0, 0.5), draw.pick(1.0, 30.0)
    seed = draw.whole(0, 99)
    batch = draw.batch(k, one_channel=False, resized=False)
    build = lambda **options: losses.GCLLoss(counts, strength=strength, scale=scale, seed=seed, **options)  # noqa: E731
    low = -strength * _rarities(counts)[1]
    _noisy(draw, build, batch, low, torch.zeros(k, dtype=torch.float64), scale)


def _sets(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return z.softmax(1), y


def _with_cross_entropy(value: Tensor | None, b: Batch, weight: float) -> Tensor:
    value = b.rows()[0].sum() * 0 if value is None else value
    return value + weight * _plain_cross_entropy(b)


def _plain_cross_entropy(b: Batch) -> Tensor:
    z, y = b.rows()
    return _softmax_cost(z, y).sum() / max(1, len(y))


def dice(draw: Draw) -> None:
    batch = draw.batch()
    smooth, weight = draw.pick(0.0, 1.0), draw.pick(0.0, 1.0)
    k = batch.z.shape[1]
    chosen, mean = _class_mean(draw, k)

    def oracle(b: Batch) -> Tensor:
        return _with_cross_entropy(mean(_dices(*_sets(*b.rows()), smooth)), b, weight)

    draw.loss(
        lambda **options: losses.DiceLoss(k, smooth=smooth, ce_weight=weight, **chosen, **options),
        oracle,
        batch,
        apart=lambda b: weight * _plain_cross_entropy(b),
    )


def _dices(p: Tensor, y: Tensor, smooth: float) -> dict[int, Tensor]:
    """One minus Dice of each class that occurs."""
    found = {}
    for c in y.unique().tolist():
        g = (y == c).double()
        found[c] = 1 - (2 * (p[:, c] * g).sum() + smooth) / ((p[:, c] ** 2).sum() + g.sum() + smooth)
    return found


def jaccard(draw: Draw) -> None:
    batch = draw.batch()
    reduction, weight = draw.pick("batch", "image", "class"), draw.pick(0.0, 1 / 3)

    def table(z: Tensor, y: Tensor) -> dict[int, Tensor]:
        p, y = _sets(*labelled(z, y))
        found = {}
        for c in y.unique().tolist():
            g = (y == c).double()
            own = (p[:, c] * g).sum()
            found[c] = 1 - own / (p[:, c].sum() + g.sum() - own)
        return found

    def oracle(b: Batch) -> Tensor:
        images = (
            [(b.z, b.y)]
            if reduction == "batch"
            else [(b.z[i : i + 1], b.y[i : i + 1]) for i in range(len(b.y))]
        )
        tables = [table(*image) for image in images]
        if reduction == "class":
            rows = {c: [t[c] for t in tables if c in t] for c in range(k)}
            value = mean({c: sum(row) / len(row) for c, row in rows.items() if row})
        else:
            means = [each for each in map(mean, tables) if each is not None]
            value = sum(means) / len(means) if means else None
        return _with_cross_entropy(value, b, weight)

    k = batch.z.shape[1]
    chosen, mean = _class_mean(draw, k)
    draw.loss(
        lambda **options: losses.JaccardLoss(k, reduction=reduction, ce_weight=weight, **chosen, **options),
        oracle,
        batch,
        apart=lambda b: weight * _plain_cross_entropy(b),
    )


def lovasz(draw: Draw) -> None:
    batch = draw.batch(most=5)
    weight = draw.pick(0.0, 1.0)

    def extension(errors: Tensor, g: list[bool]) -> Tensor:
        """Pixels in falling order of error join the set of the wrong; each pays for what it adds."""
        size, missed, false, before = sum(g), 0, 0, 0.0
        total = errors.sum() * 0
        for i in errors.detach().sort(descending=True, stable=True).indices.tolist():
            missed, false = (missed + 1, false) if g[i] else (missed, false + 1)
            now = 1 - (size - missed) / (size + false)
            total = total + errors[i] * (now - before)
            before = now
        return total

    def oracle(b: Batch) -> Tensor:
        p, y = _sets(*b.rows())
        parts = {}
        for c in y.unique().tolist():
            g = y == c
            parts[c] = extension(torch.where(g, 1 - p[:, c], p[:, c]), g.tolist())
        return _with_cross_entropy(mean(parts), b, weight)

    k = batch.z.shape[1]
    chosen, mean = _class_mean(draw, k)
    saturated = bool(batch.logits.detach().abs().max() > 8) if batch.logits.numel() else False
    draw.loss(
        lambda **options: losses.LovaszSoftmaxLoss(k, ce_weight=weight, **chosen, **options),
        oracle,
        batch,
        apart=lambda b: weight * _plain_cross_entropy(b),
        # equal errors may stand in any order: the value is the same, the gradient one of several
        smooth=not (batch.kinked or saturated or k == 2 or "size" in batch.options)
        and batch.logits.dtype in (torch.float32, torch.float64),
    )


_SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "arctan": lambda x: math.pi / 2 - x.arctan(),
    "cosine": lambda x: (1 - x).cosh() - 1,
}


def _auc_options(draw: Draw, k: int) -> dict[str, Any]:
    surrogate = draw.pick(*SURROGATES, *_SMOOTH)
    activation = draw.pick("sigmoid", "sigmoid", "softmax", "identity")
    options = {
        "surrogate": _SMOOTH.get(surrogate, surrogate),
        "margin": draw.pick(0.5, 1.0, 2.0),
        "scale": draw.pick(0.5, 1.0, 3.0),
        "activation": activation,
        "multiclass": draw.pick("ovo", "ovo", "ova"),
        "reduction": draw.pick("mean", "mean", "sum"),
    }
    if surrogate not in ("square", "hinge", "squared_hinge"):
        options["margin"] = 1.0  # they have none
    if activation == "identity":
        options["score_range"] = (-2.0, 3.0)
        if surrogate in _SMOOTH:
            options["scale"] = 0.5
    if options["multiclass"] == "ovo" and draw.chance(0.2):
        options["tail_classes"] = draw.random.sample(range(k), draw.whole(1, k - 1))
    elif options["multiclass"] == "ovo" and draw.chance(0.2):
        options["pair_weights"] = (draw.normal(k, k).abs() + 0.01).tolist()
    return options


def _auc_scores(z: Tensor, y: Tensor, options: dict[str, Any], one: bool) -> tuple[Tensor, Tensor]:
    """Scores (N, K) and labels."""
    z, y = labelled(z, y)
    if options["activation"] == "identity":
        if one:
            low, high = options["score_range"]
            z = torch.cat((low + high - z[:, 1:], z[:, 1:]), 1)
        return z, y
    if one or options["activation"] == "softmax":
        return z.softmax(1), y
    return z.sigmoid(), y


def _auc_oracle(s: Tensor, y: Tensor, options: dict[str, Any], now: Sequence[int] | None = None) -> Tensor:
    """All pairs of pixels, one with another; of pairs of classes those of which one is in ``now``."""
    k = s.shape[1]
    surrogate, margin = options["surrogate"], options["margin"]
    g = F.one_hot(y, k).double()
    number = g.sum(0)
    own = s.gather(1, y[:, None])  # (N, 1), pixel m in the channel of its own class
    x = options["scale"] * (own - s[:, y].T)  # (m, n), pixel n in the channel of the class of m
    cost = SURROGATES[surrogate](x, margin) if isinstance(surrogate, str) else surrogate(x)
    if options["multiclass"] == "ova":
        other = len(y) - number
        values = torch.stack([(g[:, c] @ cost @ (1 - g[:, c])) for c in range(k)])
        there = (number > 0) & (other > 0)
        weights = there.double()
        values = values / (number * other).where(there, torch.ones(()).double())
    else:
        there = (number[:, None] * number > 0) & ~torch.eye(k, dtype=torch.bool)
        values = (g.T @ cost @ g) / (number[:, None] * number).where(there, torch.ones(()).double())
        weights = there.double()
        if now is not None:
            held = torch.tensor([c in now for c in range(k)])
            weights = weights * (held[:, None] | held)
        if "pair_weights" in options:
            weights = weights * torch.tensor(options["pair_weights"], dtype=torch.float64)
        if "tail_classes" in options:
            tail = torch.tensor([c in options["tail_classes"] for c in range(k)])
            weights = weights * (tail[:, None] != tail)
    if options["reduction"] == "sum":
        return (values * weights).sum()
    mass = weights.sum()
    return (values * weights).sum() / (mass if mass > 0 else 1.0)


def _auc_case(draw: Draw, build: Callable[..., Any], extra: dict[str, Any], weight: float | None) -> None:
    k = draw.whole(2, 6)
    options = _auc_options(draw, k) | extra
    batch = draw.batch(k, one_channel=weight is None or options["activation"] != "identity")
    if options["activation"] == "identity":  # scores within their range
        with torch.no_grad():
            batch.logits.clamp_(-2.0, 3.0)
        leaf = batch.logits.detach().double().contiguous().requires_grad_()
        h, w = batch.y.shape[1:]
        z = leaf if leaf.shape[2:] == (h, w) else F.interpolate(leaf, size=(h, w), mode="bilinear")
        z = torch.cat((torch.zeros_like(z), z), 1) if leaf.shape[1] != k else z
        batch = batch._replace(leaf=leaf, z=z)
    one = batch.logits.shape[1] != k

    def oracle(b: Batch) -> Tensor:
        value = _auc_oracle(*_auc_scores(b.z, b.y, options, one), options)
        return value if weight is None else _with_cross_entropy(value, b, weight)

    made = build(k, **options, **batch.options)
    factor = k * (k - 1) if options["reduction"] == "sum" else 1
    factor *= 10 if "pair_weights" in options else 1
    broken = isinstance(options["surrogate"], str) and "hinge" in options["surrogate"]
    saturated = bool(batch.logits.detach().abs().max() > 8) if batch.logits.numel() else False
    bound = made.error_bound * factor
    # the derivative of a polynomial of degree n that is so far off on an interval of length L is at most
    # 2 n^2 / L times as far off (Markov's inequality)
    low, high = options.get("score_range", (0.0, 1.0))
    steep = 2 * getattr(made.form, "degree", 0) ** 2 / (high - low) * bound
    smooth = not (broken and (batch.kinked or saturated or batch.logits.dtype != torch.float64))
    draw.loss(
        lambda **each: build(k, **options, **each),
        oracle,
        batch,
        loose=3,
        most=20 * bound,
        rounding=steep,
        smooth=smooth,
    )
    if draw.chance(0.2) and len(batch.y) > 1 and smooth:
        parts = list(zip(batch.logits.split(1), batch.target.split(1), strict=True))
        try:
            sums = [made.class_sums(*part) for part in parts]
        except ValueError:
            return  # sorted: it has no sums
        whole = sums[0]
        for each in sums[1:]:
            whole = whole + each
        computed = torch.promote_types(batch.logits.dtype, torch.float32)
        found = torch.zeros_like(batch.logits)
        for part in parts:
            value = made(*part, whole=whole)
            draw.compare("micro-batch", value, oracle(batch), computed, loose=3, most=20 * bound)
            found = found + torch.autograd.grad(value, batch.logits, retain_graph=True)[0]
        expected = oracle(batch)
        wanted = torch.zeros_like(batch.leaf)
        if expected.requires_grad:
            (given,) = torch.autograd.grad(expected, batch.leaf, allow_unused=True, retain_graph=True)
            wanted = wanted if given is None else given
        draw.gradient(found, wanted, loose=3, most=20 * bound + steep)


@contextmanager
def _either_way(draw: Draw) -> Iterator[None]:
    """What is small goes in one piece; in half of the draws it goes by strips, as what is large does."""
    before = small.SMALL_SCORES
    small.SMALL_SCORES = draw.pick(0, before)
    try:
        yield
    finally:
        small.SMALL_SCORES = before


def auc(draw: Draw) -> None:
    with _either_way(draw):
        _auc_case(draw, losses.AUCLoss, {}, None)


def auc_and_cross_entropy(draw: Draw) -> None:
    weight = draw.pick(0.0, 0.25, 1.0)
    build = lambda k, **options: losses.AUCSegLoss(k, ce_weight=weight, **options)  # noqa: E731
    with _either_way(draw):
        _auc_case(draw, build, {}, weight)


def auc_with_queue(draw: Draw) -> None:
    """The pixels of a class in the last M batches that held it stand in for it where it lacks."""
    k, last = draw.whole(2, 5), draw.whole(1, 3)
    options = {"surrogate": draw.pick("square", "exp"), "margin": 1.0, "scale": 1.0, "activation": "sigmoid"}
    options |= {"multiclass": "ovo", "reduction": "mean"}
    queue = losses.SumQueue(batches=last)
    loss = losses.AUCLoss(k, queue=queue, **options)
    kept: dict[int, list[Tensor]] = {c: [] for c in range(k)}
    computed = torch.float64  # what is remembered may be of less precision than the batch
    for _ in range(draw.whole(2, 4)):
        batch = draw.batch(k, one_channel=False, resized=False)
        target = batch.y.masked_fill(batch.y < 0, 255)
        s, y = _auc_scores(batch.z, batch.y, options, False)
        there = set(y.tolist())
        scores, labels = [s], [y]
        for c in range(k):
            if c not in there and kept[c]:
                scores += kept[c]
                labels += [torch.full((len(rows),), c) for rows in kept[c]]
        expected = _auc_oracle(torch.cat(scores), torch.cat(labels), options, sorted(there))
        found = loss(batch.logits, target)
        if batch.logits.dtype != torch.float64:
            computed = torch.float32
        draw.compare("value", found, expected, computed, loose=3, most=20 * loss.error_bound)
        (grad,) = torch.autograd.grad(found, batch.logits)
        wanted = torch.zeros_like(batch.leaf)
        if expected.requires_grad:
            (given,) = torch.autograd.grad(expected, batch.leaf, allow_unused=True, retain_graph=True)
            wanted = wanted if given is None else given
        draw.gradient(grad, wanted, loose=3, most=20 * loss.error_bound, computed=computed)
        for c in there:
            kept[c] = [*kept[c], s.detach()[y == c]][-last:]


def multilabel(draw: Draw) -> None:
    """One binary problem for each channel, with the logits (0, z) and labels of its own."""
    k, (b, h, w) = draw.whole(2, 4), (draw.whole(1, 3), draw.whole(1, 5), draw.whole(1, 5))
    y = torch.stack([draw.labels((b, h, w), 2) for _ in range(k)], 1)
    void, kind = draw.pick(255, -1, 2), draw.pick(torch.int16, torch.int32, torch.int64)
    target = y.masked_fill(y < 0, void).to(kind)
    if (y >= 0).all() and draw.chance(0.5):
        target = target.bool()
    dtype = draw.pick(*FLOATS)
    values = draw.normal(b, k, h, w) * draw.pick(0.0, 1e-3, 1, 1, 5, 40)
    logits = draw.layout(values.to(dtype)).detach().requires_grad_()
    leaf = logits.detach().double().contiguous().requires_grad_()
    weights = None
    if draw.chance(0.5):
        weights = [draw.pick(0.0, 0.5, 2.0) for _ in range(k)]
        weights[draw.whole(0, k - 1)] = 1.0
    options: dict[str, Any] = {"ignore_index": void}
    auc = {
        "surrogate": draw.pick("square", "exp"),
        "margin": 1.0,
        "scale": 1.0,
        "activation": "sigmoid",
        "multiclass": "ovo",
        "reduction": "mean",
    }
    name, smooth, gamma = (
        draw.pick("auc", "auc_ce", "dice", "focal"),
        draw.pick(0.0, 1.0),
        draw.pick(1.0, 2.0),
    )
    made: Any = {
        "auc": lambda: losses.AUCLoss(2, **auc, **options),
        "auc_ce": lambda: losses.AUCSegLoss(2, ce_weight=0.5, **auc, **options),
        "dice": lambda: losses.DiceLoss(2, smooth=smooth, **options),
        "focal": lambda: losses.FocalLoss(2, gamma=gamma, **options),
    }[name]()
    terms = []
    for channel in range(k):
        z = leaf[:, channel : channel + 1]
        z, own = labelled(torch.cat((torch.zeros_like(z), z), 1), y[:, channel])
        cost = _softmax_cost(z, own)
        if name == "dice":
            dices = list(_dices(z.softmax(1), own, smooth).values())
            term = sum(dices) / len(dices) if dices else z.sum() * 0
        elif name == "focal":
            term = (-torch.expm1(-cost)).clamp(min=1e-300).pow(gamma).mul(cost).sum() / max(1, len(own))
        else:
            term = _auc_oracle(z.softmax(1), own, auc)
            term = term + (0.5 * cost.sum() / max(1, len(own)) if name == "auc_ce" else 0.0)
        terms.append(term)
    mass = [1.0] * k if weights is None else weights
    expected = sum(m * term for m, term in zip(mass, terms, strict=True)) / sum(mass)
    loss = losses.MultilabelLoss(made, k, weights=weights)
    found, computed = loss(logits, target), torch.promote_types(dtype, torch.float32)
    most = 20 * getattr(made, "error_bound", 0.0)
    draw.compare("value", found, expected, computed, loose=3, most=most)
    (given,) = torch.autograd.grad(expected, leaf, allow_unused=True)
    wanted = torch.zeros_like(leaf) if given is None else given
    draw.gradient(torch.autograd.grad(found, logits)[0], wanted, loose=3, most=most)
    if draw.chance(0.03) and target.dtype != torch.bool and (y >= 0).any():
        where = tuple((y >= 0).nonzero()[0].tolist())
        bad = logits.detach().clone()
        bad[where] = torch.nan
        if mass[where[1]]:
            draw.refuse(lambda: loss(bad, target), "nan at a label")
            wrong = target.clone()
            wrong[where] = 3
            draw.refuse(lambda: loss(logits, wrong), "a label too large")


def _regions(features: Tensor, y: Tensor, k: int, how: str) -> list[tuple[Tensor, int]]:
    """Mean feature and class of every region, labels brought to the size of the features."""
    h, w = features.shape[2:]
    rows = [int((i + 0.5) * y.shape[1] / h) for i in range(h)]
    columns = [int((j + 0.5) * y.shape[2] / w) for j in range(w)]
    near = y[:, rows][:, :, columns]
    found = []
    groups = [[i] for i in range(len(y))] if how == "image" else [list(range(len(y)))]
    for group in groups:
        for c in range(k):
            pixels = torch.cat([features[i][:, near[i] == c] for i in group], 1)
            if pixels.shape[1]:
                found.append((pixels.mean(1), c))
    return found


def region(draw: Draw) -> None:
    k, d = draw.whole(2, 5), draw.whole(1, 5)
    counts, how, prior = _counts(draw, k), draw.pick("image", "batch"), draw.pick(True, False)
    weight, smoothing = draw.pick(0.0, 0.3, 1.0), draw.pick(0.0, 0.0, 0.4)
    batch = draw.batch(k, one_channel=False, resized=False)
    dtype = torch.promote_types(batch.logits.dtype, torch.float32)
    b, h, w = batch.y.shape
    size = (draw.whole(1, h), draw.whole(1, w))
    features = draw.normal(b, d, *size).to(dtype).requires_grad_()
    wide = features.detach().double().requires_grad_()
    options = {"regions": how, "prior": prior, "label_smoothing": smoothing, "dropout": 0.0}
    void = batch.options["ignore_index"]
    made = losses.RegionRebalanceLoss(counts, d, weight=weight, ignore_index=void, **options)
    linear = next(m for m in made.modules() if isinstance(m, torch.nn.Linear))
    with torch.no_grad():
        linear.weight.copy_(draw.normal(k, d))
        linear.bias.copy_(draw.normal(k))
    made = made.to(dtype)
    matrix, bias = linear.weight.detach().double(), linear.bias.detach().double()
    target = batch.y.masked_fill(batch.y < 0, void)
    costs = []
    for mean, c in _regions(wide, batch.y, k, how):
        logits = matrix @ mean + bias + (_seen(counts).log() if prior else 0.0)
        log_p = logits.log_softmax(0)
        costs.append(-(1 - smoothing) * log_p[c] - smoothing / (k - 1) * (log_p.sum() - log_p[c]))
    part = torch.stack(costs).mean() if costs else wide.sum() * 0
    expected = _with_cross_entropy(weight * part, batch, 1.0)
    found = made(batch.logits, target, features)
    draw.compare("value", found, expected, dtype, loose=3)
    given = torch.autograd.grad(found, (batch.logits, features), allow_unused=True)
    wanted = torch.autograd.grad(expected, (batch.leaf, wide), allow_unused=True)
    for a, e, leaf in zip(given, wanted, (batch.logits, features), strict=True):
        zero = torch.zeros_like(leaf)
        draw.gradient(zero if a is None else a, zero.double() if e is None else e, loose=3)


def boundary(draw: Draw) -> None:
    k = draw.whole(2, 4)
    y = draw.labels((draw.whole(1, 2), draw.whole(1, 6), draw.whole(1, 6)), k)
    target, void = draw.given(y, k)
    dtype = draw.pick(*FLOATS)
    values = draw.normal(len(y), 1, *y.shape[1:]) * draw.pick(0.0, 1, 1, 20)
    logits = draw.layout(values.to(dtype)).detach().requires_grad_()
    leaf = logits.detach().double().requires_grad_()
    costs, dices = [], []
    for image, plane in zip(leaf[:, 0], y, strict=True):
        edges = by_looking(plane.masked_fill(plane < 0, 255), (1, 2, 4))
        kept = plane >= 0
        z, g = image[kept], edges[kept].double()
        costs.append(F.binary_cross_entropy_with_logits(z, g, reduction="none"))
        p = z.sigmoid()
        dices.append(1 - (2 * (p * g).sum() + 1) / ((p * p).sum() + g.sum() + 1))
    every = torch.cat(costs)
    expected = every.sum() / max(1, len(every)) + sum(dices) / len(dices)
    found = losses.boundary_loss(logits, target.reshape(y.shape), ignore_index=void)
    computed = torch.promote_types(dtype, torch.float32)
    draw.compare("value", found, expected, computed, loose=2)
    draw.gradient(torch.autograd.grad(found, logits)[0], torch.autograd.grad(expected, leaf)[0], loose=2)


def presence(draw: Draw) -> None:
    k = draw.whole(2, 6)
    y = draw.labels((draw.whole(1, 4), draw.whole(1, 4), draw.whole(1, 4)), k)
    target, void = draw.given(y, k)
    dtype = draw.pick(*FLOATS)
    logits = (draw.normal(len(y), k) * draw.pick(0.0, 1, 1, 30)).to(dtype).requires_grad_()
    leaf = logits.detach().double().requires_grad_()
    rows = []
    for z, labels in zip(leaf, y, strict=True):
        there = set(labels.flatten().tolist()) - {-1}
        if there:
            g = torch.tensor([float(c in there) for c in range(k)], dtype=torch.float64)
            rows.append(F.binary_cross_entropy_with_logits(z, g))
    expected = torch.stack(rows).mean() if rows else leaf.sum() * 0
    found = losses.presence_cross_entropy(logits, target, ignore_index=void)
    computed = torch.promote_types(dtype, torch.float32)
    draw.compare("value", found, expected, computed, loose=2)
    draw.gradient(torch.autograd.grad(found, logits)[0], torch.autograd.grad(expected, leaf)[0], loose=2)


# ---- metrics ------------------------------------------------------------------------------------------


def iou(draw: Draw) -> None:
    k = draw.whole(2, 6)
    void = draw.pick(255, 255, -1, 0)
    groups = [draw.pick("head", "middle", "tail") for _ in range(k)]
    metric = metrics.SegmentationIoU(k, groups, ignore_index=void)
    cells = np.zeros((k, k + 1), dtype=np.int64)  # the last column is a predicted void
    for _ in range(draw.whole(1, 3)):
        y = draw.labels((draw.whole(1, 3), draw.whole(1, 6), draw.whole(1, 6)), k)
        target = y.masked_fill(y < 0, void)
        if draw.chance(0.5):
            scores = draw.normal(y.shape[0], k, *y.shape[1:]).to(draw.pick(*FLOATS))
            preds, given = scores.argmax(1), draw.layout(scores)
        else:
            preds = torch.randint(0, k, y.shape, generator=draw.generator)
            if draw.chance(0.3):
                preds = preds.masked_fill(torch.rand(y.shape, generator=draw.generator) < 0.2, void)
            given = preds.to(draw.pick(torch.int16, torch.int32, torch.int64))
        kind = draw.pick(torch.int16, torch.int32, torch.int64)
        metric.update(given, target.to(kind)[:, None] if draw.chance(0.2) else target.to(kind))
        for t, p in zip(target.flatten().tolist(), preds.flatten().tolist(), strict=True):
            if t != void:
                cells[t, k if p == void else p] += 1
    found = metric.compute()
    with np.errstate(invalid="ignore", divide="ignore"):
        hits, pixels, predicted = np.diag(cells), cells.sum(1), cells[:, :k].sum(0)
        iou_, accuracy = hits / (pixels + predicted - hits), hits / pixels
        draw.compare("iou", found["iou"], iou_, torch.float64)
        draw.compare("accuracy", found["accuracy"], accuracy, torch.float64)
        draw.compare("mIoU", found["mIoU"], _nanmean(iou_), torch.float64)
        total = pixels.sum()
        draw.compare("pixels", found["pixel_accuracy"], hits.sum() / total, torch.float64)
        there = np.where(pixels > 0, iou_, np.nan)
        for group in ("head", "middle", "tail"):
            member = np.array([own == group for own in groups])
            draw.compare(group, found[f"mIoU_{group}"], _nanmean(there[member]), torch.float64)


def cityscapes_iou(draw: Draw) -> None:
    """Categories and instances; IoU of classes is that of ``iou``, which shares its code."""
    k = draw.whole(2, 6)
    void = draw.pick(255, 255, -1)
    kinds = [draw.pick("a", "b", "c") for _ in range(k)]
    sizes = [draw.pick(None, 1.0, 17.5, 3000.25) for _ in range(k)]
    metric = metrics.CityscapesIoU(
        k, ignore_index=void, categories=kinds, instance_sizes=sizes, least_instance=1
    )
    batches = []
    for _ in range(draw.whole(1, 3)):
        y = draw.labels((draw.whole(1, 3), draw.whole(1, 6), draw.whole(1, 6)), k)
        target = y.masked_fill(y < 0, void)
        preds = torch.randint(0, k, y.shape, generator=draw.generator)
        if draw.chance(0.3):
            preds = preds.masked_fill(torch.rand(y.shape, generator=draw.generator) < 0.2, void)
        objects = torch.randint(-1, draw.whole(1, 5), y.shape, generator=draw.generator)
        kind = draw.pick(torch.int16, torch.int32, torch.int64)
        metric.update(preds.to(kind), target.to(kind), objects.to(kind))
        batches.append((preds.masked_fill(preds == void, 255), y.masked_fill(y < 0, 255), objects))
    found = metric.compute()
    for name, values in by_loops(batches, kinds, sizes, k).items():
        # shares are rounded to units of 2^-40, for each object; of one category torchmetrics makes a scalar
        draw.compare(name, found[name], np.squeeze(np.array(values)), torch.float64, most=1e-9)


def saliency(draw: Draw) -> None:
    """Each image by a threshold and a pixel at a time."""
    metric, images = metrics.SaliencyMeasures(), []
    for _ in range(draw.whole(1, 2)):
        y = draw.labels((draw.whole(1, 2), draw.whole(1, 5), draw.whole(1, 5)), 2)
        scores = torch.rand(y.shape, generator=draw.generator, dtype=torch.float64)
        scores = scores.round() if draw.chance(0.2) else scores ** draw.pick(0.2, 1, 4)
        metric.update(draw.layout(scores), y.masked_fill(y < 0, 255).to(draw.pick(*INTEGERS)))
        for p, own in zip(scores, y, strict=True):
            if (own >= 0).any():
                images.append(by_hand(p[own >= 0].numpy(), own[own >= 0].numpy() == 1))
    found = metric.compute()
    curves = {name: [image[name] for image in images] for name in ("MAE", "f", "e")}
    means = {name: np.mean(values, axis=0) if images else np.nan for name, values in curves.items()}
    wanted = {
        "MAE": means["MAE"],
        "F_beta_mean": np.mean(means["f"]),
        "F_beta_max": np.max(means["f"]),
        "E_mean": np.mean(means["e"]),
        "E_max": np.max(means["e"]),
    }
    for name, value in wanted.items():
        draw.compare(name, found[name], value, torch.float64, most=1e-9)


def _nanmean(values: Any) -> float:
    kept = [float(v) for v in np.ravel(values) if not np.isnan(v)]
    return sum(kept) / len(kept) if kept else math.nan


def _scores(draw: Draw, k: int) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """Batches of scores in [0, 1] and labels, and all of them as rows."""
    batches, rows, labels = [], [], []
    coarse, dtype = draw.chance(0.4), draw.pick(torch.float32, torch.float64, torch.float16)
    for _ in range(draw.whole(1, 3)):
        y = draw.labels((draw.whole(1, 3), draw.whole(1, 6), draw.whole(1, 6)), k)
        scores = (draw.normal(y.shape[0], k, *y.shape[1:]) * draw.pick(0.0, 1, 5)).softmax(1)
        scores = ((scores * 8).round() / 8 if coarse else scores).to(dtype)
        target, void = y.masked_fill(y < 0, 255), 255
        assert void == 255
        batches.append((draw.layout(scores), target.to(draw.pick(*INTEGERS))))
        s, own = labelled(scores.float().double(), y)  # the metric keeps float32
        rows.append(s)
        labels.append(own)
    return batches, torch.cat(rows), torch.cat(labels)


def _pair_table(s: Tensor, y: Tensor, k: int) -> Tensor:
    """How often a pixel of c beats one of d in channel c, a tie counting half."""
    table = torch.full((k, k), torch.nan, dtype=torch.float64)
    for c in range(k):
        for d in range(k):
            own, other = s[y == c, c], s[y == d, c]
            if c != d and len(own) and len(other):
                x = own[:, None] - other
                table[c, d] = ((x > 0).double() + 0.5 * (x == 0).double()).mean()
    return table


def pixel_auc(draw: Draw) -> None:
    k = draw.whole(2, 5)
    fpr = draw.pick(None, None, None, 0.3)
    metric = metrics.PixelAUC(k, max_fpr=fpr)
    batches, s, y = _scores(draw, k)
    for scores, target in batches:
        metric.update(scores, target)
    found = metric.compute()
    if fpr is None:
        table = _pair_table(s, y, k)
        ova = [
            _beats(s[y == c, c], s[y != c, c]) if (y == c).any() and (y != c).any() else math.nan
            for c in range(k)
        ]
    else:
        table = torch.full((k, k), torch.nan, dtype=torch.float64)
        for c in range(k):
            for d in range(k):
                if c != d and (y == c).any() and (y == d).any():
                    pair = (y == c) | (y == d)
                    table[c, d] = roc_auc_score(y[pair] == c, s[pair, c], max_fpr=fpr)
        ova = [
            roc_auc_score(y == c, s[:, c], max_fpr=fpr) if (y == c).any() and (y != c).any() else math.nan
            for c in range(k)
        ]
    draw.compare("pairs", found["pairs"], table, torch.float64)
    draw.compare("ova", found["ova"], torch.tensor(ova, dtype=torch.float64), torch.float64)
    draw.compare("auc", found["auc"], _nanmean([_nanmean(row) for row in table.numpy()]), torch.float64)


def _beats(own: Tensor, other: Tensor) -> float:
    x = own[:, None] - other
    return float(((x > 0).double() + 0.5 * (x == 0).double()).mean())


def streaming_auc(draw: Draw) -> None:
    """Within the bound that it states, of what all pairs of pixels come to."""
    k = draw.whole(2, 5)
    metric = metrics.PixelAUC(k, bins=draw.pick(2, 16, 256, 4096))
    batches, s, y = _scores(draw, k)
    for scores, target in batches:
        metric.update(scores, target)
    found, table = metric.compute(), _pair_table(s, y, k)
    bound = found["pairs_error_bound"]
    if not torch.equal(found["pairs"].isnan(), table.isnan()):
        raise Mismatch("pairs: nan elsewhere")
    error = (found["pairs"] - table).abs().nan_to_num()
    if (error > bound.nan_to_num() + 1e-12).any():
        raise Mismatch(f"pairs: {error.max():.3g} apart, beyond the bound {bound.max():.3g}")
    mean = _nanmean([_nanmean(row) for row in table.numpy()])
    if not math.isnan(mean) and abs(float(found["auc"]) - mean) > float(found["auc_error_bound"]) + 1e-12:
        raise Mismatch("auc: beyond its bound")


# ---- banks --------------------------------------------------------------------------------------------


class _Seen(NamedTuple):
    """An object that a bank may hold: its picture in its tight box, and its mask."""

    picture: np.ndarray
    mask: np.ndarray


def _cut(image: np.ndarray, labels: np.ndarray, label: int) -> _Seen:
    rows, columns = np.nonzero(labels == label)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    return _Seen(image[(slice(None), *box)].copy(), labels[box] == label)


def _is(stored: tuple[Tensor, Tensor], seen: _Seen) -> bool:
    picture, mask = stored[0].numpy(), stored[1].numpy()
    return np.array_equal(mask, seen.mask) and np.array_equal(picture, seen.picture)


def _explained(
    before: np.ndarray,
    after: np.ndarray,
    image: np.ndarray,
    labels: set[int],
    label: int,
    objects: list[Any],
) -> bool:
    """Whether the pixels that have a label now are those of one stored object at one place, or fewer.

    Args:
        before: (H, W) labels before the pastes, -1 for void.
        after: the same after them.
        image: (C, H, W), after them.
        labels: classes that were pasted into the image.
        label: the one that is looked at.
        objects: stored pictures and masks.
    """
    height, width = after.shape
    mine = (after == label) & (before != label)
    for picture, mask in objects:
        h, w = mask.shape
        for top in range(height - h + 1):
            for left in range(width - w + 1):
                area = np.zeros((height, width), dtype=bool)
                area[top : top + h, left : left + w] = mask
                if (mine & ~area).any():
                    continue
                part = mine[top : top + h, left : left + w]
                seen = image[:, top : top + h, left : left + w]
                if not (seen[:, part] == picture[:, part]).all():
                    continue
                rest = area & ~mine  # void stays, and a later paste may lie above
                if all(before[y, x] == -1 or after[y, x] in labels for y, x in np.argwhere(rest)):
                    return True
    return False


def _bank_case(draw: Draw, build: Callable[..., Any], tail: Sequence[int], **fixed: Any) -> None:
    """Several batches through a bank, its store, its pastes and its counters checked pixel by pixel."""
    dtype = draw.pick(torch.uint8, torch.float32, torch.float64, torch.float16)
    size = draw.whole(3, 9), draw.whole(3, 9)
    options = {
        "memory_size": draw.pick(0, 1, 2, 5),
        "sample_ratio": draw.pick(0.0, 0.05, 0.5, 1.0),
        "resize_ratio": draw.pick(1.0, 1.0, 0.4, 0.1),
        "budget": draw.pick(None, None, 0.05, 0.3),
        "min_area": draw.pick(1, 1, 3),
        "replacement": draw.pick("random", "fifo", "lifo", "priority_used"),
        "generator": torch.Generator().manual_seed(draw.whole(0, 10**6)),
    }
    options = {key: value for key, value in (options | fixed).items() if value is not ...}
    bank = build(**options)
    whole = options.get("memory_size", 10**6)
    keeps = "memory_size" in options
    seen: dict[int, list[_Seen]] = {label: [] for label in tail}
    missing = stored = 0
    for _ in range(draw.whole(1, 4)):
        number = draw.whole(1, 3)
        y = draw.labels((number, *size), 5)
        values = torch.rand(number, 3, *size, generator=draw.generator)
        images = (values * 255).to(dtype) if dtype == torch.uint8 else values.to(dtype)
        kind = draw.pick(*INTEGERS)
        target = y.masked_fill(y < 0, 255).to(torch.int64 if kind == torch.int8 else kind)
        given = draw.layout(images)
        kept = given.clone(), target.clone()
        out, labels = bank(given, target)
        if not (torch.equal(given, kept[0]) and torch.equal(target, kept[1])):
            raise Mismatch("the batch that came in has changed")
        if (out.dtype, out.shape, labels.dtype, labels.shape) != (
            dtype,
            images.shape,
            target.dtype,
            target.shape,
        ):
            raise Mismatch("dtype or shape has changed")
        before, after = y.numpy(), labels.long().masked_fill(labels.long() == 255, -1).numpy()
        if ((before == -1) != (after == -1)).any():
            raise Mismatch("void has changed")
        if whole == 0:
            if not (torch.equal(out, images) and torch.equal(labels, target)):
                raise Mismatch("without a memory something was pasted")
            continue
        news: dict[int, list[_Seen]] = {label: [] for label in tail}
        for image, plane in zip(images.numpy(), before, strict=True):
            for label in tail:
                area = int((plane == label).sum())
                missing += area == 0
                if area >= options["min_area"]:
                    news[label].append(_cut(image, plane, label))
                    stored += 1
        for label in tail:
            seen[label] += news[label]
            objects = bank.objects()[label]
            if not keeps:
                if objects:
                    raise Mismatch("an object outlived its batch")
                continue
            if len(objects) != min(whole, len(seen[label])):
                raise Mismatch(f"{len(objects)} objects of class {label} of {len(seen[label])} seen")
            if not all(any(_is(each, one) for one in seen[label]) for each in objects):
                raise Mismatch("a stored object is none that was seen")
            if options["replacement"] == "fifo":
                wanted = seen[label][-whole:]
            elif options["replacement"] == "lifo":
                wanted = (seen[label][: whole - 1] + seen[label][-1:])[:whole] if seen[label] else []
            else:
                wanted = None
            if wanted is not None and not all(any(_is(each, one) for each in objects) for one in wanted):
                raise Mismatch(f"{options['replacement']} gave up another object")
        for index in range(number):
            changed = before[index] != after[index]
            pasted = set(after[index][changed].tolist())
            if pasted & set(before[index].flatten().tolist()) or not pasted <= set(tail):
                raise Mismatch(f"pasted {pasted}, which the image did not miss")
            same = ~changed
            a, b = out[index].double().numpy(), images[index].double().numpy()
            if not (a[:, same] == b[:, same]).all():
                raise Mismatch("a pixel changed and its label did not")
            limit = options.get("budget")
            if limit is not None and changed.sum() > math.floor(limit * (before[index] >= 0).sum() + 1e-9):
                raise Mismatch("beyond the budget")
            n = getattr(bank, "pixels_per_image", None)
            if n is not None and changed.sum() > n:
                raise Mismatch("more pixels than there are to paste")
            if options["resize_ratio"] == 1.0 and limit is None and n is None and draw.chance(0.5):
                planes = before[index], after[index], out[index].numpy()
                for label in pasted:
                    kept_now = [(a.numpy(), b.numpy()) for a, b in bank.objects()[label]]
                    if not _explained(*planes, pasted, label, kept_now if keeps else news[label]):
                        raise Mismatch(f"class {label} was pasted as no object that is stored")
    stats = {name: sum(counts.values()) for name, counts in bank.stats().items()}
    if whole and (stats["missing"], stats["stored"]) != (missing, stored):
        raise Mismatch(f"counters {stats}, not {missing} missing and {stored} stored")
    if keeps and stats["replaced"] != stored - sum(bank.sizes().values()) and whole:
        raise Mismatch("counted another number of replaced objects")
    other = build(**{**options, "generator": torch.Generator()})
    other.load_state_dict(bank.state_dict())
    y = draw.labels((2, *size), 5).masked_fill(torch.rand(2, *size, generator=draw.generator) < 0.1, -1)
    batch = torch.rand(2, 3, *size, generator=draw.generator).to(dtype), y.masked_fill(y < 0, 255)
    for one, two in zip(bank(*batch), other(*batch), strict=True):
        if not torch.equal(one, two):
            raise Mismatch("another bank with its state goes on otherwise")


def tail_bank(draw: Draw) -> None:
    tail = draw.random.sample(range(5), draw.whole(1, 3))
    _bank_case(draw, lambda **options: memory.TailMemoryBank(tail, **options), tail)


def pixel_bank(draw: Draw) -> None:
    _bank_case(draw, lambda **options: memory.PixelMemoryBank(5, **options), range(5))


def fixed_pixel_bank(draw: Draw) -> None:
    tail, number = draw.random.sample(range(5), draw.whole(1, 3)), draw.whole(1, 30)
    _bank_case(
        draw,
        lambda **options: memory.FixedPixelBank(tail, number, **options),
        tail,
        sample_ratio=...,
        budget=...,
    )


def copy_paste(draw: Draw) -> None:
    tail = draw.random.sample(range(5), draw.whole(1, 3))
    build = lambda **options: memory.CopyPaste(tail, **options)  # noqa: E731
    _bank_case(draw, build, tail, memory_size=..., replacement=...)


SUBJECTS: dict[str, Callable[[Draw], None]] = {
    "AUCLoss": auc,
    "AUCSegLoss": auc_and_cross_entropy,
    "SumQueue": auc_with_queue,
    "cross_entropy": cross_entropy,
    "WeightedCrossEntropyLoss": weighted_cross_entropy,
    "ohem_cross_entropy": ohem,
    "LogitAdjustedLoss": logit_adjustment,
    "BalancedSoftmaxLoss": balanced_softmax,
    "VSLoss": vector_scaling,
    "LDAMLoss": margins,
    "FocalLoss": focal,
    "PATLoss": pat,
    "SeesawLoss": seesaw,
    "BLVLoss": blv,
    "GCLLoss": clouds,
    "DiceLoss": dice,
    "JaccardLoss": jaccard,
    "LovaszSoftmaxLoss": lovasz,
    "MultilabelLoss": multilabel,
    "RegionRebalanceLoss": region,
    "boundary_loss": boundary,
    "presence_cross_entropy": presence,
    "SegmentationIoU": iou,
    "CityscapesIoU": cityscapes_iou,
    "SaliencyMeasures": saliency,
    "PixelAUC": pixel_auc,
    "PixelAUC(bins)": streaming_auc,
    "TailMemoryBank": tail_bank,
    "PixelMemoryBank": pixel_bank,
    "FixedPixelBank": fixed_pixel_bank,
    "CopyPaste": copy_paste,
}
"""What is fuzzed, by the name of the class or function."""


def fuzz(subject: str, seed: int) -> Draw:
    """One random case.

    Args:
        subject: of :data:`SUBJECTS`.
        seed: of the case.

    Returns:
        What was seen.

    Raises:
        Mismatch: if the package does not do what the oracle does; the seed is in the message.
    """
    draw = Draw(seed)
    try:
        SUBJECTS[subject](draw)
    except Mismatch as error:
        raise Mismatch(f"{subject}, seed {seed}: {error}") from None
    except Exception as error:
        raise Mismatch(f"{subject}, seed {seed}: {type(error).__name__}: {error}") from error
    return draw

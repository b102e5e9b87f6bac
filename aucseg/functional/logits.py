"""Offsets, scales and noise on logits, and the cross entropy of what comes out.

The losses for a long tail that change logits before a softmax differ in nothing but that change. The change
is made strip by strip, in pieces that fit the cache of a CPU, together with the softmax: nothing of the size
of the logits is made beyond what the gradient needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aucseg.errors import OptionError
from aucseg.functional.checks import check_option, transformed

UNITS = ("pixels", "images")
VARIATIONS = ("gaussian", "uniform", "beta", "exponential", "constant", "mean")
ORDERS = ("formula", "listing")
COEFFICIENTS = ("formula", "listing", "release", "ones", "mean")

# Scores in one strip: few enough for the cache of a CPU; on an accelerator, where every call of an operation
# costs, more. It is no function of the threads, for noise is drawn by strip and must not depend on them.
STRIP_SCORES_CPU = 2**18
STRIP_SCORES_DEVICE = 2**26
STRIP_MIN_PIXELS = 2**10

Adjustment = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``adjust(strip, label, out)`` gives the changed logits (K, p) of a strip of p pixels, float32 or wider: in
``out``, whose content is undefined before, or where that is None in a new tensor. ``strip`` (K, p) is in the
dtype of the logits and must not change; ``label`` (p,) int64 is a class for every pixel, the first where it
is void. What is added to the logits is a constant to the gradient."""

Weighing = Callable[[Tensor, Tensor], Tensor]
"""``weigh(shares, own)`` gives (p,), the weight of every pixel of a strip, from the probabilities (K, p),
which must not change, and that of its own class (p,). No gradient flows through it."""


def class_vector(values: Any, name: str) -> Tensor:
    """One number for each class, none of them negative and not all zero.

    Args:
        values: (K,) numbers: a tensor, an array or a sequence.
        name: what the error message calls them.

    Returns:
        (K,) float64, a copy.

    Raises:
        ValueError: for another shape, or a number that is negative or not finite, or zeros alone.
    """
    if isinstance(values, Tensor):
        vector = values.detach().double().clone()
    else:
        try:
            # an array may be read-only, or be walked through backwards
            vector = torch.tensor(getattr(values, "tolist", lambda: values)(), dtype=torch.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(f"{name} must be numbers, one for each class, got {values!r}") from error
    if vector.ndim != 1:
        raise OptionError(f"{name} must have shape (K,), got {tuple(vector.shape)}")
    if not vector.isfinite().all() or (vector < 0).any() or not (vector > 0).any():
        raise OptionError(
            f"{name} must be finite and not negative, and one at least positive, got {vector.tolist()}"
        )
    return vector


def class_counts(
    counts: Any,
    *,
    unit: str = "pixels",
    num_classes: int | None = None,
    names: Sequence[str] | None = None,
    name: str = "counts",
) -> Tensor:
    """How often each class occurs, from whatever holds it.

    Args:
        counts: (K,) numbers, or statistics of a data set: any object with ``pixels``, ``images`` and
            ``names``, as :func:`aucseg.longtail.count` and :func:`aucseg.longtail.load_statistics` return.
        unit: of statistics, ``"pixels"`` or ``"images"`` that hold the class.
        num_classes: how many classes there must be; not checked if None.
        names: the class names of the data that is trained on; statistics of classes with other names, or in
            another order, are refused. Not checked if None.
        name: what the error message calls the counts.

    Returns:
        (K,) float64. A class that never occurs is 0.

    Raises:
        ValueError: for counts of another length or other names, that are negative, not finite or all zero.

    Example:
        >>> class_counts([90, 10]).tolist()
        [90.0, 10.0]
    """
    check_option("unit", unit, UNITS)
    if not isinstance(counts, Tensor) and hasattr(counts, "pixels") and hasattr(counts, "images"):
        own = tuple(getattr(counts, "names", ()))
        if names is not None and own and own != tuple(names):
            pairs = zip(own, names, strict=False)
            where = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(own), len(names)))
            here, there = (list(x)[where : where + 1] or ["nothing"] for x in (own, names))
            raise OptionError(
                f"the counts are of other classes: number {where} is {here[0]!r}, expected {there[0]!r} "
                f"({len(own)} counted, {len(names)} expected); count the masks that are trained on, with "
                f"the same label set"
            )
        counts = getattr(counts, unit)
    vector = class_vector(counts, name)
    if num_classes is not None and len(vector) != num_classes:
        raise OptionError(
            f"{name} are of {len(vector)} classes, expected {num_classes}; count the masks that are trained "
            f"on, with the same label set"
        )
    return vector


def never_seen_as_rarest(counts: Tensor) -> Tensor:
    """Counts in which a class that never occurs is as frequent as the rarest that does.

    How rare it is the counts do not tell; its logarithm would be infinite.

    Args:
        counts: (K,), one at least positive.

    Returns:
        (K,), all positive.
    """
    return counts.where(counts > 0, counts[counts > 0].min())


def log_prior(counts: Tensor) -> Tensor:
    r""":math:`\log \pi`, with the share :math:`\pi_k` of class k among all counts.

    Args:
        counts: (K,) float64; a class that never occurs counts as the rarest that does.

    Returns:
        (K,) float64, at most 0.
    """
    return (never_seen_as_rarest(counts) / counts.sum()).log()


def rarity(counts: Tensor, coefficient: str = "formula") -> Tensor:
    r"""How rare each class is, from 0 to 1: :math:`w_k = c_k / \max_j c_j` (BLV, Eq. 3).

    ============  =====================================  ====================================================
    coefficient   :math:`c_k`                            source
    ============  =====================================  ====================================================
    ``formula``   :math:`\log \sum_j q_j - \log q_k`     Eq. 3
    ``listing``   :math:`\log(\sum_j q_j - \log q_k)`    the supplement's Algorithm 1, a bracket misplaced:
                                                         the same for all classes to nine digits
    ``release``   :math:`\log \max_j q_j - \log q_k`     first release; the largest class gets none. Also
                                                         Gaussian clouded logits
    ``ones``      1                                      Table 8, "w/o balance"
    ``mean``      mean of those of ``formula``           Table 8, second reading
    ============  =====================================  ====================================================

    Args:
        counts: (K,) float64; a class that never occurs counts as the rarest that does, and so is not what
            the others are divided by.
        coefficient: one of the table.

    Returns:
        (K,) float64; the rarest class has 1. Zeros where no class is rarer than another.

    Raises:
        ValueError: for an unknown coefficient.
    """
    check_option("coefficient", coefficient, COEFFICIENTS)
    q = never_seen_as_rarest(counts)
    if coefficient == "ones":
        return torch.ones_like(q)
    if coefficient == "listing":
        c = (counts.sum() - q.log()).log()
    else:
        c = (q.max() if coefficient == "release" else counts.sum()).log() - q.log()
    c = c.clamp(min=0)  # of a single class a rounding error would be left
    w = c / c.max() if c.max() > 0 else torch.zeros_like(c)
    return w.mean().expand_as(w).clone() if coefficient == "mean" else w


def noise_mean(variation: str, sigma: float = 6.0, order: str = "formula") -> float:
    r"""Mean of what :func:`draw_noise` draws.

    For the Gaussian :math:`\sigma \sqrt{2/\pi} (1 - e^{-1/2\sigma^2}) + \mathrm{erfc}(1 / \sigma\sqrt 2)`,
    half of that where only one sign is left.

    Args:
        variation: one of ``VARIATIONS``; ``"mean"`` has the Gaussian's mean.
        sigma: standard deviation of the Gaussian before it is clipped.
        order: of clip and absolute value.

    Raises:
        ValueError: for an unknown variation or order.
    """
    check_option("variation", variation, VARIATIONS)
    check_option("order", order, ORDERS)
    if variation in ("gaussian", "mean"):
        if sigma == 0:
            return 0.0
        tail = math.erfc(1 / (sigma * math.sqrt(2)))
        mean = sigma * math.sqrt(2 / math.pi) * -math.expm1(-1 / (2 * sigma**2)) + tail
        return mean / 2 if order == "listing" else mean
    return {"uniform": 0.5, "beta": 0.5, "exponential": -math.expm1(-1.0), "constant": 1.0}[variation]


def draw_noise(
    out: Tensor,
    generator: torch.Generator,
    *,
    variation: str = "gaussian",
    sigma: float = 6.0,
    order: str = "formula",
) -> Tensor:
    r"""Fill a tensor with :math:`|\delta|` limited to [0, 1], in place (BLV, Eq. 3, and Section 4.5).

    ===============  ==========================================================================
    variation        draw
    ===============  ==========================================================================
    ``gaussian``     :math:`\min(|\delta|, 1)` with :math:`\delta \sim N(0, \sigma^2)`
    ``uniform``      from [0, 1]
    ``beta``         Beta(1/2, 1/2)
    ``exponential``  rate 1, :math:`\min(\delta, 1)`
    ``constant``     1, where most of the Gaussian draws are: "w/o variation" of Table 8
    ``mean``         the mean of the Gaussian after clipping, a second reading of that
    ===============  ==========================================================================

    Args:
        out: float32, overwritten.
        generator: on the device of ``out``.
        variation: one of the table.
        sigma: standard deviation of the Gaussian; 0 for no noise.
        order: ``"formula"``, or ``"listing"``, which clips to [0, 1] before it takes the absolute value: half
            of the Gaussian draws are then 0.

    Returns:
        ``out``.

    Raises:
        ValueError: for an unknown variation or order.
    """
    check_option("variation", variation, VARIATIONS)
    check_option("order", order, ORDERS)
    if variation in ("constant", "mean"):
        return out.fill_(noise_mean(variation, sigma, order))
    if variation == "gaussian":
        if sigma == 0:
            return out.zero_()
        out.normal_(0, sigma, generator=generator)
        return out.clamp_(0, 1) if order == "listing" else out.abs_().clamp_(max=1)
    out.uniform_(0, 1, generator=generator)
    if variation == "beta":  # an arcsine distribution
        return out.mul_(math.pi / 2).sin_().square_()
    if variation == "exponential":
        return out.neg_().log1p_().neg_().clamp_(max=1)
    return out


def adjusted_cross_entropy(
    logits: Tensor,
    rows: Tensor,
    adjust: Adjustment | None = None,
    *,
    scale: Tensor | float | None = None,
    weigh: Weighing | None = None,
) -> Tensor:
    r"""Cross entropy of every pixel after a change of its logits, in one pass.

    .. math::

        \ell_m = -\beta_m \log \mathrm{softmax}(a \odot z_m + \delta_m)_{y_m}

    The change :math:`\delta` and the weight :math:`\beta` are constants to the gradient. One tensor of the
    size and dtype of the logits is kept for it, and one is made by it: PyTorch's cross entropy keeps one as
    well, and makes two.

    Args:
        logits: (B, K, P), floating point; half precision is widened to float32 strip by strip.
        rows: (B, P), integer labels; K and more for void.
        adjust: makes :math:`a \odot z + \delta` of a strip; None for no change. Strips come in a fixed order,
            and are the same whatever the number of threads.
        scale: a, one number or (K,), by which the gradient is multiplied; ``adjust`` does so with the logits.
        weigh: makes :math:`\beta` of a strip's probabilities, after the change; None for 1.

    Returns:
        (B, P), at least float32; 0 where void. Where a gradient is to be differentiated again it goes by
        ordinary operations, as it does under the transforms of ``torch.func``.
    """
    with torch.autocast(logits.device.type, enabled=False):
        if transformed():
            return _plain_cross_entropy(logits, rows, adjust, weigh)
        keep = logits.requires_grad and torch.is_grad_enabled()
        losses: Tensor = _AdjustedCrossEntropy.apply(logits, rows, adjust, scale, weigh, keep)
    return losses


def strips(logits: Tensor, rows: Tensor) -> Iterator[tuple[int, slice]]:
    """The runs of pixels that :func:`adjusted_cross_entropy` goes through, image by image.

    Args:
        logits: (B, K, P).
        rows: (B, P).
    """
    batch, k, pixels = logits.shape
    most = STRIP_SCORES_CPU if logits.device.type == "cpu" else STRIP_SCORES_DEVICE
    length = max(STRIP_MIN_PIXELS, most // k // 256 * 256)
    for image in range(batch):
        for start in range(0, pixels, length):
            yield image, slice(start, min(start + length, pixels))


class Strip(NamedTuple):
    """A run of p pixels, and what a pass over it works with.

    Attributes:
        image: number of the image.
        part: its pixels.
        label: (p,) int64, a class for every pixel, the first where it is void.
        own: (p,) int64, where the class of each pixel stands in a memory that is laid out flat.
        memories: (K, p) each, at least float32, of undefined content; the next strip has the same.
    """

    image: int
    part: slice
    label: Tensor
    own: Tensor
    memories: tuple[Tensor, ...]


def worked_strips(logits: Tensor, rows: Tensor, memories: int) -> Iterator[Strip]:
    """The same runs, with memory that is made once for all of them.

    Args:
        logits: (B, K, P).
        rows: (B, P), integer labels; K and more for void.
        memories: how many.
    """
    k = logits.shape[1]
    wide = torch.promote_types(logits.dtype, torch.float32)
    scratch: Tensor | None = None
    column: Tensor | None = None
    for image, part in strips(logits, rows):
        p = part.stop - part.start
        if scratch is None or column is None:  # no later strip is longer
            scratch = logits.new_empty((memories, k * p), dtype=wide)
            column = torch.arange(p, device=logits.device)
        row = rows[image, part]
        label = row.masked_fill(row >= k, 0)
        views = tuple(memory[: k * p].view(k, p) for memory in scratch)
        yield Strip(image, part, label, (label * p).add_(column[:p]), views)


class _AdjustedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        rows: Tensor,
        adjust: Adjustment | None,
        scale: Tensor | float | None,
        weigh: Weighing | None,
        keep: bool,
    ) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        losses = logits.new_empty(rows.shape, dtype=wide)
        weight = None if weigh is None else torch.empty_like(losses)
        # softmax minus one-hot, what the gradient is up to a factor for each pixel
        slopes = torch.empty_like(logits) if keep else None
        if isinstance(scale, Tensor):
            scale = scale.to(logits.device, wide)[:, None]
        for image, part, label, own, (changed, shares) in worked_strips(logits, rows, 2):
            strip = logits[image, :, part]
            changed = changed.copy_(strip) if adjust is None else adjust(strip, label, changed)
            torch.log_softmax(changed, 0, out=shares)
            torch.neg(shares.view(-1).index_select(0, own), out=losses[image, part])
            if slopes is not None or weight is not None:
                shares.exp_()
            if weigh is not None and weight is not None:
                weight[image, part] = weigh(shares, losses[image, part].neg().exp_())
            if slopes is not None:
                shares.view(-1).scatter_add_(0, own, shares.new_full((), -1.0).expand_as(own))
                target = slopes[image, :, part]
                if scale is None:
                    target.copy_(shares)
                else:
                    torch.mul(shares, scale, out=target)
        if weight is not None:
            losses *= weight
        ctx.save_for_backward(logits, slopes, rows, weight)
        ctx.scale = scale
        return losses.masked_fill_(rows >= logits.shape[1], 0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, slopes, rows, weight = ctx.saved_tensors
        void = rows >= logits.shape[1]
        factor = (grad if weight is None else grad * weight).masked_fill(void, 0)[:, None]
        if torch.is_grad_enabled():  # the gradient will be differentiated
            return _slopes_again(logits, slopes, rows, ctx.scale) * factor, *[None] * 5
        return torch.mul(slopes, factor, out=torch.empty_like(slopes)), *[None] * 5


def _slopes_again(logits: Tensor, slopes: Tensor, rows: Tensor, scale: Tensor | float | None) -> Tensor:
    """What the gradient is up to a factor for each pixel, differentiable by the logits.

    The changed logits are not there any more. They are the scaled logits plus constants, and so is the
    logarithm of their softmax up to one number for each pixel, which a softmax does not see.
    """
    k = logits.shape[1]
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    factor = 1.0 if scale is None else scale
    label = rows.masked_fill(rows >= k, 0)[:, None]
    onehot = torch.zeros_like(wide).scatter_(1, label, 1.0)
    with torch.no_grad():
        share = (slopes.to(wide.dtype) / factor + onehot).clamp(min=torch.finfo(wide.dtype).tiny)
        constant = share.log() - wide * factor
    return (((wide * factor + constant).softmax(1) - onehot) * factor).to(logits.dtype)


def _plain_cross_entropy(
    logits: Tensor, rows: Tensor, adjust: Adjustment | None, weigh: Weighing | None
) -> Tensor:
    """The same by ordinary operations, none of which writes to a tensor that is not new."""
    k = logits.shape[1]
    wide = torch.promote_types(logits.dtype, torch.float32)
    images: dict[int, list[Tensor]] = {}
    for image, part in strips(logits, rows):
        row = rows[image, part]
        label = row.masked_fill(row >= k, 0)
        strip = logits[image, :, part]
        changed = strip.to(wide) if adjust is None else adjust(strip, label, None)
        loss = -changed.log_softmax(0).gather(0, label[None])[0]
        if weigh is not None:
            loss = loss * weigh(changed.detach().softmax(0), loss.detach().neg().exp())
        images.setdefault(image, []).append(torch.where(row >= k, 0.0, loss))
    return torch.stack([torch.cat(parts) for parts in images.values()])

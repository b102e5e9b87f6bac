"""What ``engine`` and ``hinge`` compute, by ordinary operations alone.

Slower, with several tensors of the size of the logits at once, and differentiable as often as one likes: the
way of second derivatives (``create_graph=True``) and of the transforms of ``torch.func``. Everything is in
float64, so that no sum needs to be taken in pieces.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional.checks import poison, widest
from aucseg.functional.sums import ClassSums, Request
from aucseg.functional.surrogates import BilinearForm, Feature


def plain_count(rows: Tensor, num_classes: int) -> Tensor:
    """Number of pixels of each class.

    Args:
        rows: (B, P), integer labels; K and more for void.
        num_classes: number of classes K.

    Returns:
        (K,), in the widest floating point dtype of the device.
    """
    return _onehot(rows, num_classes).sum((0, 1))


def plain_sums(logits: Tensor, rows: Tensor, request: Request) -> ClassSums:
    """The sums that ``class_sums`` takes without weights, and those where each pixel has a weight of its own.

    Args:
        logits: (B, K, P), floating point.
        rows: (B, P), integer labels with K for void; K + 1 makes the sums nan.
        request: what to sum.

    Returns:
        The sums.

    Raises:
        ValueError: for a sorted surrogate, which has no sums.
    """
    k, form = request.num_classes, request.bilinear
    wide = logits.to(widest(logits.device))
    onehot = _onehot(rows, k)
    if request.pixel_weights is not None:
        onehot = onehot * request.pixel_weights.to(onehot)[..., None]
    scores = wide
    if request.activation != "identity":
        scores = wide.sigmoid() if request.activation == "sigmoid" else wide.softmax(1)
    # the own channel of a void pixel is any: no class counts it
    picked = scores.gather(1, rows.long().clamp(max=k - 1)[:, None])[:, 0]
    own = torch.einsum("jbp,bpc->cj", _features(form, form.own, picked), onehot)
    other = torch.einsum("jbcp,bpd->dcj", _features(form, form.other, scores), onehot)
    cross_entropy = wide.new_zeros(())
    if request.cross_entropy:
        cross_entropy = F.cross_entropy(wide, rows.long().clamp(max=k), reduction="sum", ignore_index=k)
    bad = poison(rows, k)
    if request.activation == "identity" and form.score_range is not None and scores.numel():
        low, high = form.score_range
        bad = bad + torch.where(((scores < low) | (scores > high)).any(), torch.nan, 0.0)
    return ClassSums(onehot.sum((0, 1)), own + bad, other + bad, cross_entropy)


def plain_hinge(
    scores: Tensor, rows: Tensor, num_classes: int, reach: float, power: int
) -> tuple[Tensor, Tensor]:
    """The pairs that ``sorted_hinge`` sums, at scale 1.

    Every pixel is sorted, whatever its class, and running sums over the positives are looked up below the
    threshold of each negative. Which positives those are is locally constant: the derivatives are right
    wherever there are any.

    Args:
        scores: (B, K, P), float32 or float64.
        rows: (B, P), 0 to K - 1, or K for void.
        num_classes: number of classes K.
        reach: score difference from which on a pair costs nothing.
        power: 1 or 2.

    Returns:
        The pixels of each class (K,), and the mean cost of each ordered pair of classes (K, K); zero on the
        diagonal and where a class has no pixel.
    """
    own = _onehot(rows, num_classes).flatten(0, 1).t()  # (K, N)
    channels = scores.movedim(1, 0).flatten(1).to(own.dtype)  # (K, N)
    channels = channels - channels.detach().mean(1, keepdim=True)
    value, order = channels.sort(1)
    positive = own.gather(1, order)
    threshold = channels + reach
    place = torch.searchsorted(value.detach().contiguous(), threshold.detach().contiguous())

    def below(weights: Tensor) -> Tensor:
        return F.pad(weights.cumsum(1), (1, 0)).gather(1, place)

    number, total = below(positive), below(positive * value)
    cost = number * threshold - total
    if power == 2:
        cost = cost * threshold - total * threshold + below(positive * value * value)
    count = own.sum(1)
    pairs = cost @ own.t() / (count[:, None] * count).clamp(min=1)
    return count, pairs * (1 - torch.eye(num_classes, dtype=pairs.dtype, device=pairs.device))


def gradient_again(outputs: list[Tensor], inputs: Tensor, weights: list[Tensor]) -> Tensor:
    """A gradient that can be differentiated, by the inputs and by the weights.

    Args:
        outputs: what was computed of the inputs by ordinary operations.
        inputs: what the gradient is by.
        weights: the gradient by each of the outputs.

    Returns:
        The shape and dtype of the inputs.
    """
    used = [(output, weight) for output, weight in zip(outputs, weights, strict=True) if output.requires_grad]
    values = [output for output, _ in used]
    (gradient,) = torch.autograd.grad(values, inputs, [weight for _, weight in used], create_graph=True)
    return gradient


def _onehot(rows: Tensor, num_classes: int) -> Tensor:
    """(B, P, K); void pixels are in no class."""
    classes = torch.arange(num_classes, dtype=rows.dtype, device=rows.device)
    return (rows[..., None] == classes).to(widest(rows.device))


def _features(form: BilinearForm, feature: Feature, scores: Tensor) -> Tensor:
    """(D, ...), the polynomials 1 to D of z(scores)."""
    z = scores * feature.slope + feature.shift
    if feature.exponential:
        z = z.exp()
    layers = [z]
    for j in range(1, form.degree):
        product = layers[-1] * z
        if form.chebyshev:  # T_{j+1} = 2 z T_j - T_{j-1}
            product = 2 * product - (layers[j - 2] if j > 1 else 1)
        layers.append(product)
    return torch.stack(layers)

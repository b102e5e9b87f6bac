"""Regions: the pixels of one class in one image, and the mean of their features (Region Rebalance, Sec. 3.2).

A feature map is small and a one-hot of it is not free either: sums are taken strip by strip, with a row only
for each class that the strip holds, and nothing of the size of pixels times classes is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.functional.checks import synchronizes

_STRIP = 2**14


@dataclass(frozen=True)
class RegionMeans:
    """The regions of a batch.

    There is a row for every class of every image (or of the batch), the ones that hold no pixel as well: how
    many there are would have to be waited for on an accelerator.

    Attributes:
        means: (N, D), mean feature of each region; zero where it has no pixel.
        label: (N,) int64, its class.
        size: (N,), its pixels, or for shares their sum; 0 where it has none.
    """

    means: Tensor
    label: Tensor
    size: Tensor


def labels_at(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels at the size of a feature map, each that of the nearest pixel.

    Args:
        rows: (B, H, W), integer.
        size: (h, w).

    Returns:
        (B, h, w), of the same dtype. A class that falls between the points that are looked at is lost.
    """
    if tuple(rows.shape[-2:]) == tuple(size):
        return rows
    return F.interpolate(rows[:, None].float(), size=tuple(size), mode="nearest-exact")[:, 0].to(rows.dtype)


def shares_at(rows: Tensor, num_classes: int, size: tuple[int, int]) -> Tensor:
    """Share of each class in the area under each cell of a feature map.

    Args:
        rows: (B, H, W), labels 0 to K - 1, larger for void.
        num_classes: K.
        size: (h, w).

    Returns:
        (B, K, h, w) float32. The shares of a cell add up to 1 less that of void; no class is lost.
    """
    shares = [F.adaptive_avg_pool2d((rows == k).float()[:, None], size)[:, 0] for k in range(num_classes)]
    return torch.stack(shares, 1)


def region_means(features: Tensor, rows: Tensor, num_classes: int, *, per_image: bool = True) -> RegionMeans:
    r"""Mean feature of the pixels of each class, in each image or in the batch.

    .. math:: \bar f_{g,k} = \frac{1}{|\Omega_{g,k}|} \sum_{p \in \Omega_{g,k}} f_p

    Args:
        features: (B, D, h, w), floating point; half precision is summed in float32.
        rows: (B, h, w) int64, labels 0 to K - 1; larger for pixels of no region.
        num_classes: K.
        per_image: a region for each image, G = B; or one for the whole batch, G = 1.

    Returns:
        The means, with the gradient of the features, at least float32.
    """
    features = features.flatten(2)
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    rows = rows.flatten(1).clamp(max=num_classes)
    sums = _SumsByClass.apply(features, rows, num_classes)
    count = torch.zeros(len(rows), num_classes + 1, dtype=torch.int64, device=rows.device)
    count = count.scatter_add_(1, rows, torch.ones_like(rows))[:, :num_classes]
    return _means(sums, count.to(sums.dtype), per_image)


def weighted_region_means(features: Tensor, shares: Tensor, *, per_image: bool = True) -> RegionMeans:
    """The same where a cell of the feature map belongs to several classes, to each with its share.

    Args:
        features: (B, D, h, w), floating point.
        shares: (B, K, h, w), not negative; see :func:`shares_at`.
        per_image: as for :func:`region_means`.

    Returns:
        The means, with the gradient of the features.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32)).flatten(2)
    shares = shares.to(features.dtype).flatten(2)
    return _means(torch.einsum("bkp,bdp->bkd", shares, features), shares.sum(2), per_image)


def connected_region_means(features: Tensor, rows: Tensor, num_classes: int) -> RegionMeans:
    """Mean feature of each connected part of a class in an image; pixels connect by their sides.

    The parts are found by SciPy on the host.

    Args:
        features: (B, D, h, w), floating point.
        rows: (B, h, w) int64, labels 0 to K - 1; larger for pixels of no region.
        num_classes: K.

    Returns:
        The means of the parts that there are, with the gradient of the features.
    """
    from scipy import ndimage  # not for those who never ask

    features = features.to(torch.promote_types(features.dtype, torch.float32)).flatten(2)
    host = rows.cpu().numpy()
    part = torch.zeros(rows.shape, dtype=torch.int64)
    label: list[int] = []
    for image, labels in enumerate(host):
        for k in range(num_classes):
            found, number = ndimage.label(labels == k)
            inside = torch.from_numpy(found).long()
            part[image] += torch.where(inside > 0, inside + len(label), 0)
            label += [k] * number
    regions = max(len(label), 1)
    ids = torch.where(part > 0, part - 1, regions).to(rows.device).flatten(1)
    sums = _SumsByClass.apply(features, ids, regions).sum(0)
    size = torch.bincount(ids.flatten(), minlength=regions + 1)[:regions].to(sums.dtype)
    classes = torch.tensor(label or [0], device=rows.device)
    return RegionMeans(sums / size.masked_fill(size == 0, 1)[:, None], classes, size)


def object_weights(rows: Tensor, num_classes: int) -> Tensor:
    r"""A weight for each pixel, so that every connected part of a class in an image counts the same.

    .. math:: w_p = 1 / |\Omega_{o(p)}|

    with the part :math:`\Omega_{o(p)}` that holds the pixel: the weights of a part add up to 1, and those of
    a class to the number of its parts. Pixels connect by their sides; SciPy finds the parts on the host.

    Args:
        rows: (B, H, W), labels 0 to K - 1; larger for pixels of no class.
        num_classes: K.

    Returns:
        (B, H, W) float64 on the host, without a gradient; 0 where a pixel is of no class.

    Example:
        >>> object_weights(torch.tensor([[[1, 0, 1, 1]]]), 2)[0, 0].tolist()
        [1.0, 1.0, 0.5, 0.5]
    """
    from scipy import ndimage  # not for those who never ask

    host = rows.detach().cpu()
    weights = torch.zeros(host.shape, dtype=torch.float64)
    for image, labels in enumerate(host):
        for k in labels.unique().tolist():
            if not 0 <= k < num_classes:
                continue
            part = torch.from_numpy(ndimage.label((labels == k).numpy())[0]).long()
            size = torch.bincount(part.flatten()).double()
            weights[image] += torch.where(part > 0, 1 / size[part], 0.0)
    return weights


def _means(sums: Tensor, size: Tensor, per_image: bool) -> RegionMeans:
    """Of (B, K, D) sums and (B, K) sizes."""
    if not per_image:
        sums, size = sums.sum(0, keepdim=True), size.sum(0, keepdim=True)
    groups, k = size.shape
    label = torch.arange(k, device=size.device).repeat(groups)
    means = sums / size.masked_fill(size == 0, 1)[..., None]
    return RegionMeans(means.flatten(0, 1), label, size.flatten())


class _SumsByClass(torch.autograd.Function):
    """(B, D, P) features and (B, P) rows 0 to K, where K is void: (B, K, D) sums.

    The sum is linear, so its gradient is a look-up: each pixel has that of its class.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, rows: Tensor, num_classes: int) -> Tensor:
        ctx.save_for_backward(rows)
        b, d, pixels = features.shape
        sums = features.new_zeros(b, num_classes, d)
        all_classes = torch.arange(num_classes, device=rows.device)
        for image in range(b):
            for start in range(0, pixels, _STRIP):
                part = rows[image, start : start + _STRIP]
                # which classes a strip holds an accelerator would have to wait for
                classes = all_classes
                if not synchronizes(rows.device):
                    classes = torch.bincount(part, minlength=num_classes + 1)[:num_classes].nonzero()[:, 0]
                onehot = (classes[:, None] == part).to(features.dtype)
                sums[image].index_add_(0, classes, onehot @ features[image, :, start : start + _STRIP].T)
        return sums

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        table = F.pad(grad, (0, 0, 0, 1)).transpose(1, 2)  # (B, D, K + 1), nothing for void
        gradients = [one.index_select(1, row) for one, row in zip(table, rows, strict=True)]
        return torch.stack(gradients), None, None

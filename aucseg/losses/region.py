"""Region Rebalance: a classifier of regions beside that of pixels, in training alone (Cui et al., 2022)."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from aucseg.errors import OptionError
from aucseg.functional.checks import WideBuffers, check_labels, check_option, class_index
from aucseg.functional.distributed import GRADIENTS, joined_ranks, scale_gradient
from aucseg.functional.logits import class_counts, log_prior
from aucseg.functional.regions import (
    RegionMeans,
    connected_region_means,
    labels_at,
    region_means,
    shares_at,
    weighted_region_means,
)
from aucseg.losses.base import mean_over_ranks
from aucseg.losses.cross_entropy import cross_entropy

REGIONS = ("image", "batch", "connected")
CLASSIFIERS = ("linear", "two_layers", "released", "simplex")
LABELS = ("nearest", "area")
_PROJECTED, _HIDDEN = 128, 512


class RegionBranch(WideBuffers):
    r"""The region branch alone: features and labels in, the region loss out (Region Rebalance, Eq. 8).

    A region is the set of all pixels of one class in one image; its feature is the mean of the features of
    its pixels. With R the regions of the batch on all ranks, :math:`r` the logits that a classifier of its
    own makes of a region's feature, y its class and F(k) the number of training images that hold class k:

    .. math::

        \ell_{reg} = \frac{1}{|R|} \sum_{\rho \in R}
            -\log \frac{F(y_\rho) \, e^{r_{\rho, y_\rho}}}{\sum_k F(k) \, e^{r_{\rho, k}}}

    The gradient reaches the features, and so decoder and encoder: that is its purpose. At inference it has no
    part and the network holds nothing of it.

    ===============  ================================================================================
    classifier       what it is
    ===============  ================================================================================
    ``linear``       D to K, as the paper's text has it (default)
    ``two_layers``   D to D, ReLU, dropout, D to K, trained
    ``released``     the one that the author names as the paper's: features projected to 128 with batch
                     norm, then 128 to 512, ReLU, dropout, 512 to K, these two frozen at random
    ``simplex``      CeCo's (Zhong et al., 2023): the same up to the 512, trained; unit length; then a
                     fixed simplex of K directions at equal angles, times ``scale``
    ===============  ================================================================================

    Args:
        counts: (K,), training images that hold each class, or statistics of a data set, of which the images
            are taken. A class that was never seen counts as the rarest that was.
        in_channels: channels D of the features.
        regions: ``"image"``, as the motive of the paper and its Eq. 7 have it; ``"batch"``: one region for
            each class and rank, as the released code; ``"connected"``: each connected part of a class of an
            image (labelled on the host, so that an accelerator is waited for).
        prior: whether F is in the loss. Without it, it is a plain softmax: ablation I of Figure 7.
        classifier: one of the table.
        labels: how labels come to the size of the features. ``"nearest"`` pixel: a class that lies between
            is lost; ``"area"``: each cell belongs to all classes under it, with their shares.
        label_smoothing: share of the target that is spread over the other K - 1 classes.
        dropout: probability, where the classifier has one.
        scale: factor of the logits of ``"simplex"``.
        ignore_index: label of void pixels, which are in no region.
        process_group, gradients: see :class:`aucseg.losses.PixelwiseLoss`; the mean is over the regions of
            all ranks.
        validate: see :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for an option that does not exist or counts that are none.

    Shape:
        features (B, D, h, w), floating point, the ones that the pixel classifier gets; target (B, H, W),
        integer, of any size; a scalar comes out, at least float32. It is zero, with a gradient of zero,
        where there is no region.

    Example:
        >>> branch = RegionBranch([90, 10, 4], in_channels=8)
        >>> features = torch.randn(2, 8, 16, 16, requires_grad=True)
        >>> branch(features, torch.randint(0, 3, (2, 64, 64))).backward()

    """

    log_prior: Tensor | None

    def __init__(
        self,
        counts: Any,
        in_channels: int,
        *,
        regions: str = "image",
        prior: bool = True,
        classifier: str = "linear",
        labels: str = "nearest",
        label_smoothing: float = 0.0,
        dropout: float = 0.1,
        scale: float = 5.0,
        ignore_index: int = 255,
        process_group: dist.ProcessGroup | Literal["auto"] | None = "auto",
        gradients: str = "averaged",
        validate: bool = True,
    ) -> None:
        super().__init__()
        for what, name, known in (
            ("regions", regions, REGIONS),
            ("classifier", classifier, CLASSIFIERS),
            ("labels", labels, LABELS),
            ("gradients", gradients, GRADIENTS),
        ):
            check_option(what, name, known)
        if regions == "connected" and labels == "area":
            raise OptionError("connected regions are parts of whole labels; use labels='nearest'")
        for what, value in (("label_smoothing", label_smoothing), ("dropout", dropout)):
            if not 0 <= value < 1:
                raise OptionError(f"{what} is a share in [0, 1), got {value!r}")
        if not scale > 0:
            raise OptionError(f"scale must be positive, got {scale!r}")
        images = class_counts(counts, unit="images")
        self.num_classes, self.in_channels = len(images), in_channels
        self.regions, self.classifier, self.labels, self.scale = regions, classifier, labels, scale
        self.label_smoothing, self.ignore_index, self.validate = label_smoothing, ignore_index, validate
        self.process_group, self.gradients = process_group, gradients
        self.register_buffer("log_prior", log_prior(images) if prior else None, persistent=False)
        k, d = self.num_classes, in_channels
        self.project: nn.Module = nn.Identity()
        if classifier in ("released", "simplex"):
            convolution = nn.Conv2d(d, _PROJECTED, 1, bias=False)
            self.project = nn.Sequential(convolution, nn.BatchNorm2d(_PROJECTED))
            hidden = [nn.Linear(_PROJECTED, _HIDDEN), nn.ReLU(), nn.Dropout(dropout)]
            if classifier == "released":
                self.classify = nn.Sequential(*hidden, nn.Linear(_HIDDEN, k))
                self.requires_grad_(False)
            else:
                self.classify = nn.Sequential(*hidden, SimplexClassifier(_HIDDEN, k, scale=scale))
        elif classifier == "two_layers":
            self.classify = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Dropout(dropout), nn.Linear(d, k))
        else:
            self.classify = nn.Sequential(nn.Linear(d, k))

    @classmethod
    def released(cls, counts: Any, in_channels: int, **options: Any) -> RegionBranch:
        """The branch as its author released it, which is not the paper's; its weight is 1.

        One region for each class and rank, the frozen classifier, half of the target spread over the others.

        Args:
            counts: as for the class.
            in_channels: as for the class.
            options: any other option of the class.
        """
        changed: dict[str, Any] = {"regions": "batch", "classifier": "released", "label_smoothing": 0.5}
        return cls(counts, in_channels, **(changed | options))

    @classmethod
    def ceco(cls, counts: Any, in_channels: int, **options: Any) -> RegionBranch:
        """Center Collapse (Zhong et al., 2023): regions of the batch, a fixed simplex; its weight is 0.8.

        Args:
            counts: as for the class.
            in_channels: as for the class.
            options: any other option of the class.
        """
        changed: dict[str, Any] = {"regions": "batch", "classifier": "simplex"}
        return cls(counts, in_channels, **(changed | options))

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        """The region loss of a batch.

        Args:
            features: (B, D, h, w), floating point.
            target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``.

        Returns:
            A scalar.

        Raises:
            TypeError: if the features are not floating point or the target is not integer.
            ValueError: if shapes do not fit or a label is outside the classes.
        """
        self._check(features, target)
        rows = class_index(target, self.num_classes, self.ignore_index, validate=self.validate)
        with torch.autocast(features.device.type, enabled=False):
            wide = features.to(torch.promote_types(features.dtype, torch.float32))
            found = self.find(self.project(wide), rows)
            logits = self.classify(found.means)
            if self.log_prior is not None:
                logits = logits + self.log_prior.to(logits)
            k = self.num_classes
            there = found.size > 0
            # PyTorch spreads its smoothing over the true class too
            losses = F.cross_entropy(
                logits,
                found.label,
                reduction="none",
                label_smoothing=self.label_smoothing * k / (k - 1) if self.label_smoothing else 0.0,
            )
            group, factor = joined_ranks(self.process_group if self.training else None, self.gradients)
            value = mean_over_ranks(losses.masked_fill(~there, 0).sum(), there.sum(), group)
            return scale_gradient(value, factor).to(losses.dtype)

    def find(self, features: Tensor, rows: Tensor) -> RegionMeans:
        """The regions of a batch and the means of their features.

        Args:
            features: (B, D, h, w).
            rows: (B, H, W), labels 0 to K - 1, larger for void.
        """
        size = (features.shape[-2], features.shape[-1])
        per_image = self.regions != "batch"
        if self.labels == "area":
            shares = shares_at(rows, self.num_classes, size)
            return weighted_region_means(features, shares, per_image=per_image)
        near = labels_at(rows, size)
        if self.regions == "connected":
            return connected_region_means(features, near, self.num_classes)
        return region_means(features, near, self.num_classes, per_image=per_image)

    def _check(self, features: Tensor, target: Tensor) -> None:
        if not isinstance(features, Tensor) or not features.is_floating_point():
            kind = features.dtype if isinstance(features, Tensor) else type(features).__name__
            raise TypeError(f"features must be a floating point tensor, got {kind}")
        check_labels(target)
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            raise ValueError(
                f"features must have shape (B, {self.in_channels}, h, w), got {tuple(features.shape)}; "
                f"in_channels is what the pixel classifier takes"
            )
        if target.ndim != 3 or len(target) != len(features):
            raise ValueError(
                f"target must have shape ({len(features)}, H, W) for features of {len(features)} images, "
                f"got {tuple(target.shape)}"
            )

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = ("num_classes", "in_channels", "regions", "classifier", "labels", "ignore_index")
        return f"prior={self.log_prior is not None}, " + ", ".join(f"{n}={getattr(self, n)!r}" for n in names)


class SimplexClassifier(nn.Module):
    r"""K fixed directions at equal angles, and the cosines of features with them (CeCo, Eq. 3).

    .. math::

        M = \sqrt{\tfrac{K}{K - 1}} \, U \bigl(I_K - \tfrac1K \mathbf 1 \mathbf 1^\top\bigr), \qquad
        r = s \, M^\top \frac{x}{\lVert x \rVert}

    with U a random rotation of K orthonormal columns. Any two columns of M have the cosine -1 / (K - 1), the
    least that K directions can all have to each other.

    Args:
        in_channels: D, at least K.
        num_classes: K.
        scale: s.

    Raises:
        ValueError: if there is no room for so many directions.
    """

    directions: Tensor

    def __init__(self, in_channels: int, num_classes: int, *, scale: float = 5.0) -> None:
        super().__init__()
        if in_channels < num_classes:
            raise OptionError(
                f"{num_classes} orthonormal columns need at least as many channels, got {in_channels}"
            )
        rotation, _ = torch.linalg.qr(torch.randn(in_channels, num_classes, dtype=torch.float64))
        centred = torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes
        directions = (num_classes / (num_classes - 1)) ** 0.5 * rotation @ centred
        self.scale = scale
        self.register_buffer("directions", directions.float())

    def forward(self, features: Tensor) -> Tensor:
        """(N, K) logits.

        Args:
            features: (N, D).
        """
        return self.scale * F.normalize(features, dim=1) @ self.directions.to(features)


class RegionRebalanceLoss(nn.Module):
    r"""Cross entropy of the pixels and a region branch beside it (Region Rebalance, Eq. 9).

    .. math:: \ell = \ell_{pixel} + \lambda \, \ell_{reg}

    In evaluation mode, and where no features are given in it, it is the pixels' part alone.

    Args:
        counts: (K,), training images that hold each class, see :class:`RegionBranch`.
        in_channels: channels D of the features.
        weight: :math:`\lambda`. 0.3 in the paper's tables; 1 with the released branch, 0.8 for CeCo.
        pixel_loss: the pixels' part, any ``loss(logits, target)``; plain cross entropy if not given.
        ignore_index: label of void pixels.
        options: those of :class:`RegionBranch`.

    Shape:
        logits (B, K, H, W); target (B, H, W); features (B, D, h, w), what the last layer of the network made
        the logits of: for a model of segmentation-models-pytorch ``model.decoder(model.encoder(images))``,
        or for both at once :func:`aucseg.models.forward_with_features`.

    Example:
        >>> loss = RegionRebalanceLoss([90, 10, 4], in_channels=8)
        >>> logits, features = torch.randn(2, 3, 64, 64), torch.randn(2, 8, 16, 16)
        >>> value = loss(logits, torch.randint(0, 3, (2, 64, 64)), features)

    """

    def __init__(
        self,
        counts: Any,
        in_channels: int,
        *,
        weight: float = 0.3,
        pixel_loss: nn.Module | None = None,
        ignore_index: int = 255,
        **options: Any,
    ) -> None:
        super().__init__()
        if not weight >= 0:
            raise OptionError(f"weight must not be negative, got {weight!r}")
        self.weight, self.ignore_index, self.pixel_loss = weight, ignore_index, pixel_loss
        self.branch = RegionBranch(counts, in_channels, ignore_index=ignore_index, **options)

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K, H, W), floating point.
            target: (B, H, W), integer.
            features: (B, D, h, w), floating point.

        Raises:
            ValueError: in training mode without features; and as :class:`RegionBranch`.
        """
        if self.pixel_loss is None:
            pixels = cross_entropy(logits, target, ignore_index=self.ignore_index)
        else:
            pixels = self.pixel_loss(logits, target)
        if features is None:
            if self.training:
                raise ValueError(
                    "the region branch wants the features too: loss(logits, target, features); "
                    "aucseg.models.forward_with_features returns both, .eval() leaves the branch out"
                )
            return pixels
        if not self.training:
            return pixels
        value: Tensor = pixels + self.weight * self.branch(features, target)
        return value

"""PointRend: a coarse segmentation, corrected point by point where it is unsure (Kirillov et al., 2020)."""

from __future__ import annotations

from collections import OrderedDict
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork

from aucseg.errors import OptionError
from aucseg.losses import cross_entropy
from aucseg.models.networks.base import AuxiliaryTerm, ClassifierHead, Network, Outputs, build_encoder, resize


def values_at(features: Tensor, points: Tensor) -> Tensor:
    """Features at points between the pixels, bilinearly.

    At pixel centres of any finer grid this is what ``F.interpolate(..., align_corners=False)`` gives: beyond
    the outermost centres the border is repeated. The released code of PointRend fades to zero there.

    Args:
        features: (B,C,h,w).
        points: (B,P,2) x and y in [0,1], from the left and upper to the right and lower edge of the image.

    Returns:
        (B,C,P) in float32 or wider: positions in half precision would be off by whole pixels.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    grid = (2 * points.to(wide) - 1).unsqueeze(2)
    found = F.grid_sample(
        features.to(wide), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return found.squeeze(3)


def labels_at(target: Tensor, points: Tensor) -> Tensor:
    """Labels (B,P) of the pixels of (B,H,W) in which points (B,P,2), as in :func:`values_at`, lie."""
    height, width = target.shape[-2:]
    column = (points[..., 0] * width).long().clamp(0, width - 1)
    row = (points[..., 1] * height).long().clamp(0, height - 1)
    return target.flatten(1).gather(1, row * width + column)


def uncertainty(logits: Tensor) -> Tensor:
    """How little the first choice is ahead of the second: (B,P) from (B,K,P), at most zero, for a tie.

    One channel z stands for the logits (0, z) of two classes.
    """
    if logits.shape[1] == 1:
        return -logits[:, 0].abs()
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return second - first


@torch.no_grad()
def training_points(coarse: Tensor, count: int, oversample: int, important: float) -> Tensor:
    """Random points for training, most of them where the coarse prediction is uncertain.

    Of ``oversample * count`` points drawn uniformly the ``important * count`` most uncertain are kept, and
    as many uniform ones added as are wanting (Kirillov et al., 2020, section 3.1, "training").

    Args:
        coarse: (B,K,h,w) logits.
        count: points in each image.
        oversample: how many times as many to draw.
        important: share of the points that are chosen by their uncertainty, in [0,1].

    Returns:
        (B,count,2), as in :func:`values_at`.
    """
    batch = len(coarse)
    kept = round(important * count)
    drawn = torch.rand(batch, oversample * count, 2, device=coarse.device)
    order = uncertainty(values_at(coarse, drawn)).topk(kept, dim=1).indices
    chosen = drawn.gather(1, order.unsqueeze(2).expand(-1, -1, 2))
    return torch.cat([chosen, torch.rand(batch, count - kept, 2, device=coarse.device)], dim=1)


def uncertain_pixels(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The pixels where logits are least certain, at most ``count`` of them.

    Args:
        logits: (B,K,h,w).
        count: how many; all where there are fewer pixels.

    Returns:
        Indices (B,P) into the h*w pixels, and their centres (B,P,2) as in :func:`values_at`.
    """
    height, width = logits.shape[-2:]
    indices = uncertainty(logits.flatten(2)).topk(_at_most(count, height * width), dim=1).indices
    column, row = indices % width, torch.div(indices, width, rounding_mode="floor")
    return indices, torch.stack([(column + 0.5) / width, (row + 0.5) / height], dim=2)


def _at_most(count: int, pixels: int | Tensor) -> Any:
    """The smaller number, which a trace and an exported program keep open for images of other sizes."""
    # sizes are tensors while torch.jit.trace looks, where Python's min would settle which one it is
    return pixels.clamp(max=count) if isinstance(pixels, Tensor) else torch.sym_min(count, pixels)


LEVELS = 4


class SemanticFPN(nn.Module):
    """A feature pyramid and its sum at 1/4 (Kirillov et al., 2019, Panoptic Feature Pyramid Networks).

    Each level goes through a 3x3 convolution and to the size of the next finer one, until all are at 1/4.
    Batch norm here; the paper and smp's FPN have group norm, and smp leaves out the pyramid's 3x3.

    Args:
        encoder_channels: channels of the stages of the encoder, as smp's ``out_channels``.
        channels: channels of the pyramid; the sum has half of them.
    """

    def __init__(self, encoder_channels: list[int], channels: int) -> None:
        super().__init__()
        self.out_channels = channels // 2
        self.pyramid = FeaturePyramidNetwork(encoder_channels[-LEVELS:], channels)
        self.branches = nn.ModuleList(self._branch(channels, max(1, level)) for level in range(LEVELS))

    def _branch(self, channels: int, steps: int) -> nn.Sequential:
        out = self.out_channels
        return nn.Sequential(*(Conv2dNormActivation(out if i else channels, out, 3) for i in range(steps)))

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The sum (B,C/2,H/4,W/4), and the finest level (B,C,H/4,W/4) of the pyramid."""
        stages = OrderedDict((str(level), stage) for level, stage in enumerate(features[-LEVELS:]))
        pyramid = list(self.pyramid(stages).values())
        branches = []
        for level, (branch, convolutions) in enumerate(zip(pyramid, self.branches.children(), strict=True)):
            for step, convolution in enumerate(convolutions.children(), start=1):
                branch = resize(convolution(branch), pyramid[max(0, level - step)].shape[-2:])
            branches.append(branch)
        return reduce(torch.add, branches), pyramid[0]


class PointHead(nn.Module):
    """A small perceptron that classifies single points, with the coarse logits put in before each layer.

    Args:
        channels: channels C of the fine features, and of its three hidden layers.
        num_classes: number of classes K.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Conv1d(channels + num_classes, channels, 1) for _ in range(3))
        self.out = nn.Conv1d(channels + num_classes, num_classes, 1)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.startswith("hidden"):
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            else:
                nn.init.normal_(parameter, std=0.01)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Logits (B,K,P) from fine features (B,C,P) and coarse logits (B,K,P) of the same points."""
        # values at points come in float32; a network in half precision has weights in it
        fine = fine.to(self.out.weight.dtype)
        for layer in self.hidden:
            fine = layer(torch.cat([fine, coarse.to(fine.dtype)], dim=1)).relu()
        logits: Tensor = self.out(torch.cat([fine, coarse.to(fine.dtype)], dim=1))
        return logits


def point_cross_entropy(outputs: Outputs, target: Tensor, ignore_index: int) -> Tensor:
    """Cross entropy of point logits (B,K,P) at points (B,P,2), each with the label of its pixel."""
    logits, points = outputs
    return cross_entropy(logits.float(), labels_at(target, points), ignore_index=ignore_index)


class PointRend(Network):
    """Semantic FPN whose logits a point head refines.

    In training the main logits are the coarse ones, which the AUC loss acts on, and the point head learns
    from ``train_points`` random points, three quarters of them the most uncertain of three times as many
    (``points``, cross entropy of weight 1). In evaluation the coarse logits grow twice to double their size,
    the second time to the size of the image, and after each the ``eval_points`` most uncertain pixels are
    classified anew.

    Args:
        encoder_name: encoder of smp or timm.
        encoder_weights: as smp.
        decoder_channels: channels of the feature pyramid and the point head; the semantic head has half.
        train_points: points in each image in training; as many as it has pixels where it has fewer.
        eval_points: pixels refined after each of the two steps.
        in_channels: channels of the images.
        classes: number of classes K.
        plain_logits: must be false, because the point head learns from auxiliary outputs alone.
        kwargs: further arguments of a timm encoder.
    """

    oversample = 3
    important = 0.75

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = "resnet50",
        encoder_weights: str | None = None,
        decoder_channels: int = 256,
        train_points: int = 2048,
        eval_points: int = 8196,
        in_channels: int = 3,
        classes: int = 19,
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
        if plain_logits:
            raise OptionError(
                "pointrend refines its logits with a head that learns from auxiliary outputs alone: with "
                "plain_logits it would stay untrained",
                remedy="leave plain_logits out and add model.auxiliary_losses(...) to the loss",
            )
        if train_points < 1 or eval_points < 1:
            raise OptionError(
                f"train_points and eval_points must be at least 1, got {train_points} and {eval_points}"
            )
        self.train_points, self.eval_points = train_points, eval_points
        self.encoder = build_encoder(
            encoder_name, weights=encoder_weights, network="pointrend", in_channels=in_channels, **kwargs
        )
        self.decoder = SemanticFPN(self.encoder.out_channels, decoder_channels)
        self.segmentation_head = ClassifierHead(self.decoder.out_channels, classes)
        self.point_head = PointHead(decoder_channels, classes)
        self.auxiliary = {"points": AuxiliaryTerm(1.0, point_cross_entropy)}
        self.initialize()

    def decode(self, features: list[Tensor], images: Tensor) -> tuple[Tensor, dict[str, Outputs]]:
        """Coarse logits and the logits of points in training, refined logits in evaluation mode."""
        semantic, fine = self.decoder(features)
        coarse = self.segmentation_head(semantic)
        height, width = images.shape[-2:]
        if not self.training:
            return self.refined(coarse, fine, (height, width)), {}
        count = min(self.train_points, height * width)
        points = training_points(coarse, count, self.oversample, self.important)
        return coarse, {"points": (self.logits_at(points, coarse, fine), points)}

    def logits_at(self, points: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
        """Logits (B,K,P) of points (B,P,2) from coarse logits (B,K,h,w) and fine features (B,C,h,w)."""
        logits: Tensor = self.point_head(values_at(fine, points), values_at(coarse, points))
        return logits

    def refined(self, coarse: Tensor, fine: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits (B,K,*size): the coarse ones enlarged in two steps, uncertain pixels anew in each."""
        height, width = coarse.shape[-2:]
        logits = coarse
        for step in ((2 * height, 2 * width), size):
            logits = resize(logits, step)
            indices, points = uncertain_pixels(logits, self.eval_points)
            anew = self.logits_at(points, coarse, fine).to(logits.dtype)
            where = indices.unsqueeze(1).expand(-1, anew.shape[1], -1)
            logits = logits.flatten(2).scatter(2, where, anew).unflatten(2, step)
        return logits

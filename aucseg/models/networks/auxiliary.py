"""Auxiliary outputs: what a network says besides its logits while it is trained, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.losses import cross_entropy

# One tensor for most; points or edges need several.
Outputs = Tensor | tuple[Tensor, ...]


class TrainingOutput(NamedTuple):
    """What a network returns in training mode; in evaluation mode it returns the logits alone.

    Attributes:
        logits: (B,K,H,W), the main logits at the size of the images. Losses for the long tail, the AUC loss
            among them, act on these only.
        auxiliary: outputs of the auxiliary branches by name, for :meth:`Network.auxiliary_losses`.
    """

    logits: Tensor
    auxiliary: dict[str, Outputs]


@dataclass(frozen=True)
class AuxiliaryTerm:
    """One term that a network adds to the training objective.

    Attributes:
        weight: its factor.
        loss: a function of (outputs, target (B,H,W) int64, void label) that gives a scalar.
    """

    weight: float
    loss: Callable[[Outputs, Tensor, int], Tensor]


def resized_cross_entropy(logits: Outputs, target: Tensor, ignore_index: int) -> Tensor:
    """Cross entropy of (B,K,h,w) logits, brought bilinearly to the size of the labels."""
    assert isinstance(logits, Tensor)
    return cross_entropy(resize(logits, target.shape[-2:]).float(), target, ignore_index=ignore_index)


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """(B,C,h,w) brought bilinearly to (height, width), corners not aligned."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features, size=(size[0], size[1]), mode="bilinear", align_corners=False)


class Classifier(nn.Sequential):
    """The tail of a head: Dropout2d(``dropout``) and a 1x1 convolution to the classes.

    Args:
        in_channels: channels that come in.
        num_classes: number of classes K.
        dropout: share of channels dropped in training.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__(nn.Dropout2d(dropout), nn.Conv2d(in_channels, num_classes, 1))


class FCNHead(nn.Sequential):
    """The usual auxiliary head: one 3x3 convolution with batch norm and ReLU, then a :class:`Classifier`.

    Args:
        in_channels: channels of the features it looks at.
        channels: its own channels.
        num_classes: number of classes K.
    """

    def __init__(self, in_channels: int, channels: int, num_classes: int) -> None:
        super().__init__(Conv2dNormActivation(in_channels, channels, 3), Classifier(channels, num_classes))

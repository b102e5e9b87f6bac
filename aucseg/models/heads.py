"""The classifier at the end of a network, and the features that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucseg.errors import OptionError, did_you_mean
from aucseg.models.networks.base import TrainingOutput

HEADS = ("linear", "cosine", "aligned", "aligned_relu")


def classifier(model: nn.Module) -> nn.Conv2d:
    """The convolution that makes class scores of features: the last one of the segmentation head.

    It is the one module whose output has a channel for each class; what follows it resizes. Its weights
    (K,D,k,k) hold what the network knows of each class; k is 1, and 3 for some networks of smp.

    Args:
        model: a network of :func:`create_model`, or any other whose head is called ``segmentation_head``.

    Raises:
        TypeError: if the network has no such head, or the head no convolution.
    """
    head = getattr(model, "segmentation_head", None)
    convolutions = list(_convolutions(head)) if head is not None else []
    if not convolutions:
        raise TypeError(
            f"{type(model).__name__} has no convolution in a segmentation_head; name the module that ends in "
            "its classifier so, as networks of segmentation-models-pytorch do"
        )
    return convolutions[-1]


def _convolutions(module: nn.Module) -> Iterator[nn.Conv2d]:
    """Convolutions in their order; what one of them holds inside is its own."""
    if isinstance(module, nn.Conv2d):
        yield module
        return
    for child in module.children():
        yield from _convolutions(child)


def forward_with_features(model: nn.Module, images: Tensor) -> tuple[Tensor | TrainingOutput, Tensor]:
    """What a network answers, and the features that its :func:`classifier` made the answer of.

    For losses that look at features, as Region Rebalance's region branch does. The features are part of the
    same graph: a loss of them reaches decoder and encoder. In training mode dropout has acted on them.
    PointRend corrects single points afterwards; its
    features are those of its coarse logits.

    Args:
        model: a network of :func:`create_model`, or another that :func:`classifier` knows.
        images: (B,3,H,W) float, of a size that the network takes.

    Returns:
        What ``model(images)`` returns, logits (B,K,H,W) or, from a :class:`Network` in training mode, a
        :class:`TrainingOutput`; and features (B,D,h,w) at the size that the head works at.
        ``classifier(model)(features)`` is the logits at that size.

    Raises:
        TypeError: if the network has no classifier to be found.
        RuntimeError: if it does not classify just once.
    """
    seen: list[Tensor] = []
    with classifier(model).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        output = model(images)
    if len(seen) != 1:
        raise RuntimeError(f"{type(model).__name__} called its classifier {len(seen)} times, not once")
    return output, seen[0]


class CosineConv2d(nn.Conv2d):
    r"""A convolution whose output is the cosine between its kernels and what lies under them.

    .. math:: \cos_k = \frac{\langle w_k, x \rangle}{\lVert w_k \rVert \, \lVert x \rVert}

    with x the features (D, k, k) under the kernel, zeros where they are padded; the cosine with zeros alone
    is 0. It has no bias. Its arguments are those of ``nn.Conv2d`` of one group.

    Shape:
        (B, D, H, W) to (B, K, H', W'), in [-1, 1].
    """

    def forward(self, input: Tensor) -> Tensor:
        """Cosines (B, K, H', W') of features (B, D, H, W)."""
        size = self.weight.flatten(1).norm(dim=1).clamp(min=torch.finfo(self.weight.dtype).tiny)
        product = self._conv_forward(input, self.weight / size[:, None, None, None], None)
        with torch.autocast(input.device.type, enabled=False):
            square = input.float().square().sum(1, keepdim=True)
            if (self.kernel_size, self.stride, self.padding) != ((1, 1), (1, 1), (0, 0)):
                under = square.new_ones((1, 1, *self.kernel_size))
                square = F.conv2d(square, under, None, self.stride, self.padding, self.dilation)
            # of a pixel whose features are all zero, as after a ReLU, the root has no derivative
            length = square.clamp(min=torch.finfo(square.dtype).tiny).sqrt()
            return (product.to(length.dtype) / length).to(product.dtype)


class AlignedConv2d(nn.Conv2d):
    r"""A classifier with scores aligned class by class, as far as a gate lets them (DisAlign, CVPR 2021).

    .. math::

        z' = c \, (s \odot z + b) + (1 - c) \, z, \qquad
        c = \operatorname{sigmoid}(\operatorname{BN}(\langle v, x \rangle))

    with the scores z of the convolution itself, a scale s and a shift b for each class, and a confidence c
    for each pixel, of its features x. It begins at s = 1 and b = 0, so that z' = z. The paper has no ReLU;
    the released code puts one before the sigmoid, which keeps c at 0.5 or above.

    Args:
        arguments: those of ``nn.Conv2d``, of a convolution whose output has the size of its input.
        relu: put a ReLU before the sigmoid, as the released code does.
        options: those of ``nn.Conv2d``.

    Attributes:
        scale, shift: s and b, (K,).
        confidence: (B, D, H, W) to what the sigmoid gets, (B, 1, H, W).

    Raises:
        ValueError: for a convolution that changes the size.

    Shape:
        (B, D, H, W) to (B, K, H, W).
    """

    def __init__(self, *arguments: Any, relu: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        same = self.padding == "same" or [2 * int(p) for p in self.padding] == reach
        if self.stride != (1, 1) or not same:
            raise OptionError(
                f"an aligned head has a confidence for each pixel that it classifies; got a convolution that "
                f"changes the size: kernel {self.kernel_size}, stride {self.stride}, padding {self.padding}"
            )
        place: Any = {"device": self.weight.device, "dtype": self.weight.dtype}
        self.scale = nn.Parameter(torch.ones(self.out_channels, **place))
        self.shift = nn.Parameter(torch.zeros(self.out_channels, **place))
        gate = [nn.Conv2d(self.in_channels, 1, 1, bias=False, **place), nn.BatchNorm2d(1, **place)]
        self.confidence = nn.Sequential(*gate, *([nn.ReLU()] if relu else []))

    def alignment(self) -> dict[str, nn.Parameter]:
        """What is beside the classifier's own weights: scale, shift and confidence, by name."""
        own = ("weight", "bias")
        return {name: value for name, value in self.named_parameters() if name not in own}

    def forward(self, input: Tensor) -> Tensor:
        """Aligned scores (B, K, H, W) of features (B, D, H, W)."""
        scores = super().forward(input)
        gate = self.confidence(input).sigmoid()
        change = (self.scale - 1)[:, None, None] * scores + self.shift[:, None, None]
        return scores + gate * change


def use_head(model: nn.Module, head: str) -> nn.Module:
    """Give a network another classifier, in place.

    Args:
        model: a network that :func:`classifier` knows.
        head: ``"linear"``, what networks have; or ``"cosine"``: logits are the cosines between features and
            the weights of each class, in [-1, 1], as LDAM's margins and Gaussian clouds presume. The kernels
            begin as those of the linear head; its bias is dropped. To be trained with a loss that has a
            scale, as these two have: a softmax of cosines alone is nearly flat. ``"aligned"``, and
            ``"aligned_relu"`` as in the released code: :class:`AlignedConv2d`, which begins as the linear
            head and keeps the names of its weights, for the second stage of DisAlign.

    Returns:
        The network.

    Raises:
        ValueError: for an unknown head, or a network whose answer is not its classifier's alone.
        TypeError: if the network has no classifier to be found.
    """
    if head not in HEADS:
        raise OptionError(f"unknown head {head!r}; {did_you_mean(head, HEADS)}")
    if head == "linear":
        return model
    if hasattr(model, "point_head"):
        raise OptionError(
            f"{type(model).__name__} corrects single points by logits of a second classifier, which head "
            f"{head!r} does not reach; use another network or head 'linear'"
        )
    old = classifier(model)
    geometry: Any = (old.kernel_size, old.stride, old.padding, old.dilation)
    options: Any = {"device": old.weight.device, "dtype": old.weight.dtype}
    new: nn.Conv2d
    if head == "cosine":
        options |= {"bias": False}
        new = CosineConv2d(old.in_channels, old.out_channels, *geometry, **options)
    else:
        options |= {"bias": old.bias is not None, "relu": head == "aligned_relu"}
        new = AlignedConv2d(old.in_channels, old.out_channels, *geometry, **options)
    with torch.no_grad():
        new.weight.copy_(old.weight)
        if new.bias is not None and old.bias is not None:
            new.bias.copy_(old.bias)
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
    return model

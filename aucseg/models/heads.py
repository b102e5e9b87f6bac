"""The classifier at the end of a network, and the features that it reads."""

from __future__ import annotations

from torch import Tensor, nn

from aucseg.models.networks.base import TrainingOutput


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
    convolutions = [m for m in head.modules() if isinstance(m, nn.Conv2d)] if head is not None else []
    if not convolutions:
        raise TypeError(
            f"{type(model).__name__} has no convolution in a segmentation_head; name the module that ends in "
            "its classifier so, as networks of segmentation-models-pytorch do"
        )
    return convolutions[-1]


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

"""Running a network on images of any size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def padded_logits(model: nn.Module, images: Tensor, *, multiple: int = 32) -> Tensor:
    """Logits for images whose height or width the network cannot take.

    Encoders halve their input several times, so they need sides that are multiples of their stride. Images
    are padded at the right and the bottom by repeating the border, and the logits are cut back.

    Args:
        model: maps (B,3,H,W) to (B,K,H,W) where H and W are multiples of ``multiple``.
        images: (B,3,H,W) float.
        multiple: largest stride of the encoder, in pixels.

    Returns:
        (B,K,H,W) logits of the images' own size.
    """
    height, width = images.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    if right or bottom:
        images = F.pad(images, (0, right, 0, bottom), mode="replicate")
    logits: Tensor = model(images)
    return logits[..., :height, :width]


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, *, multiple: int = 32) -> Tensor:
    """Class ids for normalised images, in evaluation mode and without gradients.

    Args:
        model: as for :func:`padded_logits`.
        images: (B,3,H,W) float, normalised as in training.
        multiple: largest stride of the encoder, in pixels.

    Returns:
        (B,H,W) int64; the model is left in the mode it was in.
    """
    training = model.training
    model.eval()
    try:
        return padded_logits(model, images, multiple=multiple).argmax(dim=1)
    finally:
        model.train(training)

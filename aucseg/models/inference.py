"""Running a network on images of any size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def padded_logits(model: nn.Module, images: Tensor, *, multiple: int | None = None) -> Tensor:
    """Logits for images whose height or width the network cannot take.

    Encoders halve their input several times, so most networks need sides that are multiples of their stride.
    Images are padded at the right and the bottom by repeating the border, and the logits are cut back.

    Args:
        model: maps (B,3,H,W) to (B,K,H,W) where H and W are multiples of ``multiple``. In training mode a
            :class:`Network` returns its auxiliary outputs too; call it by itself then.
        images: (B,3,H,W) float.
        multiple: largest stride of the encoder, in pixels. ``None`` is 32, or 1 for a network that says that
            it takes any size (smp's ``requires_divisible_input_shape``).

    Returns:
        (B,K,H,W) logits of the images' own size.

    Raises:
        TypeError: if the network returns more than logits.
    """
    height, width = images.shape[-2:]
    logits = model(pad_to_multiple(images, needed_multiple(model) if multiple is None else multiple))
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"{type(model).__name__} returned {type(logits).__name__} and not logits; it is in training "
            "mode: call model.eval() first, or model(images) for its auxiliary outputs"
        )
    return logits[..., :height, :width]


def needed_multiple(model: nn.Module) -> int:
    """What the sides of an image must be multiples of, in pixels: 32, or 1 where any size will do."""
    return 32 if getattr(model, "requires_divisible_input_shape", True) else 1


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Images (B,C,H,W) padded at the right and the bottom by repeating the border.

    Args:
        images: (B,C,H,W) float.
        multiple: what height and width shall be multiples of, in pixels.
    """
    right, bottom = -images.shape[-1] % multiple, -images.shape[-2] % multiple
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if right or bottom else images


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, *, multiple: int | None = None) -> Tensor:
    """Class ids for normalised images, in evaluation mode and without gradients.

    Args:
        model: as for :func:`padded_logits`.
        images: (B,3,H,W) float, normalised as in training.
        multiple: as for :func:`padded_logits`.

    Returns:
        (B,H,W) int64; the model is left in the mode it was in.
    """
    training = model.training
    model.eval()
    try:
        return padded_logits(model, images, multiple=multiple).argmax(dim=1)
    finally:
        model.train(training)

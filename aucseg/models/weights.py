"""Pretrained weights of encoders from local files."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


def load_encoder_weights(encoder: nn.Module, path: str | Path) -> None:
    """Load weights into an encoder from a local file; nothing is fetched.

    Args:
        encoder: an encoder of smp's kind.
        path: a safetensors file, or a torch file that holds tensors only.

    Raises:
        ValueError: listing every key that is missing, unknown or of another shape.
    """
    path = Path(path)
    state: dict[str, Tensor] = (
        load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    )
    encoder.load_state_dict(state)

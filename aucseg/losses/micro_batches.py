"""A batch that is too large for one pass, with the exact gradient of any loss of the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint

from aucseg.functional.checks import check_count


def micro_batched(
    network: nn.Module, images: Tensor, size: int, *, logits: Callable[[Any], Tensor] | None = None
) -> Tensor:
    """Logits of a batch, of which the network sees only some images at a time, backward too.

    Ordinary gradient accumulation adds the gradients of the losses of micro-batches. For a loss that compares
    the pixels of one image with those of another, as the AUC loss does, that is not the gradient of the loss
    of the batch: pairs across micro-batches are missing. Here the loss gets the logits of the whole batch, so
    that its gradient is exact whichever loss it is. The network runs on ``size`` images, keeps none of its
    activations (gradient checkpointing), and runs once more in the backward pass: that costs a second forward
    pass, and saves all memory but that of one micro-batch and the logits. Set the trainer's own accumulation
    to 1.

    Dropout repeats its choice in the second run. Batch norm takes the statistics of a micro-batch, as in
    ordinary accumulation, and moves its running ones in the first run only.

    Args:
        network: takes (B, C, H, W).
        images: (B, C, H, W), the whole batch.
        size: images of a micro-batch, at least 1; the last may have fewer.
        logits: what of the network's output is wanted, a function of it; None where it is the logits.

    Returns:
        What the network gives for all images, one micro-batch after the other.

    Raises:
        OptionError: if ``size`` is no positive integer.

    Example:
        >>> network = nn.Conv2d(3, 5, 1)
        >>> micro_batched(network, torch.rand(8, 3, 4, 4), 2).shape
        torch.Size([8, 5, 4, 4])
    """

    def run(part: Tensor) -> Tensor:
        output = network(part)
        return output if logits is None else logits(output)

    output: Tensor = in_micro_batches(run, network, images, size)
    return output


def in_micro_batches(run: Callable[[Tensor], Any], network: nn.Module, images: Tensor, size: int) -> Any:
    """As :func:`micro_batched`, for whatever a function of some images gives.

    Args:
        run: takes images (b, C, H, W) and gives a tensor (b, ...), or tensors in tuples, lists and
            dictionaries.
        network: what it calls.
        images: (B, C, H, W), the whole batch.
        size: images of a micro-batch, at least 1; the last may have fewer.

    Returns:
        The same of all images.

    Raises:
        OptionError: if ``size`` is no positive integer.
    """
    size = check_count("size", size, 1)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _still_statistics(network)

    parts = [
        checkpoint(run, part, use_reentrant=False, context_fn=contexts)
        if torch.is_grad_enabled()
        else run(part)
        for part in images.split(size)
    ]
    return tree_map(lambda *each: torch.cat(each), *parts)


@contextmanager
def _still_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norm normalises by its batch, and forgets what it saw."""
    saved = [
        (buffer, buffer.clone())
        for layer in network.modules()
        if isinstance(layer, _BatchNorm) and layer.training
        for buffer in (layer.running_mean, layer.running_var, layer.num_batches_tracked)
        if buffer is not None
    ]
    try:
        yield
    finally:
        for buffer, before in saved:
            buffer.copy_(before)

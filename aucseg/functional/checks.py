"""Checks of options, logits and targets that all losses and metrics share."""

from __future__ import annotations

import torch
from torch import Tensor


def check_num_classes(num_classes: int) -> int:
    """The number of classes K, if it is a whole number of at least 2.

    Args:
        num_classes: number of classes K, void not counted.

    Returns:
        ``num_classes`` as a plain int.

    Raises:
        ValueError: if it is not an int or is below 2.

    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(f"num_classes must be an int of at least 2, got {num_classes!r}")
    return num_classes


def check_option(what: str, name: object, known: tuple[str, ...]) -> None:
    """Make sure that an option exists.

    Args:
        what: what the error message calls it.
        name: its value.
        known: the values there are.

    Raises:
        ValueError: if it is none of them, with all of them.

    """
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; use one of {', '.join(map(repr, known))}")


def check_labels(labels: Tensor, name: str = "target") -> None:
    """Make sure that a tensor can hold class labels.

    Args:
        labels: the tensor to look at, any shape.
        name: what the error message calls it.

    Raises:
        TypeError: if it is no tensor, or not of an integer dtype.

    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"{name} must hold integer class labels, got dtype {labels.dtype}; convert it with .long()"
        )


def check_logits_target(logits: Tensor, target: Tensor, num_classes: int, *, name: str = "logits") -> None:
    """Make sure that logits and target fit each other. Looks at shapes and dtypes only, never at values.

    Args:
        logits: (B, K, H, W), floating point; any number of spatial axes.
        target: (B, H, W), integer.
        num_classes: number of classes K.
        name: what the error message calls ``logits``.

    Raises:
        TypeError: if the logits are not floating point or the target is not integer.
        ValueError: if a shape does not fit, with the remedy.

    """
    if not isinstance(logits, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(logits).__name__}")
    if not logits.is_floating_point():
        raise TypeError(f"{name} must be floating point, got dtype {logits.dtype}")
    check_labels(target)
    shape, labels = tuple(logits.shape), tuple(target.shape)
    if len(shape) < 3:
        raise ValueError(f"{name} must have shape (B, K, H, W), got {shape}")
    if shape[1] != num_classes:
        raise ValueError(
            f"{name} have {shape[1]} channels, expected num_classes={num_classes}; shape {shape}"
        )
    if len(labels) != len(shape) - 1:
        raise ValueError(
            f"target must have shape (B, H, W) for {name} of shape {shape}, got {labels}; "
            f"remove a channel axis with .squeeze(1)"
        )
    if labels[0] != shape[0]:
        raise ValueError(f"{name} hold {shape[0]} images, target {labels[0]}")
    if labels[1:] != shape[2:]:
        raise ValueError(
            f"{name} have spatial size {shape[2:]}, target {labels[1:]}; resize the {name} first: "
            f"torch.nn.functional.interpolate({name}, size={labels[1:]}, mode='bilinear')"
        )
    if logits.device != target.device:
        raise ValueError(f"{name} are on {logits.device}, target on {target.device}; move one of them")


def check_finite(logits: Tensor) -> None:
    """Make sure that every logit is finite. Looks at the values: on CUDA this waits for the device.

    Args:
        logits: floating point, any shape.

    Raises:
        ValueError: with the number of values that are nan or infinite, and the remedy.

    """
    if not logits.numel():
        return
    low, high = torch.aminmax(logits.detach())
    if not bool(low.isfinite() & high.isfinite()):
        nan, infinite = int(logits.isnan().sum()), int(logits.isinf().sum())
        raise ValueError(
            f"logits hold {nan} nan and {infinite} infinite values of {logits.numel()}; look for a step size "
            f"that is too large, an overflow in half precision or a broken input"
        )


def class_index(
    target: Tensor,
    num_classes: int,
    ignore_index: int | None = 255,
    *,
    name: str = "target",
    validate: bool = True,
) -> Tensor:
    """Labels as row numbers of a table of K + 1 rows, where the last row stands for void.

    Args:
        target: integer labels, any shape: 0 to K - 1, or ``ignore_index``.
        num_classes: number of classes K.
        ignore_index: the void label; None if there is none.
        name: what the error message calls ``target``.
        validate: look for labels that are neither a class nor void. On CUDA that waits for the device, and
            without it such a label becomes K + 1. On the CPU it costs nothing and is always done.

    Returns:
        A new int64 tensor of the same shape with values 0 to K; void is K (and K + 1 see ``validate``).

    Raises:
        ValueError: for a label that is neither a class nor void, with the remedy. Not while
            ``torch.compile`` traces.
    """
    # widened before any comparison: in uint8 the label 255 equals -1
    rows = target.long()
    void = torch.zeros_like(rows, dtype=torch.bool) if ignore_index is None else rows == ignore_index
    rows = rows.masked_fill(void, 0)
    if not validate and synchronizes(rows.device):
        bad = (rows < 0) | (rows >= num_classes)
        return rows.masked_fill_(void, num_classes).masked_fill_(bad, num_classes + 1)
    if not torch.compiler.is_compiling() and rows.numel():
        lowest, highest = torch.stack(torch.aminmax(rows)).tolist()
        if lowest < 0 or highest >= num_classes:
            label = lowest if lowest < 0 else highest
            remedy = (
                ""
                if ignore_index is None
                else f"; if it marks void pixels pass ignore_index={label} (now {ignore_index}), if it is a "
                f"class raise num_classes (now {num_classes})"
            )
            raise ValueError(
                f"{name} holds label {label}, which is outside the classes 0 to {num_classes - 1}{remedy}"
            )
    return rows.masked_fill_(void, num_classes)


def synchronizes(device: torch.device) -> bool:
    """Whether looking at a value on a device means waiting for it.

    Args:
        device: where the value is.

    Returns:
        False on the CPU alone.
    """
    return device.type != "cpu"

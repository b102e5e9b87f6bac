"""Checks of the bank's options and of the batches that it gets."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor

from aucseg.functional.checks import check_labels


def checked_tail(tail_classes: Sequence[int], ignore_index: int, num_classes: int | None) -> tuple[int, ...]:
    """Labels of the tail classes as plain ints.

    Args:
        tail_classes: what the user gave.
        ignore_index: the void label.
        num_classes: number of classes K, or ``None`` if nobody said.

    Raises:
        TypeError: for a label that is no integer.
        ValueError: if there is none, one is given twice, is negative, void or not below K.
    """
    tail = tuple(operator.index(label) for label in tail_classes)  # refuses 5.7, takes numpy's integers
    if not tail:
        raise ValueError("tail_classes is empty; without tail classes leave the bank out")
    for label in tail:
        if label < 0:
            raise ValueError(f"tail_classes holds {label}; labels are not negative")
        if label == ignore_index:
            raise ValueError(f"tail_classes holds {label}, which is ignore_index, the void label")
        if num_classes is not None and label >= num_classes:
            raise ValueError(
                f"tail_classes holds {label}; with num_classes={num_classes} the last class is "
                f"{num_classes - 1}"
            )
        if tail.count(label) > 1:
            raise ValueError(f"tail_classes holds {label} twice")
    return tail


def check_count(name: str, value: int, least: int, note: str = "") -> int:
    """A whole number of at least ``least``.

    Args:
        name: of the option.
        value: what the user gave.
        least: the least number allowed.
        note: what the error message adds.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}{note}")
    return value


def check_share(name: str, value: float, *, zero: bool, note: str = "") -> float:
    """A number in [0, 1], or in (0, 1].

    Args:
        name: of the option.
        value: what the user gave.
        zero: whether 0 is allowed.
        note: what the error message adds.

    Raises:
        ValueError: if it is outside.
    """
    if not 0 <= value <= 1 or (value == 0 and not zero):
        raise ValueError(f"{name} must be in {'[' if zero else '('}0, 1], got {value}{note}")
    return value


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """One of several words.

    Args:
        name: of the option.
        value: what the user gave.
        choices: the words.

    Raises:
        ValueError: if it is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_generator(generator: torch.Generator | None) -> torch.Generator:
    """A CPU generator: the one given, or a new one with a seed that follows the global generator's.

    Args:
        generator: what the user gave.

    Raises:
        ValueError: if it is not on the CPU.
    """
    if generator is None:
        # another seed than the global generator's, so that the two streams are not the same numbers
        return torch.Generator().manual_seed((torch.initial_seed() + 0x9E3779B97F4A7C15) % 2**63)
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be on the CPU, got one on {generator.device}")
    return generator


def check_batch(images: Tensor, target: Tensor) -> None:
    """Make sure that images and target fit each other. Looks at no value.

    Args:
        images: (B, C, H, W), floating point or uint8.
        target: (B, H, W), integer, on the same device.

    Raises:
        TypeError: if either is no tensor, or the target not integer.
        ValueError: if shapes, devices or the images' dtype are others.
    """
    check_labels(target)
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a torch.Tensor, got {type(images).__name__}")
    shape, labels = tuple(images.shape), tuple(target.shape)
    if len(shape) != 4 or (shape[0], *shape[2:]) != labels:
        raise ValueError(
            f"images must have shape (B, C, H, W) and target (B, H, W) of the same batch and size, got "
            f"{shape} and {labels}"
        )
    if images.device != target.device:
        raise ValueError(f"images are on {images.device}, target on {target.device}; move one of them")
    if not images.is_floating_point() and images.dtype != torch.uint8:
        raise ValueError(f"images must be floating point or uint8, got {images.dtype}")

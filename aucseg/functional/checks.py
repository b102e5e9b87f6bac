"""Checks of options, logits and targets that all losses and metrics share."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucseg.errors import OptionError

# Types of devices that refuse float64.
WITHOUT_FLOAT64 = {"mps"}


def check_count(name: str, value: int, least: int, *, most: int | None = None, note: str = "") -> int:
    """A whole number within its bounds, whatever type of integer it comes as.

    Args:
        name: what the error message calls it.
        value: what the user gave: an int, or another type's integer, as NumPy's.
        least: the least number allowed.
        most: the greatest number allowed; None for any.
        note: what the error message adds.

    Returns:
        ``value`` as a plain int.

    Raises:
        OptionError: if it is no integer, or outside its bounds; True and False are no numbers.

    """
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise OptionError(f"{name} must be an int {bounds}, got {value!r}{note}")
    return number


def check_num_classes(num_classes: int) -> int:
    """The number of classes K, if it is a whole number of at least 2.

    Args:
        num_classes: number of classes K, void not counted.

    Returns:
        ``num_classes`` as a plain int.

    Raises:
        OptionError: if it is not an integer or is below 2.

    """
    return check_count("num_classes", num_classes, 2)


def check_ignore_index(ignore_index: int) -> int:
    """The void label as a plain int.

    Args:
        ignore_index: any integer, negative ones included.

    Returns:
        The same number.

    Raises:
        OptionError: if it is no integer.

    """
    return check_count("ignore_index", ignore_index, -(2**31), most=2**31 - 1)


def check_option(what: str, name: object, known: tuple[str | None, ...]) -> None:
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


def check_number(name: str, value: object, *, least: float, above: bool = False) -> float:
    """A finite number that is large enough.

    Args:
        name: what the error message calls it.
        value: the number.
        least: the smallest it may be.
        above: it must be more than that.

    Returns:
        ``value`` as a plain float.

    Raises:
        ValueError: if it is not, with its value.

    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if least < number < float("inf") or (number == least and not above):
            return number
    raise ValueError(
        f"{name} must be a number {'above' if above else 'of at least'} {least:g}, got {value!r}"
    )


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
    if labels.dtype == torch.bool:
        raise TypeError(
            f"{name} must hold integer class labels, got dtype torch.bool, which tells two classes apart at "
            f"most; convert it with .long()"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(
            f"{name} must hold integer class labels, got dtype {labels.dtype}; convert it with .long(), or "
            f"where a transform scaled it to [0, 1] read it without"
        )


def label_map(
    target: Tensor,
    num_classes: int | None,
    size: Sequence[int] | None = None,
    *,
    axes: int = 2,
    name: str = "target",
) -> Tensor:
    """Labels in one shape, whichever of the usual ones they come in. Looks at no value.

    Taken are integers of any width, and booleans for two classes, in the shape (B, H, W), or with an axis of
    length one for a channel that there is not: (B, 1, H, W), as images have it, or (B, H, W, 1). One number
    for each class (one-hot, soft labels) is refused: which pixel of it is void, only its maker knows.

    Args:
        target: labels of a batch.
        num_classes: number of classes K; None where it is not known, and booleans are then taken.
        size: (H, W) of what the labels are for, where it is known.
        axes: number of spatial axes.
        name: what the error message calls ``target``.

    Returns:
        (B, H, W), a view of ``target``; of booleans a copy in uint8.

    Raises:
        TypeError: if it is no tensor, or holds no class labels.
        ValueError: for any other shape, with the remedy.

    """
    if not isinstance(target, Tensor):
        check_labels(target, name)
    shape = tuple(target.shape)
    wanted = f"(B, {', '.join('DHW'[-axes:])})" if axes <= 3 else f"(B, ...) with {axes} axes of space"
    if len(shape) == axes + 2:
        places = [axis for axis in (1, axes + 1) if shape[axis] == 1]
        if size is not None:
            fitting = [axis for axis in places if (shape[1:axis] + shape[axis + 1 :]) == tuple(size)]
            places = fitting or places
        if places:
            target = target.squeeze(places[0])
        elif num_classes is None or num_classes in (shape[1], shape[-1]):
            last = shape[-1] == num_classes != shape[1] or tuple(size or ()) == shape[1:-1]
            axis = -1 if last else 1
            raise ValueError(
                f"{name} of shape {shape} holds a number for each class and not labels of shape {wanted}; "
                f"make them with .argmax({axis}), and put ignore_index where .sum({axis}) says that no class "
                f"is set; for pixels of several classes at once there is aucseg.losses.MultilabelLoss"
            )
    if target.dtype == torch.bool and num_classes in (2, None):
        target = target.to(torch.uint8)
    check_labels(target, name)
    if target.ndim != axes + 1:
        raise ValueError(
            f"{name} must have shape {wanted}, or with one channel (B, 1, {wanted[4:-1]}), got {shape}"
        )
    return target


def logits_and_labels(
    logits: Tensor, target: Tensor, num_classes: int, *, name: str = "logits", size: str | None = None
) -> tuple[Tensor, Tensor]:
    r"""Logits and labels of a batch in one form, whichever of the usual ones they come in.

    The one place where losses and metrics take in a batch. Labels as ``label_map`` has them. For two classes
    logits may have one channel z, as a network with one output has them: it stands for the logits (0, z),
    whose softmax is (1 - sigmoid(z), sigmoid(z)). Looks at shapes and dtypes only, never at values.

    Args:
        logits: (B, K, H, W), floating point; any number of spatial axes. (B, 1, H, W) where K = 2.
        target: (B, H, W), integer, or another of the shapes and dtypes of ``label_map``.
        num_classes: number of classes K.
        name: what the error message calls ``logits``.
        size: ``"target"``: logits of another size than the labels are resized to theirs, linearly along each
            axis and with ``align_corners=False``, in float32 at least. None: that is an error.

    Returns:
        Logits (B, K, H, W) and labels (B, H, W).

    Raises:
        TypeError: if the logits are not floating point or the target is no integer.
        ValueError: if a shape does not fit, with the remedy.

    """
    if not isinstance(logits, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(logits).__name__}")
    if not logits.is_floating_point():
        raise TypeError(f"{name} must be floating point, got dtype {logits.dtype}")
    shape = tuple(logits.shape)
    if len(shape) < 3:
        check_labels(target)
        raise ValueError(f"{name} must have shape (B, K, H, W), got {shape}")
    labels = label_map(target, num_classes, shape[2:], axes=len(shape) - 2)
    found = tuple(labels.shape)
    if shape[1] != num_classes and (shape[1], num_classes) != (1, 2):
        one = "; one channel is for two classes, num_classes=2" if shape[1] == 1 else ""
        raise ValueError(
            f"{name} have {shape[1]} channel{'' if shape[1] == 1 else 's'}, expected num_classes="
            f"{num_classes}; shape {shape}{one}"
        )
    if found[0] != shape[0]:
        raise ValueError(f"{name} hold {shape[0]} images, target {found[0]}")
    if logits.device != labels.device:
        raise ValueError(f"{name} are on {logits.device}, target on {labels.device}; move one of them")
    if found[1:] != shape[2:]:
        mode = {1: "linear", 2: "bilinear", 3: "trilinear"}.get(len(found) - 1)
        if size is None or mode is None:
            raise ValueError(
                f"{name} have spatial size {shape[2:]}, target {found[1:]}; resize the {name}: "
                f"torch.nn.functional.interpolate({name}, size={found[1:]}, mode={mode!r}), which losses do "
                f"with size='target'"
            )
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        lowest, highest = logits.detach().amin(), logits.detach().amax()
        logits = F.interpolate(logits, size=found[1:], mode=mode, align_corners=False)
        logits = not_beyond(logits, lowest, highest)  # means lie between their terms, but for rounding
    if shape[1] != num_classes:
        logits = torch.cat((torch.zeros_like(logits), logits), 1)
    return logits, labels


def not_beyond(scores: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Scores that only rounding can have put beyond the ends of their range, put back; the gradient is kept.

    Args:
        scores: of any shape.
        low: the lowest that they can be.
        high: the highest.
    """
    clamped = scores.clamp(low, high)  # type: ignore[arg-type]  # its stubs know no union of both
    inside = scores + (clamped - scores).detach()
    return torch.where((scores < low) | (scores > high), inside, scores)


def check_finite(logits: Tensor) -> None:
    """Make sure that every logit is finite. Looks at the values: on CUDA this waits for the device.

    Under the transforms of ``torch.func`` values cannot be looked at, and nothing is done.

    Args:
        logits: floating point, any shape.

    Raises:
        ValueError: with the number of values that are nan or infinite, and the remedy.

    """
    if not logits.numel() or transformed():
        return
    low, high = torch.aminmax(logits.detach())
    # two looks cost less than one operation more, where a look waits for nothing
    if synchronizes(logits.device):
        finite = bool(low.isfinite() & high.isfinite())
    else:
        finite = math.isfinite(low.item()) and math.isfinite(high.item())
    if not finite:
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
            without it such a label becomes K + 1. On the CPU it costs nothing and is always done, but for
            the transforms of ``torch.func``.

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
    if transformed() or (not validate and synchronizes(rows.device)):
        bad = (rows < 0) | (rows >= num_classes)
        return rows.masked_fill_(void, num_classes).masked_fill_(bad, num_classes + 1)
    if not torch.compiler.is_compiling() and rows.numel():
        ends = torch.aminmax(rows)
        lowest, highest = torch.stack(ends).tolist() if synchronizes(rows.device) else map(Tensor.item, ends)
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


def poison(rows: Tensor, num_classes: int) -> Tensor:
    """What a loss adds so that a label that could not be refused is seen all the same.

    Args:
        rows: what ``class_index`` returns.
        num_classes: number of classes K.

    Returns:
        Scalar float32: nan if any row is K + 1, else 0. Nothing is waited for.
    """
    return torch.where((rows > num_classes).any(), torch.nan, 0.0)


def widest(device: torch.device) -> torch.dtype:
    """The widest floating point dtype that a device knows.

    Args:
        device: where numbers are added up.

    Returns:
        float64; float32 on Apple's GPUs, which have nothing wider.
    """
    return torch.float32 if device.type in WITHOUT_FLOAT64 else torch.float64


def where_float64_is(values: Tensor) -> Tensor:
    """Values on a device that can add them up in float64.

    Args:
        values: any tensor.

    Returns:
        The same tensor, or a copy on the CPU where its own device knows no float64.
    """
    return values if widest(values.device) == torch.float64 else values.cpu()


class WideBuffers(nn.Module):
    """A module whose float64 buffers become float32 where it is moved to a device that knows no float64."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        if widest(fn(torch.empty(0)).device) != torch.float64:
            for name, buffer in self._buffers.items():
                if buffer is not None and buffer.dtype == torch.float64:
                    self._buffers[name] = buffer.float()
        return super()._apply(fn, recurse)


def transformed() -> bool:
    """Whether a transform of ``torch.func`` is at work: ``grad``, ``vmap``, ``jvp``, or one made of them.

    No value may be looked at then, and no tensor be written to that is not new.
    """
    return bool(torch._C._are_functorch_transforms_active())


def synchronizes(device: torch.device) -> bool:
    """Whether looking at a value on a device means waiting for it.

    Args:
        device: where the value is.

    Returns:
        False on the CPU alone.
    """
    return device.type != "cpu"

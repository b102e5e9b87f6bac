"""What losses of a batch have in common, and those that are a mean over pixels: void, ranks, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from aucseg.errors import OptionError
from aucseg.functional.checks import (
    WideBuffers,
    check_count,
    check_ignore_index,
    check_num_classes,
    check_option,
    class_index,
    logits_and_labels,
    poison,
    transformed,
)
from aucseg.functional.distributed import GRADIENTS, all_reduce, joined_ranks, scale_gradient
from aucseg.functional.logits import class_vector

NORMALIZATIONS = ("weights", "pixels")


# Options of the losses of PyTorch, smp and torchvision that a user may try, and what there is instead.
_ELSEWHERE = {
    "label_smoothing": "it changes a softmax's target, which this loss has not or changes itself; "
    "cross_entropy and WeightedCrossEntropyLoss have it",
    "mode": "one channel of logits is the binary mode, K channels are classes that exclude each other, and "
    "MultilabelLoss is for classes that overlap",
    "from_logits": "losses take logits; AUCLoss takes scores with activation='identity'",
    "weight": "class weights are weights=, where the loss is a mean over pixels or over classes",
    "weights": "this loss is no mean over pixels or classes that weights could change; AUC losses have "
    "pair_weights",
    "class_weights": "class weights are weights=, where the loss is a mean over pixels or over classes",
    "classes": "the number of classes is num_classes=; every class counts",
    "log_loss": "there is no such form",
    "smooth_factor": "label smoothing is label_smoothing= of cross_entropy and WeightedCrossEntropyLoss",
}


def refuse_elsewhere(loss: str, options: Mapping[str, Any]) -> None:
    """Refuse options that a loss has not, with what there is instead.

    Args:
        loss: name of its class.
        options: what it was given beyond its own.

    Raises:
        OptionError: for an option that other libraries' losses have.
        TypeError: for any other.
    """
    for name, value in options.items():
        if name in _ELSEWHERE:
            raise OptionError(f"{loss} takes no {name}={value!r}: {_ELSEWHERE[name]}")
        raise TypeError(f"{loss} got an unexpected keyword argument {name!r}")


class StepCount(nn.Module):
    """How often a loss was called in training, and at which step of the training it is; kept in its state.

    Attributes:
        calls: calls in training mode with a gradient.
        step: steps before the one that is made now. Every call is a step, until somebody says otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.told: int | None = None

    @property
    def step(self) -> int:
        """The step that is made now, from 0."""
        return self.calls if self.told is None else self.told

    def get_extra_state(self) -> Tensor:
        """Calls, and the step that was told last, -1 for none."""
        return torch.tensor([self.calls, -1 if self.told is None else self.told])

    def set_extra_state(self, state: Tensor) -> None:
        """What :meth:`get_extra_state` returned.

        Args:
            state: calls and step.
        """
        self.calls, told = state.tolist()
        self.told = None if told < 0 else told


class SegmentationLoss(WideBuffers):
    """What a loss ``loss(logits, target)`` of a whole batch needs beside its formula: void, ranks, dtypes.

    A subclass defines :meth:`batch_loss`.

    Args:
        num_classes: number of classes K, at least 2.
        ignore_index: label of void pixels.
        process_group: ``"auto"`` (all ranks, if ``torch.distributed`` is initialised), a group, or None: the
            loss is that of the pixels of all ranks of the group together, exactly. In training mode only, so
            that one rank can evaluate alone.
        gradients: what becomes of the ranks' gradients afterwards. ``"averaged"``, as DDP and FSDP do: the
            gradient is larger by the number of ranks, so that their average is that of the whole batch.
            ``"summed"``: it is that of the whole batch by this rank's logits.
        size: ``"target"`` resizes logits of another size to the target's, as ``AUCLoss`` does.
        validate: look for labels that are neither a class nor void, and raise an error. On CUDA that waits
            for the device; without it such a label makes the loss nan (labels on the CPU are checked all the
            same).
        elsewhere: nothing; options of other libraries' losses are refused with what there is instead.

    Raises:
        ValueError: for an option that does not exist.
        TypeError: for one that is not known elsewhere either.

    Shape:
        logits (B, K, H, W), floating point; target (B, H, W) or (B, 1, H, W) or (B, H, W, 1), integer of any
        width; a scalar comes out, of the dtype of the logits but at least float32 (under autocast too). It
        is zero, with a gradient of zero, where no pixel is labelled. For two classes one channel z stands
        for the logits (0, z).

    Note:
        Second derivatives (``create_graph=True``) and the transforms of ``torch.func`` work, without checks
        of values, on one rank.

    """

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        process_group: dist.ProcessGroup | Literal["auto"] | None = "auto",
        gradients: str = "averaged",
        size: Literal["target"] | None = None,
        validate: bool = True,
        **elsewhere: Any,
    ) -> None:
        super().__init__()
        refuse_elsewhere(type(self).__name__, elsewhere)
        self.num_classes = check_num_classes(num_classes)
        check_option("gradients", gradients, GRADIENTS)
        check_option("size", size, ("target", None))
        self.ignore_index, self.size, self.validate = check_ignore_index(ignore_index), size, validate
        self.process_group, self.gradients = process_group, gradients

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K, H, W), floating point.
            target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``.

        Returns:
            A scalar.

        Raises:
            TypeError: if the logits are not floating point or the target is not integer.
            ValueError: if the shapes do not fit or a label is outside the classes.

        """
        # A compiler would trace the loop over strips one by one; as a decorator this would import it.
        if torch.compiler.is_compiling():
            # the reason is what fullgraph=True shows
            reason = "with fullgraph=True compile the network alone, and call the loss outside"
            value: Tensor = torch.compiler.disable(self._compute, reason=reason)(logits, target)
            return value
        return self._compute(logits, target)

    def batch_loss(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """The loss of the pixels of all ranks.

        Args:
            logits: (B, K, P), floating point. Autocast is off.
            rows: (B, P) int64, labels; K and more for void.
            group: the ranks, each of which calls; None for this one alone.

        Returns:
            A scalar, with the gradient by this rank's logits.
        """
        raise NotImplementedError

    def at_step(self, step: int) -> None:
        """Say which step of the training comes next, where calls do not count them (micro-batches).

        Args:
            step: steps that were made before, 0 at the beginning.
        """

    def _compute(self, logits: Tensor, target: Tensor) -> Tensor:
        k = self.num_classes
        logits, target = logits_and_labels(logits, target, k, size=self.size)
        rows = class_index(target, k, self.ignore_index, validate=self.validate).flatten(1)
        group, factor = joined_ranks(self.process_group if self.training else None, self.gradients)
        if group is not None and transformed():
            raise RuntimeError(
                "under the transforms of torch.func a loss takes one whole batch: set process_group=None"
            )
        with torch.autocast(logits.device.type, enabled=False):
            value = scale_gradient(self.batch_loss(logits.flatten(2), rows, group), factor)
            return value.to(torch.promote_types(logits.dtype, torch.float32)) + poison(rows, k)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = ("num_classes", *self._shown(), "ignore_index")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def _shown(self) -> tuple[str, ...]:
        """Options of a subclass that ``repr`` names."""
        return ()


class PixelwiseLoss(SegmentationLoss):
    r"""Mean of a loss of single pixels over those that are labelled, on all ranks.

    With the labelled pixels :math:`\Omega` of all ranks, label :math:`y_m` of pixel m, its loss
    :math:`\ell_m` and the weights w of the classes, if there are any:

    .. math::

        \ell = \frac{1}{M} \sum_{m \in \Omega} w_{y_m} \ell_m, \qquad
        M = \sum_{m \in \Omega} w_{y_m} \;\text{ or }\; M = |\Omega|

    A subclass defines :meth:`pixel_losses`.

    Args:
        num_classes: number of classes K, at least 2.
        weights: (K,), a weight for each class, see :func:`aucseg.losses.class_weights`; None for none.
        weights_from: the training step, from 0, at which the weights begin to count: deferred re-weighting
            (Cao et al., 2019, Algorithm 1). Each call in training mode is a step, unless :meth:`at_step` says
            otherwise; the number is kept in the state, so that a resumed training goes on exactly.
        normalize: what M is where there are weights. ``"weights"``: the sum of the weights of the labelled
            pixels, as in PyTorch; no factor common to all weights matters. ``"pixels"``: their number; a
            batch of rare classes then pulls harder than another.
        options: those of :class:`SegmentationLoss`: ``ignore_index``, ``process_group``, ``gradients``,
            ``size``, ``validate``.

    Raises:
        ValueError: for an option that does not exist, or weights of another length or range.

    Shape:
        as ``SegmentationLoss``; zero, with a gradient of zero, where no pixel has a weight.

    """

    weights: Tensor | None

    def __init__(
        self,
        num_classes: int,
        *,
        weights: Tensor | Sequence[float] | None = None,
        weights_from: int = 0,
        normalize: str = "weights",
        **options: Any,
    ) -> None:
        super().__init__(num_classes, **options)
        check_option("normalize", normalize, NORMALIZATIONS)
        self.normalize = normalize
        self.weights_from = check_count("weights_from", weights_from, 0)
        if weights_from and weights is None:
            raise OptionError(
                f"weights_from={weights_from} without weights; give the weights that begin there"
            )
        self.register_buffer("weights", weight_table(weights, self.num_classes), persistent=False)
        self.count = StepCount() if weights_from else None

    def at_step(self, step: int) -> None:
        """Say which step of the training comes next, where calls do not count them (micro-batches).

        Args:
            step: steps that were made before, 0 at the beginning.
        """
        if self.count is not None:
            self.count.told = step

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The loss of every pixel.

        Args:
            logits: (B, K, P), floating point. Autocast is off.
            rows: (B, P) int64, labels; K and more for void.

        Returns:
            (B, P), at least float32, 0 where void.
        """
        raise NotImplementedError

    def batch_loss(self, logits: Tensor, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """The mean over the pixels of all ranks; see :meth:`SegmentationLoss.batch_loss`."""
        losses = self.pixel_losses(logits, rows)
        mass = None
        if self.weights is not None and (self.count is None or self.count.step >= self.weights_from):
            table = F.pad(self.weights.to(losses), (0, 2))
            weight = table.index_select(0, rows.flatten()).view_as(losses)
            losses = losses * weight
            mass = weight.sum() if self.normalize == "weights" else None
        if self.count is not None and self.training and torch.is_grad_enabled():
            self.count.calls += 1
        mass = (rows < self.num_classes).sum() if mass is None else mass
        return mean_over_ranks(losses.sum(), mass, group)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        shown = super().extra_repr()
        if self.weights is not None:
            shown += f", normalize={self.normalize!r}"
            shown += f", weights_from={self.weights_from}" if self.weights_from else ""
        return shown


def weight_table(weights: Tensor | Sequence[float] | None, num_classes: int) -> Tensor | None:
    """Weights of classes as a loss keeps them.

    Args:
        weights: (K,), or None for none.
        num_classes: K.

    Returns:
        (K,) float64, or None.

    Raises:
        ValueError: for another number of them, or one that is negative or not finite, or zeros alone.
    """
    if weights is None:
        return None
    table = class_vector(weights, "weights")
    if len(table) != num_classes:
        raise OptionError(f"weights are of {len(table)} classes, expected num_classes={num_classes}")
    return table


def mean_over_ranks(total: Tensor, mass: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """A sum over the pixels of all ranks, divided by what they weigh.

    Args:
        total: scalar, of this rank.
        mass: scalar, of this rank.
        group: the ranks, each of which calls; None for this one alone.

    Returns:
        Scalar, zero where nothing weighs anything. The gradient flows to ``total`` alone.
    """
    if group is not None:
        total, mass = all_reduce(torch.stack((total.double(), mass.double())), group).unbind()
    return total / mass.masked_fill(mass == 0, 1)

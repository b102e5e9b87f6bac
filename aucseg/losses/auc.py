"""The pixel-level AUC loss (AUCSeg, Eq. 7), alone and with the cross entropy of Algorithm 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.auc import auc_risk, check_pair_weights, tail_versus_rest
from aucseg.functional.checks import (
    WideBuffers,
    check_finite,
    check_ignore_index,
    check_num_classes,
    check_option,
    class_index,
    logits_and_labels,
    not_beyond,
    transformed,
    widest,
)
from aucseg.functional.distributed import GRADIENTS, joined_ranks, scale_gradient
from aucseg.functional.engine import class_sums
from aucseg.functional.regions import object_weights
from aucseg.functional.sums import (
    ACTIVATIONS,
    MULTICLASS,
    REDUCTIONS,
    REGION_WEIGHTS,
    ClassSums,
    Request,
)
from aucseg.functional.surrogates import SortedForm, Surrogate, surrogate_form
from aucseg.losses.base import refuse_elsewhere
from aucseg.losses.queue import SumQueue


class AUCLoss(WideBuffers):
    r"""Pixel-level AUC loss over all pairs of pixels, at a cost linear in pixels.

    For scores s = activation(logits), N_c the pixels of class c in the batch and a surrogate of the scaled
    difference (AUCSeg, Eq. 7 and 8):

    .. math::

        \ell_{auc} = \sum_{c} \sum_{d \ne c} \frac{1}{|N_c| |N_d|}
            \sum_{m \in N_c} \sum_{n \in N_d} \ell\bigl(scale \, (s_{m,c} - s_{n,c})\bigr)

    with a mean over the ordered pairs of classes by default. Pairs with a class that the batch does not hold
    are left out; a batch without any pair (a single class, or void only) gives zero with a gradient of zero.

    Args:
        num_classes: number of classes K, at least 2.
        surrogate: ``"square"``, ``"hinge"``, ``"squared_hinge"``, ``"exp"``, ``"logistic"``, or a smooth
            function of a tensor of scaled differences x: see ``aucseg.functional.surrogate_form``.
        multiclass: ``"ovo"`` (every ordered pair of classes) or ``"ova"`` (each class against all others).
        margin: scaled difference x at which square and hinge are zero; positive. The others have none.
        scale: factor of the score difference; positive.
        activation: ``"sigmoid"``, ``"softmax"`` or ``"identity"`` (the logits are scores already).
        reduction: ``"mean"`` over the pairs present in the batch, or ``"sum"`` (Eq. 7 as printed), or
            ``"none"`` for the (K, K) table (ova: K numbers), nan where a pair is absent.
        pair_weights: (K, K), a weight for each ordered pair, positive class in rows; the mean is the
            weighted mean. For ``"ovo"`` only.
        tail_classes: keep only the pairs of one of these classes and one that is not. For ``"ovo"`` only.
        region_weights: ``"pixels"``: each pixel of a class counts the same; ``"objects"``: each connected
            part of a class in an image does, whatever its size, and its pixels share that. See the note.
        ignore_index: label of void pixels.
        score_range: for ``"identity"``, the lowest and highest score, where a surrogate needs bounds; a
            score outside makes the loss nan. The other activations have (0, 1).
        tolerance: largest error of the expansion of a smooth surrogate, for one pair (``error_bound``).
        size: ``"target"``: logits of another size than the target, as the networks of transformers give
            them, are resized to it bilinearly (``align_corners=False``). None: that is an error.
        queue: recent batches that stand in for classes that a batch lacks: a ``SumQueue``. The loss must
            then move with ``.to(device)`` and be saved, as it has a state.
        process_group: ``"auto"`` (all ranks, if ``torch.distributed`` is initialised), a group, or None: the
            loss is that of the pixels of all ranks of the group together, exactly. In training mode only, so
            that one rank can evaluate alone.
        gradients: what becomes of the ranks' gradients afterwards. ``"averaged"``: as DDP and FSDP do; the
            gradient is larger by the number of ranks so that their average is that of the whole batch.
            ``"summed"``: the gradient is that of the whole batch by this rank's logits.
        validate: look at the values too: a label outside the classes and logits that are not finite raise
            an error. On CUDA that waits for the device. Without it such input makes the loss nan (labels on
            the CPU are checked all the same).
        elsewhere: nothing; options of other libraries' losses are refused with what there is instead.

    Raises:
        TypeError: for an option that is not known elsewhere either.
        ValueError: for an option that does not exist or does not go with another.

    Attributes:
        error_bound: largest error of the surrogate for one pair, and so of the mean; zero where exact.

    Shape:
        logits (B, K, H, W), floating point; target (B, H, W) or (B, 1, H, W) or (B, H, W, 1), integer of any
        width; a scalar comes out, of the dtype of the logits but at least float32 (the scores are computed
        in float32 under autocast too).

        With two classes the target may be boolean, and the logits may be those of a network with one output,
        z in (B, 1, H, W). The scores are then sigmoid(z) for class 1 and 1 - sigmoid(z) for class 0, so that
        both ordered pairs cost the same and their mean is the binary loss (AUCSeg, Eq. 5).

    Note:
        Second derivatives (``create_graph=True``) are exact, at the cost of several tensors of the size of
        the logits in float64; over several ranks or micro-batches they are an error. So do the transforms of
        ``torch.func`` work, without checks of values. ``torch.compile`` leaves the loss as it is, between
        two graphs: with ``fullgraph=True`` compile the network alone, and call the loss outside.

    Note:
        The paper minimises the sum of Eq. 7 plus lambda times the cross entropy. With n classes present
        the sum is n(n - 1) times the mean, so beside the mean the same balance needs a lambda n(n - 1)
        times smaller. One-vs-all sums n terms: there it is n.

    Note:
        With ``region_weights="objects"`` the means over the pixels of a class become means over its connected
        parts :math:`o` (pixels that touch by their sides) of the means over their pixels :math:`\Omega_o`:

        .. math::

            R_{cd} = \frac{1}{|O_c| |O_d|} \sum_{o \in O_c} \sum_{q \in O_d}
                \frac{1}{|\Omega_o| |\Omega_q|} \sum_{m \in \Omega_o} \sum_{n \in \Omega_q}
                \ell\bigl(scale \, (s_{m,c} - s_{n,c})\bigr)

        so that the loss of an object does not depend on its size, as SI-SOD (the network of AUCSeg's Table
        13) wants it. Still exact, and over all ranks; one-vs-all weighs the other classes by their parts. A
        cross entropy beside it stays that of the pixels. The parts are found on the host, and the sums take
        several tensors of the size of the logits in float64.

    Example:
        >>> loss = AUCLoss(num_classes=19)
        >>> logits = torch.randn(2, 19, 8, 8, requires_grad=True)
        >>> loss(logits, torch.randint(0, 19, (2, 8, 8))).backward()

    """

    # whether the cross entropy is computed as well, which AUCSegLoss adds
    with_cross_entropy = False

    def __init__(
        self,
        num_classes: int,
        *,
        surrogate: Surrogate = "square",
        multiclass: str = "ovo",
        margin: float = 1.0,
        scale: float = 1.0,
        activation: str = "sigmoid",
        reduction: str = "mean",
        pair_weights: Tensor | Sequence[Sequence[float]] | None = None,
        tail_classes: Sequence[int] | None = None,
        region_weights: Literal["pixels", "objects"] = "pixels",
        ignore_index: int = 255,
        score_range: tuple[float, float] | None = None,
        tolerance: float = 1e-7,
        size: Literal["target"] | None = None,
        queue: SumQueue | None = None,
        process_group: dist.ProcessGroup | Literal["auto"] | None = "auto",
        gradients: str = "averaged",
        validate: bool = True,
        **elsewhere: Any,
    ) -> None:
        super().__init__()
        refuse_elsewhere(type(self).__name__, elsewhere)
        for what, name, known in (
            ("activation", activation, ACTIVATIONS),
            ("multiclass", multiclass, MULTICLASS),
            ("reduction", reduction, REDUCTIONS),
            ("gradients", gradients, GRADIENTS),
            ("size", size, ("target", None)),
            ("region_weights", region_weights, REGION_WEIGHTS),
        ):
            check_option(what, name, known)
        self.num_classes = check_num_classes(num_classes)
        if activation != "identity":
            if score_range is not None:
                raise ValueError(f"score_range is for activation='identity'; {activation} has (0, 1)")
            score_range = (0.0, 1.0)
        self.form = surrogate_form(
            surrogate, margin=margin, scale=scale, score_range=score_range, tolerance=tolerance
        )
        self.surrogate, self.margin, self.scale, self.score_range = surrogate, margin, scale, score_range
        self.multiclass, self.activation, self.reduction = multiclass, activation, reduction
        self.region_weights = region_weights
        self.ignore_index = check_ignore_index(ignore_index)
        self.size, self.validate = size, validate
        self.process_group, self.gradients = process_group, gradients
        self.queue = queue
        if region_weights == "objects" and isinstance(self.form, SortedForm):
            raise ValueError(f"region_weights='objects' weighs sums: {self._no_sums()}")
        if region_weights == "objects" and queue is not None:
            raise ValueError(
                "a queue keeps sums of pixels, and region_weights='objects' weighs them; use one of both"
            )
        if queue is not None:
            if isinstance(self.form, SortedForm):
                raise ValueError(f"a queue cannot hold what this loss needs: {self._no_sums()}")
            queue.prepare(self.num_classes, self.form.degree)
        self.pair_weights: Tensor | None
        self.register_buffer("pair_weights", self._weights(pair_weights, tail_classes), persistent=False)

    def _weights(
        self, weights: Tensor | Sequence[Sequence[float]] | None, tail: Sequence[int] | None
    ) -> Tensor | None:
        if weights is None and tail is None:
            return None
        if self.multiclass == "ova":
            raise ValueError(
                "pair_weights and tail_classes weigh pairs of classes; multiclass='ova' has none"
            )
        table = torch.ones(self.num_classes, self.num_classes, dtype=torch.float64)
        if weights is not None:
            table = check_pair_weights(weights, self.num_classes)
        return table if tail is None else table * tail_versus_rest(tail, self.num_classes)

    @property
    def error_bound(self) -> float:
        """Largest error of the surrogate for one pair; zero where it is exact."""
        return self.form.error_bound

    def forward(self, logits: Tensor, target: Tensor, *, whole: ClassSums | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K, H, W), floating point; for two classes also (B, 1, H, W).
            target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``. See "Shape" for other forms.
            whole: class sums of a larger batch that this one is a part of, see ``class_sums``. The value is
                then that of the larger batch and the gradient that of its loss by these logits, so that the
                gradients of all parts add up to the whole's.

        Returns:
            A scalar, or with ``reduction="none"`` a (K, K) table, for one-vs-all (K,).

        Raises:
            TypeError: if the logits are not floating point or the target is not integer.
            ValueError: if the shapes do not fit (one-hot targets among them) or a label is outside the
                classes; with ``validate`` also for logits that are not finite.

        """
        return self._terms(logits, target, whole)[0]

    def class_sums(self, logits: Tensor, target: Tensor) -> ClassSums:
        """The sums from which the loss follows. They add up over micro-batches: ``a + b``.

        For an exact loss over micro-batches: sum them over all micro-batches without a gradient, then call
        the loss on each with ``whole=`` that sum, backward each time, and step once.

        Args:
            logits: (B, K, H, W), floating point.
            target: (B, H, W), integer; 0 to K - 1 or ``ignore_index``.

        Returns:
            The sums of this rank's pixels.

        Raises:
            TypeError: as ``forward``.
            ValueError: as ``forward``; and where the surrogate is sorted, which has no such sums.

        """
        if isinstance(self.form, SortedForm):
            raise ValueError(self._no_sums())
        self._refuse_parts()
        return class_sums(*self._batch(logits, target), all_channels=True)

    def _terms(self, logits: Tensor, target: Tensor, whole: ClassSums | None) -> tuple[Tensor, Tensor]:
        """The AUC loss, and the mean cross entropy (zero where this loss is without it)."""
        # A compiler would trace the loop over strips one by one; they are fast as they are. As a decorator
        # this would import the compiler, a second's work, for everyone.
        if torch.compiler.is_compiling():
            # the reason is what fullgraph=True shows, if it is no name for a text
            eager = torch.compiler.disable(
                self._compute,
                reason="with fullgraph=True compile the network alone, and call the AUC loss outside",
            )
            return eager(logits, target, whole)
        return self._compute(logits, target, whole)

    def _compute(self, logits: Tensor, target: Tensor, whole: ClassSums | None) -> tuple[Tensor, Tensor]:
        if whole is not None:
            self._refuse_parts()
        scores, rows, request = self._batch(logits, target)
        if whole is not None and isinstance(self.form, SortedForm):
            raise ValueError(self._no_sums())
        group, factor = self._group()
        if transformed() and (group is not None or whole is not None or self.queue is not None):
            raise RuntimeError(
                "under the transforms of torch.func this loss takes one whole batch: set process_group=None, "
                "and leave out queue and whole="
            )
        remember = None
        if self.queue is not None:
            remember = partial(self.queue, update=self.training and torch.is_grad_enabled())
        values = auc_risk(scores, rows, request, group=group, whole=whole, remember=remember)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        risk, mean = (scale_gradient(value, factor).to(dtype) for value in values)
        return risk, mean

    def _batch(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Request]:
        """Logits (B, K, P), their rows (B, P), and what is asked of them."""
        request = Request(
            self.form,
            self.num_classes,
            activation=self.activation,
            cross_entropy=self.with_cross_entropy,
            multiclass=self.multiclass,
            reduction=self.reduction,
            pair_weights=self.pair_weights,
        )
        two, target = logits_and_labels(logits, target, self.num_classes, size=self.size)
        if two.shape[1] != logits.shape[1]:
            # of the logits (0, z) it is the softmax whose channels are sigmoid(z) and what is left of one
            request = replace(request, activation="softmax")
            if self.activation == "identity":
                two, request = self._mirrored(two), replace(request, activation="identity")
        if self.validate:
            check_finite(logits)
        rows = class_index(target, self.num_classes, self.ignore_index, validate=self.validate)
        if self.region_weights == "objects":
            if transformed():
                raise RuntimeError(
                    "region_weights='objects' looks for connected parts on the host, which the transforms of "
                    "torch.func cannot follow; use region_weights='pixels' under them"
                )
            weights = object_weights(rows, self.num_classes).flatten(1)
            weights = weights.to(rows.device, widest(rows.device))
            request = replace(request, pixel_weights=weights)
        return two.flatten(2), rows.flatten(1), request

    def _refuse_parts(self) -> None:
        if self.region_weights == "objects":
            raise ValueError(
                "region_weights='objects' takes a batch in one piece, not sums of micro-batches; use "
                "region_weights='pixels' for these, or a smaller batch"
            )

    def _mirrored(self, two: Tensor) -> Tensor:
        """The scores of both classes, where one channel holds those of class 1, in the same range."""
        if self.with_cross_entropy:
            raise ValueError(
                "with activation='identity' one channel holds scores of class 1, of which a cross entropy "
                "cannot be taken; give logits of two channels, or use activation='sigmoid'"
            )
        score = two[:, 1:]
        if self.score_range is None:
            return torch.cat((-score, score), 1)
        low, high = self.score_range
        # in half precision the difference would be rounded to another order of the pixels
        score = score.to(torch.promote_types(score.dtype, torch.float32))
        return torch.cat((not_beyond(low + high - score, low, high), score), 1)

    def _group(self) -> tuple[dist.ProcessGroup | None, float]:
        """The ranks whose pixels count together, and the factor of the gradient."""
        return joined_ranks(self.process_group if self.training else None, self.gradients)

    def _no_sums(self) -> str:
        return (
            f"surrogate {self.surrogate!r} with margin {self.margin:g} and scale {self.scale:g} needs the "
            f"order of the pixels, which has no sums to add; use a margin of at least the scale times the "
            f"range of the scores, or another surrogate"
        )

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = (
            "num_classes",
            "surrogate",
            "multiclass",
            "region_weights",
            "margin",
            "scale",
            "activation",
            "reduction",
            "ignore_index",
        )
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

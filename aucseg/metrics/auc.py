"""Area under the ROC curve over pixels: exact, or streaming in constant memory (AUCSeg, Eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from aucseg.functional.checks import (
    check_ignore_index,
    check_num_classes,
    check_option,
    class_index,
    logits_and_labels,
    where_float64_is,
)
from aucseg.functional.ranking import PairAUC, check_max_fpr, check_scores, pairwise_auc
from aucseg.functional.score_histogram import (
    add_score_histogram,
    binnable,
    check_bins,
    histogram_auc,
)
from aucseg.functional.sums import MULTICLASS
from aucseg.metrics.figures import FigureMetric, check_groups, group_means, group_names


class PixelAUC(FigureMetric):
    r"""AUC of each pair of classes and of each class against the rest, over all pixels since the last reset.

    How often a pixel of class c scores higher in channel c than a pixel of class d, a tie counting half
    (AUCSeg Eq. 6), for every ordered pair (c, d); its mean is blind to how many pixels a class has:

    .. math::

        AUC^{ovo} = \frac{1}{K(K-1)} \sum_c \sum_{d \ne c} A_{cd}, \qquad
        AUC^{ova} = \frac1K \sum_c A_{c,\text{rest}}

    Only the rank of a score within its channel matters: logits, sigmoids of them and anything else that
    grows with them give the same, a softmax does not, since it mixes channels. Void pixels are left out.
    Classes without a pixel are nan and the means pass over them.

    **Exact** (``bins=None``): keeps 4 K + 1 bytes for each pixel (77 MB for a million at K = 19), and about
    120 more while it sorts, in ``compute``. Scores of wider dtypes are rounded to float32. Ranks gather all
    pixels.

    **Streaming** (``bins``): keeps K x K x bins counts of 8 bytes whatever the number of pixels (12 MB for
    19 classes at 4096 bins, 184 MB for 150 at 1024; halve the bins if that is too much), and ranks add
    theirs. Each figure comes with a bound that its error cannot exceed, computed from the counts. The bound
    is a worst case, near 1 / (2 bins in use) for classes that overlap entirely and less the better they
    are told apart. Scores inside a bin usually lie evenly, and then the error is a thousand times smaller:
    with 4096 bins about 1e-6 in the mean, 1e-5 in one pair. Scores are taken for probabilities unless
    ``score_range`` says otherwise; see ``score_bins`` for where the bins lie.

    Args:
        num_classes: number of classes K, at least 2.
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class (``ClassSpec.groups``); without it the
            group means are left out.
        multiclass: what ``"auc"`` and the group means average, ``"ovo"`` (one-vs-one) or ``"ova"``
            (one-vs-all).
        ignore_index: label of void pixels.
        bins: number of bins of the streaming mode, 2 to 2^20; None for the exact mode.
        score_range: for bins of scores that are no probabilities, such as logits: the lowest and the highest
            score. What lies outside counts in the first or last bin, and the bound grows accordingly.
        max_fpr: false positive rate up to which the area counts, in (0, 1]; each AUC is then standardized to
            1 for a perfect and 1/2 for a random ranking, as scikit-learn does. The raw area of a standardized
            a is f^2 / 2 + (2 a - 1)(f - f^2 / 2) with f = ``max_fpr``. None for the whole curve.
        size: ``"target"``: scores of another size than the target are resized to it, as the losses do with
            logits.
        **options: those of ``torchmetrics.Metric``; ``compute_on_cpu=True`` keeps the pixels of the exact
            mode off the GPU.

    Raises:
        ValueError: for an option outside its range, or ``score_range`` without ``bins``.

    Example:
        >>> metric = PixelAUC(2)
        >>> scores = torch.tensor([[[0.9, 0.4, 0.6]], [[0.1, 0.6, 0.4]]])[None]
        >>> metric.update(scores, torch.tensor([[[0, 0, 1]]]))
        >>> metric.compute()["pairs"].tolist()
        [[nan, 0.5], [0.5, nan]]
        >>> metric["auc"].compute().item()  # one figure as a metric, for the wrappers of torchmetrics
        0.5
    """

    by_class = ("ova", "ovo")

    pixel_scores: list[Tensor]
    pixel_labels: list[Tensor]
    histogram: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        groups: Sequence[str] | None = None,
        multiclass: str = "ovo",
        ignore_index: int = 255,
        bins: int | None = None,
        score_range: tuple[float, float] | None = None,
        max_fpr: float | None = None,
        size: Literal["target"] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.num_classes = check_num_classes(num_classes)
        self.groups = check_groups(groups, num_classes)
        check_option("multiclass", multiclass, MULTICLASS)
        check_max_fpr(max_fpr)
        check_option("size", size, ("target", None))
        self.multiclass, self.max_fpr, self.size = multiclass, max_fpr, size
        self.ignore_index = check_ignore_index(ignore_index)
        self._one_channel: bool | None = None
        self.bins, self.score_range = bins, score_range
        if bins is None:
            if score_range is not None:
                raise ValueError("score_range places bins, but bins=None computes exactly; give bins too")
            self.add_state("pixel_scores", default=[], dist_reduce_fx="cat")
            self.add_state("pixel_labels", default=[], dist_reduce_fx="cat")
        else:
            self.bins = bins = check_bins(bins, score_range)
            zeros = torch.zeros(num_classes, num_classes, bins, dtype=torch.int64)
            self.add_state("histogram", default=zeros, dist_reduce_fx="sum")

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Take in a batch.

        Args:
            scores: (B, K, H, W), floating point; with ``bins`` and no ``score_range`` in [0, 1]. Infinities
                rank like any other score. Scores at void pixels do not matter. For two classes also those of
                class 1 alone, (B, 1, H, W), in every update since the last reset; class 0 then ranks the
                other way round.
            target: (B, H, W), integer of any width, 0 to K - 1 or ``ignore_index``; for two classes also
                boolean. An axis of length one for a channel is left out.

        Raises:
            TypeError: if the scores are not floating point or the target is not integer.
            ValueError: if the shapes do not fit, a label is outside the classes, a score is nan, or not a
                probability where one is needed.
        """
        two, target = logits_and_labels(scores, target, self.num_classes, name="scores", size=self.size)
        one = two.shape[1] != scores.shape[1]
        if self._one_channel not in (None, one):
            raise ValueError(
                f"scores have {scores.shape[1]} channel{'' if one else 's'}, and before they had another "
                f"number; give all of them alike, or call reset()"
            )
        self._one_channel = one
        scores = (two[:, 1:] if one else two).detach()
        labels = class_index(target, self.num_classes, self.ignore_index)
        valid = labels != self.num_classes
        if self.bins is None:
            # of one channel class 0 has the opposite, which ranks exactly the other way round
            pixels = (torch.cat((-scores, scores), 1) if one else scores).movedim(1, -1)[valid]
            check_scores(pixels)
            self.pixel_scores.append(pixels.float())
            self.pixel_labels.append(labels[valid].to(self._label_dtype))
        else:
            scores = binnable(scores, valid, self.score_range)
            labels = labels.masked_fill(~valid, 0)
            add_score_histogram(self.histogram[one:], scores, labels, valid, self.score_range)
            if one:  # 1 - score in floating point would tie where score does not
                self.histogram[0] = self.histogram[1].flip(-1)

    def reset(self) -> None:
        """Forget all pixels."""
        super().reset()
        self._one_channel = None

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far.

        Returns:
            float64 tensors: ``"pairs"`` (K, K), with the positive class in rows and the negative class in
            columns; ``"ovo"`` (K,), the means of its rows; ``"ova"`` (K,), each class against all others;
            scalars ``"auc"``, the mean of ``"ovo"`` or ``"ova"`` as ``multiclass`` says, and with groups
            ``"auc_head"``, ``"auc_middle"``, ``"auc_tail"``. All are in [0, 1], or nan where there is no
            pair of pixels. In the streaming mode there is for each of them the bound of its absolute error,
            ``"pairs_error_bound"``, ``"auc_error_bound"`` and so on. Where the device knows no float64 they
            are on the CPU.
        """
        if self.bins is None:
            scores, labels = (
                [where_float64_is(part) for part in ([parts] if isinstance(parts, Tensor) else parts)]
                for parts in (self.pixel_scores, self.pixel_labels)
            )
            return self._figures(
                pairwise_auc(scores, torch.cat(labels), self.num_classes, max_fpr=self.max_fpr)
            )
        value, bound = histogram_auc(where_float64_is(self.histogram), max_fpr=self.max_fpr)
        # a mean is off by no more than the mean of the bounds
        bounds = {f"{name}_error_bound": figure for name, figure in self._figures(bound).items()}
        return {**self._figures(value), **bounds}

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the states of all ranks, as ``torchmetrics.Metric.sync`` does.

        Args:
            *args: passed on.
            **kwargs: passed on.
        """
        if self.bins is None and isinstance(self.pixel_labels, list) and not self.pixel_labels:
            # torchmetrics fills in for a rank without data, but with tensors of other shape and dtype
            self.pixel_scores.append(torch.empty(0, self.num_classes, device=self.device))
            self.pixel_labels.append(torch.empty(0, dtype=self._label_dtype, device=self.device))
        super().sync(*args, **kwargs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the figures that ``compute`` returns."""
        own = ("auc", *group_names(self.groups, "auc"), "pairs", "ovo", "ova")
        return own if self.bins is None else (*own, *(f"{name}_error_bound" for name in own))

    @property
    def _label_dtype(self) -> torch.dtype:
        return torch.uint8 if self.num_classes <= 256 else torch.int32

    def _figures(self, table: PairAUC) -> dict[str, Tensor]:
        """What ``compute`` returns, from the table of pairs and the one-vs-all vector."""
        classes = {"ovo": table.pairs.nanmean(1), "ova": table.ova}
        chosen = classes[self.multiclass]
        return {
            "auc": chosen.nanmean(),
            **group_means(chosen, self.groups, "auc"),
            "pairs": table.pairs,
            **classes,
        }

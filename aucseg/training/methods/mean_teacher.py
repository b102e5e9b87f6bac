"""Self-training with a moving average as teacher: semi-supervised, and from one domain to another."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from aucseg.data import mix_seed
from aucseg.data.transforms.strong import StrongView
from aucseg.errors import OptionError
from aucseg.functional.mixing import box_mask, class_mask, paste
from aucseg.functional.pseudo_labels import (
    PSEUDO_LABEL_COUNTS,
    confident_share,
    drop_uncertain,
    entropy,
    estimated_counts,
    masked_distance,
    predicted,
    pseudo_label_counts,
    without_margins,
)
from aucseg.functional.regions import shares_at
from aucseg.longtail import Tally
from aucseg.models import classifier, padded_logits
from aucseg.training.classes import ClassInfo
from aucseg.training.methods.base import LoaderFactory, Method, MethodConfig, MethodContext
from aucseg.training.objectives.cross_entropy import CrossEntropyObjective
from aucseg.training.section import ConfigError

_POINTS = 20  # how often a run keeps what became of its pseudo-labels

# Thing classes of Cityscapes and CamVid, whose features DAFormer holds to ImageNet's.
THINGS = (
    "traffic light", "traffic sign", "person", "rider", "car", "truck", "bus", "train", "motorcycle",
    "bicycle", "SignSymbol", "Car", "Pedestrian", "Bicyclist",
)  # fmt: skip


class MeanTeacherConfig(MethodConfig):
    r"""A teacher labels images that have no labels; the student learns from both kinds.

    The teacher is the moving average of the student,
    :math:`\theta' \leftarrow a \theta' + (1 - a) \theta` with :math:`a = \min(1 - 1/(t+1), \alpha)` at step t
    from 0. It sees an image as the loader gives it, and what it predicts there is the label of a strong view
    for the student. Labelled images are the part of the training split that ``data.labelled`` names, and the
    others come without labels; or, with ``source``, the labelled images of another domain, and all images of
    the training split come without labels.

    On several processes the step is that of the whole batch, with two exceptions: each process draws the
    views and the masks of its own images, other numbers than one process would draw, and
    ``"drop_uncertain"`` orders the pixels of its own images.

    Attributes:
        name: ``"mean_teacher"``.
        source: labelled images of another domain; see :class:`MethodConfig`.
        batch_size: images without labels in a step, as many as with labels if None.
        decay: :math:`\alpha`; 0.999 in BLV and DAFormer.
        buffers: what the teacher normalises by: ``"copied"``: running figures of the student; ``"averaged"``:
            their moving average; ``"batch"``: those of the batch that it labels, as in U2PL's and DAFormer's
            releases.
        evaluate: whose predictions count.
        weight: of the term of images without labels.
        burn_in: steps without that term.
        rule: which pixels of a pseudo-label count, and how much. ``"confident_share"``: all, by the share of
            confident pixels (DACS, DAFormer); ``"all"``; ``"confident"``: the confident ones, by the same
            share (FixMatch); ``"drop_uncertain"``: all but those of largest entropy (U2PL).
        threshold: probability from which on a pixel is confident.
        share_of: the share of each ``"image"``, as DAFormer's paper has it, or of the ``"batch"``, as its
            code.
        drop: for ``"drop_uncertain"``, the share that is dropped at first; it falls linearly to 0.
        margins: rows above and below, columns left and right without pseudo-labels.
        jitter, jitter_probability: strength and probability of the change of colours.
        blur, blur_sigma: probability of the blur, and the range of its standard deviation in pixels; see
            :class:`aucseg.data.transforms.strong.StrongView`.
        mix: what is pasted over images without labels: half of the classes (``"class_mix"``), a box
            (``"cut_mix"``), or nothing.
        mix_from: images that this comes from: with their labels, or others without, with their
            pseudo-labels.
        classes_of: see :func:`aucseg.functional.mixing.class_mask`.
        box_share: share of an image that a box covers.
        objective_on: the term that the run's objective acts on; the other one has plain cross entropy.
        counts: what a loss that is built of class counts gets: ``"labelled"``, those of the labelled images
            (of the source, if there is one); ``"estimated"``, BLV's Eq. 4 after each epoch of the images
            without labels, the former until then; ``"true"``, those of their masks, which in earnest nobody
            has.
        counted_by: who predicts for Eq. 4.
        count_labelled: add the labelled pixels to it.
        counts_every: steps between two estimates, an epoch of the images without labels if None.
        feed_bank: the memory bank also stores objects of confident pseudo-labels.
        feature_distance: weight of the distance of the encoder's last features from those of its first
            weights on the labelled images; 0.005 in DAFormer. It wants weights of ImageNet.
        feature_classes: on cells of which classes, by name; those of ``THINGS`` if None.
        feature_share: share of the pixels under a cell that one of these classes must have.
    """

    name: Literal["mean_teacher"] = "mean_teacher"
    batch_size: int | None = Field(None, ge=1, le=2**16)
    decay: float = Field(0.999, ge=0, lt=1)
    buffers: Literal["copied", "averaged", "batch"] = "copied"
    evaluate: Literal["student", "teacher"] = "student"
    weight: float = Field(1.0, ge=0)
    burn_in: int = Field(0, ge=0)
    rule: Literal["confident_share", "all", "confident", "drop_uncertain"] = "confident_share"
    threshold: float = Field(0.968, ge=0, le=1)
    share_of: Literal["image", "batch"] = "image"
    drop: float = Field(0.2, ge=0, le=1)
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)
    jitter: float = Field(0.2, ge=0, le=1)
    jitter_probability: float = Field(0.8, ge=0, le=1)
    blur: float = Field(0.5, ge=0, le=1)
    blur_sigma: tuple[float, float] = (0.15, 1.15)
    mix: Literal["class_mix", "cut_mix", "none"] = "class_mix"
    mix_from: Literal["labelled", "unlabelled"] = "labelled"
    classes_of: Literal["image", "batch"] = "image"
    box_share: float = Field(0.5, gt=0, le=1)
    objective_on: Literal["both", "labelled", "unlabelled"] = "both"
    counts: Literal["labelled", "estimated", "true"] = "labelled"
    counted_by: Literal["teacher", "student"] = "teacher"
    count_labelled: bool = False
    counts_every: int | None = Field(None, ge=1)
    feed_bank: bool = False
    feature_distance: float = Field(0.0, ge=0)
    feature_classes: tuple[str, ...] | None = None
    feature_share: float = Field(0.75, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> MeanTeacherConfig:
        if min(self.margins) < 0:
            raise ValueError(f"margins are rows and columns, none negative, got {list(self.margins)}")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ValueError(f"blur_sigma is (low, high) in pixels, got {list(self.blur_sigma)}")
        if self.counts != "estimated" and (self.counts_every is not None or self.counted_by != "teacher"):
            raise ValueError("counts_every and counted_by have a part in counts 'estimated' only")
        return self

    def loaders(self, data: LoaderFactory) -> Any:
        """Labelled batches and, where there are such images, batches without labels."""
        unlabelled = data.unlabelled_loader(self.batch_size)
        labelled = {"labelled": data.training_loader()}
        return labelled if unlabelled is None else labelled | {"unlabelled": unlabelled}

    def build(self, model: nn.Module) -> Method:
        """The method of a run; see :meth:`MethodConfig.build`.

        Raises:
            ConfigError: if features are to be compared of a network without an encoder.
        """
        return MeanTeacher(self, model)


class MeanTeacher(Method):
    """Teacher, what was counted for priors, and the step.

    Args:
        config: the options.
        model: the network with its first weights.

    Raises:
        ConfigError: as :meth:`MeanTeacherConfig.build`.

    Attributes:
        teacher: the moving average.
        counts: pixels and images of each class that the objective's priors were last made of, (2, K) int64;
            0 as long as they are the labelled ones.
        seen: what became of the pixels that were labelled since a point of :meth:`summary`, on all ranks,
            (6, K) int64.
    """

    counts: Tensor
    seen: Tensor

    def __init__(self, config: MeanTeacherConfig, model: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.teacher = AveragedModel(
            model, multi_avg_fn=partial(_average, config.decay), use_buffers=config.buffers == "averaged"
        ).requires_grad_(False)
        number = classifier(model).out_channels
        self.register_buffer("counts", torch.zeros(2, number, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(len(PSEUDO_LABEL_COUNTS), number, dtype=torch.int64))
        self._points: list[tuple[int, list[list[int]]]] = []
        self._estimates: list[tuple[int, list[int]]] = []
        self.reference: nn.Module | None = None
        if config.feature_distance:
            encoder = getattr(model, "encoder", None)
            if not isinstance(encoder, nn.Module):
                raise ConfigError(
                    f"method.feature_distance: {type(model).__name__} has no encoder; leave it at 0"
                )
            self.reference = copy.deepcopy(encoder).requires_grad_(False)
        self._begun = False

    def evaluated(self, model: nn.Module) -> nn.Module:
        """Student or teacher."""
        return model if self.config.evaluate == "student" else self.teacher.module

    def step(self, module: MethodContext, batch: Any) -> dict[str, Tensor]:
        """Objective of the labelled images, and that of the others with the teacher's labels."""
        config = self.config
        self._begin(module)
        images, target = batch["labelled"]
        if module.bank is not None:
            images, target = module.bank(images, target)
        parts = self._labelled(module, images, target)
        if "unlabelled" not in batch or module.global_step < config.burn_in:
            return parts
        pictures, truth = batch["unlabelled"]
        if config.mix != "none" and config.mix_from == "labelled" and images.shape[2:] != pictures.shape[2:]:
            raise ConfigError(
                f"method.mix: labelled images are of {list(images.shape[2:])} pixels and those without "
                f"labels of {list(pictures.shape[2:])}",
                remedy="give both the same crop_size, or set mix to none or mix_from to unlabelled",
            )
        draws = torch.Generator().manual_seed(
            mix_seed(module.config.seed, "views", module.global_step, module.global_rank)
        )
        labels, share, told = self.pseudo_labels(module, pictures, truth)
        pictures, labels, weights = self._mixed((images, target), (pictures, labels, share), draws)
        pictures = self._view(module)(pictures, draws)
        term = module.losses(pictures, labels, weights=weights, objective=self._plain(module, "labelled"))
        parts = {**parts, "unlabelled": term["loss"].detach(), **told}
        return parts | {"loss": parts["loss"] + config.weight * term["loss"]}

    def after_step(self, module: MethodContext) -> None:
        """Let the teacher follow, and count anew where an epoch ends."""
        self.teacher.update_parameters(module.model)
        done, steps = module.global_step + 1, module.config.optim.steps
        if done % max(1, steps // _POINTS) == 0 or done == steps:
            if self.seen.any():
                self._points.append((done, self.seen.tolist()))
            self.seen.zero_()
        if self.config.counts != "estimated":
            return
        every = self.config.counts_every or module.unlabelled_epoch
        if every and done % every == 0:
            self._estimate(module)
            self._estimates.append((done, self.counts[0].tolist()))

    def summary(self, module: MethodContext) -> dict[str, Any] | None:
        """Classes of labels and pseudo-labels, in pixels, by class name.

        Args:
            module: the run, after its last step.

        Returns:
            ``"labelled"``, pixels of each class in the images with labels; ``"unlabelled"``, in the masks of
            the others, ``None`` where these have none; ``"step"``, about twenty of them, and for the stretch
            that ends at each, every row of :data:`~aucseg.functional.pseudo_labels.PSEUDO_LABEL_COUNTS`; and
            ``"estimated_step"`` and ``"estimated"``, what Eq. 4 gave after each epoch, with
            ``count_labelled`` the labelled pixels among them. Nothing if no image was labelled.
        """
        if not self._points:
            return None
        names = module.classes.spec.names

        def named(pixels: Any) -> dict[str, Any]:
            return dict(zip(names, np.asarray(pixels).tolist(), strict=True))

        unlabelled = module.unlabelled_tally().pixels if module.has_unlabelled_masks else None
        table = np.array([rows for _, rows in self._points])  # points, rows, classes
        estimated = np.array([pixels for _, pixels in self._estimates]).reshape(-1, len(names))
        return {
            "labelled": named(module.classes.pixels),
            "unlabelled": None if unlabelled is None else named(unlabelled),
            "step": [step for step, _ in self._points],
            **{row: named(table[:, i].T) for i, row in enumerate(PSEUDO_LABEL_COUNTS)},
            "estimated_step": [step for step, _ in self._estimates],
            "estimated": named(estimated.T),
        }

    def get_extra_state(self) -> dict[str, Any]:
        """What :meth:`summary` has so far, as plain values."""
        return {"points": self._points, "estimates": self._estimates}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take it up again."""
        self._points, self._estimates = list(state["points"]), list(state["estimates"])

    @torch.no_grad()
    def pseudo_labels(
        self, module: MethodContext, pictures: Tensor, truth: Tensor
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """What the teacher says of images, and how much it counts.

        Args:
            module: the run.
            pictures: (B,3,H,W), normalised.
            truth: (B,H,W) int64, what is known of them, for the record alone.

        Returns:
            Labels (B,H,W) int64, void where they do not count; the weight of each image (B,), None for 1; and
            the curves: ``"pseudo_weight"``, and ``"pseudo_accuracy"`` where truth is known at all. What
            became of the pixels of each class is added to :attr:`seen`.
        """
        config, void = self.config, module.classes.ignore_index
        logits = self.answers(pictures)
        labels, probability = predicted(logits)
        said = shown = labels
        share: Tensor | None = None
        if config.rule in ("confident_share", "confident"):
            share = confident_share(probability, config.threshold, share_of=config.share_of)
            if config.share_of == "batch":  # of all ranks, which have equally many pixels
                ranks = module.over_ranks(share.new_ones(()))
                share = module.over_ranks(share) / ranks
            shown = labels.masked_fill(probability < config.threshold, void)
        if config.feed_bank and module.bank is not None:
            sure = labels.masked_fill(probability < config.threshold, void)
            module.bank.keep(pictures, without_margins(sure, config.margins, ignore_index=void))
        if config.rule == "confident":
            labels = shown
        elif config.rule == "drop_uncertain":
            left = config.drop * max(0.0, 1 - module.global_step / module.config.optim.steps)
            labels = shown = drop_uncertain(labels, entropy(logits), left, ignore_index=void)
        labels = without_margins(labels, config.margins, ignore_index=void)
        counted = without_margins(shown, config.margins, ignore_index=void) != void
        # equal on all ranks in every step: DDP gives each the buffers of the first, which writes checkpoints
        self.seen += module.over_ranks(pseudo_label_counts(said, counted, truth, logits.shape[1]))
        known = truth != void
        right = ((labels == truth) & known).sum() / known.sum().clamp(min=1)
        weight = logits.new_ones(()) if share is None else share.mean()
        return labels, share, {"pseudo_weight": weight, "pseudo_accuracy": right.float()}

    def _labelled(self, module: MethodContext, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        with _last_features(module.model if self.reference is not None else None) as seen:
            parts = module.losses(images, target, objective=self._plain(module, "unlabelled"))
        if self.reference is None:
            return parts
        taught, features = seen[0]
        self.reference.eval()
        with torch.no_grad():
            first = self.reference(taught)[-1]
        right, bottom = (taught.shape[d] - images.shape[d] for d in (3, 2))
        rows = F.pad(target, (0, right, 0, bottom), value=module.classes.ignore_index)
        shares = shares_at(rows, module.classes.num_classes, (features.shape[2], features.shape[3]))
        things = shares[:, self._things(module)]
        distance = masked_distance(features, first, (things >= self.config.feature_share).any(1))
        total = parts["loss"] + self.config.feature_distance * distance
        return parts | {"loss": total, "feature_distance": distance.detach()}

    def _things(self, module: MethodContext) -> list[int]:
        """Train ids of the classes whose features are compared."""
        spec, wanted = module.classes.spec, self.config.feature_classes
        if wanted is not None:
            try:
                return [spec.index(name) for name in wanted]
            except OptionError as error:
                raise ConfigError(f"method.feature_classes: {error}") from error
        found = [k for k, name in enumerate(spec.names) if name in THINGS]
        if not found:
            raise ConfigError(
                f"method.feature_distance: none of the classes of {spec.name!r} is known as a thing",
                remedy="name them with feature_classes",
            )
        return found

    def _plain(self, module: MethodContext, other: str) -> nn.Module | None:
        """Cross entropy, where the objective acts on the other term alone; None for the objective."""
        if self.config.objective_on != other:
            return None
        return CrossEntropyObjective(ignore_index=module.classes.ignore_index)

    def _view(self, module: MethodContext) -> StrongView:
        mean, std = module.config.model.figures
        return StrongView(
            strength=self.config.jitter,
            jitter=self.config.jitter_probability,
            blur=self.config.blur,
            sigma=self.config.blur_sigma,
            mean=mean,
            std=std,
        )

    def answers(self, pictures: Tensor, model: nn.Module | None = None) -> Tensor:
        """Logits of the teacher, or of another network, without what is random in training."""
        model = self.teacher.module if model is None else model
        modes = [(m, m.training) for m in model.modules()]
        model.eval()
        if self.config.buffers == "batch":
            for part, _ in modes:
                if isinstance(part, _BatchNorm):
                    part.train()
        logits = padded_logits(model, pictures)
        for part, mode in modes:
            part.training = mode
        return logits

    def _mixed(
        self,
        labelled: tuple[Tensor, Tensor],
        unlabelled: tuple[Tensor, Tensor, Tensor | None],
        draws: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images, labels, and the weight of each pixel where it is not 1."""
        config = self.config
        pictures, labels, share = unlabelled
        weights = None
        if share is not None:
            weights = share[:, None, None].expand(labels.shape)
        if config.mix == "none":
            return pictures, labels, weights
        number = len(pictures)
        if config.mix_from == "labelled":
            order = torch.arange(number, device=pictures.device) % len(labelled[0])
            over, aim = (tensor.index_select(0, order) for tensor in labelled)
            sure = None if weights is None else torch.ones_like(weights)
        else:
            over, aim = pictures.roll(1, 0), labels.roll(1, 0)
            sure = None if weights is None else weights.roll(1, 0)
        if config.mix == "class_mix":
            mask = class_mask(aim, len(self.counts[0]), draws, classes_of=config.classes_of)
        else:
            size = (labels.shape[1], labels.shape[2])
            mask = box_mask(number, size, draws, share=config.box_share, device=labels.device)
        pictures, labels = paste(mask, (over, aim), (pictures, labels))
        if weights is not None and sure is not None:
            weights = paste(mask, sure, weights)
        return pictures, labels, weights

    def _begin(self, module: MethodContext) -> None:
        """Before the first step of this process: priors as they were when another one stopped."""
        if self._begun:
            return
        self._begun = True
        if self.reference is not None and module.config.model.encoder_weights is None:
            raise ConfigError(
                "method.feature_distance compares with what the encoder knew first, and it starts from "
                "random weights",
                remedy="give model.encoder_weights, or leave feature_distance at 0",
            )
        if self.config.counts == "true" and not self.counts.any():
            tally = module.unlabelled_tally()
            self._count(module, torch.from_numpy(np.stack((tally.pixels, tally.images))))
        if self.counts.any():
            self._set_priors(module)

    @torch.no_grad()
    def _estimate(self, module: MethodContext) -> None:
        """BLV's Eq. 4: predict all images without labels and count."""
        model = module.model if self.config.counted_by == "student" else self.teacher.module
        counts = torch.zeros_like(self.counts)
        for pictures in module.unlabelled_batches():
            labels = self.answers(pictures, model).argmax(1)
            counts += torch.stack(estimated_counts(labels, counts.shape[1]))
        self._count(module, module.over_ranks(counts))
        self._set_priors(module)

    def _count(self, module: MethodContext, counts: Tensor) -> None:
        """Keep what was counted; a class that is nowhere counts one pixel, for its prior would be none."""
        counts = counts.to(self.counts.device)
        if self.config.count_labelled:
            own = np.stack((module.classes.pixels, module.classes.images))
            counts = counts + torch.from_numpy(own).to(counts.device)
        self.counts.copy_(counts.clamp(min=1))

    def _set_priors(self, module: MethodContext) -> None:
        """Build the objective anew of what was counted, and take over what in it follows from counts.

        That is what is no part of its state: buffers that are not kept in a checkpoint.
        """
        pixels, images = self.counts.cpu().numpy()
        spec = module.classes.spec
        tally = Tally(spec, pixels, images, int(max(images.max(), 1)))
        with torch.random.fork_rng(devices=[]):
            made = module.config.loss.build(ClassInfo(spec, tally))
            made.attach(module.model)
        parts = dict(module.objective.named_modules())
        for name, part in made.named_modules():
            for key in part._non_persistent_buffers_set:
                fresh, held = getattr(part, key), getattr(parts[name], key, None)
                if fresh is not None and held is not None:
                    held.copy_(fresh)


def _average(decay: float, averaged: list[Tensor], current: list[Tensor], number: Tensor) -> None:
    r"""Move the average, in place: :math:`a = \min(1 - 1/(t+1), \alpha)` after t updates."""
    if not averaged[0].is_floating_point():  # counters of normalisation layers
        torch._foreach_copy_(averaged, current)
        return
    share = 1 - min(1 - 1 / (float(number) + 1), decay)
    torch._foreach_lerp_(averaged, current, share)


@contextmanager
def _last_features(model: nn.Module | None) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """What the encoder gets and its last features, of each pass of the network."""
    seen: list[tuple[Tensor, Tensor]] = []
    if model is None:
        yield seen
        return
    encoder: Any = model.encoder
    handle = encoder.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output[-1])))
    try:
        yield seen
    finally:
        handle.remove()

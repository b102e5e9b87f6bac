"""The sections of a run's configuration: data, network, loss, bank, optimiser, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aucseg.data import list_datasets
from aucseg.errors import UserError, did_you_mean

Size = tuple[int, int]
TailChoice = str | tuple[int | str, ...]
Option = bool | int | float | str | tuple[int, ...]


class ConfigError(UserError, ValueError):
    """A configuration that cannot be run; the message names the key and the remedy."""


class Section(BaseModel):
    """Keys that are checked and then never change; an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class DataConfig(Section):
    """Which images, how large, how augmented.

    Attributes:
        name: ``"streets"`` (drawn, nothing to download), or one of :func:`aucseg.data.list_datasets`, among
            them ``"camvid"`` and ``"folder"`` (images and masks of your own with a ``classes.csv``).
        root: folder of the data set; not needed for streets, searched for if it is left out.
        images, masks: file-name patterns of a folder in another layout than the package's own, for example
            ``"imgs/{name}.jpg"``.
        size: height and width in pixels to which images are drawn or resized.
        crop_size: height and width of the random training crop; ``None`` trains on whole images.
        scale: range of the random scale before the crop; ``None`` leaves the scale alone.
        hflip: probability of a horizontal flip.
        photometric: random brightness, contrast and saturation; ``"mmseg"`` is the stronger distortion of
            AUCSeg's released configurations, :class:`aucseg.data.PhotometricDistortion`.
        resize: (short, long) side of a box that images on disk are brought to with their aspect ratio kept,
            in training before ``scale`` acts; they are then read at their own size and not at ``size``, and
            evaluated at it, one by one. Needs ``crop_size``. AUCSeg F.2 has (512, 2048) for ADE20K.
        max_class_share: where one class has as much of a training crop, another is drawn, up to ten times;
            1 for no cap. AUCSeg's released configurations have 0.75.
        train_split, eval_split: names of the splits; streets draws another world for each name.
        train_images, eval_images: how many images; ``None`` takes the whole split (streets needs a number).
        batch_size: images in a training step, on each device.
        eval_batch_size: images in an evaluation step.
        num_workers: worker processes that load images. Does not change any number.
        sampling: order of the training images. ``"random"``: a permutation for each epoch. ``"stratified"``
            and ``"covering"``: the plain and the improved stratified sampling of AUCSeg E.1, see
            :class:`aucseg.data.StratifiedBatchSampler` and :class:`aucseg.data.CoveringBatchSampler`; the
            latter promises every class that the training split holds. Both read all training masks first.
        tail_classes: which classes are head, middle and tail, for the bank, the loss and the metrics:
            ``"spec"`` (the groups of the label set), ``"auto"`` (by pixel shares), a published partition or
            the tail classes themselves, by train id or name; see :func:`aucseg.longtail.choose_tail`.
    """

    name: str = "streets"
    root: Path | None = None
    images: str | None = None
    masks: str | None = None
    size: Size = (64, 128)
    crop_size: Size | None = None
    scale: tuple[float, float] | None = None
    hflip: float = Field(0.5, ge=0, le=1)
    photometric: bool | Literal["mmseg"] = False
    resize: Size | None = None
    max_class_share: float = Field(1.0, gt=0, le=1)
    train_split: str = "train"
    eval_split: str = "val"
    train_images: int | None = Field(None, ge=1)
    eval_images: int | None = Field(None, ge=1)
    batch_size: int = Field(8, ge=1)
    eval_batch_size: int = Field(8, ge=1)
    num_workers: int = Field(0, ge=0)
    sampling: Literal["random", "stratified", "covering"] = "random"
    tail_classes: TailChoice = "spec"

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        known = ("streets", *list_datasets())
        if self.name not in known:
            raise ValueError(f"unknown data set {self.name!r}; {did_you_mean(self.name, known)}")
        for key in ("size", "crop_size"):
            value = getattr(self, key)
            if value is not None and min(value) < 1:
                raise ValueError(f"{key} must be positive, got {list(value)}")
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be 0 < low <= high, got {list(self.scale)}")
        if self.resize is not None:
            if not 1 <= self.resize[0] <= self.resize[1]:
                raise ValueError(f"resize is (short, long) side in pixels, got {list(self.resize)}")
            if self.crop_size is None or self.name == "streets":
                raise ValueError("resize needs crop_size, and images on disk: streets are drawn at size")
        if self.name == "streets" and (self.train_images is None or self.eval_images is None):
            raise ValueError("streets are drawn: say how many with train_images and eval_images")
        if self.name == "folder" and self.root is None:
            raise ValueError("data set 'folder' needs root: the folder that holds images/ and annotations/")
        return self


class ModelConfig(Section):
    """Which network; see :func:`aucseg.models.create_model`.

    Attributes:
        name: architecture.
        encoder: its encoder; ``None`` takes the network's own.
        encoder_weights: where its first weights come from, random by default.
        options: further arguments of the architecture.
    """

    name: str = "unet"
    encoder: str | None = "resnet18"
    encoder_weights: str | None = None
    options: dict[str, Option] = Field(default_factory=dict)


class QueueConfig(Section):
    """Recent batches that stand in for missing classes; see :class:`aucseg.losses.SumQueue`.

    Attributes:
        momentum, batches: one of the two.
        max_age: steps after which a class that has not been seen is left out again.
    """

    momentum: float | None = Field(None, ge=0, lt=1)
    batches: int | None = Field(None, ge=1)
    max_age: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> QueueConfig:
        if (self.momentum is None) == (self.batches is None):
            raise ValueError(f"give momentum or batches, one of them; got {self.momentum} and {self.batches}")
        return self


class LossConfig(Section):
    r"""What is minimised.

    ``"cross_entropy"`` is Eq. 2 of AUCSeg averaged over labelled pixels. ``"auc"`` is
    :math:`\ell_{auc} + \lambda \ell_{ce}` (Algorithm 2, line 21) with the mean over present ordered pairs.

    Attributes:
        name: which of the two.
        ce_weight: :math:`\lambda`. AUCSeg finds 1/4 best on ADE20K (Table 23).
        surrogate, multiclass, margin, scale, activation, reduction: see :class:`aucseg.losses.AUCLoss`.
        pairs: all pairs of classes, or those of a tail class and one that is not.
        ohem: the cross entropy is that of the hard pixels of a batch only, as STDC has it; see
            :func:`aucseg.losses.ohem_cross_entropy`, whose defaults it takes. The AUC loss has all pixels.
        queue: recent batches for the classes that a batch lacks.
    """

    name: Literal["cross_entropy", "auc"] = "auc"
    ce_weight: float = Field(0.25, ge=0)
    surrogate: Literal["square", "hinge", "squared_hinge", "exp", "logistic"] = "square"
    multiclass: Literal["ovo", "ova"] = "ovo"
    margin: float = Field(1.0, gt=0)
    scale: float = Field(1.0, gt=0)
    activation: Literal["sigmoid", "softmax", "identity"] = "sigmoid"
    reduction: Literal["mean", "sum"] = "mean"
    pairs: Literal["all", "tail_versus_rest"] = "all"
    ohem: bool = False
    queue: QueueConfig | None = None


class BankConfig(Section):
    """The tail-class memory bank, or what the paper compares it with.

    See :class:`aucseg.memory.TailMemoryBank` for what each option does. The defaults are the best values of
    AUCSeg on ADE20K (Tables 20 to 22).

    Attributes:
        kind: ``"tail"``; ``"pixel"``, a bank of all classes (Table 18); ``"fixed_pixels"``, which gives
            each image a fixed number of pixels (Appendix G.8); ``"copy_paste"``, which keeps nothing from
            one batch to the next.
        memory_size, sample_ratio, resize_ratio: S_M, R_S and R_R.
        scope: whether missing classes are counted for each image or for the batch.
        replacement: which object a full class gives up (Table 19).
        min_area, max_cover, antialias, edge, placement: how objects are stored and pasted.
        offload: keep the objects on the CPU.
        image_share: for ``"fixed_pixels"``, the pixels to paste as a share of an image's, in (0, 1]. The
            paper names 10,000 to 40,000 pixels of a crop of 512 x 512: 0.038 to 0.153.
    """

    kind: Literal["tail", "pixel", "fixed_pixels", "copy_paste"] = "tail"
    memory_size: int = Field(5, ge=0)
    sample_ratio: float = Field(0.05, ge=0, le=1)
    resize_ratio: float = Field(0.4, gt=0, le=1)
    scope: Literal["image", "batch"] = "image"
    replacement: Literal["random", "fifo", "lifo", "priority_used"] = "random"
    min_area: int = Field(1, ge=1)
    max_cover: float | None = Field(None, ge=0, le=1)
    antialias: bool = True
    edge: Literal["hard", "soft"] = "hard"
    placement: Literal["box", "canvas"] = "box"
    offload: bool = False
    image_share: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> BankConfig:
        if (self.kind == "fixed_pixels") != (self.image_share is not None):
            raise ValueError(
                "image_share belongs to kind 'fixed_pixels', which needs it; got "
                f"kind {self.kind!r} and image_share {self.image_share}"
            )
        for name in _WITHOUT.get(self.kind, ()):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no part in kind {self.kind!r}; leave it out, got {value!r}")
        return self


# What a kind of bank does not look at: set, it would make another run of the same numbers.
_WITHOUT = {
    "fixed_pixels": ("sample_ratio", "scope"),
    "copy_paste": ("memory_size", "replacement", "scope"),
}


class OptimConfig(Section):
    """AdamW with linear warm-up and polynomial decay; the defaults are those of AUCSeg F.2.

    Attributes:
        lr: base learning rate.
        weight_decay: decoupled weight decay.
        steps: optimiser steps of the whole run.
        warmup_steps: steps over which the rate rises linearly from ``warmup_lr`` to ``lr``.
        warmup_lr: first learning rate.
        power: exponent of the decay (1 - step/steps)^power.
        decoder_factor: the rate of everything but the encoder, in parts of the encoder's. An encoder that
            starts from ImageNet wants a lower rate than a decoder that starts from nothing; AUCSeg's
            released configurations have 10.
    """

    lr: float = Field(6e-5, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    steps: int = Field(160_000, ge=1)
    warmup_steps: int = Field(1_500, ge=0)
    warmup_lr: float = Field(1e-6, ge=0)
    power: float = Field(1.0, ge=0)
    decoder_factor: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _check(self) -> OptimConfig:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must be below steps ({self.steps})")
        return self


class EvaluationConfig(Section):
    """How the network looks at the images of the evaluation split; whole and once by default.

    Attributes:
        window: (height, width) of sliding windows; see :func:`aucseg.models.sliding_window`.
        stride: their steps; two thirds of the window by default.
        ratios: scales of the image; see :func:`aucseg.models.view_logits`.
        flip: the mirrored image too.
    """

    window: Size | None = None
    stride: Size | None = None
    ratios: tuple[float, ...] = (1.0,)
    flip: bool = False

    @model_validator(mode="after")
    def _check(self) -> EvaluationConfig:
        if self.window is not None and min(self.window) < 1:
            raise ValueError(f"window must be positive, got {list(self.window)}")
        if self.stride is not None:
            if self.window is None:
                raise ValueError("stride is that of a window: give window too")
            if min(self.stride) < 1 or any(s > w for s, w in zip(self.stride, self.window, strict=True)):
                raise ValueError(f"stride is from 1 to the window's size, got {list(self.stride)}")
        if not self.ratios or not all(0 < ratio < float("inf") for ratio in self.ratios):
            raise ValueError(f"ratios are positive factors, at least one, got {list(self.ratios)}")
        return self

"""Which images a run sees: their configuration, and from that the data set of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from aucseg import paths
from aucseg.catalog import DATASETS
from aucseg.data import CachedDataset
from aucseg.data.dataset import ChosenDataset
from aucseg.data.files import path_part
from aucseg.data.label_sets import LABEL_SETS, RelabelledDataset, find_label_set
from aucseg.data.listing import read_names
from aucseg.data.parts import ImageFolder, choose_labelled, find_listed, read_fraction
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, OptionError, did_you_mean
from aucseg.training.classes import count_split
from aucseg.training.samplers import SAMPLERS
from aucseg.training.section import ConfigError, Section, Size

TailChoice = str | tuple[int | str, ...]
STANDARD_LOOK = "standard"

# Images and masks (4 bytes for each pixel) are kept in memory up to this size, and read anew for each epoch
# beyond it: CamVid at half size is 0.1 GB, Cityscapes at full size 25 GB.
CACHE_BYTES = 4 * 2**30


# Beyond these a machine would not refuse but hang.
_MOST, _MOST_WORKERS, _LONGEST_SIDE, _MOST_PIXELS = 2**16, 2**10, 2**15, 2**28


class DataConfig(Section):
    """Which images, how large, how augmented.

    Attributes:
        name: one of :func:`aucseg.catalog.list_datasets`: ``"streets"`` is drawn and nothing to download,
            ``"folder"`` is images and masks of your own with a ``classes.csv``.
        root: folder of the data set; not needed for streets, searched for if it is left out. ``~`` and
            ``$NAME`` are read as a shell reads them.
        fingerprint: of what lies in the folder, for data that count by their content, see
            :attr:`RunConfig.identity`. Whoever writes a configuration leaves it out; where it stands, other
            data than these are refused.
        images, masks: file-name patterns of a folder in another layout than the package's own, for example
            ``"imgs/{name}.jpg"``.
        size: height and width in pixels to which images are drawn or resized.
        crop_size: height and width of the random training crop; ``None`` trains on whole images.
        scale: range of the random scale before the crop; ``None`` leaves the scale alone.
        hflip: probability of a horizontal flip.
        flip_pairs: pairs of classes that a flip swaps, such as left and right hand: ``"auto"`` for those that
            :func:`aucseg.data.find_flip_pairs` finds by their names, ``"none"``, or the pairs, by train
            id or name. A flip that swaps none teaches the wrong side.
        photometric: random brightness, contrast and saturation; ``"mmseg"`` is the stronger distortion of
            AUCSeg's released configurations, :class:`aucseg.data.PhotometricDistortion`.
        resize: (short, long) side of a box that images on disk are brought to with their aspect ratio kept,
            in training before ``scale`` acts; they are then read at their own size and not at ``size``, and
            evaluated at it, one by one. Needs ``crop_size``. AUCSeg F.2 has (512, 2048) for ADE20K.
        resize_rule: how a training image in that box comes to whole pixels: ``"exact"``, or ``"mmseg"`` as in
            the published runs, smaller by up to two. See :class:`aucseg.data.RandomResize`.
        max_class_share: where one class has as much of a training crop, another is drawn, up to ten times;
            1 for no cap. AUCSeg's released configurations have 0.75.
        train_split, eval_split: names of the splits; streets draws another world for each name.
        train_images, eval_images: how many images; ``None`` takes the whole split (streets needs a number).
        look: how streets are pictured: ``"standard"``, or another of ``aucseg.streets.LOOKS``, a domain of
            its own.
        classes: another label set that the masks are brought to, one of
            :data:`aucseg.data.label_sets.LABEL_SETS`, in which data sets share their classes.
        labelled: which of the training images have labels: a fraction of them such as ``"1/16"``, their
            names, or a text file with a name a line, which is read at once; ``None`` for all. Those of a
            fraction are among those of a larger one.
        labelled_seed: which images a fraction takes.
        unlabelled: a folder of images without masks, for methods that learn from those too; they take the
            place of the training images that ``labelled`` leaves out. It counts by its content.
        batch_size: images in a training step, on all devices together.
        eval_batch_size: images in an evaluation step.
        num_workers: worker processes that load images. Does not change any number.
        sampling: order of the training images. ``"random"``: a permutation for each epoch. ``"stratified"``
            and ``"covering"``: the plain and the improved stratified sampling of AUCSeg E.1, see
            :class:`aucseg.data.StratifiedBatchSampler` and :class:`aucseg.data.CoveringBatchSampler`; the
            latter promises every class that the training split holds. ``"repeat_factor"``,
            ``"rarest_class"`` and ``"rare_class"`` show images of rare classes more often, see
            :class:`aucseg.data.RepeatingBatchSampler` and :class:`aucseg.data.RareClassBatchSampler`. All but
            the first read all training masks first.
        repeat_threshold: for ``"repeat_factor"``, the share of images from which on a class is not repeated.
        rare_temperature: for ``"rare_class"``, and for a crop that looks for a class, the temperature T.
        rare_min_share: for ``"rare_class"``, the share of an image's pixels from which on it counts for a
            class. DAFormer has 3,000 of 1280 x 720.
        crop: where training images are cropped: ``"random"``; ``"class_pixel"`` so that a pixel of a class is
            in it that is drawn for the image, rare classes more often; or ``"class_share"``, where the crop
            is drawn again until it has enough of the class, as DAFormer does. With ``"rare_class"`` it is
            the class that the image was drawn for. See :class:`aucseg.data.ClassCrop`. Both read all
            training masks first.
        crop_min_share: for ``"class_share"``, what is enough, as a share of the crop's pixels. DAFormer has
            1,500 of 512 x 512.
        tail_classes: which classes are head, middle and tail, for the bank, the loss and the metrics:
            ``"spec"`` (the groups of the label set), ``"auto"`` (by pixel shares), a published partition or
            the tail classes themselves, by train id or name; see :func:`aucseg.longtail.choose_tail`.
    """

    name: str = "streets"
    root: Path | None = None
    fingerprint: str | None = None
    images: str | None = None
    masks: str | None = None
    size: Size = (64, 128)
    crop_size: Size | None = None
    scale: tuple[float, float] | None = None
    hflip: float = Field(0.5, ge=0, le=1)
    flip_pairs: Literal["auto", "none"] | tuple[tuple[int | str, int | str], ...] = "auto"
    photometric: bool | Literal["mmseg"] = False
    resize: Size | None = None
    resize_rule: Literal["exact", "mmseg"] = "exact"
    max_class_share: float = Field(1.0, gt=0, le=1)
    train_split: str = "train"
    eval_split: str = "val"
    train_images: int | None = Field(None, ge=1, le=_MOST_PIXELS)
    eval_images: int | None = Field(None, ge=1, le=_MOST_PIXELS)
    look: str = STANDARD_LOOK
    classes: str | None = None
    labelled: str | tuple[str, ...] | None = None
    labelled_seed: int = Field(0, ge=0)
    unlabelled: Path | None = None
    batch_size: int = Field(8, ge=1, le=_MOST)
    eval_batch_size: int = Field(8, ge=1, le=_MOST)
    num_workers: int = Field(0, ge=0, le=_MOST_WORKERS)
    sampling: str = "random"
    repeat_threshold: float = Field(0.1, gt=0, le=1)
    rare_temperature: float = Field(0.01, gt=0)
    rare_min_share: float = Field(3_000 / (1280 * 720), ge=0, le=1)
    crop: Literal["random", "class_pixel", "class_share"] = "random"
    crop_min_share: float = Field(1_500 / 512**2, gt=0, le=1)
    tail_classes: TailChoice = "spec"

    not_identity = ("root", "num_workers", "eval_batch_size", "unlabelled")

    def shareable(self) -> DataConfig:
        """The same without the folders of the machine that it is on: records are published."""
        folders = {"root": self.root, "unlabelled": self.unlabelled}
        kept = {key: Path(folder.name) for key, folder in folders.items() if folder is not None}
        return self.model_copy(update=kept) if kept else self

    def listed(self) -> DataConfig:
        """The same as somebody would write it: a fingerprint that is not known is none."""
        return self if self.fingerprint else self.model_copy(update={"fingerprint": None})

    @model_validator(mode="before")
    @classmethod
    def _recorded(cls, content: Any, info: ValidationInfo) -> Any:
        # Of an earlier version, or of data that count by their name: "" keeps everybody from looking there.
        recorded = isinstance(content, Mapping) and (info.context or {}).get("recorded")
        if recorded and (content.get("root") is not None or content.get("unlabelled") is not None):
            return {**content, "fingerprint": content.get("fingerprint") or ""}
        return content

    @field_validator("labelled", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """The names in a list: the run is of the images, wherever the list lies."""
        if isinstance(value, str | Path) and str(value).endswith(".txt"):
            return read_names(paths.expand(value))
        return value

    @field_validator("root", "unlabelled")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return None if value is None else paths.expand(value)

    @field_validator("train_split", "eval_split")
    @classmethod
    def _a_name(cls, value: str) -> str:
        return path_part(value, "split")

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if self.name not in DATASETS:
            raise ValueError(f"unknown data set {self.name!r}; {did_you_mean(self.name, DATASETS)}")
        if self.sampling not in SAMPLERS:
            raise ValueError(f"unknown sampling {self.sampling!r}; {did_you_mean(self.sampling, SAMPLERS)}")
        if self.crop != "random" and self.crop_size is None and (self.scale is None or self.scale[1] <= 1):
            raise ValueError(
                f"crop {self.crop!r} chooses a place, and a crop of the whole image has none: set crop_size, "
                "or a scale above 1"
            )
        entry = DATASETS[self.name]
        for key in ("size", "crop_size"):
            value = getattr(self, key)
            if value is not None and min(value) < 1:
                raise ValueError(f"{key} must be positive, got {list(value)}")
            if value is not None and (max(value) > _LONGEST_SIDE or value[0] * value[1] > _MOST_PIXELS):
                raise ValueError(f"{key} is (height, width) in pixels, got {list(value)}: no such image fits")
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be 0 < low <= high, got {list(self.scale)}")
        if self.look != STANDARD_LOOK and self.look not in entry.looks:
            known = entry.looks or (STANDARD_LOOK,)
            raise ValueError(f"{self.name} have no look {self.look!r}; {did_you_mean(self.look, known)}")
        if self.classes is not None:
            find_label_set(self.classes)
        if isinstance(self.labelled, str):
            read_fraction(self.labelled)
        elif self.labelled is not None and not self.labelled:
            raise ValueError("labelled names no image; leave it out if all have labels")
        if self.resize is not None:
            if not 1 <= self.resize[0] <= self.resize[1]:
                raise ValueError(f"resize is (short, long) side in pixels, got {list(self.resize)}")
            if self.crop_size is None or entry.drawn:
                raise ValueError("resize needs crop_size, and images on disk: others are drawn at size")
        if entry.drawn and (self.train_images is None or self.eval_images is None):
            raise ValueError(f"{self.name} are drawn: say how many with train_images and eval_images")
        if entry.needs_root and self.root is None:
            raise ValueError(
                f"data set {self.name!r} needs root: the folder that holds images/ and annotations/"
            )
        return self


def fingerprint(data: DataConfig, more: Iterable[str] = ()) -> str | None:
    """The fingerprint that belongs to a configuration; ``None`` for data that count by their name.

    Args:
        data: the data part of a run's configuration.
        more: splits beyond those that it names.

    Raises:
        DataError: if the folder is not there, or a file in it is missing or cannot be read.
    """
    entry = DATASETS[data.name]
    by_name = data.root is None or entry.is_default(data.root) or entry.drawn
    if by_name and data.unlabelled is None:
        return None
    return _fingerprint(data, more)


def check_fingerprint(data: DataConfig, more: Iterable[str] = ()) -> None:
    """See that the data are still those that a configuration was made for, if it says which.

    Args:
        data: the data part of a run's configuration.
        more: as for :func:`fingerprint`.

    Raises:
        DataError: if they are not, or cannot be read.
    """
    if data.fingerprint and (found := _fingerprint(data, more)) != data.fingerprint:
        raise DataError(
            f"its classes, lists, images or masks are not those of the configuration: data.fingerprint is "
            f"{data.fingerprint[:16]}, here is {found[:16]}",
            file=data.root or data.name,
            remedy="without data.fingerprint it is a new run, on what is there now",
        )


def _fingerprint(data: DataConfig, more: Iterable[str]) -> str:
    try:
        located = DATASETS[data.name].at(data.root, images=data.images, masks=data.masks)
        own = located.fingerprint([data.train_split, data.eval_split, *more])
        if data.unlabelled is None:
            return own
        beside = ImageFolder(data.unlabelled, located.spec).fingerprint()
        return hashlib.sha256(f"{own}:{beside}".encode()).hexdigest()
    except OptionError as error:
        raise ConfigError(f"data: {error}") from error


def build_dataset(data: DataConfig, split: str, num_images: int | None) -> Any:
    """The data set that a configuration names, at its working size; in memory if it is below 4 GiB.

    All of its images, whichever have labels, in the classes that the configuration chooses.

    Args:
        data: the data part of a run's configuration.
        split: name of the split.
        num_images: how many images; ``None`` for all of a split on disk.

    Raises:
        ConfigError: if there is no such split to draw, or not so small, or the split holds fewer images.
        DataError: if files are missing or wrong.
    """
    try:
        entry = DATASETS[data.name]
        if entry.drawn:
            return _in_classes(data, _drawn(data.name, split, data.size, num_images, data.look))
        located = entry.at(data.root, images=data.images, masks=data.masks, train_split=data.train_split)
        dataset = located.open(split, size=None if data.resize else data.size)
    except OptionError as error:
        raise ConfigError(f"data: {error}") from error
    if num_images is not None and num_images > len(dataset):
        raise ConfigError(f"split {split!r} holds {len(dataset)} images, {num_images} were asked for")
    if data.resize is None and 4 * len(dataset) * data.size[0] * data.size[1] <= CACHE_BYTES:
        dataset.load()  # every file is opened now
    if num_images is not None:
        dataset = CachedDataset(dataset, num_images=num_images, keep=False)
    return _in_classes(data, dataset)


def _in_classes(data: DataConfig, dataset: Any) -> Any:
    """A data set in the label set of the configuration."""
    if data.classes is None:
        return dataset
    try:
        return RelabelledDataset(dataset, find_label_set(data.classes))
    except OptionError as error:
        raise ConfigError(f"data.classes: {error}") from error


def split_labelled(data: DataConfig, dataset: Any) -> tuple[Any, Any | None]:
    """The training images that have labels, and those that are used without.

    Args:
        data: the data part of a run's configuration.
        dataset: its training split.

    Returns:
        Two data sets; ``None`` for the second where no image is without labels.

    Raises:
        ConfigError: for a list that does not fit the training split.
        DataError: if the folder of unlabelled images is missing or wrong.
    """
    labelled: Any = dataset
    rest: Any = None
    if data.labelled is not None:
        names = tuple(dataset.names)
        try:
            if isinstance(data.labelled, str):
                chosen = set(choose_labelled(names, data.labelled, data.labelled_seed))
                places = tuple(i for i, name in enumerate(names) if name in chosen)
            else:
                places = find_listed(dataset, data.labelled)
        except OptionError as error:
            raise ConfigError(str(error)) from error
        left = sorted(set(range(len(names))) - set(places))
        labelled, rest = ChosenDataset(dataset, places), ChosenDataset(dataset, left) if left else None
    if data.unlabelled is not None:
        rest = ImageFolder(data.unlabelled, dataset.spec, None if data.resize else data.size)
    return labelled, rest


def check_classes(source: ClassSpec, target: ClassSpec) -> None:
    """See that images of two domains have the same classes.

    Args:
        source: label set of the images with labels.
        target: that of the others, which are evaluated.

    Raises:
        ConfigError: if they have not, with what differs.
    """
    if source.names == target.names:
        return
    alone = [sorted(set(one.names) - set(other.names)) for one, other in ((source, target), (target, source))]
    if not any(alone):
        told = "the same classes in another order"
    elif not set(source.names) & set(target.names):
        told = f"no class in common ({source.names[0]!r}, ... and {target.names[0]!r}, ...)"
    else:
        words = [
            f"{', '.join(map(repr, names[:4]))}{', ...' if len(names) > 4 else ''} {where} only"
            for names, where in zip(alone, ("in the source", "in the target"), strict=True)
            if names
        ]
        told = f"other classes: {' and '.join(words)}"
    raise ConfigError(
        f"source {source.name!r} and target {target.name!r} have {told}",
        remedy=f"bring both to one label set with data.classes and method.source.classes: "
        f"{', '.join(LABEL_SETS)}",
    )


def check_labels(data: DataConfig, dataset: Any) -> None:
    """Refuse labels on which a training would learn nothing, before it starts.

    Args:
        data: the data part of a run's configuration.
        dataset: its training split, of which all images are looked at, however many train.

    Raises:
        DataError: as :meth:`aucseg.catalog.Located.check_labels`.
    """
    entry = DATASETS[data.name]
    if entry.drawn:
        return
    located = entry.at(data.root, images=data.images, masks=data.masks, train_split=data.train_split)
    whole = dataset
    while isinstance(whole, CachedDataset | ChosenDataset | RelabelledDataset):
        whole = whole.dataset
    located.check_labels(data.train_split, lambda: count_split(whole))


@lru_cache(maxsize=4)
def _drawn(name: str, split: str, size: tuple[int, int], num_images: int | None, look: str) -> CachedDataset:
    """The runs of a table share their drawn images: drawing them takes a good part of a short run."""
    options = {} if look == STANDARD_LOOK else {"look": look}
    return CachedDataset(DATASETS[name].open(split, size=size, num_images=num_images, **options))

"""Data of one run: data sets by name, batches whose content depends on seed and step alone."""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Subset

from aucseg.data import (
    ClassCrop,
    SeededDataset,
    StepBatchSampler,
    count_repeats,
    mix_seed,
    normalize,
    rare_class_probabilities,
    train_transform,
)
from aucseg.data.dataset import ChosenDataset
from aucseg.data.parts import ImageFolder, image_modes
from aucseg.data.spec import ClassSpec, choose_flip_pairs
from aucseg.data.stratify import split_sizes, stratified_split
from aucseg.errors import DataError, OptionError
from aucseg.longtail import choose_tail
from aucseg.training.classes import ClassInfo, count_split
from aucseg.training.config import RunConfig
from aucseg.training.samplers import SAMPLERS, presence_of
from aucseg.training.section import ConfigError
from aucseg.training.splits import DataConfig, build_dataset, check_classes, check_labels, split_labelled


def _flip_pairs(data: DataConfig, spec: ClassSpec) -> tuple[tuple[int, int], ...]:
    """The pairs of classes that a flip swaps, as the configuration chooses."""
    if data.flip_pairs == "auto":
        return spec.flip_pairs or ()  # a data set may say so itself
    try:
        return choose_flip_pairs(data.flip_pairs, spec.names)
    except OptionError as error:
        raise ConfigError(f"data.flip_pairs: {error}") from error


def _augmentation(data: DataConfig, images: Any, crop: ClassCrop | None = None) -> Any:
    """How training images are augmented, as their configuration says, or with a crop of another kind."""
    return train_transform(
        crop or data.crop_size or data.size,
        scale=data.scale,
        hflip=data.hflip,
        photometric=data.photometric,
        resize=data.resize,
        resize_rule=data.resize_rule,
        max_class_share=data.max_class_share,
        flip_pairs=_flip_pairs(data, images.spec),
    )


class SegmentationDataModule(LightningDataModule):
    """Training and evaluation batches for a :class:`~aucseg.training.RunConfig`.

    Batches arrive as ``(images, target)``: images (B,3,H,W) float, normalised on the device as the network's
    encoder wants them; target (B,H,W) int64. What a memory bank stores and pastes comes from there, so that
    all images of a run are on one scale.

    The training batch of step t depends on the run's seed and t alone, whatever the number of workers, so a
    resumed run sees exactly the batches it would have seen.
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        # a process for which no image of the evaluation split is left has none to wait for
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.config = config

    @property
    def labelled_data(self) -> DataConfig:
        """Where the images with labels are from: another domain, or the run's own data."""
        return self.config.method.source or self.config.data

    @cached_property
    def _training(self) -> tuple[Any, Any | None]:
        """Training images with labels, and those that are used without, if there are any."""
        own, source = self.config.data, self.config.method.source
        if source is None:
            return split_labelled(own, build_dataset(own, own.train_split, own.train_images))
        labelled = split_labelled(source, build_dataset(source, source.train_split, source.train_images))[0]
        check_classes(labelled.spec, self.eval_set.spec)
        if own.unlabelled is not None:
            return labelled, split_labelled(own, labelled)[1]
        return labelled, build_dataset(own, own.train_split, own.train_images)

    @property
    def train_set(self) -> Any:
        """The training images with labels; opened when first asked for: an evaluation does not need them."""
        return self._all_labelled if self._held_out is None else self._held_out[0]

    @property
    def _all_labelled(self) -> Any:
        """Those that are held out included."""
        return self._training[0]

    @property
    def unlabelled_set(self) -> Any | None:
        """The training images whose masks, where they have any, are not used; ``None`` without such."""
        return self._training[1]

    def unlabelled_epoch(self) -> int:
        """Steps in which each image without labels is seen once; 0 if there are none."""
        if self.unlabelled_set is None:
            return 0
        size = getattr(self.config.method, "batch_size", None) or self.config.data.batch_size
        return math.ceil(len(self.unlabelled_set) / size)

    def notices(self) -> list[str]:
        """What there is to say of the images with and without labels before a run."""
        told = []
        data, labelled = self.labelled_data, self.train_set
        if data.labelled is not None:
            seen = self.classes.pixels > 0
            lacking = [name for name, held in zip(self.spec.names, seen, strict=True) if not held]
            if lacking:
                images = (
                    f"{len(labelled)} labelled images hold" if len(labelled) > 1 else "labelled image holds"
                )
                told.append(
                    f"the {images} no pixel of {', '.join(lacking)}: what is not seen is not learnt; "
                    "data.labelled_seed or another list chooses others"
                )
        if isinstance(self.unlabelled_set, ImageFolder):
            modes = self.unlabelled_set.modes()
            whole = labelled
            while not hasattr(whole, "files") and hasattr(whole, "dataset"):
                whole = whole.dataset
            own = image_modes([image for image, _ in getattr(whole, "files", ())]) or {"RGB"}
            if modes != own:
                told.append(
                    f"images without labels are of mode {', '.join(sorted(modes))}, those with labels of "
                    f"{', '.join(sorted(own))}: all become RGB, but they may look like another domain"
                )
        return told

    @cached_property
    def _held_out(self) -> tuple[ChosenDataset, ChosenDataset] | None:
        """What is trained on and what is validated on, where that is a part of the training split."""
        share = self.config.evaluation.held_out
        if share is None:
            return None
        presence = count_split(self._all_labelled).presence
        assert presence is not None  # it was counted image by image
        sizes = split_sizes(len(presence), {"train": 1 - share, "val": share})
        if not all(sizes.values()):
            raise ConfigError(f"evaluation.held_out: {share:g} of {len(presence)} images leaves a part empty")
        part = stratified_split(presence, list(sizes.values()))
        kept, held = (
            ChosenDataset(self._all_labelled, np.flatnonzero(part == which).tolist()) for which in (0, 1)
        )
        return kept, held

    @cached_property
    def validation_set(self) -> Any:
        """The images that are looked at during training.

        Raises:
            ConfigError: if the data set has no split of that name.
        """
        if self._held_out is not None:
            return self._held_out[1]
        data, split = self.config.data, self.config.evaluation.validation_split
        if split is None:
            raise ConfigError("this run looks at nothing during training", remedy="set evaluation.every")
        if split == data.eval_split:
            return self.eval_set
        try:
            return build_dataset(data, split, data.eval_images)
        except (ConfigError, DataError) as error:
            raise ConfigError(
                f"evaluation.every looks at split {split!r}, which cannot be had ({error})",
                remedy="name another with evaluation.split, or hold training images out for it with "
                "evaluation.held_out",
            ) from error

    @cached_property
    def eval_set(self) -> Any:
        """The evaluation split."""
        data = self.config.data
        return build_dataset(data, data.eval_split, data.eval_images)

    @cached_property
    def spec(self) -> ClassSpec:
        """Classes of the data set, in the groups that the configuration chooses."""
        spec: ClassSpec = self.eval_set.spec
        try:
            spec = replace(spec, groups=choose_tail(self.config.data.tail_classes, spec).groups)
        except OptionError as error:
            raise ConfigError(f"data.tail_classes: {error}") from error
        return replace(spec, flip_pairs=_flip_pairs(self.config.data, spec))

    @cached_property
    def classes(self) -> ClassInfo:
        """What objective, bank and sampler may know; the training masks are counted when one asks."""
        return ClassInfo(self.spec, lambda: count_split(self.train_set))

    @property
    def presence(self) -> np.ndarray:
        """Which training image holds which class, (N, K) bool; reads every training mask."""
        return presence_of(self.classes)

    def describe(self) -> dict[str, Any]:
        """What a record says about the data."""
        data = self.config.data
        check_labels(self.labelled_data, self.train_set)
        if self.train_set.spec.names != self.eval_set.spec.names:
            raise ConfigError("training and evaluation split have different classes")
        return (
            {
                "name": data.name,
                "train_split": data.train_split,
                "eval_split": data.eval_split,
                "train_images": len(self.train_set),
                "eval_images": len(self.eval_set),
                "train_fingerprint": self.train_set.fingerprint(),
                "eval_fingerprint": self.eval_set.fingerprint(),
                "classes": list(self.spec.names),
                "groups": list(self.spec.groups),
            }
            | self._describe_domains()
            | self._describe_flips()
            | self._describe_sampling()
            | self._describe_validation()
        )

    def _describe_validation(self) -> dict[str, Any]:
        """Which images are looked at during training."""
        if self.config.evaluation.every is None:
            return {}
        return {
            "validation_split": self.config.evaluation.validation_split or "held out",
            "validation_images": len(self.validation_set),
            "validation_fingerprint": self.validation_set.fingerprint(),
        }

    def _describe_domains(self) -> dict[str, Any]:
        """Which images have labels and which have none, where that is not all that trains."""
        data = self.config.data
        told: dict[str, Any] = {}
        if self.labelled_data is not data:
            told = {"source": self.labelled_data.name, "source_split": self.labelled_data.train_split}
        if self.unlabelled_set is not None:
            told |= {
                "unlabelled_images": len(self.unlabelled_set),
                "unlabelled_fingerprint": self.unlabelled_set.fingerprint(),
            }
        return told

    def _describe_flips(self) -> dict[str, Any]:
        """Which classes a flip swaps, where one does."""
        flips = self.config.data.hflip > 0 or self.config.evaluation.flip
        pairs = [[self.spec.names[one] for one in pair] for pair in self.spec.flip_pairs or ()]
        return {"flip_pairs": pairs} if flips and pairs else {}

    def _describe_sampling(self) -> dict[str, Any]:
        """How often a stratified sampler repeats images: it needs the presence matrix anyway."""
        if self.labelled_data.sampling == "random":
            return {}
        repeats = count_repeats(self.sampler(), self.presence)
        per_class = dict(zip(self.spec.names, repeats.per_class.tolist(), strict=True))
        missed = dict(zip(self.spec.names, repeats.missed.tolist(), strict=True))
        return {
            "repeats": {
                "most": repeats.most,
                "unseen": repeats.unseen,
                "per_class": {name: None if value != value else value for name, value in per_class.items()},
                "missed": missed,
            }
        }

    def sampler(self, *, start_step: int = 0, rank: int = 0, world_size: int = 1) -> StepBatchSampler:
        """The training batches, as positions in the training split.

        Args:
            start_step: first step to yield.
            rank: this process.
            world_size: number of processes.

        Raises:
            ConfigError: if batches cannot be made as configured.
        """
        data, config = self.labelled_data, self.config
        common: dict[str, Any] = {"seed": config.seed, "steps": config.optim.steps, "start_step": start_step}
        common |= {"rank": rank, "world_size": world_size}
        own = data.model_copy(update={"batch_size": _share(data.batch_size, world_size)})
        try:
            return SAMPLERS[data.sampling](own, len(self.train_set), self.classes, common)
        except OptionError as error:
            raise ConfigError(f"data.sampling {data.sampling!r}: {error}") from error

    def train_dataloader(self) -> Any:
        """What the method wants, from the step at which the trainer stands to the last."""
        return self.config.method.loaders(self)

    def training_loader(
        self,
        split: str | None = None,
        num_images: int | None = None,
        batch_size: int | None = None,
        data: DataConfig | None = None,
    ) -> DataLoader[Any]:
        """Augmented batches from the step at which the trainer stands to the last.

        Args:
            split: another split than the one that is trained on; it comes in random order, with draws of its
                own, whatever the sampling of the training split.
            num_images: how many images of that split; all if None.
            batch_size: images in its batches, of all processes together; the configured number if None.
            data: another data set for that split, and how it is augmented; the run's own if None.

        Raises:
            ValueError: for a split that is no part of the run's identity; see :meth:`MethodConfig.splits`.
        """
        method = self.config.method
        known = method.splits() if data is None else ()
        if data is None:
            data = self.labelled_data if split is None else self.config.data
        if split not in (None, data.train_split, data.eval_split, *known):
            raise ValueError(f"split {split!r} is to be named by {type(method).__name__}.splits()")
        images = self.train_set if split is None else build_dataset(data, split, num_images)
        if split is None:
            sampler = self.sampler(**self._place())
        else:
            sampler = StepBatchSampler(
                len(images),
                _share(batch_size or data.batch_size, self._place()["world_size"]),
                seed=mix_seed(self.config.seed, "split", data.name, split),
                steps=self.config.optim.steps,
                **self._place(),
            )
        crop = self._class_crop() if split is None and data.crop != "random" else None
        return self._loader(SeededDataset(images, _augmentation(data, images, crop)), batch_sampler=sampler)

    def unlabelled_loader(self, batch_size: int | None = None) -> DataLoader[Any] | None:
        """Augmented batches of the images without labels, in random order, with draws of their own.

        Args:
            batch_size: images in a batch, of all processes together; the configured number if None.

        Returns:
            ``None`` if there are none. Their masks come too, void where there are none.
        """
        images, data = self.unlabelled_set, self.config.data
        if images is None:
            return None
        sampler = StepBatchSampler(
            len(images),
            _share(batch_size or data.batch_size, self._place()["world_size"]),
            seed=mix_seed(self.config.seed, "unlabelled"),
            steps=self.config.optim.steps,
            **self._place(),
        )
        return self._loader(SeededDataset(images, _augmentation(data, images)), batch_sampler=sampler)

    def unlabelled_pictures(self, rank: int = 0, world_size: int = 1) -> DataLoader[Any]:
        """The images without labels, whole, once each, as they are evaluated.

        Args:
            rank: this process, which has every ``world_size``-th of them.
            world_size: number of processes.
        """
        images, data = self.unlabelled_set, self.config.data
        assert images is not None  # who asks knows that there are some
        own = Subset(images, range(rank, len(images), world_size))
        return self._loader(own, batch_size=data.eval_batch_size if data.resize is None else 1)

    def _place(self) -> dict[str, int]:
        """Where in the training this process stands."""
        trainer = self.trainer
        return {
            "start_step": trainer.global_step if trainer else 0,
            "rank": trainer.global_rank if trainer else 0,
            "world_size": trainer.world_size if trainer else 1,
        }

    def _class_crop(self) -> ClassCrop:
        """The crop of labelled images that looks for a class; the masks of no other split are looked at."""
        data = self.labelled_data
        return ClassCrop(
            data.crop_size or data.size,
            rare_class_probabilities(self.classes.pixels, data.rare_temperature).tolist(),
            rule="pixel" if data.crop == "class_pixel" else "share",
            min_share=data.crop_min_share,
            max_class_share=data.max_class_share,
        )

    def test_dataloader(self) -> DataLoader[Any]:
        """The evaluation split, in order."""
        return self._evaluation_loader(self.eval_set)

    def validation_loader(self) -> DataLoader[Any]:
        """The images that are looked at during training, in order."""
        return self._evaluation_loader(self.validation_set)

    def _evaluation_loader(self, images: Any) -> DataLoader[Any]:
        data = self.config.data
        size = data.eval_batch_size if data.resize is None else 1  # sizes differ from image to image
        batches = [range(start, min(start + size, len(images))) for start in range(0, len(images), size)]
        if (trainer := self.trainer) is not None:
            # each image once: some processes may have a batch more than others, which nobody waits for
            batches = batches[trainer.global_rank :: trainer.world_size]
        return self._loader(images, batch_sampler=batches)

    def _loader(self, dataset: Dataset[Any] | Subset[Any], **options: Any) -> DataLoader[Any]:
        workers = self.config.data.num_workers
        return DataLoader(
            dataset,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_signals,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Turn bytes into numbers on the device, where that is cheap."""
        if isinstance(batch, dict):  # of several loaders
            return {name: self.on_after_batch_transfer(part, dataloader_idx) for name, part in batch.items()}
        images, target = batch
        images = normalize(images, *self.config.model.figures)
        return images.contiguous(memory_format=torch.channels_last), target.long()


def _share(images: int, ranks: int) -> int:
    """How many images of a batch a process takes."""
    own, rest = divmod(images, ranks)
    if rest:
        raise ConfigError(
            f"{images} images of a batch cannot be shared equally by {ranks} processes",
            remedy="set data.batch_size, or what the method sets, to a multiple of it",
        )
    return own


def _leave_signals(_: int) -> None:
    """What a worker does with signals: Ctrl-C reaches it too, and whoever started it ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked one has inherited the handler of the training
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a scheduler means the training, which ends its step

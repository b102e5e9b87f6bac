"""A data set at its place: splits, label set, items, masks, counts; in a folder, or drawn."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aucseg import paths
from aucseg.data.classes import (
    STATS_FILE,
    read_classes,
    read_pixel_share,
    read_sums,
    write_classes,
    write_stats,
)
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.own import is_prepared, list_splits, own_layout, read_split
from aucseg.data.layouts.patterns import pattern_layout
from aucseg.data.prepare import PrepareReport, Step, prepare, prepare_drawn
from aucseg.data.spec import ClassSpec, groups_by_pixel_share, load_spec
from aucseg.data.verify import VerifyReport, verify
from aucseg.errors import DataError, OptionError, file_errors
from aucseg.longtail.counter import HasMasks, MaskFiles, count
from aucseg.longtail.partitions import grouped_by_count
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally, join

if TYPE_CHECKING:
    from aucseg.catalog.entries import Entry, FolderEntry

MANY_MASKS = 2000
"""Masks from which on partial results of a count are kept: a killed one is worth going on with."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of how often the classes of a training set occur.

    Args:
        tally: pixels and images of each class.
        origin: where the numbers come from, in a few words.
        masks: the masks that were counted, if they were.
        published: name of the published statistics, if it is those.
        file: where the tally is kept, if it is.
    """

    tally: Tally
    origin: str
    masks: HasMasks | MaskFiles | None = None
    published: str | None = None
    file: Path | None = None


class Located(ABC):
    """A data set at its place: its splits, its label set, its items and its masks.

    Args:
        entry: what it is.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._tallies: dict[str, Tally] = {}

    @property
    @abstractmethod
    def label(self) -> str:
        """What it is called in print: its folder, or its name if it has none."""

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that are there."""

    @property
    @abstractmethod
    def spec(self) -> ClassSpec:
        """The label set; groups that nobody has published or chosen follow from counting training masks."""

    @abstractmethod
    def masks(self, split: str) -> HasMasks | MaskFiles:
        """The masks of a split as they are, for :func:`aucseg.longtail.count`; no image is opened.

        Args:
            split: name of the split.

        Raises:
            DataError: if there is no such split, or nothing in it.
        """

    @abstractmethod
    def open(
        self,
        split: str = "train",
        *,
        size: tuple[int, int] | None = None,
        num_images: int | None = None,
        cache: bool = False,
    ) -> Any:
        """The items of a split, ready to train on.

        An item is ``(image, mask)``: ``tv_tensors.Image`` uint8 (3, H, W) and ``tv_tensors.Mask`` uint8
        (H, W) of train ids, void 255; ``.spec``, ``.names``, ``.mask(index)`` and ``.fingerprint()``
        go with them.

        Args:
            split: name of the split.
            size: height and width in pixels at which items are drawn, or to which they are resized: images
                bilinear with antialiasing, masks by the nearest pixel centre. None leaves files as they are.
            num_images: how many of the images; None for all. A drawn data set needs a number.
            cache: make every item now and keep it in memory.

        Raises:
            DataError: if there is no such split, or a file is missing.
            OptionError: for a size or a number that cannot be had.
        """

    @abstractmethod
    def verify(self, splits: Sequence[str] | None = None, *, workers: int | None = None) -> VerifyReport:
        """Open every item and report all that is wrong, not only the first.

        Args:
            splits: names of the splits; all that are there if None.
            workers: threads; the processor count up to 8 if None.

        Raises:
            DataError: if the folder does not exist, is not in the layout, or lists no split.
        """

    @abstractmethod
    def prepare(
        self,
        target: str | os.PathLike[str],
        *,
        splits: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        skip_bad: bool = False,
        workers: int | None = None,
        progress: Step | None = None,
    ) -> PrepareReport:
        """Write the data set into a folder in the package's own layout, with ``class_stats.csv``.

        Args:
            target: the folder to make.
            splits: names of the splits; all that are there if None.
            size: height and width to resize to; None leaves the size.
            skip_bad: leave out items with a problem instead of leaving their split unlisted.
            workers: threads; the processor count up to 8 if None.
            progress: called with the split, the items done and all its items.

        Returns:
            What was written, and every problem.

        Raises:
            DataError: if ``target`` holds anything but an earlier attempt with the same arguments.
        """

    def count(
        self,
        split: str = "train",
        *,
        regions: bool = False,
        workers: int | None = None,
        scheduler: str | None = None,
        write: bool = False,
        partial_results: Path | None = None,
        progress: Step | None = None,
    ) -> Tally:
        """Count the masks of a split at the size of their files.

        Args:
            split: name of the split; ``"all"`` for all together, where no split has that name.
            regions: count connected regions too.
            workers: threads; the processor count up to 8 if None.
            scheduler: address of a running Dask cluster; threads of this process if None.
            write: keep the tally in the folder, from which the next count takes it while the masks are the
                same. Only a folder in the package's own layout keeps counts.
            partial_results: folder for partial results, from which a killed count goes on; ``runs/scans`` for
                2000 masks or more if None.
            progress: called with the split, the masks done and all its masks.

        Raises:
            CountError: if masks could not be counted, after all others were.
            DataError: if there is no such split, or the folder keeps no counts.
        """
        tallies = []
        for name in self._counted_splits(split):
            masks = self.masks(name)
            place = partial_results
            if place is None and len(masks.names) >= MANY_MASKS:
                place = paths.runs() / "scans"
            if place is not None:
                place /= f"{self.entry.name}-{name}"
            step = None if progress is None else partial(progress, name)
            tally = count(
                masks,
                regions=regions,
                workers=workers,
                scheduler=scheduler,
                file=self._kept(name, write),
                write=write,
                folder=place,
                progress=step,
            )
            self._tallies[name] = tally
            tallies.append(tally)
        return join(tallies).with_spec(self.spec)

    def known(self, split: str = "train", *, write: bool = False) -> Known:
        """What is known of a split without counting it again if that can be had.

        Published statistics, if the data set was called by its name and has some; else what is counted; else
        the sums in ``class_stats.csv`` of a folder that came without its masks.

        Args:
            split: name of the split.
            write: as for :meth:`count`.

        Raises:
            DataError: as :meth:`count`.
        """
        tally, file = self.count(split, write=write), self._kept(split, write=write)
        return Known(tally, self._origin(split, tally), self._counted(split), file=file)

    def keep(self, **options: Any) -> list[Path]:
        """Count every split and keep the tallies in the folder, with ``class_stats.csv`` beside them.

        Args:
            **options: as for :meth:`count`.

        Returns:
            The files written.

        Raises:
            DataError: if the data set is in no folder that keeps counts, or it cannot be written to.
        """
        raise self._keeps_nothing()

    def _counted_splits(self, split: str) -> tuple[str, ...]:
        """The splits that are meant: ``"all"`` is all of them, where none is called so."""
        return self.splits if split == "all" and split not in self.splits else (split,)

    def _counted(self, split: str) -> HasMasks | MaskFiles | None:
        """The masks of what was counted; None for several splits together."""
        splits = self._counted_splits(split)
        return self.masks(splits[0]) if len(splits) == 1 else None

    def _kept(self, split: str, write: bool) -> Path | None:
        """The file in which the tally of a split is kept, if anywhere."""
        if write:
            raise self._keeps_nothing()
        return None

    def _keeps_nothing(self) -> DataError:
        return DataError(f"{self.entry.name!r} keeps no counts", remedy="see `aucseg data prepare`")

    @abstractmethod
    def _origin(self, split: str, tally: Tally) -> str:
        """Where a count comes from, in a few words."""


class Folder(Located):
    """A data set in a folder: the package's own layout, a published one, or one by patterns.

    Args:
        entry: what it is.
        root: the folder; searched for, when it is wanted, if None.
        images: pattern of the images of a folder in another layout, see `pattern_layout`.
        masks: pattern of its masks.
        spec: the label set to hold a folder of one's own to.
    """

    def __init__(
        self,
        entry: FolderEntry,
        root: Path | None = None,
        images: str | None = None,
        masks: str | None = None,
        spec: ClassSpec | None = None,
    ) -> None:
        super().__init__(entry)
        self.entry: FolderEntry = entry
        self.named = root is None
        self._root, self._patterns, self._spec = root, (images, masks), spec

    @cached_property
    def root(self) -> Path:
        """The folder, as it was named or found."""
        return self.entry.locate(self._root)

    @property
    def label(self) -> str:
        """Its folder."""
        return str(self.root)

    @cached_property
    def layout(self) -> Layout:
        """Where the files lie in the folder, and what the values of the masks mean."""
        images, masks = self._patterns
        if images is not None and masks is not None:
            return pattern_layout(self.root, images, masks)
        if not self.prepared:
            assert self.entry.layout is not None
            return self.entry.layout
        return own_layout(self.root, self._held_to)

    @cached_property
    def prepared(self) -> bool:
        """Whether the folder has the package's own layout, as far as it has any."""
        if self._patterns != (None, None):
            return False
        return self.entry.layout is None or is_prepared(self.root)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that are there."""
        return list_splits(self.root) if self.prepared else self.layout.splits(self._place)

    @cached_property
    def spec(self) -> ClassSpec:
        """The label set; groups that nobody has published or chosen follow from counting training masks."""
        spec, published = self.layout.spec, self.entry.spec
        if self._held_to is not None or (published is not None and not self.prepared):
            return spec
        table = read_classes(self.root)
        if published is not None:
            table.check_names(published)
            spec = replace(spec, name=published.name)
        shares = read_pixel_share(self.root, table)
        if shares is not None:
            spec = replace(spec, pixel_share=shares)
        if self.layout.grouped:
            return spec
        if shares is not None:
            return replace(spec, groups=groups_by_pixel_share(shares))
        return grouped_by_count(self._training_masks())

    def masks(self, split: str) -> MaskFiles:
        """The masks of a split as they are, for :func:`aucseg.longtail.count`; no image is opened."""
        names, files = self.layout.masks(self._place, split)
        return MaskFiles(self.layout.spec, names, files, self.layout.read_ids, self.layout.lookup)

    def open(
        self,
        split: str = "train",
        *,
        size: tuple[int, int] | None = None,
        num_images: int | None = None,
        cache: bool = False,
    ) -> Any:
        """The items of a split, ready to train on."""
        from aucseg.data.dataset import CachedDataset, ImageMaskDataset  # PyTorch takes seconds

        names, files = self.layout.items(self._place, split)
        if num_images is not None and num_images > len(names):
            raise OptionError(f"split {split!r} holds {len(names)} images, {num_images} were asked for")
        layout = self.layout
        whole = ImageMaskDataset(
            split, names, files, self.spec, layout.read_ids, layout.lookup, size=size, cache=cache
        )
        return whole if num_images is None else CachedDataset(whole, num_images=num_images, keep=False)

    def verify(self, splits: Sequence[str] | None = None, *, workers: int | None = None) -> VerifyReport:
        """Open every file and report all that is wrong, not only the first. Nothing is changed on disk."""
        if self.prepared:
            held_to = self._spec or self.entry.spec
            return verify(self.root, splits, spec=held_to, workers=workers)
        return verify(self.root, splits, layout=self.layout, workers=workers)

    def prepare(
        self,
        target: str | os.PathLike[str],
        *,
        splits: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        skip_bad: bool = False,
        workers: int | None = None,
        progress: Step | None = None,
    ) -> PrepareReport:
        """Write the data set into a folder in the package's own layout, with ``class_stats.csv``."""
        layout = self.layout
        with file_errors(Path(target), "cannot be made"):
            report = prepare(
                layout,
                self.root,
                target,
                splits=splits,
                size=size,
                skip_bad=skip_bad,
                workers=workers,
                progress=progress,
            )
            complete(report.target, None if layout.grouped else layout.spec, workers=workers)
        return report

    def known(self, split: str = "train", *, write: bool = False) -> Known:
        """What is known of a split without counting it again if that can be had."""
        if self.named and split == "train" and self.entry.name in list_statistics():
            name = self.entry.name
            return Known(load_statistics(name), "statistics of the package", published=name)
        if write or not self.prepared or (self.root / "annotations" / split).is_dir():
            return super().known(split, write=write)
        if not (self.root / STATS_FILE).is_file():
            return super().known(split)
        table, number = read_classes(self.root), len(read_split(self.root, split))
        pixels, images = read_sums(self.root, table, split)
        own = Tally(table.spec(self.root.resolve().name), pixels, images, number)
        return Known(own.with_spec(self.spec), STATS_FILE)

    def keep(self, **options: Any) -> list[Path]:
        """Count every split and keep the tallies in the folder, with ``class_stats.csv`` beside them."""
        if not self.prepared:
            raise self._keeps_nothing()
        tallies = {split: self.count(split, write=True, **options) for split in self.splits}
        stats = write_stats(self.root, read_classes(self.root), tallies)
        return [stats, *(self._kept_file(split) for split in tallies)]

    @cached_property
    def _place(self) -> Path:
        return self.layout.locate(self.root)

    @property
    def _held_to(self) -> ClassSpec | None:
        """The label set that the folder's own table must have: the user's, or one with published groups."""
        if self._spec is None and self.entry.grouped:
            return self.entry.spec
        return self._spec

    def _training_masks(self) -> Tally:
        """What the groups follow from: the training masks, or those of the first split of other layouts."""
        split = "train" if "train" in self.splits or self.prepared else self.splits[0]
        if split not in self.splits:
            raise DataError(
                "no groups: there is no column group, no class_stats.csv and no splits/train.txt",
                file=self.root / "classes.csv",
                remedy="add the column group with head, middle or tail for each class",
            )
        if split not in self._tallies:
            self._tallies[split] = count(self.masks(split), file=self._kept(split, write=False), write=False)
        return self._tallies[split]

    def _kept(self, split: str, write: bool) -> Path | None:
        return self._kept_file(split) if self.prepared else super()._kept(split, write)

    def _kept_file(self, split: str) -> Path:
        return self.root / f"mask_counts_{split}.npz"

    def _origin(self, split: str, tally: Tally) -> str:
        return f"{tally.num_images} masks of {split}"


class Streets(Located):
    """The drawn data set: every split a world of its own, as many images as are asked for.

    Args:
        entry: what it is.

    Attributes:
        number, shape: how many scenes are counted, checked and prepared, and at which height and width.
    """

    number, shape = 500, (64, 128)

    @property
    def label(self) -> str:
        """Its name."""
        return self.entry.name

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the worlds."""
        from aucseg.streets import WORLDS

        return tuple(WORLDS)

    @cached_property
    def spec(self) -> ClassSpec:
        """The label set of Cityscapes, by the name of the streets."""
        return replace(load_spec("cityscapes"), name=self.entry.name)

    def masks(self, split: str) -> HasMasks:
        """The masks of 500 scenes, for :func:`aucseg.longtail.count`; no image is drawn."""
        return self.open(split, size=self.shape, num_images=self.number)

    def open(
        self,
        split: str = "train",
        *,
        size: tuple[int, int] | None = None,
        num_images: int | None = None,
        cache: bool = False,
    ) -> Any:
        """The scenes of a world, drawn when they are asked for."""
        from aucseg.data.dataset import CachedDataset
        from aucseg.streets import WORLDS, SyntheticStreets

        if split not in WORLDS:
            raise OptionError(f"streets have no split {split!r}; use one of {', '.join(WORLDS)}")
        if num_images is None:
            raise OptionError("streets are drawn: say how many images")
        options = {} if size is None else {"size": size}
        scenes = SyntheticStreets(num_images, seed=WORLDS[split], **options)
        return CachedDataset(scenes) if cache else scenes

    def verify(self, splits: Sequence[str] | None = None, *, workers: int | None = None) -> VerifyReport:
        """Draw 500 scenes of each world; there is no file that could be wrong."""
        report = VerifyReport(Path(self.entry.name), layout=self.entry.name, class_names=self.spec.names)
        for split in self.splits if splits is None else splits:
            tally = self.count(split, workers=workers)
            report.splits[split] = tally.num_images
            report.pixels[split], report.void[split] = tally.pixels, tally.void
        report.sizes = {self.shape: sum(report.splits.values())}
        return report

    def prepare(
        self,
        target: str | os.PathLike[str],
        *,
        splits: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        skip_bad: bool = False,
        workers: int | None = None,
        progress: Step | None = None,
    ) -> PrepareReport:
        """Write 500 scenes of each world into a folder in the package's own layout."""
        drawn = {
            split: self.open(split, size=size or self.shape, num_images=self.number)
            for split in (self.splits if splits is None else splits)
        }
        note = {"size": size or self.shape, "images": self.number, "version": self.entry.version}
        with file_errors(Path(target), "cannot be made"):
            report = prepare_drawn(drawn, self.spec, target, note, workers=workers, progress=progress)
            complete(report.target, workers=workers)
        return report

    def _origin(self, split: str, tally: Tally) -> str:
        return f"{tally.num_images} synthetic scenes"


def complete(root: Path, ungrouped: ClassSpec | None = None, *, workers: int | None = None) -> None:
    """Count the splits of a folder in the package's own layout, and write what follows beside them.

    That is ``class_stats.csv``, if there is a training split, and for a label set without published groups
    the column ``group`` of ``classes.csv``.

    Args:
        root: the folder.
        ungrouped: the label set, if its groups are to be found by counting.
        workers: threads; the processor count up to 8 if None.

    Raises:
        DataError: for a mask that is missing or wrong.
    """
    layout = own_layout(root)
    tallies = {}
    for split in list_splits(root):
        names, files = layout.masks(root, split)
        masks = MaskFiles(layout.spec, names, files, layout.read_ids, layout.lookup)
        tallies[split] = count(masks, workers=workers)
    if not tallies:
        return
    if ungrouped is not None:
        base = tallies.get("train") or next(iter(tallies.values()))
        write_classes(root, ungrouped, grouped_by_count(base).groups)
    if "train" in tallies:
        write_stats(root, read_classes(root), tallies)

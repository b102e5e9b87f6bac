"""What the package knows of a data set by its name, and the data set at its place."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aucseg import paths
from aucseg.data.get.fetch import Progress
from aucseg.data.layouts.base import find_training_split
from aucseg.data.listing import walk_once
from aucseg.data.prepare import PrepareReport, Step
from aucseg.data.reading import Range
from aucseg.data.spec import ClassSpec
from aucseg.data.verify import VerifyReport
from aucseg.errors import DataError
from aucseg.longtail.counter import HasMasks, MaskFiles, count
from aucseg.longtail.partitions import Partition
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally, join

MANY_MASKS = 2000
"""Masks from which on partial results of a count are kept: a killed one is worth going on with."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of how often the classes of a training set occur.

    Args:
        tally: pixels and images of each class.
        origin: where the numbers come from, in a few words.
        split: the split that it is.
        masks: the masks that were counted, if they were.
        published: name of the published statistics, if it is those.
        file: where the tally is kept, if it is.
    """

    tally: Tally
    origin: str
    split: str
    masks: HasMasks | MaskFiles | None = None
    published: str | None = None
    file: Path | None = None


class Entry(ABC):
    """A data set that is known by name.

    Args:
        name: its name.
        title: the same in words.
        terms: terms of use, and what to cite.

    Attributes:
        drawn: whether its images are drawn as many as are asked for, and lie nowhere.
        needs_root: whether its folder has to be named.
        version: what is drawn under this name, for a data set without files; None for others.
        looks: how it can be pictured, where it is drawn; the first is how it is if nobody says.
    """

    looks: tuple[str, ...] = ()
    drawn = False
    needs_root = False

    def __init__(self, name: str, title: str, terms: str = "") -> None:
        self.name, self.title, self.terms = name, title, terms

    @property
    @abstractmethod
    def spec(self) -> ClassSpec | None:
        """Its label set; None where the folder has its own."""

    @property
    def version(self) -> int | None:
        """Version of what is drawn under this name; None for a data set of files."""
        return None

    @property
    def statistics(self) -> Tally | None:
        """Published statistics of its training set, if the package has some."""
        return load_statistics(self.name) if self.name in list_statistics() else None

    @property
    def automatic(self) -> bool:
        """Whether :meth:`get` can fetch it."""
        return False

    @abstractmethod
    def at(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        images: str | None = None,
        masks: str | None = None,
        spec: ClassSpec | None = None,
        train_split: str | None = None,
    ) -> Located:
        """The data set at its place.

        Args:
            root: its folder; searched for if None.
            images: where images lie in a folder of one's own, for example ``"imgs/{name}_img.jpg"``, where
                ``{split}`` may stand for the split.
            masks: the same of masks.
            spec: the label set to hold a folder of one's own to.
            train_split: the split that trains; see :attr:`Located.training_split`.

        Raises:
            OptionError: for patterns that this data set does not take.
        """

    def locate(self, root: str | os.PathLike[str] | None = None) -> Path:
        """The folder of the data set on this machine.

        Looked at, in order: ``root``; the environment variable ``AUCSEG_<NAME>``; ``data/<name>`` in the
        project (``aucseg.paths.home``), in the folder that ``AUCSEG_SHARED`` names, and in ``shared`` beside
        the project. A place that the caller or ``AUCSEG_<NAME>`` names must exist: no other one is taken in
        its stead.

        Args:
            root: where the caller says it is.

        Raises:
            DataError: if there is none, with the places looked at.
        """
        raise DataError(f"{self.name!r} is drawn and lies nowhere", remedy="open it, or prepare a folder")

    def is_default(self, root: str | os.PathLike[str]) -> bool:
        """Whether a folder is the one in which the data set is found by its name.

        Args:
            root: the folder.
        """
        return False

    def lies_in(self, folder: Path) -> bool:
        """Whether a folder holds this data set, in its published layout or the package's own.

        Args:
            folder: the folder; it need not exist.
        """
        return False

    def open(self, split: str = "train", root: str | os.PathLike[str] | None = None, **options: Any) -> Any:
        """The items of a split; see :meth:`Located.open`.

        Args:
            split: name of the split.
            root: folder of the data set; searched for if None.
            **options: as for :meth:`Located.open`.
        """
        return self.at(root).open(split, **options)

    def count(
        self, split: str | None = None, root: str | os.PathLike[str] | None = None, **options: Any
    ) -> Tally:
        """The tally of a split; see :meth:`Located.count`.

        Args:
            split: name of the split; the one that trains if None.
            root: folder of the data set; searched for if None.
            **options: as for :meth:`Located.count`.
        """
        return self.at(root).count(split, **options)

    def get(
        self,
        dest: str | os.PathLike[str] | None = None,
        *,
        url: str | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Fetch the data set; complete and checked, or not at all.

        Args:
            dest: folder to make; ``data/<name>`` of the project if None.
            url: another address of the archive: http, https, ``file:`` or a path.
            progress: called with the bytes so far and the total.

        Returns:
            The folder.

        Raises:
            DataError: if it is not fetched automatically (with what to do by hand), without a network, or for
                an archive that is not the published one.
        """
        raise DataError(f"{self.name!r} is not fetched", remedy="it is there already")


class Located(ABC):
    """A data set at its place: its splits, its label set, its items and its masks.

    Args:
        entry: what it is.
        train_split: the split that trains, if its user names it.

    Attributes:
        note: what was concluded from the looks of a folder, in a sentence that whoever opens it should read;
            empty where nothing was.
    """

    def __init__(self, entry: Entry, train_split: str | None = None) -> None:
        self.entry = entry
        self.note = ""
        self._train_split = train_split
        self._tallies: dict[str, Tally] = {}

    @property
    @abstractmethod
    def label(self) -> str:
        """Where it is in print: its folder, or its name if it has none."""

    @property
    def title(self) -> str:
        """What it is called in print: its name, or that of a folder of one's own."""
        return self.entry.name

    @property
    def training_split(self) -> str:
        """The split that trains: the one its user names, else ``"train"``, else the only one.

        Head and tail of classes for which nobody has published or chosen groups follow from it.

        Raises:
            DataError: if it is not there, or there are several splits and none is called ``"train"``.
        """
        return find_training_split(self.splits, self._train_split, of=self.label)

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that are there."""

    @property
    @abstractmethod
    def spec(self) -> ClassSpec:
        """The label set, with the groups of :attr:`partition`."""

    @property
    @abstractmethod
    def partition(self) -> Partition:
        """Head, middle and tail, with where they come from: the answer that everything here gives.

        Groups that are published or that the user chose, if there are some; else those of
        :func:`aucseg.longtail.share_partition` by the pixels of the training split.

        Raises:
            DataError: if they have to be counted, and there is no labelled pixel or no split that trains.
        """

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
    def fingerprint(self, splits: Sequence[str]) -> str:
        """What identifies some of the splits: their classes, published groups, items, images and masks.

        Neither the place of the data set nor the times of its files are part of it.

        Args:
            splits: their names; one that is not there is left out.

        Raises:
            DataError: if the folder is not there, or a file in it is missing or cannot be read.
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
    def check_labels(self, split: str, tally: Callable[[], Tally]) -> None:
        """Refuse to train on labels that cannot mean what they are taken for.

        That is ``aucseg.data.verify.check_labels`` for label sets of one's own. A published one is not
        checked: the images at hand may lack some of its classes.

        Args:
            split: the split that trains.
            tally: gives what is counted of its masks, if that is asked for.

        Raises:
            DataError: for the first problem.
        """

    @abstractmethod
    def prepare(
        self,
        target: str | os.PathLike[str],
        *,
        splits: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        value_range: Range | None = None,
        skip_bad: bool = False,
        workers: int | None = None,
        progress: Step | None = None,
    ) -> PrepareReport:
        """Write the data set into a folder in the package's own layout, with ``class_stats.csv``.

        Args:
            target: the folder to make.
            splits: names of the splits; all that are there if None.
            size: height and width to resize to; None leaves the size.
            value_range: of images with more than 8 bits a channel, the values that are black and white.
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
        split: str | None = None,
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
            split: name of the split; ``"all"`` for all together, where no split has that name; the one that
                trains if None.
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
            DataError: if there is no such split, no labelled pixel in it, or the folder keeps no counts.
        """
        options: dict[str, Any] = {"regions": regions, "workers": workers, "scheduler": scheduler}
        options |= {"partial_results": partial_results, "progress": progress}
        with walk_once():
            split = self.training_split if split is None else split
            whole = join([self._count(name, write, **options) for name in self._counted_splits(split)])
        self._check_labelled(split, whole)
        return whole.with_spec(self.spec)

    def _count(
        self,
        split: str,
        write: bool,
        *,
        partial_results: Path | None = None,
        progress: Step | None = None,
        **options: Any,
    ) -> Tally:
        """The tally of one split, in the groups of its layout."""
        masks = self.masks(split)
        place = partial_results
        if place is None and len(masks.names) >= MANY_MASKS:
            place = paths.runs() / "scans"
        if place is not None:
            place /= f"{self.entry.name}-{split}"
        step = None if progress is None else partial(progress, split)
        tally = count(
            masks, file=self._kept(split, write), write=write, folder=place, progress=step, **options
        )
        self._tallies[split] = tally
        return tally

    def _check_labelled(self, split: str, tally: Tally) -> None:
        """Raise `DataError` if not one pixel of a split is of a class."""
        if not tally.pixels.any():
            raise DataError(
                f"no pixel of {split!r} has a class: all {tally.void:,} in {tally.num_images} masks are void",
                file=self.label,
                remedy="see what `aucseg data verify` says of the values in the masks",
            )

    def known(self, split: str | None = None, *, write: bool = False) -> Known:
        """What is known of a split without counting it again if that can be had.

        Published statistics, if the data set was called by its name and has some; else what is counted; else
        the sums in ``class_stats.csv`` of a folder that came without its masks.

        Args:
            split: name of the split; the one that trains if None.
            write: as for :meth:`count`.

        Raises:
            DataError: as :meth:`count`.
        """
        split = self.training_split if split is None else split
        tally, file = self.count(split, write=write), self._kept(split, write=write)
        return Known(tally, self._origin(split, tally), split, self._counted(split), file=file)

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

"""A data set of files: what is known of it by name, and the folder it lies in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from aucseg import paths
from aucseg.catalog.entry import Entry, Known, Located
from aucseg.data.classes import (
    STATS_FILE,
    read_class_names,
    read_classes,
    read_pixel_share,
    read_sums,
    write_stats,
)
from aucseg.data.fingerprint import fingerprint
from aucseg.data.get import SOURCES, get, instructions
from aucseg.data.get.fetch import Progress
from aucseg.data.init.look import KINDS
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.described import described_layout, is_described, pattern_layout
from aucseg.data.layouts.own import is_prepared, list_splits, own_layout, read_split
from aucseg.data.prepare import PrepareReport, Step, prepare, prepared_from
from aucseg.data.reading import Range
from aucseg.data.spec import ClassSpec
from aucseg.data.verify import Labels, VerifyReport, check_labels, verify
from aucseg.errors import DataError, OptionError, file_errors
from aucseg.longtail.counter import MaskFiles, count, file_state
from aucseg.longtail.partitions import Partition, choose_tail, partition, share_partition
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally


class FolderEntry(Entry):
    """A data set of files.

    Args:
        name: its name.
        title: the same in words.
        terms: terms of use, and what to cite.
        layout: its published layout; None for one that comes in the package's own.
        load: gives its label set; None where the folder has its own.
    """

    def __init__(
        self,
        name: str,
        title: str,
        terms: str = "",
        *,
        layout: Layout | None = None,
        load: Callable[[], ClassSpec] | None = None,
    ) -> None:
        super().__init__(name, title, terms)
        self.layout = layout
        self.grouped = load is not None and (layout is None or layout.grouped)
        self.needs_root = load is None
        self._load = load

    @classmethod
    def published(cls, layout: Layout) -> FolderEntry:
        """The entry of a published layout.

        Args:
            layout: the layout.
        """
        return cls(layout.name, layout.title, layout.access.terms, layout=layout, load=layout.load_spec)

    @property
    def spec(self) -> ClassSpec | None:
        """Its label set; None where the folder has its own."""
        return None if self._load is None else self._load()

    @property
    def automatic(self) -> bool:
        """Whether :meth:`get` can fetch it."""
        return self.name in SOURCES

    def at(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        images: str | None = None,
        masks: str | None = None,
        spec: ClassSpec | None = None,
        train_split: str | None = None,
    ) -> Folder:
        """The data set in its folder."""
        patterns = images is not None or masks is not None
        if patterns and (images is None or masks is None or not self.needs_root):
            raise OptionError("images and masks are patterns for 'folder', given both or not at all")
        if root is None and self.needs_root:
            raise OptionError(
                f"data set {self.name!r} needs root: the folder that holds images and masks; where a command "
                f"asks for data, give that folder in place of the name"
            )
        place = None if root is None else paths.expand(root)
        return Folder(self, place, images, masks, spec, train_split)

    def locate(self, root: str | os.PathLike[str] | None = None) -> Path:
        """The folder of the data set on this machine; see :meth:`Entry.locate`."""
        get = "check the path of the data set"
        if not self.needs_root:
            get = f"correct the path, or run `aucseg data get {self.name}`"
        if root is not None:
            return _existing(paths.expand(root), "", get)
        variable = f"AUCSEG_{self.name.upper()}"
        if value := os.environ.get(variable):
            return _existing(paths.expand(value), f" (from {variable})", get)
        places = paths.dataset_places(self.name)
        for place in places:
            if (place / "splits").is_dir() or (place.is_dir() and self.holds(place)):
                return place
        raise DataError(
            f"data set {self.name!r} not found; looked at {', '.join(map(str, places))}",
            remedy=f"run `aucseg data get {self.name}` or set {variable} to its folder",
        )

    def is_default(self, root: str | os.PathLike[str]) -> bool:
        """Whether a folder is the one in which the data set is found by its name."""
        if self.needs_root:
            return False
        try:
            return os.path.realpath(self.locate()) == os.path.realpath(root)
        except DataError:
            return False

    def lies_in(self, folder: Path) -> bool:
        """Whether a folder holds this data set, in its published layout or the package's own.

        Args:
            folder: the folder; it need not exist.
        """
        return folder.is_dir() and (self.fits(folder) or is_prepared(folder))

    def holds(self, folder: Path) -> bool:
        """Whether a folder has the published layout of this data set.

        Args:
            folder: the folder.
        """
        place = None if self.layout is None else self.layout.find(folder)
        return place is not None and self.layout is not None and bool(self.layout.splits(place))

    def fits(self, folder: Path) -> bool:
        """Whether a folder has the published layout of this data set and does not say that it is another.

        What it says is its ``classes.csv``. One in the form of this package speaks of its user's own masks,
        whatever the folders are called; one in another form may only have published names.

        Args:
            folder: the folder.
        """
        if not self.holds(folder):
            return False
        assert self.layout is not None
        for place in {folder, self.layout.find(folder) or folder}:
            names = read_class_names(place)
            if names is None:
                continue
            published = {*self.layout.spec.names, *self.layout.unused}
            if _has_classes(place) or not names or not published.issuperset(names):
                return False
        return True

    def get(
        self,
        dest: str | os.PathLike[str] | None = None,
        *,
        url: str | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Fetch the data set; see :meth:`Entry.get`."""
        if not self.automatic:
            place = None if dest is None else Path(dest)
            raise DataError(f"{self.name} is not downloaded automatically", remedy=self.by_hand(place))
        with file_errors(Path(dest or paths.dataset(self.name)), "cannot be made"):
            return get(self.name, dest, url=url, progress=progress, complete=complete)

    def by_hand(self, dest: Path | None = None) -> str:
        """What to do to get the data set by hand.

        Args:
            dest: the folder to put it into; ``data/<name>`` of the project if None.
        """
        assert self.layout is not None
        return instructions(self.layout, dest or paths.dataset(self.name))


class Folder(Located):
    """A data set in a folder: the package's own layout, a published one, or one by patterns.

    Args:
        entry: what it is.
        root: the folder; searched for, when it is wanted, if None.
        images: pattern of the images of a folder in another layout, see `pattern_layout`.
        masks: pattern of its masks.
        spec: the label set to hold a folder of one's own to.
        train_split: the split that trains, if its user names it.
    """

    def __init__(
        self,
        entry: FolderEntry,
        root: Path | None = None,
        images: str | None = None,
        masks: str | None = None,
        spec: ClassSpec | None = None,
        train_split: str | None = None,
    ) -> None:
        super().__init__(entry, train_split)
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

    @property
    def title(self) -> str:
        """Its name, or that of a folder of one's own."""
        return self.root.resolve().name if self.entry.needs_root else self.entry.name

    @cached_property
    def layout(self) -> Layout:
        """Where the files lie in the folder, and what the values of the masks mean."""
        images, masks = self._patterns
        if images is not None and masks is not None:
            return pattern_layout(self.root, images, masks, self._held_to)
        if self.described:
            return described_layout(self.root, self._held_to)
        if not self.prepared:
            assert self.entry.layout is not None
            return self.entry.layout
        self._check_ready()
        return own_layout(self.root, self._held_to)

    @cached_property
    def prepared(self) -> bool:
        """Whether the folder has the package's own layout, as far as it has any."""
        if self._patterns != (None, None) or self.described:
            return False
        return self.entry.layout is None or is_prepared(self.root)

    @cached_property
    def described(self) -> bool:
        """Whether the folder says itself where its files lie, in ``aucseg.yaml``."""
        return self._patterns == (None, None) and self.entry.layout is None and is_described(self.root)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that are there."""
        if not self.prepared:
            return self.layout.splits(self._place)
        if not (listed := list_splits(self.root)):
            self._check_ready()
        return listed

    @cached_property
    def spec(self) -> ClassSpec:
        """The label set, with the groups of :attr:`partition`."""
        spec, published = self.layout.spec, self.entry.spec
        if self._held_to is not None or (published is not None and self.layout.grouped and not self.prepared):
            return spec
        if published is not None and self.prepared:
            read_classes(self.root).check_names(published)
            spec = replace(spec, name=published.name)
        pixels, images = self._shares
        return replace(spec, groups=self.partition.groups, pixel_share=pixels, image_share=images)

    @cached_property
    def partition(self) -> Partition:
        """Head, middle and tail, with where they come from; see :attr:`Located.partition`."""
        name = self.entry.name
        if self.named and name in list_statistics():
            return partition(name)
        spec = self.layout.spec
        if not self.layout.grouped:
            return share_partition(self._shares[0], spec.names, of=self.training_split)
        if self._spec is None and self.entry.grouped:
            if name in list_statistics():
                return choose_tail(name, spec)
            source = f"the label set of {name}"
        else:
            source = "the column group of classes.csv" if self._spec is None else f"the label set {spec.name}"
        reasons = tuple(f"{n}: {g} in {source}" for n, g in zip(spec.names, spec.groups, strict=True))
        return Partition(source, spec.names, spec.groups, reasons)

    @cached_property
    def _shares(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Shares of the pixels and of the images of the training split, as far as they are known.

        Where groups hang on them, the masks are counted if ``class_stats.csv`` does not have them.
        """
        needed = not self.layout.grouped
        clear = self._train_split is not None or "train" in self.splits or len(self.splits) == 1
        if self.layout.table is not None and (needed or clear):
            shares = read_pixel_share(self.root, self.layout.table, self.training_split)
            if shares is not None and (any(shares) or not needed):
                return shares, ()
        if not needed:
            return (), ()
        split = self.training_split
        if split not in self._tallies:
            self._count(split, write=False)
        tally = self._tallies[split]
        self._check_labelled(split, tally)
        pixels, images = ([float(s) for s in column] for column in (tally.pixel_share, tally.image_share))
        return tuple(pixels), tuple(images)

    def masks(self, split: str) -> MaskFiles:
        """The masks of a split as they are, for :func:`aucseg.longtail.count`; no image is opened."""
        names, files = self.layout.masks(self._place, split)
        layout = self.layout
        state = partial(_state, layout.parts, layout.settings)
        return MaskFiles(layout.spec, names, files, layout.read_ids, layout.lookup, state)

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
            split,
            names,
            files,
            self.spec,
            layout.read_ids,
            layout.lookup,
            size=size,
            parts=layout.parts,
            settings=layout.settings,
            cache=cache,
        )
        return whole if num_images is None else CachedDataset(whole, num_images=num_images, keep=False)

    def fingerprint(self, splits: Sequence[str]) -> str:
        """What identifies some of the splits; see :meth:`Located.fingerprint`.

        ``class_stats.csv`` is no part: it follows from the masks.
        """
        layout, there = self.layout, self.splits
        items = {split: layout.items(self._place, split) for split in splits if split in there}
        groups = list(layout.spec.groups) if layout.grouped else None
        drawn = {"drawn": dict(layout.settings)} if layout.settings else {}
        return fingerprint(layout.spec.names, layout.lookup, items, layout.parts, groups=groups, **drawn)

    def verify(self, splits: Sequence[str] | None = None, *, workers: int | None = None) -> VerifyReport:
        """Open every file and report all that is wrong, not only the first. Nothing is changed on disk."""
        options: dict[str, Any] = {"train_split": self._train_split, "workers": workers}
        if self.prepared:
            if not list_splits(self.root):
                self._check_ready()  # without a class table only, the files can be opened all the same
            return verify(self.root, splits, spec=self._spec or self.entry.spec, **options)
        return verify(self.root, splits, layout=self.layout, **options)

    def check_labels(self, split: str, tally: Callable[[], Tally]) -> None:
        """Refuse to train on labels that cannot mean what they are taken for; see `Located.check_labels`."""
        published = self.entry.spec is not None or prepared_from(self.root) not in (None, "folder")
        if published or self._spec is not None:
            return
        counted = tally()
        labels = Labels(counted.names, counted.pixels, counted.void)
        problems, _ = check_labels(labels, split, table=self.layout.table, own=True, trains=True)
        for problem in problems:
            raise problem

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
        """Write the data set into a folder in the package's own layout, with ``class_stats.csv``."""
        layout = self.layout
        with file_errors(Path(target), "cannot be made"):
            report = prepare(
                layout,
                self.root,
                target,
                splits=splits,
                size=size,
                value_range=value_range,
                skip_bad=skip_bad,
                workers=workers,
                progress=progress,
            )
            complete(report.target, workers=workers)
        return report

    def known(self, split: str | None = None, *, write: bool = False) -> Known:
        """What is known of a split without counting it again if that can be had."""
        if self.named and (name := self.entry.name) in list_statistics():
            if split in (None, "train"):
                return Known(load_statistics(name), "statistics of the package", "train", published=name)
            try:
                self.entry.locate()
            except DataError as error:
                what = f"the package has statistics of 'train' alone, and for {split!r}: {error.what}"
                raise DataError(what, file=error.file, remedy=error.remedy) from error
        split = self.training_split if split is None else split
        if write or not self.prepared or (self.root / "annotations" / split).is_dir():
            return super().known(split, write=write)
        if not (self.root / STATS_FILE).is_file():
            return super().known(split)
        table, number = read_classes(self.root), len(read_split(self.root, split))
        pixels, images = read_sums(self.root, table, split)
        own = Tally(table.spec(self.root.resolve().name), pixels, images, number)
        return Known(own.with_spec(self.spec), STATS_FILE, split)

    def keep(self, **options: Any) -> list[Path]:
        """Count every split and keep the tallies in the folder, with ``class_stats.csv`` beside them."""
        if not (self.prepared or self.described):
            raise self._keeps_nothing()
        tallies = {split: self._count(split, write=True, **options) for split in self.splits}
        stats = write_stats(self.root, read_classes(self.root), tallies)
        return [stats, *(self._kept_file(split) for split in tallies)]

    def _check_ready(self) -> None:
        """Raise `DataError` if a folder of one's own lacks its class table or all of its lists."""
        lacking = [] if self._spec or (self.root / "classes.csv").is_file() else ["classes.csv"]
        lacking += [] if list_splits(self.root) else ["list of a split"]
        if self.entry.needs_root and lacking:
            raise DataError(
                f"is no data set yet: it has no {' and no '.join(lacking)}",
                file=self.root,
                remedy=f"`aucseg data init {self.root}` looks at its images and masks and writes what is "
                f"missing; known are: {'; '.join(KINDS)}",
            )

    @cached_property
    def _place(self) -> Path:
        return self.layout.locate(self.root)

    @property
    def _held_to(self) -> ClassSpec | None:
        """The label set that the folder's own table must have: the user's, or one with published groups."""
        if self._spec is None and self.entry.grouped:
            return self.entry.spec
        return self._spec

    def _kept(self, split: str, write: bool) -> Path | None:
        return self._kept_file(split) if self.prepared or self.described else super()._kept(split, write)

    def _kept_file(self, split: str) -> Path:
        return self.root / f"mask_counts_{split}.npz"

    def _origin(self, split: str, tally: Tally) -> str:
        return f"{tally.num_images} masks of {split}"


def complete(root: Path, *, workers: int | None = None) -> None:
    """Count the splits of a folder in the package's own layout, and write ``class_stats.csv``.

    Args:
        root: the folder.
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
    if tallies:
        write_stats(root, read_classes(root), tallies)


def _has_classes(root: Path) -> bool:
    """Whether a folder has a class table in the form of this package."""
    try:
        read_classes(root)
    except DataError:
        return False
    return True


def _state(parts: Callable[[Path], Mapping[str, Path]], settings: Mapping[str, str], mask: Path) -> str:
    """State of a mask, by which a count knows whether it was changed: its files, and how it is drawn."""
    found = parts(mask)
    if list(found) == [""] and not settings:
        return file_state(mask)
    return repr([sorted(settings.items()), [(name, file_state(path)) for name, path in found.items()]])


def _existing(place: Path, origin: str, remedy: str) -> Path:
    if place.is_dir():
        return place
    raise DataError(f"no such folder{origin}", file=place, remedy=remedy)

"""What the package knows of a data set by its name: where it lies, how it is fetched and opened."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aucseg import paths
from aucseg.catalog.located import Folder, Located, Streets, complete
from aucseg.data.get import SOURCES, get, instructions
from aucseg.data.get.fetch import Progress
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.own import is_prepared
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.errors import DataError, OptionError, file_errors
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally


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
    """

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
    ) -> Located:
        """The data set at its place.

        Args:
            root: its folder; searched for if None.
            images: where images lie in a folder of one's own, for example ``"imgs/{name}_img.jpg"``, where
                ``{split}`` may stand for the split.
            masks: the same of masks.
            spec: the label set to hold a folder of one's own to.

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
        self, split: str = "train", root: str | os.PathLike[str] | None = None, **options: Any
    ) -> Tally:
        """The tally of a split; see :meth:`Located.count`.

        Args:
            split: name of the split.
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
    ) -> Folder:
        """The data set in its folder."""
        patterns = images is not None or masks is not None
        if patterns and (images is None or masks is None or not self.needs_root):
            raise OptionError("images and masks are patterns for 'folder', given both or not at all")
        if root is None and self.needs_root:
            raise OptionError(f"data set {self.name!r} needs root: the folder that holds images and masks")
        return Folder(self, None if root is None else Path(root), images, masks, spec)

    def locate(self, root: str | os.PathLike[str] | None = None) -> Path:
        """The folder of the data set on this machine; see :meth:`Entry.locate`."""
        get = "check the path of the data set"
        if not self.needs_root:
            get = f"correct the path, or run `aucseg data get {self.name}`"
        if root is not None:
            return _existing(Path(root), "", get)
        variable = f"AUCSEG_{self.name.upper()}"
        if value := os.environ.get(variable):
            return _existing(Path(value), f" (from {variable})", get)
        places = paths.dataset_places(self.name)
        for place in places:
            if (place / "splits").is_dir() or (place.is_dir() and self.holds(place)):
                return place
        raise DataError(
            f"data set {self.name!r} not found; looked at {', '.join(map(str, places))}",
            remedy=f"run `aucseg data get {self.name}` or set {variable} to its folder",
        )

    def lies_in(self, folder: Path) -> bool:
        """Whether a folder holds this data set, in its published layout or the package's own.

        Args:
            folder: the folder; it need not exist.
        """
        return folder.is_dir() and (self.holds(folder) or is_prepared(folder))

    def holds(self, folder: Path) -> bool:
        """Whether a folder has the published layout of this data set.

        Args:
            folder: the folder.
        """
        place = None if self.layout is None else self.layout.find(folder)
        return place is not None and self.layout is not None and bool(self.layout.splits(place))

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


class StreetsEntry(Entry):
    """The drawn data set: nothing to fetch and nothing to find.

    Args:
        name: its name.
        title: the same in words.
        terms: terms of use.
    """

    drawn = True

    @property
    def spec(self) -> ClassSpec:
        """The label set of Cityscapes."""
        return load_spec("cityscapes")

    @property
    def version(self) -> int:
        """Version of the generator: another one draws other pictures."""
        from aucseg.streets import GENERATOR_VERSION

        return GENERATOR_VERSION

    def at(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        images: str | None = None,
        masks: str | None = None,
        spec: ClassSpec | None = None,
    ) -> Streets:
        """The drawn data set; it lies nowhere."""
        if root is not None or images is not None or masks is not None or spec is not None:
            raise OptionError(f"{self.name!r} is drawn: it has no folder, no patterns and no other classes")
        return Streets(self)


def _existing(place: Path, origin: str, remedy: str) -> Path:
    if place.is_dir():
        return place
    raise DataError(f"no such folder{origin}", file=place, remedy=remedy)

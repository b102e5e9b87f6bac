"""The drawn data set: nothing to fetch and nothing to find."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from aucseg.catalog.entry import Entry, Located
from aucseg.catalog.folder import complete
from aucseg.data.prepare import PrepareReport, Step, prepare_drawn
from aucseg.data.reading import Range
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.data.verify import VerifyReport
from aucseg.errors import OptionError, file_errors
from aucseg.longtail.counter import HasMasks
from aucseg.longtail.partitions import Partition, partition
from aucseg.longtail.tally import Tally


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
    def looks(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the looks, see :mod:`aucseg.streets`."""
        from aucseg.streets import LOOKS

        return tuple(LOOKS)

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
        train_split: str | None = None,
    ) -> Streets:
        """The drawn data set; it lies nowhere."""
        if root is not None or images is not None or masks is not None or spec is not None:
            raise OptionError(f"{self.name!r} is drawn: it has no folder, no patterns and no other classes")
        return Streets(self, train_split)


class Streets(Located):
    """The drawn data set: every split a world of its own, as many images as are asked for.

    Args:
        entry: what it is.
        train_split: the split that trains, if its user names it.

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

    @property
    def partition(self) -> Partition:
        """That of Cityscapes."""
        return partition("cityscapes")

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
        look: str = "standard",
    ) -> Any:
        """The scenes of a world, drawn when they are asked for.

        Args:
            split: name of the world.
            size: height and width at which they are drawn.
            num_images: how many.
            cache: draw them now and keep them in memory.
            look: how they are pictured, one of ``aucseg.streets.LOOKS``.

        Raises:
            OptionError: for another split or look, and without a number.
        """
        from aucseg.data.dataset import CachedDataset
        from aucseg.streets import WORLDS, SyntheticStreets

        if split not in WORLDS:
            raise OptionError(f"streets have no split {split!r}; use one of {', '.join(WORLDS)}")
        if num_images is None:
            raise OptionError("streets are drawn: say how many images")
        options = {} if size is None else {"size": size}
        scenes = SyntheticStreets(num_images, seed=WORLDS[split], look=look, **options)
        return CachedDataset(scenes) if cache else scenes

    def fingerprint(self, splits: Sequence[str]) -> str:
        """The version of the generator; see :meth:`Located.fingerprint`."""
        return f"{self.entry.name} {self.entry.version}"

    def verify(self, splits: Sequence[str] | None = None, *, workers: int | None = None) -> VerifyReport:
        """Draw 500 scenes of each world; there is no file that could be wrong."""
        report = VerifyReport(Path(self.entry.name), layout=self.entry.name, class_names=self.spec.names)
        for split in self.splits if splits is None else splits:
            tally = self.count(split, workers=workers)
            report.splits[split] = tally.num_images
            report.pixels[split], report.void[split] = tally.pixels, tally.void
        report.sizes = {self.shape: sum(report.splits.values())}
        return report

    def check_labels(self, split: str, tally: Callable[[], Tally]) -> None:
        """What is drawn has the labels of what is drawn."""

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

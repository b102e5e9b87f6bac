"""What ``aucseg bound`` reads: the tally of a data set, counted image by image where there are masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aucseg.data.class_stats import STATS_FILE, read_sums
from aucseg.data.classes import read_classes
from aucseg.data.layout import read_split
from aucseg.data.layouts.patterns import table_spec
from aucseg.data.places import find_root
from aucseg.data.reading import to_train_ids
from aucseg.errors import DataError
from aucseg.longtail.counter import MaskFiles, count, folder_masks
from aucseg.longtail.statistics import list_statistics, load_statistics
from aucseg.longtail.tally import Tally

_STREETS, _STREET_SIZE = 500, (64, 128)


@dataclass(frozen=True, eq=False)
class BoundInput:
    """What is known of a training set.

    Args:
        tally: what was counted.
        origin: where the numbers come from, for the reader.
        masks: the masks, if they can be read again.
    """

    tally: Tally
    origin: str
    masks: MaskFiles | None = None


def read_source(data: str, split: str) -> BoundInput:
    """The tally by name, of the streets, of a known data set or of a folder.

    Args:
        data: what the user named.
        split: the split of a folder.

    Raises:
        DataError: if there is no such data, or a file of it cannot be used.
    """
    if not Path(data).exists():
        if data in list_statistics():
            return BoundInput(load_statistics(data), "statistics of the package")
        if data == "streets":
            return _streets()
        if data != "camvid":
            known = ", ".join((*list_statistics(), "streets", "camvid"))
            raise DataError(f"no data {data!r}", remedy=f"give a folder or one of {known}")
    root = Path(data) if Path(data).exists() else find_root(data)
    table = read_classes(root)
    if not (root / "annotations" / split).is_dir() and (root / STATS_FILE).is_file():
        pixels, images = read_sums(root, table, split)
        spec = table_spec(table, root.resolve().name)
        return BoundInput(Tally(spec, pixels, images, len(read_split(root, split))), STATS_FILE)
    masks = folder_masks(root, split)
    return BoundInput(count(masks), f"{len(masks)} masks of {split}", masks)


def read_masks(masks: MaskFiles) -> Iterator[np.ndarray]:
    """The masks as maps of train ids, void = 255.

    Args:
        masks: the masks.

    Raises:
        DataError: for the first mask that is missing, unreadable or has labels outside the classes.
    """
    for place in masks.places:
        assert masks.lookup is not None
        yield to_train_ids(masks.read(place), masks.lookup, Path(place))


def _streets() -> BoundInput:
    from aucseg.streets import SyntheticStreets  # imports PyTorch, which nothing else here wants

    streets = SyntheticStreets(_STREETS, size=_STREET_SIZE)
    tally = count(streets)
    return BoundInput(tally.with_spec(replace(streets.spec, name="streets")), f"{_STREETS} synthetic scenes")

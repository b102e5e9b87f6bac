"""Turn a published layout into the package's own: 8-bit masks of train ids, at the size to train on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aucseg.data.classes import write_classes
from aucseg.data.files import write_file, write_text
from aucseg.data.labels import VOID, to_train_ids
from aucseg.data.layouts.base import Layout
from aucseg.data.listing import Item
from aucseg.data.palette import indexed_mask
from aucseg.data.reading import (
    Range,
    check_range,
    check_same_size,
    check_size,
    is_wide,
    read_image,
    stored_format,
)
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import bounded_map
from aucseg.errors import DataError, file_errors

NOTE = "prepared.json"
_JPEG_QUALITY = 95
_GO_ON = "make room, or see to its permissions; the same command then goes on from there"

Step = Callable[[str, int, int], None]


def prepared_from(folder: Path) -> str | None:
    """The data set of which a folder was prepared; None if it was not, or its note cannot be read.

    Args:
        folder: the folder.
    """
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = note.get("layout") if isinstance(note, dict) else None
    return found if isinstance(found, str) else None


@dataclass
class PrepareReport:
    """What `prepare` did.

    Args:
        target: the folder made.
        written: items written in each split.
        kept: items that an earlier call had written.
        problems: what kept an item from being written, with its file.
    """

    target: Path
    written: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    problems: list[DataError] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every item was written."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types, for JSON."""
        return {
            "target": str(self.target),
            "ok": self.ok,
            "written": self.written,
            "kept": self.kept,
            "problems": [
                {"file": p.file or "", "what": p.what, "remedy": p.remedy or ""} for p in self.problems
            ],
        }


def prepare(
    layout: Layout,
    root: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    value_range: Range | None = None,
    skip_bad: bool = False,
    workers: int | None = None,
    progress: Step | None = None,
) -> PrepareReport:
    """Write a data set into ``target`` in the package's own layout.

    Masks become 8-bit palette PNG files of train ids, void 255. JPEG and PNG images are copied as they are,
    whatever their names end in, or resized as a data set would, JPEG stored at quality 95; all other images
    become PNG, which loses nothing. Each file appears when it is complete and a split's list when all its
    items are, so that an interrupted call goes on and a half-made folder cannot be trained on. Nothing is
    written outside ``target``.

    Args:
        layout: the layout of ``root``.
        root: the data set.
        target: the folder to make.
        splits: names of the splits; all that are there if None.
        size: (height, width) to resize to; None leaves the size.
        value_range: for images of more than 8 bits a channel, the value that is black and the one that is
            white, see :func:`aucseg.data.reading.read_image`; None refuses such images.
        skip_bad: leave out items with a problem instead of leaving their split unlisted.
        workers: threads; the processor count up to 8 if None.
        progress: called with the split, the items done and all its items.

    Returns:
        What was written, and every problem.

    Raises:
        DataError: if ``root`` is not in the layout, or ``target`` holds anything but an earlier attempt
            with the same arguments, or cannot be written to, as where a disk is full.
        ValueError: if ``size`` is not two positive integers, or the range not two numbers.
    """
    check_size(size)
    check_range(value_range)
    place, out = layout.locate(Path(root)), Path(target)
    spec = layout.spec
    arguments = {"layout": layout.name, "classes": list(spec.names), "size": size}
    _claim(out, place, arguments | ({} if value_range is None else {"value_range": value_range}))
    write_classes(out, spec, spec.groups if layout.grouped else None, ignored=_void_row(spec))
    report = PrepareReport(out)
    for split in layout.splits(place) if splits is None else splits:
        listing = layout.listing(place, split)
        report.problems += listing.problems
        items = [p for p in listing.items if p.image is not None and p.mask is not None]
        work = partial(_prepare_item, layout, spec, out, split, size, value_range)
        done: list[bool | DataError] = []
        for result in bounded_map(work, items, workers=workers):
            done.append(result)
            if progress is not None:
                progress(split, len(done), len(items))
        bad = [r for r in done if isinstance(r, DataError)]
        report.problems += bad
        report.written[split] = sum(r is True for r in done)
        report.kept[split] = sum(r is False for r in done)
        good = [p.name for p, r in zip(items, done, strict=True) if not isinstance(r, DataError)]
        if good and (skip_bad or not (bad or listing.problems)):
            write_text(out / "splits" / f"{split}.txt", "\n".join(good) + "\n", inside=out)
    return report


def prepare_drawn(
    drawn: Mapping[str, Any],
    spec: ClassSpec,
    target: str | os.PathLike[str],
    note: Mapping[str, Any],
    *,
    workers: int | None = None,
    progress: Step | None = None,
) -> PrepareReport:
    """Write data sets that lie in no files into ``target``, as :func:`prepare` does those that do.

    Args:
        drawn: the data set of each split, with ``names``.
        spec: their label set.
        target: the folder to make.
        note: what is drawn, in plain values, by which a later call knows the folder again.
        workers: threads; the processor count up to 8 if None.
        progress: called with the split, the items done and all its items.

    Returns:
        What was written.

    Raises:
        DataError: if ``target`` holds anything but an earlier attempt with the same arguments.
    """
    out = Path(target)
    _claim(out, None, {"layout": spec.name, "classes": list(spec.names), **note})
    write_classes(out, spec, spec.groups, ignored=_void_row(spec))
    report = PrepareReport(out)
    for split, dataset in drawn.items():
        names = dataset.names
        done = []
        for result in bounded_map(
            partial(_write_drawn, dataset, spec, out, split), range(len(names)), workers=workers
        ):
            done.append(result)
            if progress is not None:
                progress(split, len(done), len(names))
        report.written[split], report.kept[split] = sum(done), len(done) - sum(done)
        write_text(out / "splits" / f"{split}.txt", "\n".join(names) + "\n", inside=out)
    return report


def _void_row(spec: ClassSpec) -> dict[int, str]:
    """The row that says what 255 is in the masks that are written, under a name that no class has."""
    name = "void"
    while name in spec.names:
        name = f"({name})"
    return {VOID: name}


def _write_drawn(dataset: Any, spec: ClassSpec, out: Path, split: str, index: int) -> bool:
    """Write one drawn item: True if it was, False if it was there."""
    name = f"{dataset.names[index]}.png"
    image_path, mask_path = out / "images" / split / name, out / "annotations" / split / name
    if image_path.is_file() and mask_path.is_file():
        return False
    image, mask = dataset[index]
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    write_file(image_path, lambda part: picture.save(part, format="PNG"), inside=out)
    _write_mask(mask_path, mask.numpy(), spec, out)
    return True


def _write_mask(path: Path, labels: np.ndarray, spec: ClassSpec, out: Path) -> None:
    picture = indexed_mask(labels, spec.palette)
    write_file(path, lambda part: picture.save(part, format="PNG"), inside=out)


def _claim(out: Path, source: Path | None, arguments: dict[str, Any]) -> None:
    """Make the folder ours, or see that it is from an earlier call with the same arguments."""
    ends = [os.path.realpath(place) + os.sep for place in (out, source) if place is not None]
    if len(ends) == 2 and (ends[0].startswith(ends[1]) or ends[1].startswith(ends[0])):
        raise DataError(
            "the folder to make and the data set lie inside each other", file=out, remedy="choose another"
        )
    note = out / NOTE
    text = json.dumps(arguments, indent=1) + "\n"
    if note.is_file():
        with file_errors(note, "cannot be read"):
            same = note.read_text(encoding="utf-8") == text
        if not same:
            raise DataError(
                "was prepared from another data set or at another size",
                file=out,
                remedy="choose another folder, or delete this one",
            )
        for part in out.rglob("*.part"):  # of a call that was killed
            part.unlink(missing_ok=True)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError("is in the way", file=out, remedy="choose a new or empty folder")
    write_text(note, text)


def _prepare_item(
    layout: Layout,
    spec: ClassSpec,
    out: Path,
    split: str,
    size: tuple[int, int] | None,
    value_range: Range | None,
    item: Item,
) -> bool | DataError:
    """Write one item: True if it was, False if it was there, or what is wrong with it.

    Raises:
        DataError: where the system refuses to write, which no other item will change.
    """
    image_file, mask_file = item.image, item.mask
    if image_file is None or mask_file is None:  # the listing has reported it
        return False
    mask_path = out / "annotations" / split / (item.name + ".png")
    image_paths = {kind: out / "images" / split / (item.name + kind) for kind in (".jpg", ".png")}
    try:
        with file_errors(image_file, "cannot be read"):
            if mask_path.is_file() and any(path.is_file() for path in image_paths.values()):
                return False
            pixels, ids = read_image(image_file, value_range), layout.read_ids(mask_file)
            check_same_size(pixels.shape, ids.shape, image_file, mask_file)
            labels = to_train_ids(ids, layout.lookup, mask_file)
            kept = stored_format(image_file)
            as_it_is = size is None and (kept == "JPEG" or (kept == "PNG" and not is_wide(image_file)))
        image_path = image_paths[".jpg" if kept == "JPEG" else ".png"]
        if as_it_is:
            write_file(image_path, lambda part: shutil.copyfile(image_file, part), inside=out)
        else:
            if size is not None:
                pixels, labels = _resize(pixels, labels, size)
            kind: dict[str, Any] = {"format": "PNG"}
            if kept == "JPEG":
                kind = {"format": "JPEG", "quality": _JPEG_QUALITY}
            write_file(image_path, lambda part: Image.fromarray(pixels).save(part, **kind), inside=out)
        _write_mask(mask_path, labels, spec, out)
    except DataError as error:
        if isinstance(error.__cause__, OSError) and error.what.startswith("cannot be written"):
            raise DataError(error.what, file=error.file, remedy=_GO_ON) from error
        return error
    return True


def _resize(pixels: np.ndarray, labels: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, 3) and labels (H, W), uint8, to a size, as a data set with that size does it."""
    import torch  # seconds, for those who keep the size, too

    from aucseg.data.dataset import resize_item

    image, mask = resize_item(torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(labels), size)
    return image.permute(1, 2, 0).contiguous().numpy(), mask.numpy()

"""Look at a folder, say what is there, and write what is missing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from aucseg.data.classes import ClassRow, ClassTable, read_classes
from aucseg.data.files import rows_text, write_text
from aucseg.data.init.cut import cut
from aucseg.data.init.look import Sight, look
from aucseg.data.init.names import NameList, find_names, told_names
from aucseg.data.init.report import Found, InitReport, Pair
from aucseg.data.init.values import (
    COLOR,
    Seen,
    Value,
    add_up,
    as_two,
    at_the_ends,
    decide,
    drawn_rows,
    has_soft_borders,
    see,
    see_ids,
    see_lossy,
)
from aucseg.data.layouts.coco import annotation_files, load_coco
from aucseg.data.layouts.coco import without_area as coco_without_area
from aucseg.data.layouts.described import LAYOUTS, described_by, is_described
from aucseg.data.layouts.description import FILE, Description, description_text
from aucseg.data.layouts.drawing import read_json
from aucseg.data.layouts.labelme import shapes, without_area
from aucseg.data.layouts.own import list_splits
from aucseg.data.layouts.patterns import fitting
from aucseg.data.listing import find_files, walk_once
from aucseg.data.reading import orientation, read_header
from aucseg.data.threads import bounded_map
from aucseg.errors import DataError, OptionError, how_many

Step = Callable[[str, int, int], None]

_VAL, _TEST, _SEED = 0.1, 0.2, 0
_BAD = 0.1  # of the masks: if more cannot be read, nothing is written
_FEW = 8  # values of masks that were drawn; of smoothed ones there are more
_TOGETHER = 8  # items that a thread looks at before it asks for more
_LOSSY = (".jpg", ".jpeg", ".webp", ".jp2")


def init(
    root: str | os.PathLike[str],
    *,
    images: str | None = None,
    masks: str | None = None,
    val: float | None = None,
    test: float | None = None,
    seed: int | None = None,
    names: str | None = None,
    overwrite: bool = False,
    write: bool = True,
    workers: int | None = None,
    progress: Step | None = None,
) -> InitReport:
    """Make a data set of a folder: look at it, and write the ``classes.csv`` and the splits that it lacks.

    Every mask is decoded, of images only the header is read. What is there already is respected: a class
    table, lists of splits (in ``splits/``, or in ``ImageSets`` as PASCAL VOC has them), folders called train,
    val and test. What is missing of the splits is cut from what there is by
    `aucseg.data.stratify.stratified_split`.

    Args:
        root: the folder.
        images: where the images lie, if it is not to be found by their names; see
            `aucseg.data.layouts.described.pattern_layout`.
        masks: the same of masks.
        val: share of the images for validation, 0.1 if None; 0 for no such split.
        test: share for testing, 0.2 if None.
        seed: of the cut, 0 if None.
        names: names of the classes in the order of the values, separated by commas; or a file, one a line.
        overwrite: write files anew that are there.
        write: write at all.
        workers: threads; the processor count up to 8 if None.
        progress: called with what is done, masks done and masks in all.

    Returns:
        What was seen, decided and written.

    Raises:
        DataError: if the folder is none that is known, holds masks that cannot be classes, or lacks nothing.
        OptionError: for options that do not fit what is there.
    """
    root = Path(root).expanduser()
    table_file = root / "classes.csv"
    table = read_classes(root) if table_file.is_file() and not overwrite else None
    listed = () if overwrite else list_splits(root)
    described = is_described(root) and not overwrite
    cutting = any(option is not None for option in (val, test, seed))
    for there, given, option in (
        (table_file if table else None, names is not None, "names"),
        (root / FILE if described else None, images is not None, "patterns"),
        (root / "splits" if listed else None, cutting, "a cut"),
    ):
        if given and there is not None:
            raise OptionError(f"{there} is there, and {option} would change it; --overwrite writes it anew")
    shares = {"val": _VAL if val is None else val, "test": _TEST if test is None else test}
    if not all(0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        told = " and ".join(f"{share:g}" for share in shares.values())
        raise OptionError(f"val and test are shares from 0 on, below 1 together, got {told}")
    with _about(root), walk_once():
        sight = Sight(described_by(root)) if described else look(root, images, masks)
        said = sight.description
        files, _ = find_files(root, ("",))
        listed_names = find_names(files) if names is None else told_names(names)
        sight, rows = _drawn(root, sight, table, names is not None)
        found = Found(root, sight.description, [row.name for row in rows])
        report = InitReport(root, sight.description, notes=list(sight.notes))
        seen = _scan(found, rows, report, workers, progress)
        if table is not None:
            report.kept.append("classes.csv")
            report.values = _by_table(table, seen, report)
        else:
            report.values = _decided(found, seen, rows, listed_names, report)
            report.files["classes.csv"] = _class_text(report.values)
        cut(found, report, seen, files, listed, shares, _SEED if seed is None else seed)
        text = description_text(report.description, report.title)
    if described and report.description != said:
        wanted = ", ".join(text.splitlines()[1:])
        raise DataError(f"does not fit: it would have to say {wanted}", file=root / FILE, remedy="correct it")
    if described:
        report.kept.append(FILE)
    elif not report.own or is_described(root):
        report.files[FILE] = text
    if not report.files:
        raise DataError(
            f"lacks nothing: {', '.join(report.kept)} are there and stay as they are",
            file=root,
            remedy=f"`aucseg data verify {root}` checks them; --overwrite writes them anew",
        )
    if write:
        for name, text in report.files.items():
            report.written.append(write_text(root / name, text, inside=root))
    return report


@contextmanager
def _about(root: Path) -> Iterator[None]:
    """Name the folder in errors that name no file: they are about all of its masks."""
    try:
        yield
    except DataError as error:
        if error.file is not None:
            raise
        raise DataError(error.what, file=root, remedy=error.remedy) from error


def _drawn(
    root: Path, sight: Sight, table: ClassTable | None, named: bool
) -> tuple[Sight, tuple[ClassRow, ...]]:
    """The rows of the classes, where annotations or file names name them, and the options they need."""
    description, notes = sight.description, list(sight.notes)
    options = dict(description.options)
    names: Sequence[str] = sight.class_names
    bare = crowds = 0
    if description.layout == "coco":
        used: Counter[str] = Counter()
        categories: dict[str, None] = {}
        for file in annotation_files(root, description.masks).values():
            content = load_coco(file)
            categories |= dict.fromkeys(content.categories)
            for each in (a for image in content.images.values() for a in image.annotations):
                crowds += each.crowd
                bare += coco_without_area(each.segmentation)
                if not coco_without_area(each.segmentation) and not each.crowd:
                    used[each.category] += 1
        names = [name for name in categories if used[name]]
        if unused := [name for name in categories if not used[name]]:
            notes.append(f"categories without an outline are left out: {', '.join(unused)}")
        if crowds and "crowd" not in options:
            notes.append(f"{crowds} crowds are void; see `crowd` of {FILE}")
    elif description.layout == "labelme":
        labels: Counter[str] = Counter()
        _, places = LAYOUTS["labelme"].sides(root, description, ())
        for path in places.values():
            for label, shape in shapes(read_json(path, "LabelMe file"), path):
                bare += without_area(shape)
                labels[label] += not without_area(shape)
        names = sorted(label for label, number in labels.items() if number)
    elif description.layout == "per_class":
        if "{class}" not in description.masks:
            names = ("foreground",)
        elif not names and table is None:
            names = _class_fields(root, description)
    else:
        return sight, ()
    if named and not (description.layout == "per_class" and "{class}" not in description.masks):
        raise OptionError(
            "--names is for masks of values or colours: here annotations or files name the classes"
        )
    if bare and "without_area" not in options:
        options["without_area"] = "skip"
        notes.append(f"{bare} boxes, lines or points have no area and are passed over; see {FILE}")
    rows = drawn_rows(names) if table is None else table.rows
    return Sight(replace(description, options=options), tuple(names), tuple(notes)), rows


def _class_fields(root: Path, description: Description) -> list[str]:
    """What ``{class}`` stands for in a pattern of the user's."""
    return sorted({match["class"] for match, _ in fitting(root, description.masks)})


def _scan(
    found: Found, rows: tuple[ClassRow, ...], report: InitReport, workers: int | None, progress: Step | None
) -> list[Seen | None]:
    """What each mask holds; None for one that cannot be read, which is a problem."""
    description, kind = found.description, LAYOUTS[found.description.layout]
    lossy = any(pair.mask.suffix.lower() in _LOSSY for pair in found.pairs)
    if description.layout == "patterns":
        see_mask: Callable[[Path], Seen] = see_lossy if lossy else see
    else:
        see_mask = partial(see_ids, kind.read(description, ClassTable(rows, found.root / "classes.csv")))
    seen: list[Seen | None] = []
    bad: list[str] = []
    results = bounded_map(partial(_look_at, see_mask), found.pairs, workers=workers, together=_TOGETHER)
    for pair, (mask, mode, problem) in zip(found.pairs, results, strict=True):
        seen.append(mask)
        if problem is not None:
            report.problems.append(problem)
        if mask is None:
            bad.append(problem or "")
        else:
            report.modes[mask.mode] += 1
            report.sizes[mask.size] += 1
        report.images[f"{pair.image.suffix.lower()} {mode}".strip()] += 1
        if progress is not None:
            progress("masks", len(seen), len(found.pairs))
    if len(bad) > _BAD * len(seen):
        raise DataError(f"{len(bad)} of {len(seen)} items cannot be used; the first: {bad[0]}")
    usable = [(each, pair.mask) for each, pair in zip(seen, found.pairs, strict=True) if each is not None]
    pixels, _ = add_up([each for each, _ in usable])
    two = at_the_ends(pixels) and (lossy or len(pixels) > _FEW)
    two = two and has_soft_borders(*map(list, zip(*usable, strict=True)))
    if description.layout == "patterns" and lossy and not two:
        raise DataError(
            "masks are JPEG files of more than two labels, which are blurred into others at their borders",
            file=found.root,
            remedy="export them again, as PNG",
        )
    if description.layout == "patterns" and two:
        told = "JPEG files" if lossy else "gray with smooth borders"
        report.notes.append(f"masks are {told}: two classes, told apart at 128")
        report.description = replace(description, layout="per_class")
        seen = [None if each is None else as_two(each) for each in seen]
    report.notes += _left_out(found)
    return seen


def _look_at(see_mask: Callable[[Path], Seen], pair: Pair) -> tuple[Seen | None, str, str | None]:
    """What a mask holds; the mode of its image, of which only the header is read; and what is wrong."""
    mode = ""
    try:
        (height, width), mode = read_header(pair.image)
        seen = see_mask(pair.mask)
        if (height, width) != seen.size and orientation(pair.image) > 4:
            width, height = height, width
    except DataError as error:
        return None, mode, str(error)
    except OSError as error:
        return None, mode, f"{pair.mask}: unreadable mask ({type(error).__name__})"
    if (height, width) != seen.size:
        told = f"{seen.size[1]}x{seen.size[0]} but its image is {width}x{height} (width x height)"
        return seen, mode, f"{pair.mask}: the mask is {told}"
    if mode.startswith(("I", "F")):
        told = f"image of mode {mode!r}; `aucseg data prepare FOLDER --range LOW HIGH` makes it 8 bits"
        return seen, mode, f"{pair.image}: {told}"
    return seen, mode, None


def _left_out(found: Found) -> list[str]:
    notes = []
    if found.alone:
        alone = how_many(len(found.alone), "image has no mask and is", "images have no mask and are")
        notes.append(f"{alone} left out, such as {found.alone[0].name}")
        if found.description.layout == "per_class" and "{class}" in found.description.masks:
            notes.append(
                f"if nothing is on images without a mask, write `without_mask: background` into {FILE}"
            )
    if found.masks_alone:
        first = found.masks_alone[0].name
        alone = how_many(len(found.masks_alone), "mask has no image and is", "masks have no image and are")
        notes.append(f"{alone} left out, such as {first}")
    return notes


def _decided(
    found: Found,
    seen: Sequence[Seen | None],
    rows: tuple[ClassRow, ...],
    told: NameList | None,
    report: InitReport,
) -> tuple[Value, ...]:
    """What the values are taken for, where there is no class table."""
    usable = [each for each in seen if each is not None]
    files = [pair.mask for pair, each in zip(found.pairs, seen, strict=True) if each is not None]
    layout = report.description.layout
    if layout == "patterns":
        values = decide(usable, told, files)
    elif not rows or ("{class}" not in report.description.masks and layout == "per_class"):
        values = decide(usable, told if told and told.by_value else None, known=("background", "foreground"))
    else:
        values = decide(usable, None, known=[row.name for row in rows])
    report.notes += values.notes
    if told is not None and {v.row.name for v in values.values} & {
        *told.by_value.values(),
        *told.by_color.values(),
    }:
        report.names = told.file
    there = {value.row.id for value in values.values}
    hidden = [row for row in rows if row.id not in there and row.id != 0]
    made = {row.id: row.color for row in rows}
    kept = [replace(v, row=replace(v.row, color=made.get(v.row.id, v.row.color))) for v in values.values]
    return (
        *kept,
        *(Value(replace(row, ignore=True), row.id, 0, 0, "no pixel: others lie over it") for row in hidden),
    )


def _by_table(table: ClassTable, seen: Sequence[Seen | None], report: InitReport) -> tuple[Value, ...]:
    """What the values are by the class table that is there."""
    pixels, images = add_up([each for each in seen if each is not None])
    codes: dict[int, ClassRow] = {}
    for row in table.rows:
        codes[row.id] = row
        if row.colored:
            red, green, blue = row.color
            codes[COLOR + (red << 16) + (green << 8) + blue] = row
    total, held = (
        [sum(number for code, number in each.items() if codes.get(code) is row) for row in table.rows]
        for each in (pixels, images)
    )
    values = [
        Value(*each) for each in zip(table.rows, (row.id for row in table.rows), total, held, strict=True)
    ]
    for code in sorted(pixels):
        if code not in codes and code != 255:
            told = Value(table.rows[0], code, 0, 0).told
            share = 100 * pixels[code] / pixels.total()
            report.problems.append(f"{told} has no row in classes.csv ({share:.2g}% of the pixels)")
    for value in values:
        if not value.pixels and not value.row.ignore:
            report.problems.append(f"class {value.row.name!r} of classes.csv has no pixel")
    return tuple(values)


def _class_text(values: Sequence[Value]) -> str:
    rows = ([v.row.id, v.row.name, *v.row.color, int(v.row.ignore)] for v in values)
    return rows_text(["id", "name", "r", "g", "b", "ignore"], rows)

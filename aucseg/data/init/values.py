"""What the masks of a folder hold, and which of it are classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from aucseg.data.classes import ClassRow
from aucseg.data.init.names import NameList, means_background, means_void
from aucseg.data.labels import VOID, value_histogram
from aucseg.data.palette import distinct_colors
from aucseg.data.reading import decode_gray_png, decode_mask, read_luminance
from aucseg.errors import DataError, OptionError, how_many

COLOR = 1 << 24
"""Added to the code of a colour, red * 65536 + green * 256 + blue, to tell it from a value."""

_MOST_COLORS = 4096  # of a mask; a photograph has more
_ENDS, _MOST_BETWEEN = 32, 0.05  # of a mask of two values with smooth borders: near 0, near 255, and the rest
_GRAY, _MOST_GRAY = 64, 0.99  # difference of red, green and blue in so many pixels of a gray JPEG
_SAMPLE = 20  # masks that are looked at again
_THIN = 0.8  # of the pixels of values that come from smoothing, no part of a square of 2 x 2 of one value
_VOC_BORDER = COLOR + (224 << 16) + (224 << 8) + 192
_NUMBERED = "class_{}"  # name of a class that has none
_MOST_VOID = 0.5  # of the pixels: what covers more of them is rather a class


@dataclass(frozen=True)
class Seen:
    """What a mask holds.

    Args:
        mode: how its pixels are stored, as Pillow calls it.
        size: height and width.
        codes: its values, or the codes of its colours, ascending.
        pixels: how many pixels have each.
        palette: colour of each value, if it has a palette.
    """

    mode: str
    size: tuple[int, int]
    codes: np.ndarray
    pixels: np.ndarray
    palette: tuple[tuple[int, int, int], ...] = ()


def see(path: Path) -> Seen:
    """What a mask holds.

    Raises:
        DataError: if it cannot be decoded, or is a photograph.
    """
    gray = decode_gray_png(path)
    if gray is not None:
        return _of_values("L", gray)
    mask = decode_mask(path)
    if mask.mode in ("L", "P", "1", "LA", "PA") or mask.mode.startswith("I"):
        palette = _palette(mask)
        channel = mask.getchannel(0) if mask.mode in ("LA", "PA") else mask
        values = np.asarray(channel)
        return replace(
            _of_values(mask.mode, values.astype(np.int64) if values.dtype.kind != "u" else values),
            palette=palette,
        )
    if mask.mode not in ("RGB", "RGBA"):
        raise DataError(
            f"mask of mode {mask.mode!r}", file=path, remedy="save it as 8-bit gray, palette or RGB"
        )
    colors = mask.convert("RGB").getcolors(_MOST_COLORS)
    if colors is None:
        raise DataError(
            f"has more than {_MOST_COLORS} colours: a photograph, or a mask that was smoothed or compressed",
            file=path,
            remedy="export the masks as PNG without smoothing",
        )
    found = sorted((COLOR + (r << 16) + (g << 8) + b, n) for n, (r, g, b) in colors)  # type: ignore[misc]
    codes, pixels = np.array(found, np.int64).T
    return Seen(mask.mode, (mask.height, mask.width), codes, pixels)


def see_lossy(path: Path) -> Seen:
    """What a mask in a format that blurs labels holds, as gray values.

    Raises:
        DataError: if it cannot be decoded, or has colours.
    """
    rgb = np.asarray(decode_mask(path, by_threshold=True).convert("RGB"))
    spread = rgb.max(2).astype(int) - rgb.min(2)
    if np.mean(spread > _GRAY) > 1 - _MOST_GRAY:
        raise DataError(
            "mask of colours in a format that blurs them into others at their borders",
            file=path,
            remedy="export the masks again, as PNG",
        )
    return replace(_of_values("L", rgb[..., 1]), mode="lossy")


def see_ids(read: Callable[[Path], np.ndarray], path: Path) -> Seen:
    """What a mask holds that is drawn from annotations."""
    return replace(_of_values("L", read(path)), mode="drawn")


def _of_values(mode: str, values: np.ndarray) -> Seen:
    size = values.shape[0], values.shape[1]
    if values.dtype == np.uint8:
        pixels = value_histogram(values)
        codes = np.flatnonzero(pixels)
        return Seen(mode, size, codes, pixels[codes])
    codes, pixels = np.unique(values, return_counts=True)
    return Seen(mode, size, codes.astype(np.int64), pixels)


def _palette(mask: Image.Image) -> tuple[tuple[int, int, int], ...]:
    flat = mask.getpalette("RGB") if mask.mode in ("P", "PA") else None
    return () if flat is None else tuple(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))


@dataclass(frozen=True)
class Value:
    """A value or a colour that masks hold, and what it was taken for.

    Args:
        row: its row in ``classes.csv``.
        code: as in `Seen`.
        pixels: pixels that have it.
        images: masks that hold it.
        why: why it is void, or what is worth knowing.
    """

    row: ClassRow
    code: int
    pixels: int
    images: int
    why: str = ""

    @property
    def told(self) -> str:
        """The value, or the colour as ``r,g,b``."""
        return str(self.code) if self.code < COLOR else ",".join(map(str, color_of(self.code)))


@dataclass(frozen=True)
class Values:
    """All values of the masks, the classes first to last as ``classes.csv`` will have them.

    Args:
        values: the values.
        notes: what is worth telling.
        two: whether they are masks of two values with smooth borders, told apart at 128.
    """

    values: tuple[Value, ...]
    notes: tuple[str, ...] = ()
    two: bool = False


def color_of(code: int) -> tuple[int, int, int]:
    """Red, green and blue of a code."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


def add_up(seen: Sequence[Seen]) -> tuple[Counter[int], Counter[int]]:
    """Pixels of each code, and masks that hold it.

    Args:
        seen: what each mask holds.
    """
    pixels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    if seen:
        codes, place = np.unique(np.concatenate([each.codes for each in seen]), return_inverse=True)
        counted = np.zeros(len(codes), np.int64)
        np.add.at(counted, place, np.concatenate([each.pixels for each in seen]))
        pixels.update(dict(zip(codes.tolist(), counted.tolist(), strict=True)))
        images.update(
            dict(zip(codes.tolist(), np.bincount(place, minlength=len(codes)).tolist(), strict=True))
        )
    return pixels, images


def at_the_ends(pixels: Counter[int]) -> bool:
    """Whether nearly all pixels are nearly black or nearly white, and there are both.

    Args:
        pixels: pixels of each gray value.
    """
    if not (pixels and min(pixels) >= 0 and max(pixels) <= 255):
        return False
    low = sum(n for v, n in pixels.items() if v < _ENDS)
    high = sum(n for v, n in pixels.items() if v > 255 - _ENDS)
    return low > 0 and high > 0 and low + high >= (1 - _MOST_BETWEEN) * pixels.total()


def has_soft_borders(seen: Sequence[Seen], files: Sequence[Path]) -> bool:
    """Whether the values between 0 and 255 lie along borders: those of two labels, smoothed or compressed.

    Labels numbered from 0, with 255 for void, are near the two ends as well; but they have areas.

    Args:
        seen: what each mask holds, in gray values.
        files: the masks; the 20 with most pixels between 0 and 255 are looked at again.
    """
    between = [int(each.pixels[(each.codes > 0) & (each.codes < 255)].sum()) for each in seen]
    thin = whole = 0
    for i in sorted(range(len(files)), key=lambda i: -between[i])[:_SAMPLE]:
        gray = read_luminance(files[i])
        inside = (gray > 0) & (gray < 255)
        thin, whole = thin + int((inside & ~_solid(gray)).sum()), whole + int(inside.sum())
    return thin >= _THIN * whole


def as_two(seen: Seen) -> Seen:
    """What a mask of gray values holds if it is a mask of one class, from 128 on; see ``per_class``."""
    high = seen.codes >= 128
    pixels = {value: int(seen.pixels[high == bool(value)].sum()) for value in (0, 1)}
    codes = [value for value, number in pixels.items() if number]
    return Seen("two values", seen.size, np.array(codes), np.array([pixels[c] for c in codes]))


def decide(
    seen: Sequence[Seen], names: NameList | None, files: Sequence[Path] = (), *, known: Sequence[str] = ()
) -> Values:
    """Which of the values are classes, what they are called, and which are probably void.

    Args:
        seen: what each mask holds.
        names: names that lie beside the masks, or that the user gave.
        files: the masks, of which some are looked at again where colours seem to come from smoothing.
        known: names of the ids, if the masks were drawn from annotations.

    Raises:
        DataError: if that cannot be: one value only, more classes than a mask holds, values over 255, colours
            and values in one folder, or colours that come from smoothing.
    """
    pixels, images = add_up(seen)
    palettes = {each.palette for each in seen if each.palette}
    palette = next(iter(palettes)) if len(palettes) == 1 else ()
    colors, ids = [c for c in pixels if c >= COLOR], [c for c in pixels if c < COLOR]
    if colors and all(len(set(color_of(code))) == 1 for code in colors):  # gray, stored three times
        gray = {code: color_of(code)[0] for code in colors}
        pixels, images = (_renamed(each, gray) for each in (pixels, images))
        return _of_ids(pixels, images, names, (), known, stored_as={v: c for c, v in gray.items()})
    if colors and ids:
        raise DataError(
            f"some masks hold values ({len(ids)}) and others colours ({len(colors)})",
            remedy="export all masks in one way",
        )
    if colors:
        if names is None or not names.by_color:
            _check_smoothing(pixels, seen, files)
        return _of_colors(pixels, images, names)
    return _of_ids(pixels, images, names, palette, known)


def _renamed(counted: Counter[int], codes: dict[int, int]) -> Counter[int]:
    found: Counter[int] = Counter()
    for code, number in counted.items():
        found[codes.get(code, code)] += number
    return found


def _of_ids(
    pixels: Counter[int],
    images: Counter[int],
    names: NameList | None,
    palette: tuple[tuple[int, int, int], ...],
    known: Sequence[str],
    stored_as: dict[int, int] | None = None,
) -> Values:
    values = sorted(pixels)
    if values[0] < 0 or values[-1] > 255:
        wrong = values[0] if values[0] < 0 else values[-1]
        raise DataError(
            f"masks hold the value {wrong}",
            remedy="classes are numbered from 0 to 255: these may be instances, or ids of objects times 1000",
        )
    notes = []
    if names is not None:
        by_color = {
            v: names.by_color[palette[v]] for v in values if v < len(palette) and palette[v] in names.by_color
        }
        found = by_color if names.by_color else {v: n for v, n in names.by_value.items() if v in pixels}
        unnamed = [v for v in values if v not in found and v != VOID]
        if unnamed and names.file.startswith("--"):
            raise OptionError(f"{names.file} gives no name for {len(unnamed)} values: {_some(unnamed)}")
        if unnamed and (names.by_color or len(unnamed) > len(found)):
            notes.append(f"{names.file} does not fit the values {_some(unnamed)} and is left alone")
            found = {}
    else:
        found = {v: known[v] for v in values if v < len(known)}
    binary = len(values) == 2 and values[0] == 0 and not found
    if binary:
        found = {0: "background", values[1]: "foreground"}
        notes.append(f"masks of 0 and {values[1]}: {values[1]} is the class, and not void")
    void = _void(values, pixels, found, binary)
    if known and VOID in pixels:
        void[VOID] = "crowds, in which nobody told objects apart"
    if VOID in pixels and VOID not in found and VOID not in void and len(values) > 2:
        share = pixels[VOID] / pixels.total()
        notes.append(
            f"255 is taken for a class ({100 * share:.3g}% of the pixels); if it is void, write ignore=1"
        )
    made = iter(distinct_colors(len(values)))
    rows = []
    for value in values:
        name = found.get(value) or ("void" if value in void else _NUMBERED.format(value))
        own = (value,) * 3 if stored_as else palette[value] if value < len(palette) else None
        color = (0, 0, 0) if value in void else own or next(made)
        rows.append(
            Value(
                ClassRow(value, name, color, value in void),
                (stored_as or {}).get(value, value),
                pixels[value],
                images[value],
                void.get(value, ""),
            )
        )
    return Values(_checked(_distinct(rows)), (*notes, *_of_numbered(rows)))


def _of_numbered(rows: Sequence[Value]) -> list[str]:
    """That classes have numbers for names, and how they get others."""
    numbered = [each.row.name for each in rows if each.row.name == _NUMBERED.format(each.row.id)]
    if not numbered:
        return []
    told = how_many(len(numbered), "class has no name and is", "classes have no names and are")
    return [f"{told} called {_some(numbered)}: give --names, or write them into classes.csv before you train"]


def _void(values: list[int], pixels: Counter[int], found: dict[int, str], binary: bool) -> dict[int, str]:
    """Why some values are probably void."""
    void = {v: f"it is called {name!r}" for v, name in found.items() if means_void(name)}
    if VOID in pixels and VOID not in found and not binary:
        below = [v for v in values if v != VOID]
        share = pixels[VOID] / pixels.total()
        if below and below[-1] < 100 and share <= _MOST_VOID:
            void[VOID] = f"255 beside ids up to {below[-1]} is what most programs write for void"
    return void


def _of_colors(pixels: Counter[int], images: Counter[int], names: NameList | None) -> Values:
    notes = []
    found: dict[int, str] = {}
    if names is not None and names.by_color:
        found = {COLOR + (r << 16) + (g << 8) + b: name for (r, g, b), name in names.by_color.items()}
        unnamed = sorted((c for c in pixels if c not in found), key=lambda c: -pixels[c])
        if unnamed:
            share = sum(pixels[c] for c in unnamed) / pixels.total()
            raise DataError(
                f"{len(unnamed)} colours are not in {names.file}, {100 * share:.2g}% of the pixels: "
                f"{_some([str(color_of(c)) for c in unnamed])}",
                remedy="add their rows; or, if they lie along borders, export the masks without smoothing",
            )
    # Black first, which is mostly what was not painted; then by their share.
    codes = sorted(pixels, key=lambda c: (c != COLOR, -pixels[c], c))
    if names is not None and names.by_value:
        if not names.file.startswith("--"):
            notes.append(f"{names.file} names values, and the masks hold colours: it is left alone")
        elif len(names.by_value) != len(codes):
            listed = _some([str(color_of(c)) for c in codes])
            raise OptionError(
                f"{names.file} gives {len(names.by_value)} names for {len(codes)} colours: {listed}"
            )
        else:
            found = {code: names.by_value[i] for i, code in enumerate(codes)}
    if found:
        order = {code: i for i, code in enumerate(found)}
        codes.sort(key=lambda c: order[c])
    void = {c: f"it is called {found[c]!r}" for c in codes if c in found and means_void(found[c])}
    if _VOC_BORDER in pixels and _VOC_BORDER not in found:
        void[_VOC_BORDER] = "it is the colour of PASCAL VOC's borders"
    if COLOR in pixels and not found:
        notes.append("black is taken for a class, the background; if it is void, write ignore=1 into its row")
    rows = []
    for i, code in enumerate(codes):
        name = found.get(code) or (
            "background" if code == COLOR else "void" if code in void else _NUMBERED.format(i)
        )
        row = ClassRow(i, name, color_of(code), code in void)
        rows.append(Value(row, code, pixels[code], images[code], void.get(code, "")))
    return Values(_checked(_distinct(rows)), (*notes, *_of_numbered(rows)))


def _check_smoothing(pixels: Counter[int], seen: Sequence[Seen], files: Sequence[Path]) -> None:
    """Raise `DataError` if colours come from smoothing, scaling or compression along borders.

    That is, if ten or more of them, and more than half, are each nearly a mixture of two more frequent ones,
    and lie in lines: less than a fifth of their pixels are part of a square of 2 x 2 of one colour. Tables of
    colours are full of mixtures too (VOC's has all combinations of 0, 64, 128), but a class has areas.
    """
    frequent = sorted(pixels, key=lambda c: (-pixels[c], c))[:1024]
    color = np.array([color_of(code) for code in frequent], float)
    mixtures = {
        code
        for place, code in enumerate(frequent)
        if place > 1 and _is_mixture(color[place], color[: min(place, 64)])
    }
    if len(mixtures) < 10 or len(mixtures) <= len(frequent) / 2:
        return
    most = sorted(range(len(files)), key=lambda i: -len(mixtures & set(seen[i].codes.tolist())))[:_SAMPLE]
    thin = whole = 0
    for i in most:
        rgb = np.asarray(decode_mask(files[i]).convert("RGB")).astype(np.int64)
        codes = COLOR + (rgb @ np.array([65536, 256, 1]))
        mixed = np.isin(codes, list(mixtures))
        thin, whole = thin + int((mixed & ~_solid(codes)).sum()), whole + int(mixed.sum())
    if thin > _THIN * whole:
        share = sum(pixels[c] for c in mixtures) / pixels.total()
        example = color_of(next(code for code in frequent if code in mixtures))
        raise DataError(
            f"masks hold {len(pixels)} colours, of which {len(mixtures)} ({100 * share:.2g}% of the pixels) "
            f"are mixtures of others in thin lines, such as {example}: smoothed, scaled or compressed masks",
            remedy="export them as PNG without smoothing, and scale masks by the nearest pixel",
        )


def _solid(codes: np.ndarray) -> np.ndarray:
    """Which pixels are part of a square of 2 x 2 of one value, (H, W) bool."""
    same = (
        (codes[1:, 1:] == codes[:-1, 1:])
        & (codes[1:, 1:] == codes[1:, :-1])
        & (codes[1:, 1:] == codes[:-1, :-1])
    )
    solid = np.zeros(codes.shape, bool)
    for down in (slice(1, None), slice(None, -1)):
        for right in (slice(1, None), slice(None, -1)):
            solid[down, right] |= same
    return solid


def _is_mixture(color: np.ndarray, others: np.ndarray) -> bool:
    """Whether a colour lies between two others, give or take 3 of 255."""
    start = others[:, None]
    along = others[None] - start
    length = (along**2).sum(-1)
    place = np.divide(((color - start) * along).sum(-1), length, out=np.zeros_like(length), where=length > 0)
    away = np.linalg.norm(start + place[..., None] * along - color, axis=-1)
    return bool(((away < 3) & (place > 0.02) & (place < 0.98) & (length > 0)).any())


def _distinct(rows: list[Value]) -> list[Value]:
    """The rows with no name twice: a second one gets its id."""
    seen: Counter[str] = Counter()
    found = []
    for each in rows:
        seen[each.row.name] += 1
        if seen[each.row.name] > 1:
            each = replace(each, row=replace(each.row, name=f"{each.row.name}_{each.row.id}"))
        found.append(each)
    return found


def _checked(rows: list[Value]) -> tuple[Value, ...]:
    classes = [each for each in rows if not each.row.ignore]
    if len(classes) < 2:
        told = ", ".join(each.told for each in rows) or "nothing"
        raise DataError(
            f"the masks hold {told}, which makes {len(classes)} classes",
            remedy="a label set needs at least 2 classes: are these the masks?",
        )
    if len(rows) > 256 or len(classes) > VOID:
        raise DataError(f"{len(classes)} classes", remedy="8-bit masks hold at most 255")
    return tuple(rows)


def _some(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")


def drawn_rows(names: Sequence[str], colors: Sequence[tuple[int, int, int]] = ()) -> tuple[ClassRow, ...]:
    """Rows for classes that annotations name: 0 for what no one outlined, then one for each.

    Args:
        names: the classes.
        colors: their colours; made if there are none.
    """
    background = next((name for name in names if means_background(name)), "background")
    listed = [background, *(name for name in names if name != background)]
    made = colors or distinct_colors(len(listed))
    return tuple(
        ClassRow(i, name, (0, 0, 0) if means_void(name) else made[i], means_void(name))
        for i, name in enumerate(listed)
    )

"""What kind of folder this is: which files are images, which are masks, and how one finds the other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from aucseg.data.layouts.coco import CocoFile, load_coco
from aucseg.data.layouts.described import by_patterns
from aucseg.data.layouts.description import Description
from aucseg.data.layouts.drawing import read_json
from aucseg.data.listing import PICTURE_SUFFIXES, find_files
from aucseg.errors import DataError, OptionError, file_errors

PICTURES = (*PICTURE_SUFFIXES, ".ppm", ".pgm", ".jp2")
KINDS = (
    "images/ and masks/ by any usual names, such as imgs/a_img.jpg and gts/a_gt.png",
    "a.jpg and a_mask.png side by side",
    "train/, val/, test/ above or below them",
    "one binary mask for each class, masks/CLASS/a.png or a_CLASS.png",
    "COCO and LabelMe JSON",
    "exports of Roboflow and CVAT",
    "folders as PASCAL VOC has them",
)
"""Folders that are recognised, in words."""

# Words of which one makes a folder's name say what is in it; a word for masks outweighs one for images.
_IMAGE = re.compile(
    "images?|imgs?|jpegimages|photos?|pictures?|pics?|rgb|inputs?|frames?|originals?|raw|x|leftimg8bit"
)
_MASK = re.compile(
    "masks?|labels?|labelmaps?|annotations?|annots?|anns?|annos?|gts?|gtfine|truth|groundtruth|segmentations?|"
    "segs?|targets?|mattes?|semantic|y|labelids|labeltrainids|l"
)
_NEITHER = re.compile(
    "objects?|instances?|instanceids|visuali[sz]ations?|visuali[sz]ed|vi[sz]|overlays?|depth|previews?|thumbs|"
    "thumbnails?|predictions?|preds?|panoptic"
)
_PAINTED = re.compile("colou?rs?|colou?red|rgb")
_SPLIT = re.compile(
    r"(?i)(?P<before>(?:.*[-_ .])?)"
    r"(?P<word>(?P<kind>train|val|dev|test)(?:ing|id|idation)?\d*)"
    r"(?P<after>(?:[-_ .].*)?)"
)
_MOST_CLASSES = 255


@dataclass(frozen=True)
class Sight:
    """What a folder was taken for.

    Args:
        description: where images and masks lie.
        class_names: the classes, where file names or annotations name them.
        notes: what is worth telling.
    """

    description: Description
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def look(root: Path, images: str | None = None, masks: str | None = None) -> Sight:
    """What kind of folder this is, by the names of its files; a few are opened.

    Args:
        root: the folder.
        images: where the images lie, if the user says so.
        masks: the same of masks.

    Raises:
        DataError: if it is no folder that is recognised, or it may be two things, with what there is.
        OptionError: if only one of the patterns is given.
    """
    if not root.is_dir():
        raise DataError("no such folder", file=root, remedy="check the path of the data set")
    if (images is None) != (masks is None):
        raise OptionError("images and masks are patterns, given both or not at all")
    found, problems = find_files(root, ("",))
    if problems:
        raise problems[0]
    files = {name: path for name, path in found.items() if not name.startswith("splits/")}
    if images is not None and masks is not None:
        return Sight(by_patterns(images, masks))
    sights = (look_for(root, files) for look_for in (_labelme, _coco, _pictures))
    sight = next((each for each in sights if each is not None), None)
    if sight is None:
        raise not_recognised(root, files)
    return sight


def not_recognised(root: Path, files: Iterable[str]) -> DataError:
    """That a folder is none of those that are known, with what is in it.

    Args:
        root: the folder.
        files: names of its files.
    """
    endings: Counter[tuple[str, str]] = Counter()
    for name in files:
        place = PurePosixPath(name)
        endings[
            place.parts[0] + "/" if len(place.parts) > 1 else "", place.suffix.lower() or "no ending"
        ] += 1
    there = ", ".join(f"{n} {ending} in {place or '.'}" for (place, ending), n in endings.most_common(6))
    return DataError(
        f"no images with masks were found in it; there are {there or 'no files'}",
        file=root,
        remedy="say where they are, for example --images 'photos/{name}.jpg' --masks 'gt/{name}.png'; "
        f"known are: {'; '.join(KINDS)}",
    )


@lru_cache(maxsize=1024)  # of the folders of thousands of files there are a few
def split_word(part: str) -> tuple[str, str, str] | None:
    """A folder's name around the word for a split: what is before it, the word, what is after; None without.

    Args:
        part: the name, such as ``"train"``, ``"val2017"`` or ``"test_images"``.
    """
    match = _SPLIT.fullmatch(part)
    return None if match is None else (match["before"], match["word"], match["after"])


def split_name(word: str) -> str:
    """The split that a folder's word stands for: ``"train"``, ``"val"`` or ``"test"``.

    Args:
        word: as :func:`split_word` found it.
    """
    kind = word.lower()[:3]
    return {"tra": "train", "val": "val", "dev": "val", "tes": "test"}[kind]


def mapped_splits(words: Iterable[str]) -> dict[str, str]:
    """The folder of each split: train, val, test, as far as they are there.

    Args:
        words: the words for splits in the folders' names.

    Raises:
        DataError: if two folders are one split.
    """
    splits: dict[str, str] = {}
    for word in sorted(set(words)):
        name = split_name(word)
        if name in splits:
            raise DataError(
                f"{splits[name]!r} and {word!r} are both folders for {name}",
                remedy="give --images and --masks",
            )
        splits[name] = word
    return {name: splits[name] for name in ("train", "val", "test") if name in splits}


def _tokens(name: str) -> list[str]:
    """The words of a name, in lower case: at blanks, dots, dashes, and where a capital begins."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    words = [word.lower() for word in re.split(r"[-_. ]+", apart) if word]
    whole = re.sub(r"[-_. ]+", "", name).lower()
    return [*words, whole]


@lru_cache(maxsize=1024)
def _kind(name: str) -> str | None:
    """Whether a folder's name tells of images or of masks, or of what is drawn from them (``"neither"``)."""
    tokens = _tokens(name)
    if _any(_NEITHER, tokens) and "semantic" not in tokens:
        return "neither"
    if _any(_MASK, tokens):
        return "mask"
    return "image" if _any(_IMAGE, tokens) else None


def _any(words: re.Pattern[str], tokens: Iterable[str]) -> bool:
    return any(map(words.fullmatch, tokens))


@dataclass
class _Stream:
    """Files that lie in one place, or in one for each split.

    Args:
        base: the folders up to it, with ``{split}`` in the place of a split's word.
        kind: ``"image"``, ``"mask"`` or None where the folder does not say.
        files: split word (empty if there is none), name below the base without the ending, and file.
    """

    base: str
    kind: str | None
    files: list[tuple[str, str, Path]] = field(default_factory=list)

    def part(self, chosen: Callable[[str, Path], bool]) -> _Stream:
        return _Stream(self.base, self.kind, [f for f in self.files if chosen(f[1], f[2])])

    @property
    def words(self) -> set[str]:
        return {word for word, _, _ in self.files if word}

    @property
    def ending(self) -> str:
        """Their ending, or ``.*`` for several."""
        endings = {_apart(path.name)[1].lower() for _, _, path in self.files}
        return endings.pop() if len(endings) == 1 else ".*"


def _apart(name: str) -> tuple[str, str]:
    """The name of a file and its ending, as ``Path.stem`` and ``Path.suffix``, in a tenth of the time."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem and ending else (name, "")


def _streams(files: dict[str, Path], endings: tuple[str, ...] = PICTURES) -> list[_Stream]:
    streams: dict[tuple[str, str | None], _Stream] = {}
    places: dict[str, tuple[str, str, str | None, str]] = {}
    for name, path in files.items():
        folder, _, last = name.rpartition("/")
        stem, ending = _apart(last)
        if ending.lower() not in endings:
            continue
        if folder not in places:
            places[folder] = _place(folder)
        base, below, kind, word = places[folder]
        if kind == "neither":
            continue
        if (base, kind) not in streams:
            streams[base, kind] = _Stream(base, kind)
        streams[base, kind].files.append((word, below + stem, path))
    return list(streams.values())


def _place(folder: str) -> tuple[str, str, str | None, str]:
    """The folders up to where the names begin, those below, what they tell, and the word for a split."""
    folders = folder.split("/") if folder else []
    word, kind, depth = "", None, 0
    for i, each in enumerate(folders):
        parsed = None if word else split_word(each)
        told = _kind(each if parsed is None else parsed[0] + parsed[2])
        if parsed is not None:
            word = parsed[1]
            folders[i] = f"{parsed[0]}{{split}}{parsed[2]}"
        if told is not None:
            kind = told
        if parsed is not None or told is not None:
            depth = i + 1
    base, below = ("".join(f"{each}/" for each in some) for some in (folders[:depth], folders[depth:]))
    return base, below, kind, word


@dataclass(frozen=True)
class _Match:
    """How images and masks find each other.

    Args:
        images, masks: patterns.
        pairs: masks that have an image.
        words: the words for splits in the folders' names.
        class_names: the classes, if each has a mask of its own.
        painted: whether the names say that the masks are for the eye.
        rank: preference among equals; the smaller the better.
    """

    images: str
    masks: str
    pairs: int
    words: frozenset[str]
    class_names: tuple[str, ...] = ()
    painted: bool = False
    rank: int = 0


def _pictures(root: Path, files: dict[str, Path]) -> Sight | None:
    streams = _streams(files)
    images = [s for s in streams if s.kind == "image"]
    masks = [s for s in streams if s.kind == "mask"]
    matches = [m for i in images for j in masks for m in _matches(i, j)]
    if not matches:  # side by side, or folders with other names
        for stream in streams:
            matches += _side_by_side(stream)
    if not matches:
        matches = _by_content(streams)
    if not matches:
        return None
    most = max(match.pairs for match in matches)
    best = [m for m in matches if m.pairs >= 0.9 * most]
    best.sort(key=lambda m: (m.painted, m.rank, -m.pairs, m.images, m.masks))
    first, *others = best
    equal = [m for m in others if (m.painted, m.rank) == (first.painted, first.rank)]
    if equal:
        told = "; ".join(f"--images '{m.images}' --masks '{m.masks}'" for m in (first, *equal[:4]))
        raise DataError(f"may be read in {1 + len(equal)} ways", file=root, remedy=f"say which: {told}")
    notes = [f"masks {m.masks} fit as well and are left alone" for m in others if m.masks != first.masks]
    layout = "per_class" if first.class_names else "patterns"
    splits = mapped_splits(first.words)
    description = Description(layout, first.images, first.masks, splits)
    return Sight(description, first.class_names, tuple(dict.fromkeys(notes)))


def _matches(images: _Stream, masks: _Stream) -> list[_Match]:
    """How some images and masks may find each other: by the same name, by an affix, by one mask a class."""
    if not images.files or not masks.files:
        return []
    together = bool(images.words) and bool(masks.words)
    words = frozenset(images.words & masks.words if together else images.words | masks.words)
    have = {((word if together else ""), name): path for word, name, path in images.files}
    variants = _variants(masks)
    found = []
    for variant, rank in variants:
        wanted = [(word if together else "", name) for word, name, _ in variant.files]
        same, most = sum(key in have for key in wanted), 0
        ways = [("", "", "", "", same)] if same else []
        if same < 0.9 * min(len(have), len(wanted)):
            ways += _affixes([name for _, name in have], [name for _, name in wanted])
        for before, after, mask_before, mask_after, _ in ways:
            there = set(wanted)
            pairs = sum(
                (word, mask_before + name[len(before) : len(name) - len(after)] + mask_after) in there
                for word, name in have
            )
            most = max(most, pairs)
            found.append(
                _Match(
                    f"{images.base}{before}{{name}}{after}{images.ending}",
                    f"{masks.base}{mask_before}{{name}}{mask_after}{variant.ending}",
                    pairs,
                    words,
                    painted=_any(_PAINTED, _tokens(masks.base.replace("/", "_") + mask_after)),
                    rank=rank,
                )
            )
        classes = _per_class(set(have), wanted) if most < len(wanted) else None
        if classes is not None and classes[2] > most:
            pattern, names, pairs = classes
            found.append(
                _Match(
                    f"{images.base}{{name}}{images.ending}",
                    f"{masks.base}{pattern}{variant.ending}",
                    pairs,
                    words,
                    class_names=names,
                )
            )
    return found


def _variants(masks: _Stream) -> list[tuple[_Stream, int]]:
    """The masks of one place; where there are several of Cityscapes' kinds, those of ids, kind by kind."""
    groups: dict[str, set[str]] = defaultdict(set)
    for _, name, _ in masks.files:
        groups[_tokens(re.split(r"[-_. ]", name)[-1])[-1]].add(name)
    known = {token: rank for rank, token in enumerate(("labelids", "labeltrainids"))}
    other = {"color", "instanceids", "instancetrainids"}
    if not (set(groups) & set(known) and set(groups) <= set(known) | other):
        return [(masks, 0)]
    return [
        (masks.part(lambda name, _, names=names: name in names), known[token])  # type: ignore[misc]
        for token, names in groups.items()
        if token in known
    ]


def _affixes(images: Sequence[str], masks: Sequence[str]) -> list[tuple[str, str, str, str, int]]:
    """What must be cut off before and after the names of images, and of masks, for them to be the same.

    Only what all names of a side share can be cut off. Of all ways that make nearly as many pairs the one
    that cuts off least.
    """
    (image_before, image_after), (mask_before, mask_after) = (_shared(names) for names in (images, masks))
    some = {images[i * (len(images) - 1) // 4] for i in range(5)}  # one of them may have no mask
    candidates: set[tuple[str, str, str, str]] = set()
    for first, cut, end in product(some, range(len(image_before) + 1), range(len(image_after) + 1)):
        core = first[cut : len(first) - end]
        if not core or (cut and "/" in first):
            continue
        for mask in masks:
            at = mask.find(core)
            while at >= 0:
                before, after = mask[:at], mask[at + len(core) :]
                fits = mask_before.startswith(before) and mask_after.endswith(after)
                if fits and not (before and "/" in mask):
                    candidates.add((first[:cut], first[len(first) - end :], before, after))
                at = mask.find(core, at + 1)
    best: tuple[str, str, str, str, int] | None = None
    there = set(masks)
    for before, after, mask_before, mask_after in sorted(candidates, key=lambda c: (sum(map(len, c)), c)):
        cores = [name[len(before) : len(name) - len(after)] for name in images]
        pairs = sum(mask_before + core + mask_after in there for core in set(cores))
        if pairs and (best is None or pairs > best[4]):
            best = (before, after, mask_before, mask_after, pairs)
            if pairs >= min(len(set(cores)), len(there)):
                break
    if best is None or best[4] < 0.5 * min(len(images), len(masks)):
        return []
    before, after, mask_before, mask_after, pairs = best
    cores = [name[len(before) : len(name) - len(after)] for name in images]
    if (before or mask_before) and len({core[0] for core in cores}) == 1 and cores[0][0] in "-_. ":
        before, mask_before = before + cores[0][0], mask_before + cores[0][0]  # img_{name}, not img{name}
    if (after or mask_after) and len({core[-1] for core in cores}) == 1 and cores[0][-1] in "-_. ":
        after, mask_after = cores[0][-1] + after, cores[0][-1] + mask_after
    return [(before, after, mask_before, mask_after, pairs)]


def _shared(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin with, and what they end with; a single name shares what is no digit."""
    if len(names) == 1:
        match = re.fullmatch(r"(\D*).*?(\D*)", names[0])
        return (match[1], match[2]) if match else ("", "")
    low, high = min(names), max(names)
    before = next(
        (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high))
    )
    turned = [name[::-1] for name in names]
    low_end, high_end = min(turned), max(turned)
    after = next(
        (i for i, (a, b) in enumerate(zip(low_end, high_end, strict=False)) if a != b),
        min(len(low_end), len(high_end)),
    )
    shortest = min(map(len, names))
    first, last = low[: min(before, shortest - 1)], low_end[: min(after, shortest - 1)][::-1]
    return "" if "/" in first else first, last.rpartition("/")[2]


def _per_class(
    images: set[tuple[str, str]], masks: Sequence[tuple[str, str]]
) -> tuple[str, tuple[str, ...], int] | None:
    """One mask for each class: the pattern below the folder, the classes, how many masks have an image."""
    ways: dict[str, Counter[str]] = defaultdict(Counter)
    stems = {name for _, name in images}
    for word, name in masks:
        head, slash, tail = name.partition("/")
        if slash and (word, tail) in images:
            ways["{class}/{name}"][head] += 1
        head, slash, tail = name.rpartition("/")
        if slash and (word, head) in images:
            ways["{name}/{class}"][tail] += 1
        for mark in re.finditer(r"[-_. ]", name):
            if (word, name[: mark.start()]) in images and name[mark.end() :]:
                ways[f"{{name}}{mark[0]}{{class}}"][name[mark.end() :]] += 1
                break
        for mark in re.finditer(r"[-_. ]", name):
            if (word, name[mark.end() :]) in images and name[: mark.start()]:
                ways[f"{{class}}{mark[0]}{{name}}"][name[: mark.start()]] += 1
                break
    if not ways:
        return None
    pattern, classes = max(ways.items(), key=lambda way: way[1].total())
    if all(name.isdigit() for name in classes):  # numbers of objects, more likely than of classes
        return None
    # Names that are nobody's class: as many as there are masks, or more than a mask can hold.
    if len(classes) > min(_MOST_CLASSES - 1, max(2, len(stems))) or classes.total() < 0.9 * len(masks):
        return None
    return pattern, tuple(sorted(classes)), classes.total()


def _side_by_side(stream: _Stream) -> list[_Match]:
    """Images and masks in one place: told apart by a word in the masks' names, the ending, or a part more."""

    def is_mask(name: str, _: Path) -> bool:
        words = [w.lower() for w in re.split(r"[-_. ]+", name.rpartition("/")[2]) if w]
        return len(words) > 1 and _any(_MASK, (words[0], words[-1]))

    def without(mask: Callable[[str, Path], bool]) -> tuple[_Stream, _Stream]:
        return stream.part(lambda name, path: not mask(name, path)), stream.part(mask)

    endings = {path.suffix.lower() for _, _, path in stream.files}
    ways = [without(is_mask)]
    if ".png" in endings and len(endings) > 1:
        ways.append(without(lambda _, path: path.suffix.lower() == ".png"))
    names = {name for _, name, _ in stream.files}
    ways.append(
        without(lambda name, _: any(name[: m.start()] in names for m in re.finditer(r"[-_. ]", name)))
    )
    for images, masks in ways:
        found = [m for m in _matches(images, masks) if m.images != m.masks]
        if found and _look_like_masks(masks):
            return found
    return []


def _by_content(streams: Sequence[_Stream]) -> list[_Match]:
    """Folders whose names say nothing: those whose files hold few values are the masks."""
    sides: dict[bool, list[_Stream]] = {False: [], True: []}
    for folder in _by_folder(streams):
        sides[_look_like_masks(folder)].append(folder)
    return [m for i in sides[False] for j in sides[True] for m in _matches(i, j)]


def _by_folder(streams: Sequence[_Stream]) -> list[_Stream]:
    """The files of each folder for itself, whatever it is called."""
    folders: dict[str, _Stream] = {}
    for stream in streams:
        for word, name, path in stream.files:
            first, slash, rest = name.partition("/")
            base = stream.base + first + slash if slash else stream.base
            folders.setdefault(base, _Stream(base, stream.kind)).files.append((word, rest or name, path))
    return list(folders.values())


def _look_like_masks(stream: _Stream) -> bool:
    """Whether some of the files have few values and areas of one value; photographs do not."""
    number = len(stream.files)
    some = [stream.files[i * (number - 1) // max(1, min(3, number) - 1)][2] for i in range(min(3, number))]
    return all(_is_flat(path) for path in some)


def _is_flat(path: Path) -> bool:
    """Whether a picture has few values, and mostly the same one side by side."""
    try:
        with Image.open(path) as image:
            if image.format in ("JPEG", "MPO"):  # a mask of two values has few others beside them
                gray = np.asarray(image.convert("L"))
                return bool(np.mean((gray < 32) | (gray > 223)) > 0.95)
            if image.getcolors(256) is None:
                return False
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # whoever reads all of them will say so
    same = pixels[:, 1:] == pixels[:, :-1]
    return pixels.shape[1] < 2 or bool(np.mean(same.all(-1) if same.ndim == 3 else same) > 0.7)


def _labelme(root: Path, files: dict[str, Path]) -> Sight | None:
    outlines = _streams(files, (".json",))
    if not outlines:
        return None
    stems = {PurePosixPath(name).stem for name, path in files.items() if path.suffix.lower() in PICTURES}
    for stream in outlines:
        stream.files = [each for each in stream.files if PurePosixPath(each[1]).stem in stems]
    outlines = [s for s in outlines if s.files and _is_labelme(s.files[0][2])]
    images = [stream for stream in _streams(files) if stream.kind != "mask"]
    matches: list[_Match] = []
    for pictures, shapes in ((images, outlines), (_by_folder(images), _by_folder(outlines))):
        if not matches:
            matches = [m for i in pictures for j in shapes for m in _matches(i, j) if not m.class_names]
    if not matches:
        return None
    best = max(matches, key=lambda m: (m.pairs, m.images.rpartition("/")[0] == m.masks.rpartition("/")[0]))
    return Sight(Description("labelme", best.images, best.masks, mapped_splits(best.words)))


def _is_labelme(path: Path) -> bool:
    try:
        content = read_json(path, "LabelMe file")
    except DataError:
        return False
    return isinstance(content.get("shapes"), list) and "imagePath" in content


def _coco(root: Path, files: dict[str, Path]) -> Sight | None:
    outlines = {name: path for name, path in files.items() if name.lower().endswith(".json")}
    groups: dict[str, dict[str, Path]] = defaultdict(dict)
    notes = []
    for name, path in outlines.items():
        number = _outlines(path)
        if number is None:
            continue
        if not number:
            notes.append(f"{name} has no outlines and is left alone")
            continue
        pattern, word = _with_split(name)
        groups[pattern][word] = path
    if not groups:
        return None
    best, *others = sorted(
        groups, key=lambda each: ("instances" not in each.lower(), -len(groups[each]), each)
    )
    if others and ("instances" in others[0].lower()) == ("instances" in best.lower()):
        raise DataError(
            f"has annotations in {best} and in {', '.join(others)}",
            file=root,
            remedy=f"say which: --images 'FOLDER/{{name}}.*' --masks '{best}'",
        )
    notes += [f"{other} is left alone" for other in others]
    places = [_image_base(files, load_coco(path), word, best) for word, path in groups[best].items()]
    bases = {place[0] for place in places if place is not None}
    endings = {place[1] for place in places if place is not None}
    if len(bases) != 1:
        told = f"lie in {', '.join(sorted(bases))}" if bases else "are not there"
        raise DataError(f"the images of {best} {told}", file=root, remedy="give --images and --masks")
    images = f"{bases.pop()}{{name}}{endings.pop() if len(endings) == 1 else '.*'}"
    names: dict[str, None] = {}
    for path in groups[best].values():
        names |= dict.fromkeys(load_coco(path).categories)
    description = Description("coco", images, best, mapped_splits(filter(None, groups[best])))
    return Sight(description, tuple(names), tuple(notes))


def _outlines(path: Path) -> int | None:
    """How many outlines a COCO annotation file holds; None for another file.

    Raises:
        DataError: for such a file that is wrong.
    """
    with file_errors(path, "cannot be read"):
        content = path.read_bytes()
    wanted = (b'"images"', b'"annotations"', b'"categories"', b'"segmentation"')
    if not all(key in content for key in wanted) or b'"segments_info"' in content:
        return None
    return sum(bool(a.segmentation) for image in load_coco(path).images.values() for a in image.annotations)


def _with_split(name: str) -> tuple[str, str]:
    """The path of a file with ``{split}`` in the place of the word for a split, and the word, if any."""
    place = PurePosixPath(name)
    parts = [*place.parts[:-1], place.stem]
    for i, part in enumerate(parts):
        if (parsed := split_word(part)) is not None:
            parts[i] = f"{parsed[0]}{{split}}{parsed[2]}"
            return "/".join(parts) + place.suffix, parsed[1]
    return name, ""


def _image_base(
    files: dict[str, Path], found: CocoFile, word: str, annotations: str
) -> tuple[str, str] | None:
    """Where most images of an annotation file lie, with ``{split}`` for its word, and their ending."""
    wanted = {PurePosixPath(i.file_name.replace("\\", "/")).name: i.file_name for i in found.images.values()}
    bases: Counter[str] = Counter()
    endings: dict[str, set[str]] = defaultdict(set)
    for name, path in files.items():
        if path.name not in wanted:
            continue
        named = wanted[path.name].replace("\\", "/").removeprefix("./")
        base = name[: -len(named)] if name == named or name.endswith("/" + named) else name[: -len(path.name)]
        bases[base] += 1
        endings[base].add(path.suffix.lower())
    if not bases:
        return None
    beside = annotations.rpartition("/")[0].replace("{split}", word)
    most = max(bases.values())
    base = max(bases, key=lambda b: (bases[b] == most, bool(word) and word in b, b.rstrip("/") == beside, b))
    ending = endings[base].pop() if len(endings[base]) == 1 else ".*"
    parts = base.split("/")
    for i, part in enumerate(parts):
        parsed = split_word(part)
        if word and parsed is not None and parsed[1] == word:
            parts[i] = f"{parsed[0]}{{split}}{parsed[2]}"
    return "/".join(parts), ending

"""The splits of a folder: those that are there, and what is missing of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aucseg.data.init.look import split_name, split_word
from aucseg.data.init.report import Found, InitReport
from aucseg.data.init.values import Seen, Value
from aucseg.data.layouts.description import Description
from aucseg.data.layouts.own import list_splits
from aucseg.data.listing import listed_items, read_names
from aucseg.data.stratify import split_sizes, stratified_split
from aucseg.errors import DataError

_LISTS = ("ImageSets/Segmentation", "ImageSets", "lists", "split", "")
_OWN = (
    {"images/{split}/{name}" + ending for ending in (".jpg", ".jpeg", ".png", ".*")},
    "annotations/{split}/{name}.png",
)


def cut(
    found: Found,
    report: InitReport,
    seen: Sequence[Seen | None],
    files: Mapping[str, Path],
    listed: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
) -> None:
    """The splits: those that are there, and what is missing of them cut from what is there."""
    root, description, pairs = found.root, found.description, found.pairs
    presence = _presence(seen, report.classes)
    folders = {
        split: word for split, word in description.splits.items() if any(p.word == word for p in pairs)
    }
    lists = {split: root / "splits" / f"{split}.txt" for split in listed} or (
        {} if folders else _foreign(files)
    )
    splits: dict[str, list[int]]
    if lists and (chosen := _by_lists(found, lists)) is not None:
        splits = chosen
        places = dict.fromkeys(path.relative_to(root).parent.as_posix() for path in lists.values())
        report.split_origin = f"lists in {', '.join(places)}"
    elif listed:
        raise DataError("none of its lists fits the images", file=root / "splits", remedy="correct them")
    else:
        splits, folders = _cut_folders(found, report, presence, folders, shares, seed)
    if len(folders) > 1 or not description.splits:
        report.description = replace(
            report.description, splits=folders if "{split}" in _both(description) else {}
        )
    own = (
        report.description.layout == "patterns"
        and description.images in _OWN[0]
        and description.masks == _OWN[1]
        and all(pairs[i].word == split for split, items in splits.items() for i in items)
    )
    report.own = own
    if listed:
        report.kept += [f"splits/{split}.txt" for split in listed]
    elif own or _need_lists(found, splits, report.description):
        for split, items in splits.items():
            if items:
                report.files[f"splits/{split}.txt"] = "".join(f"{pairs[i].name}\n" for i in items)
    report.splits = {split: [pairs[i].name for i in items] for split, items in splits.items()}
    report.held = {split: presence[items].sum(0).tolist() for split, items in splits.items()}
    _tell_of_missing(report, presence)


def _both(description: Description) -> str:
    return description.images + description.masks


def _presence(seen: Sequence[Seen | None], classes: Sequence[Value]) -> np.ndarray:
    """Which image holds which class, (N, K) bool."""
    place = {code: k for k, value in enumerate(classes) for code in {value.code, value.row.id}}
    presence = np.zeros((len(seen), len(classes)), bool)
    there = [(n, each.codes) for n, each in enumerate(seen) if each is not None]
    if there:
        codes, at = np.unique(np.concatenate([held for _, held in there]), return_inverse=True)
        column = np.array([place.get(code, -1) for code in codes.tolist()], np.int64)[at]
        row = np.repeat([n for n, _ in there], [len(held) for _, held in there])
        presence[row[column >= 0], column[column >= 0]] = True
    return presence


def _foreign(files: Mapping[str, Path]) -> dict[str, Path]:
    """Lists of splits where other programs put them, if there is one for training and another one."""
    for folder in _LISTS:
        found: dict[str, Path] = {}
        for name, path in files.items():
            if not name.endswith(".txt") or name.rpartition("/")[0] != folder:
                continue
            word = split_word(path.stem)
            if word is not None and not (word[0] or word[2]):
                found.setdefault(split_name(word[1]), path)
        if "train" in found and len(found) > 1:
            return {split: found[split] for split in ("train", "val", "test") if split in found}
    return {}


def _by_lists(found: Found, lists: Mapping[str, Path]) -> dict[str, list[int]] | None:
    """The pairs that lists name; None if one of them does not fit, and is about something else."""
    splits = {}
    for split, path in lists.items():
        word = found.description.folder(split)
        here = {
            p.name: i
            for i, p in enumerate(found.pairs)
            if p.word in ("", word) or not found.description.splits
        }
        images, masks = (
            {n: getattr(found.pairs[i], side) for n, i in here.items()} for side in ("image", "mask")
        )
        items, _ = listed_items(read_names(path), images, masks, path, found.root)
        splits[split] = [here[item.name] for item in items if item.name in here]
        if len(splits[split]) < 0.5 * len(items):
            return None
    return splits


def _cut_folders(
    found: Found,
    report: InitReport,
    presence: np.ndarray,
    folders: dict[str, str],
    shares: Mapping[str, float],
    seed: int,
) -> tuple[dict[str, list[int]], dict[str, str]]:
    """The splits by folders, and those that have none cut from the training folder, or from all."""
    by_word: dict[str, list[int]] = defaultdict(list)
    for i, pair in enumerate(found.pairs):
        by_word[pair.word].append(i)
    splits = {split: by_word[word] for split, word in folders.items()}
    if "train" in splits and ("val" in splits or not shares["val"]) and len(splits) > 1:
        report.split_origin = f"folders {', '.join(folders.values())}"
        return splits, folders
    if len(by_word) > 1 and "train" not in splits:
        raise DataError(
            f"there are folders for {', '.join(sorted(by_word))} and none for training",
            file=found.root,
            remedy="say where images and masks lie, for example --images 'test/images/{name}.png'",
        )
    word, source = next(((w, i) for w, i in by_word.items() if w == folders.get("train")), ("", []))
    if not source:
        word, source = next(iter(by_word.items()))
    wanted = {"train": 1.0, **{s: share for s, share in shares.items() if share and s not in splits}}
    if "test" in splits and "train" in splits:
        wanted.pop("test", None)
    wanted["train"] -= sum(share for split, share in wanted.items() if split != "train")
    sizes = split_sizes(len(source), wanted)
    parts = stratified_split(presence[source], list(sizes.values()), seed=seed)
    for s, split in enumerate(sizes):
        splits[split] = [i for i, part in zip(source, parts, strict=True) if part == s]
        if word:
            folders = {**folders, split: word}
    told = f" from folder {word}" if word else ""
    report.split_origin = f"cut{told} so that each class is in each split, seed {seed}"
    if any("/" in found.pairs[i].name for i in source):
        report.notes.append(
            "images of one folder may be in several splits; if they show the same thing, cut by hand instead"
        )
    order = [split for split in ("train", "val", "test") if split in splits]
    return {s: splits[s] for s in order}, {s: folders[s] for s in order if s in folders}


def _need_lists(found: Found, splits: Mapping[str, Sequence[int]], description: Description) -> bool:
    """Whether folders alone do not say which images a split has."""
    words = [description.splits.get(split) for split in splits]
    whole = all(
        len(items) == sum(pair.word == word for pair in found.pairs)
        for (items, word) in zip(splits.values(), words, strict=True)
    )
    apart = None not in words and len(set(words)) == len(words) and whole
    left_out = bool(found.alone or found.masks_alone)
    return not apart or found.one_sided or left_out or bool(list_splits(found.root))


def _tell_of_missing(report: InitReport, presence: np.ndarray) -> None:
    """Say which classes a split lacks."""
    for k, value in enumerate(report.classes):
        lacking = [split for split, held in report.held.items() if report.splits[split] and not held[k]]
        if lacking and value.pixels:
            images = int(presence[:, k].sum())
            report.notes.append(
                f"class {value.row.name!r} is in {images} image{'s' if images > 1 else ''}, none of them in "
                f"{' or '.join(lacking)}"
            )
    for split in ("train", "val"):
        if not report.splits.get(split):
            report.notes.append(f"there is no split {split}: `aucseg train` wants train and val")

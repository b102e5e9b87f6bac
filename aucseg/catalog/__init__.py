"""Every data set by name, and the one way from a name or a path to its items.

``DATASETS`` is a plain dictionary. An entry knows where its data set lies and how it is fetched; at its place
(`Located`) it is opened, counted, checked and prepared. :func:`resolve` takes whatever a user may write for a
data set, the name of an entry or the path of a folder; the library, every command and every training go
through it, and no name is special anywhere else. A new published data set is one file in
``aucseg.data.layouts`` and one line here.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from aucseg import paths
from aucseg.catalog.drawn import Streets, StreetsEntry
from aucseg.catalog.entry import Entry, Known, Located
from aucseg.catalog.folder import Folder, FolderEntry, complete
from aucseg.data.get.camvid import CAMVID_TERMS
from aucseg.data.init import InitReport, init
from aucseg.data.init.names import find_names
from aucseg.data.layouts.ade20k import ADE20K
from aucseg.data.layouts.carla import CARLA
from aucseg.data.layouts.ccp import CCP
from aucseg.data.layouts.cityscapes import CITYSCAPES
from aucseg.data.layouts.coco_stuff import COCO_STUFF, COCO_STUFF_10K
from aucseg.data.layouts.described import is_described
from aucseg.data.layouts.own import is_prepared
from aucseg.data.layouts.rendered import GTA5, SYNTHIA
from aucseg.data.layouts.salient import ECSSD, HKU_IS, PASCAL_S
from aucseg.data.layouts.voc import VOC
from aucseg.data.listing import find_files
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.errors import DataError, OptionError, did_you_mean

__all__ = [
    "DATASETS",
    "Entry",
    "Folder",
    "FolderEntry",
    "Known",
    "Located",
    "Streets",
    "StreetsEntry",
    "complete",
    "detect",
    "find_dataset",
    "init_folder",
    "list_datasets",
    "open_dataset",
    "resolve",
]


DATASETS: dict[str, Entry] = {
    "streets": StreetsEntry("streets", "Procedural streets, drawn by this package"),
    "camvid": FolderEntry("camvid", "CamVid", CAMVID_TERMS, load=partial(load_spec, "camvid")),
    # In this order a folder is taken for one of them: the more telling layouts first.
    "cityscapes": FolderEntry.published(CITYSCAPES),
    "ade20k": FolderEntry.published(ADE20K),
    "coco_stuff": FolderEntry.published(COCO_STUFF),
    "coco_stuff_10k": FolderEntry.published(COCO_STUFF_10K),
    "synthia": FolderEntry.published(SYNTHIA),
    "voc": FolderEntry.published(VOC),
    "ccp": FolderEntry.published(CCP),
    "carla": FolderEntry.published(CARLA),
    "ecssd": FolderEntry.published(ECSSD),
    "hku_is": FolderEntry.published(HKU_IS),
    "pascal_s": FolderEntry.published(PASCAL_S),
    "gta5": FolderEntry.published(GTA5),
    "folder": FolderEntry("folder", "Images and masks of one's own"),
}


def list_datasets() -> tuple[str, ...]:
    """Names of all data sets."""
    return tuple(DATASETS)


def find_dataset(name: str) -> Entry:
    """A data set by name.

    Args:
        name: its name.

    Raises:
        OptionError: for an unknown name, with the nearest known one.
    """
    if name not in DATASETS:
        raise OptionError(f"unknown data set {name!r}; {did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def detect(folder: str | os.PathLike[str]) -> FolderEntry | None:
    """The published data set whose layout a folder has; None for the package's own layout and for any other.

    A folder's own ``classes.csv`` counts for more than how its folders are called (`FolderEntry.fits`). Where
    the layouts of several sets fit, as those of the salient-object sets with ``images`` and ``masks``, the
    name of the folder decides, if it is that of one of them.

    Args:
        folder: the folder.

    Raises:
        DataError: if the layouts of several sets fit, and nothing tells which it is.
    """
    place = Path(folder)
    if not place.is_dir() or is_described(place) or is_prepared(place):
        return None
    fitting = [e for e in DATASETS.values() if isinstance(e, FolderEntry) and e.fits(place)]
    wanted = place.resolve().name.lower().replace("-", "_")
    named = [e for e in fitting if e.name == wanted] or fitting
    if len(named) > 1:
        names = [entry.name for entry in named]
        raise DataError(
            f"by its folders this could be {', '.join(names[:-1])} or {names[-1]}",
            file=place,
            remedy=f"say which, with --as or kind=; a set of your own is made by `aucseg data init {place}`",
        )
    return named[0] if named else None


def resolve(
    target: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    images: str | None = None,
    masks: str | None = None,
    kind: str | None = None,
    spec: ClassSpec | None = None,
    train_split: str | None = None,
) -> Located:
    """The data set that a user means, by name or by path.

    A name means that data set: in a folder so called in the working directory, if it lies there, else where
    :meth:`Entry.locate` finds it. Any other folder is taken for the published data set whose layout it has,
    which `Located.note` then says, or for one in the package's own layout.

    Args:
        target: a folder, or one of :func:`list_datasets`.
        root: the folder of a data set that ``target`` names; searched for if None, see :meth:`Entry.locate`.
        images: where images lie in a folder in another layout, for example ``"imgs/{name}_img.jpg"``, where
            ``{split}`` may stand for the split.
        masks: the same of masks.
        kind: the data set that the folder ``target`` holds, if it is not to be found by its files.
        spec: the label set to hold a folder to: its names are those of ``classes.csv``, and train ids have
            its order.
        train_split: the split that trains, if it is not called so; see :attr:`Located.training_split`.

    Raises:
        DataError: if there is neither such a folder nor such a name, or a folder could be several sets.
        OptionError: for an unknown name or kind, or patterns that do not fit.

    Example:
        >>> resolve("streets").splits
        ('train', 'val', 'test')
    """
    options: dict[str, Any] = {"images": images, "masks": masks, "spec": spec, "train_split": train_split}
    target = paths.expand(target) if os.fspath(target)[:1] in ("~", "$") else target
    if root is not None and os.fspath(target) not in DATASETS and Path(target).is_dir():
        raise OptionError(
            f"{target} is a folder, and root ({os.fspath(root)!r}) goes with the name of a data set",
            remedy="leave root out; a split is given as split=NAME",
        )
    if root is not None:
        return find_dataset(os.fspath(target)).at(root, **options)
    place, name = Path(target), os.fspath(target)
    patterns = images is not None or masks is not None
    if name in DATASETS:
        entry = DATASETS[name]
        here = place if entry.lies_in(place) else None
        if kind is None and not patterns:
            return entry.at(here, **options)
        place = entry.locate(here)
    elif not place.exists():
        raise _nothing(name)
    if kind is not None:
        return find_dataset(kind).at(place, **options)
    found = None if patterns or spec is not None else detect(place)
    located = (found or DATASETS["folder"]).at(place, **options)
    if found is not None:
        located.note = f"{place} is taken for {found.name}, by the names of its folders; --as says otherwise"
    return located


def open_dataset(
    target: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    num_images: int | None = None,
    cache: bool = False,
    images: str | None = None,
    masks: str | None = None,
    spec: ClassSpec | None = None,
    train_split: str | None = None,
) -> Any:
    """The items of a split of any data set: :func:`resolve`, then :meth:`Located.open`.

    Args:
        target: a folder, or one of :func:`list_datasets`.
        root: the folder of a data set that ``target`` names; searched for if None.
        split: name of the split: ``"train"``, ``"val"``, ``"test"``, or ``"all"`` for sets without splits.
        size: height and width in pixels at which items are drawn, or to which they are resized.
        num_images: how many of the images; None for all. A drawn data set needs a number.
        cache: make every item now and keep it in memory.
        images: where images lie in a folder in another layout; see :func:`resolve`.
        masks: the same of masks.
        spec: the label set to hold a folder to.
        train_split: the split that trains, if it is not called so; see :attr:`Located.training_split`.

    Raises:
        DataError: if the data set is not there, has no such split, or a file is missing.
        OptionError: for an unknown name, or options that do not fit.

    Example:
        >>> data = open_dataset("cityscapes", split="val", size=(512, 1024))  # doctest: +SKIP
        >>> mine = open_dataset("data/mine")  # doctest: +SKIP
    """
    located = resolve(target, root, images=images, masks=masks, spec=spec, train_split=train_split)
    return located.open(split, size=size, num_images=num_images, cache=cache)


def init_folder(folder: str | os.PathLike[str], **options: Any) -> InitReport:
    """Make a data set of a folder of images and masks: ``aucseg.data.init.init``.

    Args:
        folder: the folder.
        **options: as for that function.

    Raises:
        DataError: as that function, and if the folder is a published data set, which is read as it is.
        OptionError: as that function.
    """
    place = Path(folder).expanduser()
    for entry in DATASETS.values() if options.get("images") is None and not is_described(place) else ():
        # Two labels, as of salient objects, say nothing: any folder called images and masks may hold them.
        spec = entry.spec if isinstance(entry, FolderEntry) and entry.fits(place) else None
        if spec is None or spec.num_classes == 2 or find_names(find_files(place, (".csv", ".txt"))[0]):
            continue
        raise DataError(
            f"has the folders of {entry.name!r} ({entry.title}) and is read as that",
            file=place,
            remedy=f"`aucseg data verify {folder}` checks it; for your own classes give --images and --masks",
        )
    return init(place, **options)


def _nothing(target: str) -> DataError:
    """What is said of a target that is neither a folder nor a name."""
    if "/" in target or os.sep in target or target.startswith("."):
        return DataError("no such folder", file=target, remedy="check the path of the data set")
    named = [name for name, entry in DATASETS.items() if not entry.needs_root]
    hint = did_you_mean(target, named)
    near = f"; {hint}" if hint.startswith("did") else ""
    return DataError(f"no data {target!r}", remedy=f"give a folder or one of {', '.join(named)}{near}")

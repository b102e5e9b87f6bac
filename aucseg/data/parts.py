"""Part of a data set: the images whose masks are used, the rest of them, and images that have no mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import tv_tensors

from aucseg.data.files import write_text
from aucseg.data.fingerprint import hash_files
from aucseg.data.labels import VOID
from aucseg.data.listing import PICTURE_SUFFIXES, find_files, listed_items
from aucseg.data.reading import check_size, read_image
from aucseg.data.sampling import mix_seed
from aucseg.data.spec import ClassSpec
from aucseg.data.transforms.geometry import resize_image
from aucseg.errors import DataError, OptionError

FRACTIONS = ("1/16", "1/8", "1/4", "1/2")
"""The usual fractions of images with labels in semi-supervised training."""


def read_fraction(text: str) -> Fraction:
    """A fraction of a data set, such as ``"1/16"`` or ``"0.25"``.

    Raises:
        OptionError: for what is none above 0 and up to 1.
    """
    try:
        fraction = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        fraction = Fraction(0)
    if not 0 < fraction <= 1:
        raise OptionError(f"a labelled fraction is above 0 and up to 1, as in 1/16; got {text!r}")
    return fraction


def choose_labelled(names: Sequence[str], fraction: Fraction | str, seed: int = 0) -> tuple[str, ...]:
    """The images of a data set that keep their labels.

    Images are ordered by a hash of seed and name, and the first ones are taken: what a fraction holds, a
    larger one of the same seed holds too, whatever the order of the names.

    Args:
        names: name of each image.
        fraction: of them, rounded to whole images, at least one.
        seed: another one chooses others.

    Returns:
        Their names, in the order of ``names``.

    Example:
        >>> few = choose_labelled([f"{i}" for i in range(100)], "1/16")
        >>> len(few), set(few) <= set(choose_labelled([f"{i}" for i in range(100)], "1/8"))
        (6, True)
    """
    if isinstance(fraction, str):
        fraction = read_fraction(fraction)
    number = max(1, round(len(names) * fraction))
    order = sorted(names, key=lambda name: (mix_seed("labelled", seed, name), name))
    chosen = set(order[:number])
    return tuple(name for name in names if name in chosen)


def write_labelled(
    folder: str | Path, names: Sequence[str], *, fractions: Sequence[str] = FRACTIONS, seed: int = 0
) -> list[Path]:
    """Write the lists of :func:`choose_labelled`, a name a line: ``1_16_seed0.txt`` and so on.

    A run takes one of them, or any list in its place, by ``data.labelled``.

    Args:
        folder: where to; made if it is not there.
        names: name of each image of the training split.
        fractions: of them.
        seed: of the choice.

    Returns:
        The files written.

    Raises:
        DataError: if the system refuses.
    """
    folder = Path(folder)
    written = []
    for fraction in fractions:
        path = folder / f"{fraction.replace('/', '_')}_seed{seed}.txt"
        write_text(path, "\n".join(choose_labelled(names, fraction, seed)) + "\n")
        written.append(path)
    return written


def find_listed(dataset: Any, lines: Sequence[str]) -> tuple[int, ...]:
    """The items of a data set that the lines of a list mean.

    A line is a name, or what published lists have in its place, see
    ``aucseg.data.listing.listed_items``.

    Args:
        dataset: any data set of this package.
        lines: the lines.

    Returns:
        Positions, ascending.

    Raises:
        OptionError: for a line that means no item, and for one that is there twice.
    """
    inner = dataset
    while not hasattr(inner, "files") and hasattr(inner, "dataset"):
        inner = inner.dataset
    place = {name: i for i, name in enumerate(dataset.names)}
    files = getattr(inner, "files", None)
    named = list(lines)
    if files is not None and any(line not in place for line in lines):
        images, masks = ({n: f[side] for n, f in zip(inner.names, files, strict=True)} for side in (0, 1))
        root = Path(*_common(image for image, _ in files))
        items, problems = listed_items(lines, images, masks, Path("data.labelled"), root)
        if problems:
            raise OptionError(f"data.labelled: {problems[0].what}")
        named = [item.name for item in items]
    for name in named:
        if name not in place:
            raise OptionError(f"data.labelled: no image {name!r} among the {len(place)} that train")
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise OptionError(f"data.labelled: {twice!r} stands there twice")
    return tuple(sorted(place[name] for name in named))


def _common(paths: Any) -> tuple[str, ...]:
    """Parts of the folder that holds all of some paths."""
    parts = [path.parent.parts for path in paths]
    shared = 0
    while all(len(p) > shared for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return parts[0][:shared]


class ImageFolder(Dataset[Any]):
    """Images without masks, from a folder and those below it: every pixel is void.

    Args:
        folder: the folder.
        spec: the label set of the images beside which they are used.
        size: (height, width) to resize to; None leaves their size.

    Raises:
        DataError: if there is no image.
    """

    def __init__(self, folder: Path, spec: ClassSpec, size: tuple[int, int] | None = None) -> None:
        check_size(size)
        if not folder.is_dir():
            raise DataError("no such folder", file=folder, remedy="check the path of the unlabelled images")
        found, problems = find_files(folder, PICTURE_SUFFIXES)
        if problems:
            raise problems[0]
        if not found:
            raise DataError(
                "no image in it", file=folder, remedy=f"images end in {', '.join(PICTURE_SUFFIXES)}"
            )
        self.names, self.spec, self.size = tuple(found), spec, size
        self.images = list(found.values())

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Item ``index``: an image, and a mask that is void."""
        image = torch.from_numpy(read_image(self.images[index])).permute(2, 0, 1).contiguous()
        if self.size is not None:
            image = resize_image(image, self.size)
        return tv_tensors.Image(image), tv_tensors.Mask(torch.full(image.shape[1:], VOID, dtype=torch.uint8))

    def fingerprint(self) -> str:
        """Hex sha256 of the names and the bytes of every file."""
        content = json.dumps([self.names, hash_files(self.images)])
        return hashlib.sha256(content.encode()).hexdigest()

    def modes(self) -> set[str]:
        """Pillow's modes of the images, by their headers: ``"RGB"``, ``"L"`` and so on."""
        return image_modes(self.images)


def image_modes(files: Sequence[Path]) -> set[str]:
    """Pillow's modes of some image files, by their headers.

    Raises:
        DataError: for a file that is no image.
    """
    modes = set()
    for file in files:
        try:
            with Image.open(file) as image:
                modes.add(image.mode)
        except OSError as error:
            raise DataError("cannot be read as an image", file=file, remedy="take it out") from error
    return modes

"""From image files to masks: read, resize, run the network, resize back, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.utils import draw_segmentation_masks

from aucseg import paths
from aucseg.data import normalize
from aucseg.data.files import probe_folder, write_file
from aucseg.data.listing import find_files
from aucseg.data.palette import indexed_mask
from aucseg.data.reading import PICTURE_SUFFIXES, Range, check_range, read_image, to_rgb
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import bounded_map
from aucseg.data.transforms.geometry import resize_image, resize_mask
from aucseg.errors import DataError
from aucseg.training.module import SegmentationModule


def predict_image(module: SegmentationModule, picture: Image.Image | np.ndarray) -> np.ndarray:
    """The mask of one picture.

    It is resized as a data set is to the size that the network was trained at, or not at all where that was
    trained with ``data.resize``, and looked at as the configuration evaluates.

    Args:
        module: a trained network, see :func:`load_module`; the picture goes to its device.
        picture: RGB (H,W,3) uint8, as :func:`aucseg.data.reading.read_image` gives it, or one that Pillow has
            opened, of any mode of 8 bits; it is not turned by its EXIF orientation.

    Returns:
        Train ids (H,W) uint8 at the picture's own size.

    Raises:
        DataError: for a mode that no image can be made of.
    """
    pixels, data = to_rgb(picture) if isinstance(picture, Image.Image) else picture, module.config.data
    image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
    size = tuple(image.shape[-2:])
    seen = image if data.resize else resize_image(image, data.size)
    with torch.inference_mode():
        images = normalize(seen[None].contiguous().to(module.device), *module.config.model.figures)
        ids = module.predict_scores(images)[0][0].to(torch.uint8).cpu()
    return resize_mask(ids, size).numpy()


@dataclass(frozen=True)
class PlannedFile:
    """An image and what is written of it.

    Args:
        image: the image.
        mask: the file of its mask.
        overlay: the file of its mask over it, if one is wanted.
        colors: the file of its mask in colours, if one is wanted.
    """

    image: Path
    mask: Path
    overlay: Path | None = None
    colors: Path | None = None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that is written."""
        return tuple(path for path in (self.mask, self.overlay, self.colors) if path is not None)


@dataclass
class PredictionPlan:
    """What is to be predicted, after all of it was looked at.

    Args:
        files: the images, and what is written of each.
        value_range: how images of more than 8 bits are read.
        problems: images that are left out because they cannot be read.
        passed_over: endings of the files in folders that are no pictures, and how many there are of each.
    """

    files: list[PlannedFile]
    value_range: Range | None = None
    problems: list[DataError] = field(default_factory=list)
    passed_over: Mapping[str, int] = field(default_factory=dict)


def plan_predictions(
    images: Sequence[str | Path],
    output: str | Path,
    *,
    with_overlay: bool = False,
    with_colors: bool = False,
    recursive: bool = True,
    overwrite: bool = False,
    skip_bad: bool = False,
    value_range: Range | None = None,
    workers: int | None = None,
) -> PredictionPlan:
    """Look at every image and every place to write to, before the first mask is written.

    Of a folder all pictures are taken, by their endings, and its subfolders are kept in ``output``; what
    programs leave in folders (``Thumbs.db``, ``.ipynb_checkpoints``) is passed over, and so is ``output``
    itself where it lies inside.

    Args:
        images: image files, and folders of them.
        output: folder for the masks, ``NAME.png`` each; made if it is not there.
        with_overlay: also the mask over the image, ``NAME_overlay.png``.
        with_colors: also the mask as a picture of the classes' colours, ``NAME_colors.png``.
        recursive: take the pictures in subfolders too.
        overwrite: replace files that are there; an image that is read is never replaced.
        skip_bad: leave out images that cannot be read.
        value_range: for images of more than 8 bits a channel, see :func:`aucseg.data.reading.read_image`.
        workers: threads that read; the processor count up to 8 if None.

    Raises:
        DataError: for an image that is missing or cannot be read, two outputs of one name, one that is there
            already or is an image, and a folder that cannot be written to.
        OptionError: for a range that is none.
    """
    check_range(value_range)
    folder = paths.expand(output)
    found, passed_over = _find(images, folder, recursive)
    suffixes = {"mask": "", "overlay": "_overlay" if with_overlay else None}
    suffixes["colors"] = "_colors" if with_colors else None
    files = [
        PlannedFile(
            image,
            **{
                kind: folder / name.parent / f"{name.stem}{suffix}.png"
                for kind, suffix in suffixes.items()
                if suffix is not None
            },
        )
        for image, name in found
    ]
    _check_outputs(files, overwrite)
    look = partial(_look, value_range=value_range)
    problems = [
        p for p in bounded_map(look, [each.image for each in files], workers=workers) if p is not None
    ]
    if problems and not skip_bad:
        first, more = problems[0], len(problems) - 1
        told = f" (and {more} more images that cannot be read: --skip-bad leaves them out)" if more else ""
        raise DataError(first.what + told, file=first.file, remedy=first.remedy)
    bad = {problem.file for problem in problems}
    files = [each for each in files if str(each.image) not in bad]
    if not files:
        raise problems[0]
    for place in dict.fromkeys(each.mask.parent for each in files):
        probe_folder(place)
    return PredictionPlan(files, value_range, problems, passed_over)


def write_predictions(
    module: SegmentationModule, plan: PredictionPlan, *, palette: bool = True
) -> Iterator[Path]:
    """Write the mask of each image of a plan, and what else is wanted of it.

    Args:
        module: a trained network in evaluation mode, see :func:`load_module`.
        plan: see :func:`plan_predictions`.
        palette: give the masks the classes' colours as a palette. Some programs, OpenCV among them, read such
            a file as its colours and not as its labels.

    Yields:
        The file of each mask, once it is complete.

    Raises:
        DataError: if a file cannot be read any more, or not be written.
    """
    colors = module.spec.palette
    for each in plan.files:
        pixels = read_image(each.image, plan.value_range)
        ids = predict_image(module, pixels)
        mask = indexed_mask(ids, colors) if palette else Image.fromarray(ids)
        if each.overlay is not None:
            _save(Image.fromarray(overlay(pixels, ids, module.spec)), each.overlay)
        if each.colors is not None:
            _save(Image.fromarray(colors[ids]), each.colors)
        _save(mask, each.mask)
        yield each.mask


def predict_files(
    module: SegmentationModule,
    images: Sequence[str | Path],
    output: str | Path,
    *,
    palette: bool = True,
    **options: Any,
) -> Iterator[Path]:
    """Write a mask of train ids for each image, with the classes' colours as its palette.

    Every image and every place is looked at before the first mask is written: a bad file does not end a
    half-done job.

    Args:
        module: a trained network in evaluation mode, see :func:`load_module`.
        images: image files, and folders of them.
        output: folder for the masks, ``NAME.png`` each; made if it is not there.
        palette: as for :func:`write_predictions`.
        **options: as for :func:`plan_predictions`.

    Returns:
        The file of each mask, one after the other, once it is written.

    Raises:
        DataError: as :func:`plan_predictions` and :func:`write_predictions`.
    """
    return write_predictions(module, plan_predictions(images, output, **options), palette=palette)


def overlay(image: Any, mask: Any, spec: ClassSpec, alpha: float = 0.5) -> np.ndarray:
    """A mask laid over its image, (H,W,3) uint8; void shows the image alone.

    Args:
        image: (3,H,W) or (H,W,3) uint8.
        mask: (H,W) train ids.
        spec: classes of the mask.
        alpha: weight of the mask's colour, in [0, 1].

    Raises:
        ValueError: if ``alpha`` is outside [0, 1] or the sizes differ.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    pixels, ids = torch.as_tensor(np.array(image)), torch.as_tensor(np.array(mask))
    if pixels.shape[0] != 3 or pixels.shape[-1] == 3:
        pixels = pixels.movedim(-1, 0)
    if pixels.shape[1:] != ids.shape:
        raise ValueError(
            f"image is {tuple(pixels.shape[1:])}, mask is {tuple(ids.shape)}; resize one of them"
        )
    blend = pixels.double() / 255
    held = [label for label in range(spec.num_classes) if (ids == label).any()]
    if held:  # of numbers, not bytes, which torchvision would cut off and not round
        masks = torch.stack([ids == label for label in held])
        blend = draw_segmentation_masks(blend, masks, alpha, [spec.colors[label] for label in held])
    return (255 * blend).round().to(torch.uint8).movedim(0, -1).numpy()


def _find(
    places: Sequence[str | Path], output: Path, recursive: bool
) -> tuple[list[tuple[Path, Path]], Mapping[str, int]]:
    """Each image with its name below the output, and the endings of files in folders that are no pictures."""
    found: list[tuple[Path, Path]] = []
    passed_over: Counter[str] = Counter()
    own = output.resolve()
    for place in map(paths.expand, places):
        if not place.is_dir():
            found.append((place, Path(place.name)))
            continue
        there, problems = find_files(place, ("",))
        if problems:
            raise problems[0]
        inside = own.is_relative_to(place.resolve()) and own != place.resolve()
        pictures = []
        for name, path in there.items():
            if (inside and path.resolve().is_relative_to(own)) or ("/" in name and not recursive):
                continue
            if name.lower().endswith(PICTURE_SUFFIXES):
                pictures.append((path, Path(name)))
            else:
                passed_over[path.suffix.lower() or path.name] += 1
        if not pictures:
            endings = ", ".join(sorted(passed_over)) or "no file at all"
            raise DataError(
                f"no picture in this folder, but {endings}",
                file=place,
                remedy=f"give a folder of {', '.join(PICTURE_SUFFIXES)}",
            )
        found += pictures
    return found, passed_over


def _check_outputs(files: Sequence[PlannedFile], overwrite: bool) -> None:
    """No output may replace another, nor an image, nor without leave what is there."""
    images = {each.image.resolve(): each.image for each in files}
    origins: dict[str, Path] = {}
    there = []
    for each in files:
        for path in each.outputs:
            # Without regard to case: on some file systems two such names are one.
            other = origins.setdefault(str(path).casefold(), each.image)
            if other is not each.image:
                raise DataError(
                    f"{path.name} would be written of it and of {other}",
                    file=each.image,
                    remedy="rename one of them, or predict them into two folders",
                )
            real = path.resolve()  # x/../a.png is there before x is
            if real in images:
                raise DataError(
                    "would be replaced by a mask",
                    file=images[real],
                    remedy="choose another folder with --output",
                )
            if real.exists() or path.is_symlink():
                there.append(path)
    if there and not overwrite:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise DataError(
            f"is there already{more}",
            file=there[0],
            remedy="choose another folder with --output, or replace what is there with --overwrite",
        )


def _look(path: Path, value_range: Range | None) -> DataError | None:
    """What keeps an image from being read. It is read again later: kept, many would not fit in the memory."""
    try:
        read_image(path, value_range)
    except DataError as error:
        return error
    return None


def _save(picture: Image.Image, path: Path) -> None:
    write_file(path, lambda part: picture.save(part, format="PNG"))

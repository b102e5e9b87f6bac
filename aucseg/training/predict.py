"""From image files to masks: open, resize, run the network, resize back, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torchvision.utils import draw_segmentation_masks

from aucseg.data import normalize
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, file_errors
from aucseg.training.module import SegmentationModule


def predict_image(module: SegmentationModule, picture: Image.Image) -> np.ndarray:
    """The mask of one picture.

    It is resized to the size that the network was trained at, or not at all where that was trained with
    ``data.resize``, and looked at as the configuration evaluates.

    Args:
        module: a trained network, see :func:`load_module`; the picture goes to its device.
        picture: of any mode and size.

    Returns:
        Train ids (H,W) uint8 at the picture's own size.
    """
    rgb, data = picture.convert("RGB"), module.config.data
    size = rgb.size if data.resize else data.size[::-1]
    pixels = np.asarray(rgb.resize(size, Image.Resampling.BILINEAR))
    batch = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(module.device)
    with torch.inference_mode():
        images = normalize(batch, *module.config.model.figures)
        ids = module.predict_scores(images)[0][0].to(torch.uint8).cpu().numpy()
    return np.asarray(Image.fromarray(ids).resize(rgb.size, Image.Resampling.NEAREST))


def predict_files(
    module: SegmentationModule,
    images: Sequence[str | Path],
    output: str | Path,
    *,
    with_overlay: bool = False,
) -> Iterator[Path]:
    """Write a mask of train ids for each image, with the classes' colours as its palette.

    Every image is opened before the first mask is written: a bad file does not end a half-done job.

    Args:
        module: a trained network in evaluation mode, see :func:`load_module`.
        images: image files.
        output: folder for the masks, ``NAME.png`` each; made if it is not there.
        with_overlay: also write the mask over the image, ``NAME_overlay.png``.

    Yields:
        The file of each mask, once it is written.

    Raises:
        DataError: for a file that is no image, two images of one name, or a folder that cannot be written.
    """
    paths, folder = [Path(path) for path in images], Path(output)
    _check(paths)
    with file_errors(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        picture = _open(path)
        ids = predict_image(module, picture)
        mask = Image.fromarray(ids)
        mask.putpalette(module.spec.palette.flatten().tolist())
        with file_errors(folder, "cannot be written to"):
            mask.save(folder / f"{path.stem}.png")
            if with_overlay:
                blend = Image.fromarray(overlay(np.asarray(picture), ids, module.spec))
                blend.save(folder / f"{path.stem}_overlay.png")
        yield folder / f"{path.stem}.png"


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


def _check(images: Sequence[Path]) -> None:
    """A bad file must not end a half-done job, and no mask may overwrite another."""
    stems: dict[str, Path] = {}
    for path in images:
        _open(path)  # opened again later: kept, a long list would not fit in the memory
        if path.stem in stems:
            raise DataError(
                f"has the same name as {stems[path.stem]}, so their masks would too",
                file=path,
                remedy="rename one of them, or predict them into two folders",
            )
        stems[path.stem] = path


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except FileNotFoundError as error:
        raise DataError("no such image", file=path, remedy="correct the path") from error
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"not a readable image ({error})", file=path, remedy="replace the file") from error

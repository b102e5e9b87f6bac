"""From two files to a training item: our data path beside torchvision's and albumentations', same operations.

    pip install albumentations  # optional: its rows are left out where it is not installed
    python benchmarks/data_path.py --csv

A drawn street is written as JPEG, its mask as PNG; each image is then resized by 0.5 to 2, cropped and
mirrored (``geometry``), and changed in brightness, contrast, saturation and hue (``with colour``), to a
contiguous item (3, h, w) of bytes. ``decoding`` says whether reading the files counts. All take turns in one
run, on one thread, each with draws of its own from the same distributions. ``pace`` is the peer's time over
ours: above 1 we are faster. Peers read with Pillow, as their users do.

The operations are the same by name. albumentations resizes without antialiasing (a chequerboard of single
pixels, resized by 0.4, keeps a range of 10 to 245 of 255; with antialiasing 126 to 129) and turns the hue in
OpenCV's HSV of eight bits (at most 8.3 of 255 from the exact colour on random pixels; ours 0.5, torchvision's
1.0): that is why it is ahead on small images and why it is not what computes here.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measure import Row, run_on_devices
from PIL import Image
from timing import turns
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from aucseg.data import train_transform
from aucseg.data.reading import read_ids, read_image
from aucseg.data.transforms import NEUTRAL, VOID
from aucseg.streets import SyntheticStreets

SETTINGS = {(1024, 2048): 512, (360, 480): 352, (128, 256): 96}  # Cityscapes, CamVid, small
SCALE = (0.5, 2.0)
JITTER = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.02}  # of `photometric=True`
SEEDS = range(6)  # items in a call: scales differ, so that one alone would say little

Item = tuple[Tensor, Tensor]
Peer = Callable[[np.ndarray, np.ndarray], Item]


class _Scale(v2.Transform):
    """One factor for both sides, drawn as ours draws it."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        factor = SCALE[0] + (SCALE[1] - SCALE[0]) * torch.rand(()).item()
        return {"size": [round(side * factor) for side in v2.query_size(flat_inputs)]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.resize, inpt, params["size"], antialias=True)


def torchvision_path(crop: int, *, colour: bool) -> Peer:
    """The same with torchvision's v2."""
    fill: dict[Any, Any] = {tv_tensors.Image: NEUTRAL, tv_tensors.Mask: VOID}
    steps = [_Scale(), v2.RandomCrop(crop, pad_if_needed=True, fill=fill), v2.RandomHorizontalFlip()]
    transform = v2.Compose([*steps, v2.ColorJitter(**JITTER)] if colour else steps)
    return _on_tensors(transform)


def albumentations_path(crop: int, *, colour: bool) -> Peer:
    """The same with albumentations (2.0, MIT), which computes with OpenCV."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the internet for a newer version
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)
    low, high = SCALE
    steps = [
        A.RandomScale((low - 1, high - 1), p=1, interpolation=cv2.INTER_LINEAR),
        A.PadIfNeeded(crop, crop, border_mode=cv2.BORDER_CONSTANT, fill=NEUTRAL, fill_mask=VOID),
        A.RandomCrop(crop, crop),
        A.HorizontalFlip(p=0.5),
    ]
    transform = A.Compose([*steps, A.ColorJitter(**JITTER, p=1)] if colour else steps)

    def run(image: np.ndarray, mask: np.ndarray) -> Item:
        out = transform(image=image, mask=mask)
        planes = np.ascontiguousarray(out["image"].transpose(2, 0, 1))
        return torch.from_numpy(planes), torch.from_numpy(np.ascontiguousarray(out["mask"]))

    return run


def our_path(crop: int, *, colour: bool) -> Peer:
    """Ours."""
    return _on_tensors(train_transform((crop, crop), scale=SCALE, photometric=colour))


def _on_tensors(transform: Callable[[Tensor, Tensor], Item]) -> Peer:
    def run(image: np.ndarray, mask: np.ndarray) -> Item:
        planes = torch.from_numpy(image).permute(2, 0, 1)
        out, labels = transform(tv_tensors.Image(planes), tv_tensors.Mask(torch.from_numpy(mask)))
        return out.contiguous(), labels.contiguous()

    return run


def measure(device: str, repetitions: int, settings: dict[tuple[int, int], int] = SETTINGS) -> Iterator[Row]:
    """One row for each size, operations, decoding or not, and peer; of the CPU alone."""
    if device != "cpu":  # all of it is the work of a loader's worker
        return
    peers = {"torchvision": torchvision_path}
    if importlib.util.find_spec("albumentations"):
        peers["albumentations"] = albumentations_path
    for box, crop in settings.items():
        image, mask = SyntheticStreets(1, box)[0]
        with TemporaryDirectory() as folder:
            files = Path(folder, "image.jpg"), Path(folder, "mask.png")
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(files[0], quality=95)
            Image.fromarray(mask.numpy()).save(files[1])
            for colour in (False, True):
                paths = {"ours": our_path} | peers
                made = {name: path(crop, colour=colour) for name, path in paths.items()}
                for decoding in (False, True):
                    yield from _rows(device, repetitions, box, crop, made, files, colour, decoding)


def _rows(
    device: str,
    repetitions: int,
    box: tuple[int, int],
    crop: int,
    paths: dict[str, Peer],
    files: tuple[Path, Path],
    colour: bool,
    decoding: bool,
) -> Iterator[Row]:
    at_hand = _by_pillow(*files)

    def call(path: Peer, read: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
        for seed in SEEDS:
            torch.default_generator.manual_seed(seed)
            path(*read())

    readers = {name: partial(_by_us if name == "ours" else _by_pillow, *files) for name in paths}
    candidates = {
        name: partial(call, path, readers[name] if decoding else lambda: at_hand)
        for name, path in paths.items()
    }
    # on one thread, and what others do on the machine is nobody's work here
    times = turns(candidates, repetitions=repetitions, device=device, window=0.05, busy=True)
    median = {name: float(np.median(seconds)) / len(SEEDS) for name, seconds in times.items()}
    for name, seconds in median.items():
        yield {
            "device": device,
            "image": f"{box[0]}x{box[1]}",
            "crop": f"{crop}x{crop}",
            "operations": "with colour" if colour else "geometry",
            "decoding": int(decoding),
            "candidate": name,
            "ms_per_image": 1e3 * seconds,
            "pace": seconds / median["ours"],
        }


def _by_us(image: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
    return read_image(image), read_ids(mask, None)


def _by_pillow(image: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
    with Image.open(image) as picture, Image.open(mask) as labels:
        return np.array(picture.convert("RGB")), np.array(labels)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """The same on an image of 64x128."""
    return measure(device, repetitions, {(64, 128): 32})


if __name__ == "__main__":
    torch.set_num_threads(1)  # as in a worker of a loader
    run_on_devices("data_path", __doc__, measure, quick)

"""What augmentation costs beside decoding, at the settings of AUCSeg's released configurations.

    python benchmarks/transforms.py --csv

A drawn street of 1024x2048 is written as JPEG, its mask as PNG. Decoding both is the measure. The steps of
the pipeline (resize by 0.5 to 2, crop of 512x512 with a cap of 0.75, flip, photometric distortion) are added
one after the other. All take turns in one run, with the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from measure import Row, interleaved, run_on_devices
from PIL import Image

from aucseg.data import train_transform, transform_batch
from aucseg.data.reading import read_ids, read_image
from aucseg.streets import SyntheticStreets

BOX = (1024, 2048)
SCALE = (0.5, 2.0)
SEEDS = range(4)  # images in a call: scales differ, so that one alone would say little
STEPS: dict[str, dict[str, Any]] = {
    "resize and crop": {},
    "with the cap": {"max_class_share": 0.75},
    "with the flip": {"max_class_share": 0.75, "hflip": 0.5},
    "full": {"max_class_share": 0.75, "hflip": 0.5, "photometric": "mmseg"},
}


def measure(device: str, repetitions: int, box: tuple[int, int] = BOX, crop: int = 512) -> Iterator[Row]:
    """One row for decoding and for each number of steps."""
    image, mask = SyntheticStreets(1, box)[0]
    with TemporaryDirectory() as folder:
        files = Path(folder, "image.jpg"), Path(folder, "mask.png")
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(files[0], quality=95)
        Image.fromarray(mask.numpy()).save(files[1])

        def decode() -> None:
            for _ in SEEDS:
                read_image(files[0])
                read_ids(files[1], None)

        images, masks = [image.to(device)] * len(SEEDS), [mask.to(device)] * len(SEEDS)
        candidates = {"decoding": decode}
        for name, options in STEPS.items():
            transform = train_transform((crop, crop), resize=box, scale=SCALE, **({"hflip": 0.0} | options))
            candidates[name] = lambda transform=transform: transform_batch(transform, images, masks, SEEDS)
        seconds = interleaved(candidates, repetitions=repetitions, device=device)
    for name, value in seconds.items():
        yield {
            "device": device,
            "image": f"{box[0]}x{box[1]}",
            "crop": f"{crop}x{crop}",
            "candidate": name,
            "ms_per_image": 1e3 * value / len(SEEDS),
            "per_decoding": value / seconds["decoding"],
        }


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """The same on an image of 64x128."""
    return measure(device, repetitions, (64, 128), 32)


if __name__ == "__main__":
    torch.set_num_threads(1)  # as in a worker of a loader
    run_on_devices("transforms", __doc__, measure, quick)

"""Tiny data sets in the published layouts, written by hand: no code of the package makes them."""

from __future__ import annotations

import csv
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from aucseg.data.layouts.ade20k import ADE20K
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.carla import CARLA
from aucseg.data.layouts.ccp import CCP
from aucseg.data.layouts.cityscapes import CITYSCAPES
from aucseg.data.layouts.coco_stuff import COCO_STUFF, COCO_STUFF_10K
from aucseg.data.layouts.rendered import GTA5, SYNTHIA
from aucseg.data.layouts.salient import ECSSD, HKU_IS, PASCAL_S
from aucseg.data.layouts.voc import VOC

HEIGHT, WIDTH = 12, 16


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def stripes(*values: int) -> np.ndarray:
    """A mask of equal columns, one for each value."""
    return np.repeat(np.array(values, np.uint8), -(-WIDTH // len(values)))[None, :WIDTH].repeat(HEIGHT, 0)


def label(path: Path, mask: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def cityscapes(root: Path) -> Path:
    """Road, car, void by three ids, license plate's neighbours; two cities."""
    for i, (split, city) in enumerate((("train", "ulm"), ("train", "bonn"), ("val", "ulm"))):
        stem = f"{city}_00000{i}_000019"
        picture(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", i)
        masks = root / "gtFine" / split / city
        label(masks / f"{stem}_gtFine_labelIds.png", stripes(7, 26, 4, 33))
        label(masks / f"{stem}_gtFine_labelTrainIds.png", stripes(0, 13, 255, 18))
        wide = np.full((HEIGHT, WIDTH), 26001, np.uint16)
        Image.fromarray(wide).save(masks / f"{stem}_gtFine_instanceIds.png")
    return root


def ade20k(root: Path) -> Path:
    base = root / "ADEChallengeData2016"
    for i, (split, mark) in enumerate((("training", "train"), ("training", "train"), ("validation", "val"))):
        name = f"ADE_{mark}_0000000{i}"
        picture(base / "images" / split / f"{name}.jpg", i)
        label(base / "annotations" / split / f"{name}.png", stripes(0, 1, 2, 150))
    return root


def coco_stuff(root: Path) -> Path:
    for i, split in enumerate(("train2017", "train2017", "val2017")):
        name = f"{i:012d}"
        picture(root / "images" / split / f"{name}.jpg", i)
        label(root / "annotations" / split / f"{name}.png", stripes(0, 12, 91, 181, 255))
        label(root / "annotations" / split / f"{name}_labelTrainIds.png", stripes(9, 9))
    return root


def coco_stuff_10k(root: Path) -> Path:
    (root / "imageLists").mkdir(parents=True)
    for i, split in enumerate(("train", "test")):
        name = f"COCO_train2014_{i:012d}"
        picture(root / "images" / f"{name}.jpg", i)
        (root / "annotations").mkdir(exist_ok=True)
        savemat(root / "annotations" / f"{name}.mat", {"S": stripes(1, 13, 92, 182, 0), "captions": ["x"]})
        (root / "imageLists" / f"{split}.txt").write_text(f"{name}\n")
    return root


def voc(root: Path) -> Path:
    base = root / "VOCdevkit" / "VOC2012"
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    names = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    for i, name in enumerate([*names["train"], *names["val"], "2008_000001"]):
        picture(base / "JPEGImages" / f"{name}.jpg", i)
        if not name.startswith("2008"):  # most images of the set have no mask
            mask = Image.fromarray(stripes(0, 1, 20, 255), "L")
            mask.putpalette([0, 0, 0, 128, 0, 0] * 128)  # a short one would be stored in fewer bits
            (base / "SegmentationClass").mkdir(exist_ok=True)
            mask.save(base / "SegmentationClass" / f"{name}.png")
    for split, members in {**names, "trainval": [*names["train"], *names["val"]]}.items():
        (lists / f"{split}.txt").write_text("\n".join(members) + "\n")
    return root


def ccp(root: Path) -> Path:
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    for i in range(3):
        picture(root / "photos" / f"{i:04d}.jpg", i)
        if i < 2:
            file = root / "annotations" / "pixel-level" / f"{i:04d}.mat"
            savemat(file, {"groundtruth": stripes(0, 11, 13, 58)})
    return root


def carla(root: Path) -> Path:
    """Raw frames: the tag in the red channel, alpha full."""
    for i in range(2):
        picture(root / "CameraRGB" / f"F61-{i}.png", i)
        tags = stripes(0, 1, 4, 22)
        label(root / "CameraMask" / f"F61-{i}.png", np.stack([tags, 0 * tags, 0 * tags, 0 * tags + 255], -1))
    return root


def gta5(root: Path) -> Path:
    """Palette masks of Cityscapes' ids; 34 is a license plate."""
    for i in range(2):
        picture(root / "images" / f"0000{i + 1}.png", i)
        path = root / "labels" / f"0000{i + 1}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = Image.fromarray(stripes(7, 26, 34, 33))
        mask.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
        mask.save(path)
    return root


def synthia(root: Path) -> Path:
    """16 bits a channel, class and number of the object; written by hand, for Pillow cannot."""
    for i in range(2):
        picture(root / "RGB" / f"000000{i}.png", i)
        ids = stripes(3, 8, 22, 11).astype(">u2")
        rows = np.stack([ids, ids + 400, 0 * ids], -1).astype(">u2")
        path = root / "GT" / "LABELS" / f"000000{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = b"".join(b"\0" + row.tobytes() for row in rows)
        head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(
                struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
            )
        )
    return root


def _salient(root: Path, images: str, masks: str, suffix: str) -> Path:
    for i in range(3):
        picture(root / images / f"{i:04d}{suffix}", i)
        label(root / masks / f"{i:04d}.png", stripes(0, 127, 128, 255))
    return root


def ecssd(root: Path) -> Path:
    return _salient(root, "images", "ground_truth_mask", ".jpg")


def hku_is(root: Path) -> Path:
    return _salient(root, "HKU-IS/imgs", "HKU-IS/gt", ".png")


def pascal_s(root: Path) -> Path:
    return _salient(root, "datasets/imgs/pascal", "datasets/masks/pascal", ".jpg")


def classes(root: Path, rows: list[tuple[int, str, tuple[int, int, int], int]]) -> None:
    with (root / "classes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "r", "g", "b", "ignore"])
        for id_, name, color, ignore in rows:
            writer.writerow([id_, name, *color, ignore])


WRITERS: dict[str, Callable[[Path], Path]] = {
    w.__name__: w
    for w in (
        cityscapes,
        ade20k,
        coco_stuff,
        coco_stuff_10k,
        voc,
        ccp,
        carla,
        gta5,
        synthia,
        ecssd,
        hku_is,
        pascal_s,
    )
}
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        CITYSCAPES,
        ADE20K,
        COCO_STUFF,
        COCO_STUFF_10K,
        VOC,
        CCP,
        CARLA,
        GTA5,
        SYNTHIA,
        ECSSD,
        HKU_IS,
        PASCAL_S,
    )
}
# name: a split, its number of items, and the train ids of the columns of each mask
EXPECTED: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "cityscapes": ("train", 2, (0, 13, 255, 18)),
    "ade20k": ("train", 2, (255, 0, 1, 149)),
    # values 12 and 91 are COCO's ids 13 (stop sign) and 92 (banner), train ids 11 and 80
    "coco_stuff": ("train", 2, (0, 11, 80, 170, 255)),
    "coco_stuff_10k": ("train", 1, (0, 11, 80, 170, 255)),
    "voc": ("train", 2, (0, 1, 20, 255)),
    # after clogs (12) and the three other names that never occur
    "ccp": ("all", 2, (0, 11, 12, 54)),
    # Unlabeled is void; Other (3) is left out between Fence (2) and Pedestrian (4)
    "carla": ("all", 2, (255, 0, 2, 18)),
    "gta5": ("all", 2, (0, 13, 255, 18)),
    # road, car, lane marking, bicycle
    "synthia": ("all", 2, (0, 13, 255, 18)),
    "ecssd": ("all", 3, (0, 0, 1, 1)),
    "hku_is": ("all", 3, (0, 0, 1, 1)),
    "pascal_s": ("all", 3, (0, 0, 1, 1)),
}

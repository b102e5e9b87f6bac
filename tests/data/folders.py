"""Changes to the files of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_mask(root: Path, array: np.ndarray, name: str = "train_000") -> None:
    Image.fromarray(array).save(root / "annotations" / "train" / f"{name}.png")


def read_mask(root: Path, name: str = "train_000") -> np.ndarray:
    return np.array(Image.open(root / "annotations" / "train" / f"{name}.png"))


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

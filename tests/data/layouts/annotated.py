"""Tiny folders of annotations, written by hand: no code of the package makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.data.layouts.writers import HEIGHT, WIDTH, picture

SQUARE = [2, 2, 9, 2, 9, 9, 2, 9]


def coco_file(
    path: Path, names: Sequence[str], annotations: Sequence[dict[str, Any]] | None = None, **more: Any
) -> Path:
    """A COCO annotation file; a square of the category ``1 + i % 3`` on each image, if nothing is given."""
    if annotations is None:
        annotations = [
            {"image_id": i, "category_id": 1 + i % 3, "segmentation": [SQUARE]} for i in range(len(names))
        ]
    content = {
        "images": [
            {"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)
        ],
        "annotations": [{"id": i, "iscrowd": 0, **each} for i, each in enumerate(annotations)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(("things", "cat", "dog", "eel"))],
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def labelme_file(path: Path, *shapes: dict[str, Any], **more: Any) -> Path:
    """A LabelMe file."""
    content = {
        "version": "5.5.0",
        "imagePath": f"{path.stem}.jpg",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        "shapes": [{"shape_type": "polygon", "group_id": None, **shape} for shape in shapes],
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def square(label: str = "cat") -> dict[str, Any]:
    """A shape of LabelMe."""
    return {"label": label, "points": [[2, 2], [9, 2], [9, 9], [2, 9]]}


def table(root: Path, *names: str, ignored: Sequence[str] = ()) -> None:
    """A class table of ids from 0 on."""
    rows = [f"{i},{name},{int(name in ignored)}\n" for i, name in enumerate(names)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.csv").write_text("id,name,ignore\n" + "".join(rows))


def pictures(folder: Path, number: int, ending: str = ".png") -> list[str]:
    """Some pictures; their names."""
    return [picture(folder / f"{i:03d}{ending}", i).name for i in range(number)]

"""A hash that identifies what a data set holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aucseg.data.spec import ClassSpec


def hash_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_files(
    spec: ClassSpec,
    labels: Iterable[int],
    names: Sequence[str],
    files: Sequence[tuple[Path, Path]],
    *,
    workers: int = 4,
) -> str:
    """Hex sha256 over the meaning of the labels, the item names in order and every file's bytes.

    It does not depend on where the folder lies, on file times, or on how the files are later resized.

    Args:
        spec: class names in train id order.
        labels: train id of each of the 256 values of a mask file.
        names: item names, in order.
        files: image and mask of each item.
        workers: threads that read.
    """
    with ThreadPoolExecutor(workers) as pool:
        hashes = list(pool.map(lambda both: (hash_file(both[0]), hash_file(both[1])), files))
    content = {
        "classes": list(spec.names),
        "labels": [int(v) for v in labels],
        "items": [[name, *both] for name, both in zip(names, hashes, strict=True)],
    }
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

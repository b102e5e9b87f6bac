"""Fixtures for all tests: threads, the shared data pack, tiny data sets on disk."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from aucseg.data.spec import load_spec
from tests.command import aucseg

# A busy machine is slow, which says nothing about the code.
settings.register_profile("aucseg", deadline=None)
settings.load_profile("aucseg")

T = TypeVar("T")
Maker = Callable[..., Path]
Command = Callable[..., tuple[int | str, str, str]]
# Left out by `make quick`, besides single tests with the mark `slow`: two thirds of the time of all tests.
SLOW = (
    "benchmarks",  # each measures something, if little
    "chaos",  # processes that are killed, and random inputs
    "book/test_sliders.py",  # runs cells of the notebooks
    "functional/cuda",  # kernels, in Triton's interpreter and compiler
    "models/networks/test_contract.py",  # every network: compiled, exported, trained to overfit
    "plots/test_anatomy.py",  # every network, drawn
    "test_installation.py",  # the wheel in a clean environment
    "test_notebooks.py",  # kernels
    "training/test_claims.py",  # processes
    "training/test_devices.py",  # processes
    "training/test_run.py",  # whole trainings
)
_SPLITS = {"train": 4, "val": 2, "test": 2}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long, and let each of several workers begin with its part of it.

    A worker without work takes half of what another one has left, from the end: were that a file whose
    trainings its tests share, both would train. The short tests at the end are shared at no cost.
    """
    here = Path(__file__).parent
    long: dict[Path, list[pytest.Item]] = {}
    short = []
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)
            long.setdefault(item.path, []).append(item)
        else:
            short.append(item)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = spread(list(long.values()), short, workers)


def spread(long: list[list[T]], short: list[T], workers: int) -> list[T]:
    """All items so that each of as many equal parts begins with whole groups of long ones.

    Args:
        long: the groups.
        short: the others.
        workers: how many parts there are.
    """
    number, rest, order = len(short) + sum(map(len, long)), iter(short), []
    for worker in range(workers):
        order += chain.from_iterable(long[worker::workers])
        order += islice(rest, max(0, number * (worker + 1) // workers - len(order)))
    return order + list(rest)


@pytest.fixture(autouse=True)
def no_kernel() -> Iterator[None]:
    """What one test imported makes no notebook of the next: `aucseg.paths.home` looks for a kernel."""
    kernel = sys.modules.pop("ipykernel", None)
    yield
    if kernel is not None:
        sys.modules["ipykernel"] = kernel


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tensors here are tiny: threads only wait for each other, and sums keep one order."""
    torch.set_num_threads(1)


@pytest.fixture
def run() -> Command:
    """Runs ``aucseg ARGUMENTS`` in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int | str, str, str]:
        result = aucseg(*arguments)
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture(scope="session")
def shared_pack() -> Path:
    """The shared folder (data sets lie in its ``data/``), by AUCSEG_SHARED or ``../shared``."""
    named = os.environ.get("AUCSEG_SHARED")
    pack = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not (pack / "data").is_dir():
        pytest.skip(f"no shared data pack at {pack}: set AUCSEG_SHARED to its folder")
    return pack


@pytest.fixture(scope="session")
def camvid_pack(shared_pack: Path) -> Path:
    """CamVid in the shared pack."""
    pack = shared_pack / "data" / "camvid"
    if not pack.is_dir():
        pytest.skip(f"the shared pack has no CamVid at {pack}")
    return pack


def write_camvid(
    root: Path, *, size: tuple[int, int] = (64, 96), splits: dict[str, int] | None = None, seed: int = 0
) -> Path:
    """Write a small data set in CamVid's layout: noisy stripes of its 11 classes and Unlabelled.

    The widths of the stripes follow CamVid's long tail; rare classes are missing from some images.
    """
    spec = load_spec("camvid")
    rng = np.random.default_rng(seed)
    height, width = size
    colors = np.array([*spec.colors, (0, 0, 0)], np.float64)
    for split, count in (splits or _SPLITS).items():
        names = [f"{split}_{i:03d}" for i in range(count)]
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for i, name in enumerate(names):
            mask = np.full((height, width), 11, np.uint8)
            order = rng.permutation(np.array([0, 0, 0, 1, 1, 1, 1, 3, 3, 3, 3, 3, 4, 5, 5, 8]))
            edges = np.linspace(1, width - 1, len(order) + 1).astype(int)
            for k, left, right in zip(order, edges, edges[1:], strict=False):
                mask[1:-1, left:right] = k
            for j, k in enumerate((2, 6, 7, 9, 10)):
                if i % (j + 1) == 0:  # class 10 is in every fifth image only, and always in the first
                    y, x = rng.integers(2, height - 10), rng.integers(2, width - 8)
                    mask[y : y + 8, x : x + 4] = k
            image = (colors[mask] + rng.normal(0, 12, (height, width, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(image).save(root / "images" / split / f"{name}.jpg", quality=95)
            Image.fromarray(mask).save(root / "annotations" / split / f"{name}.png")
        (root / "splits").mkdir(exist_ok=True)
        (root / "splits" / f"{split}.txt").write_text("\n".join(names) + "\n")
    with (root / "classes.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "name", "r", "g", "b", "ignore"])
        for k, (name, color) in enumerate(zip(spec.names, spec.colors, strict=True)):
            writer.writerow([k, name, *color, 0])
        writer.writerow([11, "Unlabelled", 0, 0, 0, 1])
    return root


@pytest.fixture
def tiny_camvid(tmp_path: Path) -> Path:
    """A data set in CamVid's layout: 4 training, 2 validation, 2 test images of 64x96 (height x width)."""
    return write_camvid(tmp_path / "camvid")


@pytest.fixture
def make_camvid(tmp_path: Path) -> Maker:
    """Write more of them: ``make_camvid("name", size=(48, 64), splits={"train": 8}, seed=1)``."""
    return lambda name, **options: write_camvid(tmp_path / name, **options)

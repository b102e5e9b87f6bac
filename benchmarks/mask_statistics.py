"""The scan of masks beside bare PNG decoding: throughput, number of classes, growth with the number of masks.

Parts of the table, each a ratio of candidates that took turns in one run:

- ``throughput``: masks of CamVid where it is found, else generated ones, with as many threads for each
  candidate. ``decode`` is ``np.asarray(Image.open(file))`` and nothing else; ``speed`` is the candidate's
  throughput divided by that of ``decode``. The scan reads gray masks with OpenCV, an extra, where it is
  installed; then there are rows for its bare decoding and for the scan without it, too.
- ``classes``: the same shapes filled with 19 and with 171 classes; ``ratio`` is the time of the candidate
  divided by that of 19 classes.
- ``commands``: what `aucseg data init`, `verify` and `stats` do with a folder of JPEG images and PNG masks,
  beside loops in as many threads that open the same files with Pillow and do nothing else. ``stats`` is
  divided by ``decode masks``, ``init`` by ``decode masks, open images``, as it wants the images' sizes, and
  ``verify`` by ``decode masks and images``: ``ratio`` by the clock, ``cpu_ratio`` by the processor.
- ``growth``: 1,250 to 10,000 masks, each in a process of its own; ``cpu_microseconds_per_mask``, and
  ``extra_memory_mib``, the peak of the process less what it held before the scan.

Where others use the machine, seconds of the clock say how busy it was. ``cpu_seconds`` is the time of the
processor, the least of all turns; ``cpu_speed`` and ``cpu_ratio`` are ratios of it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Row, run_on_devices
from peak_memory import extra_peak_bytes, in_fresh_process, measurable
from PIL import Image
from timing import quartiles, turns

from aucseg.catalog import init_folder, resolve
from aucseg.data.palette import distinct_colors
from aucseg.data.reading import decode_gray_png, read_ids
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import default_workers
from aucseg.errors import DataError
from aucseg.longtail import MaskFiles, count

SIZE = (256, 256)
SHAPES = 40


def draw_mask(seed: int, classes: int, size: tuple[int, int]) -> np.ndarray:
    """Overlapping ellipses of a long tail of classes, uint8; the shapes depend on the seed alone."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.ogrid[:height, :width]
    centers, radii = rng.random((SHAPES, 2)) * size, 4 + rng.random((SHAPES, 2)) * height / 4
    ranks = rng.random(SHAPES)
    mask = np.zeros(size, np.uint8)
    for (cy, cx), (ry, rx), rank in zip(centers, radii, ranks, strict=True):
        inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        mask[inside] = int(classes**rank) - 1 if rank < 0.97 else 255
    return mask


def write_masks(folder: Path, number: int, classes: int, size: tuple[int, int]) -> MaskFiles:
    """Write masks as PNG files and return them as a source."""
    folder.mkdir(parents=True)
    names = [f"{i:05d}" for i in range(number)]
    for i, name in enumerate(names):
        Image.fromarray(draw_mask(i, classes, size)).save(folder / f"{name}.png")
    return folder_source(folder, number, classes)


def folder_source(folder: Path, number: int, classes: int) -> MaskFiles:
    """The first masks that :func:`write_masks` wrote to a folder."""
    names = [f"{i:05d}" for i in range(number)]
    places = [folder / f"{name}.png" for name in names]
    class_names = tuple(f"class {i}" for i in range(classes))
    spec = ClassSpec("generated", class_names, ((0, 0, 0),) * classes, ("head",) * classes)
    return MaskFiles(spec, names, places, partial(read_ids, table=None))


def throughput(repetitions: int, number: int) -> Iterator[Row]:
    """Candidates on the same files, in turns."""
    workers = default_workers()
    with tempfile.TemporaryDirectory() as folder:
        try:
            source, images = resolve("camvid").masks("train"), "camvid"
        except DataError:
            source, images = write_masks(Path(folder) / "masks", number, 19, SIZE), "generated"

        def decode() -> None:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(lambda place: np.asarray(Image.open(place)), source.places):
                    pass

        def bincount() -> None:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(lambda place: np.bincount(source.read(place).ravel()), source.places):
                    pass

        def by_opencv() -> None:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(decode_gray_png, source.places):
                    pass

        by_pillow = replace(source, read=lambda place: np.asarray(Image.open(place)))
        candidates = {
            "decode": decode,
            "bincount of each mask": bincount,
            "scan": lambda: count(source, workers=workers),
            "scan with regions": lambda: count(source, workers=workers, regions=True),
        }
        if decode_gray_png(source.places[0]) is not None:
            candidates["decode by OpenCV"] = by_opencv
            candidates["scan without OpenCV"] = lambda: count(by_pillow, workers=workers)
        pixels = sum(np.asarray(Image.open(place)).size for place in source.places)
        candidates, processor = clocked(candidates)
        times = turns(candidates, repetitions=repetitions, device="cpu")
        for name, seconds in times.items():
            low, middle, high = quartiles(times["decode"], seconds)
            cpu = min(processor[name])
            yield {
                "part": "throughput",
                "device": "cpu",
                "candidate": name,
                "masks": len(source),
                "images": images,
                "workers": workers,
                "seconds": statistics.median(seconds),
                "megapixels_per_second": pixels / statistics.median(seconds) / 1e6,
                "speed": middle,
                "speed_low": low,
                "speed_high": high,
                "cpu_seconds": cpu,
                "cpu_speed": min(processor["decode"]) / cpu,
            }


def class_numbers(repetitions: int, number: int) -> Iterator[Row]:
    """19 and 171 classes in the same shapes, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        sources = {k: write_masks(Path(folder) / str(k), number, k, SIZE) for k in (19, 171)}
        candidates = {
            f"{k} classes{', regions' if regions else ''}": partial(count, source, regions=regions)
            for regions in (False, True)
            for k, source in sources.items()
        }
        candidates, processor = clocked(candidates)
        times = turns(candidates, repetitions=repetitions, device="cpu")
    for name, seconds in times.items():
        base = name.replace("171", "19")
        low, middle, high = quartiles(seconds, times[base])
        yield {
            "part": "classes",
            "device": "cpu",
            "candidate": name,
            "masks": number,
            "images": "generated",
            "workers": default_workers(),
            "seconds": statistics.median(seconds),
            "ratio": middle,
            "ratio_low": low,
            "ratio_high": high,
            "cpu_seconds": min(processor[name]),
            "cpu_ratio": min(processor[name]) / min(processor[base]),
        }


def commands(repetitions: int, number: int, size: tuple[int, int]) -> Iterator[Row]:
    """The commands on a folder of one's own, and loops over its files, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), number, size)
        yield from beside_loops(Path(folder), repetitions)


def write_folder(root: Path, number: int, size: tuple[int, int]) -> None:
    """Images and masks, no two alike: few masks are drawn, and the others are these, moved sideways."""
    for name in ("masks", "images"):
        (root / name).mkdir(parents=True)
    drawn = [draw_mask(i, 19, size) for i in range(min(number, 250))]
    palette = np.array(distinct_colors(20), np.uint8)
    for i in range(number):
        turn, which = divmod(i, len(drawn))
        mask = np.roll(drawn[which], turn * size[1] // 64, axis=1)
        noise = np.random.default_rng(i).integers(0, 16, (*size, 3), dtype=np.uint8)
        Image.fromarray(mask).save(root / "masks" / f"{i:05d}.png")
        Image.fromarray(palette[mask % 20] // 2 + noise).save(root / "images" / f"{i:05d}.jpg")


def beside_loops(root: Path, repetitions: int) -> Iterator[Row]:
    """The commands on a folder that :func:`write_folder` made, beside loops over its files."""
    images, masks = (sorted((root / name).iterdir()) for name in ("images", "masks"))
    with Image.open(masks[0]) as picture:
        size = f"{picture.width}x{picture.height}"
    init_folder(root, overwrite=True)
    decode_masks = partial(open_all, (masks, True))
    open_images = partial(open_all, (masks, True), (images, False))
    decode_both = partial(open_all, (masks, True), (images, True))
    candidates: dict[str, tuple[str, Callable[[], Any]]] = {
        "decode masks": ("decode masks", decode_masks),
        "decode masks, open images": ("decode masks, open images", open_images),
        "decode masks and images": ("decode masks and images", decode_both),
        "data init": ("decode masks, open images", lambda: init_folder(root, overwrite=True)),
        "data verify": ("decode masks and images", lambda: resolve(root).verify()),
        "data stats": ("decode masks", lambda: resolve(root).count("all")),
    }
    runs, processor = clocked({name: run for name, (_, run) in candidates.items()})
    times = turns(runs, repetitions=repetitions, device="cpu")
    for name, (base, _) in candidates.items():
        low, middle, high = quartiles(times[name], times[base])
        yield {
            "part": "commands",
            "device": "cpu",
            "candidate": name,
            "masks": len(masks),
            "images": f"generated, {size}",
            "workers": default_workers(),
            "seconds": statistics.median(times[name]),
            "ratio": middle,
            "ratio_low": low,
            "ratio_high": high,
            "cpu_seconds": min(processor[name]),
            "cpu_ratio": min(processor[name]) / min(processor[base]),
        }


def open_all(*sides: tuple[Sequence[Path], bool]) -> None:
    """Open files with Pillow, and decode those of which that is said; each thread has its share of them."""
    workers = default_workers()

    def share(first: int) -> None:
        for files, decoded in sides:
            for place in files[first::workers]:
                with Image.open(place) as picture:
                    if decoded:
                        np.asarray(picture)

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(share, range(workers)):
            pass


def growth(numbers: tuple[int, ...]) -> Iterator[Row]:
    """Time and memory over the number of masks; a process each, since a peak never falls."""
    with tempfile.TemporaryDirectory() as folder:
        masks = Path(folder) / "masks"
        write_masks(masks, max(numbers), 19, SIZE)
        for number in numbers:
            for regions in (False, True):
                seconds, extra = in_fresh_process(scan_alone, str(masks), number, regions)
                yield {
                    "part": "growth",
                    "device": "cpu",
                    "candidate": "scan with regions" if regions else "scan",
                    "masks": number,
                    "images": "generated",
                    "workers": default_workers(),
                    "cpu_seconds": seconds,
                    "cpu_microseconds_per_mask": 1e6 * seconds / number,
                    "extra_memory_mib": extra,
                }


def scan_alone(folder: str, number: int, regions: bool) -> Any:
    """Scan once in this process: seconds of the processor, and MiB beyond what was there before."""
    source = folder_source(Path(folder), number, 19)
    count(folder_source(Path(folder), min(64, number), 19), regions=regions)  # imports, threads, heap
    start = time.process_time()
    if not measurable("cpu"):
        count(source, regions=regions)
        return time.process_time() - start, None
    extra = extra_peak_bytes(lambda: count(source, regions=regions), "cpu")
    return time.process_time() - start, extra / 2**20


def clocked(
    candidates: dict[str, Callable[[], Any]],
) -> tuple[dict[str, Callable[[], Any]], dict[str, list[float]]]:
    """The same candidates, and for each of them the seconds of the processor that its calls took."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}

    def clock(name: str, run: Callable[[], Any]) -> None:
        start = time.process_time()
        run()
        taken[name].append(time.process_time() - start)

    return {name: partial(clock, name, run) for name, run in candidates.items()}, taken


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """All parts; masks are decoded on the processor, whatever the device."""
    for part in PARTS.values():
        yield from part(device, repetitions)


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """All parts, tiny."""
    if device == "cpu":
        yield from throughput(repetitions, 8)
        yield from class_numbers(repetitions, 8)
        yield from commands(repetitions, 20, (64, 64))
        yield from growth((8,))


def _on_processor(*parts: Callable[[int], Iterable[Row]]) -> Callable[[str, int], Iterator[Row]]:
    def run(device: str, repetitions: int) -> Iterator[Row]:
        for part in parts if device == "cpu" else ():
            yield from part(repetitions)

    return run


PARTS = {
    "throughput": _on_processor(lambda repetitions: throughput(repetitions, 400)),
    "classes": _on_processor(lambda repetitions: class_numbers(repetitions, 400)),
    "commands": _on_processor(
        lambda repetitions: commands(min(repetitions, 3), 10_000, SIZE),
        lambda repetitions: commands(min(repetitions, 5), 500, (512, 1024)),
    ),
    "growth": _on_processor(lambda _: growth((1250, 2500, 5000, 10_000))),
}

if __name__ == "__main__":
    run_on_devices("mask_statistics", __doc__ or "", measure, quick, PARTS)

"""Images per second of SyntheticStreets with one and two processes: one JSON line for each."""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor

from aucseg.data.streets import SyntheticStreets


def draw(num_images: int, size: tuple[int, int], first: int, step: int) -> int:
    """Render every ``step``-th image from ``first``; returns how many."""
    streets = SyntheticStreets(num_images, size)
    for i in range(first, num_images, step):
        streets.render(i)
    return len(range(first, num_images, step))


def main() -> None:
    """Measure both in one run, at the size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 256), metavar=("HEIGHT", "WIDTH"))
    args = parser.parse_args()
    size = (args.size[0], args.size[1])
    draw(4, size, 0, 1)  # noise tiles
    for processes in (1, 2):
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(draw, [4] * processes, [size] * processes, [0] * processes, [1] * processes))
            start = time.perf_counter()
            jobs = [pool.submit(draw, args.images, size, k, processes) for k in range(processes)]
            done = sum(job.result() for job in jobs)
            seconds = time.perf_counter() - start
        line = {
            "benchmark": "streets",
            "size": size,
            "processes": processes,
            "images": done,
            "seconds": round(seconds, 3),
            "images_per_second": round(done / seconds, 1),
            "ms_per_image_per_process": round(1e3 * seconds * processes / done, 2),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()

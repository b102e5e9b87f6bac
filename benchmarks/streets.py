"""Images per second of SyntheticStreets with one and two processes."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor

from measure import add_csv_option, report

from aucseg.streets import SyntheticStreets


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
    add_csv_option(parser, "streets")
    args = parser.parse_args()
    size = (args.size[0], args.size[1])
    draw(4, size, 0, 1)  # noise tiles
    rows = []
    for processes in (1, 2):
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(draw, [4] * processes, [size] * processes, [0] * processes, [1] * processes))
            start = time.perf_counter()
            jobs = [pool.submit(draw, args.images, size, k, processes) for k in range(processes)]
            done = sum(job.result() for job in jobs)
            seconds = time.perf_counter() - start
        rows.append(
            {
                "device": "cpu",
                "size": f"{size[0]}x{size[1]}",
                "processes": processes,
                "images": done,
                "seconds": seconds,
                "images_per_second": done / seconds,
                "seconds_for_1000": 1000 * seconds / done,
            }
        )
    report(rows, args.csv)


if __name__ == "__main__":
    main()

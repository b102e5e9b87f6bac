"""``aucseg bound`` and ``aucseg gap``: what the theory says of a data set, and whether it says anything."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from aucseg import paths
from aucseg.cli.bound_sources import BoundInput, read_masks, read_source
from aucseg.cli.bound_tables import print_bound, print_fits
from aucseg.errors import DataError, OptionError, file_errors
from aucseg.longtail import Tally
from aucseg.theory import (
    MAX_CLASSES,
    GapDesign,
    GapRow,
    batch_sizes,
    batch_sizes_of_set,
    crop_hit_probability,
    crop_presence,
    crop_probabilities,
    exact_batch_size,
    first_useful_size,
    fit_gaps,
    generalization_bound,
    imbalance,
    imbalance_range,
    measure_gaps,
    simulate_coverage,
)

_FITTED = ("sup_gap", "optimism")


def bound(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="cityscapes, ade20k, coco_stuff, streets, a folder or a data set."
        ),
    ],
    delta: Annotated[float, typer.Option(help="Accepted probability that a statement fails.")] = 0.01,
    split: Annotated[str, typer.Option(help="The split of a folder.")] = "train",
    pixels: Annotated[int | None, typer.Option(min=1, help="k, pixels of the largest image.")] = None,
    crop: Annotated[
        tuple[int, int] | None, typer.Option(help="Height and width: batch sizes for crops, too.")
    ] = None,
    lipschitz: Annotated[float, typer.Option(help="mu of the surrogate.")] = 4.0,
    cover: Annotated[
        tuple[float, float, float], typer.Option(help="A, B and C of the covering-number assumption.")
    ] = (1.0, 1.0, 1.0),
    draws: Annotated[int, typer.Option(min=1, help="Batches to simulate beyond 20 classes.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulation.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Degree of imbalance, batch sizes of Proposition 1 and the terms of Theorem 1 for a training set."""
    source = read_source(data, split)
    tally = source.tally
    occurring = np.flatnonzero(tally.images > 0)
    k = pixels or tally.max_image_pixels
    tau = _tau(tally, occurring, k)
    area = k or round(float(tally.pixels.sum()) / tally.num_images)
    constants = dict(zip(("cover_a", "cover_b", "cover_c"), cover, strict=True))
    constants |= {"lipschitz": lipschitz, "pixels": area}
    content: dict[str, Any] = {
        "name": tally.name,
        "origin": source.origin,
        "images": tally.num_images,
        "classes": len(occurring),
        "absent": [tally.names[c] for c in range(tally.num_classes) if c not in occurring],
        "delta": delta,
        "tau": tau,
        "batch_sizes": _batch_sizes(source, occurring, delta, crop, draws, seed),
        "constants": constants,
        "bound": _bounds(tally.num_images, tau, len(occurring), delta, constants),
    }
    if as_json:
        typer.echo(json.dumps(content, indent=1))
        return
    print_bound(content)


def gap(
    seeds: Annotated[int, typer.Option(min=3, help="Training sets for each size and degree.")] = 20,
    output: Annotated[
        Path | None, typer.Option(help="CSV to write; data/records/theory/gap.csv if not given.")
    ] = None,
    test_images: Annotated[
        int, typer.Option(min=1024, help="Images that stand for the population.")
    ] = 65_536,
    largest: Annotated[
        int, typer.Option(min=16, help="Most training images; sizes are powers of two.")
    ] = 512,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the gap that Theorem 1 bounds, on synthetic images: how it falls with N and rises with tau."""
    sizes = tuple(2**power for power in range(3, largest.bit_length()))
    design = GapDesign(sizes=sizes, test_images=test_images)
    rows = measure_gaps(design, range(seeds))
    path = output or paths.records() / "theory" / "gap.csv"
    with file_errors(path, "cannot be written"):
        write_gaps(rows, path)
    fits = [fit_gaps(rows, quantity) for quantity in _FITTED]
    if as_json:
        typer.echo(json.dumps({"file": str(path), "fits": [asdict(fit) for fit in fits]}, indent=1))
        return
    print_fits(rows, fits)
    typer.echo(f"written: {path}")


def write_gaps(rows: list[GapRow], path: Path) -> Path:
    """Write measured gaps as CSV, a row each; a reader sees the whole file or none.

    Args:
        rows: the rows.
        path: the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(GapRow)])
        # nine digits: more would differ between machines
        writer.writerows([format(v, ".9g") for v in astuple(row)] for row in rows)
    part.replace(path)
    return path


def read_gaps(path: Path) -> list[GapRow]:
    """Read what `write_gaps` wrote.

    Args:
        path: the file.

    Raises:
        DataError: if the file has other columns.
        ValueError: if a cell is no number.
    """
    names = [field.name for field in fields(GapRow)]
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != names:
            raise DataError(
                f"{path} has the columns {reader.fieldnames}, expected {names}; run `aucseg gap` again"
            )
        return [
            GapRow(**{n: int(row[n]) if n in ("images", "seed") else float(row[n]) for n in names})  # type: ignore[arg-type]
            for row in reader
        ]


def _tau(tally: Tally, occurring: np.ndarray, image_pixels: int | None) -> dict[str, Any]:
    if tally.pixels_by_image is not None:
        exact = imbalance(tally.pixels_by_image.toarray()[:, occurring])
        low = high = exact.tau
        worst = exact.worst
    else:
        span = imbalance_range(
            tally.pixels[occurring], tally.images[occurring], tally.num_images, image_pixels=image_pixels
        )
        low, high, worst = span.low, span.high, span.worst
    return {"low": low, "high": high, "class": tally.names[occurring[worst]]}


def _batch_sizes(
    source: BoundInput,
    occurring: np.ndarray,
    delta: float,
    crop: tuple[int, int] | None,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    tally = source.tally
    images = tally.images[occurring]
    found: dict[str, Any] = {
        "with_replacement": asdict(batch_sizes(images / tally.num_images, delta)),
        "without_replacement": asdict(batch_sizes_of_set(images, tally.num_images, delta)),
    }
    if tally.presence is not None:
        presence = tally.presence[:, occurring]
        for suffix, twice in (("", False), ("_with_replacement", True)):
            if (~presence.all(0)).sum() <= MAX_CLASSES:
                found[f"exact{suffix}"] = exact_batch_size(presence, delta, replacement=twice)
            else:
                times = simulate_coverage(presence, draws=draws, seed=seed, replacement=twice)
                found[f"simulated{suffix}"] = asdict(times.batch_size(delta))
    if crop is not None:
        shares, model = _crop_shares(source, occurring, crop)
        found["crops"] = {"size": crop, "model": model, **asdict(batch_sizes(shares, delta))}
    return found


def _crop_shares(source: BoundInput, occurring: np.ndarray, crop: tuple[int, int]) -> tuple[np.ndarray, str]:
    tally = source.tally
    if source.masks is not None:
        measured = crop_probabilities(read_masks(source.masks), tally.num_classes, crop)
        return measured[occurring], "measured on every place of the crop"
    if tally.image_size is None:
        raise OptionError(f"the images of {tally.name!r} differ in size: crops need a folder of masks")
    pixels, images = tally.pixels[occurring], tally.images[occurring]
    hits = [
        crop_hit_probability(tally.image_size, crop, _object_size(area, tally.image_size))
        for area in (pixels / images).tolist()
    ]
    return crop_presence(images / tally.num_images, hits), "one square object of the mean area, anywhere"


def _object_size(area: float, image: tuple[int, int]) -> tuple[int, int]:
    """A square of the area, or a band across the image where no such square fits into it."""
    side, short = max(1, round(area**0.5)), min(image)
    if side <= short:
        return side, side
    long = min(max(image), round(area / short))
    return (short, long) if image[0] == short else (long, short)


def _bounds(
    num_images: int, tau: dict[str, Any], num_classes: int, delta: float, constants: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for variant in ("printed", "corrected"):
        for value in dict.fromkeys((tau["low"], tau["high"])):
            terms = generalization_bound(num_images, value, num_classes, delta, variant=variant, **constants)
            useful = first_useful_size(value, num_classes, delta, variant=variant, **constants)
            numbers = {n.name: float(getattr(terms, n.name)) for n in fields(terms) if n.name != "variant"}
            rows.append(
                {
                    "variant": variant,
                    "tau": value,
                    **numbers,
                    "total": float(terms.total),
                    "limit": useful.limit,
                    "below_one_from": useful.num_images,
                }
            )
    return rows

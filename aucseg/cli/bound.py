"""``aucseg bound`` and ``aucseg gap``: what the theory says of a data set, and whether it says anything."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Annotated

import typer

from aucseg import paths
from aucseg.cli.data import known_of, locate
from aucseg.cli.options import As, AsJson, Images, Masks, Split, Target, TrainSplit
from aucseg.cli.printing import print_bound, print_fits
from aucseg.data.files import check_place, write_rows
from aucseg.longtail.bounds import bound_report
from aucseg.theory import GapDesign, GapRow, fit_gaps, measure_gaps

_FITTED = ("sup_gap", "optimism")


def bound(
    data: Target,
    delta: Annotated[float, typer.Option(help="Accepted probability that a statement fails.")] = 0.01,
    split: Split = None,
    train_split: TrainSplit = None,
    kind: As = None,
    images: Images = None,
    masks: Masks = None,
    pixels: Annotated[int | None, typer.Option(min=1, help="k, pixels of the largest image.")] = None,
    crop: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="Size of crops: batch sizes for them, too."),
    ] = None,
    lipschitz: Annotated[float, typer.Option(help="mu of the surrogate.")] = 4.0,
    cover: Annotated[
        tuple[float, float, float],
        typer.Option(metavar="A B C", help="Constants of the covering-number assumption."),
    ] = (1.0, 1.0, 1.0),
    draws: Annotated[int, typer.Option(min=1, help="Batches to simulate beyond 20 classes.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulation.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Degree of imbalance, batch sizes of Proposition 1 and the terms of Theorem 1 for a training set."""
    located = locate(data, images=images, masks=masks, kind=kind, train_split=train_split)
    known = known_of(located, split)
    report = bound_report(
        known.tally,
        known.masks,
        delta=delta,
        pixels=pixels,
        crop=crop,
        lipschitz=lipschitz,
        cover=cover,
        draws=draws,
        seed=seed,
    )
    content = {"name": located.title, "origin": known.origin, **report}
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another file that is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the gap that Theorem 1 bounds, on synthetic images: how it falls with N and rises with tau."""
    path, columns = output or paths.records() / "theory" / "gap.csv", [field.name for field in fields(GapRow)]
    check_place(path, columns, overwrite=overwrite)
    sizes = tuple(2**power for power in range(3, largest.bit_length()))
    rows = measure_gaps(GapDesign(sizes=sizes, test_images=test_images), range(seeds))
    # nine digits: more would differ between machines
    cells = [[format(value, ".9g") for value in astuple(row)] for row in rows]
    write_rows(path, columns, cells)
    fits = [fit_gaps(rows, quantity) for quantity in _FITTED]
    if as_json:
        typer.echo(json.dumps({"file": str(path), "fits": [asdict(fit) for fit in fits]}, indent=1))
        return
    print_fits(rows, fits)
    typer.echo(f"written: {path}")

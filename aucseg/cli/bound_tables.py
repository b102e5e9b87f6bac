"""The tables that ``aucseg bound`` and ``aucseg gap`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from aucseg.theory import GapFit, GapRow, Slope

_TERMS = {
    "discretisation": "discretisation",
    "inner": "pairs inside an image",
    "inter": "pairs of two images",
    "confidence_inner": "confidence, inside",
    "confidence_inter": "confidence, two images",
    "total": "the bound",
    "limit": "its limit for many images",
}
_SIZES = {
    "necessary": "needed for the rarest class",
    "independent": "if classes were independent",
    "union": "enough however they occur",
    "sufficient": "Proposition 1",
}


def print_bound(content: dict[str, Any]) -> None:
    """Print what ``aucseg bound`` found."""
    console = Console()
    tau = content["tau"]
    title = (
        f"{content['name']}: {content['images']} images, {content['classes']} classes ({content['origin']})"
    )
    console.print(title, markup=False)
    span = f"{tau['low']:,.6g}" if tau["low"] == tau["high"] else f"{tau['low']:,.6g} to {tau['high']:,.6g}"
    console.print(f"tau {span}; the class that makes it: {tau['class']}", markup=False)

    sizes = content["batch_sizes"]
    columns = [("with_replacement", "with replacement"), ("without_replacement", "without")]
    if "crops" in sizes:
        height, width = sizes["crops"]["size"]
        columns.append(("crops", f"crops {height} x {width}"))
    heading = f"images in a batch, delta {content['delta']:g}"
    table = Table(heading, *(label for _, label in columns))
    for key, label in _SIZES.items():
        table.add_row(label, *(f"{sizes[column][key]:,}" for column, _ in columns))
    really = [_really(sizes, suffix) for suffix in ("_with_replacement", "")]
    if any(really):
        table.add_row("as classes really occur", *really, *([""] * (len(columns) - 2)))
    console.print(table)
    if "crops" in sizes:
        console.print(f"crops: {sizes['crops']['model']}", markup=False)

    rows = content["bound"]
    # 80 columns must do: the names of the terms stay whole, the headings of the numbers are broken
    table = Table(Column("bound, term by term", no_wrap=True))
    for row in rows:
        table.add_column(f"{row['variant']}\ntau {row['tau']:,.4g}")
    for key, label in _TERMS.items():
        table.add_row(label, *(f"{row[key]:,.4g}" for row in rows))
    useful = (row["below_one_from"] for row in rows)
    table.add_row("below 1 from images", *("never" if n is None else f"{n:.3g}" for n in useful))
    console.print(table)
    given = ", ".join(f"{key} {value:g}" for key, value in content["constants"].items())
    console.print(f"constants (the paper does not give A, B, C): {given}", markup=False)
    for name in content["absent"]:
        console.print(f"left out, in no image: {name}", style="yellow", markup=False)


def _really(sizes: dict[str, Any], suffix: str) -> str:
    """The size that the presence matrix gives, if there is one."""
    if f"exact{suffix}" in sizes:
        return f"{sizes[f'exact{suffix}']:,}"
    found = sizes.get(f"simulated{suffix}")
    return f"{found['value']:,} ({found['low']:,} to {found['high']:,}, simulated)" if found else ""


def print_fits(rows: Sequence[GapRow], fits: Sequence[GapFit]) -> None:
    """Print the means over seeds and the exponents of the measured gaps."""
    console = Console()
    sizes = sorted({row.images for row in rows})
    taus = sorted({row.tau for row in rows})
    for fit in fits:
        table = Table(fit.quantity, *(f"tau {tau:g}" for tau in taus))
        for n in sizes:
            groups = [[getattr(r, fit.quantity) for r in rows if (r.tau, r.images) == (t, n)] for t in taus]
            table.add_row(f"n = {n}", *(f"{np.mean(group):.4f}" for group in groups))
        table.add_section()
        table.add_row("exponent of n", *(f"{fit.by_tau[tau].value:.2f}" for tau in taus))
        table.add_row("  from", *(f"{fit.by_tau[tau].low:.2f}" for tau in taus))
        table.add_row("  to", *(f"{fit.by_tau[tau].high:.2f}" for tau in taus))
        console.print(table)
        console.print(f"together: n to the {_slope(fit.per_images)}")
        if fit.per_tau and fit.per_spread:
            console.print(f"  tau to the {_slope(fit.per_tau)}, or spread to the {_slope(fit.per_spread)}")
    console.print("Theorem 1 bounds the first by n to the -0.5 times tau to the 1, up to logarithms.")


def _slope(slope: Slope) -> str:
    return f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"

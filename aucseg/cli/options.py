"""Options that commands about data and commands about runs have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from aucseg.data.reading import LARGEST, MAX_PIXELS

MOST_PIXELS = LARGEST

TARGET = "A folder, or the name of a known data set."
Target = Annotated[str, typer.Argument(metavar="DATA", help=TARGET)]
Split = Annotated[
    str | None, typer.Option(help="The split to count, all for all together; the one that trains by default.")
]
Splits = Annotated[list[str] | None, typer.Option("--split", help="Only this split; may be repeated.")]
TrainSplit = Annotated[
    str | None, typer.Option(help="The split that trains, where none of several is called train.")
]
As = Annotated[str | None, typer.Option("--as", help="The data set that a folder holds, if not found so.")]
Images = Annotated[str | None, typer.Option(help="Where images lie, for example imgs/{name}_img.jpg.")]
Masks = Annotated[str | None, typer.Option(help="Where masks lie, for example gts/{name}_gt.png.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxPixels = Annotated[
    int,
    typer.Option(min=1, envvar=MAX_PIXELS, help="Pixels of the largest picture that is opened."),
]
ValueRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range",
        metavar="LOW HIGH",
        help="Of pictures with more than 8 bits: the values that are black and white, as --range 0 4095.",
    ),
]

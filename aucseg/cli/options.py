"""Options that commands about data and commands about runs have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from aucseg.data.reading import MAX_PIXELS

# Pillow's own limit, which it has against files of a few bytes that would fill the memory.
MOST_PIXELS = 178_956_970

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

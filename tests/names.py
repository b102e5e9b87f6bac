"""Names of classes that are markup somewhere: in a terminal, in HTML, in Markdown, as a formula or a path."""

from __future__ import annotations

NAMES = (
    "[red]",
    "[/b] wall",
    "<script>alert(1)</script>",
    "road/left",
    "$x^2$ & 5%_#",
    "a $10 & $b^{",
    "_Straße_ [wet]",
)

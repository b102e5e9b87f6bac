"""The end of an error message about a name that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a question, or all known names if none is near.

    Args:
        name: what was given.
        known: what could have been given.

    Returns:
        ``"did you mean 'unet'?"`` or ``"known: fpn, unet"``.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"

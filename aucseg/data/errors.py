"""The one exception of the data room."""

from __future__ import annotations

from aucseg.errors import UserError


class DataError(UserError, ValueError):
    """Something is wrong with the data on disk: which file, what, and what to do about it."""

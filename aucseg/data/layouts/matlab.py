"""Label maps in Matlab files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aucseg.errors import DataError


def read_matrix(path: Path, key: str) -> np.ndarray:
    """A label map of a Matlab file (up to version 7.2), (H, W) uint8.

    Args:
        path: the file.
        key: name of the matrix.

    Raises:
        DataError: if the file cannot be read, lacks the matrix, or holds values outside 0 to 255.
    """
    from scipy.io import loadmat  # for the two data sets that come so

    try:
        content = loadmat(path, variable_names=[key])
    except Exception as error:  # on a damaged file the reader raises whatever it stumbles over
        raise DataError(
            f"unreadable mask ({type(error).__name__}: {error})", file=path, remedy="fetch the file again"
        ) from error
    if key not in content:
        raise DataError(f"no matrix {key!r}", file=path, remedy="fetch the file again")
    matrix = np.asarray(content[key])
    if matrix.ndim != 2 or not matrix.size or not np.issubdtype(matrix.dtype, np.number):
        raise DataError(
            f"matrix {key!r} is {matrix.dtype} of shape {matrix.shape}",
            file=path,
            remedy="a label map holds one number for each pixel",
        )
    if matrix.min() < 0 or matrix.max() > 255 or np.any(matrix != np.rint(matrix)):
        raise DataError(
            f"values from {matrix.min()} to {matrix.max()} in {key!r}",
            file=path,
            remedy="labels are whole numbers from 0 to 255",
        )
    return matrix.astype(np.uint8)

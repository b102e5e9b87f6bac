"""CamVid in its SegNet version: 701 street scenes of 480x360, 11 classes."""

from __future__ import annotations

import os

from aucseg.data.folder import FolderDataset
from aucseg.data.places import find_root
from aucseg.data.spec import load_spec

__all__ = ["CamVid", "find_root"]


class CamVid(FolderDataset):
    """CamVid (Brostow et al., 2008 and 2009) with the splits and 11 classes of SegNet.

    train 367, val 101, test 233 images. Val comes from one sequence, which also supplies 204 training
    frames: compare methods on test. For non-commercial research only.

    Args:
        root: the folder; None searches as `find_root` says.
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: (height, width) to resize to.
        cache: keep the decoded items in memory.

    Raises:
        DataError: if the data set is not found, or the folder's classes are not CamVid's.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        size: tuple[int, int] | None = None,
        cache: bool = False,
    ) -> None:
        super().__init__(find_root("camvid", root), split, load_spec("camvid"), size=size, cache=cache)

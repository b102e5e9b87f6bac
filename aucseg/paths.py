"""Where things lie: the one module that knows the folders of the project.

Everything hangs on one *home* folder. It is, in this order: the environment variable ``AUCSEG_HOME``; the
nearest folder above the working directory that looks like the project (it holds ``_config.yml`` and
``aucseg/``); the working directory.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The project's root, or the working directory of somebody who only installed the library."""
    if os.environ.get("AUCSEG_HOME"):
        return Path(os.environ["AUCSEG_HOME"]).expanduser().resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "_config.yml").is_file() and (folder / "aucseg").is_dir():
            return folder
    return here


def records() -> Path:
    """Recorded runs, one JSON file each: ``data/records``."""
    return home() / "data" / "records"


def published() -> Path:
    """Numbers printed in the papers, one CSV file for each table: ``data/published``."""
    return home() / "data" / "published"


def runs() -> Path:
    """Checkpoints and whatever else a run leaves behind that is not committed: ``runs``."""
    return home() / "runs"

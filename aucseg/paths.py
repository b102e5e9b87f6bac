"""Where things lie: the one module that knows the folders of the project.

Everything hangs on one *home* folder. It is, in this order: the environment variable ``AUCSEG_HOME``; the
nearest folder above the working directory that looks like the project (it holds ``_config.yml`` and
``aucseg/``); in a notebook, the clone that this package is imported from, so that a chapter finds its records
whatever folder its kernel was started in; the working directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def expand(path: str | os.PathLike[str]) -> Path:
    """A path as a shell would read it: ``~`` is the home folder, ``$NAME`` the environment variable.

    Args:
        path: as somebody wrote it in a file, a notebook or an option that no shell has seen.
    """
    return Path(os.path.expandvars(path)).expanduser()


def home() -> Path:
    """The project's root, or the working directory of somebody who only installed the library."""
    if os.environ.get("AUCSEG_HOME"):
        return expand(os.environ["AUCSEG_HOME"]).resolve()
    here = Path.cwd().resolve()
    places = [here, *here.parents]
    if "ipykernel" in sys.modules:
        places.append(Path(__file__).resolve().parents[1])
    for folder in places:
        if (folder / "_config.yml").is_file() and (folder / "aucseg").is_dir():
            return folder
    return here


def told(path: str | os.PathLike[str]) -> str:
    """A path as a line for the user has it: from the project's root where it lies below that.

    Args:
        path: of a file or a folder.
    """
    path, root = Path(path).absolute(), home()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def records() -> Path:
    """Recorded runs, one JSON file each: ``data/records``."""
    return home() / "data" / "records"


def published() -> Path:
    """Numbers printed in the papers, one CSV file for each table: ``data/published``."""
    return home() / "data" / "published"


def class_stats() -> Path:
    """Pixels and images of each class of public data sets, with their sources: ``data/class_stats``."""
    return home() / "data" / "class_stats"


def benchmarks() -> Path:
    """What ``make bench`` measured, one CSV file for each benchmark: ``data/benchmarks``."""
    return home() / "data" / "benchmarks"


def dataset(name: str) -> Path:
    """Where ``aucseg data get NAME`` puts a data set: ``data/<name>``."""
    return home() / "data" / name


def dataset_places(name: str) -> list[Path]:
    """Folders in which a data set may lie, the likeliest first.

    That of the project; the one in the folder that the environment variable ``AUCSEG_SHARED`` names; the one
    in a folder ``shared`` beside the project, for machines on which several clones share one copy.
    """
    places = [dataset(name)]
    if shared := os.environ.get("AUCSEG_SHARED"):
        places.append(expand(shared) / "data" / name)
    return [*places, home().parent / "shared" / "data" / name]


def runs() -> Path:
    """Checkpoints and whatever else a run leaves behind that is not committed: ``runs``."""
    return home() / "runs"

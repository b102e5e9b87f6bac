"""What several tests of the repository need: its root, its files, its public objects."""

from __future__ import annotations

import importlib
import inspect
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]

PUBLIC = (
    "functional",
    "theory",
    "losses",
    "memory",
    "metrics",
    "data",
    "streets",
    "longtail",
    "catalog",
    "models",
    "training",
    "experiments",
    "plots",
    "plots.anatomy",
)


@cache
def project_files() -> tuple[Path, ...]:
    """Files that belong to the project: tracked, or new and not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return tuple(ROOT / name for name in listed if name and (ROOT / name).is_file())


def public_modules() -> Iterator[ModuleType]:
    """The packages whose ``__all__`` is the public interface."""
    for name in PUBLIC:
        yield importlib.import_module(f"aucseg.{name}")


def public_objects() -> Iterator[tuple[str, object]]:
    """Public classes and functions, and the public methods that those classes define, by dotted name."""
    for module in public_modules():
        for name in module.__all__:
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing):
                for method, value in vars(thing).items():
                    function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
                    if not method.startswith("_") and inspect.isfunction(function):
                        yield f"{module.__name__}.{name}.{method}", function

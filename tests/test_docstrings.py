"""Every public object says what it is, and its documented arguments are those of its signature."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
from pydantic import BaseModel

from tests.repository import public_objects

OBJECTS = list(public_objects())
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Shape|Example|Examples|Note|References):\s*$")


def documented(docstring: str, section: str) -> list[str] | None:
    """Names in one section of a Google docstring, or None without that section."""
    lines = inspect.cleandoc(docstring).splitlines()
    if f"{section}:" not in lines:
        return None
    names = []
    for line in lines[lines.index(f"{section}:") + 1 :]:
        if SECTION.match(line) or (line and not line.startswith(" ")):
            break
        if match := re.match(r"    (\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:", line):
            names += [name.strip().lstrip("*") for name in match[1].split(",")]
    return names


def parameters(thing: object) -> list[str]:
    """Parameter names of a function, or of a class's constructor; a protocol of attributes has none."""
    if getattr(thing, "_is_protocol", False):
        return []
    function = thing.__init__ if inspect.isclass(thing) else thing
    names = list(inspect.signature(function).parameters)  # type: ignore[arg-type]
    return [name for name in names if name not in ("self", "cls")]


def is_fields_class(thing: object) -> bool:
    """Whether a class is a list of fields, which ``Attributes`` may document instead."""
    return inspect.isclass(thing) and (
        dataclasses.is_dataclass(thing) or issubclass(thing, BaseModel) or hasattr(thing, "_fields")
    )


@pytest.mark.parametrize(("name", "thing"), OBJECTS, ids=[name for name, _ in OBJECTS])
def test_docstring(name: str, thing: object) -> None:
    docstring = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert docstring, f"{name} has no docstring"
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    args = documented(docstring, "Args")
    if args is not None:
        assert args == parameters(thing), f"{name}: Args are {args}, the signature has {parameters(thing)}"
    elif is_fields_class(thing):
        fields = documented(docstring, "Attributes") or []
        wanted = [p for p in getattr(thing, "__annotations__", {}) if not p.startswith("_")]
        absent = [p for p in wanted if p not in fields and p not in ("model_config",)]
        assert not (fields and absent), f"{name}: Attributes do not mention {absent}"
    elif inspect.isclass(thing) or "." not in name.removeprefix("aucseg.").partition(".")[2]:
        assert len(parameters(thing)) < 2, f"{name} takes {parameters(thing)} and has no Args section"


def test_documented_reads_a_google_docstring() -> None:
    text = """What it is.

    Args:
        first: one, with a colon: inside.
            more about it: still the same.
        second, third: two and three.
        **rest: whatever is left.

    Returns:
        other: not an argument.
    """
    assert documented(text, "Args") == ["first", "second", "third", "rest"]
    assert documented(text, "Raises") is None

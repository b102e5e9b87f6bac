"""A group of commands each of which is imported when it is called."""

from __future__ import annotations

import ast
from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from aucseg.errors import extra


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """A class of groups for ``typer.Typer(cls=...)``.

    Training imports Lightning and all networks, which takes longer than most other commands run: none pays
    for what another one needs. ``--help`` of the group imports none: it reads docstrings in the sources.

    Args:
        places: for each command, in the order of the help, ``"module:name"`` of its function, or of the
            ``typer.Typer`` of a group of commands.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = _Commands(places)

        def list_commands(self, ctx: Any) -> list[str]:
            return list(self.commands)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            commands = self.commands
            self.commands = {name: TyperCommand(name, help=_docstring(at)) for name, at in places.items()}
            try:
                super().format_help(ctx, formatter)
            finally:
                self.commands = commands

    return LazyGroup


class _Commands(UserDict[str, Any]):
    """Commands by name; one is its place until somebody asks for it."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            with extra("train"):
                thing = getattr(import_module(module), attribute)
            found = self[name] = _as_command(name, thing)
        return found


def _as_command(name: str, thing: Any) -> Any:
    if not isinstance(thing, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(thing)
        thing = alone
    command = typer.main.get_command(thing)
    command.name = name
    return command


def _docstring(place: str) -> str | None:
    """What the function of a command, or the callback of a group, says of itself."""
    module, _, attribute = place.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            marks = [ast.unparse(decorator) for decorator in node.decorator_list]
            if node.name == attribute or f"{attribute}.callback()" in marks:
                return ast.get_docstring(node)
    return None

"""A group of commands each of which is imported when it is called."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from aucseg.errors import extra


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """A class of groups for ``typer.Typer(cls=...)``.

    Training imports Lightning and all networks, which takes longer than most other commands run: none pays
    for what another one needs. Only ``--help`` of the group imports them all.

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

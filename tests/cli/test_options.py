"""What options of several values say of themselves, and the options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command

from aucseg.cli.commands import commands
from aucseg.cli.options import MOST_PIXELS
from aucseg.data.reading import MAX_PIXELS, pixel_limit
from tests.command import aucseg


def every_command(group: Any) -> list[Any]:
    found = [group.commands[name] for name in group.list_commands(None)]
    return [each for one in found for each in (every_command(one) if hasattr(one, "commands") else [one])]


def test_options_of_several_values_show_that_blanks_divide_them() -> None:
    """``--size <int,int>`` reads like ``--size 240,320``."""
    several = [
        (command.name, option)
        for command in every_command(get_command(commands))
        for option in command.params
        if option.nargs > 1
    ]
    assert {("prepare", "--size"), ("bound", "--crop")} <= {(name, o.opts[0]) for name, o in several}
    for name, option in several:
        assert option.metavar is not None, (name, option.opts)
        assert len(option.metavar.split()) == option.nargs, (name, option.opts)


def test_the_limit_of_the_command_is_that_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MAX_PIXELS, raising=False)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)  # Pillow's own, of 179 megapixels
    assert pixel_limit() == MOST_PIXELS > 14_000**2


@pytest.mark.parametrize("command", ["verify", "stats", "prepare"])
def test_large_pictures_are_one_line_and_an_option(
    command: str, tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # the pictures have 6144 pixels
    monkeypatch.setenv("COLUMNS", "300")
    words = ("data", command, tiny_camvid, *(("--dest", tmp_path / "out") if command == "prepare" else ()))
    result = aucseg(*words, "--max-pixels", 6143)
    assert result.exit_code == 1
    assert "of 0.0 megapixels, more than the 0.0 that are read" in result.output
    assert "--max-pixels 6144" in result.output
    for options, value in (((), "6144"), (("--max-pixels", 6144), "")):
        monkeypatch.setenv(MAX_PIXELS, value)
        assert aucseg(*words, *options).exit_code == 0
    assert Image.MAX_IMAGE_PIXELS == 1000

"""What a user is told in one line, and what stays a bug with its traceback."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import aucseg
from aucseg import errors
from aucseg.errors import DataError, UserError, did_you_mean, file_errors, how_many
from tests.command import aucseg as command


def kinds() -> list[type[UserError]]:
    """Every class of error for users, wherever in the package it is."""
    for module in pkgutil.walk_packages(aucseg.__path__, "aucseg."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, todo = [], [UserError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return sorted(found, key=lambda kind: kind.__name__)


def raised_by(monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[int | str, str]:
    """Exit code and standard error of a command in which an error is raised."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("aucseg.experiments.get_experiment", fail)
    result = command("sweep", "ablation_components")
    assert result.stdout == ""
    return result.exit_code, result.stderr


def test_each_error_for_a_user_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    found = kinds()
    assert len(found) > 8
    for kind in found:
        error = kind.__new__(kind)
        UserError.__init__(error, "is cut off", file="masks/7.png", remedy="unpack it again")
        assert (error.what, error.file, error.remedy) == ("is cut off", "masks/7.png", "unpack it again")
        assert raised_by(monkeypatch, error) == (1, "error: masks/7.png: is cut off; unpack it again\n"), kind


def test_there_is_no_second_base_of_errors_for_users() -> None:
    """Each class of errors that leaves the package is one that the command line tells in a line."""
    kinds()
    ours = {
        thing
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("aucseg.")
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Exception) and thing.__module__.startswith("aucseg.")
    }
    public = {kind for kind in ours if not kind.__name__.startswith("_")}
    assert {kind for kind in public if not issubclass(kind, UserError)} == set()
    assert {errors.DataError, errors.OptionError} <= ours


BUGS = {
    "NumPy": lambda: np.zeros(3) + np.zeros(4),
    "value": lambda: int("seven"),
    "system": lambda: Path("no such file of ours").read_text(),
    "key": lambda: {}["absent"],
    "type": lambda: len(3),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BUGS)
def test_bug_keeps_its_traceback(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever raises where nobody expects it, also what a user's errors are built on."""
    monkeypatch.setattr("aucseg.experiments.get_experiment", lambda _: BUGS[name]())
    with pytest.raises((ValueError, OSError, LookupError, TypeError)) as caught:
        command("sweep", "ablation_components")
    assert not isinstance(caught.value, UserError)


@pytest.mark.slow
def test_bug_is_printed_with_its_lines(tmp_path: Path) -> None:
    """The same from outside: a NumPy ValueError inside a command is not one line on a page of its own."""
    program = (
        "import sys, numpy, aucseg.experiments as experiments\n"
        "experiments.get_experiment = lambda _: numpy.zeros(3) + numpy.zeros(4)\n"
        "sys.argv = ['aucseg', 'sweep', 'ablation_components']\n"
        "from aucseg.cli import app\n"
        "app()\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "operands could not be broadcast together" in result.stderr
    assert "error: operands" not in result.stderr


def test_passwords_in_addresses_are_left_out() -> None:
    address = "https://anna:s3cret@host.example/data.zip"
    error = UserError(f"{address} is gone", file=address, remedy=f"try {address}")
    for text in (str(error), error.what, error.file, error.remedy):
        assert "s3cret" not in text
        assert "https://***@host.example/data.zip" in text
    odd = UserError("tcp://anna:p@s3cret:1@10.0.0.1:8786 does not answer")
    assert odd.what == "tcp://***@10.0.0.1:8786 does not answer"
    path = UserError("no such folder", file=Path("https://anna:p@s3cret@host/data"))
    assert path.file == "https:/***@host/data"
    drive = UserError("no such folder", file="C:/a@b")
    assert drive.file == "C:/a@b"
    plain = UserError("https://host.example/a@b is gone")
    assert plain.what == "https://host.example/a@b is gone"


def test_nearest_name_or_all() -> None:
    assert did_you_mean("unett", ["fpn", "unet"]) == "did you mean 'unet'?"
    assert did_you_mean("x", ["fpn", "unet"]) == "known: fpn, unet"


def test_what_the_system_refuses_names_the_file(tmp_path: Path) -> None:
    told = r"gone\.csv: cannot be read \(No such file or directory\); check"
    with pytest.raises(DataError, match=told), file_errors(tmp_path, "cannot be read"):
        (tmp_path / "gone.csv").read_text()
    (tmp_path / "latin.csv").write_bytes("Stra\xdfe".encode("latin-1"))
    file = tmp_path / "latin.csv"
    told = r"latin\.csv: cannot be read \(.*\); write it as UTF-8 text"
    with pytest.raises(DataError, match=told), file_errors(file, "cannot be read"):
        file.read_text(encoding="utf-8")
    inner = DataError("is cut off", file="a.png")
    with pytest.raises(DataError) as caught, file_errors(tmp_path, "cannot be read"):
        raise inner
    assert caught.value is inner


def test_one_of_a_thing_is_in_the_singular() -> None:
    assert [how_many(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [how_many(n, "class", "classes") for n in (1, 3)] == ["1 class", "3 classes"]

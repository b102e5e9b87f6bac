"""One source of truth: constraints.txt and environment.yml follow pyproject.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.distributions import closure
from tests.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = list(PROJECT["optional-dependencies"])
DIRECT = [
    Requirement(line)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in group
    if not line.startswith("aucseg[")  # an extra that builds upon another
]


def _pins() -> dict[str, str]:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9A-Za-z.!+]+)", line)
            assert match, f"constraints.txt: {line!r} is not a plain NAME==VERSION"
            assert canonicalize_name(match[1]) not in pins, f"constraints.txt pins {match[1]} twice"
            pins[canonicalize_name(match[1])] = match[2]
    return pins


@pytest.mark.parametrize("need", DIRECT, ids=lambda need: need.name)
def test_constraints_pin_each_direct_dependency_in_its_range(need: Requirement) -> None:
    pinned = _pins().get(canonicalize_name(need.name))
    assert pinned, f"constraints.txt does not pin {need.name}"
    assert pinned in need.specifier, f"constraints.txt pins {need.name}=={pinned}, pyproject wants {need}"


@pytest.mark.skipif(sys.platform != "linux", reason="constraints.txt is the closure on Linux")
def test_constraints_pin_the_whole_closure() -> None:
    try:
        missing = sorted(closure(DIRECT) - set(_pins()))
    except metadata.PackageNotFoundError as error:
        pytest.skip(f"aucseg[{','.join(EXTRAS)}] is not installed: {error}")
    assert not missing, f"constraints.txt misses {missing}"


def test_pins_take_the_oldest_python_of_the_project() -> None:
    """Debian's stable interpreter is 3.11.2: one pin that wants a later one, and nothing can be installed."""
    pins = _pins()
    oldest = re.search(r"\d+\.\d+", PROJECT["requires-python"])
    assert oldest
    refusing = {
        name: wanted
        for found in metadata.distributions()
        if pins.get(name := canonicalize_name(found.metadata["Name"])) == found.version
        and (wanted := found.metadata.get("Requires-Python"))
        and f"{oldest[0]}.0" not in SpecifierSet(wanted)
    }
    assert not refusing


def test_environment_installs_what_pyproject_says_at_the_pinned_versions() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    names = [item for item in environment["dependencies"] if isinstance(item, str)]
    (pip,) = (item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    python = next(name.split("=")[1] for name in names if name.startswith("python="))
    assert sorted(re.split("[=<>]", name)[0] for name in names) == ["pip", "python"]
    assert f"{python}.0" in SpecifierSet(PROJECT["requires-python"])
    assert sorted(pip) == ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]


def test_makefile_installs_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f'-c constraints.txt -e ".[{",".join(EXTRAS)}]"' in makefile


def test_torch_range_reaches_back_to_the_oldest_supported_pair() -> None:
    ranges = {need.name: need.specifier for need in DIRECT}
    assert "2.11.0" in ranges["torch"]
    assert "0.26.0" in ranges["torchvision"]


def test_library_of_two_lines_needs_four_packages() -> None:
    core = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert core == {"torch", "torchmetrics", "numpy", "scipy"}


def test_extras_build_upon_training_and_share_no_package() -> None:
    extras = PROJECT["optional-dependencies"]
    names = {extra: {Requirement(line).name for line in lines} for extra, lines in extras.items()}
    assert [extra for extra in extras if "aucseg[train]" in extras[extra]] == ["book", "dev"]
    assert len(DIRECT) == len({need.name for need in DIRECT})
    assert "jupyterlab" in names["book"]
    assert not names["train"] & {"jupyterlab", "ipykernel", "papermill", "jupyter-book", "sphinx", "nbformat"}


def test_readme_names_the_extras() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for extra in ("train", "book"):
        assert f'".[{extra}]"' in readme

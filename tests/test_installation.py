"""The wheel as a stranger installs it: without an extra, the losses and the theory work, the rest says why

No package is fetched. The clean environment shares the files of this one, but only of the distributions that
the wheel asks for and of what these ask for in turn: anything else is not there, as after a fresh install.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.distributions import closure
from tests.repository import PUBLIC, ROOT, project_files

CORE = ("functional", "losses", "memory", "metrics", "theory")
# What stands beside the package in an sdist.
ROOTS = ("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")
REST = tuple(room for room in PUBLIC if room not in CORE)


def run(*command: object, cwd: str | Path = "/") -> subprocess.CompletedProcess[str]:
    """Run without this repository on the path."""
    ours = ("PYTHONPATH", "PIP_CONFIG_FILE")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )


def copied(folder: Path) -> Path:
    """The files of the project in a folder of their own: setuptools leaves folders beside the sources."""
    tree = folder / "tree"
    for path in project_files():
        if path.relative_to(ROOT).parts[0] in (*ROOTS, "aucseg", "tests", "benchmarks"):
            place = tree / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    return tree


def build(what: str, tree: Path, folder: Path) -> Path:
    """The wheel or the sdist of a tree."""
    program = f"from setuptools import build_meta; print(build_meta.build_{what}({str(folder)!r}))"
    built = run(sys.executable, "-c", program, cwd=tree)
    assert built.returncode == 0, built.stderr
    return folder / built.stdout.splitlines()[-1]


def needs(wheel: Path) -> list[Requirement]:
    """What a wheel asks for without its extras."""
    with zipfile.ZipFile(wheel) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        wanted = metadata.PathDistribution(zipfile.Path(archive, record).parent).requires or []
    return [n for n in map(Requirement, wanted) if n.marker is None or n.marker.evaluate({"extra": ""})]


def tops(names: Iterable[str]) -> set[Path]:
    """Files and folders right inside ``site-packages`` that belong to distributions."""
    found = set()
    for name in names:
        distribution = metadata.distribution(name)
        for file in distribution.files or []:
            if not file.parts[0].startswith((".", "/")) and file.parts[0] != "__pycache__":
                found.add(Path(str(distribution.locate_file(file.parts[0]))))
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which the wheel was installed without an extra."""
    folder = tmp_path_factory.mktemp("clean")
    wheel = build("wheel", copied(folder), folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    interpreter = folder / "venv" / "bin" / "python"
    site = next((folder / "venv" / "lib").glob("python3*/site-packages"))
    for place in tops(closure(needs(wheel))):
        (site / place.name).symlink_to(place)
    options = ("--quiet", "--no-index", "--no-deps", "--no-compile")
    done = run(sys.executable, "-m", "pip", "--python", interpreter, "install", *options, wheel)
    assert done.returncode == 0, done.stderr
    return interpreter


def test_wheel_holds_every_file_of_the_package(python: Path) -> None:
    with zipfile.ZipFile(next(python.parents[2].glob("*.whl"))) as archive:
        names = archive.namelist()
    assert {name for name in names if ".dist-info/" not in name} == package_files()
    # what a room reads while it runs, by way of example
    assert {"aucseg/py.typed", "aucseg/gates.js", "aucseg/data/specs/cityscapes.csv"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def package_files() -> set[str]:
    """Every file of the package, as it lies in the repository."""
    return {
        name for path in project_files() if (name := path.relative_to(ROOT).as_posix()).startswith("aucseg/")
    }


def test_sdist_makes_the_same_wheel(python: Path, tmp_path: Path) -> None:
    """What is handed out as source has all that a wheel is built from, and neither tests nor records."""
    source = build("sdist", python.parents[2] / "tree", tmp_path)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    tree = tmp_path / source.name.removesuffix(".tar.gz")
    held = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert package_files() | set(ROOTS) <= held
    made = {"PKG-INFO", "setup.cfg"}
    assert {name for name in held if not name.startswith("aucseg.egg-info/")} == (
        package_files() | set(ROOTS) | made
    )
    wheel = build("wheel", tree, tmp_path)
    (first,) = python.parents[2].glob("*.whl")
    with zipfile.ZipFile(wheel) as again, zipfile.ZipFile(first) as before:
        assert wheel.name == first.name
        assert {i.filename: i.CRC for i in again.infolist() if "dist-info" not in i.filename} == {
            i.filename: i.CRC for i in before.infolist() if "dist-info" not in i.filename
        }


def test_clean_environment_holds_nothing_else(python: Path) -> None:
    """Guards the tests below: what is outside the closure cannot be imported, nothing inside is missing."""
    program = (
        "import json, sys; from importlib import metadata, util; names = json.loads(sys.argv[1]);"
        "print(json.dumps([sorted({d.name.lower().replace('_', '-') for d in metadata.distributions()}),"
        "[n for n in names if util.find_spec(n)]]))"
    )
    homes = metadata.packages_distributions()
    inside = closure(needs(next(python.parents[2].glob("*.whl"))))
    foreign = [
        module
        for module, names in homes.items()
        if not inside & {canonicalize_name(name) for name in names}
        and module not in ("aucseg", "tests")
        and module.isidentifier()
    ]
    assert {"torchvision", "lightning", "pandas", "PIL", "typer"} <= set(foreign)
    result = run(python, "-I", "-c", program, json.dumps(foreign))
    assert result.returncode == 0, result.stderr
    there, imported = json.loads(result.stdout)
    assert set(there) == {*inside, "aucseg"}
    assert imported == []


USED = """
import pkgutil, sys, torch
import aucseg
assert "site-packages" in aucseg.__file__, aucseg.__file__
for room in {core!r}:
    package = __import__(f"aucseg.{{room}}", fromlist=["x"])
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        __import__(module.name)

from aucseg.losses import AUCLoss, AUCSegLoss
from aucseg.memory import TailMemoryBank
from aucseg.metrics import PixelAUC, SegmentationIoU
from aucseg.theory import batch_sizes

torch.manual_seed(0)
network = torch.nn.Conv2d(3, 4, 1)
images, target = torch.rand(2, 3, 16, 16), torch.randint(0, 4, (2, 16, 16))
bank = TailMemoryBank(tail_classes=[3])
bank(images, target)
images, target = bank(images, torch.where(target == 3, 0, target))
assert bank.sizes()[3] > 0
for loss in (AUCLoss(num_classes=4), AUCSegLoss(num_classes=4)):
    loss(network(images), target).backward()
assert float(network.weight.grad.abs().sum()) > 0
auc = PixelAUC(4)
auc.update(torch.rand(2, 4, 16, 16), torch.randint(0, 4, (2, 16, 16)))
assert 0 < float(auc.compute()["auc"]) < 1
assert batch_sizes([0.5, 0.1], 0.01).sufficient > 1
print("all five rooms")
"""


def test_losses_bank_metrics_and_theory_work(python: Path) -> None:
    result = run(python, "-I", "-W", "error", "-c", USED.format(core=CORE))
    assert result.returncode == 0, result.stderr
    assert result.stdout == "all five rooms\n"


def test_version_needs_no_extra(python: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = run(python.with_name("aucseg"), "--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{project['version']}\n", "")


@pytest.mark.parametrize("words", [["--help"], ["train", "run.yaml"], ["book"]], ids=" ".join)
def test_command_names_the_extra(python: Path, words: list[str]) -> None:
    result = run(python.with_name("aucseg"), *words)
    assert result.returncode == 1
    assert result.stderr == 'error: typer is not installed; run: pip install "aucseg[train]"\n'


def test_rooms_that_need_the_extra_say_so(python: Path) -> None:
    program = f"""
import importlib
from aucseg.errors import UserError
for room in {REST!r}:
    try:
        importlib.import_module("aucseg." + room)
    except ImportError as error:
        assert isinstance(error, UserError), room
        assert str(error).endswith('is not installed; run: pip install "aucseg[train]"'), error
    else:
        raise AssertionError(room)
"""
    result = run(python, "-I", "-c", program)
    assert result.returncode == 0, result.stderr

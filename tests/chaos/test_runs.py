"""Kills, failing disks, flipped bits, many at once: a few of each; ``make chaos`` does hundreds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import drivers
from tests.chaos.drivers import Baseline, Broken
from tests.chaos.faults import Disk
from tests.chaos.server import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("said")) as server:
        yield server


@pytest.fixture(scope="module")
def base(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    return Baseline(server, tmp_path_factory.mktemp("base"), "auc_and_bank")


def test_killed_runs_come_to_the_same_record(server: Server, base: Baseline, tmp_path: Path) -> None:
    seen = Counter[str]()
    for seed in range(3):
        seen.update(drivers.kill(server, base, tmp_path, seed))
    assert sum(seen.values()) >= 3, seen


def test_a_failing_disk_is_told_and_costs_nothing(server: Server, base: Baseline, tmp_path: Path) -> None:
    seen = Counter[str]()
    for seed in range(4):
        seen.update(drivers.disk(server, base, tmp_path, seed))
    assert seen["refused"] >= 2, seen


def test_flipped_bits_of_a_checkpoint_are_seen(base: Baseline, tmp_path: Path) -> None:
    seen = Counter(drivers.flip_checkpoint(base, tmp_path, seed) for seed in range(30))
    assert seen["refused"] > 20, seen


def test_flipped_bits_of_a_record_are_seen(base: Baseline, tmp_path: Path) -> None:
    seen = Counter(drivers.flip_record(base, tmp_path, seed) for seed in range(100))
    assert seen["refused"] > 90, seen


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    server: Server, base: Baseline, tmp_path: Path
) -> None:
    assert sum(drivers.flip_and_go_on(server, base, tmp_path, 0).values()) == 1


def test_of_many_claimants_one_has_the_run(server: Server, tmp_path: Path) -> None:
    seen = drivers.claimants(server, tmp_path, 10, 3, 0)
    assert seen["killed"] > 0
    assert seen["had it"] >= 10 - seen["killed"]


def test_two_sweeps_share_their_runs(server: Server, tmp_path: Path) -> None:
    assert drivers.sweeps(server, tmp_path, 2, [0, 1], 0, 0)["trainings"] == 2


def test_a_lost_record_would_be_noticed(base: Baseline, tmp_path: Path) -> None:
    """The drivers fail where they must: a record that is another run's, a file left behind."""
    path = drivers.record_path(tmp_path, base.kind)
    path.parent.mkdir(parents=True)
    other = base.record.model_copy(update={"metrics": base.record.metrics | {"mIoU": 0.5}})
    other.write(path)
    with pytest.raises(Broken, match="another record than that of the undisturbed run"):
        base.same(tmp_path, "nothing")
    base.record.write(path)
    base.same(tmp_path, "nothing")
    path.with_name(f"{path.name}.0.part").touch()
    with pytest.raises(Broken, match="left"):
        base.same(tmp_path, "nothing")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("write", "No space left on device"),
        ("open", "No space left on device"),
        ("sync", "No space left on device"),
        ("move", "No space left on device"),
    ],
)
def test_the_failing_disk_fails(tmp_path: Path, kind: str, words: str) -> None:
    """In a process of its own: the faults stay where they were put."""
    program = f"""
from pathlib import Path
from tests.chaos.faults import Disk
from aucseg.data.files import write_file
from aucseg.errors import DataError
Disk({str(tmp_path)!r}, at=0, kinds=({kind!r},)).install()
def write(part):
    with part.open("w") as file:
        file.write("some words")
try:
    write_file({str(tmp_path / "file")!r}, write, durable=True)
except DataError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert words in done.stdout, done
    assert not list(tmp_path.iterdir())


def test_what_lies_outside_is_let_alone(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "a")
    assert disk._mine(tmp_path / "a" / "b")
    assert not disk._mine(tmp_path / "ab")

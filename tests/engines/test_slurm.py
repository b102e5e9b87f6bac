"""Job arrays: by submitit's executor on this machine, and by a Slurm of one node where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aucseg.engines import Place, Task
from aucseg.engines.script import run_script
from aucseg.engines.slurm import SlurmError, requeue, run_slurm
from aucseg.errors import MissingExtraError
from tests.engines.plain import Plain

# A command as a training is: it saves at SIGUSR1, ends with code 138, and goes on when it is started again.
STEPS = """
import signal, sys, time
from pathlib import Path
state, steps, came = Path(sys.argv[1]), int(sys.argv[2]), []
signal.signal(signal.SIGUSR1, lambda number, _: came.append(number))
signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
step = int(state.read_text()) if state.exists() else 0
print("goes on at", step, flush=True)
while step < steps:
    time.sleep(0.1)
    step += 1
    state.write_text(str(step))
    if came:
        sys.exit(128 + came[0])
print("done", flush=True)
"""

# The same, told at once and by itself that its time is over.
STOPS = """
import os, signal, sys
from pathlib import Path
state = Path(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
if not state.exists():
    state.touch()
    os.kill(os.getppid(), signal.SIGUSR1)
    signal.sigwait([signal.SIGUSR1])
    sys.exit(138)
print("back", flush=True)
"""
REFUSES = """#!/bin/sh
echo "$@" >> "$0.said"
[ "$2" != 9 ] || { echo no such job >&2; exit 1; }
"""


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for name in ("SUBMITIT_PREEMPT_SIGNAL", "SUBMITIT_EXECUTOR"):
        monkeypatch.setenv(name, "")  # set by the engine, and put back by this
        monkeypatch.delenv(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:ResourceWarning")
def test_jobs_on_this_machine(tmp_path):
    """One works, one fails, one is stopped before its end and comes back by itself."""
    tasks = [
        Plain("works", (STEPS, str(tmp_path / "a"), "3")),
        Plain("fails", ("raise SystemExit(3)",)),
        Plain("stops", (STOPS, str(tmp_path / "c"))),
    ]
    lines: list[str] = []
    place = Place(jobs=3, minutes=5, folder=tmp_path / "logs", wait=True)
    codes = run_slurm(tasks, place, lines.append, cluster="local")
    assert codes == {"works": 0, "fails": 1, "stops": 0}
    logs = "".join(path.read_text() for path in (tmp_path / "logs").glob("*.out"))
    assert "goes on at 0" in logs
    assert "back" in logs
    errors = "".join(path.read_text() for path in (tmp_path / "logs").glob("*.err"))
    assert "fails ended with exit code 3" in errors


def test_without_submitit_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingExtraError, match=r'submitit is not installed; .*"aucseg\[slurm\]"'):
        run_slurm([Plain("a", ("",))], Place(), print)


def test_where_there_is_no_slurm_another_engine_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlurmError, match="use --engine local, or --print"):
        run_slurm([Plain("a", ("",))], Place(), print)


def test_a_job_asks_to_be_queued_again(tmp_path, monkeypatch):
    program = tmp_path / "scontrol"
    program.write_text(REFUSES)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert not requeue()  # in no job
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert requeue()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert requeue()
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert not requeue()  # the first process of a job asks for all
    monkeypatch.delenv("SLURM_PROCID")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID")
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    with pytest.raises(SlurmError, match=r"job 9 was not queued again \(no such job\)"):
        requeue()
    assert (tmp_path / "scontrol.said").read_text().split("\n")[:2] == ["requeue 7", "requeue 5_2"]
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    assert not requeue()  # submitit does


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of one node, where its programs are installed and this is root; ended with the tests."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if missing or os.geteuid():
        pytest.skip(f"no Slurm here: {missing[0] + ' is not installed' if missing else 'it needs root'}")
    script = Path(__file__).with_name("one_node_slurm.sh")
    begun = subprocess.run(["bash", script, "start"], capture_output=True, text=True, check=False)
    if begun.returncode:
        subprocess.run(["bash", script, "stop"], check=False)
        pytest.skip(f"Slurm does not start here: {(begun.stdout + begun.stderr)[-300:]}")
    yield begun.stdout.strip()
    subprocess.run(["bash", script, "stop"], check=False)


AGAIN = STEPS.replace(
    "sys.exit(128 + came[0])",
    "from aucseg.engines.slurm import requeue; requeue(); sys.exit(128 + came[0])",
)


def printed(tasks: list[Task], place: Place, folder: Path) -> str:
    """Print the script, hand it over, and return the number of its array."""
    text: list[str] = []
    run_script(tasks, place, text.append)
    (folder / "array.sh").write_text("\n".join(text) + "\n")
    command = ["sbatch", "--parsable", str(folder / "array.sh")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def wait_for(what, seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:ResourceWarning")
def test_an_array_of_eight_jobs_and_the_plain_script(slurm, tmp_path, monkeypatch):
    """One is preempted and queued again, one runs into its limit, one fails; five are left in peace.

    The script is handed to sbatch as it is printed; its command comes back by a request of its own.
    """
    monkeypatch.setenv("SLURM_CONF", slurm)
    plain = [Plain(f"run {n}", (STEPS, str(tmp_path / str(n)), "5")) for n in range(5)]
    tasks = [
        *plain,
        Plain("preempted", (STEPS, str(tmp_path / "preempted"), "100")),
        Plain("timed out", (STEPS, str(tmp_path / "late"), "700")),
        Plain("fails", ("raise SystemExit(3)",)),
    ]
    lines: list[str] = []
    # Told a minute after its start: one that is told while Python still imports submitit, as happens after
    # half a minute on a busy machine, has nobody who could answer, and has failed.
    place = Place(jobs=8, minutes=2, warning=60, folder=tmp_path / "logs", cpus=1)
    assert run_slurm(tasks, place, lines.append) == {}
    array = lines[0].split()[-1]
    script = printed([Plain("late", (AGAIN, str(tmp_path / "script"), "700"))], place, tmp_path)
    wait_for(lambda: (tmp_path / "preempted").exists())
    subprocess.run(["scontrol", "requeue", f"{array}_5"], check=True)
    states: dict[str, str] = {}

    def over() -> bool:
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", array], capture_output=True, text=True, check=True
        )
        for line in done.stdout.splitlines():
            facts = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
            if "ArrayTaskId" in facts:
                states[facts["ArrayTaskId"]] = facts["JobState"]
        return len(states) == 8 and set(states.values()) <= {"COMPLETED", "FAILED"}

    wait_for(over, 600)
    assert states == {str(n): "FAILED" if n == 7 else "COMPLETED" for n in range(8)}
    assert [(tmp_path / str(n)).read_text() for n in range(5)] == ["5"] * 5
    assert (tmp_path / "preempted").read_text() == "100"
    assert (tmp_path / "late").read_text() == "700"
    logs = {n: (tmp_path / "logs" / f"{array}_{n}_0_log.out").read_text() for n in (5, 6)}
    assert logs[5].count("goes on at") >= 2  # on a busy machine it may reach its limit as well
    assert logs[6].count("goes on at") >= 2  # its steps take longer than it may
    # told between its last step and its end, one comes back once more and finds that all is done
    assert all(text.count("done") >= 1 for text in logs.values())
    log = tmp_path / "logs" / f"{script}_0.log"
    wait_for(lambda: "done" in log.read_text(), 600)
    assert log.read_text().count("goes on at") >= 2

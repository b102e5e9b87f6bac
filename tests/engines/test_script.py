"""The text of a job array, run by the shell that a cluster would run it with."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from aucseg import paths
from aucseg.engines import Place
from aucseg.engines.script import run_script
from tests.engines.plain import Plain


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "a home"))


def text(tasks, **options) -> str:
    lines: list[str] = []
    assert run_script(tasks, Place(**options), lines.append) == {}
    return "\n".join(lines) + "\n"


def test_each_number_is_a_task(tmp_path):
    say = "import os, sys; print(sys.argv[1:], os.environ['AUCSEG_HOME'])"
    script = tmp_path / "array.sh"
    script.write_text(text([Plain("a", (say, "it's", '"$HOME"')), Plain("b", (say, "1"))]))
    for number, words in enumerate((["it's", '"$HOME"'], ["1"])):
        done = subprocess.run(
            ["bash", script],
            env=os.environ | {"SLURM_ARRAY_TASK_ID": str(number)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"{words} {paths.home()}\n"


def test_signals_and_exit_codes_are_those_of_the_task(tmp_path):
    """Slurm signals the shell alone, and looks at how the shell ends."""
    wait = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(138))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    script = tmp_path / "array.sh"
    script.write_text(text([Plain("a", (wait,))]))
    process = subprocess.Popen(
        ["bash", script], env=os.environ | {"SLURM_ARRAY_TASK_ID": "0"}, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(60) == 138


def test_sizes_and_limits():
    more = {"account": "vision", "exclusive": ""}
    made = text(
        [Plain("a", ("",))] * 8,
        jobs=3,
        minutes=90,
        warning=200,
        partition="long",
        gpus=1,
        cpus=8,
        memory=1.5,
        more=more,
    )
    head = {line.removeprefix("#SBATCH --") for line in made.splitlines() if line.startswith("#SBATCH")}
    assert head == {
        "job-name=aucseg",
        "array=0-7%3",
        "time=90",
        "signal=B:USR1@200",
        "requeue",
        "open-mode=append",
        f"output={paths.runs()}/sweeps/logs/%A_%a.log",
        "partition=long",
        "gpus=1",
        "cpus-per-task=8",
        "mem=1536M",
        "account=vision",
        "exclusive",
    }
    assert (paths.runs() / "sweeps" / "logs").is_dir()  # Slurm opens it before anything runs
    assert "mem" not in text([Plain("a", ("",))])

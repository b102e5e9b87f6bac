"""Processes of this machine: their shares, their end, their signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aucseg.engines import MORE, Ended, Place
from aucseg.engines.local import run_local
from aucseg.errors import OptionError
from tests.engines.plain import Plain

SHARE = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ.get('CUDA_VISIBLE_DEVICES'))"


def test_each_has_its_share_of_cores_and_gpus(monkeypatch):
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-a5")
    lines: list[str] = []
    wait = "import time; time.sleep(0.3); " + SHARE  # so that every slot is taken
    tasks = [Plain(f"t{number}", (wait,)) for number in range(3)]
    assert run_local(tasks, Place(jobs=3), lines.append) == {"t0": 0, "t1": 0, "t2": 0}
    assert sorted(line.partition(": ")[2] for line in lines) == ["2 4", "2 4", "2 GPU-a5"]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")  # who says it knows it
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lines.clear()
    run_local([Plain("t", (SHARE,))], Place(jobs=2), lines.append)
    assert lines == ["t: 5 "]


def test_no_more_at_a_time_than_asked_for(tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "here = Path(sys.argv[1]); mine = here / sys.argv[2]; mine.touch()\n"
        "print(len(list(here.iterdir()))); time.sleep(0.1); mine.unlink()"
    )
    lines: list[str] = []
    tasks = [Plain(f"t{number}", (program, str(tmp_path), str(number))) for number in range(8)]
    assert set(run_local(tasks, Place(jobs=2), lines.append).values()) == {0}
    assert len(lines) == 8
    assert {line.partition(": ")[2] for line in lines} <= {"1", "2"}


def test_one_that_fails_or_dies_ends_no_other(tmp_path):
    died: list[Ended] = []

    def crashed(ended: Ended) -> bool:
        died.append(ended)
        return len(died) < 3

    kill = "import os, signal; print('x', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    tasks = [
        Plain("fails", ("raise SystemExit(3)",)),
        Plain("dies", (kill,)),
        Plain("works", ("print('ü')",)),
    ]
    lines: list[str] = []
    codes = run_local(tasks, Place(jobs=1, crashed=crashed), lines.append)
    assert codes == {"fails": 3, "dies": -signal.SIGKILL, "works": 0}
    assert lines.count("dies: was ended by SIGKILL (is the memory full?)") == len(died) == 3
    assert "works: ü" in lines


def test_one_that_wants_a_fresh_process_gets_it(tmp_path):
    program = (
        f"import sys; from pathlib import Path; f = Path(sys.argv[1]); f.open('a').write('x')\n"
        f"raise SystemExit({MORE} if len(f.read_text()) < 3 else 0)"
    )
    assert run_local([Plain("t", (program, str(tmp_path / "n")))], Place(), print) == {"t": 0}
    assert (tmp_path / "n").read_text() == "xxx"


PARENT = """
import sys
from aucseg.engines.local import run_local
from aucseg.engines import Place
from tests.engines.plain import Plain
child = '''
import os, signal, sys, threading, time
def ended(number, frame):
    print("saved", number, flush=True)
    os._exit(128 + number)
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGUSR1, ended)
def watch():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
print("begun", os.getpid(), flush=True)
while True: time.sleep(0.05)
'''
tasks = [Plain("a", (child,)), Plain("b", (child,))]
codes = run_local(tasks, Place(jobs=2), lambda line: print(line, flush=True))
print(sorted(codes.items()), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_a_signal_goes_to_all_and_a_kill_ends_them_too(signum):
    """What a scheduler sends is handed on; where this process is killed, the leash ends its processes."""
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    lines = [process.stdout.readline() for _ in range(2)]
    pids = [int(line.split()[-1]) for line in lines]
    process.send_signal(signum)
    out, _ = process.communicate(timeout=120)
    if signum != signal.SIGKILL:
        assert out.count(f"saved {signum}") == 2
        assert f"[('a', {128 + signum}), ('b', {128 + signum})]" in out
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jobs": 0}, "jobs is 0"),
        ({"minutes": 2, "warning": 120}, "cannot be told 120 s before its end"),
    ],
)
def test_a_place_that_cannot_be(options, words):
    with pytest.raises(OptionError, match=words):
        Place(**options)

"""A Dask cluster of this machine, and a worker of it that is killed in the middle of a task."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from aucseg.engines import MORE, Ended, Place
from aucseg.engines.dask import DaskError, run_dask
from aucseg.errors import MissingExtraError, OptionError
from tests.engines.plain import Plain

# Says who runs it; the first time it would take a minute, after that it takes up what is there.
SLOW = """
import os, signal, sys, threading, time
from pathlib import Path
state = Path(sys.argv[1])
first = not state.exists()
with state.open("a") as file:
    file.write(f"{os.getppid()} {os.getpid()}\\n")
def watch():
    os.read(0, 1)
    os._exit(143)
threading.Thread(target=watch, daemon=True).start()
time.sleep(60 if first else 0)
print("done")
"""


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for nothing but to be reaped, which not every init does."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of a cluster whose worker was killed
def test_a_worker_that_is_killed_loses_no_task(tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    state, lines, died = tmp_path / "state", [], []

    def crashed(ended: Ended) -> bool:
        died.append(ended)
        return False

    def kill() -> None:
        deadline = time.monotonic() + 120
        while not (state.exists() and state.read_text().endswith("\n")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(int(state.read_text().split()[0]), signal.SIGKILL)

    again = (
        "from pathlib import Path; import sys; path = Path(sys.argv[1]); there = path.exists()\n"
        f"path.touch(); sys.exit(0 if there else {MORE})"
    )
    tasks = [
        Plain("slow", (SLOW, str(state))),
        Plain("fails", ("raise SystemExit(3)",)),
        Plain("dies", ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",)),
        Plain("again", (again, str(tmp_path / "again"))),
        *(Plain(f"quick {n}", (f"print('quick', {n})",)) for n in range(3)),
    ]
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        killer = threading.Thread(target=kill)
        killer.start()
        place = Place(scheduler=cluster.scheduler_address, crashed=crashed)
        codes = run_dask(tasks, place, lines.append)
        killer.join()
    good = {"slow": 0, "again": 0} | {f"quick {n}": 0 for n in range(3)}
    assert codes == good | {"fails": 3, "dies": -signal.SIGKILL}
    assert [ended.code for ended in died] == [-signal.SIGKILL]
    assert {"slow: done", "quick 1: quick 1", "dies: was ended by SIGKILL (is the memory full?)"} <= set(
        lines
    )
    first, second = (line.split() for line in state.read_text().splitlines())
    assert first[0] != second[0]  # another worker
    deadline = time.monotonic() + 30
    while not has_ended(int(first[1])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert has_ended(int(first[1]))  # what the killed one had started has ended with it


def test_a_password_of_the_scheduler_is_in_no_message(monkeypatch):
    """Neither where nothing answers nor in the line that says who works."""
    address = "tls://anna:s3@cret@127.0.0.1:1"
    monkeypatch.setattr("aucseg.engines.dask._PATIENCE", "0.2s")

    class Silent:
        def __init__(self, address: str, timeout: str) -> None:
            raise OSError(f"Timed out trying to connect to {address} after {timeout}")

    monkeypatch.setattr("distributed.Client", Silent)
    with pytest.raises(DaskError) as caught:
        run_dask([], Place(scheduler=address), print)
    said = str(caught.value)
    assert said.count("tls://***@127.0.0.1:1") == 2
    assert "s3" not in said
    assert "cret" not in said

    class Works:
        dashboard_link = "http://anna:s3@cret@127.0.0.1:8787/status"

        def __init__(self, address: str, timeout: str) -> None:
            pass

        def __enter__(self) -> Works:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    lines: list[str] = []
    monkeypatch.setattr("distributed.Client", Works)
    monkeypatch.setattr("distributed.as_completed", iter)
    assert run_dask([], Place(scheduler=address), lines.append) == {}
    assert lines == [
        "0 tasks are with tls://***@127.0.0.1:1, which shows them at http://***@127.0.0.1:8787/status"
    ]


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(OptionError, match="no address of a Dask scheduler; give --scheduler"):
        run_dask([], Place(), print)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingExtraError, match=r'distributed is not installed; .*"aucseg\[train\]"'):
            run_dask([], Place(scheduler="tcp://127.0.0.1:1"), print)
    monkeypatch.setattr("aucseg.engines.dask._PATIENCE", "0.2s")
    with pytest.raises(DaskError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        run_dask([], Place(scheduler="tcp://127.0.0.1:1"), print)

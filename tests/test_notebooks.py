"""Executing notebooks: parameters are checked, failures are reported, and nothing waits for ever."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra aucseg[book]")
zmq = pytest.importorskip("zmq", reason="needs the extra aucseg[book]")
pytest.importorskip("papermill", reason="needs the extra aucseg[book]")

from aucseg.notebooks import NotebookError, execute_notebooks, notebook_parameters  # noqa: E402

pytestmark = [
    # Of libraries that run the kernel, not of this project.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SMOKE = {"profile": "smoke"}


def write_notebook(
    path: Path, *cells: str, parameters: str = 'profile = "laptop"\ncompute = "missing"'
) -> Path:
    """A notebook with a parameters cell followed by code cells."""
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, *(nbformat.v4.new_code_cell(cell) for cell in cells)])
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_parameters_are_the_names_that_the_cell_assigns(tmp_path: Path) -> None:
    source = 'profile = "laptop"  # size\nseeds: list[int] = [0, 1]\n\n# further\ncompute = "never"'
    path = write_notebook(tmp_path / "a.ipynb", parameters=source)
    assert notebook_parameters(path) == ("profile", "seeds", "compute")


def test_notebook_needs_one_parameters_cell(tmp_path: Path) -> None:
    path = tmp_path / "none.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), path)
    with pytest.raises(NotebookError, match=r"none\.ipynb needs exactly one cell.* has 0"):
        notebook_parameters(path)


@pytest.mark.parametrize(("content", "message"), [("{", "not a notebook"), (None, "cannot read notebook")])
def test_unreadable_notebook_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "broken.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NotebookError, match=rf"{message}|broken\.ipynb is {message}"):
        notebook_parameters(path)


def test_unknown_parameter_stops_before_anything_runs(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "open('ran', 'w').close()")
    with pytest.raises(NotebookError, match=r"a\.ipynb has no parameter 'profil'; it has: profile, compute"):
        execute_notebooks([path], tmp_path / "out", {"profil": "smoke"})
    assert not (tmp_path / "out").exists()


def test_failing_cell_is_reported_and_the_others_are_kept(tmp_path: Path) -> None:
    bad = write_notebook(tmp_path / "bad.ipynb", "1 + 1", "raise RuntimeError('no ' + profile)")
    good = write_notebook(tmp_path / "good.ipynb", "print('size', profile, compute)")
    lines: list[str] = []
    with pytest.raises(
        NotebookError, match=r"1 of 2 notebooks failed:\s+bad\.ipynb, cell \[4\]: RuntimeError: no smoke"
    ):
        execute_notebooks([bad, good], tmp_path / "out", {"profile": "smoke"}, report=lines.append)
    assert any("bad.ipynb: FAILED in cell [4]" in line and "raise RuntimeError" in line for line in lines)
    done = nbformat.read(tmp_path / "out" / "good.ipynb", as_version=4)
    assert "size smoke missing" in str(done.cells)
    assert not (tmp_path / "out" / "bad.ipynb").exists()
    assert (tmp_path / "out" / "failed" / "bad.ipynb").exists()


def printed(path: Path) -> str:
    """What the cells of an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    return "".join(o.get("text", "") for cell in cells if cell.cell_type == "code" for o in cell.outputs)


def test_kernels_meet_in_the_file_system_under_names_of_their_own(tmp_path: Path) -> None:
    cell = "from ipykernel import get_connection_info\nprint(get_connection_info())"
    paths = [write_notebook(tmp_path / f"{name}.ipynb", cell) for name in "ab"]
    found = [json.loads(printed(path)) for path in execute_notebooks(paths, tmp_path / "out", SMOKE)]
    assert [info["transport"] for info in found] == ["ipc", "ipc"]
    places = {f"{info['ip']}-{info[f'{name}_port']}" for info in found for name in ("shell", "iopub", "hb")}
    assert len(places) == 6
    assert max(len(os.fsencode(place)) for place in places) < 107
    assert not any(Path(place).parent.exists() for place in places)


def test_long_temporary_folder_is_not_taken_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path = write_notebook(tmp_path / "a.ipynb", "print('ran')")
    assert printed(*execute_notebooks([path], tmp_path / "out", SMOKE)) == "ran\n"


def test_side_by_side_with_one_thread_each_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for what the other one writes: one after the other they would wait for ever."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    meet = (
        "import os, pathlib, time\n"
        "pathlib.Path({mine!r}).touch()\n"
        "while not pathlib.Path({other!r}).exists(): time.sleep(0.01)\n"
        "print(os.environ.get('OMP_NUM_THREADS'))"
    )
    later = "import time; time.sleep(2)"
    first = write_notebook(tmp_path / "b.ipynb", meet.format(mine="b", other="a"), later)
    second = write_notebook(tmp_path / "a.ipynb", meet.format(mine="a", other="b"))
    both = execute_notebooks([first, second], tmp_path / "out", SMOKE, cwd=tmp_path, jobs=2, cell_timeout=100)
    assert [path.name for path in both] == ["b.ipynb", "a.ipynb"]
    assert [printed(path) for path in both] == ["1\n", "1\n"]
    assert "OMP_NUM_THREADS" not in os.environ
    (alone,) = execute_notebooks([second], tmp_path / "out", SMOKE, cwd=tmp_path, jobs=2)
    assert printed(alone) == "None\n"


def test_progress_says_which_cell_and_for_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "import time; time.sleep(2)", "1 + 1")
    shown: list[str] = []
    lines: list[str] = []
    execute_notebooks([path], tmp_path / "out", SMOKE, report=lines.append, live=shown.extend)
    assert any(re.fullmatch(r"\[1/1\] a\.ipynb: cell 3 of 4, 0:\d\d", line) for line in shown)
    assert re.fullmatch(r"\[1/1\] a\.ipynb: done in \d+ s", lines.pop())
    assert not lines
    monkeypatch.setattr("aucseg.notebooks.LOG_EVERY", 1.0)
    execute_notebooks([path], tmp_path / "out", SMOKE, report=lines.append)
    assert any("a.ipynb: cell 3 of 4, 0:0" in line for line in lines)
    assert len(lines) < 15


LOSE_ANSWERS = """
session = get_ipython().kernel.session
send = session.send
session.send = lambda stream, kind, *a, **k: None if kind == "execute_reply" else send(stream, kind, *a, **k)
"""
LOSE_ALL = """
session = get_ipython().kernel.session
session.send = lambda *arguments, **options: None
"""


@pytest.mark.parametrize(
    ("cells", "number", "why"),
    [
        (("1", LOSE_ANSWERS, "2"), 4, "the kernel is idle and has not answered for 2 s; run it again"),
        (("1", LOSE_ALL, "2"), 4, "takes longer than 6 s; allow more with --cell-timeout"),
        (("while True: pass",), 3, "takes longer than 6 s; allow more with --cell-timeout"),
        (("import os; os._exit(1)",), 3, "Kernel died"),
    ],
    ids=["answers lost", "all lost", "endless", "dead"],
)
def test_cell_that_would_wait_for_ever_is_named(
    tmp_path: Path, cells: tuple[str, ...], number: int, why: str
) -> None:
    """Real kernels, one that swallows its answers among them; the other notebook still runs."""
    stuck = write_notebook(tmp_path / "stuck.ipynb", *cells)
    good = write_notebook(tmp_path / "good.ipynb", "print('ran')")
    start = time.monotonic()
    with pytest.raises(NotebookError, match="1 of 2 notebooks failed") as caught:
        execute_notebooks([stuck, good], tmp_path / "out", SMOKE, cell_timeout=6, idle_timeout=2)
    assert f"stuck.ipynb, cell [{number}]: {why}" in str(caught.value)
    assert time.monotonic() - start < 60
    assert printed(tmp_path / "out" / "good.ipynb") == "ran\n"


def test_request_that_never_arrives_is_an_idle_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two kernels share a port: the question goes elsewhere, and this kernel has nothing to do."""
    from jupyter_client.asynchronous import AsyncKernelClient

    monkeypatch.setattr(AsyncKernelClient, "execute", lambda *arguments, **options: "lost")
    path = write_notebook(tmp_path / "a.ipynb", "1")
    with pytest.raises(NotebookError, match=r"a\.ipynb, cell \[1\]: the kernel is idle and has not answered"):
        execute_notebooks([path], tmp_path / "out", SMOKE, idle_timeout=1)


def test_answer_that_came_while_something_was_sent_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nbclient sends a widget's output on the socket on which it waits, and takes the news of the answer."""
    from nbclient.client import NotebookClient

    process = NotebookClient.process_message
    taken = []

    def take(client: NotebookClient, msg: dict, cell: object, cell_index: int) -> object:
        if msg["msg_type"] == "execute_input":
            socket = zmq.Socket.shadow(client.kc.shell_channel.socket)
            until = time.monotonic() + 3  # on a busy machine the answer may have been handed on before
            while not socket.get(zmq.EVENTS) & zmq.POLLIN and time.monotonic() < until:
                time.sleep(0.01)
            taken.append(cell_index)
        return process(client, msg, cell, cell_index)

    monkeypatch.setattr(NotebookClient, "process_message", take)
    path = write_notebook(tmp_path / "a.ipynb", "1", "print('ran')")
    assert printed(*execute_notebooks([path], tmp_path / "out", SMOKE, idle_timeout=5)) == "ran\n"
    assert len(taken) == 4


def test_busy_kernel_is_not_idle(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "import time; time.sleep(7); print('ran')")
    assert printed(*execute_notebooks([path], tmp_path / "out", SMOKE, idle_timeout=3)) == "ran\n"


def test_interrupt_ends_the_kernels_too(tmp_path: Path) -> None:
    cell = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)"
    write_notebook(tmp_path / "a.ipynb", cell)
    program = (  # which would ignore the signal as a child of a job in the background
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pathlib import Path; from aucseg.notebooks import execute_notebooks;"
        "execute_notebooks([Path('a.ipynb')], Path('out'), {'profile': 'smoke'})"
    )
    runner = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.PIPE)
    pid = tmp_path / "pid"
    while not pid.exists() or not pid.read_text():
        assert runner.poll() is None
        time.sleep(0.1)
    runner.send_signal(signal.SIGINT)
    _, err = runner.communicate(timeout=60)
    assert b"KeyboardInterrupt" in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)

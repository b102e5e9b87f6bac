"""Execute notebooks with papermill: side by side, with a sign of progress, and without waiting for ever.

Needs the extra ``aucseg[book]``; the library itself imports none of it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aucseg.errors import UserError, extra

with extra("book"):
    import nbformat
    import papermill
    import zmq
    from jupyter_core.utils import ensure_event_loop, run_sync
    from nbclient.client import NotebookClient
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.iorw import load_notebook_node
    from papermill.log import logger
    from traitlets.config import Config

Parameter = str | int | float | bool | list[int]

_ENGINE, _KERNEL = "aucseg", "python3"
_TICK = 0.5  # seconds between two looks at a cell that runs
LOG_EVERY = 30.0  # seconds between two lines about a notebook that runs, where nobody watches
_SOCKET_PATH = 80  # bytes: a Unix socket's path has 107, and the kernel's own part needs room


class NotebookError(UserError, RuntimeError):
    """A notebook that cannot be executed, or that failed; the message names it, the cell and the remedy."""


def execute_notebooks(
    notebooks: Iterable[Path],
    output_dir: Path,
    parameters: Mapping[str, Parameter],
    *,
    cwd: Path | None = None,
    jobs: int | None = None,
    cell_timeout: float | None = None,
    idle_timeout: float = 120.0,
    report: Callable[[str], None] = print,
    live: Callable[[list[str]], None] | None = None,
) -> list[Path]:
    """Execute notebooks, each with the same parameters and in a kernel of its own.

    A notebook is written to ``output_dir`` only when it has finished; one that fails is left in
    ``output_dir/failed`` with its error in place, and the others still run. Kernels talk over Unix sockets in
    a folder of their own: TCP ports are drawn, and two kernels that start at the same moment may draw one.

    Args:
        notebooks: notebooks with one cell tagged ``parameters``.
        output_dir: folder for the executed notebooks.
        parameters: values for names that the ``parameters`` cell of every notebook assigns.
        cwd: working directory of the kernels; the folder of the notebook if not given.
        jobs: notebooks that run at the same time, as many as there are cores by default. If more than one,
            each has one thread, unless ``OMP_NUM_THREADS`` says otherwise.
        cell_timeout: seconds that a cell may take; no limit if not given.
        idle_timeout: seconds after which a cell fails if its kernel lives, does not work on it and does not
            answer either.
        report: called with lines that stay.
        live: called every half a second with a line for each notebook that runs. Without it such a line goes
            to ``report`` twice a minute.

    Returns:
        Paths of the executed notebooks, in their order.

    Raises:
        NotebookError: before anything runs for an unknown parameter, at the end for cells that failed.
    """
    notebooks = list(notebooks)
    for path in notebooks:
        known = notebook_parameters(path)
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise NotebookError(f"{path.name} has no parameter {unknown[0]!r}; it has: {', '.join(known)}")
    jobs = min(jobs or _cores(), len(notebooks)) or 1
    stop = threading.Event()
    runs = [
        _Run(path, f"[{number}/{len(notebooks)}] {path.name}", cell_timeout, idle_timeout, stop)
        for number, path in enumerate(notebooks, 1)
    ]
    with (
        _kernel_environment(jobs),
        tempfile.TemporaryDirectory(prefix="aucseg-", dir=_short()) as sockets,
        ThreadPoolExecutor(jobs) as pool,
    ):
        tasks = {pool.submit(_execute, run, output_dir, dict(parameters), cwd, sockets): run for run in runs}
        try:
            waiting = set(tasks)
            while waiting:
                ended, waiting = wait(waiting, timeout=_TICK, return_when=FIRST_COMPLETED)
                _tell(runs, report, live)
                for task in sorted(ended, key=lambda task: runs.index(tasks[task])):
                    task.result()
                    report(tasks[task].last_line())
        except BaseException:  # Ctrl-C is for the notebooks too, which run in sessions of their own
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    failures = [run.failure for run in runs if run.failure]
    if failures:
        listing = "\n  ".join(failures)
        raise NotebookError(
            f"{len(failures)} of {len(notebooks)} notebooks failed:\n  {listing}\nsee {output_dir / 'failed'}"
        )
    shutil.rmtree(output_dir / "failed", ignore_errors=True)
    return [output_dir / path.name for path in notebooks]


def notebook_parameters(path: Path) -> tuple[str, ...]:
    """Names that the ``parameters`` cell of a notebook assigns.

    Args:
        path: the notebook.

    Returns:
        The names in their order.

    Raises:
        NotebookError: if the file is no notebook or has not exactly one such cell.
    """
    try:
        notebook = load_notebook_node(str(path))
    except OSError as error:
        raise NotebookError(f"cannot read notebook {path}: {error.strerror}") from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise NotebookError(f"{path} is not a notebook: {error}") from error
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise NotebookError(f"{path.name} needs exactly one cell tagged 'parameters', it has {len(cells)}")
    kernel = {"name": _KERNEL, "language": "python", "display_name": "Python 3"}
    notebook.metadata.setdefault("kernelspec", kernel)  # papermill asks for it
    return tuple(papermill.inspect_notebook(notebook))


class _Stuck(Exception):
    """A cell that is given up while its kernel lives."""


class _Run:
    """One notebook on its way: what it does now, and whether it still may."""

    def __init__(
        self, path: Path, label: str, limit: float | None, patience: float, stop: threading.Event
    ) -> None:
        self.path, self.label, self.limit, self.patience, self.stop = path, label, limit, patience, stop
        self.cells = self.cell = 0
        self.started: float | None = None
        self.ended: float | None = None
        self.failure = self._failed = ""
        self._cell_since = self._quiet_since = self._told = 0.0
        self._busy = False

    def begin(self, cells: int) -> None:
        """The kernel is there, and so many cells are to be run."""
        self.cells = cells

    def begin_cell(self) -> None:
        """The next cell goes to the kernel."""
        self.cell += 1
        self._cell_since = self._quiet_since = time.monotonic()
        self._busy = False

    def heard(self, state: str) -> None:
        """The kernel says that it is busy with the cell, or idle again."""
        self._busy = state == "busy"
        self._quiet_since = time.monotonic()

    def check(self) -> None:
        """Give a cell up.

        Raises:
            _Stuck: if the kernel neither works on it nor answers, it takes too long, or all shall stop.
        """
        now = time.monotonic()
        if self.stop.is_set():
            raise _Stuck("stopped")
        if not self._busy and now - self._quiet_since > self.patience:
            raise _Stuck(f"the kernel is idle and has not answered for {self.patience:g} s; run it again")
        if self.limit is not None and now - self._cell_since > self.limit:
            raise _Stuck(f"takes longer than {self.limit:g} s; allow more with --cell-timeout")

    def fail(self, what: str, *, cell: int = 0, trace: str = "") -> None:
        """Keep why it failed, and in which cell."""
        self.failure = f"{self.path.name}, cell [{cell}]: {what}" if cell else f"{self.path.name}: {what}"
        self._failed = f"FAILED in cell [{cell}]" if cell else "FAILED"
        self._failed += f"\n{trace}" if trace else f": {what}"

    def line(self) -> str:
        """Where it is now."""
        seconds = int(time.monotonic() - (self.started or 0.0))
        clock = f"{seconds // 60}:{seconds % 60:02}"
        where = f"cell {self.cell} of {self.cells}" if self.cell else "the kernel starts"
        return f"{self.label}: {where}, {clock}"

    def last_line(self) -> str:
        """How it ended."""
        if self.failure:
            return f"{self.label}: {self._failed}"
        return f"{self.label}: done in {(self.ended or 0.0) - (self.started or 0.0):.0f} s"

    def due(self) -> bool:
        """Whether it has run so long without a line that it is time for one."""
        if self.started is None or self.ended is not None:
            return False
        now = time.monotonic()
        if now - max(self.started, self._told) < LOG_EVERY:
            return False
        self._told = now
        return True


def _tell(runs: list[_Run], report: Callable[[str], None], live: Callable[[list[str]], None] | None) -> None:
    """Show where the notebooks are that run."""
    if live is not None:
        live([run.line() for run in runs if run.started is not None and run.ended is None])
        return
    for run in runs:
        if run.due():
            report(run.line())


def _execute(run: _Run, output_dir: Path, parameters: dict[str, Any], cwd: Path | None, sockets: str) -> None:
    """Execute one notebook; what goes wrong in it is kept and not raised."""
    unfinished = output_dir / "failed" / run.path.name
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    run.started = time.monotonic()
    try:
        executed = papermill.execute_notebook(
            str(run.path.absolute()),
            str(unfinished.absolute()),
            parameters=parameters,
            engine_name=_ENGINE,
            kernel_name=_KERNEL,
            language="python",
            progress_bar=False,
            start_timeout=180,
            iopub_timeout=60,
            extra_arguments=["--log-level=CRITICAL"],
            # not papermill's own cwd, which is that of this process and of all its threads
            resources={"metadata": {"path": str((cwd or run.path.parent).absolute())}},
            config=_own_sockets(Path(sockets) / str(id(run))),
            run=run,
        )
        # Readers download it: where it lay on this machine is none of their business.
        executed.metadata.papermill.update(input_path=run.path.name, output_path=run.path.name)
        nbformat.write(executed, unfinished)
        unfinished.replace(output_dir / run.path.name)
    except papermill.PapermillExecutionError as error:
        trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        run.fail(f"{error.ename}: {error.evalue}", cell=error.exec_count, trace=trace)
    except (_Stuck, RuntimeError, TimeoutError) as error:  # a kernel dies, for example, where memory ran out
        run.fail(str(error), cell=run.cell)
    finally:
        ensure_event_loop().close()  # nbclient makes one for each thread and leaves it open
        run.ended = time.monotonic()


class Awake(NotebookClient):
    """A client that finds the answer that is there.

    A widget's output makes nbclient send on the socket on which it waits at that moment. libzmq tells once
    that something came, and it tells whoever touches the socket next: where that is the sender, the answer
    stays in the queue and the wait has no end. Asking for the socket's events hands it on.
    """

    async def async_execute_cell(self, cell: Any, *arguments: Any, **options: Any) -> Any:
        """Execute a cell, and look twice a second whether the answer has come."""
        work = asyncio.ensure_future(super().async_execute_cell(cell, *arguments, **options))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_TICK)
                if not work.done() and self.kc is not None:
                    self.kc.shell_channel.socket.get(zmq.EVENTS)
                    await self.while_waiting()
        finally:
            work.cancel()
        return work.result()

    execute_cell = run_sync(async_execute_cell)

    async def while_waiting(self) -> None:
        """What else is to be done while a cell runs; what it raises ends the wait."""


class _Client(Awake, PapermillNotebookClient):
    """Tells which cell runs, and gives one up whose kernel does not work on it."""

    def __init__(self, *arguments: Any, run: _Run, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._run = run

    def papermill_execute_cells(self) -> None:
        self._run.begin(sum(map(_is_executed, self.nb.cells)))
        super().papermill_execute_cells()

    async def async_execute_cell(self, cell: Any, *arguments: Any, **options: Any) -> Any:
        if _is_executed(cell):
            self._run.begin_cell()
        return await super().async_execute_cell(cell, *arguments, **options)

    execute_cell = run_sync(async_execute_cell)

    async def while_waiting(self) -> None:
        try:
            self._run.check()
        except _Stuck:
            await self._give_up()
            raise

    async def _give_up(self) -> None:
        """Leave nothing behind that waits for the kernel, and do not ask it to end: it does not answer."""
        self.shutdown_kernel = "immediate"
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "status":
            self._run.heard(msg["content"]["execution_state"])
        return super().process_message(msg, cell, cell_index)


class _Engine(NBClientEngine):
    """papermill's engine with the client above."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, run: _Run, start_timeout: int, **options: Any
    ) -> None:
        options = {key: value for key, value in options.items() if key != "input_path"}
        options |= {"kernel_name": kernel_name, "startup_timeout": start_timeout, "log": logger}
        _Client(nb_man, run=run, **options).execute()


papermill_engines.register(_ENGINE, _Engine)


def _is_executed(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def _own_sockets(prefix: Path) -> Config:
    """Where a kernel and its client meet: sockets in the file system, under a name that is theirs alone."""
    config = Config()
    if os.name == "posix":
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(prefix)
    return config


def _short() -> str | None:
    """A folder for sockets, whose paths are short by law; the usual temporary one if it is."""
    usual = tempfile.gettempdir()
    return "/tmp" if os.name == "posix" and len(os.fsencode(usual)) > _SOCKET_PATH else usual


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _kernel_environment(jobs: int) -> Iterator[None]:
    """Environment variables that kernels inherit, restored afterwards."""
    ours = {
        # A kernel of this environment goes before one of the same name in the user's home.
        "JUPYTER_PREFER_ENV_PATH": "1",
        # Static pages have no widgets; that tqdm misses them is no news for a reader.
        "PYTHONWARNINGS": ",".join(
            filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:IProgress not found"])
        ),
    }
    if jobs > 1:
        ours["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

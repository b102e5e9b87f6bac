"""A process that has imported everything once and forks: a child that will be killed costs no imports.

Run as ``python -m tests.chaos.server``, it reads orders from its standard input, one JSON object a line:
``{"id": 3, "call": "module:function", "arguments": {...}, "said": "a file"}``. Each is answered by
``{"id": 3, "pid": 12}`` once the child is there, and by ``{"id": 3, "status": 0}`` when it has ended, with
its exit code, or the signal as a negative number. It ends with its input, and its children with it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.repository import ROOT

REFUSED = 3
"""Exit code of a child that ended with an error in words, as a command does."""


class Child:
    """A forked process.

    Args:
        said: the file that has what it writes to standard output and error.
    """

    def __init__(self, said: Path) -> None:
        self.said, self.pid, self.status = said, 0, None
        self.begun, self.ended = threading.Event(), threading.Event()

    def kill(self) -> None:
        """End it as a lost machine would: nothing is closed, nothing is told."""
        if not self.ended.is_set():
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = 300.0) -> int:
        """Its exit code, or the signal as a negative number.

        Args:
            seconds: how long to wait at most.

        Raises:
            TimeoutError: if it has not ended by then; it is killed.
        """
        if not self.ended.wait(seconds):
            self.kill()
            raise TimeoutError(f"process {self.pid} still runs after {seconds:g} s: {self.words()[-2000:]}")
        assert self.status is not None
        return self.status

    def words(self) -> str:
        """What it has said so far."""
        return self.said.read_text(encoding="utf-8", errors="replace")


class Server:
    """Starts the process that forks, and speaks with it.

    Args:
        folder: where the children's words are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._children: dict[int, Child] = {}
        self._log = (folder / "server.log").open("w")
        quiet = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=os.environ | quiet,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:  # a machine that is busy with other things
            self._process.kill()
            self._process.wait()
        self._reader.join(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def start(self, call: str, **arguments: Any) -> Child:
        """Fork a child that calls a function.

        Args:
            call: ``"module:function"``.
            arguments: plain values, by name.
        """
        number = len(self._children)
        child = self._children[number] = Child(self.folder / f"{number}.txt")
        order = {"id": number, "call": call, "arguments": arguments, "said": str(child.said)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        if not child.begun.wait(300):
            raise TimeoutError((self.folder / "server.log").read_text())
        return child

    def run(self, call: str, seconds: float = 300.0, **arguments: Any) -> tuple[int, str]:
        """Start a child and wait for it: its exit code and its words.

        Args:
            call: ``"module:function"``.
            seconds: how long to wait at most.
            arguments: plain values, by name.
        """
        child = self.start(call, **arguments)
        return child.wait(seconds), child.words()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            child = self._children[told["id"]]
            if "pid" in told:
                child.pid = told["pid"]
                child.begun.set()
            else:
                child.status = told["status"]
                child.ended.set()


def _child(order: dict[str, Any]) -> None:
    """What the forked process does; it does not return."""
    from aucseg.errors import UserError

    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    code = 0
    try:
        module, _, function = order["call"].partition(":")
        getattr(import_module(module), function)(**order["arguments"])
    except UserError as error:
        print(f"error: {error}")
        code = REFUSED
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code)


def _serve() -> None:
    import torch

    torch.set_num_threads(1)
    from tests.chaos import runs  # and with it all that a training needs

    runs.warm_up()
    answer, sys.stdout = sys.stdout, sys.stderr
    alive: dict[int, int] = {}
    unread, open_ = "", True
    os.set_blocking(0, False)
    while open_:
        if select.select([0], [], [], 0.01)[0]:
            found = os.read(0, 1 << 16).decode()
            open_, unread = bool(found), unread + found
        *lines, unread = unread.split("\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _child(order)
            alive[pid] = order["id"]
            print(json.dumps({"id": order["id"], "pid": pid}), file=answer, flush=True)
        for pid in list(alive):  # at once: a process that nobody has waited for counts as alive
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                print(json.dumps({"id": alive.pop(pid), "status": code}), file=answer, flush=True)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _serve()

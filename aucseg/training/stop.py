"""Ctrl-C, SIGTERM, SIGUSR1: the step is finished and saved, and whoever comes back goes on from there."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from aucseg.errors import UserError
from aucseg.training.checkpoint import AtomicCheckpointIO
from aucseg.training.devices import Agreement

# Schedulers send the third some time before the end of a job; Windows has none.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
_ECHO = 1.0  # seconds: schedulers and launchers send one signal to a group and to each process of it


class TrainingStopped(KeyboardInterrupt):
    """Somebody stopped a training; the message says at which step, and how to go on.

    Args:
        message: the same.
        signum: number of the signal.

    Attributes:
        exit_code: of a command that ends so: 130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1 (Linux).
        signum: the same.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum, self.exit_code = signum, 128 + signum


class _Now(BaseException):  # Lightning would answer a KeyboardInterrupt with sys.exit(1)
    """Stop at once: outside the steps, or because somebody asks for the second time."""


class Stop(Callback):
    """Ends a training after the step in which a signal comes; a second one ends it at once.

    The same signal within a second counts once, but for Ctrl-C.

    In a ``with`` statement; outside the main thread, where there are no signals, it does nothing.

    Args:
        path: the checkpoint to write; ``None`` if there are no steps.
        files: what writes it.
        report: called with one line when the first signal comes.
        rank_timeout: seconds after which a process that does not answer is given up.

    Raises:
        TrainingStopped: at the end of the ``with`` statement, after a signal.
    """

    def __init__(
        self,
        path: Path | None,
        files: AtomicCheckpointIO,
        report: Callable[[str], None],
        *,
        rank_timeout: float = 1800.0,
    ) -> None:
        self.path, self.files, self.report = path, files, report
        self.rank_timeout = rank_timeout
        self.signum: int | None = None
        self.steps = 0
        self._came = 0.0
        self._training, self._in_step = False, False
        self._before: dict[int, Any] = {}
        self._agreement: Agreement | None = None

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in _SIGNALS}
            # A job in the background is started with Ctrl-C ignored, and so it stays.
            self._before = {n: was for n, was in found.items() if was not in (None, signal.SIG_IGN)}
            self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        # A worker that gets the signal too dies, and the loader fails: that is no error of its own.
        ended = isinstance(error, _Now | Exception) and not isinstance(error, UserError)
        if self.signum is not None and (error is None or ended):
            raise TrainingStopped(self._told(), self.signum) from None

    def check(self) -> None:
        """End the ``with`` statement here if a signal has come."""
        if self.signum is not None:
            raise _Now

    def _install(self) -> None:
        for number in _SIGNALS:
            if number in self._before:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == self.signum != signal.SIGINT and time.monotonic() - self._came < _ECHO:
            return
        first, self.signum, self._came = self.signum is None, number, time.monotonic()
        if not (first and self._training):
            raise _Now
        if hasattr(signal, "SIGCHLD"):
            # Workers may have got the signal too: their death is not to be raised in the midst of the step.
            # With the default in its place, Python prints a traceback where both signals came at once.
            was = signal.signal(signal.SIGCHLD, lambda *_: None)
            self._before.setdefault(signal.SIGCHLD, was or signal.SIG_DFL)
        with contextlib.suppress(RuntimeError):  # it may have come while something was being printed
            self.report("stopping: the step is finished and saved; once more stops at once")

    def _told(self) -> str:
        if self.path is None:
            return "stopped"
        saved = self.files.step
        if saved is None:
            return "stopped before a checkpoint was written"
        if saved == self.steps:
            return f"stopped after the last step; the same command evaluates {self.path}"
        return f"stopped; {self.path} has step {saved}, and the same command goes on from there"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Steps begin; the handler that Lightning has put in front of ours would end them by an error."""
        self._install()
        self._training, self.steps = True, trainer.max_steps
        if trainer.world_size > 1:
            self._agreement = Agreement(self.rank_timeout)

    def on_train_batch_start(self, *_: Any) -> None:
        """A step begins."""
        self._in_step = True

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """A step is complete. Of several ranks all stop after the same step, the one after the signal's."""
        self._in_step = False
        if self._agreement is None:
            stop = self.signum is not None
        elif stop := bool(told := self._agreement.say(self.signum or 0)):
            self.signum = self.signum or told
        if stop:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save the last step if the loader fails behind it, because its workers got the signal too."""
        waiting = self._training and not self._in_step and isinstance(exception, Exception)
        alone = self._agreement is None  # the others are in a step
        if self.signum is not None and alone and waiting and trainer.global_step != (self.files.step or 0):
            trainer.save_checkpoint(self.path)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """No step comes any more."""
        self._training = False
        if self._agreement is not None and (told := self._agreement.last()):
            self.signum = self.signum or told

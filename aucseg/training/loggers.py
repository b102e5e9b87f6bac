"""Where the curves of a training and its predictions are sent while it runs: Lightning's loggers, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from PIL import Image

from aucseg.errors import UserError, did_you_mean
from aucseg.training.config import RunConfig
from aucseg.training.curves import Curves
from aucseg.training.datamodule import SegmentationDataModule
from aucseg.training.module import SegmentationModule
from aucseg.training.predict import overlay
from aucseg.training.section import ConfigError
from aucseg.training.validation import Validation

_PICTURES = 4  # of the evaluation split
_MLFLOW_URI, _MLFLOW_FILE = "MLFLOW_TRACKING_URI", "mlflow.db"
_MLFLOW_USER, _MLFLOW_PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


class LoggerError(UserError):
    """What a logger sends to does not take it: a server that does not answer, a disk that is full."""


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell in words what a logger fails by. Its own exception, which may hold a password, is not chained."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:500]
        raise LoggerError(
            f"logger {name!r} failed: {type(error).__name__}: {text}",
            remedy="mend what it sends to, or train again without it; the run goes on from its checkpoint",
        ) from None


class LoggerKind(NamedTuple):
    """One of Lightning's loggers.

    Attributes:
        packages: modules of which it needs one, the first one's name being that of the package on PyPI.
        make: gives the logger of a run, for its folder.
        show: sends it a picture (H,W,3) uint8 by name and step.
        close: ends what it keeps open in the process, so that the next run does not go on in it.
        anew: whether it forgets what was there before, so that a resumed run tells it everything again.
    """

    packages: tuple[str, ...]
    make: Callable[[Path, RunConfig], Logger]
    show: Callable[[Any, str, np.ndarray, int], object]
    close: Callable[[Any], object] = lambda logger: None
    anew: bool = False


def _csv(folder: Path, config: RunConfig) -> Logger:
    from lightning.pytorch.loggers import CSVLogger

    return CSVLogger(folder, name="logs", version="csv", flush_logs_every_n_steps=1)


def _file(logger: Any, name: str, picture: np.ndarray, step: int) -> None:
    path = Path(logger.log_dir) / "pictures" / f"{name.replace('/', '_')}_{step}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _tensorboard(folder: Path, config: RunConfig) -> Logger:
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="logs", version="tensorboard")


def _wandb(folder: Path, config: RunConfig) -> Logger:
    from lightning.pytorch.loggers import WandbLogger

    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return WandbLogger(
        project="aucseg", name=config.name, id=config.identity, save_dir=folder / "logs", resume="allow"
    )


def _mlflow_address() -> str | None:
    """The address that the user has set, without a password in it: MLflow prints it beside every run.

    A user's name and password go to where MLflow looks for them besides, unless something stands there.
    """
    address = os.environ.get(_MLFLOW_URI)
    parts = urlsplit(address or "")
    # in the address of a database they have no other place, and MLflow does not print that
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return address
    for variable, value in ((_MLFLOW_USER, parts.username), (_MLFLOW_PASSWORD, parts.password)):
        if value:
            os.environ.setdefault(variable, unquote(value))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _mlflow(folder: Path, config: RunConfig) -> Logger:
    from lightning.pytorch.loggers import MLFlowLogger

    place = (folder / "logs").resolve()
    place.mkdir(parents=True, exist_ok=True)
    return MLFlowLogger(
        "aucseg",
        run_name=f"{config.name} {config.identity}",
        # a database: recent releases refuse to keep runs in plain files
        tracking_uri=_mlflow_address() or f"sqlite:///{place / _MLFLOW_FILE}",
        artifact_location=(place / "mlflow").as_uri(),
    )


def _leave_mlflow(logger: Any) -> None:
    """Take back the address that MLflow has set for the whole process, unless it is the user's own."""
    if os.environ.get(_MLFLOW_URI, "").endswith(f"/logs/{_MLFLOW_FILE}"):
        import_module("mlflow").set_tracking_uri(None)


LOGGERS = {
    "csv": LoggerKind((), _csv, _file, anew=True),
    "tensorboard": LoggerKind(
        ("tensorboard", "tensorboardX"),
        _tensorboard,
        lambda logger, name, picture, step: logger.experiment.add_image(
            name, picture, step, dataformats="HWC"
        ),
    ),
    "wandb": LoggerKind(
        ("wandb",),
        _wandb,
        lambda logger, name, picture, step: logger.log_image(name, [picture], step=step),
        close=lambda logger: logger.experiment.finish(),
    ),
    "mlflow": LoggerKind(
        ("mlflow",),
        _mlflow,
        lambda logger, name, picture, step: logger.experiment.log_image(
            logger.run_id, picture, artifact_file=f"{name}/{step}.png"
        ),
        close=_leave_mlflow,
    ),
}
"""What ``--logger`` knows; a package is imported once its logger is asked for."""


def check_loggers(names: Iterable[str]) -> tuple[str, ...]:
    """The names of loggers that can be had, each once.

    Args:
        names: of ``LOGGERS``.

    Raises:
        ConfigError: for a name that is none, or whose package is not installed.
    """
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in LOGGERS:
            raise ConfigError(f"unknown logger {name!r}", remedy=did_you_mean(name, LOGGERS))
        packages = LOGGERS[name].packages
        if packages and not any(map(find_spec, packages)):
            raise ConfigError(
                f"logger {name!r} needs a package that is not installed",
                remedy=f"pip install {packages[0]}",
            )
    return wanted


def _made(name: str, folder: Path, config: RunConfig) -> Logger:
    try:
        return LOGGERS[name].make(folder, config)
    except ModuleNotFoundError as error:  # another distribution of the name, as mlflow-skinny
        raise ConfigError(
            f"logger {name!r} cannot be made: {error}", remedy=f"pip install {LOGGERS[name].packages[0]}"
        ) from error


class Logged(Callback):
    """Sends loggers what a record will hold, as soon as it is known, and pictures of predictions.

    The pictures are of the first images of the evaluation split, with their prediction laid over them, after
    each validation and the last step.

    Args:
        names: of ``LOGGERS``.
        data: has the images.
        curves: of the training.
        validation: curves of what is looked at; None for a run that is not.
        folder: of the run.

    Attributes:
        loggers: for the trainer, in the order of the names.
    """

    def __init__(
        self,
        names: Iterable[str],
        data: SegmentationDataModule,
        curves: Curves,
        validation: Validation | None,
        folder: Path,
    ) -> None:
        self.names = check_loggers(names)
        self.kinds = [LOGGERS[name] for name in self.names]
        self.data, self.curves, self.validation = data, curves, validation
        self.loggers = [_made(name, folder, data.config) for name in self.names]
        self._sent = [(0, 0)] * len(self.kinds)

    def open(self) -> None:
        """Reach what the loggers send to, so that a server that does not answer shows before the training.

        Raises:
            LoggerError: for one that cannot be reached.
        """
        for name, logger in zip(self.names, self.loggers, strict=True):
            with _told(name):
                _ = logger.experiment  # made at the first look at it

    def on_train_start(self, trainer: Trainer, pl_module: SegmentationModule) -> None:
        """Tell the configuration, and those that forget what a resumed run has seen before."""
        seen = len(self._points(self.curves.history)), len(self._points(self._looked))
        for number, (kind, logger) in enumerate(zip(self.kinds, self.loggers, strict=True)):
            with _told(self.names[number]):
                logger.log_hyperparams(pl_module.config.model_dump(mode="json"))
            self._sent[number] = (0, 0) if kind.anew else seen
        self._send()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: SegmentationModule, outputs: Any, *_: Any
    ) -> None:
        """Send what is new."""
        self._send()
        step, every = trainer.global_step, self.data.config.evaluation.every
        if trainer.is_global_zero and (step == trainer.max_steps or (every and step % every == 0)):
            self._show(pl_module, step)

    def teardown(self, trainer: Trainer, pl_module: SegmentationModule, stage: str) -> None:
        """Close what stays open in the process after the last step."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: SegmentationModule, exception: BaseException) -> None:
        """Close what stays open in the process: the next run of a sweep would be sent there."""
        self._close()

    def _close(self) -> None:
        for name, kind, logger in zip(self.names, self.kinds, self.loggers, strict=True):
            with _told(name):
                kind.close(logger)

    @property
    def _looked(self) -> dict[str, list[Any]]:
        return {} if self.validation is None else self.validation.curves

    @staticmethod
    def _points(curves: dict[str, list[Any]]) -> list[tuple[int, dict[str, float]]]:
        """Step and values of each point of some curves."""
        return [
            (int(step), {k: v[at] for k, v in curves.items() if k != "step" and v[at] is not None})
            for at, step in enumerate(curves.get("step", ()))
        ]

    def _send(self) -> None:
        trained, looked = self._points(self.curves.history), self._points(self._looked)
        for number, logger in enumerate(self.loggers):
            first = self._sent[number]
            points = trained[first[0] :]
            points += [(s, {f"validation/{k}": v for k, v in p.items()}) for s, p in looked[first[1] :]]
            with _told(self.names[number]):
                for step, values in sorted(points, key=lambda point: point[0]):
                    logger.log_metrics(values, step=step)
                if points:
                    logger.save()
            self._sent[number] = len(trained), len(looked)

    def _show(self, module: SegmentationModule, step: int) -> None:
        images = self.data.eval_set
        modes = {part: part.training for part in module.modules()}
        module.eval()
        try:
            for number in range(min(_PICTURES, len(images))):
                image, mask = images[number]
                batch = (torch.as_tensor(image)[None], torch.as_tensor(mask)[None])
                ready, _ = self.data.on_after_batch_transfer(tuple(t.to(module.device) for t in batch), 0)
                with torch.no_grad():
                    ids, _, _ = module.predict_scores(ready)
                truth, found = (
                    overlay(np.asarray(image), np.asarray(m), module.spec, 0.6) for m in (mask, ids[0].cpu())
                )
                picture = np.concatenate((truth, found), axis=1)
                for name, kind, logger in zip(self.names, self.kinds, self.loggers, strict=True):
                    with _told(name):
                        kind.show(logger, f"prediction/{number}", picture, step)
        finally:
            for part, mode in modes.items():
                part.training = mode

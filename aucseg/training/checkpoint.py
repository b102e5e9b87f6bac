"""Checkpoints: written so that none is lost, read without running code from them, compared with their run."""

from __future__ import annotations

import errno
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import nn

from aucseg import paths
from aucseg.data.files import write_file
from aucseg.errors import UserError, file_errors
from aucseg.training.classes import ClassInfo
from aucseg.training.config import RunConfig
from aucseg.training.module import FirstStage, SegmentationModule
from aucseg.training.splits import DataConfig

FRESH = "start anew with `aucseg train CONFIG.yaml --fresh` (resume=False in Python)"
_OURS = "give a checkpoint of `aucseg train`"
_TRAIN_AGAIN = f"{_OURS} that is whole, or train the network again"


class CheckpointError(UserError, ValueError):
    """A checkpoint that cannot be used; the message names the file and the remedy.

    Attributes:
        damaged: its content is not what was written; the one before it may be whole.
    """

    damaged = False


def _damaged(what: str, path: Path) -> CheckpointError:
    error = CheckpointError(what, file=path, remedy=FRESH)
    error.damaged = True
    return error


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint beside its place and then moves it there, keeping the one that was there before.

    Whatever happens in between, a kill or a full disk, ``last.ckpt`` or ``previous.ckpt`` is whole and holds
    the newest step that the disk has. The checksums in the file are compared when it is read.

    Args:
        allowed: called before each write; what it raises keeps what is there.

    Attributes:
        step: the step that was written or read last.
    """

    def __init__(self, allowed: Callable[[], None] = lambda: None) -> None:
        self.step: int | None = None
        self._allowed = allowed
        self._read: tuple[Path, dict[str, Any]] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: tensors and plain values.
            path: where to.
            storage_options: of other writers; not used.

        Raises:
            DataError: if the system refuses, with what was there before as it was.
            RunClaimed: if the run is another process's by now.
        """
        path = Path(path)
        self._allowed()

        def write(part: Path) -> None:
            try:
                with part.open("wb") as file:
                    torch.save(checkpoint, file)
            except RuntimeError as error:  # what PyTorch's writer makes of an error of the file
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

        def keep_previous() -> None:
            if path.exists():
                path.replace(previous_path(path))

        best = path == best_path(path)  # the same training at an earlier step: nothing goes on from it
        write_file(path, write, durable=True, before=(lambda: None) if best else keep_previous)
        if not best:
            self.step = checkpoint["global_step"]

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The content of a checkpoint; whatever is asked for, on the CPU and without running code from it.

        Raises:
            CheckpointError: as :func:`read_checkpoint`.
        """
        if self._read is not None and self._read[0] == Path(path):
            content, self._read = self._read[1], None
            return content
        return read_checkpoint(path)

    def ready(self, path: Path, content: dict[str, Any]) -> None:
        """Have at hand what was read already.

        Args:
            path: the checkpoint.
            content: what is in it.
        """
        self._read, self.step = (path, content), content["global_step"]

    def remove_checkpoint(self, path: str | Path) -> None:
        """Take a checkpoint away."""
        Path(path).unlink(missing_ok=True)


def previous_path(path: Path) -> Path:
    """Where the checkpoint before the last one of a run lies."""
    return path.with_name("previous.ckpt")


def best_path(path: Path) -> Path:
    """Where the best checkpoint of a run lies, if it was validated: see :class:`EvaluationConfig`."""
    return path.with_name("best.ckpt")


def clear(path: Path, *, last: bool) -> None:
    """Take away what a run no longer needs.

    Args:
        path: its last checkpoint.
        last: that one too, and the best one.
    """
    previous_path(path).unlink(missing_ok=True)
    if last:
        path.unlink(missing_ok=True)
        best_path(path).unlink(missing_ok=True)


def clear_parts(path: Path) -> None:
    """Take away what a killed process had begun to write, of a file that this process alone writes.

    Args:
        path: the file.
    """
    for part in path.parent.glob(f"{path.name}.*.part"):
        part.unlink(missing_ok=True)


def read_checkpoint(path: str | Path, *, expect: RunConfig | None = None) -> dict[str, Any]:
    """The content of a checkpoint as tensors and plain values.

    Args:
        path: file written by :func:`aucseg.training.train`.
        expect: if given, the checkpoint must be of this run.

    Raises:
        CheckpointError: if the file is missing, damaged, not ours, or of another run.
    """
    path = paths.expand(path)
    if not path.exists():
        raise CheckpointError("no such checkpoint", file=path, remedy="check the path")
    with file_errors(path, "cannot be read", kind=CheckpointError):
        content = _load(path)
    state = content.get("aucseg") if isinstance(content, dict) else None
    ours = isinstance(state, dict) and all(isinstance(state.get(key), kind) for key, kind in _STATE.items())
    if not ours or not isinstance(content.get("state_dict"), dict):
        raise CheckpointError("was not written by aucseg", file=path, remedy=_OURS)
    found: dict[str, Any] = content["aucseg"]
    if expect is not None and found["identity"] != expect.identity:
        raise CheckpointError(
            f"belongs to run {found['identity']}, not to {expect.identity}: "
            + _difference(found["config"], expect),
            file=path,
            remedy=f"use another run folder, or {FRESH}",
        )
    return content


# what is read of a checkpoint, and of which kind it is
_STATE = {"identity": str, "config": dict, "spec": dict}


def _load(path: Path) -> Any:
    """What is in the file, once all of its checksums are right."""
    if path.is_file() and path.stat().st_size == 0:
        raise _damaged("is empty", path)
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        raise _damaged("is damaged or not a checkpoint", path) from error
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise _damaged("is damaged or not a checkpoint", path) from error
    if wrong is not None:
        raise _damaged(f"is damaged: the checksum of {wrong} is wrong", path)
    try:
        # weights_only: a checkpoint from a stranger must not be able to run code here.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # whose advice is to run its code after all
        raise CheckpointError(
            "holds more than tensors and plain values, or is no checkpoint", file=path, remedy=_OURS
        ) from None
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged("is damaged or not a checkpoint", path) from error


def _difference(found: Mapping[str, Any], wanted: RunConfig) -> str:
    """In which keys two runs differ."""
    try:
        before = RunConfig.from_dict(dict(found), recorded=True)
    except UserError:
        return "it has other keys"
    a, b = (run.model_dump(mode="json") for run in (before, wanted.pinned()))
    keys = _differing(a, b)
    kept = [key for key in keys if key.rpartition(".")[2] not in _PLACES]
    if kept == ["data.fingerprint"]:
        return "the classes, lists, images or masks of its data have changed since"
    return f"its configuration differs in {', '.join(kept[:6])}{', ...' if len(kept) > 6 else ''}"


_PLACES = (*RunConfig.not_identity, *DataConfig.not_identity)


def _differing(a: Any, b: Any, key: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        names = dict.fromkeys([*a, *b])
        return [k for n in names for k in _differing(a.get(n), b.get(n), f"{key}.{n}".lstrip("."))]
    return [] if a == b or (a in ("", None) and b in ("", None)) else [key]


def latest_checkpoint(
    path: Path, expect: RunConfig, report: Callable[[str], None]
) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint of a run and what is in it: the last one, or the one before it.

    Args:
        path: where the last one lies.
        expect: the run.
        report: called with one line if the last one cannot be used.

    Returns:
        ``None`` if there is none.

    Raises:
        CheckpointError: if it is of another run, or there is one and none is whole.
    """
    if not path.exists():
        path = previous_path(path)  # the process ended between two moves
        return (path, read_checkpoint(path, expect=expect)) if path.exists() else None
    try:
        return path, read_checkpoint(path, expect=expect)
    except CheckpointError as damage:
        previous = previous_path(path)
        if not (damage.damaged and previous.exists()):
            raise
        try:
            content = read_checkpoint(previous, expect=expect)
        except CheckpointError:
            raise damage from None
        path.unlink()  # or the next one would take the place of the whole one
        report(f"{path}: {damage.what}; goes on from the checkpoint before it, step {content['global_step']}")
        return previous, content


def data_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What is not as it was in the data of a run, in words; ``None`` if nothing is.

    Args:
        before: what a checkpoint or a record says of them, :attr:`aucseg.training.Record.dataset`.
        now: the same of the data at hand.
    """
    if (told := class_changes(before.get("classes"), now["classes"])) is not None:
        return told
    groups = zip(now["classes"], before.get("groups", ()), now["groups"], strict=False)
    for name, was, is_ in groups:
        if was != is_:
            return f"class {name!r} was {was} and is {is_} now"
    swapped, swaps = (sorted(map(list, each.get("flip_pairs", ()))) for each in (before, now))
    if swapped != swaps:
        return f"a flip swapped {tell_pairs(swapped)} and swaps {tell_pairs(swaps)} now"
    for part in ("train", "eval"):
        key = f"{part}_fingerprint"
        if before.get(key) not in (None, now[key]):
            return items_changed(now[f"{part}_split"])
    return None


def tell_pairs(pairs: Sequence[Sequence[str]]) -> str:
    """Pairs of classes in words, three of them at most.

    Args:
        pairs: two names each.
    """
    told = ", ".join(f"{one!r} with {other!r}" for one, other in pairs[:3])
    return (told if len(pairs) <= 3 else f"{told} and {len(pairs) - 3} more pairs") or "no classes"


def items_changed(split: str) -> str:
    """What is said of a split whose fingerprint is another one."""
    return f"split {split!r} has changed: its list, images, masks or what their values mean"


def class_changes(before: Any, now: Any) -> str | None:
    """What is not as it was among the classes, in words; ``None`` if nothing is.

    Args:
        before: their names in the order of the train ids; ``None`` if they are not known.
        now: the same of the data at hand.
    """
    if before is None or list(before) == list(now):
        return None
    if sorted(before) == sorted(now):
        was, is_ = next((a, b) for a, b in zip(before, now, strict=True) if a != b)
        return f"its classes are the same in another order: {is_!r} stands where {was!r} stood"
    gone, new = ([n for n in a if n not in b] for a, b in ((before, now), (now, before)))
    told = [
        f"{word} {', '.join(map(repr, names[:3]))}"
        for word, names in (("without", gone), ("with", new))
        if names
    ]
    return f"it has other classes, {len(now)} instead of {len(before)}: {' and '.join(told)}"


def load_weights(module: nn.Module, content: Mapping[str, Any], path: Path) -> None:
    """Load the tensors of a checkpoint.

    Args:
        module: what they are loaded into.
        content: what is in the checkpoint.
        path: the checkpoint, for the message.

    Raises:
        CheckpointError: if they do not fit.
    """
    try:
        module.load_state_dict(content["state_dict"])
    except (RuntimeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"does not fit its network ({reason if len(reason) < 300 else reason[:300] + ' ...'})",
            file=path,
            remedy=f"use the version of aucseg that wrote it, or {FRESH}",
        ) from error


def first_stage(config: RunConfig, classes: ClassInfo) -> FirstStage | None:
    """The network that a run starts from, where it starts from another run's.

    It is the one that was trained, whichever network the predictions of that run's method are of.

    Args:
        config: the run that starts.
        classes: of that run.

    Raises:
        CheckpointError: if there is no such checkpoint, or it cannot be used: it is of another run, not of
            its last step, another file than the configuration says, of other classes, or of a network that
            sees images otherwise normalised.
    """
    first = config.init_from
    if first is None:
        return None
    path = first.file
    if first.run is not None and not path.exists():
        raise CheckpointError(
            f"init_from: run {first.run} has no checkpoint here",
            file=path,
            remedy="train it first, or give the path of its checkpoint",
        )
    content = read_checkpoint(path)
    state = content["aucseg"]
    source = RunConfig.from_dict(state["config"], source=f"configuration in {path}", recorded=True)
    wrong = None
    if first.run is not None and state["identity"] != first.run:
        wrong, remedy = (
            f"is of run {state['identity']}, not of {first.run}",
            "move it away, and train that one",
        )
    elif first.run is not None and content["global_step"] < source.optim.steps:
        done = f"{content['global_step']} of {source.optim.steps}"
        wrong, remedy = f"is of step {done}", "train that run to its end, or give the path of this file"
    elif first.fingerprint not in (None, found := first.content()):
        wrong = f"is not the file of the configuration: it had {str(first.fingerprint)[:16]}, this {found}"
        remedy = "without init_from.fingerprint it is a new run, from what is there now"
    elif told := class_changes(state["spec"]["names"], classes.spec.names):
        wrong = f"was trained on other classes: {told}"
        remedy = "model.encoder_weights starts from an encoder alone"
    elif source.model.figures != config.model.figures:
        wrong = f"has a network whose images are normalised by {[*map(list, source.model.figures)]}"
        remedy = "set model.normalization to these, or model.encoder_weights to that run's"
    if wrong is not None:
        raise CheckpointError(f"init_from: {wrong}", file=path, remedy=remedy)
    network = "model."
    weights = content["state_dict"].items()
    return FirstStage(path, {k.removeprefix(network): v for k, v in weights if k.startswith(network)})


def load_module(path: str | Path) -> SegmentationModule:
    """The trained network of a checkpoint, in evaluation mode on the CPU.

    Raises:
        CheckpointError: as :func:`read_checkpoint`, or if the weights do not fit the network it names.
    """
    path = paths.expand(path)
    try:
        content = read_checkpoint(path)
    except CheckpointError as error:
        if error.remedy != FRESH:
            raise
        # Who wants to evaluate or to predict has nothing to start anew.
        earlier = previous_path(path)
        remedy = f"give {earlier}, which is older" if earlier.is_file() and earlier != path else _TRAIN_AGAIN
        raise CheckpointError(error.what, file=error.file, remedy=remedy) from error
    state = content["aucseg"]
    config = RunConfig.from_dict(state["config"], source=f"configuration in {path}", recorded=True)
    try:
        classes = ClassInfo.from_state(state)
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"does not say its classes ({error})", file=path, remedy=_OURS) from error
    # The weights come from this file: nothing is fetched for them. What the run is, is not changed by that.
    config = config.resolved()
    module = SegmentationModule(config.with_(model__encoder_weights=None), classes)
    module.config = config
    load_weights(module, content, path)
    module.trained_on = state.get("dataset")
    return module.eval()

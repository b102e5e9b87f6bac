"""Reading checkpoints without running code from them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from aucseg.errors import UserError
from aucseg.training.classes import ClassInfo
from aucseg.training.config import RunConfig
from aucseg.training.module import SegmentationModule


class CheckpointError(UserError, ValueError):
    """A checkpoint that cannot be used; the message names the file and the remedy."""


def read_checkpoint(path: str | Path, *, expect: RunConfig | None = None) -> dict[str, Any]:
    """The content of a checkpoint as tensors and plain values.

    Args:
        path: file written by :func:`aucseg.training.train`.
        expect: if given, the checkpoint must be of this run.

    Raises:
        CheckpointError: if the file is missing, damaged, not ours, or of another run.
    """
    path = Path(path)
    try:
        # weights_only: a checkpoint from a stranger must not be able to run code here.
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is damaged or not a checkpoint ({reason}); train again") from error
    if not isinstance(content, dict) or "aucseg" not in content:
        raise CheckpointError(f"{path} was not written by aucseg; give a checkpoint of `aucseg train`")
    found = content["aucseg"]["identity"]
    if expect is not None and found != expect.identity:
        raise CheckpointError(
            f"{path} belongs to run {found}, not to {expect.identity}: its configuration differs; "
            "use another run folder or delete the checkpoint"
        )
    return content


def load_module(path: str | Path) -> SegmentationModule:
    """The trained network of a checkpoint, in evaluation mode on the CPU.

    Raises:
        CheckpointError: as :func:`read_checkpoint`, or if the weights do not fit the network it names.
    """
    content = read_checkpoint(path)
    state = content["aucseg"]
    config = RunConfig.from_dict(state["config"], source=f"configuration in {path}", recorded=True)
    # The weights come from this file: nothing is fetched for them, and their normalisation stays.
    config = config.resolved().with_(model__encoder_weights=None)
    module = SegmentationModule(config, ClassInfo.from_state(state))
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit model {config.model.name!r}: {error}") from error
    return module.eval()

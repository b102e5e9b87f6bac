"""Weights in files and in modules: reading, comparing all of it, then loading all or nothing."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from aucseg.errors import DataError, MissingFileError


def read_weights_file(path: Path) -> Any:
    """What a safetensors or torch file holds, on the CPU; code in it is never run.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, damaged, of another format, or needs Python code to be read.
    """
    if not path.is_file():
        raise MissingFileError(f"no file of weights at {path}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: copy or fetch it again")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise DataError(
                f"{path} is no readable safetensors file, perhaps cut short ({error}): copy or fetch it again"
            ) from error
    try:
        with warnings.catch_warnings():
            # torch warns about an archive of TorchScript before it refuses it
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, OSError) as error:
        code = sorted(set(re.findall(r"GLOBAL (\S+)", str(error))))
        if code or "TorchScript" in str(error):
            raise DataError(
                f"{path} holds Python code ({', '.join(code) or 'TorchScript'}) besides tensors, which is "
                "not run: if you trust the file, load it with torch.load(..., weights_only=False) and save "
                "its tensors alone, as torch.save(model.state_dict(), ...) does"
            ) from error
        # the rest of torch's words is about loading it without weights_only, which would not help
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise DataError(
            f"{path} is no readable torch file of weights, perhaps cut short ({reason}): copy or fetch it "
            "again; a safetensors file must be named *.safetensors"
        ) from error


def load_exactly(
    module: nn.Module,
    state: Mapping[str, Any],
    *,
    source: Path,
    unexpected: Sequence[str] = (),
    twice: Sequence[str] = (),
) -> None:
    """Load a state into a module if every key and shape is right, else change nothing.

    Counts of batches (``num_batches_tracked``) may all be missing, as in files of before 2018: only batch
    norm without momentum reads them.

    Args:
        module: gets the weights, in its own types.
        state: values by the names that the module gives them.
        source: file that they come from, for the message.
        unexpected: further keys of that file that have no place in the module.
        twice: further keys of that file whose place another one has taken.

    Raises:
        ValueError: listing every key that is missing, unexpected, given twice, of another shape or no tensor.
    """
    own = module.state_dict()
    counts = {key for key in own if key.rpartition(".")[2] == "num_batches_tracked"}
    complete = dict(state) if counts & state.keys() else {key: own[key] for key in counts} | dict(state)
    shared = [key for key in own if key in complete]
    tensors = [key for key in shared if isinstance(complete[key], Tensor)]
    wrong = [key for key in tensors if complete[key].shape != own[key].shape]
    problems = {
        "missing": [key for key in own if key not in complete],
        "unexpected": [*(key for key in complete if key not in own), *unexpected],
        "given twice": list(twice),
        "no tensor": [key for key in shared if key not in tensors],
        "of another shape": [
            f"{key} is {tuple(complete[key].shape)} and should be {tuple(own[key].shape)}" for key in wrong
        ],
    }
    if not any(problems.values()):
        # nn.Module's own: encoders of smp override it to rename keys, which are right by now
        nn.Module.load_state_dict(module, complete)
        return
    lines = [f"  {kind}: {', '.join(keys)}" for kind, keys in problems.items() if keys]
    if any(_differs_in_channels_of_images(complete[key], own[key]) for key in wrong):
        lines.append(
            "  a first convolution is not adapted to other channels: build the network with the in_channels "
            "of the file, or convert the file"
        )
    raise DataError("\n".join([f"{source} does not fit {type(module).__name__}, nothing loaded:", *lines]))


def _differs_in_channels_of_images(value: Tensor, own: Tensor) -> bool:
    """Whether two kernels of a first convolution are for images of different numbers of channels."""
    kernels = value.ndim == own.ndim == 4 and 3 in (value.shape[1], own.shape[1])
    return kernels and value.shape[0] == own.shape[0] and value.shape[2:] == own.shape[2:]

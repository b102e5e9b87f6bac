"""How much memory a call takes beyond what was there before it."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")

_CLEAR = Path("/proc/self/clear_refs")


def measurable(device: str) -> bool:
    """Whether the peak can be known: on CUDA, and on the CPU where Linux counts it."""
    return device == "cuda" or _CLEAR.exists()


def in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of a module in a process of its own, whose memory nothing else has touched."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def extra_peak_bytes(run: Callable[[], Any], device: str) -> int:
    """The most memory that was in use during a call, less what was in use before it.

    On CUDA the tensors that PyTorch's allocator held, on the CPU the resident set of this process: call it
    in a fresh process, after a tiny call of the same kind that loads whatever is loaded only once. What was
    freed before is given back to the system first: pages that the C library keeps are resident before and
    during the call that is measured, and would hide as many bytes of it.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:  # of glibc
        trim(0)
    _CLEAR.write_text("5")  # the peak so far is forgotten; the next one starts from what is resident now
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(
        f"/proc/self/status has no {field}; peak memory on a CPU can be measured on Linux only"
    )

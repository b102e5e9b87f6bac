from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from aucseg.functional import surrogate_form
from aucseg.functional.cuda import launch
from aucseg.functional.cuda.device import tile_shape
from tests.functional.cuda.cases import CASES, CHECKS, COMPILED, Case, differentiate, inputs, run
from tests.repository import ROOT

NAMES = (*CASES, *CHECKS)
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def outcome(module: str, cache: object, **environment: str) -> dict[str, str | None]:
    """What a module says of each case, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRITON_CACHE_DIR": str(cache), **environment}
    command = [sys.executable, "-m", f"tests.functional.cuda.{module}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    return outcome("cases", tmp_path_factory.mktemp("triton"), TRITON_INTERPRET="1")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return outcome("compiled", tmp_path_factory.mktemp("triton"), TRITON_INTERPRET="0")


@needs_triton
@pytest.mark.parametrize("name", NAMES)
def test_in_the_interpreter(interpreted, name):
    assert interpreted[name] is None, interpreted[name]


@needs_triton
@pytest.mark.parametrize("name", COMPILED)
def test_compiles_for_a_device(compiled, name):
    assert compiled[name] is None, compiled[name]


@needs_cuda
@needs_triton
@pytest.mark.parametrize("name", NAMES)
def test_on_a_device(name):
    run(name, "cuda")


@needs_cuda
@needs_triton
def test_two_runs_give_the_same_bits():
    arguments = inputs(Case(19, 100_003), "cuda")
    first, second = (differentiate(launch.channel_sums, *arguments) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_cuda
@needs_triton
def test_device_is_not_waited_for():
    logits, rows, request, weights = inputs(Case(19, 4096), "cuda")
    differentiate(launch.channel_sums, logits, rows, request, weights)  # compiles
    logits.requires_grad_()
    torch.cuda.set_sync_debug_mode("error")
    try:
        sums = launch.channel_sums(logits, rows, request, weights)
        (sums.own.sum() + sums.rest.sum() + sums.cross_entropy).backward()
        launch.class_count(rows, 19)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_cuda
@needs_triton
def test_memory_is_one_gradient_and_a_bit():
    logits, rows, request, weights = inputs(Case(150, 2**18, batch=1), "cuda")
    logits.requires_grad_()
    differentiate(launch.channel_sums, logits, rows, request, weights)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    sums = launch.channel_sums(logits, rows, request, weights)
    (sums.own.sum() + sums.rest.sum() + sums.cross_entropy).backward()
    extra = torch.cuda.max_memory_allocated() - before
    assert extra < 1.05 * logits.numel() * logits.element_size()


ON_THE_CPU = """
import sys, torch
from aucseg.losses import AUCSegLoss

logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
AUCSegLoss(3)(logits, torch.arange(16).view(1, 4, 4) % 3).backward()
found = [name for name in sys.modules if name.startswith("aucseg.functional.cuda")]
assert not found, found
"""


def test_off_a_device_the_kernels_are_not_even_imported():
    subprocess.run([sys.executable, "-c", ON_THE_CPU], check=True, cwd=ROOT)


@needs_cuda
@needs_triton
def test_what_fits():
    def ask(k=19, dtype=torch.float32, **form):
        logits = torch.zeros(1, k, 4, dtype=dtype, device="cuda")
        return launch.fit(logits, surrogate_form(form.pop("surrogate", "square"), **form))

    assert ask()
    assert ask(dtype=torch.bfloat16, surrogate="logistic")
    assert not ask(k=launch.MAX_CLASSES + 1)
    assert not ask(dtype=torch.float64)
    assert not ask(score_range=None)  # unbounded scores are summed in float64
    assert not ask(surrogate="logistic", scale=8.0)  # of degree 36


@pytest.mark.parametrize("k", [2, 3, 4, 5, 19, 21, 64, 128, 150, 171, 255, 300, 512, 1000, 1024])
@pytest.mark.parametrize("degree", [0, 1, 2, 8, 12, 16])
def test_tiles_fit(k, degree):
    """Powers of two that hold all channels, and a number of threads that a program can have."""
    for whole in (True, False) if degree <= 2 else (False,):
        block_k, more, block_p, warps = tile_shape(k, degree, whole, split=True)
        assert all(n & (n - 1) == 0 for n in (block_k, more, block_p, warps))
        assert 1 <= warps <= 32
        assert block_k + more >= k or not whole
        assert whole or more == 0
        assert block_k * block_p * degree <= 2**15

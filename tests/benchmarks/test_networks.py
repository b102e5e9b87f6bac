"""The benchmark of the networks, at sizes that take no time."""

from __future__ import annotations

from importlib import import_module
from itertools import islice

import pytest
import torch
from torch import nn

from aucseg.models import create_model, small_options

SIZE = 64


def convolutions(name: str) -> int:
    """Multiply-adds of the convolutions, counted from their kernels and outputs."""
    network = create_model(name, num_classes=19, **small_options(name)).eval()
    counts = []

    def count(module: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        counts.append(output.numel() * module.weight[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, SIZE, SIZE))
    return sum(counts)


def test_multiply_adds_are_those_of_the_convolutions():
    """HRNet has nothing else that multiplies."""
    assert import_module("networks").multiply_adds("hrnet", SIZE, small=True) == convolutions("hrnet")


def test_rows():
    benchmark = import_module("networks")
    first, second = islice(benchmark.quick("cpu", 1), 2)
    assert (first["network"], first["forward_ratio"], first["step_ratio"]) == ("deeplabv3plus", 1, 1)
    for row in (first, second):
        network = create_model(row["network"], num_classes=19, **small_options(row["network"]))
        assert row["encoder"] == small_options(row["network"])["encoder"]
        assert row["parameters"] == sum(weight.numel() for weight in network.parameters())
        assert min(row["step_ms"], row["forward_ms"]) > 0
    assert second["step_ratio"] == pytest.approx(second["step_ms"] / first["step_ms"])

"""Parameters, multiply-adds, time and memory of each network of AUCSeg's Table 1.

    python benchmarks/networks.py --csv

Images of 512x512, 19 classes, each network at its standard encoder, random weights. Multiply-adds are of one
image in evaluation mode, counted by PyTorch; time is of one image forward, and of one training step
(forward with the auxiliary branches, cross entropy, backward) on two images, all networks taking turns in one
run; memory is the peak of such a step in a process of its own, beyond what was there before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from measure import Row, interleaved, run_on_devices
from peak_memory import extra_peak_bytes, in_fresh_process, measurable
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aucseg.losses import cross_entropy
from aucseg.models import Network, create_model, small_options, standard_encoder
from aucseg.models.registry import NETWORKS

CLASSES = 19
BASELINE = "deeplabv3plus"
SIZES = tuple(f"segnext/mscan_{size}" for size in "tsbl")
SPECS = (BASELINE, *(name for name in NETWORKS if name != "segnext"), *SIZES)
BATCH = 2  # the fewest for batch norm after pooling to one pixel


def build(spec: str, *, small: bool = False) -> nn.Module:
    """A network from ``name`` or ``name/encoder``."""
    name, _, encoder = spec.partition("/")
    options = small_options(name) if small else {"encoder": encoder or None}
    return create_model(name, num_classes=CLASSES, **options)


def training_step(network: nn.Module, images: Tensor, target: Tensor) -> None:
    """Forward, loss and backward; the gradients are dropped."""
    output = network(images)
    if isinstance(network, Network):
        terms = network.auxiliary_losses(output.auxiliary, target)
        loss = cross_entropy(output.logits.float(), target) + sum(terms.values())
    else:
        loss = cross_entropy(output.float(), target)
    loss.backward()
    network.zero_grad(set_to_none=True)


def batch(size: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, size, size, generator=generator)
    target = torch.randint(0, CLASSES, (count, size, size), generator=generator)
    return images.to(device, memory_format=torch.channels_last), target.to(device)


def multiply_adds(spec: str, size: int, small: bool) -> int:
    """Of one image in evaluation mode."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        build(spec, small=small).eval()(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops() // 2)


def step_memory(spec: str, size: int, device: str, small: bool) -> int:
    """Peak bytes of a training step beyond weights and images; for a fresh process."""
    network = build(spec, small=small).to(device, memory_format=torch.channels_last).train()
    training_step(network, *batch(64, BATCH, device))
    return extra_peak_bytes(partial(training_step, network, *batch(size, BATCH, device)), device)


def measure(device: str, repetitions: int, size: int = 512, small: bool = False) -> Iterator[Row]:
    """One row for each network."""
    # small, SegNeXt has one size
    specs = dict.fromkeys(spec.partition("/")[0] if small else spec for spec in SPECS)
    networks = {spec: build(spec, small=small).to(device) for spec in specs}
    image, _ = batch(size, 1, device)
    steps: dict[str, Callable[[], Any]] = {}
    forwards: dict[str, Callable[[], Any]] = {}
    for spec, network in networks.items():
        network.to(memory_format=torch.channels_last)
        steps[spec] = partial(training_step, network, *batch(size, BATCH, device))
        forwards[spec] = partial(network, image)
    for network in networks.values():
        network.train()
    step_seconds = interleaved(steps, repetitions=repetitions, device=device)
    for network in networks.values():
        network.eval()
    with torch.inference_mode():
        seconds = interleaved(forwards, repetitions=repetitions, device=device)
    for spec, network in networks.items():
        name, _, encoder = spec.partition("/")
        memory = None
        if measurable(device):
            memory = in_fresh_process(step_memory, spec, size, device, small)
        yield {
            "device": device,
            "network": name,
            "encoder": small_options(name).get("encoder") if small else encoder or standard_encoder(name),
            "size": f"{size}x{size}",
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "multiply_adds": multiply_adds(spec, size, small),
            "forward_ms": 1e3 * seconds[spec],
            "forward_ratio": seconds[spec] / seconds[BASELINE],
            "step_ms": 1e3 * step_seconds[spec],
            "step_ratio": step_seconds[spec] / step_seconds[BASELINE],
            "step_peak_bytes": memory,
        }


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """The smallest variants on images of 64x64."""
    return measure(device, repetitions, 64, small=True)


if __name__ == "__main__":
    run_on_devices("networks", __doc__, measure, quick)

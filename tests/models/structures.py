"""Structures of the smallest variants, read once for all tests that look at them."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from aucseg.models import Structure, create_model, network_structure, small_options
from aucseg.models.registry import NETWORKS

CLASSES = 4
#: The thirteen of AUCSeg's Table 1, and two more of smp.
NAMES = ("deeplabv3plus", *NETWORKS, "unet", "fpn")


def small(name: str, device: str) -> nn.Module:
    """The smallest variant of a network on a device."""
    torch.manual_seed(0)
    with torch.device(device):
        return create_model(name, num_classes=CLASSES, **small_options(name))


@cache
def structure(name: str) -> Structure:
    """Structure of the smallest variant of a network."""
    return network_structure(small(name, "meta"))

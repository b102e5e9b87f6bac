from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch


def test_each_peer_has_a_row_for_each_setting():
    rows = list(import_module("data_path").quick("cpu", 1))
    ours = [row for row in rows if row["candidate"] == "ours"]
    assert [(row["operations"], row["decoding"]) for row in ours] == [
        ("geometry", 0),
        ("geometry", 1),
        ("with colour", 0),
        ("with colour", 1),
    ]
    assert all(row["pace"] == 1 for row in ours)
    assert {"ours", "torchvision"} <= {row["candidate"] for row in rows}
    assert all(row["ms_per_image"] > 0 for row in rows)
    assert not list(import_module("data_path").quick("cuda", 1))


@pytest.mark.parametrize("colour", [False, True])
def test_torchvisions_path_gives_what_ours_gives(colour):
    """The same draws: the same image but for rounding, and a mask that may look half a pixel elsewhere."""
    benchmark = import_module("data_path")
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    for seed in range(5):
        found = []
        for path in (benchmark.our_path, benchmark.torchvision_path):
            torch.default_generator.manual_seed(seed)
            found.append(path(32, colour=colour)(image, mask))
        (ours, labels), (theirs, other) = found
        assert ours.shape == theirs.shape == (3, 32, 32)
        assert (ours.int() - theirs.int()).abs().max() <= (3 if colour else 2)
        assert torch.equal(labels == 255, other == 255)

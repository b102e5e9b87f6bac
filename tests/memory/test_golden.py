"""The bank with its first options, without a budget, makes the draws and the batches of version 1.

Records of training runs depend on them. The hashes were made by the code before the later options came.
"""

from __future__ import annotations

import hashlib

import pytest
import torch

from aucseg.errors import OptionError
from aucseg.memory import TailMemoryBank
from tests.memory.scenes import TAIL, scene, seeded

FIRST = {"budget": None}
WHOLE = {"memory_size": 1, "sample_ratio": 1.0, "resize_ratio": 1.0, **FIRST}
SCALED = {"memory_size": 2, "sample_ratio": 0.7, "resize_ratio": 0.6, **FIRST}


def digest(bank, seeds, *, pictures, dtype=torch.float32):
    found = hashlib.sha256()
    for seed in seeds:
        images, labels = bank(*scene(seed, dtype=dtype))
        found.update(labels.numpy().tobytes())
        found.update(bank.get_extra_state()["generator"].numpy().tobytes())
        if pictures:
            found.update(images.numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize(
    ("options", "dtype", "pictures", "expected"),
    [
        (FIRST, torch.float32, False, "e00a1533d9f5ae73f3e81c162aaf6396384319d72997cf188283ff9b8a67dfd7"),
        (SCALED, torch.float32, False, "5d0997a81a341d32d0ceee8f957bdb0b2ac5bb8d065c5d010432c6eeaba9b959"),
        (SCALED, torch.uint8, False, "5d0997a81a341d32d0ceee8f957bdb0b2ac5bb8d065c5d010432c6eeaba9b959"),
        (WHOLE, torch.float32, True, "4a0fb4919f365de5af0f5aa9493ee853c0d9dd83eb41b9cfb95416ae8a65bb5f"),
        (WHOLE, torch.uint8, True, "36ff8fe4c9c8639691c9ea60d953522db8ab7b6b1d0ab981dd4600ba341211a7"),
    ],
)
def test_same_batches_as_ever(options, dtype, pictures, expected):
    # resized pictures are left out: their last bit is the processor's
    assert (
        digest(
            TailMemoryBank(TAIL, generator=seeded(3), **options), range(12), pictures=pictures, dtype=dtype
        )
        == expected
    )


def old_state(bank):
    """The state of a bank as version 1 wrote it."""
    state = bank.get_extra_state()
    first = ("stored", "pasted", "missing", "empty")
    return {
        "version": 1,
        **{key: state[key] for key in ("tail_classes", "crops", "generator")},
        "counters": {name: state["counters"][name] for name in first},
    }


def test_a_state_of_version_1_goes_on_as_it_would_have():
    first = TailMemoryBank(TAIL, generator=seeded(3), **SCALED)
    for seed in range(4):
        first(*scene(seed))
    bank = TailMemoryBank(TAIL, **SCALED)
    bank.load_state_dict({"_extra_state": old_state(first)})
    assert bank.sizes() == first.sizes()
    assert bank.stats()["missing"] == first.stats()["missing"]
    assert bank.stats()["replaced"] == dict.fromkeys(TAIL, 0)
    assert (
        digest(bank, range(4, 12), pictures=False)
        == "924fbff26fa2cda7f48ab55d3482102b1f512288183706d587d6a4edf621a657"
    )
    assert bank.stats()["pasted_age"][5] >= 0


def test_a_state_of_version_1_has_no_places_for_the_canvas():
    first = TailMemoryBank(TAIL, generator=seeded(3), **SCALED)
    for seed in range(4):
        first(*scene(seed))
    bank = TailMemoryBank(TAIL, placement="canvas", **SCALED)
    with pytest.raises(OptionError, match=r"older version .* build it with placement='box', or start with"):
        bank.load_state_dict({"_extra_state": old_state(first)})

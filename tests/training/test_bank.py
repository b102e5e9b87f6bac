"""From a configuration to the bank: every kind, and what does not go together."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch

from aucseg.data import ClassSpec, load_spec
from aucseg.longtail import Tally
from aucseg.longtail.bank_size import PASTE_BUDGET
from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from aucseg.memory.bank import BUDGET
from aucseg.training import BankConfig, ClassInfo, ConfigError, RunConfig
from aucseg.training.bank import foretell_cover, make_bank

SPEC = load_spec("cityscapes")
SIZE = (64, 128)
ALL = {"sample_ratio": 1.0, "resize_ratio": 1.0}


def build(spec=SPEC, **options):
    return make_bank(BankConfig(**options), ClassInfo(spec), SIZE, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, TailMemoryBank),
        ({"kind": "pixel"}, PixelMemoryBank),
        ({"kind": "fixed_pixels", "image_share": 0.1}, FixedPixelBank),
        ({"kind": "copy_paste"}, CopyPaste),
    ],
)
def test_each_kind_is_its_class_and_runs(options, kind):
    bank = build(**options)
    assert type(bank) is kind
    images, target = torch.rand(2, 3, *SIZE), torch.randint(0, 19, (2, *SIZE))
    pasted, labels = bank(images, target)
    assert pasted.shape == images.shape
    assert labels.shape == target.shape


@pytest.mark.parametrize("kind", ["tail", "pixel", "copy_paste"])
def test_a_bank_without_a_budget_is_the_papers(kind):
    """Records that were made before there was a budget stay what they are: by name and by what they do."""
    assert build(kind=kind).budget is None
    config = RunConfig(data={"train_images": 8, "eval_images": 4}, bank={"kind": kind})
    old = config.model_dump(mode="json")
    assert old["bank"].pop("budget") is None
    assert RunConfig.from_dict(old, recorded=True).identity == config.identity
    assert config.with_(bank__budget=0.05).identity != config.identity


def counted(area, *, images=10):
    """Ten images of 1,000 pixels, in which the two tail classes take turns with ``area`` pixels each."""
    spec = ClassSpec("toy", ("a", "b", "c"), ((0, 0, 0),) * 3, ("head", "tail", "tail"))
    by_image = np.zeros((images, 3), np.int64)
    by_image[::2, 1] = by_image[1::2, 2] = area
    by_image[:, 0] = 1000 - area
    return ClassInfo(spec, Tally.of_images(spec, by_image))


@pytest.mark.parametrize(
    ("options", "area", "words"),
    [
        (
            {"sample_ratio": 1.0, "resize_ratio": 1.0},
            300,
            "would write 30% .* nothing limits them, bank.budget: 0.05",
        ),
        (
            {"sample_ratio": 1.0, "resize_ratio": 1.0, "budget": 0.1},
            300,
            r"30%.*allows 10%, so .* scaled down",
        ),
        (
            {"sample_ratio": 1.0, "resize_ratio": 1.0},
            300,
            r"bank.sample_ratio: 0.5 and bank.resize_ratio: 0.4 would",
        ),
        ({"kind": "copy_paste", "sample_ratio": 1.0, "resize_ratio": 1.0}, 300, "would write 30%"),
        ({"kind": "pixel", "sample_ratio": 1.0, "resize_ratio": 1.0}, 300, "would write 30%"),
        ({"kind": "fixed_pixels", "image_share": 0.15}, 10, "would write 15% .*image_share asks for them"),
        (ALL | {"budget": 0.0}, 10, "allows 0%"),
        (ALL, 40, None),
        ({"sample_ratio": 0.5, "resize_ratio": 0.4}, 300, None),
        (ALL | {"budget": 0.5}, 300, None),
        (ALL | {"memory_size": 0}, 300, None),
    ],
)
def test_a_bank_that_would_cover_much_is_foretold(options, area, words):
    told = foretell_cover(BankConfig(**options), counted(area), batch_size=4)
    if words is None:
        assert told is None
    else:
        assert re.search(words, told)


def test_the_two_rooms_have_one_budget():
    assert PASTE_BUDGET == BUDGET


def test_options_reach_the_bank():
    bank = build(
        memory_size=3,
        sample_ratio=0.5,
        resize_ratio=0.7,
        budget=0.02,
        scope="batch",
        replacement="fifo",
        min_area=4,
        max_cover=0.25,
        edge="soft",
        placement="canvas",
        offload=True,
    )
    assert (bank.memory_size, bank.sample_ratio, bank.resize_ratio) == (3, 0.5, 0.7)
    assert bank.budget == 0.02
    assert (bank.scope, bank.min_area, bank.max_cover) == ("batch", 4, 0.25)
    assert (bank.edge, bank.placement, bank.offload) == ("soft", "canvas", True)
    assert type(bank.replacement).__name__ == "FIFO"
    assert bank.tail_classes == SPEC.tail


def test_a_share_of_the_image_is_a_number_of_pixels():
    """10,000 pixels of the paper's 512 x 512 are 312.5 of 64 x 128."""
    bank = build(kind="fixed_pixels", image_share=10_000 / 512**2)
    assert isinstance(bank, FixedPixelBank)
    assert bank.pixels_per_image == 312


def test_the_bank_of_all_classes_has_all():
    assert build(kind="pixel").tail_classes == tuple(range(19))


def test_a_label_set_without_a_tail_says_what_to_do():
    flat = dataclasses.replace(SPEC, groups=("head",) * 19)
    with pytest.raises(ConfigError, match=r"no tail class.*data\.tail_classes"):
        build(flat)
    assert len(build(flat, kind="pixel").tail_classes) == 19


def test_options_that_do_not_go_together_are_a_configuration_error():
    with pytest.raises(ConfigError, match=r"bank: .*antialias"):
        build(edge="soft", antialias=False)


@pytest.mark.parametrize(
    ("bank", "words"),
    [
        ({"kind": "fixed_pixels"}, "image_share"),
        ({"image_share": 0.1}, "image_share"),
        ({"kind": "fixed_pixels", "image_share": 0.1, "sample_ratio": 1.0}, "sample_ratio has no part"),
        ({"kind": "copy_paste", "memory_size": 3}, "memory_size has no part.*got 3"),
        ({"kind": "copy_paste", "replacement": "fifo"}, "replacement has no part"),
        ({"kind": "both"}, "'tail', 'pixel'"),
    ],
)
def test_what_a_kind_does_not_look_at_is_refused(bank, words):
    """Accepted, such a key would give one and the same run several identities."""
    with pytest.raises(ConfigError, match=words):
        RunConfig.from_dict({"data": {"train_images": 8, "eval_images": 4}, "bank": bank})

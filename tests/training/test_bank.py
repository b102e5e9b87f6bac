"""From a configuration to the bank: every kind, and what does not go together."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from aucseg.data import load_spec
from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from aucseg.training import BankConfig, ClassInfo, ConfigError, RunConfig
from aucseg.training.bank import make_bank

SPEC = load_spec("cityscapes")
SIZE = (64, 128)


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

"""What a run is trained on: the order of its images, and which classes are its tail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aucseg.data import (
    CappedRandomCrop,
    CoveringBatchSampler,
    RareClassBatchSampler,
    RepeatingBatchSampler,
    StepBatchSampler,
    StratifiedBatchSampler,
)
from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.longtail import auto_partition
from aucseg.training import ConfigError, SegmentationDataModule, SegmentationModule, train


def module(**changes) -> SegmentationDataModule:
    return SegmentationDataModule(make_config("streets", "smoke").with_(**changes))


def by_hand(data: SegmentationDataModule) -> np.ndarray:
    masks = [np.asarray(data.train_set[i][1]) for i in range(len(data.train_set))]
    return np.array([[(mask == c).any() for c in range(19)] for mask in masks])


def test_presence_is_of_the_training_masks():
    data = module()
    assert np.array_equal(data.presence, by_hand(data))


@pytest.mark.parametrize(
    ("sampling", "kind"),
    [
        ("random", StepBatchSampler),
        ("stratified", StratifiedBatchSampler),
        ("covering", CoveringBatchSampler),
        ("repeat_factor", RepeatingBatchSampler),
        ("rarest_class", RepeatingBatchSampler),
        ("rare_class", RareClassBatchSampler),
    ],
)
def test_sampling_names_a_sampler_that_the_loader_uses(sampling, kind):
    data = module(data__sampling=sampling)
    sampler = data.train_dataloader().batch_sampler
    assert type(sampler) is kind
    assert list(sampler) == list(data.sampler())
    assert list(data.sampler(start_step=2)) == list(data.sampler())[2:]  # a resumed run goes on


def test_an_unknown_sampling_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"data: unknown sampling 'rare_clas'; did you mean 'rare_class'"):
        module(data__sampling="rare_clas")


@pytest.mark.parametrize("sampling", ["random", "rare_class", "covering"])
@pytest.mark.parametrize("crop", ["class_pixel", "class_share"])
def test_a_crop_that_looks_for_a_class_goes_with_any_sampler(sampling, crop):
    options = {"data__crop_size": (16, 24), "data__rare_temperature": 0.3, "data__crop_min_share": 0.05}
    data = module(data__sampling=sampling, data__crop=crop, **options)
    loader = data.train_dataloader()
    chosen = loader.dataset.transform.transforms[0]
    share = data.classes.pixels / data.classes.pixels.sum()
    weights = np.where(share > 0, np.exp((1 - share) / 0.3), 0)
    np.testing.assert_allclose(chosen.probabilities, weights / weights.sum())
    assert (chosen.rule, chosen.min_share) == (crop.removeprefix("class_"), 0.05)
    for keys, (_, targets) in zip(loader.batch_sampler, loader, strict=True):
        assert targets.shape[-2:] == (16, 24)
        if sampling == "rare_class" and crop == "class_pixel":
            assert all((mask == key[2]).any() for key, mask in zip(keys, targets, strict=True))
    other = data.training_loader("val", 2).dataset.transform.transforms[0]
    assert type(other) is CappedRandomCrop  # masks of other splits are not looked at


def test_a_crop_of_the_whole_image_has_no_place_to_choose():
    with pytest.raises(ConfigError, match=r"crop 'class_pixel' chooses a place.*set crop_size"):
        module(data__crop="class_pixel")


def test_the_ranks_of_a_covering_sampler_share_its_batches():
    data = module(data__sampling="covering", data__batch_size=4)
    parts = [data.sampler(rank=rank, world_size=2) for rank in range(2)]
    presence = data.presence
    for both in zip(*parts, strict=True):
        images = [index for part in both for index, _ in part]
        assert presence[images].any(0).sum() == presence.any(0).sum()


def test_a_batch_too_small_to_cover_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"covering.*cannot hold all"):
        module(data__sampling="covering", data__batch_size=1).sampler()


def test_the_record_says_what_a_sampler_repeats(tmp_path):
    config = make_config("streets", "smoke", data={"sampling": "covering"}, bank=None)
    record = train(config.with_(device="cpu"), tmp_path, progress=False)
    repeats = record.dataset["repeats"]
    held = by_hand(SegmentationDataModule(config)).any(0)
    names = record.dataset["classes"]
    assert {name for name, missed in repeats["missed"].items() if missed == 1.0} == {
        name for name, has in zip(names, held, strict=True) if not has
    }
    assert repeats["most"] >= 1
    assert "repeats" not in SegmentationDataModule(config.with_(data__sampling="random")).describe()


def test_the_tail_of_the_label_set_is_the_default():
    data = module()
    assert data.spec == data.eval_set.spec


def test_a_tail_of_ones_own_reaches_bank_loss_and_metrics():
    config = make_config(
        "streets", "smoke", data={"tail_classes": ("train", 3)}, loss={"pairs": "tail_versus_rest"}
    )
    data = SegmentationDataModule(config)
    assert data.spec.tail == (3, 16)
    network = SegmentationModule(config, data.classes)
    assert network.bank is not None
    assert network.bank.tail_classes == (3, 16)
    assert network.objective.auc is not None
    tail = np.isin(np.arange(19), (3, 16))
    assert np.array_equal(network.objective.auc.pair_weights.numpy() > 0, tail[:, None] != tail)
    assert tuple(np.flatnonzero(np.array(network.iou.groups) == "tail")) == (3, 16)


def test_auto_goes_by_pixel_shares():
    data = module(data__tail_classes="auto")
    spec = data.eval_set.spec
    assert data.spec.groups == auto_partition(spec.pixel_share, spec.names).groups


@pytest.mark.parametrize(
    ("choice", "words"),
    [("autoo", "did you mean 'auto'|auto"), (("tram",), "tram"), ((3, 3), "twice"), ("ade20k", "Table 9")],
)
def test_a_tail_that_cannot_be_is_a_configuration_error(choice, words):
    with pytest.raises(ConfigError, match=rf"data\.tail_classes: .*({words})"):
        _ = module(data__tail_classes=choice).spec


def hands(root: Path, write: Any) -> dict[str, Any]:
    """A data set with classes of two sides, and what of a configuration reads it."""
    folder = write("hands", splits={"train": 2, "val": 1})
    text = (folder / "classes.csv").read_text()
    (folder / "classes.csv").write_text(
        text.replace(",Sky,", ",left hand,").replace(",Road,", ",right hand,")
    )
    options = {"name": "folder", "root": folder, "train_images": 2, "eval_images": 1, "size": (32, 48)}
    return {f"data__{key}": value for key, value in options.items()} | {
        "data__hflip": 1.0,
        "data__scale": None,
        "data__crop_size": None,
    }


def test_a_flip_swaps_left_and_right_classes(make_camvid, tmp_path):
    options = hands(tmp_path, make_camvid)
    data = module(**options)
    left, right = (data.spec.index(name) for name in ("left hand", "right hand"))
    assert data.describe()["flip_pairs"] == [["left hand", "right hand"]]
    swap = np.arange(256)
    swap[[left, right]] = right, left
    plain = module(**options, data__flip_pairs="none")
    assert "flip_pairs" not in plain.describe()
    given = module(**options, data__flip_pairs=[["right hand", left]])
    for each, table in ((data, swap), (plain, np.arange(256)), (given, swap)):
        (index, seed), *_ = next(iter(each.sampler()))
        image, mask = each.train_dataloader().dataset[index, seed]
        stored = each.train_set[index]
        assert np.array_equal(image, np.asarray(stored[0])[..., ::-1])
        assert np.array_equal(mask, table[np.asarray(stored[1])[:, ::-1]])
        assert SegmentationModule(each.config, each.classes).spec.flip_pairs == each.spec.flip_pairs
    wrong = module(**options, data__flip_pairs=[["lefthand", "right hand"]])
    with pytest.raises(ConfigError, match=r"data\.flip_pairs: .* 'lefthand'; did you mean 'left hand'"):
        wrong.describe()
    without = {key: value for key, value in options.items() if key != "data__hflip"}
    assert "flip_pairs" not in module(**without, data__hflip=0.0).describe()
    assert "flip_pairs" in module(**without, data__hflip=0.0, evaluation__flip=True).describe()


def test_the_choice_of_sides_is_no_part_of_an_old_identity():
    config = make_config("streets", "smoke")
    assert config.with_(data__flip_pairs="auto").identity == config.identity
    assert config.with_(data__flip_pairs="none").identity != config.identity


def test_labels_on_which_nothing_can_be_learnt_are_refused_before_training(tiny_camvid: Path) -> None:
    """A class of one's own without a pixel; in all training images, however few of them train."""
    section = {"name": "folder", "root": tiny_camvid, "size": (64, 96), "train_images": 1, "batch_size": 1}
    config = make_config("streets", "smoke").with_(data=section)
    SegmentationDataModule(config).describe()  # one image lacks classes that the others have
    for path in (tiny_camvid / "annotations/train").glob("*.png"):
        mask = np.array(Image.open(path))
        mask[mask == 10] = 255
        Image.fromarray(mask).save(path)
    with pytest.raises(DataError, match=r"classes\.csv: class 'Bicyclist' has no pixel in 'train'"):
        SegmentationDataModule(config).describe()
    SegmentationDataModule(
        config.with_(data__name="camvid")
    ).describe()  # a published label set may lack some


def test_a_training_says_which_classes_its_flips_swap(make_camvid, tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    changes = {"bank": None, "optim__steps": 1, "optim__warmup_steps": 0, "data__batch_size": 2}
    config = make_config("streets", "smoke").with_(**hands(tmp_path, make_camvid), **changes)
    said: list[str] = []
    record = train(config, progress=False, report=said.append)
    assert "a flip swaps 'left hand' with 'right hand'; data.flip_pairs chooses other pairs, or none" in said
    assert record.dataset["flip_pairs"] == [["left hand", "right hand"]]

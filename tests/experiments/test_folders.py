"""Profiles that are computed from a folder: what they say about data of several kinds, worked out by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from aucseg.errors import DataError, MissingExtraError
from aucseg.experiments import (
    base_config,
    comparison,
    explain_config,
    folder_profile,
    get_experiment,
    make_config,
    profiles,
)
from aucseg.training import ConfigError, RunConfig

ROAD, CAR, DOT, NEVER = range(4)


def write(root, *, images=20, size=(300, 400), dot=40, splits=("train", "val")):
    """Road everywhere, a car in every fourth image, a dot (of ``dot`` x ``dot``) in every second."""
    root.mkdir()
    with (root / "classes.csv").open("w", newline="") as file:
        rows = [("road", "head"), ("car", "middle"), ("dot", "tail"), ("never", "tail")]
        csv.writer(file).writerows(
            [("id", "name", "r", "g", "b", "ignore", "group")]
            + [(i, name, 10 * i, 0, 0, 0, group) for i, (name, group) in enumerate(rows)]
        )
    (root / "splits").mkdir()
    for split in splits:
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        names = [f"{split}{i:03d}" for i in range(images)]
        (root / "splits" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for i, name in enumerate(names):
            mask = np.zeros(size, np.uint8)
            if i % 4 == 0:
                mask[: size[0] // 2, : size[1] // 2] = CAR
            if i % 2 == 0:
                mask[-dot:, -dot:] = DOT
            Image.fromarray(mask).save(root / "annotations" / split / f"{name}.png")
            Image.new("RGB", size[::-1]).save(root / "images" / split / f"{name}.jpg")
    return str(root)


@pytest.fixture
def without_weights(monkeypatch):
    def absent(encoder):
        raise MissingExtraError("no weights", remedy="install them")

    monkeypatch.setattr(profiles, "package_weights", absent)


@pytest.fixture
def with_weights(monkeypatch):
    monkeypatch.setattr(profiles, "package_weights", lambda encoder: "somewhere")


def test_a_laptop_profile_by_hand(tmp_path, without_weights):
    root = write(tmp_path / "mine")
    config = make_config(root, "laptop")
    assert config.data.name == "folder"
    assert str(config.data.root) == root
    assert config.profile == "laptop"
    assert config.data.size == (120, 160)  # 20,480 pixels of the shape 3:4
    assert config.data.crop_size == (96, 128)
    assert config.data.eval_split == "val"
    # 20 images in batches of 8, 20 times: 50 steps, but not fewer than 300
    assert (config.data.batch_size, config.optim.steps) == (8, 300)
    assert (config.model.encoder, config.model.encoder_weights) == ("tu-mobilenetv4_conv_small_035", None)
    # a dot has 1600 of 120,000 pixels and is missing from half of the images; the tail has as much as that
    assert (config.bank.sample_ratio, config.bank.resize_ratio, config.bank.budget) == (1.0, 1.0, 0.05)
    assert base_config("folder", "laptop", root=root)["bank"] == base_config(root, "laptop")["bank"]
    words = " ".join(explain_config(root, "laptop"))
    assert "300 x 400 pixels are worked on at 120 x 160" in words
    assert "R_S = 1, 1.5 of the missing classes, and R_R = 1: 0.67% on average" in words
    assert "ImageNet's are in the extra pretrained, which is not installed" in words


def test_from_imagenet_where_the_weights_are_installed(tmp_path, with_weights):
    root = write(tmp_path / "mine", images=4)
    for profile, encoder in (("laptop", "lite0"), ("gpu", "lite2")):
        config = make_config(root, profile)
        assert config.model.encoder == f"tu-tf_efficientnet_{encoder}"
        assert config.model.encoder_weights == "package"
        assert config.optim.decoder_factor == 10  # the encoder's rate is a tenth
        assert config.optim.lr == pytest.approx(make_config(root, profile, start="random").optim.lr / 10)
        assert make_config(root, profile, start="random").model.encoder_weights is None
        assert config == make_config(root, profile, start="imagenet")
        assert explain_config(root, profile)[-1] == "Encoders start from ImageNet weights."
    assert config.data.batch_size == 4  # not more than there are images
    # a rate that an experiment names is the decoder's, whatever the start
    assert make_config(root, "laptop", optim={"lr": 0.01}).optim.lr == pytest.approx(0.001)


def test_tiny_objects_are_worked_on_at_a_larger_size(tmp_path, without_weights):
    """A dot of 36 pixels in 640,000 would have one of 20,000: four times as many, crops of the same size."""
    config = make_config(write(tmp_path / "dots", size=(800, 800), dot=6), "laptop")
    assert config.data.size == (288, 288)
    assert (
        config.data.crop_size
        == make_config(write(tmp_path / "blobs", size=(800, 800), dot=60), "laptop").data.crop_size
        == (128, 128)
    )
    assert "would have 1.2 pixels" in explain_config(str(tmp_path / "dots"), "laptop")[0]
    # small images are not enlarged
    assert make_config(write(tmp_path / "small", size=(40, 50), dot=2), "laptop").data.size == (40, 50)


def test_steps_follow_the_number_of_images(tmp_path, without_weights, monkeypatch):
    root = write(tmp_path / "mine", images=200, size=(16, 16), dot=2)
    assert make_config(root, "laptop").optim.steps == 500  # 200 / 8 * 20
    assert make_config(root, "gpu").optim.steps == 2_000  # 200 / 16 * 60 = 750 are too few


def test_a_large_object_is_scaled_into_the_budget(tmp_path, without_weights):
    config = make_config(write(tmp_path / "mine", size=(100, 100), dot=70), "laptop")
    # 4,900 of 10,000 pixels are missing from half of the images, and one of two classes is drawn, of which
    # the other never occurs: 12.25% on average, and 5% are allowed
    assert config.bank.sample_ratio == 0.5
    assert config.bank.resize_ratio == 0.63


def test_no_tail_no_bank(tmp_path, without_weights):
    root = write(tmp_path / "mine", images=4)
    text = (tmp_path / "mine" / "classes.csv").read_text()
    (tmp_path / "mine" / "classes.csv").write_text(text.replace("tail", "middle"))
    assert make_config(root, "laptop").bank is None
    assert "no memory bank" in " ".join(explain_config(root, "laptop"))
    # named ones count, for the ratios too
    named = make_config(root, "laptop", data={"tail_classes": ("dot",)})
    assert named.data.tail_classes == ("dot",)
    assert named.bank.sample_ratio == 1.0


def test_computed_again_when_the_masks_change(tmp_path, without_weights):
    root = write(tmp_path / "mine", size=(100, 100), dot=70)
    assert folder_profile("folder", "laptop", root) is folder_profile("folder", "laptop", root)
    first = make_config(root, "laptop").bank
    for path in (tmp_path / "mine" / "annotations" / "train").iterdir():
        mask = np.array(Image.open(path))
        mask[mask == DOT] = 0
        mask[:3, :3] = DOT
        Image.fromarray(mask).save(path)
    assert make_config(root, "laptop").bank != first


def test_splits_are_not_guessed(tmp_path, without_weights, run):
    folds = write(tmp_path / "folds", images=2, splits=("fold1", "fold2"))
    with pytest.raises(DataError, match="no split is called 'train' among fold1, fold2"):
        make_config(folds, "laptop")
    code, output = run(
        "config", "--dataset", folds, "--set", "data.train_split=fold2", "--set", "data.eval_split=fold1"
    )[:2]
    assert code == 0
    assert "train_split: fold2" in output
    assert "2 training images" in output
    with pytest.raises(ConfigError, match="has no split 'val' or 'test' to evaluate on, only train"):
        make_config(write(tmp_path / "alone", images=2, splits=("train",)), "laptop")
    tested = write(tmp_path / "tested", images=2, splits=("train", "test"))
    assert make_config(tested, "gpu").data.eval_split == "test"


def test_experiments_have_runs_on_a_folder(tmp_path, without_weights):
    """What an arm takes from the data set is what was computed for it, the budget too."""
    root = write(tmp_path / "mine", images=4, size=(30, 40), dot=6)
    chosen = make_config(root, "laptop").bank
    assert chosen.budget == 0.05
    kinds = {run.arm.name: run.config for run in get_experiment("memory_kind").runs(root, "laptop", [0])}
    assert kinds["tail"].bank == chosen
    assert kinds["pixel"].bank == chosen.model_copy(update={"kind": "pixel"})
    for name in ("ablation_components", "defaults", "sampling", "fixed_pixels"):
        assert get_experiment(name).runs(root, "laptop", [0, 1])


def test_the_command_line_says_how(tmp_path, without_weights, run):
    root = write(tmp_path / "mine", images=4)
    code, output = run("config", "--dataset", "folder", "--root", root)[:2]
    assert code == 0
    lines = output.splitlines()
    assert lines[0].startswith("# Images of about 300 x 400 pixels")
    assert any(line.startswith("# Encoders start from random weights") for line in lines)
    path = tmp_path / "run.yaml"
    path.write_text(output)
    assert make_config(root, "laptop") == RunConfig.from_yaml(path)
    assert run("config", "--dataset", "streets")[1].startswith("name:")


def test_a_smoke_profile_is_four_steps_on_few_small_images(tmp_path, with_weights):
    root = write(tmp_path / "mine", images=12)
    config = make_config(root, "smoke")
    assert (config.data.train_images, config.data.eval_images, config.data.batch_size) == (8, 4, 2)
    assert (config.optim.steps, config.optim.warmup_steps, config.optim.lr) == (4, 1, 1e-3)
    assert config.data.size == (48, 64)  # 3,072 pixels of the shape 3:4
    assert config.data.crop_size == (32, 64)
    assert config.model.encoder_weights is None  # seconds, on any machine
    assert make_config(root, "smoke", start="imagenet").model.encoder_weights == "package"
    few = write(tmp_path / "few", images=3)
    assert (make_config(few, "smoke").data.train_images, make_config(few, "smoke").data.eval_images) == (3, 3)
    for arm in get_experiment("ablation_components").arms:
        made = get_experiment("ablation_components").config(arm.name, root, "smoke")
        assert made.optim.steps == 4


def test_copy_paste_is_compared_within_the_budget_of_the_bank(tmp_path, without_weights):
    root = write(tmp_path / "mine")
    arms = comparison(["cross_entropy", "bank", "copy_paste"])
    bank, copied = (arms.config(name, root, "laptop").bank for name in ("bank", "copy_paste"))
    assert copied.kind == "copy_paste"
    for key in ("sample_ratio", "resize_ratio", "budget"):
        assert getattr(copied, key) == getattr(bank, key) != type(bank).model_fields[key].default

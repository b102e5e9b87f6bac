"""Profiles: one experiment at four sizes, the largest with what the paper prints."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from aucseg import paths
from aucseg.catalog import DATASETS
from aucseg.errors import DataError, OptionError
from aucseg.experiments import (
    CHOSEN,
    EVIDENCE_DATASETS,
    EXPERIMENTS,
    STARTS,
    base_config,
    default_seeds,
    get_experiment,
    make_config,
)
from aucseg.experiments.profiles import BASE, STARTED
from aucseg.longtail import choose_tail, recommend_ratios
from aucseg.models import create_model
from aucseg.training import BankConfig, ConfigError, SegmentationDataModule, SegmentationModule, train
from tests.data.layouts.writers import WRITERS

PRINTED = {
    "cityscapes": ("Cityscapes", "Cityscapes"),
    "ade20k": ("ADE20K", "ADE20K and COCO-Stuff"),
    "coco_stuff": ("COCO-Stuff 164K", "ADE20K and COCO-Stuff"),
}


@pytest.fixture(scope="module")
def printed() -> dict[str, float]:
    with (paths.published() / "prose_facts.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if (row["paper"], row["section"]) == ("aucseg", "F.2")]
    return {row["quantity"]: float(row["value"]) for row in rows if row["value"][0].isdigit()}


@pytest.mark.parametrize("dataset", PRINTED)
def test_the_paper_profile_is_what_the_paper_prints(dataset, printed):
    config = make_config(dataset, "paper")
    own, sizes = PRINTED[dataset]
    resize = (printed[f"resize height {sizes}"], printed[f"resize width {sizes}"])
    assert config.data.resize == resize
    assert config.data.resize_rule == "mmseg"  # on which the released configurations stand
    assert config.data.crop_size == (printed[f"crop side {sizes}"],) * 2
    assert config.data.batch_size == printed[f"batch size {own}"]
    assert config.optim.steps == printed[f"iterations {own}"]
    assert config.optim.lr == printed["initial learning rate"]
    assert config.optim.weight_decay == printed["weight decay"]
    assert config.optim.warmup_steps == printed["warmup length"]
    assert config.optim.warmup_lr == printed["warmup start learning rate as stated"]


@pytest.mark.parametrize("dataset", [*PRINTED, "folder"])
def test_the_whole_data_sets_have_one_seed_at_the_published_settings(dataset, tmp_path):
    assert default_seeds(dataset, "paper") == (0,)
    assert default_seeds(dataset, "laptop") == (0, 1, 2)
    known = ", ".join(f"{dataset}/{profile}" for profile in ("smoke", "laptop", "gpu", "paper"))
    with pytest.raises(ConfigError, match=f"no profile 'huge'.* there are {known}$"):
        make_config(dataset, "huge", root=str(tmp_path))


@pytest.mark.parametrize("dataset", PRINTED)
def test_the_paper_profile_trains_on_the_published_layout(dataset, tmp_path):
    """Its data section is kept but for the sizes; a small network stands in for SegNeXt-L."""
    config = make_config(
        dataset,
        "paper",
        root=str(WRITERS[dataset](tmp_path / "data")),
        data={"resize": (32, 64), "crop_size": (32, 32), "num_workers": 0},
        model={"name": "unet", "encoder": "resnet18"},
        optim={"steps": 2, "warmup_steps": 1},
        device="cpu",
    )
    record = train(config, tmp_path / "run", progress=False)
    assert 0 <= record.metrics["mIoU"] <= 1
    assert len(record.history["step"]) == 2


@pytest.mark.parametrize("dataset", sorted(set(DATASETS) - {name for name, _ in BASE}))
def test_a_data_set_without_settings_of_its_own_has_those_of_a_folder(dataset, tmp_path):
    config = make_config(dataset, "paper", root=str(tmp_path), bank={"sample_ratio": CHOSEN})
    folder = make_config("folder", "paper", root=str(tmp_path), bank={"sample_ratio": CHOSEN})
    assert config.data.name == dataset
    assert config.with_(data__name="folder") == folder
    assert default_seeds(dataset, "paper") == (0,)
    assert {
        run.config.data.name for run in get_experiment("ablation_components").runs(dataset, "paper", [0])
    } == {dataset}


def test_a_folder_is_a_data_set_too(tiny_camvid, tmp_path):
    mine = make_config(str(tiny_camvid), "paper")
    assert mine == make_config("folder", "paper", root=str(tiny_camvid))
    voc = WRITERS["voc"](tmp_path / "anything")
    assert make_config(str(voc), "paper") == make_config("voc", "paper", root=str(voc))
    with pytest.raises(DataError, match="nowhere"):
        make_config(str(tmp_path / "nowhere"), "paper")
    with pytest.raises(OptionError, match="did you mean 'cityscapes'"):
        make_config("cityscape", "paper", root="x")


# The weights of the release, 4:1, 1:1 and 1:1, are those of half the square.
@pytest.mark.parametrize(
    ("dataset", "choice"),
    [("cityscapes", (2.0, 1.0, 1.0)), ("ade20k", (0.5, 0.05, 0.4)), ("coco_stuff", (2.0, 0.05, 0.1))],
)
def test_weights_and_ratios_are_those_released_for_the_data_set(dataset, choice):
    (run,) = (
        r for r in get_experiment("ablation_components").runs(dataset, "paper", [0]) if r.arm.name == "both"
    )
    for config in (run.config, make_config(dataset, "paper")):
        assert config.loss.name == "auc"
        assert (config.loss.ce_weight, config.bank.sample_ratio, config.bank.resize_ratio) == choice
        assert config.optim.decoder_factor == 10
        assert not config.optim.decay_norm


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("dataset", [*PRINTED, "folder"])
def test_every_arm_is_a_valid_run_at_the_published_settings(name, dataset, tmp_path):
    if not get_experiment(name).has(dataset):
        pytest.skip("no labels of another domain")
    experiment = get_experiment(name)
    # what starts from another arm's network names that run, which is known by its images
    arms = tuple(arm for arm in experiment.arms if arm.init_from is None)
    runs = replace(experiment, arms=arms).runs(dataset, "paper", [0], root=str(tmp_path))
    assert all(run.config.data.name == dataset for run in runs)


def test_encoders_of_a_sweep_start_from_a_file(tmp_path):
    source = create_model("fpn", "resnet18", num_classes=2).encoder
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    experiment = get_experiment("backbones")
    plain = experiment.runs("streets", "smoke", [0])
    runs = experiment.runs("streets", "smoke", [0], encoder_weights=str(tmp_path / "resnet18.pth"))
    assert not {run.config.identity for run in plain} & {run.config.identity for run in runs}
    (run,) = (run for run in runs if run.arm.name == "emanet")
    module = SegmentationModule(run.config, SegmentationDataModule(run.config).classes)
    for found, expected in zip(module.model.encoder.parameters(), source.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_what_an_arm_names_is_not_replaced_by_the_choice():
    config = make_config(
        "ade20k", "paper", loss={"ce_weight": 3.0}, bank={"resize_ratio": CHOSEN, "sample_ratio": 0.3}
    )
    assert (config.loss.ce_weight, config.bank.sample_ratio, config.bank.resize_ratio) == (3.0, 0.3, 0.4)
    other = make_config("cityscapes", "paper", bank={"kind": "fixed_pixels", "image_share": 0.1})
    assert (other.bank.kind, other.bank.sample_ratio) == ("fixed_pixels", BankConfig().sample_ratio)


@pytest.mark.parametrize("dataset", EVIDENCE_DATASETS)
@pytest.mark.parametrize("profile", ["smoke", "laptop"])
def test_two_starts_differ_in_the_first_weights_and_their_rate_alone(dataset, profile):
    random, imagenet = (make_config(dataset, profile, start=start) for start in STARTS)
    assert imagenet.model.encoder_weights == "package"
    assert imagenet.model.figures != random.model.figures
    assert imagenet.optim.lr * imagenet.optim.decoder_factor == pytest.approx(random.optim.lr)
    assert imagenet.optim.lr == pytest.approx(random.optim.lr / 10)
    same = imagenet.with_(
        model__encoder_weights=None,
        optim__lr=random.optim.lr,
        optim__decoder_factor=random.optim.decoder_factor,
    )
    assert same == random
    assert imagenet.data.eval_split != "val" or profile == "smoke"


def test_a_recorded_profile_stays_what_it_was():
    """Its own network, from random weights; a data set without records has the same one at every start."""
    for dataset in ("streets", "camvid"):
        assert make_config(dataset, "laptop").model.encoder != STARTED[dataset, "laptop"]["model"]["encoder"]
    for dataset in ("ccp", "ecssd", "carla"):
        assert make_config(dataset, "laptop") == make_config(dataset, "laptop", start="random")


def test_elsewhere_a_start_is_of_the_profiles_own_network():
    gpu = make_config("camvid", "gpu", start="imagenet")
    assert (gpu.model.encoder, gpu.model.encoder_weights) == ("resnet34", "imagenet")
    assert (gpu.optim.lr, gpu.optim.decoder_factor) == (pytest.approx(1e-4), 10)
    paper = make_config("cityscapes", "paper", start="imagenet")
    assert (paper.optim.lr, paper.optim.decoder_factor) == (6e-5, 10)  # as published


def test_a_rate_among_the_changes_is_the_decoders():
    config = make_config("camvid", "laptop", start="imagenet", optim={"lr": 0.5})
    assert (config.optim.lr, config.optim.decoder_factor) == (0.05, 10)
    (arm,) = (
        r.config
        for r in EXPERIMENTS["networks"].runs("camvid", "laptop", [0], start="imagenet")
        if r.arm.name == "danet"
    )
    assert (arm.model.name, arm.model.encoder_weights) == ("danet", "imagenet")
    assert arm.optim.lr == pytest.approx(3e-4)


def test_a_start_that_is_none():
    with pytest.raises(ConfigError, match=r"no start 'image'.*'imagenet'"):
        make_config("camvid", "laptop", start="image")
    assert base_config("camvid", "smoke", start="imagenet")["model"]["encoder_weights"] == "package"


@pytest.mark.parametrize("dataset", ["ccp", "carla", "ecssd"])
def test_real_images_train_from_imagenet(dataset, shared_pack, tmp_path):
    """AUCSeg, four steps, on files of the pack."""
    root = shared_pack / "data" / dataset
    if not root.is_dir():
        pytest.skip(f"the shared pack has no {dataset} at {root}")
    config = get_experiment("evidence").config("both", dataset, "smoke", root=str(root), start="imagenet")
    record = train(
        config.with_(device="cpu", data__train_images=4, data__eval_images=2), tmp_path, progress=False
    )
    assert 0 <= record.metrics["mIoU"] <= 1
    assert record.config["model"]["normalization"][0][0] == 127 / 255
    assert record.bank is not None
    assert "tail" in record.dataset["groups"]


@pytest.mark.parametrize(
    ("dataset", "split", "tail"),
    [("ccp", "train", "spec"), ("carla", "train", "spec"), ("ecssd", "train800_seed0", ("salient",))],
)
def test_ratios_of_the_shared_packs_are_what_the_rule_makes_of_their_masks(dataset, split, tail, shared_pack):
    """Written out, because a record is found where the masks are not."""
    root = shared_pack / "data" / dataset
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    located = DATASETS[dataset].at(root)
    ratios = recommend_ratios(located.count(split), tail=choose_tail(tail, located.spec).tail)
    for profile in ("laptop", "smoke"):
        bank = make_config(dataset, profile).bank
        found = (bank.sample_ratio, bank.resize_ratio, bank.budget)
        assert found == (ratios.sample_ratio, ratios.resize_ratio, ratios.budget)
        assert make_config(dataset, profile, bank={"sample_ratio": CHOSEN}).bank == bank
    assert make_config(dataset, "paper").bank == BankConfig()

"""Profiles: one experiment at four sizes, the largest with what the paper prints."""

from __future__ import annotations

import csv

import pytest
import torch

from aucseg import paths
from aucseg.catalog import DATASETS
from aucseg.errors import DataError, OptionError
from aucseg.experiments import CHOSEN, EXPERIMENTS, PROFILES, default_seeds, get_experiment, make_config
from aucseg.experiments.profiles import BASE
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
    assert config.data.crop_size == (printed[f"crop side {sizes}"],) * 2
    assert config.data.batch_size == printed[f"batch size {own}"]
    assert config.optim.steps == printed[f"iterations {own}"]
    assert config.optim.lr == printed["initial learning rate"]
    assert config.optim.weight_decay == printed["weight decay"]
    assert config.optim.warmup_steps == printed["warmup length"]
    assert config.optim.warmup_lr == printed["warmup start learning rate as stated"]


@pytest.mark.parametrize("dataset", [*PRINTED, "folder"])
def test_the_whole_data_sets_have_one_profile_and_one_seed(dataset):
    assert default_seeds(dataset, "paper") == (0,)
    for profile in set(PROFILES) - {"paper"}:
        with pytest.raises(ConfigError, match=f"no profile '{profile}'.*{dataset}/paper"):
            make_config(dataset, profile)


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
def test_a_data_set_without_settings_of_its_own_has_those_of_a_folder(dataset):
    config = make_config(dataset, "paper", root="somewhere", bank={"sample_ratio": CHOSEN})
    folder = make_config("folder", "paper", root="somewhere", bank={"sample_ratio": CHOSEN})
    assert config.data.name == dataset
    assert config.with_(data__name="folder") == folder
    assert default_seeds(dataset, "paper") == (0,)
    with pytest.raises(ConfigError, match=f"no profile 'laptop'.*{dataset}/paper"):
        make_config(dataset, "laptop")
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
    runs = get_experiment(name).runs(dataset, "paper", [0], root=str(tmp_path))
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

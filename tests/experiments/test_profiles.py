"""Profiles: one experiment at four sizes, the largest with what the paper prints."""

from __future__ import annotations

import csv

import pytest

from aucseg import paths
from aucseg.experiments import PROFILES, default_seeds, make_config
from aucseg.training import ConfigError, train
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

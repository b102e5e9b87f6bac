"""Looking at the network during training: nothing else changes, nothing is lost, and the best is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from aucseg.experiments import make_config
from aucseg.experiments.catalogue import Arm, Run
from aucseg.experiments.results import validation_curves
from aucseg.training import (
    ConfigError,
    Record,
    RunConfig,
    SegmentationDataModule,
    checkpoint_path,
    evaluate,
    train,
)
from tests.training.interrupted import StopAt

LOOK = {"evaluation__every": 2, "evaluation__split": "test"}


def smoke(**changes) -> RunConfig:
    return make_config("streets", "smoke").with_(
        **{"optim__steps": 5, "optim__lr": 0.01, "checkpoint_every": 2, "device": "cpu"} | changes
    )


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looked")
    said: list[str] = []
    config = smoke(**LOOK)
    return config, folder, train(config, folder, progress=False, report=said.append), said


def test_it_changes_no_weight_and_no_curve(looked, tmp_path):
    _, _, record, _ = looked
    plain = train(smoke(), tmp_path, progress=False)
    assert (plain.metrics, plain.history, plain.bank) == (record.metrics, record.history, record.bank)
    assert plain.validation is None
    assert plain.identity != record.identity


def test_the_curves_are_those_of_the_split(looked, tmp_path):
    config, folder, record, said = looked
    found = record.validation
    assert (found["split"], found["step"], found["stopped"]) == ("test", [2, 4, 5], None)
    assert {"mIoU", "mIoU_tail", "auc_sigmoid", "auc_softmax", "mAcc"} <= set(found)
    last = evaluate(checkpoint_path(config, folder), split="test", progress=False)
    for name in ("mIoU", "mIoU_tail", "auc_sigmoid"):
        assert found[name][-1] == last[name]
    assert not any("also reported" in line for line in said)
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_the_best_is_kept_beside_the_last(looked):
    config, folder, record, _ = looked
    found = record.validation
    number = int(np.argmax(found["mIoU"]))
    assert found["best"]["step"] == found["step"][number]
    path = folder / "best.ckpt"
    content = torch.load(path, weights_only=True)
    assert content["global_step"] == found["best"]["step"]
    assert evaluate(path, split="test", progress=False)["mIoU"] == found["mIoU"][number]
    assert evaluate(path, progress=False) == found["best"]["metrics"]
    assert evaluate(checkpoint_path(config, folder), progress=False) == record.metrics


@pytest.mark.parametrize("step", [2, 3])
def test_an_interrupted_run_comes_to_the_same_curves(looked, tmp_path, step):
    config, _, record, _ = looked
    with pytest.raises(ConnectionError):
        train(config, tmp_path, progress=False, callbacks=(StopAt(step),))
    assert train(config, tmp_path, progress=False).same_result(record)


def test_the_split_that_is_reported_is_said(tmp_path):
    said: list[str] = []
    train(smoke(evaluation__every=5), tmp_path, progress=False, report=said.append)
    assert any("validation is on split 'val', which is also reported" in line for line in said)


def test_patience_ends_the_run_and_a_resume_does_not_go_on(tmp_path):
    # at a rate of nothing no validation is better than the first
    config = smoke(
        **LOOK, optim__lr=1e-30, optim__warmup_lr=0.0, optim__steps=20, evaluation__patience=2
    ).with_(model__options={}, bank=None)
    said: list[str] = []
    record = train(config, tmp_path, progress=False, report=said.append)
    steps = record.validation["step"]
    assert record.validation["stopped"] == steps[-1] == record.history["step"][-1] < 20
    assert any("validations, the training ends" in line for line in said)
    assert train(config, tmp_path, progress=False).same_result(record)


def test_training_images_can_be_held_out():
    config = smoke(evaluation__every=5, evaluation__held_out=0.25)
    data = SegmentationDataModule(config)
    whole = SegmentationDataModule(smoke()).train_set
    kept, held = data.train_set, data.validation_set
    assert len(held) == round(0.25 * len(whole))
    assert sorted(kept.names + held.names) == sorted(whole.names)
    index = whole.names.index(held.names[0])
    assert torch.equal(held[0][1], whole[index][1])
    assert torch.equal(held.mask(0), whole.mask(index))
    assert len({whole.fingerprint(), kept.fingerprint(), held.fingerprint()}) == 3
    assert data.describe()["train_images"] == len(kept)
    assert data.describe()["validation_split"] == "held out"
    assert max(index for batch in data.sampler() for index, _ in batch) < len(kept)


def test_no_split_is_taken_unawares(tiny_camvid):
    config = smoke(**LOOK).with_(evaluation__split="vall")
    with pytest.raises(ConfigError, match=r"every looks at split 'vall', .* or hold training images out"):
        SegmentationDataModule(config).describe()
    (tiny_camvid / "splits" / "val.txt").unlink()
    content = make_config("camvid", "smoke", root=str(tiny_camvid)).model_dump()
    content["data"] |= {"eval_split": "test", "train_images": None, "eval_images": None, "fingerprint": None}
    content["evaluation"] |= {"every": 2}
    with pytest.raises(ConfigError, match="looks at split 'val', which cannot be had"):
        SegmentationDataModule(RunConfig.from_dict(content)).describe()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"patience": 3}, "patience is of the validation during training"),
        ({"every": 2, "split": "val", "held_out": 0.1}, "leave one out"),
        ({"every": 0}, "greater than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_said(keys, told):
    with pytest.raises(ConfigError, match=told):
        smoke(**{f"evaluation__{key}": value for key, value in keys.items()})


def test_rows_of_the_curves(looked):
    config, _, record, _ = looked
    rows = validation_curves([Run(Arm("a", "A", {}), config)], {config.identity: record})
    assert list(rows.columns) == ["arm", "seed", "step", "metric", "value"]
    miou = rows[rows["metric"] == "mIoU"]
    assert miou["value"].tolist() == [100 * v for v in record.validation["mIoU"]]
    assert miou["step"].tolist() == [2, 4, 5]
    assert json.loads(record.model_dump_json())["validation"]["step"] == [2, 4, 5]

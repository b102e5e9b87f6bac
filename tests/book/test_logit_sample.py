"""The sample of logits: random pixels of each class, and the two files that the book has."""

from __future__ import annotations

import gzip
import importlib.util

import numpy as np
import pandas as pd
import pytest
import torch

from aucseg.data import normalize
from aucseg.experiments import RecordStore, get_experiment, make_config
from aucseg.training import ClassInfo, SegmentationModule, build_dataset
from tests.repository import ROOT

_SPEC = importlib.util.spec_from_file_location("logit_sample", ROOT / "book" / "logit_sample.py")
assert _SPEC is not None
assert _SPEC.loader is not None
script = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(script)

RECORDED = {
    arm: get_experiment("long_tail_losses").config(arm, "streets", "laptop", seed=script.SEED)
    for arm in script.ARMS
}


def read(arm: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "data" / "records" / "logits" / f"{RECORDED[arm].identity}.csv.gz")


@pytest.fixture(scope="module")
def untrained():
    config = make_config("streets", "smoke", loss={"name": "cross_entropy"}, bank=None)
    data = build_dataset(config.data, config.data.eval_split, config.data.eval_images)
    torch.manual_seed(0)
    return SegmentationModule(config, ClassInfo(data.spec)).eval(), config, data


def test_logits_are_those_of_pixels_of_the_class(untrained):
    """Beside the logits of all pixels: each row is one of them, and of its class."""
    module, config, data = untrained
    sample = script.sample_logits(module, config, 4)
    images = torch.stack([torch.as_tensor(data[i][0]) for i in range(len(data))])
    with torch.inference_mode():
        every = module(normalize(images, *config.model.figures)).movedim(1, -1).numpy()
    labels = np.stack([np.asarray(data[i][1]) for i in range(len(data))])
    occurring = np.bincount(labels[labels < 19], minlength=19)
    for label, name in enumerate(data.spec.names):
        rows = sample.loc[sample["class"] == name, list(data.spec.names)].to_numpy()
        assert len(rows) == min(4, occurring[label])
        for row in rows:
            assert np.abs(every[labels == label] - row).max(1).min() < 1e-4
    pd.testing.assert_frame_equal(sample, script.sample_logits(module, config, 4))


def test_file_is_the_same_for_the_same_numbers(untrained, tmp_path):
    module, config, data = untrained
    sample = script.with_places(script.sample_logits(module, config, 3))
    script.write(sample, tmp_path / "a" / "one.csv.gz")
    script.write(sample, tmp_path / "two.csv.gz")
    first = (tmp_path / "a" / "one.csv.gz").read_bytes()
    assert first == (tmp_path / "two.csv.gz").read_bytes()
    assert gzip.decompress(first).decode().splitlines()[0] == ",".join(["class", "x", "y", *data.spec.names])
    assert np.isfinite(sample[["x", "y"]].to_numpy()).all()


@pytest.mark.parametrize("arm", script.ARMS)
def test_recorded_sample_is_of_the_recorded_network(arm):
    """Of 300 pixels of a class as many are right as in the record, up to chance."""
    sample, record = read(arm), RecordStore().get(RECORDED[arm])
    names = list(record.dataset["classes"])
    assert sample["class"].value_counts().to_dict() == dict.fromkeys(names, script.PIXELS)
    called = np.array(names)[sample[names].to_numpy().argmax(1)]
    right = (called == sample["class"]).groupby(sample["class"]).mean()
    accuracy = pd.Series(record.metrics["accuracy"])
    assert (right - accuracy).abs().max() < 0.15
    assert abs((right - accuracy).mean()) < 0.03


def test_both_recorded_samples_are_of_the_same_pixels():
    one, other = (read(arm) for arm in script.ARMS)
    assert one["class"].equals(other["class"])

"""Pictures of pseudo-labels: the images are chosen as said, looking changes nothing, files are small."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from aucseg.experiments import get_experiment
from aucseg.training import SegmentationDataModule, train
from tests.repository import ROOT

_SPEC = importlib.util.spec_from_file_location("pseudo_labels", ROOT / "book" / "pseudo_labels.py")
assert _SPEC is not None
assert _SPEC.loader is not None
script = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(script)

RUNS = [(experiment, arm) for experiment, arms in script.RUNS.items() for arm in arms]


def test_images_with_most_classes_of_the_tail_come_first():
    config = get_experiment("semi_supervised_2").config("self_training", "streets", "smoke")
    data = SegmentationDataModule(config)
    dataset, tail = data.unlabelled_set, data.spec.tail
    held = [sum((np.asarray(dataset.mask(i)) == k).any() for k in tail) for i in range(len(dataset))]
    chosen = script.most_tail(dataset, tail, 2)
    assert sorted((held[i] for i in chosen), reverse=True) == sorted(held, reverse=True)[:2]


def test_looking_at_a_training_changes_nothing(tmp_path):
    config = get_experiment("semi_supervised_2").config("self_training", "streets", "smoke")
    data = SegmentationDataModule(config)
    images = script.pictures(data.unlabelled_set, [0, 1], config)
    moments = script.Moments(images, (1, config.optim.steps), threshold=0.06)
    seen = train(config, tmp_path / "seen", progress=False, callbacks=(moments,))
    assert seen.same_result(train(config, tmp_path / "alone", progress=False))
    assert [labels.shape for labels in moments.labels] == [(2, *config.data.size)] * 2
    assert moments.counted[0].dtype == bool
    assert max(labels.max() for labels in moments.labels) < 19
    assert torch.is_tensor(images)


def test_file_is_the_same_for_the_same_arrays(tmp_path):
    arrays = {"step": np.arange(3), "labels": np.zeros((3, 1, 4, 4), np.uint8)}
    for name in ("a", "b"):
        script.write(arrays, tmp_path / name / "one.npz")
    assert (tmp_path / "a" / "one.npz").read_bytes() == (tmp_path / "b" / "one.npz").read_bytes()


@pytest.mark.parametrize(("experiment", "arm"), RUNS)
def test_recorded_pictures_are_of_a_recorded_run(experiment, arm):
    config = get_experiment(experiment).config(arm, "streets", "laptop", seed=script.SEED)
    path = ROOT / "data" / "records" / "pseudo_labels" / f"{config.identity}.npz"
    if not path.exists():
        pytest.skip("its pictures are not written yet")
    assert path.stat().st_size < 100_000
    with np.load(path) as kept:
        assert len(kept["test"]) == script.IMAGES
        assert kept["predicted"].shape == (script.IMAGES, *config.data.size)
        assert ("labels" in kept) == (config.method.name == "mean_teacher")
        if "labels" in kept:
            assert kept["step"][-1] == config.optim.steps
            assert len(kept["step"]) == len(kept["labels"]) == len(kept["counted"])

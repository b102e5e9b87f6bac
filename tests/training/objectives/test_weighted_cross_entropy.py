"""Class weights from the counts of the training split, or given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aucseg.experiments import make_config
from aucseg.training import (
    OBJECTIVES,
    ConfigError,
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    evaluate,
    load_module,
    train,
)
from tests.training.objectives.batches import four_classes, small_batch

Config = OBJECTIVES["weighted_cross_entropy"]
PIXELS = (8, 2, 0, 90)
# Over the classes that have a pixel, of mean 1; worked out by hand.
INVERSE = np.array([1 / 8, 1 / 2, 0, 1 / 90]) / ((1 / 8 + 1 / 2 + 1 / 90) / 3)
ROOT = np.array([8**-0.5, 2**-0.5, 0, 90**-0.5]) / ((8**-0.5 + 2**-0.5 + 90**-0.5) / 3)
HALF = np.array([0.5 / (1 - 0.5**8), 0.5 / (1 - 0.5**2), 0, 0.5 / (1 - 0.5**90)])
EFFECTIVE = HALF / (HALF.sum() / 3)


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, INVERSE),
        ({"weights": "sqrt_inverse"}, ROOT),
        ({"weights": "effective_number", "beta": 0.5}, EFFECTIVE),
        ({"weights": (1, 2, 3, 4)}, np.array([1.0, 2, 3, 4])),
    ],
)
@pytest.mark.parametrize("normalize", ["weights", "pixels"])
def test_loss_is_torchs_with_the_weights_of_the_rule(options, weights, normalize):
    logits, target = small_batch()
    objective = Config(normalize=normalize, **options).build(four_classes(pixels=PIXELS))
    parts = objective(logits, target)
    expected = F.cross_entropy(logits, target, torch.tensor(weights), ignore_index=255, reduction="sum")
    labelled = target[target != 255]
    mass = weights[labelled.numpy()].sum() if normalize == "weights" else len(labelled)
    torch.testing.assert_close(parts["loss"], expected / mass)
    assert torch.equal(parts["weighted_cross_entropy"], parts["loss"])
    assert parts["loss"].requires_grad
    assert not parts["weighted_cross_entropy"].requires_grad


def test_given_weights_need_no_counts():
    assert Config(weights=(1, 1, 1, 2)).build(four_classes())


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"weights": "invers"}, r"loss\.weights.*'inverse'"),
        ({"beta": 0.5}, "beta has a part in weights 'effective_number' only; leave it out, got 0.5"),
        ({"normalize": "no"}, r"loss\.normalize"),
    ],
)
def test_a_wrong_section_is_told(loss, words):
    content = make_config("streets", "smoke").model_dump() | {
        "loss": {"name": "weighted_cross_entropy"} | loss
    }
    with pytest.raises(ConfigError, match=words):
        RunConfig.from_dict(content)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((1.0, 2.0), r"loss\.weights: one for each of the 4 classes, got 2"),
        ((0.0, 0.0, 0.0, 0.0), r"loss: weights must be finite and not negative"),
        ((1.0, -1.0, 1.0, 1.0), r"loss: weights must be finite and not negative"),
    ],
)
def test_weights_that_do_not_fit_the_classes_are_told(weights, words):
    with pytest.raises(ConfigError, match=words):
        Config(weights=weights).build(four_classes())


def test_a_run_counts_its_training_masks_and_keeps_the_counts(tmp_path):
    """An evaluation knows the weights from the checkpoint, where no training image may be at hand."""
    config = make_config("streets", "smoke", loss={"name": "weighted_cross_entropy"}, bank=None)
    config = config.with_(device="cpu")
    record = train(config, tmp_path, progress=False)
    module = load_module(checkpoint_path(config, tmp_path))
    data = SegmentationDataModule(config)
    masks = np.stack([np.asarray(data.train_set[i][1]) for i in range(len(data.train_set))])
    pixels = np.array([(masks == label).sum() for label in range(19)])
    inverse = np.divide(1, pixels, where=pixels > 0, out=np.zeros(19))
    weights = inverse / inverse[pixels > 0].mean()
    np.testing.assert_allclose(module.objective.loss.weights.numpy(), weights, rtol=1e-6)
    assert np.array_equal(module.classes.pixels, pixels)
    assert np.array_equal(module.classes.images, [(masks == label).any((1, 2)).sum() for label in range(19)])
    assert evaluate(checkpoint_path(config, tmp_path), progress=False) == record.metrics


def test_other_runs_count_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("aucseg.training.classes.count", lambda *a, **k: pytest.fail("must not count"))
    config = make_config("streets", "smoke")
    data = SegmentationDataModule(config)
    module = SegmentationModule(config, data.classes)
    assert module.classes.state()["counts"] is None

"""Losses of single outputs as objectives: their options, the AUC beside them, and what goes with what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from aucseg.experiments import make_config
from aucseg.losses import (
    AUCLoss,
    BalancedSoftmaxLoss,
    BLVLoss,
    DiceLoss,
    FocalLoss,
    GCLLoss,
    JaccardLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    LovaszSoftmaxLoss,
    PATLoss,
    SeesawLoss,
    VSLoss,
    WeightedCrossEntropyLoss,
    class_weights,
)
from aucseg.models import classifier
from aucseg.models.heads import CosineConv2d
from aucseg.training import (
    OBJECTIVES,
    ClassInfo,
    ConfigError,
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    compositions,
    load_module,
    train,
)
from aucseg.training.objectives.composed import PixelwiseConfig
from tests.training.objectives.batches import four_classes, small_batch

PIXELS = (8, 2, 0, 90)
IMAGES = (1, 1, 0, 1)  # all of the one image

# objective, its options, the loss of the same options
CASES = {
    "logit_adjusted": ({"tau": 0.5}, lambda: LogitAdjustedLoss(PIXELS, tau=0.5)),
    "balanced_softmax": ({"counts": "images"}, lambda: BalancedSoftmaxLoss(IMAGES)),
    "vs": ({"gamma": 0.2, "tau": 0.3}, lambda: VSLoss(PIXELS, gamma=0.2, tau=0.3)),
    "ldam": ({"max_margin": 0.4, "scale": 2.0}, lambda: LDAMLoss(PIXELS, max_margin=0.4, scale=2.0)),
    "focal": ({"gamma": 1.5}, lambda: FocalLoss(4, gamma=1.5)),
    "blv": ({"variation": "mean", "sigma": 4.0}, lambda: BLVLoss(PIXELS, variation="mean", sigma=4.0)),
    "gcl": ({"sigma": 0.0, "scale": 3.0}, lambda: GCLLoss(PIXELS, sigma=0.0, scale=3.0)),
    "seesaw": ({"p": 0.8, "q": 2.0}, lambda: SeesawLoss(4, p=0.8, q=2.0)),
    "pat": ({"temperature": 0.5}, lambda: PATLoss(4, temperature=0.5)),
    "dice": ({"smooth": 0.5, "ce_weight": 1.0}, lambda: DiceLoss(4, smooth=0.5, ce_weight=1.0)),
    "jaccard": ({"reduction": "class"}, lambda: JaccardLoss(4, reduction="class")),
    "lovasz": ({"ce_weight": 0.5}, lambda: LovaszSoftmaxLoss(4, ce_weight=0.5)),
    "weighted_cross_entropy": (
        {"weights": "effective_number", "beta": 0.5},
        lambda: WeightedCrossEntropyLoss(class_weights(PIXELS, rule="effective_number", beta=0.5)),
    ),
}


def test_every_objective_is_looked_at():
    assert set(CASES) | {"auc", "cross_entropy", "region_rebalance"} == set(OBJECTIVES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("auc", [None, {"weight": 0.3, "surrogate": "exp", "pairs": "tail_versus_rest"}])
def test_an_objective_is_its_loss_with_the_auc_added(name, auc):
    logits, target = small_batch()
    options, build = CASES[name]
    objective = OBJECTIVES[name](**options, auc=auc).build(four_classes(tail=(1, 3), pixels=PIXELS))
    parts = objective(logits, target)
    loss, total = build()(logits, target), build()(logits, target)
    if auc is not None:
        added = AUCLoss(4, surrogate="exp", tail_classes=(1, 3))(logits, target)
        total = total + 0.3 * added
        torch.testing.assert_close(parts["auc"], added.detach())
        assert not parts["auc"].requires_grad
    torch.testing.assert_close(parts["loss"], total)
    torch.testing.assert_close(parts[name], loss.detach())
    assert set(parts) == {"loss", name} | ({"auc"} if auc else set())
    assert not parts[name].requires_grad
    grads = [torch.autograd.grad(value, logits)[0] for value in (parts["loss"], total)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("name", CASES)
def test_the_void_label_is_the_label_sets(name):
    logits, target = small_batch()
    options, _ = CASES[name]
    values = [
        OBJECTIVES[name](**options).build(four_classes(pixels=PIXELS, void=void))(logits, labels)["loss"]
        for void, labels in ((255, target), (77, target.where(target != 255, 77)))
    ]
    assert torch.equal(*values)


@pytest.mark.parametrize("name", [name for name in CASES if issubclass(OBJECTIVES[name], PixelwiseConfig)])
def test_class_weights_of_any_loss_over_pixels_may_begin_at_a_step(name):
    logits, target = small_batch()
    options, _ = CASES[name]
    info = four_classes(pixels=PIXELS)
    plain = OBJECTIVES[name](**options).build(info)
    weighted = OBJECTIVES[name](**options, reweight={"weights": (1, 5, 1, 2)}).build(info)
    deferred = OBJECTIVES[name](**options, reweight={"weights": (1, 5, 1, 2), "weights_from": 7}).build(info)
    for step, like in ((0, plain), (6, plain), (7, weighted), (8, weighted)):
        deferred.at_step(step)
        torch.testing.assert_close(deferred(logits, target)["loss"], like(logits, target)["loss"])
    assert not torch.isclose(plain(logits, target)["loss"], weighted(logits, target)["loss"])


@pytest.mark.parametrize("name", ["dice", "jaccard", "lovasz"])
def test_class_weights_of_a_mean_over_classes(name):
    """By a rule from the counts of the training split, or given."""
    logits, target = small_batch()
    loss = {"dice": DiceLoss, "jaccard": JaccardLoss, "lovasz": LovaszSoftmaxLoss}[name]
    info = four_classes(pixels=PIXELS)
    for given, weights in (
        ({"weights": (1, 5, 0, 2)}, (1, 5, 0, 2)),
        (
            {"weights": "effective_number", "beta": 0.9},
            class_weights(PIXELS, rule="effective_number", beta=0.9),
        ),
    ):
        found = OBJECTIVES[name](reweight=given, ce_weight=0.5).build(info)(logits, target)["loss"]
        torch.testing.assert_close(found, loss(4, weights=weights, ce_weight=0.5)(logits, target))
        assert not torch.isclose(found, loss(4, ce_weight=0.5)(logits, target))
    with pytest.raises(ConfigError, match="one for each of the 4 classes, got 2"):
        OBJECTIVES[name](reweight={"weights": (1, 2)}).build(info)
    with pytest.raises(ConfigError, match=r"normalize"):
        RunConfig.from_dict(content(name=name, reweight={"normalize": "pixels"}))


def content(**loss) -> dict:
    return make_config("streets", "smoke").model_dump(mode="json") | {"loss": loss}


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"name": "vs", "gama": 1}, r"loss\.gama.*did you mean 'gamma'"),
        ({"name": "blv", "sigma": -1}, r"loss\.sigma.*greater than or equal to 0"),
        ({"name": "blv", "variation": "normal"}, r"loss\.variation.*'gaussian'"),
        ({"name": "ldam", "counts": "regions"}, r"loss\.counts.*'pixels' or 'images'"),
        ({"name": "focal", "counts": "pixels"}, r"unknown key 'loss\.counts'"),
        ({"name": "focal", "auc": {"wieght": 1}}, r"loss\.auc\.wieght.*did you mean 'weight'"),
        ({"name": "focal", "auc": {"weight": 0}}, r"loss\.auc\.weight.*greater than 0"),
        ({"name": "focal", "reweight": {"weights": "inv"}}, r"loss\.reweight\.weights.*'inverse'"),
        ({"name": "focal", "reweight": {"beta": 0.5}}, "beta has a part in weights 'effective_number' only"),
        (
            {"name": "weighted_cross_entropy", "weights": (1.0,) * 19, "counts": "images"},
            "counts has no part in weights that are given",
        ),
    ],
)
def test_a_wrong_section_is_told(loss, words):
    with pytest.raises(ConfigError, match=words):
        RunConfig.from_dict(content(**loss))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "blv", "schedule": "linear", "variation": "beta"}, "loss: schedule 'linear' is of sigma"),
        ({"name": "blv", "peak_step": 9, "last_step": 9}, "loss: 0 < peak_step < last_step"),
        ({"name": "focal", "alpha": 0.5}, "loss: alpha is in .* for variant 'sigmoid'"),
        ({"name": "focal", "reweight": {"weights": (1, 2)}}, "loss.weights: one for each of the 4 classes"),
        ({"name": "focal", "auc": {"pairs": "tail_versus_rest"}}, "loss: tail_classes"),
    ],
)
def test_options_that_do_not_go_together_are_told_when_built(options, words):
    section = OBJECTIVES[options["name"]](**options)
    with pytest.raises(ConfigError, match=words):
        section.build(four_classes(pixels=PIXELS))


def test_counts_of_other_classes_are_refused():
    info, other = four_classes(pixels=PIXELS), four_classes(pixels=PIXELS)
    spec = type(other.spec)("numbers", tuple("1234"), *list(vars(other.spec).values())[2:4])
    with pytest.raises(
        ConfigError, match="loss: the counts are of other classes: number 0 is 'a', expected '1'"
    ):
        OBJECTIVES["vs"]().build(ClassInfo(spec, info.tally))


def test_which_counts_is_part_of_the_run_and_of_its_record():
    """A prior of pixels where regions are wanted can be seen, and is another run."""
    runs = [
        RunConfig.from_dict(content(name="balanced_softmax", counts=unit)) for unit in ("pixels", "images")
    ]
    assert runs[0].identity != runs[1].identity
    assert [run.model_dump()["loss"]["counts"] for run in runs] == ["pixels", "images"]


@pytest.fixture(scope="module")
def module():
    config = make_config("streets", "smoke", bank={"memory_size": 2})
    return SegmentationModule(config, SegmentationDataModule(config).classes).train()


def test_what_goes_with_what(module):
    """The table, and a training step with a bank of everything that it says can be had."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 64, 96, generator=generator)
    target = torch.randint(0, 19, (2, 64, 96), generator=generator)
    rows = compositions()
    assert [row["objective"] for row in rows] == list(OBJECTIVES)
    for row in rows:
        name, options = row["objective"], {}
        if row["auc"] == "key auc":
            options["auc"] = {"weight": 0.5}
        if row["class_weights"] == "key reweight":
            options["reweight"] = {"weights": "sqrt_inverse"}
        if row["counts"] == "pixels or images":
            options["counts"] = "images"
        if row["region_branch"] == "it is one":
            built = [OBJECTIVES[name](pixel={"name": other}) for other in OBJECTIVES if other != name]
        else:
            built = [OBJECTIVES[name](**options)]
        for section in built:
            module.objective = section.build(module.classes).train()
            module.objective.attach(module.model)
            module.zero_grad()
            parts = module.method.step(module, (images, target))
            parts["loss"].backward()
            assert parts["loss"].isfinite(), name
            gradients = [p.grad for p in module.model.parameters() if p.grad is not None]
            assert all(grad.isfinite().all() for grad in gradients), name
        if row["region_branch"] != "it is one":
            assert ("auc" in parts) == (row["auc"] != "objective auc"), name
    words = {key: {row[key] for row in rows} for key in rows[0]}
    assert words["auc"] == {"key auc", "it is one", "objective auc", "that of its pixels"}
    assert words["region_branch"] == {"it is one", "key pixel of region_rebalance"}


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        if module.global_step == self.step:
            raise ConnectionError("as if the machine went away")


LOSS = {
    "name": "blv", "sigma": 1.0, "auc": {"weight": 0.2}, "schedule": "linear", "peak_step": 2, "last_step": 5,
    "reweight": {"weights": "sqrt_inverse", "weights_from": 3},
}  # fmt: skip


def test_noise_and_schedules_survive_a_resume(tmp_path):
    config = make_config("streets", "smoke", loss=LOSS).with_(
        device="cpu", optim__steps=4, checkpoint_every=2, bank=None
    )
    record = train(config, tmp_path / "whole", progress=False)
    assert set(record.history) >= {"loss", "blv", "auc"}
    with pytest.raises(ConnectionError):
        train(config, tmp_path / "cut", progress=False, callbacks=(StopAt(3),))
    assert train(config, tmp_path / "cut", progress=False).same_result(record)
    loss = load_module(checkpoint_path(config, tmp_path / "cut")).objective.loss
    assert (loss.count.calls, loss.count.step) == (4, 3)
    assert np.isfinite(record.metrics["mIoU"])


def test_a_cosine_head_by_configuration(tmp_path):
    config = make_config("streets", "smoke", loss={"name": "ldam"}, model={"head": "cosine"}, bank=None)
    config = config.with_(device="cpu", optim__steps=2, optim__warmup_steps=0)
    assert config.identity != config.with_(model__head="linear").identity
    train(config, tmp_path, progress=False)
    module = load_module(checkpoint_path(config, tmp_path))
    assert isinstance(classifier(module.model), CosineConv2d)
    assert module(torch.randn(1, 3, 64, 96)).abs().max() <= 1 + 1e-5

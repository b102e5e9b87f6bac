"""Self-training with a teacher: what must be equal is, to the bit; and what is wrong is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import nn

from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.functional.pseudo_labels import PSEUDO_LABEL_COUNTS
from aucseg.memory import TailMemoryBank
from aucseg.training import (
    OBJECTIVES,
    ConfigError,
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    load_module,
    train,
)
from aucseg.training.methods.mean_teacher import MeanTeacher, MeanTeacherConfig, _average
from tests.training.interrupted import StopAt


def make(loss: str = "cross_entropy", **changes: Any) -> RunConfig:
    """Four labelled and four other streets, five steps on the CPU."""
    config = make_config("streets", "smoke", method={"name": "mean_teacher"}, bank=None, loss={"name": loss})
    few = {"data__size": (32, 48), "data__batch_size": 2, "data__labelled": "1/2"}
    return config.with_(**{"device": "cpu", "optim__steps": 5, "checkpoint_every": 2} | few | changes)


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


class Watch(Callback):
    """Calls something with the module after each step."""

    def __init__(self, look) -> None:
        self.look = look

    def on_train_batch_end(self, trainer, pl_module, *args) -> None:
        self.look(pl_module)


def test_a_teacher_without_memory_is_the_student(tmp_path):
    config = make(method__decay=0.0, method__rule="all")
    different = []

    def look(module: SegmentationModule) -> None:
        teacher, student = weights(module.method.teacher.module), weights(module.model)
        different.extend(name for name in student if not torch.equal(teacher[name], student[name]))

    record = train(config, tmp_path, progress=False, callbacks=(Watch(look),))
    assert not different
    assert len(record.history["unlabelled"]) == 5
    assert set(record.history["pseudo_weight"]) == {1.0}


def test_without_unlabelled_images_it_is_the_supervised_run(tmp_path):
    taught = train(make(data__labelled=None), tmp_path / "taught", progress=False)
    alone = train(make(data__labelled=None, method__name="supervised"), tmp_path / "alone", progress=False)
    assert taught.metrics == alone.metrics
    assert taught.history == alone.history
    assert taught.method is alone.method is None
    nets = [load_module(checkpoint_path(make(), tmp_path / name)).model for name in ("taught", "alone")]
    assert all(torch.equal(a, b) for a, b in zip(*(weights(n).values() for n in nets), strict=True))


def test_a_burn_in_is_the_supervised_run(tmp_path):
    taught = train(make(method__burn_in=5), tmp_path / "taught", progress=False)
    alone = train(make(method__name="supervised"), tmp_path / "alone", progress=False)
    assert taught.metrics == alone.metrics
    assert taught.history == alone.history


RESUMED = {
    "estimated": {
        "loss": "blv",
        "method__counts": "estimated",
        "method__counts_every": 2,
        "method__rule": "drop_uncertain",
        "method__mix": "cut_mix",
        "method__mix_from": "unlabelled",
    },
    "bank": {
        "loss": "auc",
        "bank": {"sample_ratio": 1.0, "resize_ratio": 1.0},
        "method__feed_bank": True,
        "method__threshold": 0.05,
        "method__buffers": "averaged",
        "method__evaluate": "teacher",
    },
}


@pytest.mark.parametrize(("name", "stop"), [("estimated", 1), ("estimated", 3), ("bank", 4)])
def test_killed_at_any_step_the_record_is_the_same(tmp_path, tmp_path_factory, name, stop):
    config = make(**RESUMED[name])
    place = tmp_path_factory.getbasetemp() / f"whole_{name}"
    if name not in _WHOLE:
        _WHOLE[name] = train(config, place, progress=False)
    with pytest.raises(ConnectionError):
        train(config, tmp_path, progress=False, callbacks=(StopAt(stop),))
    assert train(config, tmp_path, progress=False).same_result(_WHOLE[name])
    states = [load_module(checkpoint_path(config, p)).state_dict() for p in (place, tmp_path)]
    for key, value in states[0].items():
        assert not isinstance(value, torch.Tensor) or torch.equal(value, states[1][key]), key


_WHOLE: dict[str, Any] = {}


def test_the_average_is_that_of_its_formula():
    """Weights of 1, 2, 3, ...: after t updates with a decay of min(1 - 1/(t+1), 0.6)."""
    model = nn.Linear(1, 1, bias=False)
    model.segmentation_head = nn.Conv2d(1, 3, 1)
    method = MeanTeacher(MeanTeacherConfig(decay=0.6), model)
    mean = None
    for t in range(6):
        with torch.no_grad():
            model.weight.fill_(t + 1.0)
        method.teacher.update_parameters(model)
        a = min(1 - 1 / (t + 1), 0.6)
        mean = (t + 1.0) if mean is None else a * mean + (1 - a) * (t + 1.0)
        assert float(method.teacher.module.weight) == pytest.approx(mean)
    counter = [torch.tensor(3)]
    _average(0.9, counter, [torch.tensor(7)], torch.tensor(5))
    assert counter[0] == 7


@pytest.fixture
def fitted(tmp_path):
    """A module within a training, at the hands of a test: called in the last step."""

    def run(config: RunConfig, look) -> None:
        def last(module: SegmentationModule) -> None:
            if module.global_step == config.optim.steps:
                look(module)

        train(config, tmp_path, progress=False, callbacks=(Watch(last),))

    return run


@pytest.mark.parametrize("by", ["teacher", "student"])
def test_priors_are_those_of_equation_4(fitted, by):
    """Counted again, image by image, and a loss that is made of these counts from the beginning."""
    counted = {"method__counts": "estimated", "method__counted_by": by, "method__counts_every": 5}
    config = make(loss="blv", data__size=(32, 64), **counted)

    def look(module: SegmentationModule) -> None:
        model = (module.model if by == "student" else module.method.teacher.module).eval()
        data = module.trainer.datamodule
        pixels = np.zeros(19, np.int64)
        mean, std = module.config.model.figures
        with torch.no_grad():
            for image, _ in data.unlabelled_set:
                x = (image.float() / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[
                    :, None, None
                ]
                labels = model(x[None])[0].argmax(0)
                pixels += np.bincount(labels.flatten().numpy(), minlength=19)
        assert pixels.sum() == 4 * 32 * 64
        found = module.method.counts[0].numpy()
        assert np.abs(found - np.maximum(pixels, 1)).sum() <= 4  # a rounding may flip a tie
        c = np.log(found.sum() / found)
        expected = torch.from_numpy(c / c.max())
        torch.testing.assert_close(module.objective.loss.rarities.double(), expected, atol=1e-6, rtol=0)

    fitted(config, look)


def test_the_record_holds_what_became_of_the_pseudo_labels(tmp_path):
    """Every pixel of every batch once; what is true of the images; and what Eq. 4 gave, when it did."""
    counted = {"method__counts": "estimated", "method__counts_every": 2, "data__hflip": 0.0}
    config = make(loss="blv", data__size=(32, 64), optim__steps=6, **counted)
    told = train(config, tmp_path, progress=False).method
    data = SegmentationDataModule(config)
    masks = [data.unlabelled_set.mask(i) for i in range(4)]
    true = torch.stack([torch.bincount(m.flatten().long(), minlength=256)[:19] for m in masks]).sum(0)
    assert [*told["unlabelled"]] == [*data.spec.names]
    assert [*told["unlabelled"].values()] == true.tolist()
    assert [*told["labelled"].values()] == data.classes.pixels.tolist()
    assert told["step"] == [1, 2, 3, 4, 5, 6]
    pixels = {row: np.array([*told[row].values()]) for row in PSEUDO_LABEL_COUNTS}  # classes, steps
    assert (pixels["predicted"].sum(0) == 2 * 32 * 64).all()
    assert (pixels["truth"][:, 0:2].sum(1) == true.numpy()).all()  # an epoch of two steps has all four
    assert (pixels["counted"] <= pixels["predicted"]).all()
    assert (pixels["right"] <= np.minimum(pixels["predicted"], pixels["truth"])).all()
    assert told["estimated_step"] == [2, 4, 6]
    last = load_module(checkpoint_path(config, tmp_path)).method.counts[0]
    assert [pixels[-1] for pixels in told["estimated"].values()] == last.tolist()


def test_true_counts_and_labelled_pixels_in_the_sum(fitted):
    config = make(loss="logit_adjusted", method__counts="true", method__count_labelled=True)
    whole = SegmentationDataModule(config.with_(data__labelled=None)).train_set
    masks = [whole.mask(i) for i in range(len(whole))]
    pixels = torch.stack([torch.bincount(m.flatten().long(), minlength=256)[:19] for m in masks]).sum(0)

    def look(module: SegmentationModule) -> None:
        expected = pixels.clamp(min=1)  # of both parts together
        assert (module.method.counts[0] - expected).abs().max() == 0
        share = expected.double() / expected.sum()
        torch.testing.assert_close(module.objective.loss.offsets.double(), share.log(), atol=1e-6, rtol=0)

    fitted(config, look)


COUNTED = [name for name in OBJECTIVES if "counts" in OBJECTIVES[name].model_fields]


@pytest.mark.parametrize("name", COUNTED)
def test_every_loss_of_counts_takes_new_ones(name):
    config = make(loss=name, model__head="cosine" if name == "ldam" else "linear")
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    module.method._count(module, torch.arange(2 * 19).view(2, 19) ** 2)
    before = {k: v.clone() for k, v in module.objective.named_buffers()}
    if name == "weighted_cross_entropy":  # of inverse frequencies, by default
        assert "loss.weights" in before
    module.method._set_priors(module)
    changed = [k for k, v in module.objective.named_buffers() if not torch.equal(v, before[k])]
    assert changed
    again = {k: v.clone() for k, v in module.objective.named_buffers()}
    module.method._set_priors(module)
    assert all(torch.equal(v, again[k]) for k, v in module.objective.named_buffers())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_a_step_with_a_teacher(name):
    config = make(loss=name, model__head="cosine" if name == "ldam" else "linear")
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    generator = torch.Generator().manual_seed(0)
    batch = {
        part: (
            torch.randn(2, 3, 32, 64, generator=generator),
            torch.randint(0, 19, (2, 32, 64), generator=generator),
        )
        for part in ("labelled", "unlabelled")
    }
    parts = module.train().method.step(module, batch)
    assert {"loss", "unlabelled", "pseudo_weight", "pseudo_accuracy"} <= set(parts)
    parts["loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.model.parameters())
    assert any(p.grad is not None and p.grad.any() for p in module.model.parameters())
    assert all(p.grad is None for p in module.method.parameters())


def test_the_objective_acts_on_the_term_it_is_told(fitted):
    """Its weighted sum is the loss, and the parts of the curves say which one it was."""
    for on, other in (("labelled", "unlabelled"), ("unlabelled", "labelled")):
        config = make(loss="auc", method__objective_on=on)
        module = SegmentationModule(config, SegmentationDataModule(config).classes)
        assert (module.method._plain(module, other) is None) == (on != other)
        images = torch.randn(2, 3, 32, 64)
        target = torch.randint(0, 19, (2, 32, 64))
        plain = module.losses(images, target, objective=module.method._plain(module, on))
        assert "auc" in plain or on != "both"
        assert "cross_entropy" in module.losses(images, target, objective=module.method._plain(module, on))


def test_a_weight_for_each_pixel_is_that_of_a_weighted_mean():
    config = make()
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    images = torch.randn(2, 3, 32, 64)
    target = torch.randint(0, 19, (2, 32, 64))
    sure = torch.rand(2, 32, 64)
    found = module.losses(images, target, weights=sure)
    logits = module(images)
    losses = nn.functional.cross_entropy(logits, target, reduction="none")
    parameter = next(module.model.segmentation_head.parameters())
    expected = torch.autograd.grad((sure * losses).mean(), parameter, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(found["loss"], parameter)[0], expected)
    torch.testing.assert_close(found["loss"].detach(), (sure.mean() * losses.mean()).detach())


def test_rules_of_pseudo_labels(fitted):
    config = make(method__margins=(4, 8, 0, 2))

    def look(module: SegmentationModule) -> None:
        pictures, truth = torch.randn(2, 3, 32, 64), torch.full((2, 32, 64), 255)
        logits = module.method.answers(pictures)
        probability = logits.softmax(1).max(1).values
        limit = float(probability.median())
        sure = probability > limit
        for rule in ("confident_share", "all", "confident", "drop_uncertain"):
            module.method.config = module.method.config.model_copy(
                update={"rule": rule, "threshold": limit * (1 + 1e-5)}
            )
            module.method.seen.zero_()
            labels, share, told = module.method.pseudo_labels(module, pictures, truth)
            assert (labels[:, :4] == 255).all()
            assert (labels[:, -8:] == 255).all()
            assert (labels[..., -2:] == 255).all()
            inner = (slice(None), slice(4, -8), slice(0, -2))
            if rule in ("confident_share", "all"):
                assert torch.equal(labels[inner], logits.argmax(1)[inner])
            if rule == "confident":
                assert torch.equal(labels[inner] == 255, ~sure[inner])
            expected = sure.float().mean((1, 2)) if rule.startswith("confident") else None
            assert (share is None) == (expected is None)
            if expected is not None:
                torch.testing.assert_close(share, expected)
            assert told["pseudo_accuracy"] == 0  # nothing is known
            seen = dict(zip(PSEUDO_LABEL_COUNTS, module.method.seen.sum(1).tolist(), strict=True))
            valid = labels != 255 if rule in ("all", "drop_uncertain") else sure & (labels != 255)
            assert seen == {
                "truth": 0, "predicted": 2 * 32 * 64, "counted": int(valid.sum()),
                "right": 0, "counted_right": 0, "counted_truth": 0,
            }  # fmt: skip

    fitted(config, look)


def test_the_bank_stores_what_it_is_shown_and_pastes_nothing():
    bank = TailMemoryBank([3], memory_size=2)
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    target[0, 2:4, 2:5] = 3
    bank.keep(torch.rand(1, 3, 8, 8), target)
    assert bank.sizes() == {3: 1}
    assert sum(bank.stats()["pasted"].values()) == 0
    bank.eval().keep(torch.rand(1, 3, 8, 8), target)
    assert bank.sizes() == {3: 1}


def test_images_of_a_folder_need_no_masks(tmp_path):
    folder = tmp_path / "more"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 255, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "deep" / f"{i}.png")
    config = make(data__unlabelled=folder, data__labelled=None)
    data = SegmentationDataModule(config)
    assert (len(data.train_set), len(data.unlabelled_set)) == (8, 3)
    assert not data.notices()
    record = train(config, tmp_path / "run", progress=False)
    assert record.dataset["unlabelled_images"] == 3
    assert record.method["unlabelled"] is None  # nobody knows
    assert not sum(map(sum, record.method["truth"].values()))
    assert record.config["data"]["unlabelled"] == "more"
    assert record.run_config.identity == record.identity == config.identity
    before = config.identity
    moved = folder.rename(tmp_path / "elsewhere")
    assert config.with_(data__unlabelled=moved).identity == before
    Image.fromarray(rng.integers(0, 255, (40, 50), np.uint8)).save(moved / "gray.png")
    other = config.with_(data__unlabelled=moved)
    assert other.identity != before
    assert "mode L, RGB" in SegmentationDataModule(other).notices()[0]
    with pytest.raises(ConfigError, match="no masks"):
        train(other.with_(method__counts="true", loss__name="blv"), tmp_path / "true", progress=False)
    with pytest.raises(DataError, match="no such folder"):
        SegmentationDataModule(make(data__unlabelled=tmp_path / "none")).unlabelled_set  # noqa: B018


def test_features_stay_near_those_of_the_first_weights(fitted):
    config = make(method__feature_distance=0.1, model__encoder_weights="somewhere")
    config = config.with_(model__encoder_weights=None)
    data = SegmentationDataModule(config)
    module = SegmentationModule(config, data.classes)
    images = torch.randn(2, 3, 32, 64)
    target = torch.full((2, 32, 64), 13)  # cars everywhere
    module.train()
    parts = module.method._labelled(module, images, target)
    module.method.reference.eval()
    near, first = (net(images)[-1] for net in (module.model.encoder, module.method.reference))
    torch.testing.assert_close(
        parts["feature_distance"], (near - first).norm(dim=1).mean().detach(), atol=1e-5, rtol=1e-4
    )
    road = module.method._labelled(module, images, torch.zeros_like(target))
    assert float(road["feature_distance"]) == 0  # no thing is there
    assert road["loss"].isfinite()
    with pytest.raises(ConfigError, match="starts from random weights"):
        train(config, progress=False)
    named = SegmentationModule(config.with_(method__feature_classes=("kar",)), data.classes)
    with pytest.raises(ConfigError, match=r"feature_classes.*'kar'"):
        named.method._things(named)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method__margins": (-1, 0, 0, 0)}, "margins"),
        ({"method__blur_sigma": (2.0, 1.0)}, "blur_sigma"),
        ({"method__counts_every": 3}, "counts 'estimated' only"),
        ({"data__labelled": "3/2"}, r"labelled fraction.*'3/2'"),
        ({"data__labelled": ()}, "names no image"),
        ({"data__look": "autum"}, "did you mean 'autumn'"),
        ({"data__classes": "synthia"}, "unknown label set"),
    ],
)
def test_what_is_wrong_is_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        make(**changes)


def source(**changes: Any) -> dict[str, Any]:
    streets = {"name": "streets", "size": (32, 48), "train_images": 6, "eval_images": 1, "batch_size": 2}
    return streets | changes


def test_from_one_look_of_the_streets_to_another(tmp_path):
    config = make(data__look="autumn", data__labelled=None, method__source=source())
    data = SegmentationDataModule(config)
    assert (len(data.train_set), len(data.unlabelled_set)) == (6, 8)
    own = SegmentationDataModule(make(data__labelled=None, data__train_images=6)).train_set
    assert data.train_set.fingerprint() == own.fingerprint()
    assert (
        data.classes.pixels.tolist()
        == SegmentationDataModule(make(data__labelled=None, data__train_images=6)).classes.pixels.tolist()
    )
    record = train(config, tmp_path, progress=False)
    assert record.dataset["source"] == "streets"
    assert record.dataset["unlabelled_images"] == 8
    alone = train(config.with_(method__name="supervised", method__source=source()), progress=False)
    assert "unlabelled" not in alone.history
    assert alone.dataset["train_fingerprint"] == record.dataset["train_fingerprint"]


def test_rare_classes_of_the_source_come_more_often():
    config = make(
        data__look="autumn",
        data__labelled=None,
        method__source=source(sampling="rare_class", train_images=24),
    )
    sampler = SegmentationDataModule(config).sampler()
    table = SegmentationDataModule(config).classes.tally.by_image.toarray()
    total = table.sum(0)
    p = np.where(total > 0, np.exp((1 - total / total.sum() - 1) / 0.01), 0)
    np.testing.assert_allclose(sampler.probabilities, p / p.sum(), rtol=1e-6)


def test_classes_of_two_data_sets_must_be_the_same(tiny_camvid):
    camvid = {"data__name": "camvid", "data__root": tiny_camvid, "data__labelled": None}
    counts = {"data__train_images": None, "data__eval_images": None}
    config = make(**camvid, **counts, method__source=source())
    with pytest.raises(
        ConfigError, match=r"'cityscapes' and target 'camvid' have no class in common.*camvid11"
    ):
        SegmentationDataModule(config).train_set  # noqa: B018
    partly = config.with_(data__classes="camvid11", method__source=source(classes="synthia16"))
    with pytest.raises(ConfigError, match="no class in common"):
        SegmentationDataModule(partly).train_set  # noqa: B018
    both = config.with_(data__classes="camvid11", method__source=source(classes="camvid11"))
    data = SegmentationDataModule(both)
    assert data.train_set.spec.names == data.unlabelled_set.spec.names == data.eval_set.spec.names
    fewer = config.with_(data__classes="camvid10", method__source=source(classes="camvid11"))
    with pytest.raises(ConfigError, match="other classes: 'Bicyclist' in the source only"):
        SegmentationDataModule(fewer).train_set  # noqa: B018


def test_crops_of_two_domains_must_fit_to_be_mixed(tmp_path):
    config = make(data__look="autumn", data__labelled=None, method__source=source(size=(32, 64)))
    with pytest.raises(ConfigError, match=r"of \[32, 64\] pixels and those without labels of \[32, 48\]"):
        train(config, tmp_path, progress=False)
    train(config.with_(method__mix="none"), tmp_path, progress=False)

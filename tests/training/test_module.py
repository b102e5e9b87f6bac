"""Networks with auxiliary outputs in the training step, and the views of an evaluation."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aucseg.data.spec import ClassSpec
from aucseg.experiments import make_config
from aucseg.losses import cross_entropy
from aucseg.metrics import SaliencyMeasures
from aucseg.models import (
    AuxiliaryTerm,
    Network,
    create_model,
    multi_scale,
    padded_logits,
    small_options,
)
from aucseg.models.networks.base import ClassifierHead, FCNHead, build_encoder, resized_cross_entropy
from aucseg.models.normalization import IMAGENET, LITE
from aucseg.models.registry import NETWORKS
from aucseg.training import (
    ConfigError,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    evaluate,
    load_module,
    train,
)
from aucseg.training.classes import ClassInfo
from aucseg.training.module import _seed_generators


class Tiny(Network):
    """Two stages of an encoder, a head on the deeper and an auxiliary head on the other."""

    def __init__(self, encoder_name: str = "resnet18", classes: int = 2, **kwargs: Any) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder_name, weights=None, network="tiny")
        self.decoder = _Deepest()
        self.segmentation_head = ClassifierHead(512, classes)
        self.auxiliary_heads["side"] = FCNHead(256, 8, classes)
        self.auxiliary = {"side": AuxiliaryTerm(0.4, resized_cross_entropy)}
        self.initialize()


class _Deepest(nn.Module):
    def forward(self, features: list[Tensor]) -> Tensor:
        return features[-1]


def _module(name: str, **changes: Any) -> SegmentationModule:
    config = make_config("streets", "smoke", model={"name": name, "encoder": None, "options": {}}, **changes)
    return SegmentationModule(config, SegmentationDataModule(config).classes)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tiny", Tiny)
    monkeypatch.setattr(Tiny, "standard_encoder", "resnet18")
    return _module("tiny", bank=None, loss={"name": "auc", "ce_weight": 1.0}).train()


def _batch(height: int = 64, width: int = 96) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, height, width, generator=generator)
    target = torch.randint(0, 19, (2, height, width), generator=generator)
    target[:, :5] = 255
    return images, target


def test_total_is_the_objective_of_the_main_logits_and_weighted_terms(tiny):
    images, target = _batch()
    torch.manual_seed(3)
    parts = tiny.losses(images, target)
    torch.manual_seed(3)  # dropout
    output = tiny.model(images)
    main = tiny.objective(output.logits, target)["loss"]
    side = nn.functional.interpolate(output.auxiliary["side"], (64, 96), mode="bilinear")
    expected = main + 0.4 * cross_entropy(side, target)
    torch.testing.assert_close(parts["loss"], expected)
    torch.testing.assert_close(parts["auxiliary/side"], 0.4 * cross_entropy(side, target))


def test_the_auc_loss_sends_no_gradient_through_the_auxiliary_head(tiny):
    parts = tiny.losses(*_batch())
    (parts["loss"] - parts["auxiliary/side"]).backward()
    head = tiny.model.auxiliary_heads["side"]
    assert all(not parameter.grad.any() for parameter in head.parameters())
    assert tiny.model.segmentation_head[1].weight.grad.any()


def test_padding_for_a_network_that_needs_multiples_is_void():
    """What pads the images of a crop has no label, so the loss is that of the crop."""
    module = _module("hrnet", bank=None, loss={"name": "cross_entropy"}).train()
    images, target = _batch(60, 90)
    loss = module.losses(images, target)["loss"]
    padded = nn.functional.pad(images, (0, 6, 0, 4), mode="replicate")
    logits = module.model(padded).logits[..., :60, :90]
    torch.testing.assert_close(loss, cross_entropy(logits, target))


def test_what_padding_hides_is_seen_by_nobody(tiny):
    with pytest.raises(TypeError, match=r"training mode.*model\.eval"):
        tiny(_batch()[0])


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_each_network_trains_by_name_with_auc_and_bank(name, tmp_path):
    small = small_options(name)
    model = {"name": name, "encoder": small.pop("encoder", None), "options": small}
    config = make_config(
        "streets", "smoke", model=model, optim={"steps": 2}, data={"train_images": 4, "eval_images": 2}
    )
    record = train(config, folder=tmp_path, progress=False)
    assert math.isfinite(record.metrics["mIoU"])
    terms = {key for key in record.history if key.startswith("auxiliary/")}
    network = create_model(name, config.model.encoder, num_classes=2, **config.model.options)
    assert terms == {f"auxiliary/{term}" for term in network.auxiliary}


@pytest.fixture(scope="module")
def module() -> SegmentationModule:
    config = make_config("streets", "smoke")
    return SegmentationModule(config, SegmentationDataModule(config).classes).eval()


def with_evaluation(module: SegmentationModule, **changes) -> SegmentationModule:
    config = module.config.with_(**{f"evaluation__{key}": value for key, value in changes.items()})
    other = SegmentationModule(config, module.classes).eval()
    other.load_state_dict(module.state_dict())
    return other


def test_one_view_is_what_the_network_says(module):
    images = torch.randn(2, 3, 40, 72, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = module(images)
        ids, sigmoid, softmax = module.predict_scores(images)
    assert torch.equal(ids, logits.argmax(1))
    assert torch.equal(sigmoid, logits.sigmoid())
    assert torch.equal(softmax, logits.softmax(1))


def test_views_are_averaged(module):
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    several = with_evaluation(module, ratios=(0.5, 1.0), flip=True)
    with torch.no_grad():
        ids, sigmoid, softmax = several.predict_scores(images)
        expected = multi_scale(partial(padded_logits, module.model), images, ratios=(0.5, 1.0))
    torch.testing.assert_close(softmax, expected)
    assert torch.equal(ids, expected.argmax(1))
    assert sigmoid.min() > 0
    assert sigmoid.max() < 1


def test_a_window_of_the_image_is_the_image(module):
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = module.predict_scores(images)[2]
        torch.testing.assert_close(with_evaluation(module, window=(64, 96)).predict_scores(images)[2], whole)
        assert not torch.allclose(with_evaluation(module, window=(32, 32)).predict_scores(images)[2], whole)


def test_module_leaves_the_global_generator_alone():
    config = make_config("streets", "smoke")
    data = SegmentationDataModule(config)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    a = SegmentationModule(config, data.classes)
    assert torch.rand(1) == expected
    b = SegmentationModule(config, data.classes)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A short run from ImageNet weights, with a bank."""
    folder = tmp_path_factory.mktemp("pretrained")
    model = {"encoder": "tu-tf_efficientnet_lite0", "encoder_weights": "package", "options": {}}
    config = make_config(
        "streets",
        "smoke",
        model=model,
        optim={"steps": 2, "decoder_factor": 10.0},
        bank={"sample_ratio": 1.0},
    ).with_(device="cpu")
    return config, folder, train(config, folder, progress=False)


def test_images_arrive_as_the_encoder_wants_them(pretrained):
    config, _, _ = pretrained
    data = SegmentationDataModule(config)
    raw, labels = next(iter(data.test_dataloader()))
    images, _ = data.on_after_batch_transfer((raw, labels), 0)
    torch.testing.assert_close(images, (raw.float() - 127) / 128)
    usual = SegmentationDataModule(config.with_(model__encoder_weights=None))
    assert not torch.allclose(usual.on_after_batch_transfer((raw, labels), 0)[0], images)


def test_the_bank_stores_what_the_network_sees(pretrained):
    """Bytes back out of the bank are whole numbers: on another scale they would be none."""
    config, _, _ = pretrained
    data = SegmentationDataModule(config)
    module = SegmentationModule(config, data.classes)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    module.bank(*batch)
    stored = [image for objects in module.bank.objects().values() for image, _ in objects]
    assert stored
    for image in stored:
        grey = image.float() * 128 + 127
        torch.testing.assert_close(grey, grey.round(), atol=1e-3, rtol=0)


def test_record_and_checkpoint_have_the_normalisation(pretrained):
    config, folder, record = pretrained
    written = record.config["model"]["normalization"]
    assert tuple(map(tuple, written)) == LITE
    assert record.run_config == config
    module = load_module(checkpoint_path(config, folder))
    assert module.model.normalization == module.config.model.figures == LITE
    assert module.config.identity == config.identity
    again = evaluate(checkpoint_path(config, folder), progress=False)
    assert again == record.metrics


def test_a_checkpoint_of_before_has_imagenets_figures(pretrained, tmp_path):
    """Whatever its encoder: nothing else was there."""
    config, folder, _ = pretrained
    content = torch.load(checkpoint_path(config, folder), weights_only=True)
    del content["aucseg"]["config"]["model"]["normalization"]
    torch.save(content, tmp_path / "old.ckpt")
    assert load_module(tmp_path / "old.ckpt").model.normalization == IMAGENET


def test_a_step_of_one_image_is_tried_where_it_may_fail():
    """Before the data are read and hours later: batch normalisation of a single value has no variance."""
    one = {"train_images": 1, "eval_images": 1, "batch_size": 1}
    model = {"name": "stdc", "encoder": None, "options": {}}
    bad = make_config("streets", "smoke", bank=None, data=one, model=model)
    module = SegmentationModule(bad, SegmentationDataModule(bad).classes)
    before = {name: value.clone() for name, value in module.state_dict().items() if torch.is_tensor(value)}
    with pytest.raises(ConfigError, match=r"data\.batch_size is 1, and network 'stdc' normalises.*2 or more"):
        module.check_step()
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert SegmentationModule(bad.with_(data__batch_size=2), module.classes).check_step() is None
    good = make_config("streets", "smoke", bank=None, data=one)
    module = SegmentationModule(good, module.classes)
    before = {name: value.clone() for name, value in module.state_dict().items() if torch.is_tensor(value)}
    draws = torch.get_rng_state()
    module.check_step()
    assert torch.equal(torch.get_rng_state(), draws)
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())


def test_two_classes_have_the_measures_of_salient_objects():
    """Means over images of class 1, as the metric alone has them; more classes have none."""
    config = make_config("streets", "smoke", loss={"name": "cross_entropy"}, bank=None)
    many = SegmentationModule(config, SegmentationDataModule(config).classes)
    assert many.saliency is None
    spec = ClassSpec("two", ("background", "object"), ((0, 0, 0), (9, 9, 9)), ("head", "tail"))
    module = SegmentationModule(config, ClassInfo(spec)).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 32, 64, generator=generator)
    target = (torch.rand(2, 32, 64, generator=generator) < 0.2).long()
    with torch.no_grad():
        module.test_step((images, target), 0)
        _, _, softmax = module.predict_scores(images)
    alone = SaliencyMeasures()
    alone.update(softmax[:, 1].clamp(0, 1), target)
    wanted = {name: float(value) for name, value in alone.compute().items()}
    got = module.figures()
    for name in ("MAE", "F_beta_mean", "E_mean"):
        assert got[name] == pytest.approx(wanted[name], abs=1e-12)
    module.reset_metrics()
    assert int(module.saliency.images) == 0


def test_seeding_a_step_gives_the_numbers_of_manual_seed(monkeypatch):
    """Without its requests for GPUs that are not there, each with the stack of calls as text."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        expected = torch.rand(3)
        monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("asked for all kinds of devices"))
        _seed_generators(11, torch.device("cpu"))
        torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_seeding_a_step_reaches_the_device():
    device = torch.device("cuda")
    with torch.random.fork_rng():
        torch.manual_seed(11)
        expected = torch.rand(3, device=device)
        _seed_generators(11, device)
        torch.testing.assert_close(torch.rand(3, device=device), expected, rtol=0, atol=0)

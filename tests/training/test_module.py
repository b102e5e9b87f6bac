"""Networks with auxiliary outputs in the training step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aucseg.experiments import make_config
from aucseg.losses import cross_entropy
from aucseg.models import AuxiliaryTerm, Network, create_model, small_options
from aucseg.models.networks.auxiliary import Classifier, FCNHead, resized_cross_entropy
from aucseg.models.networks.base import build_encoder
from aucseg.models.registry import NETWORKS
from aucseg.training import SegmentationDataModule, SegmentationModule, train


class Tiny(Network):
    """Two stages of an encoder, a head on the deeper and an auxiliary head on the other."""

    def __init__(self, encoder_name: str = "resnet18", classes: int = 2, **kwargs: Any) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder_name, weights=None, network="tiny")
        self.decoder = _Deepest()
        self.segmentation_head = Classifier(512, classes)
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

"""The dictionary of objectives: how one is chosen, and what one of somebody's own may want."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from aucseg.experiments import make_config
from aucseg.losses import cross_entropy
from aucseg.models import forward_with_features, small_options
from aucseg.training import (
    OBJECTIVES,
    ClassInfo,
    ConfigError,
    Objective,
    ObjectiveConfig,
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    load_module,
    train,
)
from aucseg.training.objectives.auc import AUCConfig
from aucseg.training.objectives.cross_entropy import CrossEntropyConfig


class Prototypes(Objective):
    """Cross entropy, and the distance of every feature to a learnt point."""

    needs_features = True

    def __init__(self, channels: int, weight: float) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.zeros(channels))
        self.norm = nn.LayerNorm(channels)
        self.weight = weight

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        assert features is not None
        ce = cross_entropy(logits, target)
        distance = (self.norm(features.movedim(1, -1)) - self.point).square().mean()
        return {"loss": ce + self.weight * distance, "distance": distance}


class PrototypesConfig(ObjectiveConfig):
    name: Literal["prototypes"] = "prototypes"
    channels: int = 16  # what the small U-Net's classifier gets
    weight: float = 0.5

    def build(self, classes: ClassInfo) -> Objective:
        return Prototypes(self.channels, self.weight)


@pytest.fixture
def prototypes(monkeypatch) -> dict:
    """An objective that is not the package's: one entry, and a configuration can name it."""
    monkeypatch.setitem(OBJECTIVES, "prototypes", PrototypesConfig)
    return {"name": "prototypes"}


def content(**loss) -> dict:
    return make_config("streets", "smoke").model_dump(mode="json") | {"loss": loss}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_section_is_found_by_its_name(name):
    section = OBJECTIVES[name]
    assert section().name == name
    config = RunConfig.from_dict(content(name=name))
    assert type(config.loss) is section
    assert RunConfig.from_dict(config.model_dump(mode="json")) == config


def test_without_a_name_it_is_the_auc():
    assert RunConfig.from_dict(content(ce_weight=1.0)).loss == AUCConfig(ce_weight=1.0)


# Of the version before there was a dictionary.
@pytest.mark.parametrize(
    ("loss", "identity"),
    [
        ({}, "eb59f53805d76cb3"),
        ({"ohem": True}, "faa4226830090cc1"),
        ({"queue": {"batches": 3}}, "5aabd170b18cb55f"),
        ({"ce_weight": 1.0}, "0386a38acdaecd1f"),
    ],
)
def test_the_default_name_is_no_part_of_an_identity(loss, identity):
    assert RunConfig.from_dict(content(**loss)).identity == identity
    assert RunConfig.from_dict(content(name="auc", **loss)).identity == identity


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"name": "tversky"}, r"loss\.name.*known: auc, cross_entropy.*'tversky'"),
        ({"name": "cross_entrop"}, r"loss\.name.*did you mean 'cross_entropy'"),
        ({"name": "cross_entropy", "ohm": True}, r"loss\.ohm.*did you mean 'ohem'"),
        ({"ce_wieght": 1}, r"loss\.ce_wieght.*did you mean 'ce_weight'"),
        ({"queue": {"batch": 1}}, r"loss\.queue\.batch.*did you mean 'batches'"),
        ({"queue": {}}, r"loss\.queue: give momentum or batches"),
        ({"margin": "wide"}, r"loss\.margin: .*'wide'"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(loss, words):
    with pytest.raises(ConfigError, match=words):
        RunConfig.from_dict(content(**loss))


@pytest.mark.parametrize("loss", ["auc", 3, None])
def test_a_section_is_a_mapping(loss):
    with pytest.raises(ConfigError, match="loss: give a mapping"):
        RunConfig.from_dict(content() | {"loss": loss})


def test_another_name_begins_the_section_anew():
    config = RunConfig.from_dict(content(ce_weight=1.0, ohem=True))
    assert config.with_(loss__name="cross_entropy").loss == CrossEntropyConfig()
    assert config.with_(loss__ohem=True, loss__name="cross_entropy").loss == CrossEntropyConfig(ohem=True)
    assert config.with_(loss__name="auc").loss == config.loss
    assert config.with_(loss=CrossEntropyConfig()).loss == CrossEntropyConfig()
    with pytest.raises(ConfigError, match="ce_weight has no part in objective 'cross_entropy'"):
        config.with_(loss__name="cross_entropy", loss__ce_weight=1.0)
    with pytest.raises(ConfigError, match=r"loss\.name.*'tversky'"):
        config.with_(loss__name="tversky")
    # in a profile with a section of its own, too
    changed = make_config("ade20k", "paper", loss={"name": "cross_entropy"})
    assert changed.loss == CrossEntropyConfig()
    assert make_config("ade20k", "paper", loss={"ohem": True}).loss == AUCConfig(ce_weight=0.5, ohem=True)


def test_an_objective_of_ones_own_is_configured_by_name(prototypes):
    config = RunConfig.from_dict(content(**prototypes, weight=0.1))
    assert config.loss == PrototypesConfig(weight=0.1)
    other = RunConfig.from_dict(content(**prototypes))
    assert len({config.identity, other.identity, RunConfig.from_dict(content()).identity}) == 3


@pytest.mark.parametrize(("network", "channels"), [("linknet", 32), ("isanet", 128)])
def test_features_reach_the_objective_that_asks_for_them(prototypes, network, channels):
    """Of smp's networks and of ours; what pads an image to a size that the network takes is void."""
    model = small_options(network) if network == "isanet" else {}
    model = {"name": network, "encoder": model.pop("encoder", "resnet18"), "options": model}
    config = RunConfig.from_dict(content(**prototypes, channels=channels) | {"model": model, "bank": None})
    module = SegmentationModule(config, SegmentationDataModule(config).classes).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 60, 90, generator=generator)
    target = torch.randint(0, 19, (2, 60, 90), generator=generator)
    torch.manual_seed(3)  # of dropout
    parts = module.losses(images, target)
    if network == "linknet":  # ours take any size
        images = nn.functional.pad(images, (0, 6, 0, 4), mode="replicate")
        target = nn.functional.pad(target, (0, 6, 0, 4), value=255)
    torch.manual_seed(3)
    output, features = forward_with_features(module.model, images)
    logits = output if network == "linknet" else output.logits
    expected = module.objective(logits, target, features)
    terms = [value for key, value in parts.items() if key.startswith("auxiliary/")]
    assert len(terms) == (network == "isanet")
    torch.testing.assert_close(parts["loss"], expected["loss"] + sum(terms))
    torch.testing.assert_close(parts["distance"], expected["distance"])


@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_its_parameters_are_trained_at_the_decoders_rate(prototypes, factor):
    config = RunConfig.from_dict(content(**prototypes)).with_(bank=None, optim__decoder_factor=factor)
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    *_, last = module.configure_optimizers()["optimizer"].param_groups
    own = [id(p) for p in module.objective.parameters()]
    assert [id(p) for p in last["params"]][-len(own) :] == own
    assert last["initial_lr"] == factor


def test_its_parameters_are_kept_and_resumed(prototypes, tmp_path):
    config = RunConfig.from_dict(content(**prototypes)).with_(device="cpu", optim__steps=3)
    record = train(config, tmp_path, progress=False)
    assert set(record.history) >= {"loss", "distance"}
    module = load_module(checkpoint_path(config, tmp_path))
    assert module.objective.point.abs().min() > 0
    assert train(config, tmp_path, progress=False).same_result(record)

"""The dictionary of training methods, and all that one of somebody's own may want."""

from __future__ import annotations

import copy
import shutil
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from aucseg.experiments import make_config
from aucseg.training import (
    METHODS,
    ConfigError,
    DataConfig,
    Method,
    MethodConfig,
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    evaluate,
    load_module,
    train,
)
from aucseg.training.methods.supervised import SupervisedConfig
from tests.training.interrupted import StopAt


class Agreement(Method):
    """Supervised on half a batch, and on other images agreement with a moving average of the network."""

    def __init__(self, model: nn.Module, momentum: float) -> None:
        super().__init__()
        self.teacher = copy.deepcopy(model).requires_grad_(False)
        self.momentum = momentum
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def step(self, module: SegmentationModule, batch: Any) -> dict[str, Tensor]:
        parts = module.losses(*batch["labelled"])
        images, _ = batch["more"]
        with torch.no_grad():
            aim = self.teacher(images).softmax(1)
        agreement = (module(images).softmax(1) - aim).square().mean()
        return parts | {"loss": parts["loss"] + agreement, "agreement": agreement}

    def after_step(self, module: SegmentationModule) -> None:
        self.steps += 1
        for mean, weight in zip(self.teacher.parameters(), module.model.parameters(), strict=True):
            mean.lerp_(weight.detach(), 1 - self.momentum)

    def evaluated(self, model: nn.Module) -> nn.Module:
        return self.teacher


class AgreementConfig(MethodConfig):
    name: Literal["agreement"] = "agreement"
    momentum: float = 0.9
    target: DataConfig | None = None  # of another domain

    def loaders(self, data: SegmentationDataModule) -> Any:
        more = data.training_loader("val", 2, batch_size=2, data=self.target)
        return {"labelled": data.training_loader(), "more": more}

    def build(self, model: nn.Module) -> Method:
        return Agreement(model, self.momentum)


@pytest.fixture
def config(monkeypatch) -> RunConfig:
    """A method that is not the package's: one entry, and a configuration can name it."""
    monkeypatch.setitem(METHODS, "agreement", AgreementConfig)
    config = make_config("streets", "smoke", method={"name": "agreement", "momentum": 0.5}, bank=None)
    return config.with_(device="cpu", optim__steps=5, checkpoint_every=2)


@pytest.mark.parametrize("name", METHODS)
def test_a_section_is_found_by_its_name(name):
    assert METHODS[name]().name == name
    content = make_config("streets", "smoke").model_dump() | {"init_from": "0" * 16}
    config = RunConfig.from_dict(content | {"method": {"name": name}})
    assert type(config.method) is METHODS[name]
    assert RunConfig.from_dict(config.model_dump(mode="json")) == config


def test_supervised_is_the_default_and_no_part_of_an_identity():
    config = make_config("streets", "smoke")
    assert config.method == SupervisedConfig()
    assert config.identity == "eb59f53805d76cb3"  # of the version before there were methods
    spelled = RunConfig.from_dict(config.model_dump() | {"method": {"name": "supervised"}})
    assert spelled.identity == config.identity


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ({"name": "supervise"}, r"method\.name.*did you mean 'supervised'"),
        ({"momentum": 0.9}, r"unknown key 'method\.momentum'"),
        ("supervised", "method: give a mapping"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(method, words):
    with pytest.raises(ConfigError, match=words):
        RunConfig.from_dict(make_config("streets", "smoke").model_dump() | {"method": method})


def test_a_method_of_ones_own_is_configured_by_name(config):
    assert config.method == AgreementConfig(momentum=0.5)
    others = [config.with_(method__momentum=0.9), config.with_(method__name="supervised")]
    assert len({config.identity, *(other.identity for other in others)}) == 3
    assert others[1].method == SupervisedConfig()


def test_batches_of_each_loader_arrive_side_by_side(config):
    data = SegmentationDataModule(config)
    loaders = data.train_dataloader()
    assert {name: len(loader) for name, loader in loaders.items()} == {"labelled": 5, "more": 5}
    labelled, more = (next(iter(loaders[name])) for name in ("labelled", "more"))
    assert (len(labelled[0]), len(more[0])) == (4, 2)
    own, other = (list(loaders[name].batch_sampler) for name in ("labelled", "more"))
    assert own == list(data.sampler())
    seeds = [{seed for batch in batches for _, seed in batch} for batches in (own, other)]
    assert not seeds[0] & seeds[1]  # no draw is shared
    batch = data.on_after_batch_transfer({"labelled": labelled, "more": more}, 0)
    assert batch["more"][0].dtype == torch.float32
    assert batch["labelled"][1].dtype == torch.int64


def test_another_data_set_is_a_loader_away(config, tiny_camvid, tmp_path, monkeypatch):
    """With its own sizes and augmentation, in a section of the method."""
    target = {"name": "camvid", "root": str(tiny_camvid), "size": (48, 64), "crop_size": (32, 40)}
    content = config.model_dump() | {"method": {"name": "agreement", "target": target}}
    content["method"]["target"]["batch"] = 1
    with pytest.raises(ConfigError, match=r"unknown key 'method\.target\.batch'.*batch_size"):
        RunConfig.from_dict(content)
    del content["method"]["target"]["batch"]
    changed = RunConfig.from_dict(content)
    assert len({changed.identity, config.with_(method__momentum=0.9).identity}) == 2
    elsewhere = shutil.copytree(tiny_camvid, tmp_path / "elsewhere")
    moved = changed.with_(method__target__root=elsewhere, method__target__num_workers=3)
    assert moved.identity == changed.identity  # as for the run's own data
    (elsewhere / "splits" / "val.txt").write_text("val_000\n")
    assert moved.identity != changed.identity
    with pytest.raises(ValueError, match=r"split 'test' is to be named by AgreementConfig\.splits"):
        SegmentationDataModule(changed).training_loader("test")
    drawn = changed.with_(data__name="camvid", method__target=DataConfig(train_images=8, eval_images=2))
    before = drawn.identity
    with monkeypatch.context() as patch:
        patch.setattr("aucseg.streets.GENERATOR_VERSION", 99)
        assert drawn.identity != before  # of pictures that are drawn anew
    record = train(changed, tmp_path / "run", progress=False)
    assert record.config["method"]["target"]["root"] == tiny_camvid.name
    assert record.run_config.identity == record.identity
    loaders = SegmentationDataModule(changed.with_(method__target__hflip=0.0)).train_dataloader()
    assert next(iter(loaders["more"]))[0].shape == (2, 3, 32, 40)
    assert next(iter(loaders["labelled"]))[0].shape[:2] == (4, 3)


def test_its_state_is_trained_kept_and_resumed(config, tmp_path):
    record = train(config, tmp_path / "whole", progress=False)
    assert {"loss", "auc", "agreement"} <= set(record.history)
    module = load_module(checkpoint_path(config, tmp_path / "whole"))
    assert module.method.steps == 5
    pairs = list(zip(module.method.teacher.parameters(), module.model.parameters(), strict=True))
    assert not all(torch.equal(mean, weight) for mean, weight in pairs)
    with pytest.raises(ConnectionError):
        train(config, tmp_path / "part", progress=False, callbacks=(StopAt(3),))
    left = torch.load(checkpoint_path(config, tmp_path / "part"), weights_only=True)
    assert (
        left["state_dict"]["method.steps"] == left["global_step"] == 2
    )  # what a checkpoint holds is of its step
    assert train(config, tmp_path / "part", progress=False).same_result(record)


def test_it_says_which_network_is_evaluated(config, tmp_path):
    record = train(config, tmp_path, progress=False)
    path = checkpoint_path(config, tmp_path)
    assert evaluate(path, progress=False) == record.metrics
    module = load_module(path)
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(module.predict_scores(images)[2], module.method.teacher(images).softmax(1))


def test_the_optimiser_leaves_its_weights_alone(config):
    module = SegmentationModule(config, SegmentationDataModule(config).classes)
    optimizer = module.configure_optimizers()["optimizer"]
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert not moved & set(map(id, module.method.parameters()))

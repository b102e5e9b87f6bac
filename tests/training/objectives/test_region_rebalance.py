"""The region branch in a run: beside any objective of the pixels, and no part of the network."""

from __future__ import annotations

import pytest
import torch

from aucseg.experiments import make_config
from aucseg.losses import RegionBranch, cross_entropy
from aucseg.models import forward_with_features
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

Config = OBJECTIVES["region_rebalance"]


def content(**loss) -> dict:
    return make_config("streets", "smoke").model_dump(mode="json") | {
        "loss": {"name": "region_rebalance"} | loss,
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def module() -> SegmentationModule:
    config = RunConfig.from_dict(content()).with_(bank=None)
    return SegmentationModule(config, SegmentationDataModule(config).classes)


def test_total_is_that_of_the_paper(module):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 64, 96, generator=generator)
    target = torch.randint(0, 19, (2, 64, 96), generator=generator)
    module.eval()  # no dropout, no batch statistics
    parts = module.losses(images, target)
    logits, features = forward_with_features(module.model, images)
    branch = module.objective.branch
    assert isinstance(branch, RegionBranch)
    torch.testing.assert_close(parts["cross_entropy"], cross_entropy(logits, target))
    torch.testing.assert_close(parts["region"], branch(features, target))
    torch.testing.assert_close(parts["loss"], parts["cross_entropy"] + 0.3 * parts["region"])


def test_prior_is_the_share_of_training_images(module):
    images = torch.from_numpy(module.classes.images).double()
    images = images.where(images > 0, images[images > 0].min())
    found = module.objective.branch.log_prior
    torch.testing.assert_close(found - found[0], images.log() - images.log()[0])


def test_of_a_network_nothing_is_left_at_inference(module):
    assert not any("branch" in name or "objective" in name for name in module.model.state_dict())


def test_pixels_have_any_other_objective():
    names = set(OBJECTIVES) - {"region_rebalance"}
    identities = set()
    for name in names:
        config = RunConfig.from_dict(content(pixel={"name": name}))
        assert type(config.loss.pixel) is OBJECTIVES[name]
        assert RunConfig.from_dict(config.model_dump(mode="json")) == config
        identities.add(config.identity)
    assert len(identities) == len(names)
    assert RunConfig.from_dict(content()).identity in identities


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"pixel": {"name": "crossentropy"}}, r"loss\.pixel\.name.*did you mean 'cross_entropy'"),
        ({"pixel": {"name": "auc", "ce_wieght": 1}}, r"loss\.pixel\.ce_wieght.*did you mean 'ce_weight'"),
        ({"pixel": {"name": "region_rebalance"}}, "one region branch is enough"),
        ({"weight": -1}, r"loss\.weight"),
        ({"weight": float("nan")}, r"loss\.weight"),
        ({"regions": "all"}, r"loss\.regions"),
    ],
)
def test_a_wrong_section_is_told(loss, words):
    with pytest.raises(ConfigError, match=words):
        RunConfig.from_dict(content(**loss))


def test_options_that_do_not_go_together_are_told():
    config = RunConfig.from_dict(content(regions="connected", labels="area"))
    with pytest.raises(ConfigError, match=r"loss: connected regions .* use labels='nearest'"):
        SegmentationModule(config, SegmentationDataModule(config).classes)


def test_a_run_resumes_with_its_branch_and_with_auc_and_bank(tmp_path):
    config = RunConfig.from_dict(content(pixel={"name": "auc"}, classifier="released", regions="batch"))
    config = config.with_(optim__steps=3, checkpoint_every=2)
    record = train(config, tmp_path, progress=False)
    assert set(record.history) >= {"loss", "auc", "cross_entropy", "region"}
    loaded = load_module(checkpoint_path(config, tmp_path))
    assert loaded.objective.branch.project[1].num_batches_tracked == 3
    assert train(config, tmp_path, progress=False).same_result(record)

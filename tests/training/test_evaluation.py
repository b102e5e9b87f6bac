"""What the options of transforms and evaluation do to a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from aucseg.models import multi_scale, padded_logits
from aucseg.training import ConfigError, RunConfig, SegmentationDataModule, SegmentationModule, train
from tests.training.test_run import smoke


@pytest.fixture(scope="module")
def module() -> SegmentationModule:
    config = smoke()
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


def test_a_run_on_files_with_the_full_pipeline(tiny_camvid: Path, tmp_path: Path) -> None:
    config = RunConfig.from_dict(
        {
            "data": {
                "name": "folder",
                "root": str(tiny_camvid),
                "crop_size": [32, 64],
                "resize": [48, 96],
                "scale": [0.5, 2.0],
                "photometric": "mmseg",
                "max_class_share": 0.75,
                "batch_size": 2,
            },
            "model": smoke().model.model_dump(),
            "bank": None,
            "optim": {"steps": 2, "warmup_steps": 1},
            "evaluation": {"window": [32, 64], "ratios": [0.5, 1.0], "flip": True},
            "device": "cpu",
        }
    )
    record = train(config, tmp_path, progress=False)
    assert 0 <= record.metrics["mIoU"] <= 1
    assert RunConfig.from_dict(record.config | {"data": config.data.model_dump()}).identity == config.identity


def test_defaults_do_not_change_an_identity() -> None:
    """The identity that this configuration had before these keys existed."""
    bare: dict = {"data": {"train_images": 8, "eval_images": 4, "photometric": True}}
    spelled = {
        "data": bare["data"] | {"resize": None, "max_class_share": 1.0},
        "evaluation": {"ratios": [1.0]},
    }
    assert RunConfig.from_dict(bare).identity == RunConfig.from_dict(spelled).identity == IDENTITY


IDENTITY = "1d43a331e1c6c21c"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {"resize": [8, 4]}}, r"resize is \(short, long\) side in pixels, got \[8, 4\]"),
        ({"data": {"resize": [4, 8]}}, "needs crop_size"),
        ({"data": {"max_class_share": 0}}, "max_class_share"),
        ({"data": {"photometric": "strong"}}, "photometric"),
        ({"evaluation": {"window": [0, 4]}}, r"window must be positive, got \[0, 4\]"),
        ({"evaluation": {"stride": [4, 4]}}, "give window too"),
        ({"evaluation": {"window": [4, 4], "stride": [4, 5]}}, r"from 1 to the window's size, got \[4, 5\]"),
        ({"evaluation": {"ratios": []}}, r"at least one, got \[\]"),
        ({"evaluation": {"ratios": [1.0, -1.0]}}, r"got \[1.0, -1.0\]"),
    ],
)
def test_bad_options(content: dict, message: str) -> None:
    content = {**content, "data": {"train_images": 8, "eval_images": 4} | content.get("data", {})}
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_dict(content)

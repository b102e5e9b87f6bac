"""What an encoder wants its images normalised by, against the figures of timm and smp."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
from timm.data import constants

from aucseg.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from aucseg.models import create_model, encoder_normalization, from_pretrained
from aucseg.models.normalization import IMAGENET, LITE

INCEPTION = (constants.IMAGENET_INCEPTION_MEAN, constants.IMAGENET_INCEPTION_STD)
DPN = (constants.IMAGENET_DPN_MEAN, constants.IMAGENET_DPN_STD)


def test_imagenet_is_what_normalize_takes_by_default():
    assert (IMAGENET_MEAN, IMAGENET_STD) == IMAGENET
    assert (constants.IMAGENET_DEFAULT_MEAN, constants.IMAGENET_DEFAULT_STD) == IMAGENET


@pytest.mark.parametrize("encoder", ["resnet18", "xception", "tu-tf_efficientnet_lite0", "mscan_t", None])
def test_random_weights_have_no_wish(encoder):
    assert encoder_normalization(encoder, None) == IMAGENET


@pytest.mark.parametrize(
    ("encoder", "weights", "expected"),
    [
        ("resnet18", "imagenet", IMAGENET),
        ("resnet50", "swsl", IMAGENET),
        ("mit_b0", "imagenet", IMAGENET),
        ("mscan_t", "mscan_t.pth", IMAGENET),
        ("inceptionv4", "imagenet", INCEPTION),
        ("inceptionresnetv2", "imagenet+background", INCEPTION),
        ("xception", "imagenet", INCEPTION),
        ("timm-tf_efficientnet_lite3", "imagenet", INCEPTION),
        ("efficientnet-b0", "imagenet", IMAGENET),
        ("efficientnet-b0", "advprop", INCEPTION),
        ("timm-efficientnet-b0", "noisy-student", IMAGENET),
        ("dpn68b", "imagenet+5k", DPN),
    ],
)
def test_encoders_of_smp_have_the_figures_that_it_published(encoder, weights, expected):
    """Until version 0.4 they were in its source; now the hub has them."""
    assert encoder in smp.encoders.encoders or encoder == "mscan_t"
    for found, figures in zip(encoder_normalization(encoder, weights), expected, strict=True):
        assert found == pytest.approx(figures, rel=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "tf_efficientnet_lite0",
        "lcnet_050",
        "tf_efficientnet_b0.ap_in1k",
        "swin_tiny_patch4_window7_224",
    ],
)
@pytest.mark.parametrize("weights", ["imagenet", "some/file.pth"])
def test_encoders_of_timm_have_what_smp_says_of_them(name, weights):
    oracle = smp.encoders.get_preprocessing_params(f"tu-{name}")
    assert (oracle["input_range"], oracle["input_space"]) == ([0, 1], "RGB")
    assert encoder_normalization(f"tu-{name}", weights) == (tuple(oracle["mean"]), tuple(oracle["std"]))


@pytest.mark.parametrize("name", ["lcnet_035", "mobilenetv4_conv_small_035", "no_such_network"])
def test_without_published_weights_it_is_imagenet(name):
    """timm's figures for these are those of nobody's weights."""
    assert encoder_normalization(f"tu-{name}", "own.pth") == IMAGENET


def test_lite_is_what_google_trained_it_with():
    mean, std = encoder_normalization("tu-tf_efficientnet_lite0", "package")
    for value in (0, 100, 255):
        assert (value / 255 - mean[0]) / std[0] == pytest.approx((value - 127) / 128, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "encoder"), [("fpn", "tu-tf_efficientnet_lite0"), ("segnext", "tu-tf_efficientnet_lite0")]
)
def test_a_network_says_so_and_keeps_it(tmp_path, name, encoder):
    network = create_model(name, encoder, num_classes=3, encoder_weights="package")
    assert network.normalization == LITE
    network.save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).normalization == LITE
    if name == "fpn":
        assert smp.from_pretrained(tmp_path).config["encoder_name"] == encoder  # smp still reads it


def test_figures_of_ones_own():
    own = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    network = create_model("fpn", "tu-lcnet_035", num_classes=3, normalization=own)
    assert network.normalization.std == own[1]
    assert create_model("fpn", "tu-lcnet_035", num_classes=3).normalization == IMAGENET


def test_a_network_that_smp_saved(tmp_path):
    smp.FPN("tu-tf_efficientnet_lite0", encoder_weights=None, classes=3).save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).normalization == IMAGENET
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"encoder_weights": null', '"encoder_weights": "imagenet"'))
    assert from_pretrained(tmp_path).normalization == INCEPTION
    file.write_text(file.read_text().replace('"encoder_name"', '"_normalization": [[1, 2]], "encoder_name"'))
    with pytest.raises(ValueError, match=r"config\.json: _normalization is \[mean, std\]"):
        from_pretrained(tmp_path)

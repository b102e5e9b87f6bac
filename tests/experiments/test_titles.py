"""What networks and encoders are called in a sentence."""

from __future__ import annotations

import json

import pytest

from aucseg.experiments import encoder_title, network_title
from aucseg.models import list_models
from tests.repository import ROOT


@pytest.mark.parametrize(
    ("name", "encoder", "title"),
    [
        ("unet", "tu-mobilenetv4_conv_small_035", "U-Net on MobileNetV4 (small, 0.35)"),
        ("deeplabv3plus", "resnet101", "DeepLabV3+ on ResNet-101"),
        ("segnext", "mscan_xt", "SegNeXt on MSCAN-XT"),
        ("segformer", "mit_b0", "SegFormer on MiT-B0"),
        ("ocrnet", "tu-hrnet_w18_small", "OCRNet on HRNet-W18-Small"),
        ("bisenetv2", None, "BiSeNetV2"),
    ],
)
def test_the_names_in_print(name: str, encoder: str | None, title: str) -> None:
    assert network_title(name, encoder) == title


def test_what_is_not_known_keeps_its_name() -> None:
    assert network_title("mine", "tu-resnet18") == "mine on tu-resnet18"
    assert encoder_title("resnet18x") == "resnet18x"


def test_every_network_and_every_recorded_encoder_has_one() -> None:
    assert [name for name in list_models() if network_title(name) == name] == []
    files = (ROOT / "data" / "records" / "laptop").glob("*.json")
    models = [json.loads(file.read_text(encoding="utf-8"))["config"]["model"] for file in files]
    encoders = {model["encoder"] for model in models}
    assert encoders
    assert [name for name in encoders if encoder_title(name) == name] == []

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from aucseg.models import create_model
from aucseg.models.encoders.stdc import STDC_ENCODERS, DenseConcatenation, STDCEncoder
from tests.models.formulas import convolved, shaken

NAMES = sorted(STDC_ENCODERS)


def _images(batch=1, height=64, width=96, channels=3):
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_module_is_four_convolutions_side_by_side(stride):
    torch.manual_seed(0)
    module = shaken(DenseConcatenation(6, 16, stride))
    x = _images(2, 9, 12, channels=6)
    first = convolved(x, module.first).relu()
    second, own = first, first
    if stride == 2:
        second = convolved(first, module.halve, stride=2)
        padded = F.pad(first, (1, 1, 1, 1))
        own = torch.stack([padded[..., i : i + 9 : 2, j : j + 11 : 2] for i in range(3) for j in range(3)])
        own = own.mean(0)  # the border counts as zeros, as in the released code
    second = convolved(second, module.rest[0]).relu()
    third = convolved(second, module.rest[1]).relu()
    fourth = convolved(third, module.rest[2]).relu()
    assert [part.shape[1] for part in (own, second, third, fourth)] == [8, 4, 2, 2]
    expected = torch.cat([own, second, third, fourth], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "millions", "multiply_adds"), [("stdc1", 8.44, 813), ("stdc2", 12.47, 1446)]
)
def test_sizes_are_those_of_the_paper(name, millions, multiply_adds):
    """Its table of ImageNet results, which counts the classifier: 1x1 and two linear layers of 1024, 1000."""
    with torch.device("meta"):
        encoder = smp.encoders.get_encoder(name).eval()
        with FlopCounterMode(display=False) as counter:
            encoder(torch.empty(1, 3, 224, 224))
    classifier = 2 * (1024 * 1024 + 2 * 1024) + 1024 * 1000
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    assert (parameters + classifier) / 1e6 == pytest.approx(millions, abs=0.006)
    total = counter.get_total_flops() / 2 + 49 * 1024 * 1024 + 1024 * 1024 + 1024 * 1000
    assert total / 1e6 == pytest.approx(multiply_adds, rel=0.01)  # the paper's counts batch norm too


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 96), (65, 33)])
def test_features_are_what_smp_expects(name, size):
    encoder = smp.encoders.get_encoder(name).eval()
    with torch.no_grad():
        features = encoder(_images(1, *size))
    assert [feature.shape[1] for feature in features] == list(encoder.out_channels)
    for i, feature in enumerate(features):
        assert feature.shape[-2:] == tuple(-(-side // 2**i) for side in size)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_depth_leaves_out_the_stages_behind_it(depth):
    encoder = smp.encoders.get_encoder("stdc1_025", depth=depth)
    features = encoder(_images(2))
    assert len(features) == depth + 1 == len(encoder.out_channels)
    assert encoder.output_stride == 2**depth
    features[-1].sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("depth", [0, 6])
def test_another_depth_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth 1 to 5, got {depth}"):
        smp.encoders.get_encoder("stdc1", depth=depth)


@pytest.mark.parametrize(("output_stride", "strides"), [(16, [1, 2, 4, 8, 16, 16]), (8, [1, 2, 4, 8, 8, 8])])
def test_dilated(output_stride, strides):
    torch.manual_seed(0)
    plain = smp.encoders.get_encoder("stdc1_025").eval()
    encoder = smp.encoders.get_encoder("stdc1_025", output_stride=output_stride).eval()
    encoder.load_state_dict(plain.state_dict())
    images = _images()
    with torch.no_grad():
        features, before = encoder(images), plain(images)
    assert [64 // feature.shape[-2] for feature in features] == strides
    assert [96 // feature.shape[-1] for feature in features] == strides
    for i, stride in enumerate(strides):
        # up to the stride nothing changes; behind it features of the same meaning are denser
        assert torch.equal(features[i], before[i]) is (stride == 2**i)
    # what the dilated stage passes on from its first convolution by pooling is the plain one's, only denser
    first = strides.index(output_stride) + 1
    half = encoder.stages[first - 1][0].first[0].out_channels
    with torch.no_grad():
        dense = encoder.stages[first - 1][0](before[first - 1])[:, :half]
        coarse = plain.stages[first - 1][0](before[first - 1])[:, :half]
    torch.testing.assert_close(dense[..., ::2, ::2], coarse)


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_other_channels(channels):
    encoder = smp.encoders.get_encoder("stdc1_025", in_channels=channels).eval()
    assert encoder.out_channels[0] == channels
    with torch.no_grad():
        assert encoder(_images(channels=channels))[-1].shape == (1, 256, 2, 3)


@pytest.mark.parametrize("network", ["unet", "fpn", "deeplabv3plus", "segformer", "pspnet", "manet"])
def test_under_the_networks_of_smp(network):
    model = create_model(network, "stdc1_025", num_classes=5)
    assert isinstance(model.encoder, STDCEncoder)
    logits = model(_images(2))
    assert logits.shape == (2, 5, 64, 96)
    logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.encoder.parameters())


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    source = smp.encoders.get_encoder("stdc1_025")
    save_file(source.state_dict(), tmp_path / "stdc.safetensors")
    model = create_model("unet", "stdc1_025", num_classes=5, encoder_weights=tmp_path / "stdc.safetensors")
    for key, value in model.encoder.state_dict().items():
        assert torch.equal(value, source.state_dict()[key])


def test_there_are_no_published_weights():
    with pytest.raises(ValueError, match="imagenet"):
        create_model("unet", "stdc1", num_classes=5, encoder_weights="imagenet")

"""MSCAN: as an encoder of smp, and its arithmetic against plain loops."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from aucseg.models import create_model, load_encoder_weights
from aucseg.models.encoders.mscan import MSCAN_ENCODERS, MSCANBlock, MultiScaleGate

NAMES = sorted(MSCAN_ENCODERS)
# DPT takes the vision transformers of timm only.
DECODERS = sorted(set(smp.MODEL_ARCHITECTURES_MAPPING) - {"dpt"})


def _encoder(name: str = "mscan_xt", **options) -> nn.Module:
    torch.manual_seed(0)
    return smp.encoders.get_encoder(name, **options).eval()


@cache
def _shape_of(name: str) -> nn.Module:
    """An encoder without its numbers."""
    with torch.device("meta"):
        return smp.encoders.get_encoder(name)


def _images(height: int = 64, width: int = 96, channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_features_have_the_channels_and_strides_that_they_say(name):
    encoder = _shape_of(name)
    features = encoder(torch.empty(1, 3, 64, 96, device="meta"))
    assert [f.shape[1] for f in features] == encoder.out_channels
    assert [tuple(f.shape[2:]) for f in features] == [(64 // s, 96 // s) for s in (1, 2, 4, 8, 16, 32)]


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_shallower_encoder_gives_the_first_features(depth):
    torch.manual_seed(0)
    shallow, whole, images = _encoder(depth=depth), _encoder(), _images()
    features = shallow(images)
    assert len(features) == depth + 1 == len(shallow.out_channels)
    assert all(torch.equal(a, b) for a, b in zip(features, whole(images), strict=False))


@pytest.mark.parametrize("depth", [0, 6])
def test_no_other_depth(depth):
    with pytest.raises(ValueError, match=f"1 to 5, got {depth}"):
        _encoder(depth=depth)


@pytest.mark.parametrize("decoder", DECODERS)
def test_learns_under_every_decoder_of_smp(decoder):
    torch.manual_seed(0)
    network = create_model(decoder, "mscan_xt", num_classes=3).train()
    # PAN halves its deepest feature three times more
    height, width = (128, 128) if decoder == "pan" else (64, 96)
    logits = network(_images(height, width))
    assert logits.shape == (2, 3, height, width)
    logits.square().mean().backward()
    # PSPNet looks at no more than 1/8, as it does with any encoder
    deepest = {"pspnet": 2}.get(decoder, 4)
    for stage in range(1, deepest + 1):
        convolution = network.encoder.get_submodule(f"patch_embed{stage}.proj")
        weight = next(convolution.parameters())
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


def test_other_channels_of_images():
    encoder = _encoder(in_channels=5)
    assert encoder.out_channels[0] == 5
    assert encoder(_images(channels=5))[-1].shape == (2, 128, 2, 3)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_dilated_stage_contains_the_stage_that_it_was(output_stride):
    """At the pixels where a stage used to be, its dilated twin gives the same: "a trous", with holes."""
    images = _images(128, 192)
    plain, dilated = _encoder()(images), _encoder(output_stride=output_stride)(images)
    for stride, a, b in zip((1, 2, 4, 8, 16, 32), plain, dilated, strict=True):
        step = max(1, stride // output_stride)
        assert b.shape[-2:] == (128 * step // stride, 192 * step // stride)
        torch.testing.assert_close(b[..., ::step, ::step], a, rtol=1e-4, atol=1e-4)


def test_no_other_output_stride():
    with pytest.raises(ValueError, match="16 or 8, got 4"):
        _encoder(output_stride=4)


def test_no_weights_by_name():
    with pytest.raises(ValueError, match="imagenet"):
        create_model("segnext", encoder_weights="imagenet", num_classes=3)


def test_released_checkpoints_fit(tmp_path):
    """Keys and shapes of MSCAN-T's released ImageNet weights, of which some are spelt out here."""
    encoder = _encoder("mscan_t")
    state = {
        key: torch.randn_like(value) if value.is_floating_point() else value
        for key, value in encoder.state_dict().items()
    }
    spelt = {
        "patch_embed1.proj.0.weight": (16, 3, 3, 3),
        "patch_embed1.proj.1.running_mean": (16,),
        "patch_embed1.proj.3.weight": (32, 16, 3, 3),
        "patch_embed1.proj.4.weight": (32,),
        "patch_embed4.proj.weight": (256, 160, 3, 3),
        "patch_embed4.norm.running_var": (256,),
        "block1.2.norm1.weight": (32,),
        "block1.0.attn.proj_1.bias": (32,),
        "block1.0.attn.spatial_gating_unit.conv0.weight": (32, 1, 5, 5),
        "block1.0.attn.spatial_gating_unit.conv0_1.weight": (32, 1, 1, 7),
        "block1.0.attn.spatial_gating_unit.conv0_2.weight": (32, 1, 7, 1),
        "block3.4.attn.spatial_gating_unit.conv1_1.weight": (160, 1, 1, 11),
        "block3.4.attn.spatial_gating_unit.conv2_2.weight": (160, 1, 21, 1),
        "block2.0.attn.spatial_gating_unit.conv3.weight": (64, 64, 1, 1),
        "block2.0.attn.proj_2.weight": (64, 64, 1, 1),
        "block2.0.layer_scale_2": (64,),
        "block2.0.norm2.num_batches_tracked": (),
        "block4.1.mlp.fc1.weight": (1024, 256, 1, 1),
        "block4.1.mlp.dwconv.dwconv.weight": (1024, 1, 3, 3),
        "block4.1.mlp.fc2.bias": (256,),
        "norm4.weight": (256,),
    }
    assert {key: tuple(state[key].shape) for key in spelt} == spelt
    # the classifier that it was trained with comes along and is left out
    torch.save(
        {**state, "head.weight": torch.ones(1000, 256), "head.bias": torch.ones(1000)}, tmp_path / "t.pth"
    )
    load_encoder_weights(encoder, tmp_path / "t.pth")
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())


def test_keys_of_another_size_are_refused():
    with pytest.raises(RuntimeError, match=r"block1\.2\.norm1\.weight"):
        _encoder("mscan_s").load_state_dict(_encoder("mscan_t").state_dict())


@pytest.mark.parametrize(("name", "last"), [("mscan_t", 0.1), ("mscan_l", 0.3)])
def test_branches_are_skipped_more_often_the_deeper_they_are(name, last):
    found = [module.drop_path.p for module in _shape_of(name).modules() if isinstance(module, MSCANBlock)]
    assert found == pytest.approx(np.linspace(0, last, len(found)))


def _correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlation of (C,H,W) with one kernel for each channel, zero outside."""
    height, width = kernel.shape[-2:]
    padded = np.pad(image, ((0, 0), (height // 2,) * 2, (width // 2,) * 2))
    out = np.zeros_like(image)
    for i in range(height):
        for j in range(width):
            out += kernel[:, i, j, None, None] * padded[:, i : i + image.shape[1], j : j + image.shape[2]]
    return out


def test_gate_is_its_formula():
    """Eqs. 1 and 2 in NumPy: scales of 5, 7x7, 11x11 and 21x21, the last three as strips."""
    torch.manual_seed(2)
    gate = MultiScaleGate(3).double()
    image = torch.randn(3, 9, 12, dtype=torch.double)
    parameters = {name: p.detach().numpy() for name, p in gate.named_parameters()}

    def apply(name: str, x: np.ndarray) -> np.ndarray:
        return _correlate(x, parameters[f"{name}.weight"][:, 0]) + parameters[f"{name}.bias"][:, None, None]

    local = apply("conv0", image.numpy())
    scales = [local] + [apply(f"conv{i}_2", apply(f"conv{i}_1", local)) for i in range(3)]
    mixed = np.einsum("oc,chw->ohw", parameters["conv3.weight"][..., 0, 0], sum(scales))
    expected = (mixed + parameters["conv3.bias"][:, None, None]) * image.numpy()
    np.testing.assert_allclose(gate(image[None])[0].detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_a_block_with_its_scales_at_zero_is_the_identity():
    block, image = MSCANBlock(4, 2, 0.5), torch.randn(2, 4, 5, 6)
    other = copy.deepcopy(block)
    nn.init.zeros_(block.layer_scale_1)
    nn.init.zeros_(block.layer_scale_2)
    assert torch.equal(block(image), image)
    assert not torch.equal(other(image), image)


def test_a_block_is_its_formula():
    torch.manual_seed(3)
    block, image = MSCANBlock(4, 2, 0.5).eval(), torch.randn(2, 4, 5, 6)
    nn.init.normal_(block.layer_scale_1)
    nn.init.normal_(block.layer_scale_2)
    y = block.norm1(image)
    attention = y + block.attn.proj_2(
        block.attn.spatial_gating_unit(nn.functional.gelu(block.attn.proj_1(y)))
    )
    x = image + attention * block.layer_scale_1.view(1, 4, 1, 1)
    mlp, hidden = block.mlp, block.mlp.fc1(block.norm2(x))
    hidden = nn.functional.gelu(mlp.dwconv["dwconv"](hidden))
    expected = x + mlp.fc2(hidden) * block.layer_scale_2.view(1, 4, 1, 1)
    torch.testing.assert_close(block(image), expected)

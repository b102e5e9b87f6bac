from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import boundary_loss, ohem_cross_entropy
from aucseg.models import create_model
from aucseg.models.networks.stdc import AttentionRefinement, ContextPath, FeatureFusion
from tests.models.formulas import convolved, shaken


def _features(sizes, channels, batch=2):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, c, *size, generator=generator) for c, size in zip(channels, sizes, strict=True)
    ]


def _enlarged(x, size):
    """Nearest neighbour by looking each pixel up."""
    rows = torch.arange(size[0]) * x.shape[-2] // size[0]
    columns = torch.arange(size[1]) * x.shape[-1] // size[1]
    return x[..., rows, :][..., columns]


def _refined(x, module):
    mixed = convolved(x, module.mix).relu()
    return mixed * convolved(mixed.mean((2, 3), keepdim=True), module.gate[1]).sigmoid()


@torch.no_grad()
def test_attention_refinement_is_the_formula():
    module = shaken(AttentionRefinement(6, 4))
    (x,) = _features([(5, 7)], [6])
    torch.testing.assert_close(module(x), _refined(x, module), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [((8, 12), (4, 6), (2, 3)), ((9, 11), (5, 6), (3, 3))])
def test_context_path_is_the_formula(sizes):
    module = shaken(ContextPath([3, 5, 6, 7, 8, 9], 4))
    features = _features(sizes, [7, 8, 9])
    eighth, sixteenth, deepest = features
    context = convolved(deepest.mean((2, 3), keepdim=True), module.pool[1]).relu()
    coarse = _enlarged(_refined(deepest, module.refine[0]) + context, sixteenth.shape[-2:])
    coarse = convolved(coarse, module.smooth[0]).relu()
    fine = _enlarged(_refined(sixteenth, module.refine[1]) + coarse, eighth.shape[-2:])
    fine = convolved(fine, module.smooth[1]).relu()
    found = module(features)
    torch.testing.assert_close(found[0], fine, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], coarse, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_feature_fusion_is_the_formula():
    module = shaken(FeatureFusion(7, 8))
    features, context = _features([(5, 6), (5, 6)], [4, 3])
    mixed = convolved(torch.cat([features, context], 1), module.mix).relu()
    assert module.gate.fc1.out_channels == 2
    weight = mixed.mean((2, 3))
    for layer, activation in ((module.gate.fc1, torch.relu), (module.gate.fc2, torch.sigmoid)):
        weight = activation(weight @ layer.weight[:, :, 0, 0].T + layer.bias)
    expected = mixed * (1 + weight[:, :, None, None])
    torch.testing.assert_close(module(features, context), expected, rtol=1e-4, atol=1e-5)


def test_auxiliary_terms_are_hard_pixels_and_edges():
    torch.manual_seed(0)
    network = create_model("stdc", "stdc1_025", num_classes=4, decoder_channels=16).train()
    target = torch.randint(0, 4, (2, 8, 12)).repeat_interleave(16, 1).repeat_interleave(16, 2)
    target[:, :, :5] = 255
    output = network(torch.randn(2, 3, 128, 192)).auxiliary
    assert {name: tuple(logits.shape) for name, logits in output.items()} == {
        "context_8": (2, 4, 16, 24),
        "context_16": (2, 4, 8, 12),
        "detail": (2, 1, 16, 24),
    }
    losses = network.auxiliary_losses(output, target)
    full = {
        name: F.interpolate(logits, (128, 192), mode="bilinear", align_corners=False)
        for name, logits in output.items()
    }
    for name in ("context_8", "context_16"):
        torch.testing.assert_close(losses[name], ohem_cross_entropy(full[name], target))
        assert losses[name] > F.cross_entropy(
            full[name], target, ignore_index=255
        )  # easy pixels are left out
    torch.testing.assert_close(losses["detail"], boundary_loss(full["detail"], target))


def test_the_detail_head_teaches_the_encoder_alone():
    """It looks at the features at 1/8: what lies deeper, and the decoder, get no gradient from it."""
    network = create_model("stdc", "stdc1_025", num_classes=4, decoder_channels=16).train()
    output = network(torch.randn(2, 3, 64, 64))
    target = torch.randint(0, 4, (2, 64, 64))
    network.auxiliary_losses(output.auxiliary, target)["detail"].backward()
    reached = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    parts = {name.split(".")[0] + "." + name.split(".")[2] for name in reached if name.startswith("encoder")}
    assert parts == {"encoder.0", "encoder.1", "encoder.2"}
    assert all(name.startswith(("encoder", "auxiliary_heads.detail")) for name in reached)


@pytest.mark.parametrize("encoder", ["resnet18", "tu-mobilenetv3_small_050"])
def test_on_other_encoders_and_any_size(encoder):
    network = create_model("stdc", encoder, num_classes=3, decoder_channels=16).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 75, 101)).shape == (1, 3, 75, 101)


@pytest.mark.parametrize("channels", [0, 2, 30])
def test_channels_that_do_not_divide_are_named(channels):
    with pytest.raises(ValueError, match=f"multiple of 4, got {channels}"):
        create_model("stdc", "stdc1_025", num_classes=3, decoder_channels=channels)

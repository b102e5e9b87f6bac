from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from aucseg.losses import cross_entropy
from aucseg.models import create_model
from aucseg.models.networks.bisenetv2 import (
    BiSeNetV2,
    ContextEmbedding,
    GatherExpand,
    GuidedAggregation,
    StemBlock,
    TwoBranches,
)
from tests.models.formulas import convolved, normed, shaken


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_stem_has_two_ways_down():
    module = shaken(StemBlock(3, 6))
    x = _random(2, 3, 17, 22)
    first = convolved(x, module.first, 2).relu()
    left = convolved(convolved(first, module.convolve[0]).relu(), module.convolve[1], 2).relu()
    padded = F.pad(first, (1, 1, 1, 1), value=-torch.inf)
    # windows of three by three, two apart
    right = padded.unfold(2, 3, 2).unfold(3, 3, 2).amax((-2, -1))
    expected = convolved(torch.cat([left, right], 1), module.mix).relu()
    assert expected.shape == (2, 6, 5, 6)
    _close(module(x), expected)


@torch.no_grad()
@pytest.mark.parametrize(("stride", "channels"), [(1, 4), (2, 5)])
def test_gather_and_expansion_is_the_formula(stride, channels):
    module = shaken(GatherExpand(4, channels, stride))
    x = _random(2, 4, 9, 10)
    body = convolved(x, module.body[0]).relu()
    if stride == 1:
        body, short = convolved(body, module.body[1]).relu(), x
    else:
        body = convolved(convolved(body, module.body[1], 2), module.body[2]).relu()
        short = convolved(convolved(x, module.shortcut[0], 2), module.shortcut[1])
    assert body.shape[1] == 6 * 4
    _close(module(x), (convolved(body, module.body[-1]) + short).relu())


@torch.no_grad()
def test_context_embedding_adds_the_mean():
    module = shaken(ContextEmbedding(4))
    x = _random(2, 4, 3, 5)
    mean = normed(x.mean((2, 3), keepdim=True), module.mean[1])
    _close(module(x), convolved(x + convolved(mean, module.mean[2]).relu(), module.mix).relu())


@torch.no_grad()
@pytest.mark.parametrize(("fine", "coarse"), [((8, 12), (2, 3)), ((9, 11), (3, 3))])
def test_each_branch_gates_the_other(fine, coarse):
    module = shaken(GuidedAggregation(4))
    detail, semantic = _random(2, 4, *fine), _random(2, 4, *coarse, seed=1)

    def keep(x, layers):
        return torch.einsum("bchw,dc->bdhw", convolved(x, layers[0]), layers[1].weight[:, :, 0, 0])

    def enlarge(x):
        return F.interpolate(x, fine, mode="bilinear", align_corners=False)

    gate = enlarge(convolved(semantic, module.semantic_up)).sigmoid()
    down = F.avg_pool2d(convolved(detail, module.detail_down[0], 2), 3, stride=2, padding=1)
    coarse_part = down * keep(semantic, module.semantic_keep).sigmoid()
    expected = keep(detail, module.detail_keep) * gate + enlarge(coarse_part)
    _close(module([detail * 0, detail, semantic * 0, semantic]), convolved(expected, module.mix).relu())


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (127, 65)])
def test_strides_and_channels_are_those_of_table_1(size):
    branches = TwoBranches().eval()
    with torch.no_grad():
        features = branches(torch.zeros(1, 3, *size))
    assert branches.out_channels == [3, 128, 16, 32, 64, 128, 128]
    assert [feature.shape[1] for feature in features] == branches.out_channels
    for feature, stride in zip(features, (1, 8, 4, 8, 16, 32, 32), strict=True):
        assert feature.shape[-2:] == tuple(-(-side // stride) for side in size)


def test_boosters_look_at_the_semantic_stages():
    torch.manual_seed(0)
    network = create_model("bisenetv2", num_classes=4, width=0.25).train()
    output = network(_random(2, 3, 64, 96))
    target = torch.randint(0, 4, (2, 64, 96))
    target[:, :9] = 255
    strides = {"booster_16": 4, "booster_64": 8, "booster_256": 16, "booster_1024": 32}
    losses = network.auxiliary_losses(output.auxiliary, target)
    assert set(losses) == set(strides)
    for name, stride in strides.items():
        logits = output.auxiliary[name]
        assert logits.shape == (2, 4, 64 // stride, 96 // stride)
        full = F.interpolate(logits, (64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(losses[name], cross_entropy(full, target))
    # a booster teaches the semantic branch up to its stage, and neither detail nor context
    losses["booster_64"].backward()
    reached = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    prefixes = ("encoder.semantic.0", "encoder.semantic.1", "auxiliary_heads.booster_64")
    assert reached
    assert all(name.startswith(prefixes) for name in reached)


@pytest.mark.parametrize("width", [0.01, 1 / 3, 0.5])
def test_any_width(width):
    network = create_model("bisenetv2", num_classes=3, width=width).eval()
    assert network.encoder.out_channels[1] == max(1, round(128 * width))
    assert network.segmentation_head[0][0].out_channels == max(1, round(1024 * width))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 50, 40)).shape == (1, 3, 50, 40)


@pytest.mark.parametrize("width", [0, -1.0, float("inf"), float("nan")])
def test_a_width_is_positive(width):
    with pytest.raises(ValueError, match=f"positive factor of the channels, got {width}"):
        create_model("bisenetv2", num_classes=3, width=width)


def test_takes_no_encoder_and_no_published_weights():
    with pytest.raises(ValueError, match="one whole and takes no encoder, got 'resnet18'"):
        create_model("bisenetv2", "resnet18", num_classes=3)
    with pytest.raises(ValueError, match="no published weights of the name 'imagenet'"):
        create_model("bisenetv2", num_classes=3, encoder_weights="imagenet")


def test_both_branches_can_be_loaded_from_a_file(tmp_path):
    torch.manual_seed(0)
    source = BiSeNetV2(width=0.25)
    save_file(source.encoder.state_dict(), tmp_path / "branches.safetensors")
    path = tmp_path / "branches.safetensors"
    network = create_model("bisenetv2", num_classes=3, width=0.25, encoder_weights=path)
    for key, value in source.encoder.state_dict().items():
        assert torch.equal(network.encoder.state_dict()[key], value)


def test_images_of_other_channels():
    network = create_model("bisenetv2", num_classes=3, width=0.25, in_channels=4).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 4, 64, 64)).shape == (1, 3, 64, 64)

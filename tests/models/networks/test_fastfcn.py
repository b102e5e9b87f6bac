from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aucseg.models.networks.fastfcn import FastFCN, JointPyramidUpsampling

CHANNELS = [3, 4, 5, 6, 7]
DILATIONS = (1, 2, 4, 8)


def upsampling(channels: int = 2) -> JointPyramidUpsampling:
    torch.manual_seed(0)
    return JointPyramidUpsampling(CHANNELS, channels).eval()


@pytest.mark.parametrize(("height", "width"), [(16, 24), (9, 17), (5, 5), (4, 13)])
def test_result_has_the_size_of_the_shallowest_of_three(height, width):
    sizes = [(height, width), (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))]
    features = [torch.randn(2, c, *size) for c, size in zip(CHANNELS[-3:], sizes, strict=True)]
    module = upsampling()
    found = module([torch.randn(2, 3, 99, 99), *features])
    assert found.shape == (2, module.out_channels, height, width)
    assert module.out_channels == 4 * 2


def test_stages_come_from_shallow_to_deep():
    module = upsampling()
    module.narrow = nn.ModuleList(nn.Identity() for _ in range(3))
    module.dilated = nn.ModuleList([nn.Identity()])
    shallow, middle = torch.full((1, 2, 8, 8), 3.0), torch.full((1, 2, 4, 4), 4.0)
    deep = torch.arange(4.0).view(1, 1, 2, 2).expand(1, 2, 2, 2)
    found = module([shallow, middle, deep])
    assert torch.equal(found[:, :2], shallow)
    assert torch.equal(found[:, 2:4], torch.full((1, 2, 8, 8), 4.0))
    # corners not aligned: by hand, the centre of the first of 8 pixels lies outside the first of 2 centres
    row = torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
    torch.testing.assert_close(found[0, 4], row + 2 * row[:, None])


def test_dilations_come_in_order():
    """A single bright pixel spreads to its neighbours at distance 1 first, then 2, 4 and 8."""
    module = upsampling()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
    module.narrow = nn.ModuleList(nn.Identity() for _ in range(3))
    features = [torch.zeros(1, 2, 21, 21) for _ in range(3)]
    features[0][0, :, 10, 10] = 1
    found = module(features)
    for i, dilation in enumerate(DILATIONS):
        places = {10 - dilation, 10, 10 + dilation}
        rows, columns = found[0, 2 * i].nonzero(as_tuple=True)
        assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
            (y, x) for y in places for x in places
        }


def test_separable_convolutions_are_dense_ones_of_rank_one():
    """Depthwise and then 1x1 is the dense kernel of their products; batch norm scales by its statistics."""
    module = upsampling().double()
    module.narrow = nn.ModuleList(nn.Identity() for _ in range(3))
    features = [torch.randn(1, 2, 9, 9, dtype=torch.float64) for _ in range(3)]
    pyramid, wanted = torch.cat(features, dim=1), []
    for (depthwise, norm, *_), (pointwise, last, _) in module.dilated:
        norm.running_var.uniform_(0.5, 2)
        last.running_mean.normal_()
        depth = depthwise.weight[:, 0] / (norm.running_var + norm.eps).sqrt()[:, None, None]
        kernel = torch.einsum("oi,ihw->oihw", pointwise.weight[:, :, 0, 0], depth)
        dilation = DILATIONS[len(wanted)]
        dense = F.conv2d(pyramid, kernel, padding=dilation, dilation=dilation)
        scale = (last.running_var + last.eps).sqrt()[:, None, None]
        wanted.append(((dense - last.running_mean[:, None, None]) / scale).relu())
    torch.testing.assert_close(module(features), torch.cat(wanted, dim=1))


def test_encoder_is_not_dilated_and_logits_are_at_an_eighth():
    network = FastFCN("resnet18", decoder_channels=16, classes=3).eval()
    images = torch.zeros(1, 3, 64, 96)
    features = network.encoder(images)
    assert [tuple(stage.shape[-2:]) for stage in features[-3:]] == [(8, 12), (4, 6), (2, 3)]
    assert all(
        layer.dilation == (1, 1) for layer in network.encoder.modules() if isinstance(layer, nn.Conv2d)
    )
    assert network.decode(features, images)[0].shape == (1, 3, 8, 12)


def test_pyramid_pooling_sees_the_whole_image_in_four_ways():
    network = FastFCN("resnet18", decoder_channels=16, classes=3)
    pooling = network.decoder[1]
    assert [block.pool_size for block in pooling.blocks] == [1, 2, 3, 6]
    features = torch.randn(1, 64, 12, 18)
    pooled = pooling.eval()(features)
    assert pooled.shape == (1, 128, 12, 18)
    assert torch.equal(pooled[:, 64:], features)
    single = pooled[:, :16]  # of the one bin: the same everywhere
    torch.testing.assert_close(single, single[..., :1, :1].expand_as(single))

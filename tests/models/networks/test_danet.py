"""DANet's attentions against the matrices they stand for, and which classifiers act when."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aucseg.losses import cross_entropy
from aucseg.models import create_model
from aucseg.models.networks.danet import ChannelAttention, DANet, PositionAttention
from tests.models.networks.largest import LargestTensor


def _network(**options: object) -> DANet:
    torch.manual_seed(0)
    network = create_model("danet", "resnet18", num_classes=4, decoder_channels=16, **options)
    assert isinstance(network, DANet)
    return network


def _opened(network: DANet) -> DANet:
    """With both attentions at work, which at first are not."""
    for module in network.modules():
        if isinstance(module, PositionAttention | ChannelAttention):
            torch.nn.init.constant_(module.gamma, 0.7)
    return network


def _position_pixel_by_pixel(block: PositionAttention, x: Tensor) -> Tensor:
    """The formula with a loop over images and pixels."""
    out = x.clone()
    for image in range(len(x)):
        pixels = x[image].flatten(1).T  # (N,C)
        query, key, value = (
            pixels @ project.weight[:, :, 0, 0].T + project.bias
            for project in (block.query, block.key, block.value)
        )
        for i in range(len(pixels)):
            weights = torch.exp(key @ query[i] - (key @ query[i]).max())
            gathered = (weights / weights.sum()) @ value
            out[image].flatten(1)[:, i] += block.gamma * gathered
    return out


@settings(deadline=None, max_examples=8)
@given(height=st.integers(1, 5), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_position_attention_is_its_formula(height: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    block = PositionAttention(16).double()
    torch.nn.init.normal_(block.gamma)
    x = torch.randn(2, 16, height, width, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(block(x), _position_pixel_by_pixel(block, x))


def test_position_attention_has_the_gradient_of_its_formula() -> None:
    torch.manual_seed(0)
    block = PositionAttention(8).double()
    torch.nn.init.constant_(block.gamma, 0.5)
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


def test_position_attention_makes_no_matrix_of_all_pairs() -> None:
    block, pixels = PositionAttention(16), 32 * 32
    x = torch.randn(1, 16, 32, 32, requires_grad=True)
    with LargestTensor() as largest:
        block(x).sum().backward()
    assert 16 * pixels <= largest.numel < pixels**2 / 8


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 3, 4), (2, 1, 5)])
def test_channel_attention_is_its_formula(batch: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    block = ChannelAttention().double()
    torch.nn.init.constant_(block.gamma, 0.3)
    x = torch.randn(batch, 6, height, width, dtype=torch.float64, requires_grad=True)
    expected = x.detach().clone()
    for image in range(batch):
        flat = x[image].detach().flatten(1)
        for c in range(6):
            energies = [float((flat[c] * flat[d]).sum()) for d in range(6)]
            weights = torch.tensor([max(energies) - e for e in energies], dtype=torch.float64).exp()
            share = weights / weights.sum()
            expected[image, c] += 0.3 * sum(share[d] * x[image, d].detach() for d in range(6))
    torch.testing.assert_close(block(x).detach(), expected)
    assert torch.autograd.gradcheck(block, (x,))


def test_a_channel_attends_to_those_unlike_it() -> None:
    """Two equal channels and their negative: the first two read the third, and the third reads them."""
    block = ChannelAttention()
    torch.nn.init.ones_(block.gamma)
    channel = 5 * torch.ones(1, 1, 2, 2)
    x = torch.cat([channel, channel, -channel], dim=1)
    torch.testing.assert_close(block(x), x + torch.cat([-channel, -channel, channel], dim=1))


def test_energies_are_not_rounded_to_half_precision() -> None:
    """Sums over 4096 pixels are in the thousands, where bfloat16 has steps of 16."""
    block = ChannelAttention()
    torch.nn.init.ones_(block.gamma)
    x = torch.ones(1, 3, 64, 64, dtype=torch.bfloat16)
    x[0, 2, 0, 0] = 0.0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        got = block(x)[0, 0, 0, 0]
    # The first channel's energies are 4096, 4096 and 4095, so that it reads e/(2+e) of the third channel and
    # 2/(2+e) of the others, which alone are 1 at this pixel. Equal energies would give 1 + 2/3.
    assert float(got) == pytest.approx(1 + 2 / (2 + math.e), rel=0.01)


def test_both_attentions_start_as_the_identity() -> None:
    x = torch.randn(2, 16, 4, 5)
    for block in (PositionAttention(16), ChannelAttention()):
        assert torch.equal(block(x), x)


def test_main_logits_are_of_the_sum_and_each_branch_has_its_own() -> None:
    network = _opened(_network()).train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.p = 0.0
    position, channel = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8)
    network.decoder.forward = lambda features: (position, channel)
    features = network.encoder(torch.randn(2, 3, 64, 64))
    logits, auxiliary = network.decode(features, torch.empty(0))
    for got, head, looked_at in [
        (logits, network.segmentation_head, position + channel),
        (auxiliary["position"], network.auxiliary_heads["position"], position),
        (auxiliary["channel"], network.auxiliary_heads["channel"], channel),
    ]:
        weight, bias = head[1].weight[:, :, 0, 0], head[1].bias
        expected = torch.einsum("kc,bchw->bkhw", weight, looked_at) + bias[:, None, None]
        torch.testing.assert_close(got, expected)


def test_three_cross_entropies_of_weight_one() -> None:
    network = _network().train()
    target = torch.randint(0, 4, (2, 64, 64))
    output = network(torch.randn(2, 3, 64, 64))
    losses = network.auxiliary_losses(output.auxiliary, target)
    assert set(losses) == {"position", "channel", "fcn"}
    for name, weight in [("position", 1.0), ("channel", 1.0), ("fcn", 0.4)]:
        logits = output.auxiliary[name]
        assert isinstance(logits, Tensor)
        assert logits.shape == (2, 4, 8, 8)
        large = torch.nn.functional.interpolate(logits, size=(64, 64), mode="bilinear")
        torch.testing.assert_close(losses[name], weight * cross_entropy(large, target))


def test_evaluation_asks_no_classifier_but_that_of_the_sum() -> None:
    network = _network()
    asked = []
    for name, head in network.auxiliary_heads.items():
        head.register_forward_hook(lambda *_, name=name: asked.append(name))
    network.segmentation_head.register_forward_hook(lambda *_: asked.append("sum"))
    network.eval()(torch.randn(1, 3, 64, 64))
    assert asked == ["sum"]
    network.train()(torch.randn(2, 3, 64, 64))
    assert sorted(asked[1:]) == ["channel", "fcn", "position", "sum"]


def test_export_with_the_attentions_at_work() -> None:
    network = _opened(_network()).eval()
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (torch.randn(1, 3, 64, 96),), dynamic_shapes=(sides,))
        images = torch.randn(1, 3, 97, 40)
        torch.testing.assert_close(program.module()(images), network(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("channels", [4, 12, 0])
def test_channels_that_have_no_eighth_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of 8, got {channels}"):
        create_model("danet", "resnet18", num_classes=4, decoder_channels=channels)

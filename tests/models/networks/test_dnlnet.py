"""The disentangled non-local block against its formula, and how it starts."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aucseg.models import create_model
from aucseg.models.networks.dnlnet import DisentangledNonLocal, DNLNet
from tests.models.networks.largest import LargestTensor


def _block(channels: int = 6, temperature: float = 0.05, seed: int = 0) -> DisentangledNonLocal:
    """In double precision, with projections large enough to tell pixels apart and a batch norm that acts."""
    torch.manual_seed(seed)
    block = DisentangledNonLocal(channels, temperature).double()
    for projection in (block.query, block.key, block.value, block.unary):
        torch.nn.init.normal_(projection.weight, std=0.3)
    torch.nn.init.normal_(block.value.bias)
    torch.nn.init.normal_(block.out[1].weight)
    torch.nn.init.normal_(block.out[1].bias)
    torch.nn.init.normal_(block.out[1].running_mean)
    torch.nn.init.uniform_(block.out[1].running_var, 0.5, 2.0)
    return block.eval()


def _pixel_by_pixel(block: DisentangledNonLocal, x: Tensor, temperature: float) -> Tensor:
    """The formula with a loop over images and pixels."""
    norm, out = block.out[1], x.clone()
    for image in range(len(x)):
        pixels = x[image].flatten(1).T
        query, key, value, unary = (
            pixels @ project.weight[:, :, 0, 0].T + (0 if project.bias is None else project.bias)
            for project in (block.query, block.key, block.value, block.unary)
        )
        width = query.shape[1]
        query_mean, key_mean = sum(query) / len(pixels), sum(key) / len(pixels)
        salience = [math.exp(float(m)) for m in unary[:, 0]]
        for i in range(len(pixels)):
            scores = [
                float((query[i] - query_mean) @ (key_j - key_mean)) / (math.sqrt(width) * temperature)
                for key_j in key
            ]
            likeness = [math.exp(s - max(scores)) for s in scores]
            gathered = sum(
                (likeness[j] / sum(likeness) + salience[j] / sum(salience)) * value[j]
                for j in range(len(pixels))
            )
            mixed = block.out[0].weight[:, :, 0, 0] @ gathered
            added = (mixed - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
            out[image].flatten(1)[:, i] += added * norm.weight + norm.bias
    return out


@settings(deadline=None, max_examples=8)
@given(
    height=st.integers(1, 4),
    width=st.integers(1, 5),
    temperature=st.sampled_from([0.05, 1.0]),
    seed=st.integers(0, 99),
)
def test_block_is_its_formula(height: int, width: int, temperature: float, seed: int) -> None:
    block = _block(temperature=temperature, seed=seed)
    x = torch.randn(2, 6, height, width, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(block(x), _pixel_by_pixel(block, x, temperature))


def test_block_has_the_gradient_of_its_formula() -> None:
    x = torch.randn(1, 6, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_block(temperature=0.5), (x,))


def test_pairs_do_not_see_what_all_pixels_share() -> None:
    """Without its unary term, what is added to every query and key changes nothing: that is whitening."""
    block = _block()
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    torch.nn.init.zeros_(block.unary.weight)
    common = torch.randn(1, 6, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        # a bias on the value takes what the shift adds there away again
        shift = block.value.weight[:, :, 0, 0] @ common[0, :, 0, 0]
        before = block(x) - x
        block.value.bias -= shift
        after = block(x + common) - (x + common)
    torch.testing.assert_close(before, after)


def test_block_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    network = create_model("dnlnet", "resnet18", num_classes=4, decoder_channels=16)
    assert isinstance(network, DNLNet)
    x = torch.randn(2, 16, 4, 5)
    for mode in (True, False):
        assert torch.equal(network.decoder.block.train(mode)(x), x)


def test_every_parameter_moves_once_the_batch_norm_has() -> None:
    """At the start only the batch norm of the block learns; from its first step on so does the rest."""
    torch.manual_seed(0)
    block = DisentangledNonLocal(16)
    x, wanted = torch.randn(2, 16, 4, 5), torch.randn(2, 16, 4, 5)
    optimizer = torch.optim.SGD(block.parameters(), lr=1.0)
    for step in range(2):
        optimizer.zero_grad()
        (block(x) - wanted).square().mean().backward()
        moving = {name for name, p in block.named_parameters() if p.grad is not None and p.grad.any()}
        assert all(p.grad is not None for p in block.parameters())
        if step == 0:
            assert moving == {"out.1.weight", "out.1.bias"}
        optimizer.step()
    # a bias of the value is a constant over pixels, and the batch norm subtracts it up to rounding
    assert moving | {"value.bias"} == {name for name, _ in block.named_parameters()}


def test_the_temperature_does_not_pick_single_pixels_at_the_start() -> None:
    """With 1024 pixels of normalised features a query spreads over more than half of them."""
    torch.manual_seed(0)
    block = DisentangledNonLocal(512)
    pixels = torch.randn(1024, 512).relu()
    query, key = (pixels @ p.weight[:, :, 0, 0].detach().T for p in (block.query, block.key))
    scores = block.scale * (query - query.mean(0)) @ (key - key.mean(0)).T
    attention = scores.softmax(dim=1)
    entropy = -(attention * attention.log()).sum(dim=1).mean()
    assert math.exp(float(entropy)) > 512


def test_block_makes_no_matrix_of_all_pairs() -> None:
    block, pixels = DisentangledNonLocal(16), 32 * 32
    x = torch.randn(1, 16, 32, 32, requires_grad=True)
    with LargestTensor() as largest:
        block(x).sum().backward()
    assert 16 * pixels <= largest.numel < pixels**2 / 8


def test_decoder_reads_the_encoder_beside_the_context() -> None:
    torch.manual_seed(0)
    decoder = create_model("dnlnet", "resnet18", num_classes=4, decoder_channels=16).decoder.eval()
    deepest = torch.randn(1, 512, 4, 4)
    context = decoder.refine(decoder.reduce(deepest))  # the block starts as the identity
    expected = decoder.fuse(torch.cat([deepest, context], dim=1))
    torch.testing.assert_close(decoder([deepest]), expected)


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="2 or more, got 1"):
        create_model("dnlnet", "resnet18", num_classes=4, decoder_channels=1)
    with pytest.raises(ValueError, match="temperature must be positive"):
        DisentangledNonLocal(8, temperature=0.0)

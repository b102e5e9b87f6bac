from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.losses import presence_cross_entropy
from aucseg.models.networks.encnet import ContextEncoding, EncNet, Encoding


def plain(features, codewords, scale):
    """The encoding pixel by pixel and codeword by codeword, from the differences themselves."""
    channels, height, width = features.shape[1:]
    rows = []
    for image in features:
        total = [torch.zeros(channels, dtype=features.dtype) for _ in codewords]
        for y in range(height):
            for x in range(width):
                residuals = [image[:, y, x] - c for c in codewords]
                weights = torch.stack(
                    [torch.exp(s * (r * r).sum()) for s, r in zip(scale, residuals, strict=True)]
                )
                for k, residual in enumerate(residuals):
                    total[k] = total[k] + weights[k] / weights.sum() * residual
        rows.append(torch.stack(total))
    return torch.stack(rows)


def built(channels: int, codewords: int, seed: int = 0) -> Encoding:
    torch.manual_seed(seed)
    encoding = Encoding(channels, codewords).double()
    with torch.no_grad():
        encoding.codewords.normal_()  # as far from each other as the features are
    return encoding


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)),
    codewords=st.integers(1, 5),
)
def test_encoding_is_the_sum_of_weighted_differences(seed, shape, codewords):
    encoding = built(shape[1], codewords, seed)
    features = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(encoding(features), plain(features, encoding.codewords, encoding.scale))


def test_gradients_are_those_of_the_differences():
    encoding = built(3, 4)
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    inputs = (features, encoding.codewords, encoding.scale)
    assert torch.autograd.gradcheck(
        lambda x, c, s: torch.func.functional_call(encoding, {"codewords": c, "scale": s}, x), inputs
    )
    weights = torch.randn(2, 4, 3, dtype=torch.float64)
    found = torch.autograd.grad((encoding(features) * weights).sum(), inputs)
    wanted = torch.autograd.grad((plain(*inputs) * weights).sum(), inputs)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_no_tensor_of_differences_is_kept():
    encoding, sizes = Encoding(16, 8), []

    def keep(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoding(torch.randn(2, 16, 10, 10, requires_grad=True))
    assert sizes
    assert max(sizes) == 2 * 16 * 100  # the features; differences would be 8 times as many


def test_encoding_keeps_its_digits_under_autocast():
    torch.manual_seed(0)
    encoding, features = Encoding(8, 4), 3 * torch.rand(2, 8, 5, 5)
    expected = encoding(features)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoding(features), expected)
        rounded = features.bfloat16()  # what comes in may be narrow, the sums are not
        assert torch.equal(encoding(rounded), encoding(rounded.float()))


def test_initial_codewords_and_scales():
    torch.manual_seed(0)
    encoding = EncNet("resnet18", classes=3).decoder.encoding
    limit = (32 * 512) ** -0.5
    codewords, scale = encoding.codewords.detach(), encoding.scale.detach()
    assert codewords.shape == (32, 512)
    assert -limit <= codewords.min() < -0.9 * limit
    assert 0.9 * limit < codewords.max() <= limit
    assert -1 <= scale.min() < -0.5 < scale.max() <= 0


@pytest.mark.parametrize(("bias", "factor"), [(-100.0, 1.0), (0.0, 1.5), (100.0, 2.0)])
def test_the_gate_adds_a_share_of_each_channel(bias, factor):
    decoder = ContextEncoding(6, 8).eval()
    torch.nn.init.zeros_(decoder.gate.weight)
    torch.nn.init.constant_(decoder.gate.bias, bias)
    features = [torch.randn(2, 6, 5, 7)]
    refined, encoding = decoder(features)
    torch.testing.assert_close(refined, factor * decoder.narrow(features[0]))
    assert encoding.shape == (2, 8)
    assert (encoding >= 0).all()  # a mean of what ReLU lets through


def small() -> EncNet:
    torch.manual_seed(0)
    return EncNet("resnet18", decoder_channels=32, classes=3)


def test_presence_is_weighed_by_a_fifth():
    network = small().train()
    target = torch.randint(0, 3, (2, 32, 32))
    target[0] = 1
    output = network(torch.randn(2, 3, 32, 32))
    assert output.auxiliary["presence"].shape == (2, 3)
    losses = network.auxiliary_losses(output.auxiliary, target)
    expected = 0.2 * presence_cross_entropy(output.auxiliary["presence"], target)
    torch.testing.assert_close(losses["presence"], expected)


def test_presence_teaches_the_codewords_and_not_the_classifier():
    network = small().train()
    target = torch.randint(0, 3, (2, 32, 32))
    output = network(torch.randn(2, 3, 32, 32))
    network.auxiliary_losses(output.auxiliary, target)["presence"].backward()
    assert network.decoder.encoding.codewords.grad.any()
    assert network.decoder.encoding.scale.grad.any()
    assert network.decoder.gate.weight.grad is None
    assert all(parameter.grad is None for parameter in network.segmentation_head.parameters())


def test_runs_in_half_the_width():
    output = small().bfloat16().train()(torch.randn(2, 3, 32, 32, dtype=torch.bfloat16))
    for logits in (output.logits, *output.auxiliary.values()):
        assert logits.isfinite().all()
        assert logits.dtype == torch.bfloat16


@pytest.mark.parametrize(("stride", "size"), [(8, (8, 12)), (16, (4, 6))])
def test_output_stride_is_that_of_the_logits(stride, size):
    network = EncNet("resnet18", encoder_output_stride=stride, decoder_channels=16, classes=3).eval()
    images = torch.zeros(1, 3, 64, 96)
    logits, _ = network.decode(network.encoder(images), images)
    assert logits.shape[-2:] == size

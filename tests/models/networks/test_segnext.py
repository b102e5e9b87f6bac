"""SegNeXt: the factorisation against NumPy, its one-step gradient, its bases, its sizes."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aucseg.models import create_model
from aucseg.models.networks.segnext import LightHam, NonNegativeFactorisation, factorise


def _problem(seed: int = 0, channels: int = 5, columns: int = 7, rank: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, channels, columns, generator=generator, dtype=torch.double)
    bases = torch.rand(2, channels, rank, generator=generator, dtype=torch.double)
    return x, bases / bases.norm(dim=1, keepdim=True)


def _updates(x: np.ndarray, d: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lee and Seung's updates of X = D C^T for one image: D, C before its last renewal, C after."""
    inner = np.exp(x.T @ d)
    c = inner / inner.sum(1, keepdims=True)
    for _ in range(steps):
        c = c * (x.T @ d) / (c @ d.T @ d + 1e-6)
        d = d * (x @ c) / (d @ c.T @ c + 1e-6)
    return d, c, c * (x.T @ d) / (c @ d.T @ d + 1e-6)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    channels=st.integers(1, 6),
    columns=st.integers(1, 8),
    rank=st.integers(1, 5),
    steps=st.integers(0, 7),
)
def test_value_is_that_of_the_plain_updates(seed, channels, columns, rank, steps):
    x, bases = _problem(seed, channels, columns, rank)
    found = factorise(x, bases, steps)
    for image in range(2):
        d, _, c = _updates(x[image].numpy(), bases[image].numpy(), steps)
        np.testing.assert_allclose(found[image].numpy(), d @ c.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 6])
def test_gradient_is_that_of_the_last_renewal(steps):
    r"""Worked by hand: with D and C held, D (C o (X^T D) / N)^T is linear in X.

    Its gradient for an upstream G is D ((D^T G) o (C / N)^T), where N = C D^T D + eps.
    """
    x, bases = _problem()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    factorise(x.requires_grad_(), bases, steps).backward(upstream)
    for image in range(2):
        d, c, _ = _updates(x[image].detach().numpy(), bases[image].numpy(), steps)
        ratio = c / (c @ d.T @ d + 1e-6)
        expected = d @ ((d.T @ upstream[image].numpy()) * ratio.T)
        np.testing.assert_allclose(x.grad[image].numpy(), expected, rtol=1e-9)


def test_steps_never_fit_worse():
    """Multiplicative updates never raise the squared error (Lee and Seung, 2001, theorem 1)."""
    x, bases = _problem(columns=20)
    errors = [(factorise(x, bases, steps) - x).square().sum((1, 2)) for steps in range(12)]
    # epsilon in the denominators breaks the theorem by as much
    for before, after in pairwise(errors):
        assert (after <= before + 1e-4).all()
    assert (errors[-1] < 0.5 * errors[0]).all()


def test_a_matrix_of_that_rank_is_found():
    x = torch.rand(1, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    x = x @ torch.rand(1, 2, 30, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    _, bases = _problem(channels=6, rank=2)
    found = factorise(x, bases[:1], 3000)
    assert (found - x).norm() < 1e-2 * x.norm()


def test_nothing_in_an_image_gives_nothing():
    """All zeros, as after a dead ReLU: no division of zero by zero, no gradient that is not a number."""
    x = torch.zeros(1, 5, 7, requires_grad=True)
    found = factorise(x, _problem()[1][:1].float(), 6)
    found.sum().backward()
    assert torch.equal(found, torch.zeros(1, 5, 7))
    assert x.grad.isfinite().all()


def test_iterations_keep_nothing_for_backward():
    saved = []
    x, bases = _problem()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        factorise(x.requires_grad_(), bases, 1)
        few = sum(saved)
        saved.clear()
        factorise(x, bases, 50)
    assert sum(saved) == few > 0


def test_bases_of_evaluation_are_the_same_for_every_network_and_image():
    torch.manual_seed(0)
    first = NonNegativeFactorisation(8, rank=4)
    torch.manual_seed(1)
    second = NonNegativeFactorisation(8, rank=4)
    assert torch.equal(first.bases, second.bases)
    torch.testing.assert_close(first.bases.norm(dim=1), torch.ones(1, 4))
    image = torch.rand(1, 8, 3, 5)
    found = first.eval()(image.expand(2, -1, -1, -1))
    torch.testing.assert_close(found[0], found[1])


def test_seven_steps_in_evaluation_and_six_in_training():
    module, image = NonNegativeFactorisation(8, rank=4), torch.rand(2, 8, 3, 5)
    bases = module.bases.expand(2, -1, -1)
    torch.testing.assert_close(module.eval()(image).flatten(2), factorise(image.flatten(2), bases, 7))
    torch.manual_seed(3)
    drawn = nn.functional.normalize(torch.rand(2, 8, 4), dim=1)
    torch.manual_seed(3)
    torch.testing.assert_close(module.train()(image).flatten(2), factorise(image.flatten(2), drawn, 6))


def test_training_is_reproducible_from_the_seed():
    module, image = NonNegativeFactorisation(8, rank=4), torch.rand(2, 8, 3, 5)

    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return module(image)

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_factorised_in_float32(dtype):
    """Under autocast and for a network that is in half precision as a whole."""
    module = NonNegativeFactorisation(8, rank=4).eval()
    image = torch.rand(2, 8, 3, 5).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(image)
    assert found.dtype == dtype
    assert torch.equal(found, module(image.float()).to(dtype))
    whole = copy.deepcopy(module).to(dtype)
    rounded = copy.deepcopy(module)
    rounded.bases = module.bases.to(dtype).float()
    assert torch.equal(whole(image), rounded(image.float()).to(dtype))


def test_decoder_is_its_formula():
    """Stages at the size of the first, 1x1, factorisation between 1x1s beside a shortcut, 1x1."""
    torch.manual_seed(0)
    decoder = LightHam([3, 4, 8, 8, 16, 24], 32).eval()
    features = [torch.randn(1, c, 32 // s, 32 // s) for c, s in ((8, 2), (16, 4), (24, 8))]
    size = features[0].shape[-2:]
    stages = [nn.functional.interpolate(f, size=size, mode="bilinear") for f in features]

    def mix(block: nn.Sequential, x: Tensor) -> Tensor:
        return nn.functional.group_norm(block[0](x), 32, block[1].weight, block[1].bias)

    x = mix(decoder.squeeze, torch.cat(stages, 1)).relu()
    burger = decoder.hamburger
    inner = burger.ham_in[0](x).relu()
    common = factorise(inner.flatten(2), burger.ham.bases, 7).view_as(inner)
    x = (x + mix(burger.ham_out, common)).relu()
    torch.testing.assert_close(decoder(features), mix(decoder.align, x).relu())


@pytest.mark.parametrize(
    ("encoder", "channels"),
    [("mscan_t", 256), ("mscan_s", 256), ("mscan_b", 512), ("mscan_l", 1024), ("resnet18", 256)],
)
def test_channels_of_the_decoder_follow_the_encoder(encoder, channels):
    with torch.device("meta"):
        network = create_model("segnext", encoder, num_classes=3)
    assert network.segmentation_head[1].in_channels == channels
    assert network.decoder.hamburger.ham.bases.shape == (1, channels, 64)


def test_a_decoder_of_another_size():
    network = create_model("segnext", "mscan_xt", num_classes=3, decoder_channels=64, decoder_rank=16)
    assert network.segmentation_head[1].in_channels == 64
    assert network.decoder.hamburger.ham.bases.shape == (1, 64, 16)
    assert network.train()(torch.randn(2, 3, 64, 64)).logits.shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decoder_channels": 100}, "multiple of 32.*got 100"),
        ({"decoder_channels": 0}, "multiple of 32.*got 0"),
        ({"decoder_rank": 0}, "at least 1, got 0"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        create_model("segnext", num_classes=3, **options)

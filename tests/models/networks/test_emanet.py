from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.models.networks.emanet import BasisAttention, BasisDecoder, EMANet, expectation_maximization
from tests.models.networks import ranks
from tests.processes import on_ranks


def plain(features, bases, steps):
    """Expectation maximisation of one image, pixel by pixel: (N,C) features and (K,C) bases in lists."""
    for _ in range(steps):
        shares = []
        for x in features:
            weights = [np.exp(np.dot(x, base)) for base in bases]
            shares.append([weight / sum(weights) for weight in weights])
        found = []
        for k in range(len(bases)):
            total = sum(share[k] for share in shares)
            mean = sum(share[k] / total * x for share, x in zip(shares, features, strict=True))
            found.append(mean / np.sqrt(np.dot(mean, mean)))
        bases = found
    return np.array(bases), np.array(shares)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), pixels=st.integers(1, 6), bases=st.integers(1, 4), steps=st.integers(1, 4))
def test_steps_are_those_of_a_plain_loop(seed, pixels, bases, steps):
    rng = np.random.default_rng(seed)
    features, start = rng.normal(size=(2, pixels, 3)), rng.normal(size=(2, bases, 3))
    found, shares = expectation_maximization(
        torch.tensor(features).transpose(1, 2), torch.tensor(start).transpose(1, 2), steps
    )
    for b in range(2):
        wanted, wanted_shares = plain(list(features[b]), list(start[b]), steps)
        np.testing.assert_allclose(found[b].T, wanted, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(shares[b], wanted_shares, rtol=1e-9, atol=1e-12)


def test_two_kinds_of_pixels_find_their_own_base():
    """By hand: far along two axes, every pixel belongs to one base, whose direction is that axis."""
    features = torch.tensor([[30.0, 0.0], [50.0, 0.0], [0.0, 40.0]]).T[None]
    start = torch.tensor([[0.8, 0.6], [0.6, 0.8]]).T[None]
    bases, shares = expectation_maximization(features, start, 3)
    torch.testing.assert_close(bases[0], torch.eye(2))
    torch.testing.assert_close(shares[0], torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))


def test_a_base_that_no_pixel_wants_is_finite():
    features = torch.tensor([[1000.0, 0.0]]).T[None]
    start = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).T[None]
    bases, shares = expectation_maximization(features, start, 3)
    assert bases.isfinite().all()
    assert shares.isfinite().all()


@pytest.fixture
def attention():
    return ranks.attention()


def rebuilt(features, start, steps):
    """What the attention gives for one image (C,H,W), and its bases, by the plain loop."""
    pixels = list(features.flatten(1).T.numpy())
    bases, shares = plain(pixels, list(start.T.numpy()), steps)
    return torch.tensor(shares @ bases).T.view_as(features), torch.tensor(bases).T


def test_pixels_are_mixtures_of_the_bases(attention):
    features = ranks.parts(0)[0]
    found = attention.eval()(features)
    for image, result in zip(features, found, strict=True):
        torch.testing.assert_close(result, rebuilt(image, attention.bases[0], 3)[0])


def test_bases_move_a_tenth_of_the_way_to_the_mean_of_the_images(attention):
    features, before = ranks.parts(0)[0], attention.bases.clone()
    found = attention.train()(features)
    torch.testing.assert_close(found, attention_of(features, before))
    mean = sum(rebuilt(image, before[0], 3)[1] for image in features) / len(features)
    torch.testing.assert_close(attention.bases[0], 0.9 * before[0] + 0.1 * mean)
    kept = attention.bases.clone()
    attention.eval()(features)
    assert torch.equal(attention.bases, kept)


def attention_of(features, bases):
    """The attention of a batch in training mode, from given bases."""
    return torch.stack([rebuilt(image, bases[0], 3)[0] for image in features])


def test_initial_bases_have_length_one():
    torch.manual_seed(0)
    bases = BasisAttention(32).bases
    assert bases.shape == (1, 32, 64)
    torch.testing.assert_close(bases.norm(dim=1), torch.ones(1, 64))
    assert bases.std() > 0.1  # and are not all the same


def test_attention_keeps_its_digits_under_autocast(attention):
    features = ranks.parts(0)[0].float()
    attention.float().eval()
    expected = attention(features)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attention(features), expected)
    rounded = features.bfloat16()
    assert torch.equal(attention(rounded), attention(rounded.float()).bfloat16())


def test_runs_in_half_the_width():
    network = ranks.network().bfloat16().train()
    logits = network(torch.randn(2, 3, 32, 32, dtype=torch.bfloat16)).logits
    assert logits.isfinite().all()
    assert logits.dtype == network.decoder.attention.bases.dtype == torch.bfloat16


def test_gradient_goes_around_the_steps():
    """None reaches the first 1x1 convolution, which is frozen; all else learns from the sum."""
    torch.manual_seed(0)
    decoder = BasisDecoder(6, 8).train()
    assert not any(parameter.requires_grad for parameter in decoder.signed.parameters())
    decoder([torch.randn(2, 6, 5, 7)]).square().sum().backward()
    for name, parameter in decoder.named_parameters():
        assert (parameter.grad is None) == name.startswith("signed."), name


def test_frozen_convolution_keeps_the_spread_of_its_input():
    """It is never trained, so what it starts from counts: variance 2/C (He et al., 2015) and no offset."""
    torch.manual_seed(0)
    signed = EMANet("resnet18", decoder_channels=64, classes=3).decoder.signed
    assert not signed.weight.requires_grad
    torch.testing.assert_close(signed.weight.var(), torch.tensor(2 / 64), rtol=0.1, atol=0)
    assert not signed.bias.any()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    on_ranks(ranks.run, ranks.WORLD, str(folder))
    return [torch.load(folder / f"{rank}.pt") for rank in range(ranks.WORLD)]


def test_ranks_remember_the_same_bases(found):
    assert torch.equal(found[0]["attention"], found[1]["attention"])
    assert torch.equal(found[0]["network"], found[1]["network"])
    assert not torch.equal(found[0]["network"], ranks.network().decoder.attention.bases)


def test_ranks_remember_what_one_process_would(found, attention):
    """With two images on one rank and one on the other: a mean of the ranks' means would be another."""
    attention.train()
    for step in range(3):
        attention(torch.cat(ranks.parts(step)))
    torch.testing.assert_close(found[0]["attention"], attention.bases)

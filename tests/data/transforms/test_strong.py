"""Strong views: beside torchvision, image by image, and what a seed fixes."""

from __future__ import annotations

import colorsys

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from aucseg.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from aucseg.data.transforms.strong import StrongView, color_matrices, gaussian_kernels

FIGURES = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
MEAN, STD = (torch.tensor(figures, dtype=torch.float64)[:, None, None] for figures in FIGURES.values())


def images(number: int = 3, size: tuple[int, int] = (12, 14)) -> Tensor:
    """Values in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(number, 3, *size, generator=generator, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "library"),
    [
        ({"brightness": 1.3}, lambda x: TF.adjust_brightness(x, 1.3)),
        ({"contrast": 0.7}, lambda x: TF.adjust_contrast(x, 0.7)),
        ({"saturation": 0.4}, lambda x: TF.adjust_saturation(x, 0.4)),
    ],
)
def test_single_changes_are_those_of_torchvision(change, library):
    x = 0.3 + 0.3 * images(1)  # so that nothing is cut off
    factors = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0} | change
    matrix, grey = color_matrices(*(one(f) for f in factors.values()))
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    mean = torch.einsum("c,bchw->bhw", luma, x).mean((1, 2))
    found = torch.einsum("bij,bjhw->bihw", matrix, x) + (grey * mean)[:, None, None, None]
    torch.testing.assert_close(found, library(x), atol=2e-3, rtol=0)  # whose luma has three digits


def test_a_turn_of_the_hue_keeps_the_luma_and_a_whole_one_everything():
    x = images(1)
    matrix, grey = color_matrices(one(1.0), one(1.0), one(1.0), one(0.1))
    turned = torch.einsum("bij,bjhw->bihw", matrix, x)
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    torch.testing.assert_close(
        torch.einsum("c,bchw->bhw", luma, turned), torch.einsum("c,bchw->bhw", luma, x), atol=1e-9, rtol=0
    )
    assert float(grey) == 0
    assert (turned - x).abs().max() > 0.05
    whole, _ = color_matrices(one(1.0), one(1.0), one(1.0), one(1.0))
    torch.testing.assert_close(whole[0], torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0)
    red = matrix[0] @ torch.tensor([0.6, 0.4, 0.4], dtype=torch.float64)
    hue = colorsys.rgb_to_hsv(*red.tolist())[0]
    assert 0.02 < min(hue, 1 - hue) < 0.2  # in the direction of a neighbour, by about as much


def test_normalised_images_change_as_their_values_do():
    x = images()
    view = StrongView(strength=0.3, jitter=1.0, blur=0.0, **FIGURES)
    found = view((x - MEAN) / STD, generator()) * STD + MEAN
    draws = torch.rand(7, 3, generator=generator(), dtype=torch.float64)[1:5]
    change = 0.3 * (2 * draws - 1)
    matrix, grey = color_matrices(*(1 + change[:3]), 0.5 * change[3])
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    for i in range(3):
        mean = float((luma[:, None, None] * x[i]).sum(0).mean())
        expected = torch.einsum("ij,jhw->ihw", matrix[i], x[i]) + float(grey[i]) * mean
        torch.testing.assert_close(found[i], expected.clamp(0, 1))


def test_blur_is_that_of_torchvision():
    x = images()
    view = StrongView(strength=0.0, blur=1.0, sigma=(0.8, 0.8), **FIGURES)
    expected = TF.gaussian_blur(x, [7, 7], [0.8, 0.8])
    torch.testing.assert_close(view(x, generator()), expected)
    assert gaussian_kernels(one(0.8), 3).sum() == pytest.approx(1)


def test_each_image_has_draws_of_its_own_and_a_seed_fixes_them():
    x = ((images(64) - MEAN) / STD).float()
    view = StrongView(strength=0.2, jitter=0.5, blur=0.5, **FIGURES)
    found = view(x, generator(3))
    assert torch.equal(found, view(x, generator(3)))
    assert not torch.equal(found, view(x, generator(4)))
    same = (found == x).flatten(1).all(1)
    assert 6 <= int(same.sum()) <= 28  # a quarter of 64, where neither was drawn
    assert (found * STD + MEAN).min() > -1e-4
    assert (found * STD + MEAN).max() < 1 + 1e-4


def test_nothing_drawn_nothing_done():
    x = images()
    assert StrongView(strength=0.0, blur=0.0, **FIGURES)(x, generator()) is x


@pytest.mark.parametrize(
    ("options", "words"), [({"strength": 1.5}, "strength is in"), ({"sigma": (0.0, 1.0)}, "sigma is")]
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        StrongView(**options, **FIGURES)

"""Photometric distortion against the standard library's HSV and arithmetic by NumPy, and normalisation."""

from __future__ import annotations

import colorsys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucseg.data.transforms import ColorJitter, PhotometricDistortion, normalize
from aucseg.data.transforms.color import scale_contrast, scale_saturation, shift_brightness, turn_hue

ORDERS = [("brightness", "contrast", "saturation", "hue"), ("brightness", "saturation", "hue", "contrast")]


def colors() -> torch.Tensor:
    """(3, 16, 17): noise, and black, white, a grey, the pure colours, and one nearly grey."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 16, 17), dtype=torch.uint8, generator=generator)
    rows = [(0, 0, 0), (255, 255, 255), (90, 90, 90), (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 91, 90)]
    image[:, 0, :7] = torch.tensor(rows, dtype=torch.uint8).T
    return image


def by_colorsys(image: torch.Tensor, saturation: float = 1.0, degrees: float = 0.0) -> np.ndarray:
    """Each pixel to HSV and back."""
    pixels = []
    for pixel in image.flatten(1).T.double().div(255).tolist():
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        pixels.append(colorsys.hsv_to_rgb((h + degrees / 360) % 1, min(1.0, s * saturation), v))
    return 255 * np.array(pixels).T.reshape(image.shape)


@settings(deadline=None, max_examples=20)
@given(factor=st.floats(0, 3))
def test_saturation(factor: float) -> None:
    found = scale_saturation(colors(), factor)
    np.testing.assert_allclose(found, by_colorsys(colors(), saturation=factor), atol=0.51)


@settings(deadline=None, max_examples=20)
@given(degrees=st.floats(-180, 180))
def test_hue(degrees: float) -> None:
    np.testing.assert_allclose(
        turn_hue(colors(), degrees), by_colorsys(colors(), degrees=degrees), atol=0.501
    )


@pytest.mark.parametrize("delta", [-32.0, -0.4, 0.0, 7.9, 32.0])
def test_brightness(delta: float) -> None:
    expected = np.clip(colors().numpy().astype(np.float32) + np.float32(delta), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(shift_brightness(colors(), delta), expected)


def test_contrast_multiplies() -> None:
    """What mmsegmentation calls contrast is the factor alone, not about the mean grey."""
    distortion = PhotometricDistortion(p=1)
    found = distortion.transform(tv_tensors.Image(colors()), {"contrast": 1.3})
    expected = np.clip(colors().numpy().astype(np.float32) * np.float32(1.3), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(found, expected)
    assert isinstance(found, tv_tensors.Image)


def test_changes_are_made_in_their_order() -> None:
    params = {"brightness": 20.0, "contrast": 0.7, "saturation": 1.4, "hue": -30.0}
    image = colors()
    for order in ORDERS:
        found = PhotometricDistortion().transform(image, {name: params[name] for name in order})
        expected = shift_brightness(image, 20.0)
        if order[1] == "contrast":
            expected = torch.from_numpy((expected.numpy() * np.float32(0.7)).astype(np.uint8))
        expected = turn_hue(scale_saturation(expected, 1.4), -30.0)
        if order[3] == "contrast":
            expected = torch.from_numpy((expected.numpy() * np.float32(0.7)).astype(np.uint8))
        assert torch.equal(found, expected)


def by_torchvision(jitter: v2.ColorJitter, image: torch.Tensor, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    params = jitter.make_params([image])
    return v2.ColorJitter.transform(jitter, image, params)


@pytest.mark.parametrize("shape", [(3, 20, 30), (2, 3, 20, 30), (3, 1, 1), (3, 300, 400)])
def test_the_jitter_is_torchvisions(shape: tuple[int, ...]) -> None:
    """One change alone to the last bit, but for the hue, where the library cuts off; all four within that."""
    generator = torch.Generator().manual_seed(0)
    image = tv_tensors.Image(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))
    for seed, options in enumerate(
        ({"brightness": 0.4}, {"contrast": 0.4}, {"saturation": 0.4}, {"hue": 0.1}, {"contrast": (0.0, 0.0)})
    ):
        jitter = ColorJitter(**options)
        torch.manual_seed(seed)
        found, expected = jitter(image), by_torchvision(jitter, image, seed)
        assert isinstance(found, tv_tensors.Image)
        away = (found.int() - expected.int()).abs()
        if "contrast" in options:  # the mean grey is summed in float64 here
            assert away.max() <= 1
            assert (away > 0).float().mean() < 0.01
        else:
            assert away.max() <= ("hue" in options)
    jitter = ColorJitter(0.2, 0.2, 0.2, 0.02)
    for seed in range(10):
        torch.manual_seed(seed)
        assert (jitter(image).int() - by_torchvision(jitter, image, seed).int()).abs().max() <= 3


def test_strips_change_nothing(monkeypatch) -> None:
    image = torch.randint(0, 256, (2, 3, 37, 53), dtype=torch.uint8)
    changes = (shift_brightness, 9.5), (scale_contrast, 0.7), (scale_saturation, 1.3), (turn_hue, 31.0)
    whole = [change(image, amount) for change, amount in changes]
    monkeypatch.setattr("aucseg.data.transforms.color._STRIP", 300)
    for (change, amount), expected in zip(changes, whole, strict=True):
        assert torch.equal(change(image, amount), expected)
        view = image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # channels that lie together
        assert torch.equal(change(view, amount), expected)


def test_what_is_drawn() -> None:
    torch.manual_seed(0)
    distortion = PhotometricDistortion(brightness=32, contrast=(0.5, 1.5), saturation=(0.6, 1.2), hue=36)
    drawn = [distortion.make_params([]) for _ in range(4000)]
    number = Counter(name for params in drawn for name in params)
    assert all(abs(number[name] / 4000 - 0.5) < 0.03 for name in ORDERS[0])
    orders = Counter(tuple(params) for params in drawn if len(params) == 4)
    assert set(orders) == set(ORDERS)
    assert orders[ORDERS[0]] / orders.total() == pytest.approx(0.5, abs=0.13)  # of about 250
    ranges = {"brightness": (-32, 32), "contrast": (0.5, 1.5), "saturation": (0.6, 1.2), "hue": (-36, 36)}
    for name, (low, high) in ranges.items():
        amounts = np.array([params[name] for params in drawn if name in params])
        assert low <= amounts.min() < low + (high - low) / 50
        assert high >= amounts.max() > high - (high - low) / 50
        assert amounts.mean() == pytest.approx((low + high) / 2, abs=(high - low) * 0.03)


def test_later_draws_do_not_depend_on_what_is_changed() -> None:
    after = []
    for p in (0, 0.5, 1):
        torch.manual_seed(4)
        PhotometricDistortion(p=p)(tv_tensors.Image(colors()))
        after.append(torch.rand(1).item())
    assert len(set(after)) == 1


def test_masks_pass_and_no_change_is_none() -> None:
    image, mask = tv_tensors.Image(colors()), tv_tensors.Mask(torch.randint(0, 19, (16, 17)).byte())
    torch.manual_seed(0)
    out, labels = PhotometricDistortion(p=1)(image, mask)
    assert torch.equal(labels, mask)
    assert isinstance(labels, tv_tensors.Mask)
    assert not torch.equal(out, image)
    assert torch.equal(PhotometricDistortion(p=0)(image, mask)[0], image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"brightness": -1}, "brightness is the largest change, 0 to 255, got -1"),
        ({"contrast": (1.5, 0.5)}, r"contrast is \(low, high\).* got \(1.5, 0.5\)"),
        ({"saturation": (-0.1, 0.5)}, "saturation is"),
        ({"hue": 181}, "hue is the largest angle in degrees, 0 to 180, got 181"),
        ({"p": 1.1}, r"p is a probability in \[0, 1\], got 1.1"),
    ],
)
def test_bad_distortion(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhotometricDistortion(**options)


@pytest.mark.parametrize("image", [torch.rand(3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8)])
def test_bad_image(image: torch.Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"needs uint8 images \(..., 3, H, W\), got torch.*normalise afterwards"
    ):
        PhotometricDistortion()(tv_tensors.Image(image))


def test_normalize_against_the_formula() -> None:
    images = torch.randint(
        0, 256, (2, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (images.numpy() / 255 - mean[:, None, None]) / std[:, None, None]
    before = images.clone()
    np.testing.assert_allclose(normalize(images).numpy(), expected, atol=1e-5)
    lite = normalize(images, (127 / 255,) * 3, (128 / 255,) * 3)  # of an EfficientNet-Lite
    np.testing.assert_allclose(lite.numpy(), (images.numpy() - 127.0) / 128, atol=1e-6)
    assert torch.equal(images, before)
    assert normalize(images, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert type(normalize(tv_tensors.Image(images[0]))) is torch.Tensor
    with pytest.raises(ValueError, match="normalise once only"):
        normalize(normalize(images))

"""Masks of image files, and a mask over its image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from aucseg.data import load_spec, normalize
from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.training import (
    SegmentationDataModule,
    SegmentationModule,
    overlay,
    predict_files,
    predict_image,
)

SPEC = load_spec("cityscapes")


@pytest.fixture(scope="module")
def module() -> SegmentationModule:
    config = make_config("streets", "smoke")
    return SegmentationModule(config, SegmentationDataModule(config).classes).eval()


@pytest.fixture
def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 256, 3), np.uint8)
    return Image.fromarray(pixels)


def test_a_picture_is_seen_at_the_size_of_the_training(module, photo):
    small = np.asarray(photo.resize((128, 64), Image.Resampling.BILINEAR))
    images = normalize(torch.from_numpy(small.copy()).movedim(-1, 0)[None])
    with torch.inference_mode():
        ids = module(images).argmax(1)[0].numpy()
    found = predict_image(module, photo)
    assert found.dtype == np.uint8
    assert np.array_equal(found, ids.repeat(2, 0).repeat(2, 1))  # each pixel of it is four of the photo


def test_a_picture_is_normalised_as_the_encoder_wants_it(module, photo):
    figures = ((127 / 255,) * 3, (128 / 255,) * 3)
    other = SegmentationModule(module.config.with_(model__normalization=figures), module.classes).eval()
    small = np.asarray(photo.resize((128, 64), Image.Resampling.BILINEAR)).astype(np.float32)
    images = torch.from_numpy((small - 127) / 128).movedim(-1, 0)[None]
    with torch.inference_mode():
        ids = other(images).argmax(1)[0].numpy()
    found = predict_image(other, photo)
    assert (found == ids.repeat(2, 0).repeat(2, 1)).mean() > 0.999  # a tie may fall to either side
    assert not np.array_equal(found, predict_image(module, photo))


def test_a_picture_is_seen_as_it_is_by_a_network_of_any_size(module, photo):
    config = module.config.with_(data__name="camvid", data__resize=(64, 128), data__crop_size=(32, 32))
    other = SegmentationModule(config, module.classes).eval()
    other.load_state_dict(module.state_dict())
    odd = photo.crop((0, 0, 101, 67)).convert("L")
    images = normalize(torch.from_numpy(np.array(odd.convert("RGB"))).movedim(-1, 0)[None])
    with torch.inference_mode():
        expected = other.predict_scores(images)[0][0].numpy()
    assert np.array_equal(predict_image(other, odd), expected)


def test_files_are_written_one_by_one(module, photo, tmp_path):
    names = [tmp_path / "b.png", tmp_path / "a.jpg"]
    for name in names:
        photo.save(name)
    written = predict_files(module, names, tmp_path / "out", with_overlay=True)
    assert next(written) == tmp_path / "out" / "b.png"
    assert not (tmp_path / "out" / "a.png").exists()
    assert list(written) == [tmp_path / "out" / "a.png"]
    with Image.open(tmp_path / "out" / "b.png") as mask, Image.open(names[0]) as image:
        assert np.array_equal(np.asarray(mask), predict_image(module, image))
        assert mask.getpalette()[:6] == [*SPEC.colors[0], *SPEC.colors[1]]
        blend = overlay(np.asarray(image), np.asarray(mask), SPEC)
    with Image.open(tmp_path / "out" / "b_overlay.png") as laid:
        assert np.array_equal(np.asarray(laid), blend)


def test_nothing_is_written_where_a_file_is_bad(module, photo, tmp_path):
    photo.save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    for bad, words in (("bad.png", "not a readable image"), ("none.png", "no such image")):
        with pytest.raises(DataError, match=words):
            list(predict_files(module, [tmp_path / "good.png", tmp_path / bad], tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.*cannot be made"):
        list(predict_files(module, [tmp_path / "good.png"], tmp_path / "file"))


def test_overlay_leaves_void_alone_and_mixes_the_rest():
    image = np.full((3, 1, 2), 100, np.uint8)
    blend = overlay(image, np.array([[0, 255]]), SPEC, alpha=0.25)
    assert blend[0, 1].tolist() == [100, 100, 100]
    assert blend[0, 0].tolist() == [round(0.75 * 100 + 0.25 * c) for c in SPEC.colors[0]]


def test_overlay_bad_input():
    with pytest.raises(ValueError, match=r"alpha.*2"):
        overlay(np.zeros((4, 4, 3)), np.zeros((4, 4)), SPEC, alpha=2)
    with pytest.raises(ValueError, match="resize"):
        overlay(np.zeros((4, 4, 3)), np.zeros((4, 5)), SPEC)


def test_overlay_of_nothing_but_void_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    for alpha in (0.0, 0.3, 0.7, 1.0):
        assert np.array_equal(overlay(image, np.full((5, 7), 255), SPEC, alpha), image)


def test_overlay_is_a_mean_of_image_and_palette():
    rng = np.random.default_rng(1)
    image, mask = rng.integers(0, 256, (16, 16, 3), np.uint8), rng.choice([0, 5, 18, 255], (16, 16))
    weight = np.where(mask == 255, 0.0, 0.6)[..., None]
    expected = (1 - weight) * image + weight * SPEC.palette[mask]
    assert np.abs(overlay(image, mask, SPEC, 0.6) - expected).max() <= 0.5 + 1e-9

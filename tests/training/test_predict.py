"""Masks of image files, and a mask over its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucseg.catalog import open_dataset
from aucseg.data import load_spec, normalize
from aucseg.data.reading import read_image
from aucseg.data.transforms.geometry import resize_mask
from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.training import (
    SegmentationDataModule,
    SegmentationModule,
    overlay,
    plan_predictions,
    predict_files,
    predict_image,
    write_predictions,
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
    for bad, words in (("bad.png", "unreadable image"), ("none.png", "missing image")):
        with pytest.raises(DataError, match=words):
            predict_files(module, [tmp_path / "good.png", tmp_path / bad], tmp_path / "out")
    with pytest.raises(DataError, match=r"bad\.png: unreadable .* \(and 1 more images .* --skip-bad"):
        plan_predictions([tmp_path / name for name in ("bad.png", "good.png", "none.png")], tmp_path / "out")
    with pytest.raises(DataError, match=r"bad\.png: unreadable"):
        plan_predictions([tmp_path / "bad.png"], tmp_path / "out", skip_bad=True)
    assert not (tmp_path / "out").exists()
    plan = plan_predictions([tmp_path / "bad.png", tmp_path / "good.png"], tmp_path / "out", skip_bad=True)
    assert [path.name for path in write_predictions(module, plan)] == ["good.png"]
    assert [problem.file for problem in plan.problems] == [str(tmp_path / "bad.png")]


def test_a_place_that_cannot_be_written_to_is_told_before_the_work_starts(photo, tmp_path):
    photo.save(tmp_path / "good.png")
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        with pytest.raises(DataError, match=r"file.*cannot be written to"):
            plan_predictions([tmp_path / "good.png"], tmp_path / place)


def test_a_full_disk_leaves_no_half_file(module, photo, tmp_path, monkeypatch):
    photo.save(tmp_path / "good.png")
    written = predict_files(module, [tmp_path / "good.png"], tmp_path / "out", with_overlay=True)

    def save(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(DataError, match=r"good_overlay\.png: cannot be written \(No space left on device\)"):
        next(written)
    assert list((tmp_path / "out").iterdir()) == []


def test_predicted_is_what_an_evaluation_counts(module, tiny_camvid):
    """The same reader, the same size, the same filter: the mask of a file is that of the data set's item."""
    config = module.config.with_(data__name="folder", data__root=tiny_camvid, data__size=(32, 64))
    other = SegmentationModule(config, module.classes).eval()
    data = open_dataset("folder", tiny_camvid, "val", size=(32, 64))
    for index, (file, _) in enumerate(data.files):
        image = data[index][0].as_subclass(torch.Tensor)
        with torch.inference_mode():
            ids = other.predict_scores(normalize(image[None], *config.model.figures))[0][0].byte()
        assert len(ids.unique()) > 1
        assert np.array_equal(predict_image(other, read_image(file)), resize_mask(ids, (64, 96)).numpy())


def test_a_mask_lies_on_the_picture_as_one_sees_it(module, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "lying.png", exif=exif)
    photo.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")
    names = [tmp_path / "lying.png", tmp_path / "upright.png"]
    masks = [np.asarray(Image.open(path)) for path in predict_files(module, names, tmp_path / "out")]
    assert masks[0].shape == (256, 128)
    assert np.array_equal(*masks)


def test_a_picture_of_16_bits_is_read_by_its_range_or_not_at_all(module, photo, tmp_path):
    gray = np.asarray(photo.convert("L"))
    Image.fromarray(gray).convert("RGB").save(tmp_path / "narrow.png")
    Image.fromarray(gray.astype(np.uint16) * 16).save(tmp_path / "wide.png")
    names = [tmp_path / "narrow.png", tmp_path / "wide.png"]
    with pytest.raises(
        DataError, match=r"wide\.png: image of mode 'I;16'; save it with 8 bits.*predict. has the same option"
    ):
        predict_files(module, names, tmp_path / "out")
    found = predict_files(module, names, tmp_path / "out", value_range=(0, 255 * 16))
    assert np.array_equal(*(np.asarray(Image.open(path)) for path in found))
    with Image.open(names[1]) as wide, pytest.raises(DataError, match="image of mode 'I;16'"):
        predict_image(module, wide)


def photos(root, photo, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(root / name)
    return root


def test_folders_are_taken_with_their_folders_and_without_what_programs_leave(module, photo, tmp_path):
    root = photos(tmp_path / "in", photo.crop((0, 0, 40, 30)), "a.jpg", "sub/a.png", "sub/deep/B.TIF")
    photos(root, photo, ".ipynb_checkpoints/a-checkpoint.jpg", "._a.jpg")
    (root / "notes.txt").write_text("x")
    out = root / "masks"  # inside: a second call does not take the first one's masks for pictures
    plan = plan_predictions([root], out)
    assert plan.passed_over == {".txt": 1}
    masks = list(write_predictions(module, plan))
    assert masks == [out / name for name in ("a.png", "sub/a.png", "sub/deep/B.png")]
    again = plan_predictions([root], out, overwrite=True)
    assert again.files == plan.files
    assert [each.mask for each in plan_predictions([root], tmp_path / "top", recursive=False).files] == [
        tmp_path / "top" / "a.png"
    ]
    with pytest.raises(DataError, match=r"sub/a\.png: a\.png would be written of it and of .*in/a\.jpg"):
        plan_predictions([root, root / "sub"], tmp_path / "both")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture in this folder, but no file at all"):
        plan_predictions([tmp_path / "empty"], out)
    (tmp_path / "empty" / "a.heic").touch()
    with pytest.raises(DataError, match=r"no picture in this folder, but \.heic; give a folder of \.jpg"):
        plan_predictions([tmp_path / "empty"], out)


def test_nothing_that_is_there_is_replaced_without_leave(module, photo, tmp_path):
    root = photos(tmp_path, photo.crop((0, 0, 40, 30)), "a.png", "b.jpg", "b_overlay.jpg")
    before = {path: path.read_bytes() for path in root.iterdir()}
    for options in ({}, {"overwrite": True}):
        with pytest.raises(DataError, match=r"a\.png: would be replaced by a mask; choose another folder"):
            plan_predictions([root / "a.png"], root, **options)
        with pytest.raises(DataError, match=r"b_overlay\.png would be written of it and of"):
            plan_predictions([root / "b.jpg", root / "b_overlay.jpg"], root, with_overlay=True, **options)
    with pytest.raises(DataError, match=r"a\.png would be written of it and of"):
        plan_predictions([root / "a.png", root / "a.png"], root / "out")
    (root / "b.png").write_text("a drawing of mine")
    with pytest.raises(DataError, match=r"b\.png: is there already; .* --overwrite"):
        plan_predictions([root / "b.jpg"], root)
    with pytest.raises(DataError, match="--overwrite"):
        plan_predictions([root / "b.jpg"], root / "x" / "..", with_overlay=True)
    assert (root / "b.png").read_text() == "a drawing of mine"
    assert {path: path.read_bytes() for path in before} == before
    assert list(predict_files(module, [root / "b.jpg"], root, overwrite=True)) == [root / "b.png"]
    with Image.open(root / "b.png") as mask:
        assert mask.mode == "P"


def test_colours_and_plain_labels(module, photo, tmp_path):
    photo.save(tmp_path / "a.png")
    plan = plan_predictions([tmp_path / "a.png"], tmp_path / "out", with_colors=True)
    assert list(write_predictions(module, plan, palette=False)) == [tmp_path / "out" / "a.png"]
    with (
        Image.open(tmp_path / "out" / "a.png") as mask,
        Image.open(tmp_path / "out" / "a_colors.png") as shown,
    ):
        assert mask.mode == "L"
        assert shown.mode == "RGB"
        assert np.array_equal(np.asarray(shown), SPEC.palette[np.asarray(mask)])
        assert np.array_equal(np.asarray(mask), predict_image(module, photo))


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

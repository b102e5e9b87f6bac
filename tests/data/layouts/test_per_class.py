"""One binary mask for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import open_dataset, resolve
from aucseg.data.layouts.per_class import read_binary
from aucseg.errors import DataError, OptionError
from tests.data.layouts.annotated import pictures, table
from tests.data.layouts.writers import HEIGHT, WIDTH, label, stripes


def _blank(*place: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[place] = 1
    return mask


LEFT, TOP = _blank(slice(None), slice(0, 4)), _blank(slice(0, 6), slice(0, 6))


@pytest.fixture
def cracks(tmp_path: Path) -> Path:
    """Three images: with a crack and a spall that overlap, with a crack, and with nothing that is marked."""
    pictures(tmp_path / "images", 3)
    label(tmp_path / "masks/crack/000.png", 255 * LEFT)
    label(tmp_path / "masks/spall/000.png", 255 * TOP)
    label(tmp_path / "masks/crack/001.png", TOP)  # 0 and 1
    table(tmp_path, "background", "crack", "spall")
    _describe(tmp_path)
    return tmp_path


def _describe(root: Path, masks: str = "masks/{class}/{name}.png", **options: str) -> None:
    lines = ["layout: per_class", "images: images/{name}.png", f'masks: "{masks}"']
    lines += [f"{key}: {value}" for key, value in options.items()]
    (root / "aucseg.yaml").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("values", "expected"),
    [((0, 255), (0, 1)), ((0, 1), (0, 1)), ((0, 7), (0, 1)), ((255,), (1,)), ((0,), (0,)), ((3,), (1,))],
)
def test_the_value_that_is_not_0_is_the_class(
    tmp_path: Path, values: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    np.testing.assert_array_equal(
        read_binary(label(tmp_path / "m.png", stripes(*values))), stripes(*expected)
    )


def test_smoothed_masks_are_told_apart_at_128(tmp_path: Path) -> None:
    values = (0, 0, 0, 0, 0, 100, 127, 128, 255, 255, 255, 255, 255, 255, 255, 254)
    mask = label(tmp_path / "m.png", np.repeat(np.array(values, np.uint8)[None], HEIGHT, 0))
    with pytest.raises(DataError, match="is no mask of one class: it holds 6 values, 0, 100, 127, 128"):
        read_binary(mask)
    wide = np.repeat(np.repeat(np.array(values, np.uint8), [40] * 5 + [1] * 3 + [40] * 8)[None], HEIGHT, 0)
    np.testing.assert_array_equal(read_binary(label(mask, wide)), wide >= 128)
    Image.fromarray(wide).save(tmp_path / "m.jpg", quality=70)
    assert np.mean(read_binary(tmp_path / "m.jpg") == (wide >= 128)) > 0.99
    with pytest.raises(DataError, match="it holds 3 values, 0, 1, 2"):
        read_binary(label(mask, stripes(0, 1, 2)))


def test_the_smaller_class_lies_above(cracks: Path) -> None:
    assert (TOP.sum(), LEFT.sum()) == (36, 48)
    (cracks / "splits").mkdir()
    (cracks / "splits/train.txt").write_text("000\n001\n")
    expected = np.where(TOP == 1, 2, LEFT)
    first = open_dataset(cracks)
    before = first.fingerprint()
    np.testing.assert_array_equal(first.mask(0), expected)
    np.testing.assert_array_equal(first.mask(1), TOP)
    table(cracks, "background", "spall", "crack")
    _describe(cracks, overlap="order")
    np.testing.assert_array_equal(open_dataset(cracks).mask(0), np.where(LEFT == 1, 2, TOP))
    assert open_dataset(cracks).fingerprint() != before


def test_images_without_a_mask(cracks: Path) -> None:
    problems = resolve(cracks).verify().problems
    assert [(Path(p.file).name, p.what) for p in problems] == [("002.png", "image without mask")]
    _describe(cracks, without_mask="background")
    report = resolve(cracks).verify()
    assert report.ok, report.problems
    assert report.pixels["all"].sum() == 3 * HEIGHT * WIDTH
    data = open_dataset(cracks, split="all")
    assert not data.mask(2).any()
    assert data[2][1].shape == (HEIGHT, WIDTH)


def test_what_is_known_of_masks_follows_each_of_their_files(cracks: Path) -> None:
    """A mask that moves from one class to another changes the data set, though its bytes are the same."""
    (cracks / "splits").mkdir()
    (cracks / "splits/train.txt").write_text("001\n")
    data = open_dataset(cracks)
    before = data.fingerprint()
    state = resolve(cracks).masks("train").state(data.files[0][1])
    (cracks / "masks/crack/001.png").rename(cracks / "masks/spall/001.png")
    assert open_dataset(cracks).fingerprint() != before
    assert resolve(cracks).masks("train").state(data.files[0][1]) != state
    np.testing.assert_array_equal(open_dataset(cracks).mask(0), 2 * TOP)


def test_suffixes_where_one_class_ends_with_another(tmp_path: Path) -> None:
    pictures(tmp_path / "images", 1)
    label(tmp_path / "images/000_left_shoe.png", LEFT)
    label(tmp_path / "images/000_shoe.png", 1 - LEFT)
    table(tmp_path, "background", "shoe", "left_shoe")
    _describe(tmp_path, "images/{name}_{class}.png")
    data = open_dataset(tmp_path, split="all")
    assert data.names == ("000",)
    np.testing.assert_array_equal(data.mask(0), 1 + LEFT)


def test_masks_that_are_wrong(cracks: Path) -> None:
    label(cracks / "masks/hole/000.png", LEFT)
    with pytest.raises(DataError, match=r"hole/000.png: is a mask of the class 'hole', which has no row"):
        resolve(cracks).open("all")
    table(cracks, "background", "crack", "spall", "hole", ignored=["hole"])
    _describe(cracks, without_mask="background")
    # the hole has as many pixels as the crack, which lies below it
    assert open_dataset(cracks, split="all").mask(0).unique().tolist() == [0, 2, 255]
    label(cracks / "masks/hole/000.png", LEFT[:4])
    with pytest.raises(DataError, match=r"masks of one image differ in size: 000.png 16x12 and 000.png 16x4"):
        open_dataset(cracks, split="all").mask(0)
    (cracks / "masks/hole/000.png").rename(cracks / "masks/hole/000.PNG")
    with pytest.raises(
        DataError, match=r"does not end in \.png; rename it, or write 'masks/{class}/{name}\.\*'"
    ):
        resolve(cracks).open("all")
    _describe(cracks, "masks/{class}/{name}.*")
    label(cracks / "masks/hole/000.png", LEFT)
    with pytest.raises(DataError, match=r"000.png is there too, another mask of 'hole'"):
        resolve(cracks).open("all")
    _describe(cracks, "masks/*/{class}/{name}.png")
    with pytest.raises(OptionError, match="may have \\* as its ending only"):
        resolve(cracks).open("all")


def test_the_only_class_needs_no_name_in_the_pattern(cracks: Path) -> None:
    table(cracks, "background", "crack")
    _describe(cracks, "masks/crack/{name}.png")
    (cracks / "images/002.png").unlink()
    data = open_dataset(cracks, split="all")
    np.testing.assert_array_equal(data.mask(0), LEFT)
    assert data.spec.names == ("background", "crack")

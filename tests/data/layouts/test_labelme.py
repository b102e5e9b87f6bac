"""LabelMe files: outlines, circles, rectangles, pixel masks, and what has no area."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from aucseg.catalog import open_dataset, resolve
from aucseg.data.layouts.labelme import read_labelme
from aucseg.errors import DataError
from tests.data.layouts.annotated import labelme_file, pictures, square, table
from tests.data.layouts.writers import HEIGHT, WIDTH

VALUES = {"background": 0, "cat": 1, "dog": 2}
YS, XS = np.mgrid[:60, :80]


def _drawn(
    tmp_path: Path, *shapes: dict[str, Any], size: tuple[int, int] = (60, 80), **more: Any
) -> np.ndarray:
    file = labelme_file(tmp_path / "a.json", *shapes, imageHeight=size[0], imageWidth=size[1])
    return read_labelme(file, VALUES, **more)


def test_polygons_hold_the_pixels_inside_them(tmp_path: Path) -> None:
    """Against matplotlib's point-in-polygon; corners are rounded to pixels, so that borders may differ."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        angles = np.sort(rng.random(rng.integers(3, 9)) * 2 * np.pi)
        points = np.stack([40 + 35 * np.cos(angles), 30 + 25 * np.sin(angles)], 1) * rng.uniform(0.9, 1.1)
        drawn = _drawn(tmp_path, {"label": "dog", "points": points.tolist()}) == 2
        centres = np.stack([XS.ravel(), YS.ravel()], 1)
        ends = np.roll(points, -1, 0)
        along = ends - points
        place = ((centres[:, None] - points) * along).sum(-1) / (along**2).sum(-1)
        nearest = points + place.clip(0, 1)[..., None] * along
        far = np.linalg.norm(nearest - centres[:, None], axis=-1).min(1) > 2
        inside = Outline(points).contains_points(centres)
        np.testing.assert_array_equal(drawn.ravel()[far], inside[far])


def test_an_outline_that_crosses_itself_has_holes(tmp_path: Path) -> None:
    ring = [[5, 5], [60, 5], [60, 50], [5, 50], [5, 5], [20, 20], [40, 20], [40, 40], [20, 40], [20, 20]]
    drawn = _drawn(tmp_path, {"label": "cat", "points": ring})
    assert drawn[30, 30] == 0
    assert drawn[10, 30] == drawn[45, 50] == 1


def test_circles_and_rectangles(tmp_path: Path) -> None:
    circle = {"label": "cat", "shape_type": "circle", "points": [[40, 30], [40, 45]]}
    radius = np.hypot(XS - 40, YS - 30)
    drawn = _drawn(tmp_path, circle)
    assert (drawn[radius < 14] == 1).all()
    assert (drawn[radius > 16] == 0).all()
    rectangle = {"label": "dog", "shape_type": "rectangle", "points": [[30, 40], [10, 20]]}
    drawn = _drawn(tmp_path, rectangle)
    assert (drawn[20:41, 10:31] == 2).all()
    assert np.count_nonzero(drawn) == 21 * 21
    outside = {"label": "dog", "shape_type": "rectangle", "points": [[-20, -20], [9, 9]]}
    assert np.count_nonzero(_drawn(tmp_path, outside)) == 100


@pytest.mark.parametrize(("left", "top"), [(3, 4), (-2, -1), (75, 57)])
def test_pixel_masks(tmp_path: Path, left: int, top: int) -> None:
    small = np.random.default_rng(0).random((6, 7)) < 0.5
    buffer = io.BytesIO()
    Image.fromarray(small.astype(np.uint8) * 255).save(buffer, format="PNG")
    shape = {
        "label": "cat",
        "shape_type": "mask",
        "points": [[left, top], [left + 6, top + 5]],
        "mask": base64.b64encode(buffer.getvalue()).decode(),
    }
    expected = np.zeros((80, 100), np.uint8)
    expected[10 + top : 16 + top, 10 + left : 17 + left] = small
    np.testing.assert_array_equal(_drawn(tmp_path, shape), expected[10:70, 10:90])


def test_the_later_shape_lies_above(tmp_path: Path) -> None:
    large = {"label": "cat", "shape_type": "rectangle", "points": [[5, 5], [50, 50]]}
    small = {"label": "dog", "shape_type": "rectangle", "points": [[10, 10], [20, 20]]}
    assert _drawn(tmp_path, small, large)[15, 15] == 1
    assert _drawn(tmp_path, large, small)[15, 15] == 2
    assert _drawn(tmp_path, small, large, overlap="smaller")[15, 15] == 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"label": "cow"}, "the class 'cow' has no row in classes.csv"),
        ({"label": " "}, "shape 1 has no label"),
        ({"label": None}, "shape 1 has no label"),
        ({"shape_type": "line", "points": [[1, 2], [3, 4]]}, "'cat' is a line, a shape without area"),
        ({"shape_type": "cube"}, "'cat' is a cube, of an unknown kind"),
        ({"points": [[1, 2], [3, 4]]}, "'cat' is a polygon of 2 points"),
        ({"shape_type": "circle", "points": [[1, 2]]}, "'cat' is a circle of 1 points"),
        ({"points": [[1, 2], [3, "x"]]}, "points that are no pairs of numbers"),
        ({"points": None}, "points that are no pairs of numbers|polygon of"),
        ({"points": [[1, 2], [3, 4], [900, 4]]}, "x=900, y=4, far outside an image of 80x60"),
        ({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "?"}, "the mask of 'cat' is no picture"),
        ({"shape_type": "mask", "points": [[1, 2], [3, 4]]}, "the mask of 'cat' is no picture"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _drawn(tmp_path, {**square(), **shape})


def test_points_and_lines_may_be_passed_over(tmp_path: Path) -> None:
    point = {"label": "cow", "shape_type": "point", "points": [[1, 2]]}
    assert set(np.unique(_drawn(tmp_path, point, square(), skip_without_area=True))) == {0, 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "imageHeight and imageWidth are None and None; open and save it in LabelMe"),
        ('{"imageHeight": 4, "imageWidth": 4}', "has no shapes: it is no LabelMe file"),
        ("[", "no JSON"),
    ],
)
def test_no_labelme_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labelme(tmp_path / "a.json", VALUES)


def test_a_folder_of_outlines_is_a_data_set(tmp_path: Path) -> None:
    for name in pictures(tmp_path, 3, ".jpg"):
        labelme_file((tmp_path / name).with_suffix(".json"), square("cat"))
    pictures(tmp_path / "more", 2)
    labelme_file(tmp_path / "more" / "000.json", square("dog"))
    table(tmp_path, "background", "cat", "dog")
    (tmp_path / "aucseg.yaml").write_text('layout: labelme\nimages: "{name}.*"\nmasks: "{name}.json"\n')
    (tmp_path / "more" / "001.png").unlink()
    report = resolve(tmp_path).verify()
    assert report.ok, report.problems
    assert report.layout == "labelme"
    data = open_dataset(tmp_path, split="all")
    before = data.fingerprint()
    assert data.names == ("000", "001", "002", "more/000")
    image, mask = data[3]
    assert image.shape == (3, HEIGHT, WIDTH)
    assert mask.unique().tolist() == [0, 2]
    state = resolve(tmp_path).masks("all").state(data.files[0][1])
    (tmp_path / "aucseg.yaml").write_text(
        'layout: labelme\nimages: "{name}.*"\nmasks: "{name}.json"\noverlap: smaller\n'
    )
    assert open_dataset(tmp_path, split="all").fingerprint() != before
    assert resolve(tmp_path).masks("all").state(data.files[0][1]) != state

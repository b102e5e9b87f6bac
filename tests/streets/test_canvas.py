"""Coverage and labels of what is painted, and noise without a seam."""

from __future__ import annotations

import numpy as np
import pytest

from aucseg.streets.canvas import TILE, Canvas, TrainId, planes, tile


def test_a_canvas_of_labels_alone_makes_no_colour() -> None:
    def never() -> np.ndarray:
        raise AssertionError("a colour was made")

    labels, both = Canvas(8, 9, colours=False), Canvas(8, 9)
    for canvas in (labels, both):
        patch = canvas.patch(1, 1, 6, 5)
        assert patch is not None
        patch.fill(
            patch.box(1.2, 1.4, 5.3, 4.6), never if canvas is labels else planes((1, 0, 1)), TrainId.CAR
        )
        patch.darken(np.ones((1, 1)))
    assert labels.rgb is None
    assert np.array_equal(labels.mask, both.mask)
    assert set(np.unique(both.mask)) == {TrainId.CAR, TrainId.VOID}


def test_coverage_of_shapes_is_their_area() -> None:
    canvas = Canvas(40, 60)
    patch = canvas.patch(0, 0, 60, 40)
    assert patch is not None
    assert patch.box(10.25, 5.5, 30.75, 20.0).sum() == pytest.approx(20.5 * 14.5)
    assert patch.ellipse(30.2, 20.3, 12, 12).sum() == pytest.approx(np.pi * 144, rel=0.01)
    triangle = patch.polygon([(10, 30), (30, 5), (50, 30)])
    assert triangle.sum() == pytest.approx(0.5 * 40 * 25, rel=0.02)
    stroke = patch.capsules(np.array([[15.0, 10.0, 40.0, 28.0]]), np.array([3.0]))[0]
    assert stroke.sum() == pytest.approx(np.hypot(25, 18) * 6 + np.pi * 9, rel=0.01)


@pytest.mark.parametrize("kind", ["cloud", "leaf", "grain", "hash"])
def test_noise_tiles_repeat_without_a_seam(kind: str) -> None:
    noise = tile(kind)
    assert noise.shape == (TILE, TILE)
    assert 0 <= noise.min() < noise.max() <= 1
    assert abs(noise.mean() - 0.5) < 0.1
    inside = np.abs(np.diff(noise, axis=1)).mean()
    seam = np.abs(noise[:, 0] - noise[:, -1]).mean()
    assert seam < 2 * inside + 1e-3

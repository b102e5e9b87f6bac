"""Colours that were made up are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from aucseg.data.palette import distinct_colors, views


def test_lab_of_known_colours() -> None:
    """Values of CIELAB under D65 as textbooks print them; grays look the same to everybody."""
    normal, protan, deutan = views(np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)]))
    expected = [(53.24, 80.09, 67.20), (87.74, -86.18, 83.18), (32.30, 79.19, -107.86), (53.59, 0, 0)]
    np.testing.assert_allclose(normal, expected, atol=0.05)
    for sight in (protan, deutan):
        np.testing.assert_allclose(sight[3], normal[3], atol=0.01)
        # red and green lie on one side of the yellow-blue axis, which is all that is left of the hues
        assert np.linalg.norm(sight[0] - sight[1]) < 0.6 * np.linalg.norm(normal[0] - normal[1])


@pytest.mark.parametrize(("number", "least"), [(8, 33), (12, 28), (20, 19), (40, 11)])
def test_colours_differ_for_everybody(number: int, least: float) -> None:
    """A difference of 2.3 is just seen."""
    colors = np.array([*distinct_colors(number), (0, 0, 0), (255, 255, 255)])
    seen = views(colors)
    apart = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1)
    apart[:, np.eye(len(colors), dtype=bool)] = np.inf
    assert apart.min() > least


def test_colours_are_the_same_every_time() -> None:
    assert distinct_colors(2) == ((0, 0, 255), (255, 255, 0))
    everything = distinct_colors(255)
    assert len(set(everything)) == 255
    assert distinct_colors(9) == everything[:9]
    with pytest.raises(ValueError, match="from 0 to 255 colours, got 256"):
        distinct_colors(256)

"""Draws with the right frequencies, and classes that are spread evenly over the images."""

from __future__ import annotations

import numpy as np

from aucseg.data.spec import load_spec
from aucseg.streets.draw import Draw, draw_presence

SPEC = load_spec("cityscapes")


def test_draws_are_uniform_and_weighted() -> None:
    draw = Draw(0, 0)
    picks = [draw.weighted("abc", (1, 2, 5)) for _ in range(4000)]
    np.testing.assert_allclose([picks.count(c) / 4000 for c in "abc"], [0.125, 0.25, 0.625], atol=0.03)
    integers = [draw.integer(2, 4) for _ in range(3000)]
    assert set(integers) == {2, 3, 4}
    assert Draw(0, 0).unit() != Draw(0, 0, stream=1).unit()


def test_presence_is_even_over_any_run_of_indices() -> None:
    for start in (0, 777):
        rows = [draw_presence(5, start + i, SPEC.image_share) for i in range(400)]
        presence = np.array([[k in row for k in range(19)] for row in rows]).mean(axis=0)
        np.testing.assert_allclose(presence, SPEC.image_share, atol=0.025)

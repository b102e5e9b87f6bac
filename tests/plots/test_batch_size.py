"""The batch that Proposition 1 asks for, drawn over the presence of the rarest class."""

from __future__ import annotations

import numpy as np
import pytest

from aucseg.longtail import load_statistics
from aucseg.plots import batch_size_curves
from aucseg.theory import minimum_batch_size


def test_points_lie_on_their_curves() -> None:
    city = load_statistics("cityscapes")
    (ax,) = batch_size_curves({"Cityscapes": city}, 0.01).axes
    curve, point, alone = ax.lines
    size = minimum_batch_size(19, 0.01, float(city.image_share.min()))
    assert point.get_xydata().tolist() == [[pytest.approx(100 * city.image_share.min()), size]]
    x, y = curve.get_data()
    assert size - 1 < np.interp(point.get_xdata(), x, y)[0] < size + 1
    assert (alone.get_ydata() < y).all()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"Cityscapes, K = 19: {size}",
        "needed for one class alone",
    ]

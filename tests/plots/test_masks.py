from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch

from aucseg import plots
from aucseg.data import load_spec

SPEC = load_spec("cityscapes")


def test_colorize_is_the_colour_of_each_class():
    mask = torch.tensor([[0, 13], [255, 200]], dtype=torch.uint8)
    expected = [[SPEC.colors[0], SPEC.colors[13]], [(0, 0, 0), (0, 0, 0)]]
    assert plots.colorize(mask, SPEC).tolist() == np.array(expected).tolist()


def test_to_rgb_takes_both_orders():
    image = torch.arange(24, dtype=torch.uint8).view(3, 2, 4)
    assert np.array_equal(plots.to_rgb(image), image.permute(1, 2, 0).numpy())
    assert np.array_equal(plots.to_rgb(plots.to_rgb(image)), image.permute(1, 2, 0).numpy())


def test_grid_shows_each_picture_in_its_place():
    pictures = [[np.full((2, 4, 3), 10 * r + c, np.uint8) for c in range(2 + r)] for r in range(2)]
    figure = plots.image_grid(pictures, titles=["a", "b"], row_labels=["x", "y"])
    shown = [int(ax.images[0].get_array()[0, 0, 0]) if ax.images else None for ax in figure.axes]
    assert shown == [0, 1, None, 10, 11, 12]


def test_legend_marks_the_tail():
    _, ax = plt.subplots()
    plots.class_legend(ax, SPEC)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "motorcycle*" in labels
    assert "road" in labels

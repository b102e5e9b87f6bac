"""Pictures of the bank show what it did."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from aucseg import plots
from aucseg.data import load_spec
from aucseg.memory import TailMemoryBank
from aucseg.plots.bank import PASTED_COLOR

SPEC = load_spec("cityscapes")


@pytest.fixture
def batch():
    """Two images: the first holds a truck and a bus, the second neither."""
    images = torch.randint(0, 255, (2, 3, 20, 30), dtype=torch.uint8, generator=torch.manual_seed(0))
    target = torch.zeros(2, 20, 30, dtype=torch.long)
    target[0, 2:8, 3:9] = 14
    target[0, 10:14, 12:20] = 15
    return images, target


@pytest.fixture
def bank():
    return TailMemoryBank(
        (14, 15, 16), memory_size=2, sample_ratio=1.0, resize_ratio=1.0, generator=torch.Generator()
    )


def test_a_cutout_is_the_object_and_nothing_else(batch, bank):
    bank(*batch)
    image, mask = bank.objects()[14][0]
    picture = plots.cutout(image, mask)
    assert picture.shape == (6, 6, 4)
    assert np.array_equal(picture[..., :3], batch[0][0, :, 2:8, 3:9].permute(1, 2, 0).numpy())
    assert np.array_equal(picture[..., 3] == 255, mask.numpy())
    half = plots.cutout(torch.full((3, 1, 1), 0.5), torch.zeros(1, 1, dtype=torch.bool))
    assert half.ravel().tolist() == [128, 128, 128, 0]


def test_a_cutout_may_be_three_pixels_wide():
    image = torch.arange(3 * 8 * 3, dtype=torch.uint8).reshape(3, 8, 3)
    picture = plots.cutout(image, torch.ones(8, 3, dtype=torch.bool))
    assert picture.shape == (8, 3, 4)
    assert (picture[..., :3] == image.permute(1, 2, 0).numpy()).all()


def test_an_outline_surrounds_what_was_pasted(batch, bank):
    after_images, after = bank(*batch)
    _, ax = plt.subplots()
    plots.outlined(ax, after_images[1], batch[1][1], after[1], title="second")
    changed = np.argwhere((after[1] != batch[1][1]).numpy())
    points = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    assert points[:, 0].min() == changed[:, 1].min() - 0.5
    assert points[:, 0].max() == changed[:, 1].max() + 0.5
    assert points[:, 1].min() == changed[:, 0].min() - 0.5
    assert points[:, 1].max() == changed[:, 0].max() + 0.5
    assert ax.get_title() == "second"


def test_nothing_pasted_has_no_outline(batch):
    _, ax = plt.subplots()
    plots.outlined(ax, batch[0][0], batch[1][0], batch[1][0])
    assert not ax.collections


def test_a_shelf_has_a_place_for_each_object(batch, bank):
    bank(*batch)
    bank(*batch)
    _, ax = plt.subplots()
    plots.shelf(ax, bank.objects(), SPEC, slots=2)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["truck", "bus", "train"]
    assert len(ax.patches) == 6
    assert len(ax.images) == 4  # two trucks, two buses, no train
    truck = ax.images[0]
    assert truck.get_zorder() > ax.patches[0].get_zorder()  # a picture behind its place would not be seen
    left, right, bottom, top = truck.get_extent()
    assert 0 < left < right < 1
    assert 0 < top < bottom < 1


def test_the_overview_says_what_was_missing_and_pasted(batch, bank):
    after = bank(*batch)
    figure = plots.bank_overview(batch, after, bank.objects(), SPEC, slots=2)
    titles = [ax.get_title() for ax in figure.axes]
    assert "misses train" in titles
    assert "misses truck, bus, train" in titles
    assert "pasted truck, bus" in titles
    assert "pasted nothing" in titles  # the first image misses a train only, and no train is stored


def test_the_grid_has_a_cell_for_each_class_and_a_cross_for_each_lack():
    before = np.zeros((2, 19), bool)
    before[:, 0] = before[0, 14] = True
    after = before.copy()
    after[1, 15] = True
    figure = plots.presence_grid({"a": (before, before), "b": (before, after)}, SPEC)
    first, second = figure.axes[:2]
    assert len(first.patches) == 3
    assert len(second.patches) == 4
    assert len(first.lines) == 17
    assert len(second.lines) == 16
    pasted = [
        p
        for p in second.patches
        if np.allclose(p.get_facecolor()[:3], plt.matplotlib.colors.to_rgb(PASTED_COLOR))
    ]
    assert len(pasted) == 1
    order = [tick.get_text() for tick in second.get_xticklabels()]
    assert order[int(pasted[0].get_x())] == "bus"


def test_a_filmstrip_has_two_pictures_for_each_step(batch, bank):
    frames = []
    for _ in range(3):
        images, target = bank(*batch)
        frames.append((batch[0][1], batch[1][1], images[1], target[1]))
    figure = plots.filmstrip(frames, labels=["1", "2", "3"])
    assert len(figure.axes) == 6
    assert [ax.get_title() for ax in figure.axes[:3]] == ["1", "2", "3"]
    assert np.array_equal(figure.axes[3].images[0].get_array(), frames[0][2].permute(1, 2, 0).numpy())

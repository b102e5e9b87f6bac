"""Colours that mean the same everywhere, for everyone."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from aucseg.experiments import EXPERIMENTS, list_methods
from aucseg.plots import ARM_COLORS, GROUP_COLORS, METHOD_LOOKS, arm_looks
from aucseg.plots.style import DARK
from tests.repository import ROOT

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
_SEEN_BY = {
    "all": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopes": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def _linear(color: str) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB under D65."""
    xyz = _XYZ @ linear.clip(0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_lab_of_white_and_red() -> None:
    assert _lab(_linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.02)
    assert _lab(_linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


_LIGHT = {"arms": ARM_COLORS, "groups": tuple(GROUP_COLORS.values())}
_PALETTES = _LIGHT | {f"{n}, dark": tuple(DARK.get(c, c) for c in p) for n, p in _LIGHT.items()}
_PAGE = "#14181e"


@pytest.mark.parametrize("seen_by", _SEEN_BY)
@pytest.mark.parametrize("palette", _PALETTES.values(), ids=_PALETTES)
def test_any_two_colours_of_a_palette_can_be_told_apart(palette: tuple[str, ...], seen_by: str) -> None:
    seen = {color: _lab(_SEEN_BY[seen_by] @ _linear(color)) for color in palette}
    near = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(palette, 2)}
    assert min(near.values()) >= 15, min(near, key=near.__getitem__)


@pytest.mark.parametrize("color", [c for name in _PALETTES if "dark" in name for c in _PALETTES[name]])
def test_every_colour_is_seen_on_a_dark_page(color: str) -> None:
    """Three to one, what WCAG 2.1 asks of graphics (1.4.11)."""
    bright, dark = (float(_linear(c) @ np.array([0.2126, 0.7152, 0.0722])) + 0.05 for c in (color, _PAGE))
    assert bright / dark >= 3


def test_the_style_of_the_pages_says_what_becomes_of_them() -> None:
    style = (ROOT / "book" / "_static" / "custom.css").read_text(encoding="utf-8")
    said = dict(re.findall(r"--aucseg-([0-9a-f]{6}): (#[0-9a-f]{6});", style))
    assert said == {color[1:]: dark for color, dark in DARK.items()}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_a_method_looks_the_same_in_every_table(experiment) -> None:
    """However many arms there are: none is taken for the baseline, no two look the same."""
    arms = [arm.name for arm in experiment.arms]
    looks = arm_looks(arms, experiment.baseline)
    assert list(looks) == arms
    assert len(set(looks.values())) == len(arms)
    for arm, (color, marker) in looks.items():
        assert (color == ARM_COLORS[0]) == (arm == experiment.baseline)
        if arm in METHOD_LOOKS and arm != experiment.baseline:
            assert (color, marker) == (ARM_COLORS[METHOD_LOOKS[arm][0]], METHOD_LOOKS[arm][1])


def test_looks_are_of_methods_that_there_are() -> None:
    known = {arm.name for experiment in EXPERIMENTS.values() for arm in experiment.arms} | {*list_methods()}
    assert set(METHOD_LOOKS) <= known
    assert METHOD_LOOKS["both"] == METHOD_LOOKS["aucseg"]  # two names of one method


def test_no_two_methods_share_a_colour() -> None:
    """Several names of one method have one look; different methods differ in the colour alone."""
    looks = set(METHOD_LOOKS.values())
    assert len({color for color, _ in looks}) == len(looks)
    assert 0 not in {color for color, _ in looks}  # the baseline's


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_arms_share_a_colour_only_where_there_are_more_of_them(experiment) -> None:
    looks = arm_looks([arm.name for arm in experiment.arms], experiment.baseline)
    colors = {color for color, _ in looks.values()}
    most = len(ARM_COLORS) - (experiment.baseline not in looks)
    assert len(colors) == min(len(looks), most)


def test_few_arms_have_a_colour_each() -> None:
    looks = arm_looks(["baseline", "auc", "x", "y", "z", "bank", "w"], "baseline")
    assert len({color for color, _ in looks.values()}) == len(looks)

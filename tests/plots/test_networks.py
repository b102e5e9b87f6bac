"""A picture of a network can be read: nothing lies on anything else."""

from __future__ import annotations

from functools import cache
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from aucseg import plots
from aucseg.models import Block, Edge, Output, Structure
from aucseg.plots.diagram.inches import Inches
from aucseg.plots.diagram.labels import FONT_SIZE, channels, kind_lines, label, short_name
from aucseg.plots.diagram.layout import arrange
from aucseg.plots.diagram.routing import routes, slots
from tests.models.structures import NAMES, structure

PAGE = 8.0


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@cache
def drawn(name):
    """Grid, arrows and inches of a network's picture."""
    found = structure(name)
    grid = arrange(found)
    ways = routes(found, grid)
    return grid, ways, Inches(grid, ways, {block.name: label(block, found) for block in found.blocks})


def overlap(one, other):
    """Whether two rectangles have more than a line in common."""
    return min(one.right, other.right) - max(one.left, other.left) > 1e-9 and (
        min(one.lower, other.lower) - max(one.upper, other.upper) > 1e-9
    )


@pytest.mark.parametrize("name", NAMES)
def test_boxes_do_not_overlap(name):
    _, _, inches = drawn(name)
    frames = {block.name: inches.frame(block.name) for block in structure(name).blocks}
    for one, other in combinations(frames, 2):
        assert not overlap(frames[one], frames[other]), (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_no_arrow_runs_through_a_box(name):
    _, ways, inches = drawn(name)
    for way in ways:
        points = inches.points(way)
        for (x0, y0), (x1, y1) in pairwise(points):
            assert x0 == pytest.approx(x1) or y0 == pytest.approx(y1)
            left, right, upper, lower = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
            for block in structure(name).blocks:
                box = inches.frame(block.name)
                clear = left >= box.right or right <= box.left or upper >= box.lower or lower <= box.upper
                # it starts and ends at an edge, give or take the last bit
                inner = (
                    min(right, box.right) - max(left, box.left),
                    min(lower, box.lower) - max(upper, box.upper),
                )
                assert clear or min(inner) < 1e-9 < 1e-6 > max(0, min(inner)), (way, block.name)
        (_, start), (_, end) = points[0], points[-1]
        source, target = inches.frame(way.source), inches.frame(way.target)
        assert source.upper <= start <= source.lower
        assert target.upper <= end <= target.lower


@pytest.mark.parametrize("name", NAMES)
def test_arrows_of_different_data_do_not_lie_on_each_other(name):
    _, ways, inches = drawn(name)
    lines = [(way.net, *sorted(piece)) for way in ways for piece in pairwise(inches.points(way))]
    for (net, a, b), (other, c, d) in combinations(lines, 2):
        if net == other:
            continue
        for level in (0, 1):  # both upright, or both flat
            along = 1 - level
            if (
                {a[level], b[level]} == {a[level]}
                and abs(c[level] - a[level]) < 0.02
                and c[level] == d[level]
            ):
                shared = min(max(a[along], b[along]), max(c[along], d[along])) - max(
                    min(a[along], b[along]), min(c[along], d[along])
                )
                assert shared < 0.02, (net, other, level)


@pytest.mark.parametrize("name", NAMES)
def test_there_is_an_arrow_for_each_edge(name):
    found = structure(name)
    _, ways, _ = drawn(name)
    assert {(way.source, way.target) for way in ways} == {(edge.source, edge.target) for edge in found.edges}


@pytest.mark.parametrize("name", NAMES)
def test_columns_follow_the_flow_and_rows_the_resolution(name):
    found = structure(name)
    grid, _, inches = drawn(name)
    for edge in found.edges:
        source, target = grid.places[edge.source], grid.places[edge.target]
        assert source.column <= target.column
        if source.column == target.column:
            down = inches.frame(edge.source).lower < inches.frame(edge.target).upper
            assert down or edge.target == "logits"
    maps = [stride for stride in grid.strides if stride is not None]
    assert maps == sorted(maps)
    for block in found.blocks:
        place = grid.places[block.name]
        assert all(grid.strides[lane] == stride for stride, lane in place.rows.items())
        assert {output.stride for output in block.outputs} - set(place.rows) <= {None}


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_page_and_can_be_read(name):
    found = structure(name)
    figure = plots.network_diagram(found, title=found.network)
    assert figure.get_figwidth() <= PAGE
    (ax,) = figure.axes
    renderer = figure.canvas.get_renderer()
    assert min(text.get_fontsize() for text in ax.texts) == FONT_SIZE == 7
    areas = [text.get_window_extent(renderer) for text in ax.texts]
    for one, other in combinations(areas, 2):
        assert (
            one.xmax <= other.xmin
            or other.xmax <= one.xmin
            or one.ymax <= other.ymin
            or other.ymax <= one.ymin
        )
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(found.blocks)
    frames = [box.get_window_extent(renderer) for box in boxes]
    for area in areas:
        inside = [
            f
            for f in frames
            if f.xmin < area.x0 + area.width / 2 < f.xmax and f.ymin < area.y0 + area.height / 2 < f.ymax
        ]
        assert all(f.xmin <= area.xmin and area.xmax <= f.xmax for f in inside)
        assert len(inside) < 2
    legend = ax.get_legend().get_window_extent(renderer)
    assert all(legend.ymax <= frame.ymin for frame in frames)
    assert legend.width < figure.bbox.width


def test_colours_and_dashes():
    found = structure("encnet")
    figure = plots.network_diagram(found)
    (ax,) = figure.axes
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    colors = {}
    for block, box in zip(found.blocks, boxes, strict=True):
        colors.setdefault(block.role, set()).add(to_hex(box.get_facecolor()))
        assert (box.get_linestyle() == "--") == (block.role == "auxiliary")
    assert all(len(color) == 1 for color in colors.values())
    assert len(set.union(*(colors[r] for r in ("encoder", "decoder", "head", "auxiliary", "image")))) == 5
    dashed = [p for p in ax.patches if isinstance(p, FancyArrowPatch) and p.get_linestyle() == "--"]
    assert len(dashed) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "encoder",
        "decoder",
        "head",
        "auxiliary: training only",
    ]


def test_a_loss_of_its_own_is_explained():
    figure = plots.network_diagram(structure("ocrnet"))
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["encoder", "decoder", "head", "dashed: a loss of its own"]


@pytest.mark.parametrize("name", NAMES)
def test_alternative_text_has_every_block(name):
    found = structure(name)
    text = plots.network_alt_text(found)
    assert text.startswith(f"Diagram of {found.network}. Encoder: ")
    for block in found.blocks:
        assert block.role in ("image", "logits") or f"{short_name(block, found)} (" in text
    assert "Head: segmentation_head (" in text


def test_alternative_text_of_a_network():
    text = plots.network_alt_text(structure("encnet"))
    assert "layer3 (2 × basic block, 256 at 1/8) from layer2" in text
    assert "encoding (32 × 128 at no map) from project" in text
    assert "Auxiliary: training only: fcn (3×3 conv, 1×1 conv, 4 at 1/8) from layer3" in text
    assert text.endswith("The logits come from segmentation_head.")


def test_names_are_as_short_as_they_can_be():
    found = structure("ocrnet")
    names = {block.name: short_name(block, found) for block in found.blocks}
    assert names["decoder.mix"] == "mix"
    assert names["decoder.fusion.mix"] == "fusion.mix"
    assert names["encoder.model.stage2 1/4–1/8"] == "stage2"
    found = structure("fastfcn")
    names = {block.name: short_name(block, found) for block in found.blocks}
    assert names["decoder.2"] == "decoder.2"
    assert names["decoder.1.blocks.3"] == "blocks.3"
    assert names["decoder.0 concatenation"] == "concat"


def test_what_is_said_of_a_block():
    outputs = (Output((8, 4, 6), 4), Output((9, 4, 6), 4), Output((16, 2, 3), 8), Output((5, 7), None))
    block = Block("decoder.object_context", "object context", "decoder", outputs)
    assert channels(block) == ["8, 9", "16", "5 × 7"]
    assert kind_lines(block) == []  # as its name


def test_lines_of_a_channel_cross_as_little_as_they_can():
    """The one that goes furthest up turns nearest to the target, if both come from below."""
    near, far = ("near", 8), ("far", 16)
    assert slots({near: ([3.5], [1.5]), far: ([4.5], [1.6])}) == {near: 0, far: 1}
    assert slots({near: ([0.5], [1.5]), far: ([2.5], [3.5])}) == {near: 0, far: 0}


def test_a_detour_round_a_box():
    """From first to third in one row, with second between them: past it, not through it."""
    size = Output((4, 8, 16), 4)
    names = ("image", "encoder.a 1/4", "decoder.b", "decoder.c", "logits")
    roles = ("image", "encoder", "decoder", "decoder", "logits")
    strides = (Output((3, 32, 64), 1), size, size, size, Output((3, 32, 64), 1))
    found = Structure(
        "Detour",
        (32, 64),
        tuple(Block(n, n, r, (o,)) for n, r, o in zip(names, roles, strides, strict=True)),
        (
            *(Edge(a, b, o) for (a, b), o in zip(pairwise(names), strides, strict=False)),
            Edge(names[1], names[3], size),
        ),
    )
    grid = arrange(found)
    assert [grid.places[name].column for name in names] == [0, 0, 1, 2, 2]
    ways = {(way.source, way.target): way for way in routes(found, grid)}
    assert ways[names[1], names[2]].bends == []
    assert len(ways[names[1], names[3]].bends) == 4
    assert ways["image", names[1]].upright
    assert ways[names[3], "logits"].upright

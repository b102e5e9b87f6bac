"""A network's graph is what the network does, and its picture can be read: nothing lies on anything else."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import networkx as nx
import pytest
import torch
import torch.nn.functional as F
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aucseg.models import create_model, list_models, small_options
from aucseg.models.registry import NETWORKS
from aucseg.plots.anatomy import network_alt_text, network_diagram, network_graph

CLASSES = 4
SIZE = (160, 224)
#: The thirteen of AUCSeg's Table 1, and two more of smp.
NAMES = ("deeplabv3plus", *NETWORKS, "unet", "fpn")
VIT = {"encoder": "tu-vit_tiny_patch16_224", "dynamic_img_size": True, "decoder_fusion_channels": 32}
#: Parameters that these encoders have and no module reads that they call.
IDLE = {
    "pspnet": ("encoder.layer3", "encoder.layer4"),
    "dpt": tuple(f"encoder.model.{part}" for part in ("cls_token", "pos_embed", "norm.", "head.")),
}
EXTRA = "auxiliary: training only"


def small(name, device="meta"):
    """The smallest variant of a network on a device."""
    torch.manual_seed(0)
    with torch.device("cpu" if name == "dpt" else device):
        return create_model(name, num_classes=CLASSES, **(VIT if name == "dpt" else small_options(name)))


@cache
def graph_of(name):
    """Graph of the smallest variant of a network."""
    return network_graph(small(name))


def roles(graph, role):
    return {node for node, found in graph.nodes("role") if found == role}


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_drawn_and_no_parameter_is_lost(name):
    found = graph_of(name)
    sizes = {path: parameter.numel() for path, parameter in small(name).named_parameters()}
    assert found.graph["parameters"] == sum(sizes.values())
    counted = sum(parameters for _, parameters in found.nodes("parameters"))
    assert counted == sum(size for path, size in sizes.items() if not path.startswith(IDLE.get(name, "-")))
    figure = network_diagram(found, title=name)
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(found)
    plt.close(figure)


@pytest.mark.parametrize("name", NAMES)
def test_data_flows_from_the_image_to_the_logits(name):
    found = graph_of(name)
    order = list(found)
    assert nx.is_directed_acyclic_graph(found)
    assert (order[0], roles(found, "logits")) == ("image", {"logits"})
    assert all(order.index(source) < order.index(target) for source, target in found.edges)
    assert nx.descendants(found, "image") == set(order[1:])
    assert nx.ancestors(found, "logits") == set(order) - {"logits"} - roles(found, EXTRA)
    for source, _, strides in found.edges(data="strides"):
        assert set(strides) <= set(found.nodes[source]["outputs"])


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_there_in_training_only(name):
    network, found = small(name), graph_of(name)
    assert roles(found, EXTRA) == {f"auxiliary_heads.{head}" for head in network.auxiliary_heads}
    assert {loss for _, losses in found.nodes("losses") for loss in losses} == set(network.auxiliary)
    for node in roles(found, EXTRA):
        assert found.nodes[node]["losses"] == [node.removeprefix("auxiliary_heads.")]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_modules(name):
    """Hooks on a network that computes see the channels and sizes that the blocks have."""
    network, found, seen = small(name, "cpu").train(), graph_of(name), {}
    modules = dict(network.named_modules())
    for node in set(found) & set(modules):
        modules[node].register_forward_hook(lambda m, args, out, node=node: seen.setdefault(node, out))
    with torch.no_grad():
        network(torch.randn(2, 3, *SIZE))
    for node, out in seen.items():
        outputs = found.nodes[node]["outputs"]
        tensors = [out] if isinstance(out, Tensor) else out if isinstance(out, list | tuple) else []
        maps = {SIZE[0] // t.shape[2]: str(t.shape[1]) for t in tensors if t.ndim == 4 and t.shape[2] > 1}
        for stride in set(maps) & set(outputs):
            assert outputs[stride] == maps[stride], node
        if tensors and isinstance(out, Tensor) and math.inf not in outputs:
            assert set(outputs) == set(maps), node


@pytest.mark.parametrize("name", NAMES)
def test_blocks_do_all_the_work(name):
    """But for the means of regions, which OCRNet takes between its blocks."""
    network, found = small(name).eval(), graph_of(name)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, *SIZE, device="meta"))
    assert found.graph["multiply_adds"] == counter.get_total_flops() // 2
    done = sum(found.nodes[node]["multiply_adds"] for node in set(found) - roles(found, EXTRA))
    between = 128 * CLASSES * (SIZE[0] // 4) * (SIZE[1] // 4) if name == "ocrnet" else 0
    assert done == found.graph["multiply_adds"] - between


def test_a_network_is_left_as_it_was():
    network = small("emanet", "cpu").train()
    network.encoder.eval()
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    random = torch.get_rng_state()
    found = network_graph(network)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert nx.utils.graphs_equal(found, graph_of("emanet"))  # which was read off one on the meta device


def test_skip_connections_of_unet():
    found = graph_of("unet")
    skips = ("layer3", "layer2", "layer1", "conv1")
    assert all(found.has_edge(f"encoder.{stage}", f"decoder.blocks.{i}") for i, stage in enumerate(skips))
    assert [min(found.nodes[node]["outputs"]) for node in found if node in roles(found, "decoder")] == [
        *(16, 8, 4, 2, 1)
    ]


def test_danet_adds_two_branches():
    found = graph_of("danet")
    assert {"decoder.position.2", "decoder.channel.2"} == set(found.predecessors("segmentation_head"))
    assert found.nodes["decoder.position.1"]["kind"] == "position attention"


def test_hrnet_has_four_resolutions_at_once():
    stage = graph_of("hrnet").nodes["encoder.model.stage4"]
    assert stage["outputs"] == {4: "16", 8: "32", 16: "64", 32: "128"}
    assert stage["kind"] == "high resolution module"


def test_pointrend_goes_two_ways_to_the_logits():
    """In evaluation the point head has the last word; training ends with the coarse logits."""
    found = graph_of("pointrend")
    assert set(found.predecessors("logits")) == {"segmentation_head", "point_head"}
    assert found.nodes["point_head"]["losses"] == ["points"]
    assert found.nodes["point_head"]["role"] == "head"


def test_ocrnet_learns_its_regions():
    found = graph_of("ocrnet")
    assert found.nodes["decoder.regions"]["losses"] == ["regions"]
    assert found.has_edge("decoder.regions", "decoder.context")


def test_three_stages_at_one_resolution():
    found = graph_of("dnlnet")
    stages = [node for node in roles(found, "encoder") if set(found.nodes[node]["outputs"]) == {8}]
    assert sorted(stages) == ["encoder.layer2", "encoder.layer3", "encoder.layer4"]


class _Encoder(nn.Module):
    out_channels = (3, 4, 8)

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Conv2d(4, 8, 3, stride=2, padding=1)

    def forward(self, x):
        first = self.first(x)
        return [x, first, F.relu(self.second(first))]


class _Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Conv2d(8, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.left = nn.Conv2d(8, 4, 1)
        self.right = nn.Conv2d(8, 4, 1)
        self.out = nn.Conv2d(8, 6, 1)

    def forward(self, features):
        up = self.norm(self.up(F.interpolate(features[2], scale_factor=2.0)))
        both = torch.cat([up, features[1]], dim=1)
        return self.out(torch.cat([self.left(both), self.right(both).sigmoid()], dim=1))


class _Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = _Encoder(), _Decoder(), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        return F.interpolate(self.head(self.decoder(self.encoder(x))), scale_factor=2.0)


def test_a_network_worked_by_hand():
    found = network_graph(_Tiny())
    assert [
        tuple(data[key] for key in ("name", "kind", "role", "parameters")) for data in found.nodes.values()
    ] == [
        ("image", "", "image", 0),
        ("first", "3×3 conv", "encoder", 4 * 3 * 9 + 4 + 8),
        ("second", "3×3 conv", "encoder", 8 * 4 * 9 + 8),
        ("up", "1×1 conv", "decoder", 8 * 4 + 4 + 8),
        ("concat", "", "decoder", 0),
        ("left", "1×1 conv", "decoder", 8 * 4 + 4),
        ("right", "1×1 conv", "decoder", 8 * 4 + 4),
        ("out", "1×1 conv", "decoder", 8 * 6 + 6),
        ("head", "1×1 conv", "head", 6 * 2 + 2),
        ("logits", "", "logits", 0),
    ]
    name = dict(found.nodes("name"))
    assert {
        (name[source], name[target], *strides) for source, target, strides in found.edges(data="strides")
    } == {
        ("image", "first", 1),
        ("first", "second", 2),
        ("first", "concat", 2),
        ("second", "up", 4),
        ("up", "concat", 2),
        ("concat", "left", 2),
        ("concat", "right", 2),
        ("left", "out", 2),
        ("right", "out", 2),
        ("out", "head", 2),
        ("head", "logits", 2),
    }
    assert [data["outputs"] for data in found.nodes.values()] == [
        {1: "3"}, {2: "4"}, {4: "8"}, {2: "4"}, {2: "8"}, {2: "4"}, {2: "4"}, {2: "6"}, {2: "2"}, {1: "2"},
    ]  # fmt: skip
    assert found.nodes["decoder.left"]["multiply_adds"] == 8 * 4 * (SIZE[0] // 2) * (SIZE[1] // 2)
    assert network_alt_text(found) == (
        "Diagram of _Tiny. Encoder: first (3×3 conv, 4 at 1/2) from image; second (3×3 conv, 8 at 1/4) from "
        "first. Decoder: up (1×1 conv, 4 at 1/2) from second; concat (8 at 1/2) from first, up; left (1×1 "
        "conv, 4 at 1/2) from concat; right (1×1 conv, 4 at 1/2) from concat; out (1×1 conv, 6 at 1/2) from "
        "left, right. Head: head (1×1 conv, 2 at 1/2) from out. Logits: logits (2 at 1/1) from head."
    )


def test_a_join_with_one_reader_is_no_block():
    class Joined(_Tiny):
        def forward(self, x):
            features = self.encoder(x)
            decoded = self.decoder(features)
            return F.interpolate(self.head(decoded + self.decoder(features[::1])), scale_factor=2.0)

    assert set(network_graph(Joined())) == set(network_graph(_Tiny()))


def test_a_layer_that_is_not_called_is_in_no_block():
    network = _Tiny()
    network.idle = nn.Linear(2, 2)
    found = network_graph(network)
    assert found.graph["parameters"] - sum(count for _, count in found.nodes("parameters")) == 6
    assert set(found) == set(network_graph(_Tiny()))


def test_a_decoder_that_multiplies_itself_is_looked_into_and_its_modules_that_do_are_not():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, x):
            query, key = self.query(x).flatten(2), self.key(x).flatten(2)
            return x + (query @ key.transpose(1, 2) @ query).view_as(x)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.out = Attention(), nn.Conv2d(8, 6, 1)

        def forward(self, features):
            return self.out(self.attention(features[2]))

    network = _Tiny()
    network.decoder = Outer()
    found = network_graph(network)
    assert roles(found, "decoder") == {"decoder.attention", "decoder.out"}
    pixels = SIZE[0] * SIZE[1] // 16
    assert found.nodes["decoder.attention"]["multiply_adds"] == 2 * 8 * 8 * pixels + 2 * 8 * 8 * pixels


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            nn.Sequential(nn.Conv2d(8, 8, 3, groups=8, dilation=2, padding=2), nn.Conv2d(8, 6, 1)),
            "3×3 depthwise (dilation 2), 1×1 conv",
        ),
        (nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 6, 1)), "2 × (1×1 conv)"),
        (nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 6, 1)), "average pool, 1×1 conv"),
        (type("ASPPooling", (nn.Conv2d,), {})(8, 6, 1), "1×1 conv"),
        (type("ConvBlock2d", (nn.Sequential,), {})(nn.Conv2d(8, 6, 1)), "1×1 conv"),
        (type("PSPHead", (nn.ConvTranspose2d,), {})(8, 6, 1), "PSP head"),
    ],
)
def test_words_for_modules(module, words):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.what = module

        def forward(self, features):
            return self.what(features[2])

    network = _Tiny()
    network.decoder = Last()
    assert network_graph(network).nodes["decoder.what"]["kind"] == words


@pytest.fixture(params=NAMES)
def drawn(request):
    """A network's graph, and axes, boxes and arrows of its picture."""
    found = graph_of(request.param)
    figure = network_diagram(found, title="A network")
    ax = figure.axes[0]
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    return found, ax, dict(zip(found, boxes, strict=True)), arrows


def sides(box):
    return box.get_x(), box.get_x() + box.get_width(), box.get_y(), box.get_y() + box.get_height()


def overlap(one, other, room=0.0):
    """Whether two rectangles (left, right, top, bottom) have more than a margin in common."""
    return (
        min(one[1], other[1]) - max(one[0], other[0]) > room < min(one[3], other[3]) - max(one[2], other[2])
    )


def test_boxes_do_not_overlap(drawn):
    _, _, boxes, _ = drawn
    for one, other in combinations(boxes, 2):
        assert not overlap(sides(boxes[one]), sides(boxes[other])), (one, other)


def test_no_arrow_runs_through_a_box(drawn):
    found, _, boxes, arrows = drawn
    assert len(arrows) == sum(len(strides) for _, _, strides in found.edges(data="strides"))
    for arrow in arrows:
        for (x, y), (to, down) in pairwise(arrow.get_path().vertices):
            if min(abs(x - to), abs(y - down)) < 1e-6:  # not the sides of its head
                line = (min(x, to) - 0.01, max(x, to) + 0.01, min(y, down) - 0.01, max(y, down) + 0.01)
                assert not [node for node, box in boxes.items() if overlap(line, sides(box), 0.015)]


def test_columns_follow_the_flow_and_rows_the_resolution(drawn):
    found, ax, boxes, _ = drawn
    for source, target in found.edges:
        one, other = sides(boxes[source]), sides(boxes[target])
        assert one[1] < other[0] or one[3] < other[2]
    rows = [text for text in ax.texts if text.get_text().startswith("1/") or text.get_text() == "no map"]
    strides = sorted({stride for _, outputs in found.nodes("outputs") for stride in outputs})
    assert [text.get_text() for text in rows] == [f"1/{s}" if s < math.inf else "no map" for s in strides]
    heights = [text.get_position()[1] for text in rows]
    assert heights == sorted(heights)
    for node, outputs in found.nodes("outputs"):
        if len(outputs) == 1:
            middle = sum(sides(boxes[node])[2:]) / 2
            nearest = min(range(len(rows)), key=lambda i: abs(middle - heights[i]))
            assert abs(nearest - strides.index(next(iter(outputs)))) <= 1


def test_it_fits_a_page_and_can_be_read(drawn):
    _, ax, boxes, _ = drawn
    assert ax.figure.get_figwidth() < 10.5
    renderer = ax.figure.canvas.get_renderer()
    assert min(text.get_fontsize() for text in ax.texts) == 7
    frames = [box.get_window_extent(renderer) for box in boxes.values()]
    for text in ax.texts:
        area = text.get_window_extent(renderer)
        inside = [
            f
            for f in frames
            if f.x0 < (area.x0 + area.x1) / 2 < f.x1 and f.y0 < (area.y0 + area.y1) / 2 < f.y1
        ]
        assert all(frame.x0 <= area.x0 and area.x1 <= frame.x1 for frame in inside), text.get_text()
        assert len(inside) < 2
    legend = ax.get_legend().get_window_extent(renderer)
    assert all(legend.ymax <= frame.ymin for frame in frames)
    assert legend.width < ax.figure.bbox.width


def test_colours_and_dashes():
    found = graph_of("encnet")
    ax = network_diagram(found).axes[0]
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    colors = {}
    for data, box in zip(found.nodes.values(), boxes, strict=True):
        colors.setdefault(data["role"], set()).add(to_hex(box.get_facecolor()))
        assert (box.get_linestyle() == "--") == (data["role"] == EXTRA)
    assert all(len(color) == 1 for color in colors.values())
    assert len(set.union(*(colors[role] for role in ("encoder", "decoder", "head", EXTRA, "image")))) == 5
    dashed = [p for p in ax.patches if isinstance(p, FancyArrowPatch) and p.get_linestyle() == "--"]
    assert len(dashed) == 2
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["encoder", "decoder", "head", EXTRA]


def test_a_loss_of_its_own_is_explained():
    legend = network_diagram(graph_of("ocrnet")).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["encoder", "decoder", "head", "dashed: a loss of its own"]


@pytest.mark.parametrize("name", NAMES)
def test_alternative_text_has_every_block(name):
    found = graph_of(name)
    text = network_alt_text(found)
    assert text.startswith(f"Diagram of {found.graph['network']}. Encoder: ")
    assert all(f"{data['name']} (" in text for node, data in found.nodes.items() if node != "image")


def test_alternative_text_of_a_network():
    text = network_alt_text(graph_of("encnet"))
    assert "layer3 (2 × basic block, 256 at 1/8) from layer2" in text
    assert "encoding (32 × 128 at no map) from project" in text
    assert "Auxiliary: training only: fcn (3×3 conv, 1×1 conv, 4 at 1/8) from layer3" in text
    assert text.endswith("Logits: logits (4 at 1/1) from head.")


def test_names_are_paths_without_what_their_colour_says():
    names = dict(graph_of("fastfcn").nodes("name"))
    assert names["decoder.2"] == "decoder.2"
    assert names["decoder.1.blocks.3"] == "decoder.1.blocks.3"
    assert names["encoder.layer4"] == "layer4"
    assert names["segmentation_head"] == "head"
    assert names["auxiliary_heads.fcn"] == "fcn"
    assert sum(name == "concat" for name in names.values()) == 2
    assert dict(graph_of("ocrnet").nodes("name"))["encoder.model.stage2"] == "stage2"

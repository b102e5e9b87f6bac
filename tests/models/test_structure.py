"""The structure of a network is what the network does."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from aucseg.models import Edge, Output, create_model, network_structure
from aucseg.models.registry import NETWORKS
from aucseg.models.structure.kinds import describe, describe_all
from tests.models.structures import CLASSES, NAMES, small, structure

SIZE = (96, 160)


def _links(found):
    """Names of sources and targets."""
    return {(edge.source, edge.target) for edge in found.edges}


def _reached(start, links):
    found, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        new = {target for source, target in links if source == name} - found
        found |= new
        ahead += new
    return found


@pytest.mark.parametrize("name", NAMES)
def test_blocks_have_all_parameters(name):
    assert structure(name).unread == 0
    counted = sum(block.parameters for block in structure(name).blocks)
    assert counted == sum(parameter.numel() for parameter in small(name, "meta").parameters())


@pytest.mark.parametrize("name", NAMES)
def test_data_flows_from_the_image_to_the_logits(name):
    found = structure(name)
    names = [block.name for block in found.blocks]
    assert (names[0], names[-1]) == ("image", "logits")
    assert len(set(names)) == len(names)
    assert len(set(found.edges)) == len(found.edges)
    links = _links(found)
    assert all(names.index(source) < names.index(target) for source, target in links)
    assert _reached("image", links) == set(names[1:])
    for block in found.blocks:
        there = block.name == "logits" or "logits" in _reached(block.name, links)
        assert there == (block.role != "auxiliary"), block.name
        handed = {edge.output for edge in found.edges if edge.source == block.name}
        assert not handed or handed == set(block.outputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_there_in_training_only(name):
    network, found = small(name, "meta"), structure(name)
    extra = {block.name for block in found.blocks if block.role == "auxiliary"}
    assert extra == {f"auxiliary_heads.{head}" for head in network.auxiliary_heads}
    assert {loss for block in found.blocks for loss in block.losses} == set(network.auxiliary)
    for block in found.blocks:
        if block.role == "auxiliary":
            assert block.losses == (block.name.removeprefix("auxiliary_heads."),)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_modules(name):
    """Hooks on a network that computes see the shapes that the blocks have."""
    network = small(name, "cpu").train()
    seen = defaultdict(list)
    for path, module in network.named_modules():
        module.register_forward_hook(
            lambda module, args, out, path=path: seen[path].extend(
                tuple(leaf.shape[1:]) for leaf in tree_leaves(out) if isinstance(leaf, Tensor)
            )
        )
    with torch.no_grad():
        network(torch.randn(2, 3, *SIZE))
        network.eval()(torch.randn(1, 3, *SIZE))
    blocks = [block for block in structure(name).blocks if block.role not in ("image", "logits")]
    paths = [block.name.split(" ")[0] for block in blocks]
    for block, path in zip(blocks, paths, strict=True):
        if block.joins:
            continue
        role = path.split(".")[0]
        inside = {s for other, found in seen.items() if other.split(".")[0] == role for s in found}
        # a block that is one module has that module's output; one of several has those of some in the role
        whole = path in seen and paths.count(path) == 1 and len(block.outputs) == 1
        for output in block.outputs:
            # a mean has height and width of one, which a block leaves out
            shapes = {output.shape, (*output.shape, 1, 1)} if output.stride is None else {output.shape}
            assert shapes & (set(seen[path]) if whole else inside), block.name
            if output.stride is not None:
                assert output.shape[1:] == (SIZE[0] // output.stride, SIZE[1] // output.stride)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_do_all_the_work(name):
    network = small(name, "meta").eval()
    counter = FlopCounterMode(display=False)
    if name in ("danet", "segnext"):  # turn off autocast, which the meta device does not have
        network = small(name, "cpu").eval()
    device = next(network.parameters()).device
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, *SIZE, device=device))
    done = sum(block.multiply_adds for block in structure(name).blocks if block.role != "auxiliary")
    assert done == counter.get_total_flops() // 2


def test_a_network_is_left_as_it_was():
    network = small("emanet", "cpu").train()
    network.encoder.eval()
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()]
    random = torch.get_rng_state()
    found = network_structure(network)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert hooks == [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()
    ]
    assert found == structure("emanet")  # which was read on the meta device


def test_skip_connections_of_unet():
    links = _links(structure("unet"))
    skips = ("layer3 1/16", "layer2 1/8", "layer1 1/4", "conv1 1/2")
    assert {(f"encoder.{stage}", f"decoder.blocks.{i}") for i, stage in enumerate(skips)} < links
    assert [block.stride for block in structure("unet").blocks if block.role == "decoder"] == [16, 8, 4, 2, 1]


def test_danet_adds_two_branches():
    found = structure("danet")
    assert {(f"decoder.{branch}.2", "segmentation_head") for branch in ("position", "channel")} < _links(
        found
    )
    assert found.block("decoder.position.1").kind == "position attention"


def test_hrnet_has_four_resolutions_at_once():
    block = structure("hrnet").block("encoder.model.stage4 1/4–1/32")
    assert [(output.channels, output.stride) for output in block.outputs] == [
        (16, 4),
        (32, 8),
        (64, 16),
        (128, 32),
    ]
    assert "high resolution module" in block.kind


def test_pointrend_goes_two_ways_to_the_logits():
    """In evaluation the point head has the last word; training ends with the coarse logits."""
    found = structure("pointrend")
    assert {source for source, target in _links(found) if target == "logits"} == {
        "segmentation_head",
        "point_head",
    }
    assert found.block("point_head").losses == ("points",)
    assert found.block("point_head").role == "head"


def test_ocrnet_learns_its_regions():
    found = structure("ocrnet")
    assert found.block("decoder.regions").losses == ("regions",)
    assert ("decoder.regions", "decoder.context") in _links(found)


def test_three_stages_at_one_resolution():
    """A dilated encoder is cut where it returns a feature, though the resolution stays."""
    names = [block.name for block in structure("dnlnet").blocks if block.stride == 8][:3]
    assert names == ["encoder.layer2 1/8", "encoder.layer3 1/8", "encoder.layer4 1/8"]


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
    found = network_structure(_Tiny(), (32, 64))
    image, half, quarter = Output((3, 32, 64), 1), Output((4, 16, 32), 2), Output((8, 8, 16), 4)
    joined = Output((8, 16, 32), 2)
    assert [(b.name, b.kind, b.role, b.parameters) for b in found.blocks] == [
        ("image", "image", "image", 0),
        ("encoder.first 1/2", "3×3 convolution", "encoder", 4 * 3 * 9 + 4 + 8),
        ("encoder.second 1/4", "3×3 convolution", "encoder", 8 * 4 * 9 + 8),
        ("decoder.up", "1×1 convolution", "decoder", 8 * 4 + 4 + 8),
        ("decoder concatenation", "concatenation", "decoder", 0),
        ("decoder.left", "1×1 convolution", "decoder", 8 * 4 + 4),
        ("decoder.right", "1×1 convolution", "decoder", 8 * 4 + 4),
        ("decoder.out", "1×1 convolution", "decoder", 8 * 6 + 6),
        ("head", "1×1 convolution", "head", 6 * 2 + 2),
        ("logits", "logits", "logits", 0),
    ]
    assert found.edges == (
        Edge("image", "encoder.first 1/2", image),
        Edge("encoder.first 1/2", "encoder.second 1/4", half),
        Edge("encoder.first 1/2", "decoder concatenation", half),
        Edge("encoder.second 1/4", "decoder.up", quarter),
        Edge("decoder.up", "decoder concatenation", half),
        Edge("decoder concatenation", "decoder.left", joined),
        Edge("decoder concatenation", "decoder.right", joined),
        Edge("decoder.left", "decoder.out", half),
        Edge("decoder.right", "decoder.out", half),
        Edge("decoder.out", "head", Output((6, 16, 32), 2)),
        Edge("head", "logits", Output((2, 16, 32), 2)),
    )
    assert found.block("decoder.left").multiply_adds == 8 * 4 * 16 * 32


def test_bad_input():
    with pytest.raises(ValueError, match=r"must differ, got \(64, 64\).*\(96, 160\)"):
        network_structure(_Tiny(), (64, 64))


def test_what_no_block_reads():
    network = _Tiny()
    network.idle = nn.Linear(2, 2)
    found = network_structure(network, (32, 64))
    assert found.unread == 6
    assert found.blocks == network_structure(_Tiny(), (32, 64)).blocks


def test_a_parameter_between_blocks_is_its_readers():
    class Gated(_Tiny):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(torch.ones(1, 6, 1, 1))

        def forward(self, x):
            return self.head(self.decoder(self.encoder(x)) * self.gate)

    found = network_structure(Gated(), (32, 64))
    assert found.block("head").parameters == 6 * 2 + 2 + 6
    assert found.unread == 0


@pytest.mark.parametrize("encoder", ["mit_b0", "efficientnet-b0", "mobilenet_v2", "tu-convnext_atto"])
def test_other_encoders(encoder):
    network = create_model("unet" if encoder != "mit_b0" else "segformer", encoder, num_classes=CLASSES)
    found = network_structure(network)
    strides = [block.stride for block in found.blocks if block.role == "encoder"]
    assert strides == sorted(strides)
    assert {4, 8, 16, 32} <= set(strides)
    counted = sum(block.parameters for block in found.blocks)
    assert counted + found.unread == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Conv2d(8, 8, 3, groups=8, dilation=2), nn.Conv2d(8, 4, 1)), None),
        (nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), "2 × (3×3 convolution)"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Linear(4, 4)), "mean, linear layer"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Conv1d(4, 4, 1)), "mean in 6 × 6 bins, 1 convolution"),
        (nn.AvgPool2d(2), "average pool"),
        (type("PSPModule", (nn.Module,), {})(), "PSP module"),
        (type("ASPPPooling", (nn.Module,), {})(), "ASPP pooling"),
        (type("ConvNeXtBlock", (nn.Module,), {})(), "ConvNeXtBlock"),
    ],
)
def test_words_for_modules(module, words):
    assert describe(module) == (words or "3×3 depthwise convolution (dilation 2), 1×1 convolution")


def test_words_for_many_name_the_largest():
    modules = [nn.Linear(2, 2), *(nn.Conv2d(8, 8, 3) for _ in range(3))]
    assert describe_all(modules) == "3 × (3×3 convolution)"

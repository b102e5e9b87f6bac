"""What a network is made of, and a picture of it: boxes in rows by resolution, in columns by data flow.

For notebooks: nothing that trains imports it. A copy of the network is called in training and in evaluation
mode on the meta device, so without computing. Hooks on its modules and a mode for the functions between them
follow each tensor, by its identity, from the module that made it to those that read it.
"""

from __future__ import annotations

import copy
import math
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from aucseg.plots.style import INK

__all__ = ["network_alt_text", "network_diagram", "network_graph"]

# Sides differ, so that a mean over the image is no map of it; batch norm wants two of such means in training.
_SIZE, _BATCH = (160, 224), 2
_ENOUGH = 5  # an encoder or decoder that shows fewer modules is looked into
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
_POOLS = {nn.AvgPool2d: "average pool", nn.MaxPool2d: "max pool", nn.AdaptiveAvgPool2d: "mean"}
_JOINS = {"cat": "concat", "stack": "concat", "add": "+", "iadd": "+", "sum": "+", "mul": "×", "imul": "×"}
_UNSAID = r"^(encoder|decoder|auxiliary_heads)\.(model\.)?(?=\D)|^segmentation_(?=head$)"
# Fill and outline, after the palette of Okabe and Ito, whose colours are told apart without red or green.
_COLORS = {
    "encoder": ("#d3e6f3", "#0072b2"),
    "decoder": ("#fdebc8", "#b37500"),
    "head": ("#cdeadf", "#00795a"),
    "auxiliary: training only": ("#f6e3ee", "#a8487f"),
}
_PLAIN, _WIRE = ("#f7f7f7", "#707070"), "#808080"
_TEXT = "#1a1a1a"  # in a box, which is light on a dark page too
_EXTRA = "auxiliary: training only"
_FONT, _LINE, _MARGIN, _TRACK, _CHANNEL = 7.0, 0.117, 0.045, 0.06, 0.25  # points; inches


class _Tracer(TorchFunctionMode):
    """Follows tensors from module to module while it is entered.

    Modules at the paths ``shown`` are nodes, whose insides are not looked at; a norm is part of what it
    normalises. A function of what one node made passes that on; one of what several made is a node too.
    """

    def __init__(self, shown: Collection[str] = ()) -> None:
        super().__init__()
        self.shown, self.flow = shown, nx.MultiDiGraph()  # an edge for each shape
        self.owner = dict[str, str]()  # node of each module that is called
        self._labels = dict[int, tuple[str, tuple[int, ...]]]()
        self._kept = list[Tensor]()  # a tensor that is freed could pass its id on
        self._scope = list[str]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._scope and self._scope[-1] not in self.shown and (gave := _tensors(result)):
            found = self._sources(got := _tensors((args, kwargs)))
            if len(found) == 1:
                self._kept += gave
                self._labels |= dict.fromkeys(map(id, gave), *found)
            elif found:
                name = getattr(func, "__name__", "function").strip("_")
                node = f"{self._scope[-1]} {name} {list(found)}"  # the same in both modes
                self._read(got, node, join=_JOINS.get(name, name))
                self._make(gave, node)
        return result

    def _sources(self, tensors: Iterable[Tensor]) -> dict[tuple[str, tuple[int, ...]], None]:
        return dict.fromkeys(self._labels[id(t)] for t in tensors if id(t) in self._labels)

    def _read(self, tensors: Iterable[Tensor], target: str, **join: str) -> None:
        self.flow.add_node(target, **join)
        for source, shape in self._sources(tensors):
            if not nx.has_path(self.flow, target, source):  # PointRend's points go round twice
                self.flow.add_edge(source, target, key=shape)

    def _make(self, tensors: list[Tensor], source: str) -> None:
        self._kept += tensors
        self._labels |= {id(tensor): (source, tuple(tensor.shape)) for tensor in tensors}

    def enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        if not self._scope or self._scope[-1] not in self.shown:
            self._scope.append(path)
            sources = {source for source, _ in self._sources(_tensors((args, kwargs)))}
            self.owner[path] = sources.pop() if isinstance(module, _NORMS) and len(sources) == 1 else path
            if not path:
                self._read([], "image")
                self._make(_tensors(args), "image")
            elif path in self.shown and self.owner[path] == path:
                self._read(_tensors((args, kwargs)), path)

    def leave(self, path: str, module: nn.Module, args: Any, result: Any) -> None:
        if path == self._scope[-1]:
            self._scope.pop()
            if path in self.shown:
                self._make(_tensors(result), self.owner[path])
            elif not path:
                logits = _tensors(result)[:1]
                self._read(logits, "logits")
                self._make(logits, "logits")
                for term, outputs in {"": logits, **getattr(result, "auxiliary", {})}.items():
                    self._read(_tensors(outputs)[:1], f"loss {term}")


def _tensors(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list | tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _trace(network: nn.Module, tracer: _Tracer) -> Counter[str]:
    """Call a network in both modes; multiply-adds of its modules for one image, of evaluation if there."""
    images, work = torch.empty(_BATCH, 3, *_SIZE, device="meta"), Counter[str]()
    for training in (True, False):
        with torch.no_grad(), FlopCounterMode(display=False) as counter, ExitStack() as stack:
            for path, module in network.train(training).named_modules():
                enter, leave = partial(tracer.enter, path), partial(tracer.leave, path)
                stack.enter_context(module.register_forward_pre_hook(enter, with_kwargs=True))
                stack.enter_context(module.register_forward_hook(leave))
            stack.enter_context(tracer)
            network(images)
        for path, flops in counter.get_flop_counts().items():
            work[path.removeprefix(f"{type(network).__name__}.")] = sum(flops.values()) // 2 // _BATCH
    return work


def network_graph(network: nn.Module) -> nx.DiGraph:
    """Blocks of a network and the data flow between them, for an image of 160 x 224.

    Encoder and decoder are cut into the modules that they call and, while these are fewer than five, into
    theirs, but for a module that has parameters of its own or multiplies itself. Heads are blocks. What is
    done between modules belongs to an edge, but for a concatenation, sum or product that several read.

    Args:
        network: one of :func:`aucseg.models.create_model`, or any with ``encoder`` and ``decoder`` as smp's.

    Returns:
        A graph without cycles from ``"image"`` to ``"logits"``, with the class of the ``network``. It and all
        nodes have ``parameters``, and ``multiply_adds`` for one image. A node has a ``name``; its ``kind`` in
        words; a ``role`` (``"encoder"``, ``"decoder"``, ``"head"``, ``"auxiliary: training only"``);
        ``outputs``: channels that it hands on, by how many pixels of the image a value stands for on each
        side, or all sides of what is no map, by infinity; and ``losses``: auxiliary terms of training that
        read it. An edge has ``strides``: those of its source's outputs.
    """
    network, whole = copy.deepcopy(network).to("meta"), _Tracer()
    work = _trace(network, whole)
    tracer = _Tracer(_shown(network, whole.owner, work))
    _trace(network, tracer)
    flow, owner = tracer.flow, tracer.owner
    for node in reversed(list(flow)):
        after, sources = set(flow.successors(node)), flow.in_edges(node, keys=True)
        # HRNet starts each new resolution by a convolution beside the module that takes all of them
        beside = (
            n.startswith("encoder") and flow.in_degree(n) > flow.number_of_edges(node, n) for n in after
        )
        if len(after) < 2 and ("join" in flow.nodes[node] or (node.startswith("encoder") and all(beside))):
            flow.add_edges_from([(source, n, shape, {}) for source, _, shape in sources for n in after])
            flow.remove_node(node)
            owner |= {path: n for path in owner for n in after if owner[path] == node}
    used = nx.ancestors(flow, "logits")
    graph = nx.DiGraph(network=type(network).__name__, multiply_adds=work["Global"])
    graph.graph["parameters"] = _size(network)
    for node in nx.lexicographical_topological_sort(flow, key=list(flow).index):
        members = [path for path in tracer.shown if owner.get(path) == node]
        kind = _word(network.get_submodule(node)) if members else ""
        role = node.partition(".")[0].partition(" ")[0]
        if role not in ("image", "encoder", "logits"):
            role = [*_COLORS][3 if node not in used else 1 if role == "decoder" else 2]
        outputs = defaultdict[float, list[str]](list)
        for stride, channels in sorted(_at(shape) for _, _, shape in flow.out_edges(node, keys=True)):
            if channels not in outputs[stride] and (stride < math.inf or len(outputs) == 1):
                outputs[stride].append(channels)
        graph.add_node(
            node,
            name=flow.nodes[node].get("join") or re.sub(_UNSAID, "", node),
            kind="" if kind in node.replace("_", " ") else kind,
            role=role,
            outputs={stride: ", ".join(channels) for stride, channels in outputs.items() if channels},
            parameters=sum(_size(network.get_submodule(path)) for path in members),
            multiply_adds=sum(work[path] for path in members),
            losses=[term[5:] for term in flow.successors(node) if term.startswith("loss ") and term[5:]],
        )
    for source, target, shape in flow.edges(keys=True):
        stride = min(_at(shape)[0], max(graph.nodes[source]["outputs"]))
        graph.add_edge(source, target)
        graph.edges[source, target].setdefault("strides", {})[stride] = None
    graph.remove_nodes_from([node for node in flow if node.startswith("loss ")])
    return graph


def _shown(network: nn.Module, called: Collection[str], work: Counter[str]) -> set[str]:
    """Paths of the modules that blocks are made of."""
    module, children = network.get_submodule, defaultdict[str, list[str]](list)
    for path in called:
        outer = path.rpartition(".")[0]
        while outer not in called:
            outer = outer.rpartition(".")[0]
        if path and (work[path] or _size(module(path))):
            children[outer].append(path)

    def opens(path: str, top: bool = False) -> bool:
        layers = [m for m in module(path).modules() if not isinstance(m, nn.Sequential)]
        in_a_row = all(type(layer).__module__.startswith("torch.nn.") for layer in layers)
        multiplies = work[path] > sum(work[child] for child in children[path])
        own = any(True for _ in module(path).parameters(recurse=False))
        return bool(children[path]) and not own and (top or not (in_a_row or multiplies))

    def inside(path: str) -> list[str]:
        found = children[path] if opens(path, top=True) else [path]
        while sum(not isinstance(module(p), _NORMS) for p in found) < _ENOUGH and any(map(opens, found)):
            found = [p for path in found for p in (children[path] if opens(path) else [path])]
        return found

    return {p for path in children[""] for p in (inside(path) if path in ("encoder", "decoder") else [path])}


def _at(shape: tuple[int, ...]) -> tuple[float, str]:
    """Stride and channels of a map (B,C,h,w); infinity and all sides of anything else."""
    if len(shape) == 4 and shape[2] * _SIZE[1] == shape[3] * _SIZE[0]:
        return _SIZE[0] // shape[2], str(shape[1])
    return math.inf, " × ".join(map(str, shape[1:2] if set(shape[2:]) == {1} else shape[1:]))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _word(module: nn.Module) -> str:
    """What a module is: its layers if it is layers in a row, else its class."""
    if isinstance(module, nn.Sequential):
        tell = [m for m in module if type(m) in _POOLS or (_size(m) and not isinstance(m, _NORMS))]
        counts = [(word, len([*same])) for word, same in groupby(map(_word, tell))]
        return ", ".join(
            w if n == 1 else f"{n} × ({w})" if w[0].isdigit() else f"{n} × {w}" for w, n in counts
        )
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        what = "depthwise" if 1 < module.groups == module.in_channels else "conv"
        dilation = f" (dilation {module.dilation[0]})" if max(module.dilation) > 1 else ""
        return "×".join(map(str, module.kernel_size)) + f" {what}{dilation}"
    camel = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?=[A-Z])|\d+d?", type(module).__name__)
    return _POOLS.get(type(module), " ".join(p if p.isupper() else p.lower() for p in camel))


def network_diagram(graph: nx.DiGraph, *, title: str | None = None) -> Figure:
    """Blocks of a network as boxes: data flows from left to right, and rows are resolutions.

    A box has the name of its module, what it is and the channels that it hands on, at each resolution if it
    works at several. What is no map of the image, a mean over it or points of it, stands in a row of its own.
    A box with a dashed line has a loss of its own in training; the pink ones are there in training only.

    Args:
        graph: from :func:`network_graph`.
        title: above it; none if it is not given.
    """
    columns, texts = _columns(graph), {node: _lines(data) for node, data in graph.nodes.items()}
    rows, middles, wires = _rows(
        graph, columns, {node: len(bold + plain) for node, (bold, plain, _) in texts.items()}
    )
    edges, right = list[tuple[float, float]](), 0.4
    for column in range(max(columns.values()) + 1):
        edges.append((right, right + max(texts[node][2] for node in graph if columns[node] == column)))
        right = edges[-1][1] + _CHANNEL
    low = max(bottom for _, bottom in rows.values())
    figure, ax = plt.subplots(figsize=(right, low + 0.6), layout="none")
    ax.set(position=(0, 0, 1, 1), xlim=(0, right), ylim=(low + 0.3, -0.3))
    ax.axis("off")
    ax.text(0.06, -0.15, title or "", fontsize=11, weight="bold", va="center")
    for number, (row, (top, bottom)) in enumerate(rows.items()):
        if not number % 2:
            ax.axhspan(top, bottom, color=INK, alpha=0.05, linewidth=0, zorder=0)
        ax.text(0.06, (top + bottom) / 2, _fraction(row), fontsize=_FONT + 1, va="center")
    boxes, style = dict[str, tuple[float, ...]](), dict[str, Any]()
    for node, data in graph.nodes.items():
        (fill, line), (bold, plain, width) = _COLORS.get(data["role"], _PLAIN), texts[node]
        x, (y, *others) = fmean(edges[columns[node]]), [middles[node, row] for row in data["outputs"]]
        half = _LINE * len(bold + plain) / 2 + _MARGIN
        bottom = max([y + half, *(other + _LINE for other in others)])
        boxes[node] = x - width / 2, x + width / 2, y - half, bottom
        style = {"fc": fill, "ec": line, "ls": "--" if data["losses"] else "-", "zorder": 3}
        corner, shape = (x - width / 2, y - half), "round,pad=0,rounding_size=0.04"
        ax.add_patch(FancyBboxPatch(corner, width, bottom - y + half, shape, **style))
        style = {"fontsize": _FONT, "ha": "center", "va": "center", "color": _TEXT, "zorder": 4}
        ax.text(x, y, "\n".join(bold + [""] * len(plain)), weight="bold", **style)
        says = ("\n".join([""] * len(bold) + plain), *[*data["outputs"].values()][1:])
        for middle, text in zip((y, *others), says, strict=True):
            ax.text(x, middle, text, **style)
    for number, ((source, row), (targets, track)) in enumerate(wires.items()):
        spread = 0.618 * number % 1 - 0.5  # so that no wire lies on another
        for target in targets:
            out, into, y = columns[source], columns[target], middles[source, row]
            end = min((middles[target, r] for r in graph.nodes[target]["outputs"]), key=lambda m: abs(m - y))
            first, last = (edges[c][1] + _CHANNEL * (0.4 + 0.6 * spread) for c in (out, into - 1))
            y, end = y + 0.2 * spread, end + 0.2 * spread
            lane = track if track and into > out + 1 else y
            xs = [boxes[source][1], first, first, last, last, boxes[target][0]]
            ys = [y, y, lane, lane, end, end]
            if into == out:
                xs, ys = [fmean(edges[out])] * 2, [boxes[source][3], boxes[target][2]]
            extra = _EXTRA in (graph.nodes[source]["role"], graph.nodes[target]["role"])
            style = {"color": _COLORS[_EXTRA][1] if extra else _WIRE, "ls": "--" if extra else "-"}
            path = Path([*zip(xs, ys, strict=True)])
            ax.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=6, lw=0.8, **style))
    keys = [(role, *_COLORS[role], "--" if role == _EXTRA else "-") for role in _COLORS]
    if any(data["losses"] and data["role"] != _EXTRA for data in graph.nodes.values()):
        keys.append(("dashed: a loss of its own", *_PLAIN, "--"))
    there = {data["role"] for data in graph.nodes.values()} | {"dashed: a loss of its own"}
    handles = [Patch(label=k, fc=fill, ec=line, ls=dash) for k, fill, line, dash in keys if k in there]
    ax.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=_FONT + 1, borderaxespad=0.2)
    return figure


def _fraction(row: float) -> str:
    return f"1/{row}" if row < math.inf else "no map"


def _rows(
    graph: nx.DiGraph, columns: Mapping[str, int], lines: Mapping[str, int]
) -> tuple[dict[float, Any], dict[Any, float], dict[Any, Any]]:
    """Edges of the rows, middles of boxes in their rows, and targets and tracks of wires, in inches.

    A wire is what a block hands on at one stride. It keeps to its row, below the boxes that are in its way.
    """
    order = sorted({row for _, outputs in graph.nodes("outputs") for row in outputs})
    cells, wires = defaultdict[Any, list[str]](list), defaultdict[Any, list[str]](list)
    for node in sorted(graph, key=columns.__getitem__):
        outputs = graph.nodes[node]["outputs"]
        for row in order[order.index(min(outputs)) : order.index(max(outputs)) + 1]:
            cells[row, columns[node]].append(node)
    for source, target, strides in graph.edges(data="strides"):
        for row in strides:
            wires[source, row].append(target)
    rows, lanes, tracks, low = {}, {}, {}, 0.0
    middles: dict[tuple[str, float], float] = {}
    for row in order:
        found = {column: here for (other, column), here in cells.items() if other == row}
        lane, top = 0.2 + _LINE * max(lines[node] for here in found.values() for node in here), low
        low = bottom = low + lane * max(map(len, found.values()))
        for source, other in wires:
            far = max(columns[target] for target in wires[source, other])
            if other == row and found.keys() & range(columns[source] + 1, far):
                tracks[source, row] = low = low + _TRACK
        low += _TRACK
        rows[row], lanes[row] = (top, low), (top, bottom, lane)
    for (row, _), here in cells.items():  # each as near as can be to what it reads
        (top, bottom, lane), near = lanes[row], {}
        for node in here:
            before = [middles[wire] for wire in wires if node in wires[wire] and wire in middles]
            near[node] = fmean(before or (top, bottom))
        start = min(fmean(near.values()) - lane * len(here) / 2, bottom - lane * len(here))
        for number, node in enumerate(sorted(here, key=near.__getitem__)):
            middles[node, row] = max(start, top) + lane * (number + 0.5)
    return rows, middles, {wire: (found, tracks.get(wire)) for wire, found in wires.items()}


def _columns(graph: nx.DiGraph) -> dict[str, int]:
    """The encoder runs down a column while it gets coarser; all else stands right of what it reads."""
    columns, feet = dict[str, int](), list[str]()
    for node, data in graph.nodes.items():
        before, rows = list(graph.predecessors(node)), data["outputs"]
        columns[node] = max([len(feet), *(columns[source] + 1 for source in before)])
        if data["role"] in ("image", "encoder"):
            falls = before and len(rows) == 1 and max(graph.nodes[before[0]]["outputs"]) <= max(rows)
            columns[node] = (
                columns[before[0]] if falls and before == [feet[columns[before[0]]]] else len(feet)
            )
            feet[columns[node] : columns[node] + 1] = [node]
    return columns


def _lines(data: Mapping[str, Any]) -> tuple[list[str], list[str], float]:
    """Text of a box, its name, and what it is with its channels at the finest resolution; width in inches."""
    bold = textwrap.wrap(re.sub(r"([_.])", r"\1 ", data["name"]), 14)
    facts = [*filter(None, data["kind"].split(", ")), next(iter(data["outputs"].values()))]
    plain = [line for fact in facts for line in textwrap.wrap(fact, 14)]
    bold = [re.sub(r"([_.]) ", r"\1", line) for line in bold]
    return bold, plain, max(0.066 * max(map(len, bold)), 0.058 * max(map(len, plain))) + 2 * _MARGIN


def network_alt_text(graph: nx.DiGraph) -> str:
    """What :func:`network_diagram` shows, in words, for readers who cannot see it."""
    blocks: dict[str, list[str]] = {role: [] for role in (*_COLORS, "logits")}
    for data, before in ((graph.nodes[node], graph.predecessors(node)) for node in [*graph][1:]):
        facts = [data["kind"], *(f"{text} at {_fraction(row)}" for row, text in data["outputs"].items())]
        sources = ", ".join(graph.nodes[source]["name"] for source in before)
        blocks[data["role"]].append(f"{data['name']} ({', '.join(filter(None, facts))}) from {sources}")
    said = [f"{role.capitalize()}: {'; '.join(found)}." for role, found in blocks.items() if found]
    return " ".join([f"Diagram of {graph.graph['network']}.", *said])

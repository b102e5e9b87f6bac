"""Which modules of a network a picture looks into."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from torch import nn

from aucseg.models.structure.flow import flows
from aucseg.models.structure.tracing import Trace

# Operations that move, join and gate what modules made, and make nothing new of it.
_MOVE = (
    *("alias", "cat", "clone", "constant_pad_nd", "contiguous", "detach", "expand", "permute", "select"),
    *("slice", "split", "split_with_sizes", "squeeze", "stack", "t", "_to_copy", "transpose", "unbind"),
    *("_unsafe_view", "unsqueeze", "view"),
)
_RESIZE = (
    *("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "avg_pool2d", "max_pool2d_with_indices", "mean"),
    *("upsample_bicubic2d", "upsample_bilinear2d", "upsample_nearest2d"),
)
_JOIN = ("add", "add_", "mul", "mul_", "sum", "relu", "relu_", "sigmoid")
_DROP = ("bernoulli_", "div_", "empty_like", "native_dropout", "new_empty")
_ROUTING = frozenset((*_MOVE, *_RESIZE, *_JOIN, *_DROP))
# A decoder of so few modules is looked into; what branches in it too, up to so many blocks.
_FEW, _MANY = 3, 12


class Calls:
    """Which module calls which, what each does itself, and which have parameters.

    Args:
        network: the network.
        traces: calls of it.
    """

    def __init__(self, network: nn.Module, traces: Sequence[Trace]) -> None:
        self.network, self.traces = network, traces
        self.children: dict[str, dict[str, None]] = defaultdict(dict)
        self.own: dict[str, set[str]] = defaultdict(set)
        self.all: dict[str, set[str]] = defaultdict(set)
        self.reading: set[str] = set()
        for trace in traces:
            for operation in trace.operations:
                scope = ("", *operation.scope)
                self.own[scope[-1]].add(operation.name)
                for path in scope:
                    self.all[path].add(operation.name)
                if operation.parameters:
                    self.reading.update(scope)
                for outer, inner in pairwise(scope):
                    self.children[outer][inner] = None

    def passes_on(self, path: str) -> bool:
        """Whether a module has no parameters and only passes on."""
        return path not in self.reading and self.all[path] <= _ROUTING

    def openable(self, path: str) -> bool:
        """Whether nothing of a module is lost in a picture of the modules that it calls."""
        module = self.network.get_submodule(path)
        return (
            sum(child in self.reading for child in self.children[path]) > 1
            and self.own[path] <= _ROUTING
            and not any(True for _ in module.parameters(recurse=False))
            and not _in_a_row(module)
        )

    def branches(self, path: str) -> bool:
        """Whether a module is openable and two in it, or in one of its own, do not read from each other."""
        if not self.openable(path):
            return False
        later = {
            flow.target
            for t in self.traces
            for flow in flows(t.operations, [below(path, operation.scope) for operation in t.operations])
        }
        first = [c for c in self.children[path] if c in self.reading and c not in later]
        return len(first) > 1 or any(self.branches(child) for child in self.children[path])


def _in_a_row(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's layers, or such layers one after the other."""
    if isinstance(module, nn.Sequential):
        return all(_in_a_row(child) for child in module)
    return type(module).__module__.startswith("torch.nn.")


def below(path: str, scope: Iterable[str]) -> str | None:
    """The module that an operation is in, of those that a module calls; None outside and in itself.

    Args:
        path: of the module that calls.
        scope: of the operation.
    """
    return next((inner for outer, inner in pairwise(("", *scope)) if outer == path), None)


def opened_modules(calls: Calls) -> set[str]:
    """Paths of the modules whose insides are shown, the network and its decoder among them.

    Args:
        calls: of the network.
    """
    opened = (
        {"", "decoder"} if not any(calls.network.get_submodule("decoder").parameters(recurse=False)) else {""}
    )

    def shown() -> list[str]:
        return [
            child
            for path in calls.children
            if path in opened and path.startswith("decoder")
            for child in calls.children[path]
            if child not in opened and not calls.passes_on(child)
        ]

    if len(shown()) <= _FEW:
        opened |= {path for path in shown() if calls.openable(path)}
    while branching := {path for path in shown() if calls.branches(path)}:
        before = set(opened)
        opened |= branching
        if len(shown()) > _MANY:
            return before
    return opened

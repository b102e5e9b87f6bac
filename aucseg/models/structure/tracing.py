"""What a network does to an image, operation by operation, and which of its modules does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from aucseg.models.networks.auxiliary import TrainingOutput

# Means over an image pass through batch norm, which in training wants more than one of them.
_BATCH = 2


@dataclass(frozen=True)
class Operation:
    """One operation on what an image became.

    Attributes:
        name: as ATen calls it, such as ``"convolution"``; ``"image"`` for the first one and ``"logits"`` for
            the last, which are no operations but the ends.
        scope: paths of the modules that are being called, the outermost first, the network itself left out.
        inputs: number of the operation that each tensor comes from, and the shape of the tensor. Parameters,
            buffers and constants are none of them.
        parameters: names of the parameters that it reads, themselves or something made of them alone.
        shape: of its first result.
        multiply_adds: for one image.
    """

    name: str
    scope: tuple[str, ...]
    inputs: tuple[tuple[int, tuple[int, ...]], ...]
    parameters: tuple[str, ...]
    shape: tuple[int, ...]
    multiply_adds: int


@dataclass(frozen=True)
class Trace:
    """One call of a network.

    Attributes:
        operations: in the order of the call, from the image to the logits. What does not depend on the image
            is left out.
        features: numbers of the operations whose results the encoder returns.
        auxiliary: numbers of the operations behind each auxiliary output, empty in evaluation mode.
    """

    operations: tuple[Operation, ...]
    features: frozenset[int]
    auxiliary: dict[str, frozenset[int]]


def trace(network: nn.Module, size: tuple[int, int], *, training: bool) -> Trace:
    """Follow two images through a network without computing anything.

    The tensors have shapes and no values, and the network is left as it was: its weights, running means and
    mode, and the state of the random generators. So a network on the meta device will do as well.

    Args:
        network: a segmentation network with an ``encoder``.
        size: height and width of the images.
        training: mode to call it in.
    """
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
    parameters = {name for name, _ in network.named_parameters()}
    channels = _image_channels(network)
    with _mode(network, training), torch.no_grad(), FakeTensorMode():
        # on the CPU, wherever the network is: some operations do not know the meta device
        fakes = {
            name: torch.empty(shape, dtype=dtype, device="cpu") for name, (shape, dtype) in shapes.items()
        }
        image = torch.empty(_BATCH, channels, *size, device="cpu")
        recorder = _Recorder(image, {name: tensor for name, tensor in fakes.items() if name in parameters})
        with recorder.following(network), recorder:
            result = torch.func.functional_call(network, fakes, (image,))
        auxiliary = result.auxiliary if isinstance(result, TrainingOutput) else {}
        logits = tree_leaves(result)[0]
        (number,), shape = recorder.numbers(logits), tuple(logits.shape)
        end = Operation("logits", (), ((number, shape),), (), shape, 0)
        return Trace(
            (*recorder.operations, end),
            recorder.features,
            {name: recorder.numbers(outputs) for name, outputs in auxiliary.items()},
        )


class _Recorder(TorchDispatchMode):
    """Writes down each operation on tensors that is called while it is entered."""

    def __init__(self, image: Tensor, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.operations = [Operation("image", (), (), (), tuple(image.shape), 0)]
        self.features: frozenset[int] = frozenset()
        self._scope: list[str] = []
        self._numbers = {id(image): 0}
        self._names: dict[int, tuple[str, ...]] = {id(tensor): (name,) for name, tensor in parameters.items()}
        self._owed: dict[int, int] = {}
        # a tensor that is freed could pass its id on
        self._kept: list[Any] = [image, parameters]

    def numbers(self, tensors: Any) -> frozenset[int]:
        """Numbers of the operations that tensors come from, of those that depend on the image."""
        return frozenset(self._numbers[id(t)] for t in tree_leaves(tensors) if id(t) in self._numbers)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self._kept += made
        inputs = tuple((self._numbers[id(t)], tuple(t.shape)) for t in read if id(t) in self._numbers)
        names = tuple(dict.fromkeys(name for t in read for name in self._names.get(id(t), ())))
        flops = flop_registry.get(func._overloadpacket)
        work = flops(*args, **kwargs, out_val=result) // 2 if flops else 0
        # what is done to weights alone is done for the first operation that reads it
        work += sum(self._owed.pop(id(tensor), 0) for tensor in read)
        if not inputs and made:
            self._names |= {id(tensor): names for tensor in made}
            self._owed[id(made[0])] = work
        if not inputs or not made:
            return result
        name, shape = func._overloadpacket.__name__, tuple(made[0].shape)
        self.operations.append(Operation(name, tuple(self._scope), inputs, names, shape, work // _BATCH))
        # an operation in place gives back the tensor that it got: from here on it is this one's
        self._numbers |= {id(tensor): len(self.operations) - 1 for tensor in made}
        return result

    @contextmanager
    def following(self, network: nn.Module) -> Iterator[None]:
        """Keep track of the modules that are being called, and of what the encoder returns."""
        with ExitStack() as hooks:
            for path, module in network.named_modules():
                if path:
                    hooks.enter_context(module.register_forward_pre_hook(self._entering(path)))
                    hooks.enter_context(module.register_forward_hook(self._leaving))
            hooks.enter_context(network.get_submodule("encoder").register_forward_hook(self._encoded))
            yield

    def _entering(self, path: str) -> Any:
        return lambda module, args: self._scope.append(path)

    def _leaving(self, module: nn.Module, args: Any, result: Any) -> None:
        self._scope.pop()

    def _encoded(self, module: nn.Module, args: Any, result: Any) -> None:
        self.features = self.numbers(result)


@contextmanager
def _mode(network: nn.Module, training: bool) -> Iterator[None]:
    """Training or evaluation mode for a while; afterwards each module has its own again."""
    before = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def _image_channels(network: nn.Module) -> int:
    """Channels of the images: of the first features of an encoder as smp has them, which are the image."""
    return int(network.get_submodule("encoder").out_channels[0])  # type: ignore[index]

"""The blocks of a network and the data flow between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["image", "encoder", "decoder", "head", "auxiliary", "logits"]
#: Kinds of the blocks that only join what comes in, by the operation that does it.
JOINS = {
    "cat": "concatenation",
    "stack": "concatenation",
    "add": "sum",
    "add_": "sum",
    "sum": "sum",
    "mul": "product",
    "mul_": "product",
}


class Output(NamedTuple):
    """A tensor that a block hands on, for one image.

    Attributes:
        shape: channels first, then height and width, or whatever it has instead.
        stride: how many pixels of the image a value stands for on each side; None if it is no map of it.
    """

    shape: tuple[int, ...]
    stride: int | None

    @property
    def channels(self) -> int:
        """Its channels."""
        return self.shape[0]


@dataclass(frozen=True)
class Block:
    """A part of a network that a picture shows as one.

    Attributes:
        name: path of its module; in the encoder with the resolution, as ``"encoder.layer3 1/16"``. A sum,
            product or concatenation has the path of the module that does it. The ends are ``"image"`` and
            ``"logits"``.
        kind: what it is, in words.
        role: ``"head"`` is what is neither encoder nor decoder, ``"auxiliary"`` what evaluation does without.
        outputs: what it hands on, the finest resolution first; most blocks have one.
        parameters: number of them.
        multiply_adds: for one image; of evaluation, if it has a part in it.
        losses: names of the auxiliary terms of training that its results go to directly.
    """

    name: str
    kind: str
    role: Role
    outputs: tuple[Output, ...]
    parameters: int = 0
    multiply_adds: int = 0
    losses: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of its finest output."""
        return self.outputs[0].channels

    @property
    def stride(self) -> int | None:
        """Stride of its finest output against the image; None if it is no map of it."""
        return self.outputs[0].stride

    @property
    def joins(self) -> bool:
        """Whether it only joins what comes in."""
        return self.kind in JOINS.values()


class Edge(NamedTuple):
    """A tensor that goes from a block to another, resized or joined with others on its way or not.

    Attributes:
        source: name of the block that it comes from.
        target: name of the block that it goes to.
        output: what the source hands over.
    """

    source: str
    target: str
    output: Output


@dataclass(frozen=True)
class Structure:
    """Blocks of a network, and how data flows between them.

    Attributes:
        network: name of its class.
        size: height and width of the image that it was read off.
        blocks: in the order of the call, from the image to the logits; no block gets data from a later one.
        edges: with evaluation's own, if it takes another way than training.
        unread: number of parameters that neither mode reads, such as those of a layer that an encoder has for
            classification. With those of the blocks they are all.
    """

    network: str
    size: tuple[int, int]
    blocks: tuple[Block, ...]
    edges: tuple[Edge, ...]
    unread: int = 0

    def block(self, name: str) -> Block:
        """The block of a name.

        Raises:
            KeyError: if there is none.
        """
        return {block.name: block for block in self.blocks}[name]

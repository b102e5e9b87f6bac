"""Products of matrices that keep the digits of their factors."""

from __future__ import annotations

import torch
from torch import Tensor

# numbers that one product adds up in the dtype of its factors
BLOCK = 2**8


def contract(a: Tensor, b: Tensor, accumulator: torch.dtype) -> Tensor:
    """Sum over pixels of products, in blocks whose sums are added in a wider dtype.

    A product of matrices adds one number after the other: over 65,000 equal scores in float32 that loses
    four digits.

    Args:
        a: (m, p), the numbers.
        b: (n, p), ones and zeros or weights.
        accumulator: dtype of the sum over blocks.

    Returns:
        (m, n) of the dtype ``accumulator``.
    """
    m, p = a.shape
    blocks = p // BLOCK
    cut = blocks * BLOCK
    total = lookup(a[:, cut:], b[:, cut:].t()).to(accumulator)  # what is left over
    if blocks:
        left = b[:, :cut].view(-1, blocks, BLOCK).transpose(0, 1)
        right = a[:, :cut].view(m, blocks, BLOCK).permute(1, 2, 0)
        for third in (right,) if _exact(a) else _thirds(right):
            total += torch.bmm(left, third).sum(0, dtype=accumulator).t()
    return total


def lookup(table: Tensor, onehot: Tensor, out: Tensor | None = None) -> Tensor:
    """A column of the table for each pixel, by a product that keeps full precision.

    Args:
        table: (m, n).
        onehot: (n, p).
        out: (m, p), where to write it; a new tensor by default.

    Returns:
        (m, p).
    """
    if _exact(table):
        return torch.mm(table, onehot, out=out)
    high, middle, low = _thirds(table)
    product = high @ onehot + (middle @ onehot + low @ onehot)
    return product if out is None else out.copy_(product)


def _exact(values: Tensor) -> bool:
    """Whether a product keeps float32, which torch.set_float32_matmul_precision may have given up."""
    return values.dtype != torch.float32 or torch.get_float32_matmul_precision() == "highest"


def _thirds(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # TF32 would cut the scores to 11 bits, bfloat16 to 8; three parts of 8 bits pass through unchanged
    high = values.bfloat16().float()
    middle = (values - high).bfloat16().float()
    return high, middle, values - high - middle

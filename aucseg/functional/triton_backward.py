"""The backward kernel of ``triton_sums``, and that which counts labels; see ``triton_kernels``."""

# What follows is compiled by Triton, not run by Python: tuples grow, branches are on constants, and there are
# no starred expressions.
# mypy: disable-error-code="assignment,misc,var-annotated,import-untyped,import-not-found"

from __future__ import annotations

import triton
import triton.language as tl

from aucseg.functional.triton_kernels import tile_of, variable


@triton.jit
def backward_kernel(
    logits: tl.tensor,
    rows: tl.tensor,
    weights: tl.tensor,
    lse: tl.tensor,
    table: tl.tensor,
    grad_entropy: tl.tensor,
    grad: tl.tensor,
    pixels: tl.tensor,
    per_image: tl.tensor,
    stride_image: tl.tensor,
    stride_channel: tl.tensor,
    stride_pixel: tl.tensor,
    grad_image: tl.tensor,
    grad_channel: tl.tensor,
    grad_pixel: tl.tensor,
    own_slope: tl.tensor,
    own_shift: tl.tensor,
    other_slope: tl.tensor,
    other_shift: tl.tensor,
    num_classes: tl.constexpr,
    degree: tl.constexpr,
    chebyshev: tl.constexpr,
    exponential: tl.constexpr,
    activation: tl.constexpr,
    cross_entropy: tl.constexpr,
    block_k: tl.constexpr,
    block_p: tl.constexpr,
) -> None:
    """The gradient of one tile. ``table`` (2, degree, K): coefficients of the derivative, own and other,
    for Chebyshev polynomials of the second kind or powers.
    """
    blocks: tl.constexpr = (num_classes + block_k - 1) // block_k
    tile = tl.program_id(0) // blocks
    channel = (tl.program_id(0) % blocks) * block_k + tl.arange(0, block_k)
    inside = channel < num_classes
    image, pixel, here, place, label = tile_of(tile, rows, pixels, per_image, num_classes, block_p)
    wide = channel.to(tl.int64)[:, None]
    offset = image * stride_image + wide * stride_channel + (pixel * stride_pixel)[None, :]
    write = inside[:, None] & here[None, :]
    x = tl.load(logits + offset, mask=write, other=0.0).to(tl.float32)
    own = channel[:, None] == label[None, :]
    probability = x
    if cross_entropy or activation == "softmax":
        probability = tl.exp(x - tl.load(lse + place, mask=here, other=0.0)[None, :])
    scores = x
    if activation == "sigmoid":
        scores = 1.0 / (1.0 + tl.exp(-x))
    if activation == "softmax":
        scores = probability
    z = variable(scores, own, own_slope, own_shift, other_slope, other_shift, exponential)
    first = tl.zeros((block_k, block_p), tl.float32)
    second = tl.zeros((block_k, block_p), tl.float32)
    for j in tl.static_range(degree):  # from the highest coefficient down: Clenshaw or Horner
        mine = tl.load(table + (degree - 1 - j) * num_classes + channel, mask=inside, other=0.0)
        theirs = tl.load(table + (2 * degree - 1 - j) * num_classes + channel, mask=inside, other=0.0)
        c = tl.where(own, mine[:, None], theirs[:, None])
        if chebyshev:
            result = c + 2.0 * z * first - second
            second = first
        else:
            result = c + z * first
        first = result
    slope = first * tl.where(own, 1.0, tl.load(weights + label)[None, :])
    if exponential:
        slope *= z
    if activation == "sigmoid":
        slope *= scores * (1.0 - scores)
    if activation == "softmax":
        slope = tl.where(inside[:, None], slope, 0.0)
        slope = scores * (slope - tl.sum(scores * slope, 0)[None, :])
    if cross_entropy:
        share = tl.where(label < num_classes, tl.load(grad_entropy), 0.0)
        slope += share[None, :] * (probability - tl.where(own, 1.0, 0.0))
    target = image * grad_image + wide * grad_channel + (pixel * grad_pixel)[None, :]
    tl.store(grad + target, slope.to(grad.dtype.element_ty), mask=write)


@triton.jit
def count_kernel(
    rows: tl.tensor,
    partial: tl.tensor,
    pixels: tl.tensor,
    tiles: tl.tensor,
    programs: tl.tensor,
    num_classes: tl.constexpr,
    block_k: tl.constexpr,
    block_p: tl.constexpr,
) -> None:
    """Pixels of each class in a program's tiles; ``block_k`` is at least K + 1."""
    program = tl.program_id(0)
    step = tl.full((1,), block_p, tl.int64)
    counts = tl.zeros((block_k,), tl.int32)
    for tile in range(program, tiles, programs):
        place = tile * step + tl.arange(0, block_p)
        label = tl.load(rows + place, mask=place < pixels, other=num_classes).to(tl.int32)
        label = tl.minimum(label, num_classes)
        counts += tl.histogram(label, block_k)
    channel = tl.arange(0, block_k)
    tl.store(partial + program * num_classes + channel, counts, mask=channel < num_classes)

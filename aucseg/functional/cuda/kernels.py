"""The kernels. Importing this needs Triton, so it is imported where one is launched.

A tile is a run of channels of BLOCK_P pixels of one image. The label of a pixel is 0 to K - 1, K for void and
K + 1 for a label that is none, whose weight is nan: it makes the sums nan without anyone looking for it.
"""

# What follows is compiled by Triton, not run by Python: tuples grow, branches are on constants, and there are
# no starred expressions.
# mypy: disable-error-code="assignment,misc,var-annotated,import-untyped,import-not-found"
# ruff: noqa: RUF005, SIM108

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _tile_of(
    tile: tl.tensor,
    rows: tl.tensor,
    pixels: tl.tensor,
    per_image: tl.tensor,
    num_classes: tl.constexpr,
    block_p: tl.constexpr,
) -> tl.tuple:
    """Image, pixels, whether they are in it, and their places and labels (void outside)."""
    # 64 bit before any product with a stride
    image = (tile // per_image).to(tl.int64)
    pixel = (tile % per_image) * block_p + tl.arange(0, block_p)
    here = pixel < pixels
    place = image * pixels + pixel
    label = tl.load(rows + place, mask=here, other=num_classes).to(tl.int32)
    return image, pixel.to(tl.int64), here, place, label


@triton.jit
def _variable(
    scores: tl.tensor,
    own: tl.tensor,
    own_slope: tl.tensor,
    own_shift: tl.tensor,
    other_slope: tl.tensor,
    other_shift: tl.tensor,
    exponential: tl.constexpr,
) -> tl.tensor:
    """The variable z of a score: that of a positive on the pixel's own channel, else that of a negative."""
    z = tl.where(own, own_slope, other_slope) * scores + tl.where(own, own_shift, other_shift)
    if exponential:
        z = tl.exp(z)
    return z


@triton.jit
def _fold(values: tl.tensor, together: tl.constexpr, pixel_last: tl.constexpr) -> tl.tensor:
    """Sums of ``together`` pixels of one thread: threads exchange nothing within the loop."""
    if pixel_last:
        sums = tl.sum(tl.reshape(values, (values.shape[0], values.shape[1] // together, together)), 2)
    else:
        sums = tl.sum(tl.reshape(values, (values.shape[0], together, values.shape[1] // together)), 1)
    return sums


@triton.jit
def forward_kernel(
    logits: tl.tensor,
    rows: tl.tensor,
    weights: tl.tensor,
    lse: tl.tensor,
    partial: tl.tensor,
    pixels: tl.tensor,
    per_image: tl.tensor,
    tiles: tl.tensor,
    programs: tl.tensor,
    stride_image: tl.tensor,
    stride_channel: tl.tensor,
    stride_pixel: tl.tensor,
    own_slope: tl.tensor,
    own_shift: tl.tensor,
    other_slope: tl.tensor,
    other_shift: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    num_classes: tl.constexpr,
    degree: tl.constexpr,
    chebyshev: tl.constexpr,
    exponential: tl.constexpr,
    activation: tl.constexpr,
    ranged: tl.constexpr,
    cross_entropy: tl.constexpr,
    normalise: tl.constexpr,
    blocks: tl.constexpr,
    block_k: tl.constexpr,
    block_more: tl.constexpr,
    block_p: tl.constexpr,
    together: tl.constexpr,
    pixel_last: tl.constexpr,
) -> None:
    """Sums of a program's tiles: degree rows of ``own``, degree of ``rest``, one of the cross entropy.

    The tiles are one of ``blocks`` runs of channels. A single run may have a second part of ``block_more``
    channels: 150 are 128 and 32 then, and not 256. With ``normalise`` (which needs a single run) the
    log-sum-exp of the pixels is written, without it softmax scores read it. A degree of 0 leaves the features
    out.
    """
    parts: tl.constexpr = 1 if block_more == 0 else 2
    program = tl.program_id(0) // blocks
    first = (tl.program_id(0) % blocks) * block_k
    channels = (first + tl.arange(0, block_k),)
    zeros = (tl.zeros((block_k, block_p // together), tl.float32),)
    if block_more > 0:
        channels = channels + (block_k + tl.arange(0, block_more),)
        zeros = zeros + (tl.zeros((block_more, block_p // together), tl.float32),)
    # for each part: the cross entropy, then own and rest of every degree
    sums = ()
    for part in tl.static_range(parts):
        of_part = (zeros[part],)
        for _ in tl.static_range(degree):
            of_part = of_part + (zeros[part], zeros[part])
        sums = sums + (of_part,)
    for tile in range(program, tiles, programs):
        image, pixel, here, place, label = _tile_of(tile, rows, pixels, per_image, num_classes, block_p)
        base = logits + image * stride_image + (pixel * stride_pixel)[None, :]
        x = ()
        for part in tl.static_range(parts):
            offset = channels[part].to(tl.int64)[:, None] * stride_channel
            mask = (channels[part] < num_classes)[:, None] & here[None, :]
            x = x + (tl.load(base + offset, mask=mask, other=0.0).to(tl.float32),)
        if normalise:
            inside = (channels[0] < num_classes)[:, None]
            top = tl.max(tl.where(inside, x[0], float("-inf")), 0)
            if parts == 2:
                more_inside = (channels[1] < num_classes)[:, None]
                top = tl.maximum(top, tl.max(tl.where(more_inside, x[1], float("-inf")), 0))
            raised = (tl.where(inside, tl.exp(x[0] - top[None, :]), 0.0),)
            total = tl.sum(raised[0], 0)
            if parts == 2:
                raised = raised + (tl.where(more_inside, tl.exp(x[1] - top[None, :]), 0.0),)
                total += tl.sum(raised[1], 0)
            log_total = tl.log(total)
            tl.store(lse + place, top + log_total, mask=here)
        elif activation == "softmax":
            log_sum = tl.load(lse + place, mask=here, other=0.0)
        weight = tl.load(weights + label)
        sums_next = ()
        for part in tl.static_range(parts):
            own = channels[part][:, None] == label[None, :]
            entropy = sums[part][0]
            if cross_entropy:
                # two small numbers are added, not two large ones subtracted
                loss = tl.where(own, (top[None, :] - x[part]) + log_total[None, :], 0.0)
                entropy += _fold(loss, together, pixel_last)
            of_part = (entropy,)
            scores = x[part]
            if activation == "softmax":
                if normalise:
                    scores = raised[part] / total[None, :]
                else:
                    scores = tl.exp(x[part] - log_sum[None, :])
            if activation == "sigmoid":
                scores = 1.0 / (1.0 + tl.exp(-x[part]))
            if ranged:
                scores = tl.where((scores < low) | (scores > high), float("nan"), scores)
            # taken out before the sum and not after it: the own scores are the large ones
            share = tl.where(own, 0.0, weight[None, :])
            z = _variable(scores, own, own_slope, own_shift, other_slope, other_shift, exponential)
            before = tl.full(z.shape, 1.0, tl.float32)
            value = z
            for j in tl.static_range(degree):
                mine = _fold(tl.where(own, value, 0.0), together, pixel_last)
                theirs = _fold(value * share, together, pixel_last)
                of_part = of_part + (sums[part][1 + 2 * j] + mine, sums[part][2 + 2 * j] + theirs)
                if j + 1 < degree:
                    after = value * z
                    if chebyshev:
                        after = 2.0 * after - before
                    before = value
                    value = after
            sums_next = sums_next + (of_part,)
        sums = sums_next
    partial += program * (2 * degree + cross_entropy) * num_classes
    for part in tl.static_range(parts):
        here = channels[part] < num_classes
        for j in tl.static_range(degree):
            target = partial + j * num_classes + channels[part]
            tl.store(target, tl.sum(sums[part][1 + 2 * j], 1), mask=here)
            tl.store(target + degree * num_classes, tl.sum(sums[part][2 + 2 * j], 1), mask=here)
        if cross_entropy:
            tl.store(partial + 2 * degree * num_classes + channels[part], tl.sum(sums[part][0], 1), mask=here)


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
    image, pixel, here, place, label = _tile_of(tile, rows, pixels, per_image, num_classes, block_p)
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
    z = _variable(scores, own, own_slope, own_shift, other_slope, other_shift, exponential)
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

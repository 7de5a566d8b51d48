"""The paper's network as one kernel: a tile of samples goes through encodings, layers and heads in one pass, and back.

Buffer 0 of the table of `layers` holds the encoded points, buffer 1 the encoded directions.
"""

import numpy as np
from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel, part
from nerf_mini.kernels.encoding import encode_columns, encode_columns_backward
from nerf_mini.kernels.layers import (
    CHUNKS,
    TILE,
    fill_buffer,
    heads_backward,
    heads_forward,
    layers_backward,
    layers_forward,
    padded_rows,
    plain,
    read_buffer,
    scratch_of,
    tile_range,
)

INPUTS = 2  # buffers that the encodings fill


@part
def _encode_inputs(
    points, directions, ray_index, first, count, scales, direction_scales, identity, x, scratch, buffers, values
):
    """Fill buffers 0 and 1 of the tile; rows beyond `count` are zero so that they add nothing to any sum."""
    rows = padded_rows(count)
    for b in range(INPUTS):
        width = buffers[b, 1]
        if width == 0:
            continue
        for i in range(count):
            for axis in range(3):
                x[axis, i] = points[first + i, axis] if b == 0 else directions[ray_index[first + i], axis]
        values[: rows * width] = 0
        encode_columns(x, count, scales if b == 0 else direction_scales, identity, values, 0, width)
        fill_buffer(values, scratch, buffers, b, rows)


@parallel_kernel
def network_forward(
    points, directions, ray_index, scales, direction_scales, identity, buffers, layers, heads, weights, operands,
    scratch, values, out,
):  # fmt: skip
    """points (samples, 3), directions (rays, 3), ray_index (samples,) -> out (samples, outputs).

    `scratch` is (tiles, TILE * columns) in words and keeps the activations, or (CHUNKS, TILE * columns); `values` is
    (CHUNKS, TILE * widest) in numbers. Their content does not matter.
    """
    for chunk in prange(CHUNKS):
        _forward_chunk(
            np.int64(chunk), points, directions, ray_index, scales, direction_scales, identity, buffers, layers, heads,
            weights, operands, scratch, values[chunk], out,
        )  # fmt: skip


@part
def _forward_chunk(
    chunk, points, directions, ray_index, scales, direction_scales, identity, buffers, layers, heads, weights, operands,
    scratch, values, out,
):  # fmt: skip
    first_tile, last_tile = tile_range(chunk, points.shape[0])
    x = np.empty((3, TILE), points.dtype)
    for tile in range(first_tile, last_tile):
        first = tile * TILE
        count = min(TILE, points.shape[0] - first)
        activations = scratch_of(scratch, chunk, tile, points.shape[0])
        _encode_inputs(
            points, directions, ray_index, first, count, scales, direction_scales, identity, x, activations, buffers,
            values,
        )  # fmt: skip
        layers_forward(activations, buffers, layers, operands, weights, padded_rows(count), values)
        heads_forward(activations, buffers, heads, weights, first, count, values, out)


@parallel_kernel
def network_backward(
    g_out, activations, scales, direction_scales, identity, buffers, layers, heads, weights, transposed, g_scratch,
    values, spare, g_weights, g_points, g_directions,
):  # fmt: skip
    """Adds the gradient of the packed weights to g_weights (CHUNKS, size), which comes in as zeros.

    activations (tiles, TILE * columns) are what the forward pass left in its `scratch`; g_scratch is (CHUNKS, TILE *
    columns) in numbers, `spare` (CHUNKS, 3, TILE * widest) in words. g_points and g_directions (samples, 3) are filled,
    g_directions per sample; with no rows they are not wanted, and their part of the work is skipped.
    """
    for chunk in prange(CHUNKS):
        _backward_chunk(
            np.int64(chunk), g_out, activations, scales, direction_scales, identity, buffers, layers, heads, weights,
            transposed, g_scratch[chunk], values[chunk], spare[chunk], g_weights[chunk], g_points, g_directions,
        )  # fmt: skip


@part
def _backward_chunk(
    chunk, g_out, activations, scales, direction_scales, identity, buffers, layers, heads, weights, transposed,
    g_scratch, values, spare, g_weights, g_points, g_directions,
):  # fmt: skip
    first_tile, last_tile = tile_range(chunk, g_out.shape[0])
    input_gradients = g_points.shape[0] > 0
    x = np.empty((3, TILE), g_out.dtype)
    for tile in range(first_tile, last_tile):
        first, scratch = tile * TILE, activations[tile]
        count = min(TILE, g_out.shape[0] - first)
        g_scratch[:] = 0
        heads_backward(g_out, first, count, scratch, g_scratch, buffers, heads, weights, values, g_weights)
        layers_backward(
            scratch, g_scratch, buffers, layers, transposed, g_weights, padded_rows(count), plain(INPUTS),
            input_gradients, spare,
        )  # fmt: skip
        if input_gradients:
            _inputs_backward(
                g_scratch, scratch, buffers, first, count, scales, direction_scales, identity, x, values, g_points,
                g_directions,
            )  # fmt: skip


@part
def _inputs_backward(
    g_scratch, scratch, buffers, first, count, scales, direction_scales, identity, x, values, g_points, g_directions
):
    for b in range(INPUTS):
        start, width = TILE * buffers[b, 0], buffers[b, 1]
        if width == 0:
            continue
        read_buffer(scratch, buffers, b, padded_rows(count), values)
        encode_columns_backward(
            g_scratch[start:], values, 0, width, count, scales if b == 0 else direction_scales, identity, x
        )
        target = g_points if b == 0 else g_directions
        for i in range(count):
            for axis in range(3):
                target[first + i, axis] = x[axis, i]

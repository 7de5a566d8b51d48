"""The paper's network as one kernel: a tile of samples goes through encodings, layers and heads in one pass, and back.

Buffer 0 of the table of `layers` holds the encoded points, buffer 1 the encoded directions.
"""

import numpy as np
from numba import njit, prange

from .encoding import encode_columns, encode_columns_backward
from .layers import CHUNKS, TILE, heads_backward, heads_forward, layers_backward, layers_forward, tile_range
from .matmul import ROWS

INPUTS = 2  # buffers that the encodings fill


@njit
def _encode_inputs(
    points, directions, ray_index, first, count, scales, direction_scales, identity, x, scratch, buffers
):
    """Fill buffers 0 and 1 of the tile; rows beyond `count` are zero so that they add nothing to any sum."""
    for b in range(INPUTS):
        start = TILE * buffers[b, 0]
        scratch[start : start + TILE * buffers[b, 1]] = 0
    for i in range(count):
        for axis in range(3):
            x[axis, i] = points[first + i, axis]
    encode_columns(x, count, scales, identity, scratch, TILE * buffers[0, 0], buffers[0, 1])
    if buffers[1, 1] > 0:
        for i in range(count):
            for axis in range(3):
                x[axis, i] = directions[ray_index[first + i], axis]
        encode_columns(x, count, direction_scales, identity, scratch, TILE * buffers[1, 0], buffers[1, 1])


@njit(parallel=True, cache=True)
def network_forward(
    points, directions, ray_index, scales, direction_scales, identity, buffers, layers, heads, weights, scratch, out
):
    """points (samples, 3), directions (rays, 3), ray_index (samples,) -> out (samples, outputs).

    `scratch` is (CHUNKS, TILE * columns), of any content.
    """
    for chunk in prange(CHUNKS):
        first_tile, last_tile = tile_range(chunk, points.shape[0])
        x = np.empty((3, TILE), points.dtype)
        for tile in range(first_tile, last_tile):
            first = tile * TILE
            count = min(TILE, points.shape[0] - first)
            rows = (count + ROWS - 1) // ROWS * ROWS
            tile_scratch = scratch[chunk]
            _encode_inputs(
                points, directions, ray_index, first, count, scales, direction_scales, identity,
                x, tile_scratch, buffers,
            )  # fmt: skip
            layers_forward(tile_scratch, buffers, layers, weights, rows)
            heads_forward(tile_scratch, buffers, heads, weights, first, count, out)


@njit(parallel=True, cache=True)
def network_backward(
    g_out, points, directions, ray_index, scales, direction_scales, identity, buffers, layers, heads,
    weights, transposed, scratch, g_scratch, g_weights, g_points, g_directions,
):  # fmt: skip
    """Adds the gradient of the packed weights to g_weights (CHUNKS, size), which comes in as zeros.

    `transposed` holds the layers' weights as (out, in) at the same offsets. g_points and g_directions (samples, 3)
    are filled, g_directions per sample; with no rows they are not wanted, and their part of the work is skipped.
    """
    input_gradients = g_points.shape[0] > 0
    for chunk in prange(CHUNKS):
        first_tile, last_tile = tile_range(chunk, points.shape[0])
        x = np.empty((3, TILE), points.dtype)
        tile_scratch, g_tile, g_sum = scratch[chunk], g_scratch[chunk], g_weights[chunk]
        for tile in range(first_tile, last_tile):
            first = tile * TILE
            count = min(TILE, points.shape[0] - first)
            rows = (count + ROWS - 1) // ROWS * ROWS
            _encode_inputs(
                points, directions, ray_index, first, count, scales, direction_scales, identity,
                x, tile_scratch, buffers,
            )  # fmt: skip
            layers_forward(tile_scratch, buffers, layers, weights, rows)
            g_tile[:] = 0
            heads_backward(g_out, first, count, tile_scratch, g_tile, buffers, heads, weights, g_sum)
            layers_backward(tile_scratch, g_tile, buffers, layers, transposed, g_sum, rows, INPUTS, input_gradients)
            if input_gradients:
                _inputs_backward(
                    g_tile, tile_scratch, buffers, first, count, scales, direction_scales, identity,
                    x, g_points, g_directions,
                )  # fmt: skip


@njit
def _inputs_backward(
    g_tile, scratch, buffers, first, count, scales, direction_scales, identity, x, g_points, g_directions
):
    for b in range(2):
        start, width = TILE * buffers[b, 0], buffers[b, 1]
        if width == 0:
            continue
        encode_columns_backward(
            g_tile, scratch, start, width, count, scales if b == 0 else direction_scales, identity, x
        )
        target = g_points if b == 0 else g_directions
        for i in range(count):
            for axis in range(3):
                target[first + i, axis] = x[axis, i]

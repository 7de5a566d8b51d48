"""The small network behind a hash grid as one kernel: density layers, the ray's harmonics beside them, colour layers.

Buffer 0 of the table of `layers` holds the encoding. The density layers end in the buffer `geometry`: column 0 is the
raw density, and the harmonics of the direction are filled in behind the density layers' columns, from `filled` on. The
colour layers start from that buffer.
"""

import numpy as np
from numba import njit, prange

from .layers import CHUNKS, TILE, heads_backward, heads_forward, layers_backward, layers_forward, tile_range
from .matmul import ROWS


@njit
def padded_rows(count):
    return (count + ROWS - 1) // ROWS * ROWS


@njit
def _copy_rows(source, first, count, scratch, start, width):
    """Rows of a matrix into a buffer; columns and rows beyond the matrix's own are zero."""
    columns = source.shape[1]
    if columns < width or count < TILE:
        scratch[start : start + TILE * width] = 0
    for i in range(count):
        target, row = scratch[start + i * width : start + i * width + columns], source[first + i]
        for j in range(columns):
            target[j] = row[j]


@njit
def fill_harmonics(harmonics, ray_index, first, count, scratch, buffers, geometry, filled):
    """The harmonics (rays, columns) of each sample's ray, into the columns from `filled` on."""
    start, width = TILE * buffers[geometry, 0], buffers[geometry, 1]
    for i in range(count):
        at = start + i * width + filled
        row = harmonics[ray_index[first + i]]
        target = scratch[at : at + row.size]
        for j in range(row.size):
            target[j] = row[j]


@njit
def _tile_forward(
    encoding, harmonics, ray_index, first, count, scratch, buffers, density_layers, color_layers, geometry, filled,
    weights,
):  # fmt: skip
    rows = padded_rows(count)
    _copy_rows(encoding, first, count, scratch, TILE * buffers[0, 0], buffers[0, 1])
    layers_forward(scratch, buffers, density_layers, weights, rows)
    fill_harmonics(harmonics, ray_index, first, count, scratch, buffers, geometry, filled)
    layers_forward(scratch, buffers, color_layers, weights, rows)


@njit(parallel=True, cache=True)
def instant_forward(
    encoding,
    harmonics,
    ray_index,
    buffers,
    density_layers,
    color_layers,
    heads,
    geometry,
    filled,
    weights,
    scratch,
    out,
):
    """encoding (samples, width), harmonics (rays, columns), ray_index (samples,) -> out (samples, 4): colour, density.

    With one column, `out` is the raw density alone, and the colour layers are left out. `scratch` is
    (CHUNKS, TILE * columns), of any content.
    """
    for chunk in prange(CHUNKS):
        _forward_chunk(
            np.int64(chunk), encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry,
            filled, weights, scratch[chunk], out,
        )  # fmt: skip


@njit
def _forward_chunk(
    chunk, encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry, filled, weights,
    scratch, out,
):  # fmt: skip
    first_tile, last_tile = tile_range(chunk, encoding.shape[0])
    with_color = out.shape[1] > 1
    for tile in range(first_tile, last_tile):
        first = tile * TILE
        count = min(TILE, encoding.shape[0] - first)
        layers = color_layers if with_color else color_layers[:0]
        _tile_forward(
            encoding, harmonics, ray_index, first, count, scratch, buffers, density_layers, layers, geometry, filled,
            weights,
        )  # fmt: skip
        if with_color:
            heads_forward(scratch, buffers, heads, weights, first, count, out)
        start, width = TILE * buffers[geometry, 0], buffers[geometry, 1]
        for i in range(count):
            out[first + i, out.shape[1] - 1] = scratch[start + i * width]


@njit(parallel=True, cache=True)
def instant_backward(
    g_out, encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry, filled, weights,
    transposed, scratch, g_scratch, g_weights, g_encoding, g_harmonics,
):  # fmt: skip
    """Adds the gradient of the packed weights to g_weights (CHUNKS, size), which comes in as zeros.

    `transposed` holds the layers' weights as (out, in) at the same offsets. g_encoding and g_harmonics (samples,
    columns) are filled, g_harmonics per sample; with no rows they are not wanted.
    """
    for chunk in prange(CHUNKS):
        _backward_chunk(
            np.int64(chunk), g_out, encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads,
            geometry, filled, weights, transposed, scratch[chunk], g_scratch[chunk], g_weights[chunk], g_encoding,
            g_harmonics,
        )  # fmt: skip


@njit
def _backward_chunk(
    chunk, g_out, encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry, filled,
    weights, transposed, scratch, g_scratch, g_weights, g_encoding, g_harmonics,
):  # fmt: skip
    first_tile, last_tile = tile_range(chunk, encoding.shape[0])
    wanted = g_encoding.shape[0] > 0
    for tile in range(first_tile, last_tile):
        first = tile * TILE
        count = min(TILE, encoding.shape[0] - first)
        rows = padded_rows(count)
        _tile_forward(
            encoding, harmonics, ray_index, first, count, scratch, buffers, density_layers, color_layers, geometry,
            filled, weights,
        )  # fmt: skip
        g_scratch[:] = 0
        heads_backward(g_out, first, count, scratch, g_scratch, buffers, heads, weights, g_weights)
        layers_backward(scratch, g_scratch, buffers, color_layers, transposed, g_weights, rows, 0, True)
        start, width = TILE * buffers[geometry, 0], buffers[geometry, 1]
        for i in range(count):
            g_scratch[start + i * width] += g_out[first + i, 3]
        if g_harmonics.shape[0] > 0:
            _take_rows(g_scratch, start + filled, width, first, count, g_harmonics)
        layers_backward(scratch, g_scratch, buffers, density_layers, transposed, g_weights, rows, 1, wanted)
        if wanted:
            _take_rows(g_scratch, TILE * buffers[0, 0], buffers[0, 1], first, count, g_encoding)


@njit
def _take_rows(g_tile, start, width, first, count, out):
    """out[first : first + count] from the columns of a buffer that begin at `start`."""
    for i in range(count):
        target = out[first + i]
        row = g_tile[start + i * width : start + i * width + target.size]
        for j in range(target.size):
            target[j] = row[j]

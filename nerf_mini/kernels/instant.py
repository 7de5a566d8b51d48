"""The small network behind a hash grid as one kernel: density layers, the ray's harmonics beside them, colour layers.

Buffer 0 of the table of `layers` holds the encoding. The density layers end in the buffer `geometry`: column 0 is the
raw density, and the harmonics of the direction are filled in behind the density layers' columns, from `filled` on. The
colour layers start from that buffer.
"""

import numpy as np
from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel, part
from nerf_mini.kernels.layers import (
    CHUNKS,
    TILE,
    fill_buffer,
    heads_backward,
    heads_forward,
    layer_forward,
    layers_backward,
    layers_forward,
    padded_rows,
    plain,
    scratch_of,
    tile_range,
)


@part
def _copy_rows(source, first, count, values, width):
    """Rows of a matrix, flat; columns and rows beyond the matrix's own are zero."""
    columns = source.shape[1]
    if columns < width or count < TILE:
        values[: TILE * width] = 0
    for i in range(count):
        target, row = values[i * width : i * width + columns], source[first + i]
        for j in range(columns):
            target[j] = row[j]


@part
def _fill_harmonics(harmonics, ray_index, first, count, values, width, filled):
    """The harmonics (rays, columns) of each sample's ray, into the columns from `filled` on."""
    for i in range(count):
        at = i * width + filled
        row = harmonics[ray_index[first + i]]
        target = values[at : at + row.size]
        for j in range(row.size):
            target[j] = row[j]


@part
def _tile_forward(
    encoding, harmonics, ray_index, first, count, buffers, density_layers, color_layers, geometry, filled, weights,
    operands, scratch, values, raw_density,
):  # fmt: skip
    """Everything but the heads; the raw density (count,) on the way, before anything rounds it."""
    rows, width = padded_rows(count), buffers[geometry, 1]
    _copy_rows(encoding, first, count, values, buffers[0, 1])
    fill_buffer(values, scratch, buffers, 0, rows)
    layers_forward(scratch, buffers, density_layers[:-1], operands, weights, rows, values)
    layer_forward(scratch, buffers, density_layers[-1], operands, weights, rows, values, values, plain(0), width)
    for i in range(count):
        raw_density[i] = values[i * width]
    if color_layers.shape[0] > 0:
        _fill_harmonics(harmonics, ray_index, first, count, values, width, filled)
        fill_buffer(values, scratch, buffers, geometry, rows)
        layers_forward(scratch, buffers, color_layers, operands, weights, rows, values)


@parallel_kernel
def instant_forward(
    encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry, filled, weights, operands,
    scratch, values, out,
):  # fmt: skip
    """encoding (samples, width), harmonics (rays, columns), ray_index (samples,) -> out (samples, 4): colour, density.

    With one column, `out` is the raw density alone, and the colour layers are left out. `scratch` is
    (tiles, TILE * columns) in words and keeps the activations, or (CHUNKS, TILE * columns); `values` is
    (CHUNKS, TILE * widest) in numbers. Their content does not matter.
    """
    for chunk in prange(CHUNKS):
        _forward_chunk(
            np.int64(chunk), encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry,
            filled, weights, operands, scratch, values[chunk], out,
        )  # fmt: skip


@part
def _forward_chunk(
    chunk, encoding, harmonics, ray_index, buffers, density_layers, color_layers, heads, geometry, filled, weights,
    operands, scratch, values, out,
):  # fmt: skip
    first_tile, last_tile = tile_range(chunk, encoding.shape[0])
    with_color = out.shape[1] > 1
    layers = color_layers if with_color else color_layers[:0]
    raw_density = np.empty(TILE, encoding.dtype)
    for tile in range(first_tile, last_tile):
        first, activations = tile * TILE, scratch_of(scratch, chunk, tile, encoding.shape[0])
        count = min(TILE, encoding.shape[0] - first)
        _tile_forward(
            encoding, harmonics, ray_index, first, count, buffers, density_layers, layers, geometry, filled, weights,
            operands, activations, values, raw_density,
        )  # fmt: skip
        for i in range(count):
            out[first + i, out.shape[1] - 1] = raw_density[i]
        if with_color:
            heads_forward(activations, buffers, heads, weights, first, count, values, out)


@parallel_kernel
def instant_backward(
    g_out, activations, buffers, density_layers, color_layers, heads, geometry, filled, weights, transposed, g_scratch,
    values, spare, g_weights, g_encoding, g_harmonics,
):  # fmt: skip
    """Adds the gradient of the packed weights to g_weights (CHUNKS, size), which comes in as zeros.

    activations (tiles, TILE * columns) are what the forward pass left in its `scratch`; g_scratch is (CHUNKS, TILE *
    columns) in numbers, `spare` (CHUNKS, 3, TILE * widest) in words. g_encoding and g_harmonics (samples, columns) are
    filled, g_harmonics per sample; with no rows they are not wanted.
    """
    for chunk in prange(CHUNKS):
        _backward_chunk(
            np.int64(chunk), g_out, activations, buffers, density_layers, color_layers, heads, geometry, filled,
            weights, transposed, g_scratch[chunk], values[chunk], spare[chunk], g_weights[chunk], g_encoding,
            g_harmonics,
        )  # fmt: skip


@part
def _backward_chunk(
    chunk, g_out, activations, buffers, density_layers, color_layers, heads, geometry, filled, weights, transposed,
    g_scratch, values, spare, g_weights, g_encoding, g_harmonics,
):  # fmt: skip
    first_tile, last_tile = tile_range(chunk, g_out.shape[0])
    wanted = g_encoding.shape[0] > 0
    start, width = TILE * buffers[geometry, 0], buffers[geometry, 1]
    for tile in range(first_tile, last_tile):
        first, scratch = tile * TILE, activations[tile]
        count = min(TILE, g_out.shape[0] - first)
        rows = padded_rows(count)
        g_scratch[:] = 0
        heads_backward(g_out, first, count, scratch, g_scratch, buffers, heads, weights, values, g_weights)
        layers_backward(
            scratch, g_scratch, buffers, color_layers, transposed, g_weights, rows, plain(0), np.bool_(True), spare
        )
        for i in range(count):
            g_scratch[start + i * width] += g_out[first + i, 3]
        if g_harmonics.shape[0] > 0:
            _take_rows(g_scratch, start + filled, width, first, count, g_harmonics)
        layers_backward(
            scratch, g_scratch, buffers, density_layers, transposed, g_weights, rows, plain(1), wanted, spare
        )
        if wanted:
            _take_rows(g_scratch, TILE * buffers[0, 0], buffers[0, 1], first, count, g_encoding)


@part
def _take_rows(g_tile, start, width, first, count, out):
    """out[first : first + count] from the columns of a buffer that begin at `start`."""
    for i in range(count):
        target = out[first + i]
        row = g_tile[start + i * width : start + i * width + target.size]
        for j in range(target.size):
            target[j] = row[j]

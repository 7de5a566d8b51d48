"""Dense layers on a tile of samples, forward and backward, from a table.

A tile's activations stay in cache from the inputs to the outputs. They are kept for the backward pass, in bfloat16
where products are: to write and read them takes a fraction of the time of computing them again. The network is a table:

    buffers[b]  = (offset, width)                             per sample, in columns of the scratch of a tile
    layers[l]   = (out, in1, in2 or -1, W1, W2, bias, relu)   buffer numbers and offsets into the packed weights
    heads[h]    = (in, W, bias, first output column, columns)

The caller fills the input buffers. A layer computes relu(bias + in1 @ W1 + in2 @ W2), so that a skip connection is a
second input. Widths are padded with zeros to whole vectors. The weights of layers come as operands of products, in
panels (see `matmul`): (in, out) in `operands`, (out, in) in `transposed`; biases and head weights, (out, in), are
numbers in `weights`; all have the same offsets. Activations are operands too, gradients are numbers.

The work is split in a fixed number of chunks, each with gradient sums of its own, added in order at the end: the result
does not depend on the number of threads.
"""

import numpy as np

from nerf_mini.kernels.compiling import fast_part, part
from nerf_mini.kernels.matmul import ROWS, matmul, words
from nerf_mini.kernels.operands import fill_right, from_operand, left_of, relu_backward, to_operand, transposed_left_of

TILE = 128  # samples
CHUNKS = 16


@part
def plain(n):
    """n, of which Numba does not know the value: it compiles a function anew for every literal number among its
    arguments."""
    return np.int64(n)


@part
def padded_rows(count):
    """The rows that are computed for so many samples."""
    return (count + ROWS - 1) // ROWS * ROWS


@fast_part
def _add_rows(total, x, rows):
    width = total.size
    for i in range(rows):
        row = x[i * width : (i + 1) * width]
        for j in range(width):
            total[j] += row[j]


@fast_part
def _dot(x, y):
    total = x.dtype.type(0)
    for j in range(x.size):
        total += x[j] * y[j]
    return total


@fast_part
def _add_scaled(total, factor, x):
    for j in range(total.size):
        total[j] += factor * x[j]


@part
def fill_buffer(values, scratch, buffers, buffer, rows):
    """Write numbers (rows, width), flat, into a buffer."""
    start, width = TILE * buffers[buffer, 0], buffers[buffer, 1]
    to_operand(values[: rows * width], scratch[words(scratch, start) : words(scratch, start + rows * width)])


@part
def read_buffer(scratch, buffers, buffer, rows, values):
    """The numbers of a buffer, (rows, width), flat."""
    start, width = TILE * buffers[buffer, 0], buffers[buffer, 1]
    x = scratch[words(scratch, start) : words(scratch, start + rows * width)]
    from_operand(x, values[: rows * width])


@part
def _product(scratch, buffers, source, operands, w, init, init_start, init_row, out, start, stride, rows, width, floor):
    """out = max(init + source @ W, floor), from the buffer `source` and the weights at offset w."""
    k = buffers[source, 1]
    matmul(
        scratch, words(scratch, TILE * buffers[source, 0]), words(scratch, k), plain(1), operands, words(operands, w),
        init, init_start, init_row, out, start, stride, rows, width, words(scratch, k), floor,
    )  # fmt: skip


@part
def layer_forward(scratch, buffers, layer, operands, weights, rows, values, out, start, stride):
    """The activations of one layer, into out[start + i * stride], an operand or numbers.

    `values` is spare room for TILE rows of the widest layer; `out` may be it.
    """
    number, in1, in2, w1, w2, bias, relu = layer
    width = buffers[number, 1]
    none, least = weights.dtype.type(-np.inf), weights.dtype.type(0 if relu else -np.inf)
    if in2 < 0:
        _product(scratch, buffers, in1, operands, w1, weights, bias, plain(0), out, start, stride, rows, width, least)
    else:
        _product(
            scratch, buffers, in1, operands, w1, weights, bias, plain(0), values, plain(0), width, rows, width, none
        )
        _product(scratch, buffers, in2, operands, w2, values, plain(0), width, out, start, stride, rows, width, least)


@part
def layers_forward(scratch, buffers, layers, operands, weights, rows, values):
    for i in range(layers.shape[0]):
        out = layers[i, 0]
        start, stride = words(scratch, TILE * buffers[out, 0]), words(scratch, buffers[out, 1])
        layer_forward(scratch, buffers, layers[i], operands, weights, rows, values, scratch, start, stride)


@part
def heads_forward(scratch, buffers, heads, weights, first, count, values, out):
    for head in range(heads.shape[0]):
        source, w, bias, column, columns = heads[head]
        width = buffers[source, 1]
        read_buffer(scratch, buffers, source, padded_rows(count), values)
        for i in range(count):
            x = values[i * width : (i + 1) * width]
            for c in range(columns):
                row = weights[w + c * width : w + (c + 1) * width]
                out[first + i, column + c] = weights[bias + c] + _dot(x, row)


@part
def heads_backward(g_out, first, count, scratch, g_scratch, buffers, heads, weights, values, g_weights):
    for head in range(heads.shape[0]):
        source, w, bias, column, columns = heads[head]
        start, width = TILE * buffers[source, 0], buffers[source, 1]
        read_buffer(scratch, buffers, source, padded_rows(count), values)
        for i in range(count):
            x = values[i * width : (i + 1) * width]
            g_x = g_scratch[start + i * width : start + (i + 1) * width]
            for c in range(columns):
                at, g = w + c * width, g_out[first + i, column + c]
                g_weights[bias + c] += g
                _add_scaled(g_x, g, weights[at : at + width])
                _add_scaled(g_weights[at : at + width], g, x)


@part
def layers_backward(
    scratch, g_scratch, buffers, layers, transposed, g_weights, rows, first_inner, input_gradients, spare
):
    """Adds to g_weights, and to the gradients of the layers' inputs in g_scratch.

    Buffers before `first_inner` get a gradient only with `input_gradients`. `spare` (3, TILE * widest) holds words.
    """
    none = g_weights.dtype.type(-np.inf)
    for layer in range(layers.shape[0] - 1, -1, -1):
        out, in1, in2, w1, w2, bias, relu = layers[layer]
        start, width = TILE * buffers[out, 0], buffers[out, 1]
        g = g_scratch[start : start + rows * width]
        if relu:
            relu_backward(g, scratch[words(scratch, start) : words(scratch, start + rows * width)])
        _add_rows(g_weights[bias : bias + width], g, rows)
        left, right = left_of(g, spare[0]), spare[1]
        fill_right(left, rows, width, right)
        for which in range(2):
            source, w = (in1, w1) if which == 0 else (in2, w2)
            if source < 0:
                continue
            at, k = TILE * buffers[source, 0], buffers[source, 1]
            x = scratch[words(scratch, at) : words(scratch, at + rows * k)]
            columns = transposed_left_of(x, rows, k, spare[2])
            matmul(
                columns, plain(0), plain(1), k, right, plain(0), g_weights, w, width, g_weights, w, width,
                k, width, words(right, rows), none,
            )  # fmt: skip
            if source >= first_inner or input_gradients:
                matmul(
                    left, plain(0), words(left, width), plain(1), transposed, words(transposed, w), g_scratch, at, k,
                    g_scratch, at, k, rows, k, words(left, width), none,
                )  # fmt: skip


@part
def tiles_of(samples):
    return (samples + TILE - 1) // TILE


@part
def tile_range(chunk, samples):
    """The tiles [first, last) of a chunk."""
    tiles = tiles_of(samples)
    return chunk * tiles // CHUNKS, (chunk + 1) * tiles // CHUNKS


@part
def scratch_of(scratch, chunk, tile, samples):
    """The row of `scratch` for a tile: its own where each has one, or that of its chunk."""
    return scratch[tile if scratch.shape[0] == tiles_of(samples) else chunk]

"""Dense layers on a tile of samples, forward and backward, from a table.

A tile's activations stay in cache from the inputs to the outputs; the backward pass computes them again instead of
storing them, because streaming them through memory costs more than the arithmetic. The network is a table:

    buffers[b]  = (offset, width)                             per sample, in columns of the scratch of a tile
    layers[l]   = (out, in1, in2 or -1, W1, W2, bias, relu)   buffer numbers and offsets into the packed weights
    heads[h]    = (in, W, bias, first output column, columns)

The caller fills the input buffers. A layer computes relu(bias + in1 @ W1 + in2 @ W2), so that a skip connection is a
second input. Widths are padded with zeros to whole vectors; W1 and W2 are (in, out), head weights (out, in).

The work is split in a fixed number of chunks, each with gradient sums of its own, added in order at the end: the result
does not depend on the number of threads.
"""

from numba import njit

from .matmul import FAST, matmul_add

TILE = 128  # samples
CHUNKS = 16


# Loops over slices, not over offsets: an index that is plainly not negative spares Numba the wrap-around test,
# without which LLVM can vectorise.


@njit(fastmath=FAST)
def _fill_rows(out, rows, row):
    width = row.size
    for i in range(rows):
        target = out[i * width : (i + 1) * width]
        for j in range(width):
            target[j] = row[j]


@njit(fastmath=FAST)
def _relu(x):
    for i in range(x.size):
        x[i] = max(x[i], x.dtype.type(0))


@njit(fastmath=FAST)
def _relu_backward(g, out):
    for i in range(g.size):
        g[i] = g[i] if out[i] > 0 else g.dtype.type(0)


@njit(fastmath=FAST)
def _add_rows(total, x, rows):
    width = total.size
    for i in range(rows):
        row = x[i * width : (i + 1) * width]
        for j in range(width):
            total[j] += row[j]


@njit(fastmath=FAST)
def _dot(x, y):
    total = x.dtype.type(0)
    for j in range(x.size):
        total += x[j] * y[j]
    return total


@njit(fastmath=FAST)
def _add_scaled(total, factor, x):
    for j in range(total.size):
        total[j] += factor * x[j]


@njit
def layers_forward(scratch, buffers, layers, weights, rows):
    for layer in range(layers.shape[0]):
        out, in1, in2, w1, w2, bias, relu = layers[layer]
        start, width = TILE * buffers[out, 0], buffers[out, 1]
        result = scratch[start : start + rows * width]
        _fill_rows(result, rows, weights[bias : bias + width])
        k = buffers[in1, 1]
        matmul_add(scratch, TILE * buffers[in1, 0], k, 1, weights, w1, width, result, 0, width, rows, width, k)
        if in2 >= 0:
            k = buffers[in2, 1]
            matmul_add(scratch, TILE * buffers[in2, 0], k, 1, weights, w2, width, result, 0, width, rows, width, k)
        if relu:
            _relu(result)


@njit
def heads_forward(scratch, buffers, heads, weights, first, count, out):
    for head in range(heads.shape[0]):
        source, w, bias, column, columns = heads[head]
        start, width = TILE * buffers[source, 0], buffers[source, 1]
        for i in range(count):
            x = scratch[start + i * width : start + (i + 1) * width]
            for c in range(columns):
                row = weights[w + c * width : w + (c + 1) * width]
                out[first + i, column + c] = weights[bias + c] + _dot(x, row)


@njit
def heads_backward(g_out, first, count, scratch, g_scratch, buffers, heads, weights, g_weights):
    for head in range(heads.shape[0]):
        source, w, bias, column, columns = heads[head]
        start, width = TILE * buffers[source, 0], buffers[source, 1]
        for i in range(count):
            x = scratch[start + i * width : start + (i + 1) * width]
            g_x = g_scratch[start + i * width : start + (i + 1) * width]
            for c in range(columns):
                at, g = w + c * width, g_out[first + i, column + c]
                g_weights[bias + c] += g
                _add_scaled(g_x, g, weights[at : at + width])
                _add_scaled(g_weights[at : at + width], g, x)


@njit
def layers_backward(scratch, g_scratch, buffers, layers, transposed, g_weights, rows, first_inner, input_gradients):
    for layer in range(layers.shape[0] - 1, -1, -1):
        out, in1, in2, w1, w2, bias, relu = layers[layer]
        start, width = TILE * buffers[out, 0], buffers[out, 1]
        g = g_scratch[start : start + rows * width]
        if relu:
            _relu_backward(g, scratch[start : start + rows * width])
        _add_rows(g_weights[bias : bias + width], g, rows)
        for which in range(2):
            source, w = (in1, w1) if which == 0 else (in2, w2)
            if source < 0:
                continue
            at, k = TILE * buffers[source, 0], buffers[source, 1]
            matmul_add(scratch, at, 1, k, g, 0, width, g_weights, w, width, k, width, rows)
            if source >= first_inner or input_gradients:
                matmul_add(g, 0, width, 1, transposed, w, k, g_scratch, at, k, rows, k, width)


@njit
def tile_range(chunk, samples):
    """The tiles [first, last) of a chunk."""
    tiles = (samples + TILE - 1) // TILE
    return chunk * tiles // CHUNKS, (chunk + 1) * tiles // CHUNKS

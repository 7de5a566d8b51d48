"""Dense layers on a tile of samples, forward and backward, from tables.

A tile's activations stay in cache from the inputs to the outputs. They are kept for the backward pass, in bfloat16
where products are: writing and reading them takes a fraction of the time of computing them again.

Each layer writes a buffer: a matrix (TILE, width) in the tile's scratch memory. Buffer 0 holds the inputs. Widths are
padded with zeros to whole vectors. A layer computes relu(bias + in1 @ W1 + in2 @ W2), so that a skip connection is a
second input. The weights of layers are operands of products, in panels (see `matmul`): (in, out), or in the backward
pass (out, in); biases and head weights, (out, in), are plain values; all have the same offsets. Activations are
operands too, gradients are plain values.

The work is split into a fixed number of chunks, each with gradient sums of its own, added in order at the end: the
result does not depend on the number of threads.
"""

from typing import NamedTuple

import numpy as np

from nerf_mini.kernels.compiling import fast_part, inlined_part, part
from nerf_mini.kernels.matmul import ROWS, panel_matmul, words
from nerf_mini.kernels.operands import fill_right, from_operand, left_of, relu_backward, to_operand, transposed_left_of
from nerf_mini.kernels.schedule import CHUNKS
from nerf_mini.kernels.schedule import NETWORK_TILE as TILE


class Layer(NamedTuple):
    """A row of `Network.layers`."""

    out: int  # buffer that it writes
    in1: int  # buffers that it reads; in2 is -1 if there is one only
    in2: int
    w1: int  # offsets into the packed weights
    w2: int
    bias: int
    relu: int  # 1 or 0
    columns: int  # outputs, padded; the buffer may be wider


class Head(NamedTuple):
    """A row of a table of heads: a linear layer with few outputs, computed in full precision."""

    source: int  # buffer that it reads
    weight: int  # offsets into the packed weights
    bias: int
    column: int  # first column of the network's output
    columns: int


class Network(NamedTuple):
    """The tables of one architecture, int64.

    buffers (buffers, 2): offset and width, in columns of a tile's scratch. layers (layers, 8): see `Layer`, in order of
    evaluation. The features of the sample's ray are copied behind the outputs of layer number `bottleneck`, from column
    `feature_column` of its buffer on; without a bottleneck, its number is that of all layers. heads (heads, 5): see
    `Head`. With `density_head`, the first one is the raw density, from a layer before the bottleneck; without, the raw
    density is column 0 of the bottleneck.
    """

    buffers: np.ndarray
    layers: np.ndarray
    bottleneck: int
    feature_column: int
    heads: np.ndarray
    density_head: bool


class Weights(NamedTuple):
    """The packed parameters: biases and heads in `values`; the layers' weights, maybe transposed, in `operands`."""

    values: np.ndarray
    operands: np.ndarray


class Scratch(NamedTuple):
    """Memory of a forward pass, of any content.

    activations: (tiles, TILE * columns) words, to be kept for the backward pass, or (CHUNKS, TILE * columns). values:
    (CHUNKS, TILE * widest).
    """

    activations: np.ndarray
    values: np.ndarray


class GradientScratch(NamedTuple):
    """Memory of a backward pass.

    activations: what the forward pass left in its scratch. gradients (CHUNKS, TILE * columns), values (CHUNKS, TILE *
    widest) and words (CHUNKS, 3, TILE * widest) may have any content. weights (CHUNKS, size) comes in as zeros, and
    leaves with the gradient of the packed weights, to be summed over the chunks.
    """

    activations: np.ndarray
    gradients: np.ndarray
    values: np.ndarray
    words: np.ndarray
    weights: np.ndarray


@part
def layer_at(layers, i):
    return Layer(
        layers[i, 0], layers[i, 1], layers[i, 2], layers[i, 3], layers[i, 4], layers[i, 5], layers[i, 6], layers[i, 7]
    )


@part
def head_at(heads, i):
    return Head(heads[i, 0], heads[i, 1], heads[i, 2], heads[i, 3], heads[i, 4])


@part
def runtime(n):
    """n as a runtime value, so that Numba does not compile the callee anew for every literal."""
    return np.int64(n)


@part
def padded_rows(count):
    """The rows that are computed for `count` samples."""
    return (count + ROWS - 1) // ROWS * ROWS


@fast_part
def _add_rows(total, x, rows, stride):
    width = total.size
    for i in range(rows):
        row = x[i * stride : i * stride + width]
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
def buffer_words(activations, buffers, buffer, rows):
    """The words of the first rows of a buffer."""
    start, width = TILE * buffers[buffer, 0], buffers[buffer, 1]
    return activations[words(activations, start) : words(activations, start + rows * width)]


@part
def fill_buffer(values, activations, buffers, buffer, rows):
    """Write values (rows, width), flat, into a buffer."""
    to_operand(values[: rows * buffers[buffer, 1]], buffer_words(activations, buffers, buffer, rows))


@part
def read_buffer(activations, buffers, buffer, rows, values):
    """The values of a buffer, (rows, width), flat."""
    from_operand(buffer_words(activations, buffers, buffer, rows), values[: rows * buffers[buffer, 1]])


# -- forward -----------------------------------------------------------------------------------------------------------


@part
def _product(activations, buffers, source, operands, w, init, init_start, init_row, out, start, stride, rows, columns,
             floor):  # fmt: skip
    """out = max(init + source @ W, floor), from the buffer `source` and the weights at offset w."""
    k = buffers[source, 1]
    panel_matmul(
        activations, words(activations, TILE * buffers[source, 0]), words(activations, k), runtime(1), operands,
        words(operands, w), init, init_start, init_row, out, start, stride, rows, columns, words(activations, k), floor,
    )  # fmt: skip


@part
def layer_forward(activations, buffers, layer, weights, rows, values, out, start, stride):
    """The activations of one layer, into out[start + i * stride], an operand or plain values.

    `values` is scratch for TILE rows of the widest layer; `out` may be it.
    """
    none, least = weights.values.dtype.type(-np.inf), weights.values.dtype.type(0 if layer.relu else -np.inf)
    zero, columns = runtime(0), layer.columns
    if layer.in2 < 0:
        _product(
            activations, buffers, layer.in1, weights.operands, layer.w1, weights.values, layer.bias, zero, out, start,
            stride, rows, columns, least,
        )  # fmt: skip
    else:
        _product(
            activations, buffers, layer.in1, weights.operands, layer.w1, weights.values, layer.bias, zero, values, zero,
            columns, rows, columns, none,
        )  # fmt: skip
        _product(
            activations, buffers, layer.in2, weights.operands, layer.w2, values, zero, columns, out, start, stride,
            rows, columns, least,
        )  # fmt: skip


@part
def heads_forward(activations, buffers, heads, weights, first, count, values, out, shift):
    """Outputs of heads, into out[first + i, column - shift]."""
    for i_head in range(heads.shape[0]):
        head = head_at(heads, i_head)
        width = buffers[head.source, 1]
        read_buffer(activations, buffers, head.source, padded_rows(count), values)
        for i in range(count):
            x = values[i * width : (i + 1) * width]
            for c in range(head.columns):
                row = weights[head.weight + c * width : head.weight + (c + 1) * width]
                out[first + i, head.column + c - shift] = weights[head.bias + c] + _dot(x, row)


# -- backward ----------------------------------------------------------------------------------------------------------


@inlined_part
def heads_backward(g_out, first, count, activations, gradients, buffers, heads, weights, values, g_weights):
    for i_head in range(heads.shape[0]):
        head = head_at(heads, i_head)
        start, width = TILE * buffers[head.source, 0], buffers[head.source, 1]
        read_buffer(activations, buffers, head.source, padded_rows(count), values)
        for i in range(count):
            x = values[i * width : (i + 1) * width]
            g_x = gradients[start + i * width : start + (i + 1) * width]
            for c in range(head.columns):
                at, g = head.weight + c * width, g_out[first + i, head.column + c]
                g_weights[head.bias + c] += g
                _add_scaled(g_x, g, weights[at : at + width])
                _add_scaled(g_weights[at : at + width], g, x)


@inlined_part
def layer_backward(activations, gradients, buffers, layer, transposed, g_weights, rows, wanted_columns, scratch):
    """Adds to g_weights, and to the gradients of the layer's inputs in `gradients`.

    wanted_columns (buffers,) is how many columns of each buffer get a gradient. `scratch` (3, TILE * widest) holds
    words.
    """
    none, zero = g_weights.dtype.type(-np.inf), runtime(0)
    start, stride, columns = TILE * buffers[layer.out, 0], buffers[layer.out, 1], layer.columns
    g = gradients[start : start + rows * stride]
    if layer.relu:
        relu_backward(g, buffer_words(activations, buffers, layer.out, rows))
    _add_rows(g_weights[layer.bias : layer.bias + columns], g, rows, stride)
    left, right = left_of(g, scratch[0]), scratch[1]
    fill_right(left, rows, stride, columns, right)
    for which in range(2):
        source, w = (layer.in1, layer.w1) if which == 0 else (layer.in2, layer.w2)
        if source < 0:
            continue
        at, k = TILE * buffers[source, 0], buffers[source, 1]
        x = transposed_left_of(buffer_words(activations, buffers, source, rows), rows, k, scratch[2])
        panel_matmul(
            x, zero, runtime(1), k, right, zero, g_weights, w, columns, g_weights, w, columns,
            k, columns, words(right, rows), none,
        )  # fmt: skip
        if wanted_columns[source] > 0:
            panel_matmul(
                left, zero, words(left, stride), runtime(1), transposed, words(transposed, w), gradients, at, k,
                gradients, at, k, rows, wanted_columns[source], words(left, columns), none,
            )  # fmt: skip


# -- tiles and chunks --------------------------------------------------------------------------------------------------


@part
def tiles_of(samples):
    return (samples + TILE - 1) // TILE


@part
def tile_range(chunk, samples):
    """The tiles [first, last) of a chunk."""
    tiles = tiles_of(samples)
    return chunk * tiles // CHUNKS, (chunk + 1) * tiles // CHUNKS


@part
def tile_activations(activations, chunk, tile, samples):
    """The activations of a tile: a row of its own where each tile has one, or that of its chunk."""
    return activations[tile if activations.shape[0] == tiles_of(samples) else chunk]

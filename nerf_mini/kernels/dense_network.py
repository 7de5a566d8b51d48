"""A network of dense layers as one kernel: a tile of samples goes through inputs, layers and heads, and back."""

from typing import NamedTuple

import numpy as np
from numba import prange
from numba.extending import overload

from nerf_mini.kernels.compiling import inlined_part, kernel, parallel_kernel, part
from nerf_mini.kernels.encoding import encode_columns, encode_columns_backward
from nerf_mini.kernels.layers import (
    TILE,
    fill_buffer,
    heads_backward,
    heads_forward,
    layer_at,
    layer_backward,
    layer_forward,
    padded_rows,
    read_buffer,
    runtime,
    tile_activations,
    tile_range,
)
from nerf_mini.kernels.matmul import words
from nerf_mini.kernels.operands import write_row
from nerf_mini.kernels.schedule import CHUNKS


class Rows(NamedTuple):
    """Inputs that are copied: values (samples, width)."""

    values: np.ndarray


class EncodedPoints(NamedTuple):
    """Inputs that are encoded in the tile, so that the encoding is never stored for all: values (samples, 3).

    For scales and identity see `encoding`.
    """

    values: np.ndarray
    scales: np.ndarray
    identity: bool


# -- inputs: which kind they are is known at compile time --------------------------------------------------------------


def _fill_inputs(inputs, first, count, width, values):
    """Write the inputs of a tile, (rows, width), into values, flat; what is beyond them is zero."""
    raise NotImplementedError("for compiled code")


@overload(_fill_inputs)
def _(inputs, first, count, width, values):
    encode = inputs.instance_class is EncodedPoints
    return (
        _encode_points
        if encode
        else lambda inputs, first, count, width, values: _copy_rows(inputs.values, first, count, width, values)
    )


@part
def _copy_rows(source, first, count, width, values):
    columns = source.shape[1]
    if columns < width or count < TILE:
        values[: TILE * width] = 0
    for i in range(count):
        target, row = values[i * width : i * width + columns], source[first + i]
        for j in range(columns):
            target[j] = row[j]


def _encode_points(inputs, first, count, width, values):
    x = np.empty((3, TILE), inputs.values.dtype)
    for i in range(count):
        for axis in range(3):
            x[axis, i] = inputs.values[first + i, axis]
    values[: padded_rows(count) * width] = 0
    encode_columns(x, count, inputs.scales, inputs.identity, values, 0, width)


def _inputs_backward(inputs, first, count, width, encoded, g):
    """Gradient of the inputs, into inputs.values, from that of their buffer, g (rows, width), flat."""
    raise NotImplementedError("for compiled code")


@overload(_inputs_backward)
def _(inputs, first, count, width, encoded, g):
    encode = inputs.instance_class is EncodedPoints
    return (
        _points_backward
        if encode
        else lambda inputs, first, count, width, encoded, g: _take_columns(g, width, first, count, inputs.values)
    )


@part
def _take_columns(g, width, first, count, out):
    """out[first : first + count] = the first columns of g (rows, width), flat."""
    for i in range(count):
        target = out[first + i]
        row = g[i * width : i * width + target.size]
        for j in range(target.size):
            target[j] = row[j]


def _points_backward(inputs, first, count, width, encoded, g):
    x = np.empty((3, TILE), g.dtype)
    encode_columns_backward(g, encoded, 0, width, count, inputs.scales, inputs.identity, x)
    for i in range(count):
        for axis in range(3):
            inputs.values[first + i, axis] = x[axis, i]


# -- forward -----------------------------------------------------------------------------------------------------------


@part
def _fill_features(ray_features, ray_index, first, count, network, activations, values):
    """Copy the features of each sample's ray behind the outputs of the bottleneck; what is beyond them is zero."""
    buffer = network.layers[network.bottleneck, 0]
    start, stride = TILE * network.buffers[buffer, 0] + network.feature_column, network.buffers[buffer, 1]
    row = values[: stride - network.feature_column]
    row[:] = 0
    for i in range(padded_rows(count)):
        if i < count:
            features = ray_features[ray_index[first + i]]
            for j in range(features.size):
                row[j] = features[j]
        elif i == count:
            row[:] = 0
        write_row(row, activations, start + i * stride)


@part
def _features_behind(ray_features, ray_index, first, count, start, stride, values):
    """The same as `_fill_features` where the outputs of the bottleneck are in values (rows, stride), flat."""
    columns = ray_features.shape[1]
    for i in range(padded_rows(count)):
        row, filled = values[i * stride + start : (i + 1) * stride], 0
        if i < count:
            features, filled = ray_features[ray_index[first + i]], columns
            for j in range(columns):
                row[j] = features[j]
        for j in range(filled, row.size):
            row[j] = 0


@inlined_part
def _layers_forward(network, weights, end, ray_features, ray_index, first, count, activations, values, out):
    """The layers before number `end`; the raw density, where it is read from the bottleneck, into out's last column."""
    buffers, rows = network.buffers, padded_rows(count)
    for i in range(end):
        layer = layer_at(network.layers, i)
        start, stride = TILE * buffers[layer.out, 0], buffers[layer.out, 1]
        if i == network.bottleneck and not network.density_head:
            layer_forward(activations, buffers, layer, weights, rows, values, values, runtime(0), stride)
            for sample in range(count):  # before it is rounded to an operand
                out[first + sample, out.shape[1] - 1] = values[sample * stride]
            if i + 1 < end:
                _features_behind(ray_features, ray_index, first, count, network.feature_column, stride, values)
            fill_buffer(values, activations, buffers, layer.out, rows)
        else:
            start, stride = words(activations, start), words(activations, stride)
            layer_forward(activations, buffers, layer, weights, rows, values, activations, start, stride)
        if i == network.bottleneck and network.density_head and i + 1 < end and ray_features.shape[1] > 0:
            _fill_features(ray_features, ray_index, first, count, network, activations, values)


@inlined_part
def _tile_forward(network, weights, inputs, ray_features, ray_index, first, count, activations, values, out):
    buffers, last = network.buffers, out.shape[1] - 1
    _fill_inputs(inputs, first, count, buffers[0, 1], values)
    fill_buffer(values, activations, buffers, runtime(0), padded_rows(count))
    end, heads = network.layers.shape[0], network.heads
    if last == 0:  # the density alone
        end = network.bottleneck if network.density_head else network.bottleneck + 1
        heads = heads[: 1 if network.density_head else 0]
    _layers_forward(network, weights, end, ray_features, ray_index, first, count, activations, values, out)
    heads_forward(activations, buffers, heads, weights.values, first, count, values, out, 3 - last)


@part
def _forward_chunk(chunk, network, weights, inputs, ray_features, ray_index, scratch, out):
    samples = out.shape[0]
    first_tile, last_tile = tile_range(chunk, samples)
    for tile in range(first_tile, last_tile):
        _tile_forward(
            network, weights, inputs, ray_features, ray_index, tile * TILE, min(TILE, samples - tile * TILE),
            tile_activations(scratch.activations, chunk, tile, samples), scratch.values[chunk], out,
        )  # fmt: skip


@parallel_kernel
def network_forward(network, weights, inputs, ray_features, ray_index, scratch, out):
    """Inputs, ray_features (rays, k) and ray_index (samples,) -> out (samples, 4): colour, density.

    With one column, `out` is the raw density alone; the colour layers are left out, and ray features are not read.
    """
    for chunk in prange(CHUNKS):
        _forward_chunk(np.int64(chunk), network, weights, inputs, ray_features, ray_index, scratch, out)


# -- backward ----------------------------------------------------------------------------------------------------------


@inlined_part
def _tile_backward(network, weights, g_out, first, count, wanted, activations, gradients, values, scratch, g_weights):
    buffers, rows = network.buffers, padded_rows(count)
    gradients[:] = 0
    heads_backward(
        g_out, first, count, activations, gradients, buffers, network.heads, weights.values, values, g_weights
    )
    for i in range(network.layers.shape[0] - 1, -1, -1):
        layer = layer_at(network.layers, i)
        if i == network.bottleneck and not network.density_head:
            start, stride = TILE * buffers[layer.out, 0], buffers[layer.out, 1]
            for sample in range(count):
                gradients[start + sample * stride] += g_out[first + sample, 3]
        layer_backward(activations, gradients, buffers, layer, weights.operands, g_weights, rows, wanted, scratch)


@part
def _wanted_columns(network, inputs_wanted, features_wanted):
    """How many columns of each buffer need a gradient."""
    wanted = network.buffers[:, 1].copy()
    if not inputs_wanted:
        wanted[0] = 0
    if network.bottleneck < network.layers.shape[0] and not features_wanted:
        layer = layer_at(network.layers, network.bottleneck)
        wanted[layer.out] = layer.columns
    return wanted


@part
def _backward_chunk(chunk, network, weights, g_out, scratch, g_inputs, g_features):
    samples, buffers = g_out.shape[0], network.buffers
    inputs_wanted, features_wanted = g_inputs.values.shape[0] > 0, g_features.shape[0] > 0
    wanted = _wanted_columns(network, inputs_wanted, features_wanted)
    gradients, values, start, width = scratch.gradients[chunk], scratch.values[chunk], buffers[0, 0], buffers[0, 1]
    first_tile, last_tile = tile_range(chunk, samples)
    for tile in range(first_tile, last_tile):
        first, activations = tile * TILE, scratch.activations[tile]
        count = min(TILE, samples - first)
        _tile_backward(
            network, weights, g_out, first, count, wanted, activations, gradients, values, scratch.words[chunk],
            scratch.weights[chunk],
        )  # fmt: skip
        if features_wanted:
            buffer = network.layers[network.bottleneck, 0]
            begin = TILE * buffers[buffer, 0] + network.feature_column
            _take_columns(gradients[begin:], buffers[buffer, 1], first, count, g_features)
        if inputs_wanted:
            read_buffer(activations, buffers, runtime(0), padded_rows(count), values)
            _inputs_backward(g_inputs, first, count, width, values, gradients[TILE * start :])


@parallel_kernel
def network_backward(network, weights, g_out, scratch, g_inputs, g_features):
    """Adds the gradient of the packed weights to scratch.weights, from g_out (samples, 4); weights are transposed.

    The values of g_inputs, and g_features (samples, k), are filled; with no rows they are not wanted.
    """
    for chunk in prange(CHUNKS):
        _backward_chunk(np.int64(chunk), network, weights, g_out, scratch, g_inputs, g_features)


@kernel
def sum_by_ray(values, ray_index, out):
    """out (rays, columns) += the rows of values (samples, columns) that belong to each ray, in order."""
    for i in range(values.shape[0]):
        target, row = out[ray_index[i]], values[i]
        for j in range(target.size):
            target[j] += row[j]

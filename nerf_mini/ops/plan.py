"""How a network of dense layers becomes the tables and packed weights that `kernels.layers` works on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from nerf_mini.kernels.layers import GradientScratch, Head, Layer, Network, Scratch, Weights
from nerf_mini.kernels.matmul import BFLOAT16, COLUMNS, panel_columns
from nerf_mini.kernels.schedule import CHUNKS
from nerf_mini.kernels.schedule import NETWORK_TILE as TILE


def padded(width: int) -> int:
    """A width rounded up to whole vectors."""
    return -(-width // COLUMNS) * COLUMNS


def word_dtype(dtype, bfloat16: bool) -> np.dtype:
    """The dtype of the words of operands: uint32, pairs of bfloat16, where that is wanted and the CPU can; or dtype."""
    return np.dtype(np.uint32 if bfloat16 and BFLOAT16 and dtype == np.float32 else dtype)


def flat_parameters(parameters, shapes: dict[str, tuple[int, int]]) -> list:
    """Weights and biases in the order of `shapes`, (inputs, outputs) by name.

    Raises ValueError where one is missing or has another shape.
    """
    flat = []
    for name, (inputs, outputs) in shapes.items():
        layer = parameters.get(name)
        if layer is None or np.shape(layer["weight"]) != (inputs, outputs) or np.shape(layer["bias"]) != (outputs,):
            found = None if layer is None else {key: np.shape(value) for key, value in layer.items()}
            raise ValueError(f"parameter {name!r} must have a weight {(inputs, outputs)} and a bias; got {found}")
        flat += [layer["weight"], layer["bias"]]
    return flat


class Block(NamedTuple):
    """Where rows of a weight lie in the packed weights: a matrix (height, width) at `offset`, padded with zeros."""

    parameter: int  # number of the weight
    first_row: int
    rows: int
    columns: int
    offset: int
    height: int
    width: int
    is_head: bool  # transposed, and not an operand


class Bias(NamedTuple):
    """Where a bias lies in the packed weights."""

    parameter: int
    length: int
    offset: int


def _write_panels(matrix, operands, offset: int, height: int, width: int, dtype) -> None:
    """Write a matrix as a right operand (height, width), in panels; its padding is left as it is."""
    panel = panel_columns(dtype.itemsize)
    per_word = 2 if operands.dtype == np.uint32 else 1
    if per_word == 2:
        matrix = _row_pairs(matrix)
    rows, columns = matrix.shape
    if columns % panel:
        matrix = np.pad(matrix, ((0, 0), (0, -columns % panel)))
    start, size = offset // per_word, height * width // per_word
    target = operands[start : start + size].reshape(width // panel, height // per_word, panel)
    panels = matrix.shape[1] // panel
    target[:panels, :rows] = matrix.reshape(rows, panels, panel).swapaxes(0, 1)


def _row_pairs(matrix):
    """Neighbouring rows of float32, rounded to bfloat16, as the lower and the upper halves of uint32."""
    bits: np.ndarray = np.ascontiguousarray(matrix).view(np.uint32)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    if len(bits) % 2:
        bits = np.pad(bits, ((0, 1), (0, 0)))
    return bits[0::2] | bits[1::2] << 16


class Plan:
    """The tables of one architecture, and where each of its parameters lies in the packed weights.

    A shape describes its layers in the order of evaluation, with the methods that return the number of the buffer that
    they add. Parameter 2 i is the weight (inputs, outputs) of layer i, parameter 2 i + 1 its bias.
    """

    def __init__(self, shape: Any):
        self.size = 0  # of the packed weights
        self._names = list(shape.parameter_shapes())
        self._widths: list[int] = []  # of the buffers
        self._layers: list[Layer] = []
        self._heads: list[Head] = []
        self._density_head = False
        self._blocks: list[Block] = []
        self._biases: list[Bias] = []
        self._bottleneck: tuple[int, int] | None = None  # number of the layer, first column of the ray's features
        shape.add_to(self)
        widths = [padded(width) for width in self._widths]
        offsets = np.concatenate([[0], np.cumsum(widths)])
        self.columns = int(offsets[-1])  # of all buffers together
        self.widest = max(widths)
        buffers = np.array(list(zip(offsets, widths, strict=False)), np.int64)
        bottleneck, feature_column = self._bottleneck or (len(self._layers), 0)
        layers, heads = np.array(self._layers, np.int64), np.array(self._heads, np.int64)
        self.network = Network(buffers, layers, bottleneck, feature_column, heads, self._density_head)

    # -- what a shape describes ----------------------------------------------------------------------------------------

    def input_buffer(self, width: int) -> int:
        """The first buffer, which holds the inputs."""
        self._widths.append(width)
        return 0

    def layer(self, name: str, inputs: Sequence[int], width: int, relu: bool, features: int = 0) -> int:
        """A layer that reads one or two buffers, with `features` more columns in the buffer that it writes."""
        out, number = len(self._widths), self._names.index(name)
        offsets, row = [], 0
        for source in inputs:
            rows = self._widths[source]
            offsets.append(self._take(padded(rows) * padded(width)))
            block = Block(2 * number, row, rows, width, offsets[-1], padded(rows), padded(width), is_head=False)
            self._blocks.append(block)
            row += rows
        bias = self._take(padded(width))
        self._biases.append(Bias(2 * number + 1, width, bias))
        self._widths.append(width + features)
        in2, w2 = (inputs[1], offsets[1]) if len(inputs) == 2 else (-1, 0)
        self._layers.append(Layer(out, inputs[0], in2, offsets[0], w2, bias, int(relu), padded(width)))
        return out

    def bottleneck_layer(self, name: str, inputs: Sequence[int], width: int, features: int) -> int:
        """A linear layer, behind whose outputs the features of the sample's ray are copied."""
        self._bottleneck = len(self._layers), width
        return self.layer(name, inputs, width, relu=False, features=features)

    def density_head(self, name: str, source: int) -> None:
        """The raw density, where it is not column 0 of the bottleneck; to be added before the colour's head."""
        self._density_head = True
        self._heads.append(self._head(name, source, column=3, columns=1))

    def color_head(self, name: str, source: int) -> None:
        """The raw colour."""
        self._heads.append(self._head(name, source, column=0, columns=3))

    def _head(self, name: str, source: int, column: int, columns: int) -> Head:
        number, rows = self._names.index(name), self._widths[source]
        weight = self._take(columns * padded(rows))
        self._blocks.append(Block(2 * number, 0, rows, columns, weight, columns, padded(rows), is_head=True))
        bias = self._take(columns)
        self._biases.append(Bias(2 * number + 1, columns, bias))
        return Head(source, weight, bias, column, columns)

    def _take(self, size: int) -> int:
        offset, self.size = self.size, self.size + padded(size)
        return offset

    # -- parameters ----------------------------------------------------------------------------------------------------

    def packed(self, parameters, word, transposed: bool = False) -> Weights:
        """The parameters for the kernels, with words of the given dtype, in fresh arrays."""
        return self._pack(np.zeros(self.size, parameters[0].dtype), np.zeros(self.size, word), parameters, transposed)

    def packed_for_now(self, parameters, word, transposed: bool = False) -> Weights:
        """The same in memory of this plan and thread, valid until the next call.

        Blocks of the packed weights never overlap and are always written at the same places, so that the padding
        between them stays zero.
        """
        values = workspace.zeros_once(self, parameters[0].dtype, "weights", self.size)
        operands = workspace.zeros_once(self, word, "transposed" if transposed else "operands", self.size)
        return self._pack(values, operands, parameters, transposed)

    def _pack(self, values, operands, parameters, transposed: bool) -> Weights:
        dtype = parameters[0].dtype
        for b in self._blocks:
            matrix = parameters[b.parameter][b.first_row : b.first_row + b.rows]
            if b.is_head:
                values[b.offset : b.offset + b.height * b.width].reshape(b.height, b.width)[:, : b.rows] = matrix.T
            elif transposed:
                _write_panels(matrix.T, operands, b.offset, b.width, b.height, dtype)
            else:
                _write_panels(matrix, operands, b.offset, b.height, b.width, dtype)
        for bias in self._biases:
            values[bias.offset : bias.offset + bias.length] = parameters[bias.parameter]
        return Weights(values, operands)

    def unpack(self, packed, parameters) -> list[np.ndarray]:
        """The gradient of the parameters, fresh arrays of their shapes, from that of the packed weights."""
        out = [np.empty_like(p) for p in parameters]
        for b in self._blocks:
            view = packed[b.offset : b.offset + b.height * b.width].reshape(b.height, b.width)
            gradient = view[:, : b.rows].T if b.is_head else view[: b.rows, : b.columns]
            out[b.parameter][b.first_row : b.first_row + b.rows] = gradient
        for bias in self._biases:
            out[bias.parameter][...] = packed[bias.offset : bias.offset + bias.length]
        return out

    # -- memory --------------------------------------------------------------------------------------------------------

    def tile_words(self, word) -> int:
        """Words of the activations of a tile."""
        return TILE * self.columns // (2 if np.dtype(word) == np.uint32 else 1)

    def scratch(self, dtype, word) -> Scratch:
        """For a forward pass that keeps nothing; valid until the next call."""
        activations = workspace.zeros_once(self, word, "activations", (CHUNKS, self.tile_words(word)))
        return Scratch(activations, self._values(dtype))

    def _values(self, dtype) -> np.ndarray:
        return workspace.zeros_once(self, dtype, "values", (CHUNKS, TILE * self.widest))

    def activations(self, word, samples: int) -> Activations:
        """Memory for the activations of all tiles, for as long as the result lives."""
        return Activations(workspace.free_activations(self, word), -(-samples // TILE), self.tile_words(word), word)

    def keeping(self, activations: Activations, dtype) -> Scratch:
        """For a forward pass that keeps its activations."""
        return Scratch(activations.array, self._values(dtype))

    def gradient_scratch(self, activations: Activations, dtype, word) -> GradientScratch:
        """For a backward pass; valid until the next call."""
        gradients = workspace.zeros_once(self, dtype, "gradients", (CHUNKS, TILE * self.columns))
        words = workspace.zeros_once(self, word, "words", (CHUNKS, 3, TILE * self.widest))
        weights = workspace.zeros_once(self, dtype, "gradient of weights", (CHUNKS, self.size))
        weights[...] = 0
        return GradientScratch(activations.array, gradients, self._values(dtype), words, weights)


class Activations:
    """What a forward pass keeps for the backward pass, `array` (tiles, columns).

    The memory comes from a list of free arrays, if one is large enough, and goes back there when nobody holds this any
    more.
    """

    def __init__(self, free: list[np.ndarray], tiles: int, columns: int, word):
        self._free = free
        fitting = sorted((array for array in free if len(array) >= tiles), key=len)
        # an eighth more than asked for, which costs no memory until it is written to, or sizes that vary would not fit
        self._all = fitting[0] if fitting else np.empty((tiles + tiles // 8 + 1, columns), word)
        free[:] = fitting[1:]  # smaller arrays are dropped: they would be too small the next time, too
        self.array = self._all[:tiles]

    def __del__(self):
        self._free.append(self._all)


class Workspace(threading.local):
    """Memory of this thread that is allocated once per plan and dtype: page faults cost more than the arithmetic."""

    def __init__(self):
        self.of_plan: WeakKeyDictionary[Plan, dict[tuple, np.ndarray]] = WeakKeyDictionary()
        self.free: WeakKeyDictionary[Plan, dict[np.dtype, list[np.ndarray]]] = WeakKeyDictionary()

    def zeros_once(self, plan: Plan, dtype, name: str, shape) -> np.ndarray:
        arrays, key = self.of_plan.setdefault(plan, {}), (np.dtype(dtype), name)
        if key not in arrays:
            arrays[key] = np.zeros(shape, dtype)
        return arrays[key]

    def free_activations(self, plan: Plan, word) -> list[np.ndarray]:
        return self.free.setdefault(plan, {}).setdefault(np.dtype(word), [])


workspace = Workspace()

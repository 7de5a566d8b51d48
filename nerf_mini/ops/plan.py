"""How a network of dense layers becomes the tables and packed weights that `kernels.layers` works on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from nerf_mini.kernels.layers import CHUNKS, TILE
from nerf_mini.kernels.matmul import BFLOAT16, COLUMNS, panel_columns


def padded(width: int) -> int:
    """A width in whole vectors."""
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


def _write_panels(block, operands, offset: int, high: int, wide: int, dtype) -> None:
    """Write a matrix (rows, columns) as a right operand (high, wide), in panels; the padding is zero already."""
    panel = panel_columns(dtype.itemsize)
    per_word = 2 if operands.dtype == np.uint32 else 1
    if per_word == 2:
        block = _row_pairs(block)
    rows, columns = block.shape
    if columns % panel:
        block = np.pad(block, ((0, 0), (0, -columns % panel)))
    start, size = offset // per_word, high * wide // per_word
    target = operands[start : start + size].reshape(wide // panel, high // per_word, panel)
    parts = block.shape[1] // panel
    target[:parts, :rows] = block.reshape(rows, parts, panel).swapaxes(0, 1)


def _row_pairs(block):
    """Neighbouring rows of float32, rounded to bfloat16, as the lower and the upper halves of uint32."""
    bits: np.ndarray = np.ascontiguousarray(block).view(np.uint32)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    if len(bits) % 2:
        bits = np.pad(bits, ((0, 1), (0, 0)))
    return bits[0::2] | bits[1::2] << 16


class Plan:
    """Buffers, layers and heads of a network, and where each parameter lies in the packed weights.

    A subclass adds them in the order of evaluation, then calls `_finish`. Layer i of `names` has the parameters 2 i,
    its weight (inputs, outputs), and 2 i + 1, its bias. The first buffers are the inputs.
    """

    columns: int  # of all buffers together
    widest: int  # columns of a buffer
    buffers: np.ndarray  # (buffers, 2): offset and width, padded

    def __init__(self, names: Sequence[str], input_widths: Sequence[int]):
        self.size = 0  # of the packed weights
        self._names = list(names)
        self._widths = list(input_widths)  # of each buffer
        # (parameter, first row, rows, columns, offset, padded rows, padded columns, is a head)
        self._blocks: list[tuple] = []
        self._biases: list[tuple] = []  # (parameter, length, offset)

    def _finish(self) -> None:
        widths = [padded(width) for width in self._widths]
        offsets = np.concatenate([[0], np.cumsum(widths)])
        self.columns = int(offsets[-1])
        self.widest = max(widths)
        self.buffers = np.array(list(zip(offsets, widths, strict=False)), np.int64)

    def _take(self, size: int) -> int:
        offset, self.size = self.size, self.size + padded(size)
        return offset

    def _layer(
        self, layers: list, name: str, inputs: Sequence[int], width: int, relu: bool, room: int | None = None
    ) -> int:
        """Add a layer and its output buffer, whose number is returned.

        With `room`, that many columns of the buffer are read by what follows: the caller fills those beyond `width`.
        """
        out, number = len(self._widths), self._names.index(name)
        buffer_width = max(width, room or 0)
        offsets, row = [], 0
        for source in inputs:
            rows = self._widths[source]
            high, wide = padded(rows), padded(buffer_width)
            offsets.append(self._take(high * wide))
            self._blocks.append((2 * number, row, rows, width, offsets[-1], high, wide, False))
            row += rows
        bias = self._take(padded(buffer_width))
        self._biases.append((2 * number + 1, width, bias))
        self._widths.append(buffer_width)
        second = (inputs[1], offsets[1]) if len(inputs) == 2 else (-1, 0)
        layers.append((out, inputs[0], second[0], offsets[0], second[1], bias, relu))
        return out

    def _head(self, name: str, source: int, column: int, columns: int) -> tuple:
        number, rows = self._names.index(name), self._widths[source]
        weight = self._take(columns * padded(rows))
        self._blocks.append((2 * number, 0, rows, columns, weight, columns, padded(rows), True))
        bias = self._take(columns)
        self._biases.append((2 * number + 1, columns, bias))
        return source, weight, bias, column, columns

    def packed(self, parameters, word, transposed: bool = False, own: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The parameters for the kernels, in buffers of this plan and thread, or with `own` in new ones.

        Biases and heads as numbers; the layers' weights, or with `transposed` the transposed ones, as operands of words
        of the given dtype.
        """
        dtype = parameters[0].dtype

        def room(dtype, name):
            return np.zeros(self.size, dtype) if own else workspace.zeros_once(self, dtype, name, self.size)

        weights, operands = room(dtype, "weights"), room(word, "transposed" if transposed else "operands")
        for number, row, rows, _, offset, high, wide, is_head in self._blocks:
            block = parameters[number][row : row + rows]
            if is_head:
                weights[offset : offset + high * wide].reshape(high, wide)[:, :rows] = block.T
            elif transposed:
                _write_panels(block.T, operands, offset, wide, high, dtype)
            else:
                _write_panels(block, operands, offset, high, wide, dtype)
        for number, length, offset in self._biases:
            weights[offset : offset + length] = parameters[number]
        return weights, operands

    def tile_words(self, word) -> int:
        """Words of the activations of a tile."""
        return TILE * self.columns // (2 if np.dtype(word) == np.uint32 else 1)

    def scratch(self, word) -> np.ndarray:
        """Room for the activations of one tile of each chunk."""
        return workspace.zeros_once(self, word, "scratch", (CHUNKS, self.tile_words(word)))

    def values(self, dtype) -> np.ndarray:
        """`values` of the kernels, of any content."""
        return workspace.zeros_once(self, dtype, "values", (CHUNKS, TILE * self.widest))

    def activations(self, word, samples: int) -> Activations:
        """Room for the activations of all tiles."""
        return Activations(workspace.free_activations(self, word), -(-samples // TILE), self.tile_words(word), word)

    def backward_room(self, dtype, word) -> tuple[np.ndarray, ...]:
        """`g_scratch`, `values`, `spare`, of any content, and `g_weights`, zeros."""
        g_scratch = workspace.zeros_once(self, dtype, "g_scratch", (CHUNKS, TILE * self.columns))
        spare = workspace.zeros_once(self, word, "spare", (CHUNKS, 3, TILE * self.widest))
        g_weights = workspace.zeros_once(self, dtype, "g_weights", (CHUNKS, self.size))
        g_weights[...] = 0
        return g_scratch, self.values(dtype), spare, g_weights

    def unpack(self, packed, parameters) -> list[np.ndarray]:
        """The gradient of the parameters, fresh arrays of their shapes, from that of the packed weights."""
        out = [np.empty_like(p) for p in parameters]
        for number, row, rows, columns, offset, high, wide, is_head in self._blocks:
            view = packed[offset : offset + high * wide].reshape(high, wide)
            out[number][row : row + rows] = view[:, :rows].T if is_head else view[:rows, :columns]
        for number, length, offset in self._biases:
            out[number][...] = packed[offset : offset + length]
        return out


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
        free[:] = fitting[1:]  # without what was too small: it will be again
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

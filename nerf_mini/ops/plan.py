"""How a network of dense layers becomes the tables and packed weights that `kernels.layers` works on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from ..kernels.matmul import COLUMNS


def padded(width: int) -> int:
    """A width in whole vectors."""
    return -(-width // COLUMNS) * COLUMNS


class Plan:
    """Buffers, layers and heads of a network, and where each parameter lies in the packed weights.

    A subclass adds them in the order of evaluation, then calls `_finish`. Layer i of `names` has the parameters 2 i,
    its weight (inputs, outputs), and 2 i + 1, its bias. The first buffers are the inputs.
    """

    columns: int  # of all buffers together
    buffers: np.ndarray  # (buffers, 2): offset and width, padded

    def __init__(self, names: Sequence[str], input_widths: Sequence[int]):
        self.size = 0  # of the packed weights
        self._names = list(names)
        self._widths = list(input_widths)  # of each buffer
        self._blocks: list[tuple] = []  # (parameter, first row, rows, columns, offset, padded columns, transposed)
        self._biases: list[tuple] = []  # (parameter, length, offset)

    def _finish(self) -> None:
        widths = [padded(width) for width in self._widths]
        offsets = np.concatenate([[0], np.cumsum(widths)])
        self.columns = int(offsets[-1])
        self.buffers = np.array(list(zip(offsets, widths, strict=False)), np.int64)

    def _take(self, size: int) -> int:
        offset, self.size = self.size, self.size + size
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

    def pack(self, parameters, packed, transposed=None) -> None:
        """Copy the parameters into the padded layout; the padding of `packed` must be zero already."""
        for number, row, rows, columns, offset, high, wide, is_head in self._blocks:
            block = parameters[number][row : row + rows]
            view = packed[offset : offset + high * wide].reshape(high, wide)
            if is_head:
                view[:, :rows] = block.T
                continue
            view[:rows, :columns] = block
            if transposed is not None:
                transposed[offset : offset + high * wide].reshape(wide, high)[:columns, :rows] = block.T
        for number, length, offset in self._biases:
            packed[offset : offset + length] = parameters[number]

    def unpack(self, packed, parameters) -> list[np.ndarray]:
        """The inverse of `pack` for a gradient: fresh arrays of the parameters' shapes."""
        out = [np.empty_like(p) for p in parameters]
        for number, row, rows, columns, offset, high, wide, is_head in self._blocks:
            view = packed[offset : offset + high * wide].reshape(high, wide)
            out[number][row : row + rows] = view[:, :rows].T if is_head else view[:rows, :columns]
        for number, length, offset in self._biases:
            out[number][...] = packed[offset : offset + length]
        return out


class Workspace(threading.local):
    """Scratch that is allocated once per plan, dtype and thread: page faults cost more than the arithmetic."""

    def __init__(self):
        self.of_plan: WeakKeyDictionary[Plan, dict[tuple, np.ndarray]] = WeakKeyDictionary()

    def zeros_once(self, plan: Plan, dtype, name: str, shape) -> np.ndarray:
        arrays, key = self.of_plan.setdefault(plan, {}), (np.dtype(dtype), name)
        if key not in arrays:
            arrays[key] = np.zeros(shape, dtype)
        return arrays[key]


workspace = Workspace()

"""Tiles of values as operands of products: the values themselves, or pairs of bfloat16 in words.

Everything here is chosen by the type of the operand at compile time: for float32 and float64 an operand is an array of
the values, and most of this costs nothing; for bfloat16 it is an array of uint32, as `matmul` describes. The depth of
a product of activations and weights runs along columns; that of the product that gives the weights' gradient along
rows, so that pairs have to be formed anew.
"""

import numpy as np
from numba import types
from numba.extending import overload

from nerf_mini.kernels.compiling import fast_part, part
from nerf_mini.kernels.matmul import panel_columns

# Loops over slices, not over offsets: an index that is plainly not negative spares Numba the wrap-around test,
# without which LLVM can vectorise.


def _are_pairs(x) -> bool:
    return x.dtype == types.uint32


@part
def _rounded(bits):
    """The upper half of the bits of a float32 that is rounded to bfloat16, half to even."""
    return np.uint16((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16))


@part
def _round(bits, halves):
    for i in range(halves.size):
        halves[i] = _rounded(bits[i])


@part
def _widen(halves, bits):
    for i in range(halves.size):
        bits[i] = np.uint32(np.uint32(halves[i]) << np.uint32(16))


@part
def _copy(x, out):
    for i in range(out.size):
        out[i] = x[i]


def to_operand(values, x):
    """Write rows of values, flat, into an operand."""
    raise NotImplementedError("for compiled code")


@overload(to_operand)
def _to_operand(values, x):
    if _are_pairs(x):
        return lambda values, x: _round(values.view(np.uint32), x.view(np.uint16))
    return lambda values, x: _copy(values, x)


def from_operand(x, values):
    """The values of an operand, flat."""
    raise NotImplementedError("for compiled code")


@overload(from_operand)
def _from_operand(x, values):
    if _are_pairs(x):
        return lambda x, values: _widen(x.view(np.uint16), values.view(np.uint32))
    return lambda x, values: _copy(x, values)


def write_row(values, x, start):
    """Write values (n,) into the columns of an operand from `start` on, which need not be the start of a word."""
    raise NotImplementedError("for compiled code")


@overload(write_row)
def _write_row(values, x, start):
    if _are_pairs(x):
        return lambda values, x, start: _round(values.view(np.uint32), x.view(np.uint16)[start : start + values.size])
    return lambda values, x, start: _copy(values, x[start : start + values.size])


# -- the backward pass -------------------------------------------------------------------------------------------------


@fast_part
def _mask_values(g, out):
    for i in range(g.size):
        g[i] = g[i] if out[i] > 0 else g.dtype.type(0)


@part
def _mask_halves(g, halves):
    for i in range(g.size):  # activations are not negative: only zero matters
        g[i] = g[i] if halves[i] & np.uint16(0x7FFF) else g.dtype.type(0)


def relu_backward(g, out):
    """Set the gradient g, flat, to zero where the activation, an operand, is zero."""
    raise NotImplementedError("for compiled code")


@overload(relu_backward)
def _relu_backward(g, out):
    if _are_pairs(out):
        return lambda g, out: _mask_halves(g, out.view(np.uint16))
    return lambda g, out: _mask_values(g, out)


def left_of(g, scratch):
    """An operand of the rows of g, flat: g itself, or pairs in `scratch`."""
    raise NotImplementedError("for compiled code")


@overload(left_of)
def _left_of(g, scratch):
    if not _are_pairs(scratch):
        return lambda g, scratch: g

    def pairs(g, scratch):
        x = scratch[: g.size // 2]
        _round(g.view(np.uint32), x.view(np.uint16))
        return x

    return pairs


@part
def _pair_rows(halves, rows, stride, columns, panel, out):
    """Pairs of rows of bfloat16, (rows, columns), `stride` apart: panels (rows / 2, panel), one after the other."""
    pairs = rows // 2
    for j in range(0, columns, panel):
        for r in range(pairs):
            at = 2 * r * stride + j
            upper, lower = halves[at : at + panel], halves[at + stride : at + stride + panel]
            target = out[j * pairs + r * panel : j * pairs + (r + 1) * panel]
            for i in range(panel):
                target[i] = np.uint32(upper[i]) | np.uint32(np.uint32(lower[i]) << np.uint32(16))


def transposed_left_of(x, rows, width, scratch):
    """An operand whose word (i, p) is at i + width * p: the columns of the operand x, with the depth along its rows."""
    raise NotImplementedError("for compiled code")


@overload(transposed_left_of)
def _transposed_left_of(x, rows, width, scratch):
    if not _are_pairs(scratch):
        return lambda x, rows, width, scratch: x

    def pairs(x, rows, width, scratch):
        _pair_rows(x.view(np.uint16), rows, width, width, width, scratch)
        return scratch

    return pairs


@part
def _copy_panels(g, rows, stride, columns, out):
    panel = panel_columns_of(g)
    for j in range(0, columns, panel):
        for r in range(rows):
            source = g[r * stride + j : r * stride + j + panel]
            target = out[j * rows + r * panel : j * rows + (r + 1) * panel]
            for i in range(panel):
                target[i] = source[i]


def panel_columns_of(x):
    """`panel_columns` for sums of the itemsize of x."""
    raise NotImplementedError("for compiled code")


@overload(panel_columns_of)
def _panel_columns_of(x):
    columns = panel_columns(x.dtype.bitwidth // 8)
    return lambda x: columns


def fill_right(left, rows, stride, columns, right):
    """The rows of an operand from `left_of`, `stride` apart, in panels, with the depth along the rows."""
    raise NotImplementedError("for compiled code")


@overload(fill_right)
def _fill_right(left, rows, stride, columns, right):
    if not _are_pairs(left):
        return lambda left, rows, stride, columns, right: _copy_panels(left, rows, stride, columns, right)
    panel = panel_columns(4)
    return lambda left, rows, stride, columns, right: _pair_rows(
        left.view(np.uint16), rows, stride, columns, panel, right
    )

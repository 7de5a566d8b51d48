"""Tiles of numbers as operands of products: the numbers themselves, or pairs of bfloat16 in words.

Everything here is chosen by the type of the operand at compile time: for float32 and float64 an operand is an array of
the numbers, and most of this costs nothing; for bfloat16 it is an array of uint32, as `matmul` describes. The depth of
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
    """Write rows of numbers, flat, into an operand."""
    raise NotImplementedError("for compiled code")


@overload(to_operand)
def _to_operand(values, x):
    if _are_pairs(x):
        return lambda values, x: _round(values.view(np.uint32), x.view(np.uint16))
    return lambda values, x: _copy(values, x)


def from_operand(x, values):
    """The numbers of an operand, flat."""
    raise NotImplementedError("for compiled code")


@overload(from_operand)
def _from_operand(x, values):
    if _are_pairs(x):
        return lambda x, values: _widen(x.view(np.uint16), values.view(np.uint32))
    return lambda x, values: _copy(x, values)


# -- the backward pass -------------------------------------------------------------------------------------------------


@fast_part
def _mask_numbers(g, out):
    for i in range(g.size):
        g[i] = g[i] if out[i] > 0 else g.dtype.type(0)


@part
def _mask_halves(g, halves):
    for i in range(g.size):  # the numbers are not negative: all that is asked is whether they are zero
        g[i] = g[i] if halves[i] & np.uint16(0x7FFF) else g.dtype.type(0)


def relu_backward(g, out):
    """Set the gradient g, flat, to zero where the activation, an operand, is zero."""
    raise NotImplementedError("for compiled code")


@overload(relu_backward)
def _relu_backward(g, out):
    if _are_pairs(out):
        return lambda g, out: _mask_halves(g, out.view(np.uint16))
    return lambda g, out: _mask_numbers(g, out)


def left_of(g, spare):
    """An operand of the rows of g, flat: g itself, or pairs in `spare`."""
    raise NotImplementedError("for compiled code")


@overload(left_of)
def _left_of(g, spare):
    if not _are_pairs(spare):
        return lambda g, spare: g

    def pairs(g, spare):
        x = spare[: g.size // 2]
        _round(g.view(np.uint32), x.view(np.uint16))
        return x

    return pairs


@part
def _pair_rows(halves, rows, width, columns, out):
    """Pairs of rows from rows of bfloat16, (rows, width): panels (rows / 2, columns), one after the other."""
    many = rows // 2
    for j in range(0, width, columns):
        for r in range(many):
            at = 2 * r * width + j
            upper, lower = halves[at : at + columns], halves[at + width : at + width + columns]
            target = out[j * many + r * columns : j * many + (r + 1) * columns]
            for i in range(columns):
                target[i] = np.uint32(upper[i]) | np.uint32(np.uint32(lower[i]) << np.uint32(16))


def transposed_left_of(x, rows, width, spare):
    """An operand whose word (i, p) is at i + width * p: the columns of the operand x, with the depth along its rows."""
    raise NotImplementedError("for compiled code")


@overload(transposed_left_of)
def _transposed_left_of(x, rows, width, spare):
    if not _are_pairs(spare):
        return lambda x, rows, width, spare: x

    def pairs(x, rows, width, spare):
        _pair_rows(x.view(np.uint16), rows, width, width, spare)
        return spare

    return pairs


@part
def _copy_panels(g, rows, width, out):
    panel = panel_columns_of(g)
    for j in range(0, width, panel):
        for r in range(rows):
            source = g[r * width + j : r * width + j + panel]
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


def fill_right(left, rows, width, right):
    """The rows of an operand from `left_of` in panels, with the depth along the rows."""
    raise NotImplementedError("for compiled code")


@overload(fill_right)
def _fill_right(left, rows, width, right):
    if not _are_pairs(left):
        return lambda left, rows, width, right: _copy_panels(left, rows, width, right)
    columns = panel_columns(4)
    return lambda left, rows, width, right: _pair_rows(left.view(np.uint16), rows, width, columns, right)

"""Products of arrays. Everything bilinear is one family: the transpose of a product is a product.

The primitives are matmul, the common case, and einsum, which is all others; the rest is written in terms of them.
"""

import functools
import math
import operator
import string

import numpy as np

from autodiff.core import DerivativeError, dtype_of, shape_of
from autodiff.operands import as_operand, writes_out
from autodiff.registry import OPERATORS, REGISTRY, implements
from autodiff.rules.families import axes_of, bilinear, define

# -- matmul ------------------------------------------------------------------------------------------------------------


def _columns(g, x, y):
    """The cotangent of x @ y with the axes that vectors x and y lost put back, and y as a matrix."""
    if len(shape_of(y)) == 1:
        g = g[..., None]
    return g[..., None, :] if len(shape_of(x)) == 1 else g


def _matmul_x(g, x, y):
    if len(shape_of(y)) == 2 and len(shape_of(x)) > 1:
        return np.matmul(g, np.transpose(y))
    y2 = y[:, None] if len(shape_of(y)) == 1 else y
    out = np.matmul(_columns(g, x, y), np.swapaxes(y2, -1, -2))
    return out[..., 0, :] if len(shape_of(x)) == 1 else out


def _matmul_y(g, x, y):
    if len(shape_of(y)) == 2 and len(shape_of(x)) > 1:  # all batch axes of x are summed over: one product of matrices
        rows = _rows(x)
        return np.matmul(np.transpose(rows), _rows(g))
    x2 = x[None, :] if len(shape_of(x)) == 1 else x
    out = np.matmul(np.swapaxes(x2, -1, -2), _columns(g, x, y))
    return out[..., 0] if len(shape_of(y)) == 1 else out


def _rows(x):
    shape = shape_of(x)
    return x if len(shape) == 2 else np.reshape(x, (math.prod(shape[:-1]), shape[-1]))


matmul = bilinear("matmul", np.matmul, _matmul_x, _matmul_y)


OPERATORS.matmul = REGISTRY[np.matmul] = REGISTRY[np.linalg.matmul] = matmul


# -- einsum ------------------------------------------------------------------------------------------------------------


def _einsum_tangent(tangents, out, *operands, terms, result, optimize):
    total = None
    for i, t in enumerate(tangents):
        if t is not None:
            term = _einsum(*operands[:i], t, *operands[i + 1 :], terms=terms, result=result, optimize=optimize)
            total = term if total is None else total + term
    return total


def _einsum_cotangents(needs, g, out, *operands, terms, result, optimize):
    return [
        _einsum_cotangent(i, g, operands, terms, result, optimize) if need else None for i, need in enumerate(needs)
    ]


def _einsum_cotangent(i, g, operands, terms, result, optimize):
    """The cotangent takes the place of the operand: it is contracted with the others, towards the operand's letters.

    A letter that only this operand has was summed over; ones carry it. A letter that it repeats was a diagonal; each
    repetition gets a letter of its own, tied to the first by an identity matrix.
    """
    sizes = dict(zip(terms[i], shape_of(operands[i]), strict=True))
    others = [k for k in range(len(operands)) if k != i]
    arrays, letters = [g, *(operands[k] for k in others)], [result, *(terms[k] for k in others)]
    dtype, seen, wanted = dtype_of(operands[i]), "".join(letters), ""
    unused = (c for c in string.ascii_letters if c not in seen + terms[i])
    for letter in terms[i]:
        if letter in wanted:
            copy = next(unused)
            arrays.append(np.eye(sizes[letter], dtype=dtype))
            letters.append(letter + copy)
            wanted += copy
            continue
        if letter not in seen:
            arrays.append(np.ones(sizes[letter], dtype))
            letters.append(letter)
        wanted += letter
    return _einsum(*arrays, terms=tuple(letters), result=wanted, optimize=optimize)


_einsum = define(
    "einsum",
    lambda *operands, terms, result, optimize: np.einsum(f"{','.join(terms)}->{result}", *operands, optimize=optimize),
    jvp=_einsum_tangent,
    vjp=_einsum_cotangents,
    reads=["args"],
)


@implements(np.einsum)
def einsum(*operands, optimize=False, dtype=None, order="K", casting="safe"):
    if isinstance(operands[0], str):
        subscripts, arrays = operands[0].replace(" ", ""), [as_operand(x) for x in operands[1:]]
    else:
        subscripts, arrays = _subscripts_of_lists(operands)
    terms, result = _explicit(subscripts, [len(shape_of(x)) for x in arrays])
    out = _einsum(*arrays, terms=terms, result=result, optimize=optimize)
    return out if dtype is None else out.astype(dtype)


def _subscripts_of_lists(operands):
    """np.einsum(x, [0, 1], y, [1, 2], [0, 2]) as a string and arrays."""

    def text(axes):
        return "".join("..." if n is Ellipsis else string.ascii_letters[n] for n in axes)

    pairs = len(operands) // 2
    subscripts = ",".join(text(operands[2 * i + 1]) for i in range(pairs))
    if len(operands) % 2:
        subscripts += "->" + text(operands[-1])
    return subscripts, [as_operand(operands[2 * i]) for i in range(pairs)]


def _explicit(subscripts, ndims):
    """The letters of each operand and of the result, with ellipses spelled out and the result made explicit."""
    inputs, arrow, result = subscripts.partition("->")
    parts = inputs.split(",")
    if len(parts) != len(ndims):
        raise ValueError(f"einsum: {len(parts)} terms in {subscripts!r} for {len(ndims)} operands")
    hidden = [ndim - len(part.replace("...", "")) for part, ndim in zip(parts, ndims, strict=True)]
    free = [c for c in string.ascii_letters if c not in subscripts]
    batch = "".join(free[: max([n for n, part in zip(hidden, parts, strict=True) if "..." in part], default=0)])
    terms = tuple(p.replace("...", batch[len(batch) - n :]) for p, n in zip(parts, hidden, strict=True))
    if not arrow:
        letters = inputs.replace("...", "").replace(",", "")
        result = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return terms, result.replace("...", batch)


# -- the rest, in terms of these ---------------------------------------------------------------------------------------


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a, b, axes=2):
    a, b = as_operand(a), as_operand(b)
    na, nb = len(shape_of(a)), len(shape_of(b))
    a_axes, b_axes = (tuple(range(na - axes, na)), tuple(range(axes))) if isinstance(axes, int | np.integer) else axes
    a_axes, b_axes = axes_of(a_axes, na), axes_of(b_axes, nb)
    a_kept = tuple(i for i in range(na) if i not in a_axes)
    b_kept = tuple(i for i in range(nb) if i not in b_axes)
    shape = tuple(shape_of(a)[i] for i in a_kept) + tuple(shape_of(b)[i] for i in b_kept)
    n = math.prod(shape_of(a)[i] for i in a_axes)
    left = np.reshape(np.transpose(a, a_kept + a_axes), (math.prod(shape_of(a)[i] for i in a_kept), n))
    right = np.reshape(np.transpose(b, b_axes + b_kept), (n, math.prod(shape_of(b)[i] for i in b_kept)))
    return np.reshape(np.matmul(left, right), shape)


def _as_arrays(*values):
    """Python scalars are float64 arrays to np.dot and np.inner."""
    return [np.asarray(x) if isinstance(x, int | float | list | tuple) else x for x in values]


@implements(np.dot)
def dot(a, b, out=None):
    if out is not None:
        raise writes_out(np.dot)
    a, b = _as_arrays(a, b)
    if shape_of(a) == () or shape_of(b) == ():
        return np.multiply(a, b)
    if len(shape_of(b)) <= 2:
        return np.matmul(a, b)
    return np.tensordot(a, b, (-1, -2))


@implements(np.inner)
def inner(a, b, /):
    a, b = _as_arrays(a, b)
    return np.multiply(a, b) if shape_of(a) == () or shape_of(b) == () else np.tensordot(a, b, (-1, -1))


@implements(np.vdot)
def vdot(a, b, /):
    return np.matmul(np.ravel(as_operand(a)), np.ravel(as_operand(b)))


@implements(np.outer, np.linalg.outer)
def outer(a, b, out=None):
    if out is not None:
        raise writes_out(np.outer)
    return np.ravel(as_operand(a))[:, None] * np.ravel(as_operand(b))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1, x2, /, *, axis=-1):
    x1, x2 = np.moveaxis(as_operand(x1), axis, -1), np.moveaxis(as_operand(x2), axis, -1)
    return np.matmul(x1[..., None, :], x2[..., :, None])[..., 0, 0]


@implements(getattr(np, "matvec", None))
def matvec(x1, x2, /):
    return np.matmul(as_operand(x1), as_operand(x2)[..., None])[..., 0]


@implements(getattr(np, "vecmat", None))
def vecmat(x1, x2, /):
    return np.matmul(as_operand(x1)[..., None, :], as_operand(x2))[..., 0, :]


@implements(np.kron)
def kron(a, b):
    a, b = as_operand(a), as_operand(b)
    ndim = max(len(shape_of(a)), len(shape_of(b)))
    rows, columns = ((1,) * (ndim - len(shape_of(x))) + shape_of(x) for x in (a, b))
    a = np.reshape(a, [n for pair in zip(rows, (1,) * ndim, strict=True) for n in pair])
    b = np.reshape(b, [n for pair in zip((1,) * ndim, columns, strict=True) for n in pair])
    return np.reshape(a * b, tuple(map(operator.mul, rows, columns)))


@implements(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    if out is not None:
        raise writes_out(np.trace)
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.linalg.trace)
def linalg_trace(x, /, *, offset=0, dtype=None):
    return np.trace(x, offset, -2, -1, dtype)


@implements(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    a, b = np.moveaxis(as_operand(a), axisa, -1), np.moveaxis(as_operand(b), axisb, -1)
    if shape_of(a)[-1] != 3 or shape_of(b)[-1] != 3:
        raise DerivativeError("np.cross under differentiation takes vectors of three components")
    (a0, a1, a2), (b0, b1, b2) = ([v[..., i] for i in range(3)] for v in (a, b))
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axisc)


@implements(np.linalg.cross)
def linalg_cross(x1, x2, /, *, axis=-1):
    return np.cross(x1, x2, axis=axis)


@implements(np.linalg.multi_dot)
def multi_dot(arrays, *, out=None):
    if out is not None:
        raise writes_out(np.linalg.multi_dot)
    arrays = [as_operand(a) for a in arrays]
    sizes = [shape_of(a)[0] for a in arrays] + [shape_of(arrays[-1])[-1]]
    if len(shape_of(arrays[0])) == 1:
        sizes[0] = 1
    if len(shape_of(arrays[-1])) == 1:
        sizes[-1] = 1

    @functools.cache
    def best(i, j):
        """The least number of multiplications for the product of arrays i to j, and where to split it."""
        if i == j:
            return 0, i
        return min((best(i, k)[0] + best(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))

    def product(i, j):
        k = best(i, j)[1]
        return arrays[i] if i == j else np.matmul(product(i, k), product(k + 1, j))

    return product(0, len(arrays) - 1)


@implements(np.linalg.matrix_power)
def matrix_power(a, n):
    n = operator.index(n)
    if n < 0:
        return np.linalg.matrix_power(np.linalg.inv(a), -n)
    if n == 0:
        return np.broadcast_to(np.eye(shape_of(a)[-1], dtype=dtype_of(a)), shape_of(a))
    half = np.linalg.matrix_power(a, n // 2) if n > 1 else None
    square = a if half is None else np.matmul(half, half)
    return np.matmul(square, a) if half is not None and n % 2 else square


# -- convolution -------------------------------------------------------------------------------------------------------


_convolve = bilinear(
    "convolve",
    np.convolve,
    lambda g, x, y: _full_correlation(g, y, shape_of(x)[0]),
    lambda g, x, y: _full_correlation(g, x, shape_of(y)[0]),
)


def _full_correlation(g, y, n):
    """sum_j g[i + j] y[j] for i < n."""
    start = shape_of(y)[0] - 1
    return _convolve(g, np.flip(y))[start : start + n]


@implements(np.convolve)
def convolve(a, v, mode="full"):
    a, v = as_operand(a), as_operand(v)
    n, m = shape_of(a)[0], shape_of(v)[0]
    full = _convolve(a, v)
    if mode == "full":
        return full
    length = max(n, m) if mode == "same" else max(n, m) - min(n, m) + 1
    start = (n + m - 1 - length) // 2
    return full[start : start + length]


@implements(np.correlate)
def correlate(a, v, mode="valid"):
    a, v = as_operand(a), as_operand(v)
    if shape_of(a)[0] < shape_of(v)[0]:
        return np.flip(np.correlate(v, a, mode))
    return np.convolve(a, np.flip(v), mode)

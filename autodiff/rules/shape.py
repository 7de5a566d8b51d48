"""Functions that rearrange entries without changing them: all linear, each transposed by the inverse rearrangement."""

import numpy as np

from autodiff.core import dtype_of, primal, shape_of, size_of, zeros_like
from autodiff.operands import as_operand, strip, writes_out
from autodiff.registry import OPERATORS, implements
from autodiff.rules.families import axes_of, constant, define, implements_each, linear, refuse
from autodiff.rules.indexing import moved_together

_astype = linear("astype", lambda x, dtype: np.asarray(x).astype(dtype), lambda g, x, dtype: g)
OPERATORS.astype = _astype
_reshape = linear(
    "reshape", lambda x, shape: np.asarray(x).reshape(shape), lambda g, x, shape: np.reshape(g, shape_of(x))
)
_transpose = linear(
    "transpose", lambda x, axes: np.transpose(x, axes), lambda g, x, axes: np.transpose(g, np.argsort(axes))
)
_broadcast_to = linear("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda g, x, shape: g)
_flip = linear("flip", lambda x, axis: np.flip(x, axis), lambda g, x, axis: np.flip(g, axis))
_roll = linear(
    "roll",
    lambda x, shift, axis: np.roll(x, shift, axis),
    lambda g, x, shift, axis: np.roll(g, np.negative(shift), axis),
)
_tril = linear("tril", lambda x, k: np.tril(x, k), lambda g, x, k: np.tril(g, k))
_triu = linear("triu", lambda x, k: np.triu(x, k), lambda g, x, k: np.triu(g, k))


@implements(getattr(np, "astype", None))
def astype(x, dtype, /, *, copy=True, device=None):
    return x.astype(dtype)


@implements(np.copy)
def copy(a, order="K", subok=False):
    return a


@implements(np.reshape)
def reshape(a, shape, order="C", *, copy=None):
    if order == "F":
        shape = shape if isinstance(shape, list | tuple) else (shape,)
        return np.transpose(np.reshape(np.transpose(a), tuple(shape)[::-1]))
    return _reshape(as_operand(a), shape=shape)


@implements(np.ravel)
def ravel(a, order="C"):
    return np.reshape(a, (-1,), order=order)


@implements(np.transpose)
def transpose(a, axes=None):
    ndim = len(shape_of(a))
    return _transpose(a, axes=tuple(range(ndim))[::-1] if axes is None else axes_of(tuple(axes), ndim))


@implements(np.linalg.matrix_transpose, np.matrix_transpose)
def matrix_transpose(x, /):
    return np.swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a, axis1, axis2):
    axes = list(range(len(shape_of(a))))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return _transpose(a, axes=tuple(axes))


def _of_axes(function):
    """A function that reorders axes: its effect on the axes is read off an empty array."""

    def handler(a, *args, **kwargs):
        sizes = function(np.empty(tuple(range(2, len(shape_of(a)) + 2)), np.dtype("V0")), *args, **kwargs).shape
        return _transpose(a, axes=tuple(n - 2 for n in sizes))

    handler.__name__ = function.__name__
    return handler


def _of_lengths(function):
    """A function that adds or removes axes of length 1: its effect on the shape is read off an empty array."""

    def handler(a, *args, **kwargs):
        a = as_operand(a)
        return np.reshape(a, function(np.broadcast_to(False, shape_of(a)), *args, **kwargs).shape)

    handler.__name__ = function.__name__
    return handler


implements_each(_of_axes, np.moveaxis, np.rollaxis)
implements_each(_of_lengths, np.expand_dims, np.squeeze)


@implements(np.broadcast_to)
def broadcast_to(array, shape, subok=False):
    return _broadcast_to(as_operand(array), shape=shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    shape = np.broadcast_shapes(*(shape_of(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _at_least(function):
    def handler(*arys):
        of_one = _of_lengths(function)
        return of_one(arys[0]) if len(arys) == 1 else tuple(of_one(a) for a in arys)

    handler.__name__ = function.__name__
    return handler


implements_each(_at_least, np.atleast_1d, np.atleast_2d, np.atleast_3d)


@implements(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    places = np.meshgrid(*(np.arange(size_of(x)) for x in xi), sparse=sparse, indexing=indexing)
    return tuple(np.ravel(x)[place] for x, place in zip(xi, places, strict=True))


@implements(np.ix_)
def ix_(*args):
    """Each sequence along an axis of its own; those of booleans and integers are indices, and constants."""
    shapes = [grid.shape for grid in np.ix_(*strip(args))]
    return tuple(
        np.reshape(x, shape) if dtype_of(x).kind == "f" else np.ix_(primal(x))[0].reshape(shape)
        for x, shape in zip(map(as_operand, args), shapes, strict=True)
    )


# -- turning over ------------------------------------------------------------------------------------------------------


@implements(np.flip)
def flip(m, axis=None):
    return _flip(m, axis=axis)


@implements(np.flipud)
def flipud(m):
    return _flip(m, axis=0)


@implements(np.fliplr)
def fliplr(m):
    return _flip(m, axis=1)


@implements(np.rot90)
def rot90(m, k=1, axes=(0, 1)):
    order = list(range(len(shape_of(m))))
    order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
    match k % 4:
        case 1:
            return np.transpose(np.flip(m, axes[1]), order)
        case 2:
            return np.flip(m, axes)
        case 3:
            return np.flip(np.transpose(m, order), axes[1])
    return m


@implements(np.roll)
def roll(a, shift, axis=None):
    return _roll(a, shift=shift, axis=axis)


@implements(np.tril)
def tril(m, k=0):
    return _tril(m, k=k)


@implements(np.triu)
def triu(m, k=0):
    return _triu(m, k=k)


constant(
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.can_cast,
    np.min_scalar_type, np.common_type, np.array_repr, np.array_str, np.array2string, np.shares_memory,
    np.may_share_memory, np.einsum_path, np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
)  # fmt: skip


@implements(np.full_like)
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None):
    filled = np.broadcast_to(as_operand(fill_value), shape_of(a) if shape is None else shape)
    return filled.astype(dtype_of(a) if dtype is None else dtype)


# -- joining -----------------------------------------------------------------------------------------------------------


def _filled(tangents, arrays):
    """The tangents of several arrays, with zeros for the constants among them."""
    return [zeros_like(a) if t is None else t for t, a in zip(tangents, arrays, strict=True)]


def _concatenate_tangent(tangents, out, *arrays, axis):
    return _concatenate(*_filled(tangents, arrays), axis=axis)


def _concatenate_cotangents(needs, g, out, *arrays, axis):
    pieces, start = [], 0
    for array, need in zip(arrays, needs, strict=True):
        stop = start + shape_of(array)[axis]
        pieces.append(g[(slice(None),) * axis + (slice(start, stop),)] if need else None)
        start = stop
    return pieces


_concatenate = define(
    "concatenate",
    lambda *arrays, axis: np.concatenate(arrays, axis=axis),
    jvp=_concatenate_tangent,
    vjp=_concatenate_cotangents,
    reads=(),
)


@implements(np.concatenate)
def concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    if out is not None:
        raise writes_out(np.concatenate)
    arrays = [as_operand(a) for a in arrays]
    if axis is None:
        arrays, axis = [np.reshape(a, (-1,)) for a in arrays], 0
    joined = _concatenate(*arrays, axis=axes_of(axis, len(shape_of(arrays[0])))[0])
    return joined if dtype is None else joined.astype(dtype)


def _stack_tangent(tangents, out, *arrays, axis):
    return _stack(*_filled(tangents, arrays), axis=axis)


_stack = define(
    "stack",
    lambda *arrays, axis: np.stack(arrays, axis),
    jvp=_stack_tangent,
    vjp=lambda needs, g, out, *arrays, axis: [
        g[(slice(None),) * axis + (i,)] if need else None for i, need in enumerate(needs)
    ],
    reads=(),
)


@implements(np.stack)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    if out is not None:
        raise writes_out(np.stack)
    arrays = [as_operand(a) for a in arrays]
    stacked = _stack(*arrays, axis=axes_of(axis, len(shape_of(arrays[0])) + 1)[0])
    return stacked if dtype is None else stacked.astype(dtype)


@implements(np.vstack)
def vstack(tup, *, dtype=None, casting="same_kind"):
    return np.concatenate([np.atleast_2d(a) for a in tup], axis=0, dtype=dtype)


@implements(np.hstack)
def hstack(tup, *, dtype=None, casting="same_kind"):
    tup = [np.atleast_1d(a) for a in tup]
    return np.concatenate(tup, axis=0 if len(shape_of(tup[0])) == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup):
    return np.concatenate([np.atleast_3d(a) for a in tup], axis=2)


@implements(np.column_stack)
def column_stack(tup):
    return np.concatenate([a if len(shape_of(a)) > 1 else np.reshape(a, (-1, 1)) for a in tup], axis=1)


@implements(np.append)
def append(arr, values, axis=None):
    return np.concatenate([arr, values], axis=axis)


@implements(np.block)
def block(arrays):
    leaves: list = []

    def enumerated(tree):
        if isinstance(tree, list):
            return [enumerated(member) for member in tree]
        leaves.append(tree)
        return len(leaves) - 1

    def place(tree, positions):
        return [place(member, positions) for member in tree] if isinstance(tree, list) else positions[tree]

    places = enumerated(arrays)
    return moved_together(lambda *positions: np.block(place(places, positions)), leaves)


# -- splitting ---------------------------------------------------------------------------------------------------------


def _splitter(function):
    """A function that cuts an array into slices: where it cuts is read off an array of positions."""

    def handler(ary, *args, **kwargs):
        places = function(np.arange(size_of(ary)).reshape(shape_of(ary)), *args, **kwargs)
        return [_slice_between(ary, place) for place in places]

    handler.__name__ = function.__name__
    return handler


def _slice_between(ary, place):
    """The slice of an array whose positions are given, as a basic index."""
    if place.size == 0:
        return np.zeros(place.shape, dtype_of(ary))
    first = np.unravel_index(place.flat[0], shape_of(ary))
    return ary[tuple(slice(start, start + n) for start, n in zip(first, place.shape, strict=True))]


implements_each(_splitter, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit)


@implements(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """One call for each 1-d slice along the axis; the results take the place of the axis."""
    arr = as_operand(arr)
    (axis,) = axes_of(axis, len(shape_of(arr)))
    lines = np.moveaxis(arr, axis, -1)
    lead = shape_of(lines)[:-1]
    results = np.stack([as_operand(func1d(lines[place], *args, **kwargs)) for place in np.ndindex(lead)])
    results = np.reshape(results, lead + shape_of(results)[1:])
    extra = len(shape_of(results)) - len(lead)
    return np.moveaxis(results, range(len(lead), len(lead) + extra), range(axis, axis + extra))


@implements(getattr(np, "unstack", None))
def unstack(x, /, *, axis=0):
    return tuple(np.moveaxis(x, axis, 0))


refuse(
    np.copyto, np.put, np.put_along_axis, np.place, np.putmask, np.fill_diagonal,
    instead="it writes into an array, which has no derivative; write autodiff.at(a)[index].set(v) or np.where",
)  # fmt: skip

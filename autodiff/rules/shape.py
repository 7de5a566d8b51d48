"""Functions that move numbers about without changing them: all linear, each with its inverse movement as transpose."""

import numpy as np

from ..core import dtype_of, primal, shape_of
from .families import constant, define, implements, linear

astype = linear("astype", lambda x, dtype: np.asarray(x).astype(dtype), lambda g, x, dtype: g)
_reshape = linear("reshape", lambda x, shape: np.reshape(x, shape), lambda g, x, shape: np.reshape(g, shape_of(x)))
_transpose = linear("transpose", lambda x, axes: np.transpose(x, axes), lambda g, x, axes: np.transpose(g, np.argsort(axes)))
_broadcast_to = linear("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda g, x, shape: g)
_flip = linear("flip", lambda x, axis: np.flip(x, axis), lambda g, x, axis: np.flip(g, axis))


@implements(np.reshape)
def reshape(a, shape, order="C"):
    if order != "C":
        return np.transpose(np.reshape(np.transpose(a), tuple(shape)[::-1]))
    return _reshape(a, shape=shape)


@implements(np.ravel)
def ravel(a, order="C"):
    return np.reshape(a, (-1,), order=order)


@implements(np.transpose)
def transpose(a, axes=None):
    axes = tuple(range(len(shape_of(a))))[::-1] if axes is None else tuple(axes)
    return _transpose(a, axes=axes)


@implements(np.swapaxes)
def swapaxes(a, axis1, axis2):
    axes = list(range(len(shape_of(a))))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return _transpose(a, axes=tuple(axes))


@implements(np.expand_dims)
def expand_dims(a, axis):
    return np.reshape(a, np.expand_dims(np.empty(shape_of(a), bool), axis).shape)


@implements(np.squeeze)
def squeeze(a, axis=None):
    return np.reshape(a, np.squeeze(np.empty(shape_of(a), bool), axis).shape)


@implements(np.broadcast_to)
def broadcast_to(array, shape):
    return _broadcast_to(array, shape=shape)


@implements(np.flip)
def flip(m, axis=None):
    return _flip(m, axis=axis)


# -- joining -----------------------------------------------------------------------------------------------------------


def _pieces(g, arrays, axis):
    start, pieces = 0, []
    for array in arrays:
        stop = start + shape_of(array)[axis]
        pieces.append(np.take(g, np.arange(start, stop), axis=axis) if axis < 0 else g[(slice(None),) * axis + (slice(start, stop),)])
        start = stop
    return pieces


def _concatenate_jvp(tangents, out, *arrays, axis):
    parts = [np.zeros(shape_of(a), dtype_of(a)) if t is None else t for t, a in zip(tangents, arrays, strict=True)]
    return _concatenate(*parts, axis=axis)


def _concatenate_vjp(needs, g, out, *arrays, axis):
    return _pieces(g, arrays, axis)


_concatenate = define(
    "concatenate", lambda *arrays, axis: np.concatenate(arrays, axis=axis), jvp=_concatenate_jvp, vjp=_concatenate_vjp
)


@implements(np.concatenate)
def concatenate(arrays, axis=0):
    arrays = [np.asarray(a) if isinstance(a, list | tuple) else a for a in arrays]
    if axis is None:
        return _concatenate(*[np.reshape(a, (-1,)) for a in arrays], axis=0)
    return _concatenate(*arrays, axis=axis % len(shape_of(arrays[0])))


@implements(np.stack)
def stack(arrays, axis=0):
    return np.concatenate([np.expand_dims(a, axis) for a in arrays], axis=axis)


# -- choosing ----------------------------------------------------------------------------------------------------------


def _where_jvp(tangents, out, condition, x, y):
    _, tx, ty = tangents
    return np.where(condition, 0.0 if tx is None else tx, 0.0 if ty is None else ty)


def _where_vjp(needs, g, out, condition, x, y):
    zero = np.zeros((), dtype_of(g))
    return None, np.where(condition, g, zero) if needs[1] else None, np.where(condition, zero, g) if needs[2] else None


_where = define("where", np.where, jvp=_where_jvp, vjp=_where_vjp)


@implements(np.where)
def where(condition, x=None, y=None):
    condition = primal(condition)
    return np.where(condition) if x is None else _where(condition, x, y)


constant(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.result_type)

"""Taking entries: every form of x[...], and the functions that take along an axis. Scatter-add is the transpose."""

import numpy as np

from ..core import primal, shape_of, zeros_like
from .families import _strip, implements, linear


def _is_basic(index):
    """Whether no entry can be taken twice, so that the transpose is an assignment."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, slice | int | np.integer) for part in parts)


def _scatter_value(g, shape, index):
    out = np.zeros(shape, g.dtype if hasattr(g, "dtype") else float)
    if _is_basic(index):
        out[index] = g
    else:
        np.add.at(out, index, g)
    return out


_take = linear("getitem", lambda x, index: x[index], lambda g, x, index: _scatter(g, shape=shape_of(x), index=index))
_scatter = linear("scatter", _scatter_value, lambda g, x, shape, index: _take(g, index=index))


def getitem(x, index):
    return _take(x, index=_strip(index))


@implements(np.take)
def take(a, indices, axis=None):
    if axis is None:
        return np.ravel(a)[indices]
    return a[(slice(None),) * (axis % len(shape_of(a))) + (primal(indices),)]


@implements(np.take_along_axis)
def take_along_axis(arr, indices, axis):
    shape = shape_of(indices)
    axis = axis % len(shape)
    index = [np.arange(n).reshape((-1,) + (1,) * (len(shape) - 1 - i)) for i, n in enumerate(shape)]
    index[axis] = indices
    return arr[tuple(index)]


@implements(np.sort)
def sort(a, axis=-1, kind=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argsort(primal(a), axis=axis, kind=kind or "stable"), axis)


__all__ = ["getitem", "sort", "take", "take_along_axis", "zeros_like"]

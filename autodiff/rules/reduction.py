"""Reductions along axes: sums, means, extrema, cumulative sums."""

import numpy as np

from ..core import dtype_of, shape_of
from .families import constant, define, implements, linear


def expand(g, shape, axis, keepdims):
    """A reduced array with its lost axes put back as axes of length 1, ready to broadcast over `shape`."""
    if keepdims or shape_of(g) == shape:
        return g
    if axis is None:
        return np.reshape(g, (1,) * len(shape))
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return np.reshape(g, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def count(shape, axis):
    """How many entries are reduced to one."""
    if axis is None:
        return int(np.prod(shape, dtype=int))
    return int(np.prod([shape[a] for a in (axis if isinstance(axis, tuple) else (axis,))], dtype=int))


def _sum_transpose(g, x, axis=None, keepdims=False):
    return np.broadcast_to(expand(g, shape_of(x), axis, keepdims), shape_of(x))


_sum = linear("sum", lambda x, axis=None, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims), _sum_transpose)


@implements(np.sum)
def sum(a, axis=None, dtype=None, keepdims=False):
    return _sum(a if dtype is None else a.astype(dtype), axis=axis, keepdims=keepdims)


@implements(np.mean)
def mean(a, axis=None, dtype=None, keepdims=False):
    return np.sum(a, axis=axis, dtype=dtype, keepdims=keepdims) / count(shape_of(a), axis)


def _reversed_cumsum(g, axis):
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


def _cumsum_transpose(g, x, axis=None):
    if axis is None:
        return np.reshape(_reversed_cumsum(g, 0), shape_of(x))
    return _reversed_cumsum(g, axis)


_cumsum = linear("cumsum", lambda x, axis=None: np.cumsum(x, axis=axis), _cumsum_transpose)


@implements(np.cumsum)
def cumsum(a, axis=None, dtype=None):
    return _cumsum(a if dtype is None else a.astype(dtype), axis=axis)


# Extrema: ties share the derivative equally.
def _extremum(function):
    def share(out, x, axis, keepdims):
        ties = x == expand(out, shape_of(x), axis, keepdims)
        return ties / np.sum(ties, axis=axis, keepdims=True, dtype=dtype_of(x))

    def jvp(tangents, out, x, axis=None, keepdims=False):
        return np.sum(tangents[0] * share(out, x, axis, keepdims), axis=axis, keepdims=keepdims)

    def vjp(needs, g, out, x, axis=None, keepdims=False):
        return (expand(g, shape_of(x), axis, keepdims) * share(out, x, axis, keepdims),)

    primitive = define(function.__name__, lambda x, axis=None, keepdims=False: function(x, axis, keepdims=keepdims), jvp=jvp, vjp=vjp)
    implements(function)(lambda a, axis=None, keepdims=False: primitive(a, axis=axis, keepdims=keepdims))
    return primitive


max = _extremum(np.max)
min = _extremum(np.min)

constant(np.argmax, np.argmin, np.argsort, np.all, np.any, np.nonzero, np.count_nonzero, np.searchsorted)

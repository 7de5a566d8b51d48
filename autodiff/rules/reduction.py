"""Reductions along axes: sums, products, extrema, and their running versions."""

import math

import numpy as np

from autodiff.core import Traced, dtype_of, primal, shape_of
from autodiff.operands import as_operand, writes_out
from autodiff.registry import implements
from autodiff.rules.families import axes_of, constant, define, linear
from autodiff.transforms import rules_by_rerunning


def expand(g, shape, axis, keepdims):
    """A reduced array with its lost axes put back as axes of length 1, ready to broadcast over `shape`."""
    if keepdims or axis is None or len(shape_of(g)) == len(shape):
        return g
    return np.reshape(g, ones_at(shape, axis))


def ones_at(shape, axis):
    """A shape with length 1 at the given axes."""
    axes = axes_of(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def count(shape, axis):
    """How many entries are reduced to one."""
    return math.prod(shape) if axis is None else math.prod(shape[i] for i in axes_of(axis, len(shape)))


def axes_last(a, axis):
    """An array with the axes to be reduced joined into one, the last."""
    shape = shape_of(a)
    axes = axes_of(axis, len(shape))
    if axes == (len(shape) - 1,):
        return a
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    return np.reshape(np.transpose(a, kept + axes), (*(shape[i] for i in kept), count(shape, axis)))


def with_kept_axes(out, shape, axis, keepdims):
    """The result of reducing an array of this shape, with the reduced axes kept if asked for."""
    return np.reshape(out, ones_at(shape, axis)) if keepdims else out


def selected(a, where, neutral, dtype=None):
    """The entries to be reduced: the others are replaced by the neutral element of the reduction."""
    a = as_operand(a) if where is True else np.where(where, a, neutral)
    return a if dtype is None else a.astype(dtype)


def in_dtype_of(like, out):
    """A reduction keeps the dtype of its array, whatever that of an option such as `initial`."""
    return out if dtype_of(out) == dtype_of(like) else out.astype(dtype_of(like))


# -- sums --------------------------------------------------------------------------------------------------------------


def _filled(g, shape):
    """np.broadcast_to, which takes six times as long as filling a small array."""
    if type(g) is Traced or math.prod(shape) > 1000:
        return np.broadcast_to(g, shape)
    out = np.empty(shape, dtype_of(g))
    out[...] = g
    return out


_sum = linear(
    "sum",
    lambda x, axis=None, keepdims=False: np.add.reduce(x, axis, keepdims=keepdims),
    lambda g, x, axis=None, keepdims=False: _filled(expand(g, shape_of(x), axis, keepdims), shape_of(x)),
)


@implements(np.sum, np.add.reduce)
def sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True):
    if out is not None:
        raise writes_out(np.sum)
    total = _sum(selected(a, where, 0, dtype), axis=axis, keepdims=keepdims)
    return total if type(initial) is int and initial == 0 else in_dtype_of(total, total + initial)


def _running_transpose(g, x, axis):
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


_cumsum = linear("cumsum", lambda x, axis: np.cumsum(x, axis=axis), _running_transpose)


@implements(np.cumsum, np.add.accumulate)
def cumsum(a, axis=None, dtype=None, out=None):
    if out is not None:
        raise writes_out(np.cumsum)
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return _cumsum(a if dtype is None else a.astype(dtype), axis=axis)


# -- products, without division, so that zeros are allowed -------------------------------------------------------------


def _shifted(running, axis):
    """A running product that starts with 1 and lacks the last entry."""
    (axis,) = axes_of(axis, len(shape_of(running)))
    first = np.ones(ones_at(shape_of(running), axis), dtype_of(running))
    return np.concatenate([first, running[(slice(None),) * axis + (slice(-1),)]], axis=axis)


def products_of_others(x):
    """Along the last axis, the product of all entries but this one: of those before it and of those after it."""
    before, after = np.cumprod(x, axis=-1), np.flip(np.cumprod(np.flip(x, -1), axis=-1), -1)
    return _shifted(before, -1) * np.flip(_shifted(np.flip(after, -1), -1), -1)


_prod = define(
    "prod",
    lambda x: np.prod(x, axis=-1),
    jvp=lambda tangents, out, x: np.sum(tangents[0] * products_of_others(x), axis=-1),
    vjp=lambda needs, g, out, x: (g[..., None] * products_of_others(x),),
    reads=["args"],
)


@implements(np.prod, np.multiply.reduce)
def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True):
    if out is not None:
        raise writes_out(np.prod)
    a = selected(a, where, 1, dtype)
    if shape_of(a) == ():
        return a * initial
    product = with_kept_axes(_prod(axes_last(a, axis)), shape_of(a), axis, keepdims)
    return product if type(initial) is int and initial == 1 else in_dtype_of(product, product * initial)


def _running_product(x):
    """x_0, x_0 x_1, x_0 x_1 x_2... along the first axis by doubling: ten multiplications for a thousand entries."""
    step = 1
    while step < shape_of(x)[0]:
        x = np.concatenate([x[:step], x[step:] * x[:-step]])
        step *= 2
    return x


_cumprod_jvp, _cumprod_vjp = rules_by_rerunning(_running_product)
_cumprod = define("cumprod", lambda x: np.cumprod(x, axis=0), jvp=_cumprod_jvp, vjp=_cumprod_vjp, reads=["args"])


@implements(np.cumprod, np.multiply.accumulate)
def cumprod(a, axis=None, dtype=None, out=None):
    if out is not None:
        raise writes_out(np.cumprod)
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return np.moveaxis(_cumprod(np.moveaxis(a if dtype is None else a.astype(dtype), axis, 0)), 0, axis)


def _with_initial(function, first):
    """The functions of the array standard: they can put an initial 0 or 1 in front."""

    def handler(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        axis = 0 if axis is None else axis
        if include_initial:
            x = np.concatenate([np.full(ones_at(shape_of(x), axis), first, dtype_of(x)), x], axis=axis)
        return function(x, axis=axis, dtype=dtype)

    handler.__name__ = f"{function.__name__} with initial {first}"
    return handler


implements(getattr(np, "cumulative_sum", None))(_with_initial(cumsum, 0))
implements(getattr(np, "cumulative_prod", None))(_with_initial(cumprod, 1))


# -- extrema: ties share the derivative equally; and their smooth version, log sum exp ---------------------------------


def _tie_share(out, x, axis, keepdims):
    ties = primal(x) == expand(primal(out), shape_of(x), axis, keepdims)
    return ties / np.sum(ties, axis=axis, keepdims=True, dtype=dtype_of(x))


def _soft_share(out, x, axis, keepdims):
    out = expand(out, shape_of(x), axis, keepdims)
    finite = np.isfinite(out)
    if np.all(finite):
        return np.exp(x - out)
    soft = np.exp(np.where(finite, x, 0.0) - np.where(finite, out, 0.0))
    return np.where(finite, soft, _tie_share(out, x, axis, True))


def _by_share(name, reduce, share):
    """A reduction whose derivative by each entry is that entry's share of the whole."""

    def jvp(tangents, out, x, axis=None, keepdims=False):
        return np.sum(tangents[0] * share(out, x, axis, keepdims), axis=axis, keepdims=keepdims)

    def vjp(needs, g, out, x, axis=None, keepdims=False):
        return (expand(g, shape_of(x), axis, keepdims) * share(out, x, axis, keepdims),)

    return define(name, lambda x, axis=None, keepdims=False: reduce(x, axis=axis, keepdims=keepdims), jvp=jvp, vjp=vjp)


_max, _min = _by_share("max", np.max, _tie_share), _by_share("min", np.min, _tie_share)
_logsumexp = _by_share("logaddexp.reduce", np.logaddexp.reduce, _soft_share)


@implements(np.max, np.amax, np.maximum.reduce)
def max(a, axis=None, out=None, keepdims=False, initial=None, where=True):
    if out is not None:
        raise writes_out(np.max)
    largest = _max(selected(a, where, -math.inf), axis=axis, keepdims=keepdims)
    return largest if initial is None else in_dtype_of(largest, np.maximum(largest, initial))


@implements(np.min, np.amin, np.minimum.reduce)
def min(a, axis=None, out=None, keepdims=False, initial=None, where=True):
    if out is not None:
        raise writes_out(np.min)
    smallest = _min(selected(a, where, math.inf), axis=axis, keepdims=keepdims)
    return smallest if initial is None else in_dtype_of(smallest, np.minimum(smallest, initial))


@implements(np.logaddexp.reduce)
def logaddexp_reduce(a, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True):
    if out is not None:
        raise writes_out(np.logaddexp.reduce)
    total = _logsumexp(selected(a, where, -math.inf, dtype), axis=axis, keepdims=keepdims)
    return total if initial is None else in_dtype_of(total, np.logaddexp(total, initial))


@implements(np.ptp)
def ptp(a, axis=None, out=None, keepdims=False):
    if out is not None:
        raise writes_out(np.ptp)
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


constant(
    np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.argwhere, np.flatnonzero,
    np.lexsort, np.all, np.any, np.nonzero, np.count_nonzero, np.searchsorted, np.digitize,
)  # fmt: skip

"""Means, variances and quantiles: compositions of sums, extrema and sorting, and so differentiable to any order."""

import math

import numpy as np

from autodiff.core import DerivativeError, dtype_of, primal, shape_of
from autodiff.operands import as_operand, writes_out
from autodiff.registry import implements
from autodiff.rules import reduction
from autodiff.rules.families import axes_of
from autodiff.rules.reduction import axes_last, count, ones_at, with_kept_axes


def _number(a, axis, where, keepdims):
    """How many entries are averaged; with a mask, one count for each result."""
    if where is True:
        return count(shape_of(a), axis)
    return np.sum(np.broadcast_to(where, shape_of(a)), axis=axis, keepdims=keepdims, dtype=dtype_of(a))


def root(x):
    """The square root with derivative 0 at 0: the convention for norms and standard deviations of zero."""
    zero = primal(x) == 0
    return np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, x)))


@implements(np.mean)
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    if out is not None:
        raise writes_out(np.mean)
    total = reduction.sum(a, axis, dtype, keepdims=keepdims, where=where)  # directly: np.sum would dispatch once more
    return total / _number(as_operand(a), axis, where, keepdims)


@implements(np.var)
def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None, correction=None):
    if out is not None:
        raise writes_out(np.var)
    a = as_operand(a) if dtype is None else a.astype(dtype)
    centre = np.mean(a, axis=axis, keepdims=True, where=where) if mean is None else mean
    squares = np.sum((a - centre) ** 2, axis=axis, keepdims=keepdims, where=where)
    return squares / (_number(a, axis, where, keepdims) - (ddof if correction is None else correction))


@implements(np.std)
def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None, correction=None):
    if out is not None:
        raise writes_out(np.std)
    return root(np.var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


@implements(np.average)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    a = as_operand(a)
    if weights is None:
        weights = np.ones(shape_of(a), dtype_of(a))
    weights = as_operand(weights)
    if shape_of(weights) != shape_of(a):  # one weight for each place along the axes
        axes = axes_of(axis, len(shape_of(a)))
        weights = np.transpose(weights, np.argsort(np.argsort(axes)))
        weights = np.reshape(weights, tuple(n if i in axes else 1 for i, n in enumerate(shape_of(a))))
        weights = np.broadcast_to(weights, shape_of(a))
    dtype = np.result_type(dtype_of(a), dtype_of(weights), *([np.float64] if dtype_of(a).kind in "iub" else []))
    total = np.sum(weights, axis=axis, keepdims=keepdims, dtype=dtype)
    value = np.sum(a * weights, axis=axis, keepdims=keepdims, dtype=dtype) / total
    return (value, total) if returned else value


# -- quantiles ---------------------------------------------------------------------------------------------------------

# Where the quantile q of n sorted values lies among them: at n q + a + q (1 - a - b) - 1 counted from 0.
_PLACES = {
    "linear": (1.0, 1.0), "weibull": (0.0, 0.0), "hazen": (0.5, 0.5), "interpolated_inverted_cdf": (0.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3), "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip


@implements(np.quantile)
def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    if out is not None:
        raise writes_out(np.quantile)
    if method not in _PLACES or weights is not None:
        raise DerivativeError(
            f"np.quantile under differentiation: no weights, and one of the methods {', '.join(_PLACES)}"
        )
    shape, (start, end) = shape_of(a), _PLACES[method]
    ordered = np.sort(axes_last(as_operand(a), axis), axis=-1)
    n = shape_of(ordered)[-1]
    q = as_operand(q)
    if not np.all((primal(q) >= 0) & (primal(q) <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    place = np.clip(n * q + (start + q * (1 - start - end)) - 1, 0, n - 1)
    below = np.floor(place)
    step = (place - below).astype(np.result_type(dtype_of(a), np.float32 if isinstance(q, float) else dtype_of(q)))
    low, high = ordered[..., below.astype(int)], ordered[..., np.minimum(below + 1, n - 1).astype(int)]
    value = low + (high - low) * step
    extra = len(shape_of(q))
    value = np.moveaxis(value, tuple(range(-extra, 0)), tuple(range(extra))) if extra else value
    return np.reshape(value, shape_of(q) + ones_at(shape, axis)) if keepdims else value


@implements(np.percentile)
def percentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    if out is not None:
        raise writes_out(np.percentile)
    return np.quantile(as_operand(a), as_operand(q) / 100, axis=axis, method=method, keepdims=keepdims, weights=weights)


@implements(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    if out is not None:
        raise writes_out(np.median)
    ordered = np.sort(axes_last(as_operand(a), axis), axis=-1)
    n = shape_of(ordered)[-1]
    middle = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
    return with_kept_axes(middle, shape_of(a), axis, keepdims)


# -- ignoring NaN -----------------------------------------------------------------------------------------------------


def _ignoring_nan(function, neutral):
    """A reduction with NaN replaced by its neutral element."""

    def handler(a, *args, **kwargs):
        return function(np.where(np.isnan(a), neutral, a), *args, **kwargs)

    handler.__name__ = function.__name__
    return handler


implements(np.nansum)(_ignoring_nan(np.sum, 0.0))
implements(np.nanprod)(_ignoring_nan(np.prod, 1.0))
implements(np.nancumsum)(_ignoring_nan(np.cumsum, 0.0))
implements(np.nancumprod)(_ignoring_nan(np.cumprod, 1.0))
implements(np.nanmax)(_ignoring_nan(np.max, -math.inf))
implements(np.nanmin)(_ignoring_nan(np.min, math.inf))


def _of_numbers_only(function):
    """A statistic that takes a mask, here of the entries that are not NaN; NaN is replaced too, as 0 NaN is NaN."""

    def handler(a, *args, where=True, **kwargs):
        present = ~np.isnan(a) & where
        return function(np.where(present, a, 0.0), *args, where=present, **kwargs)

    handler.__name__ = function.__name__
    return handler


implements(np.nanmean)(_of_numbers_only(np.mean))
implements(np.nanvar)(_of_numbers_only(np.var))
implements(np.nanstd)(_of_numbers_only(np.std))


# -- covariance --------------------------------------------------------------------------------------------------------


@implements(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    if fweights is not None or aweights is not None:
        raise DerivativeError("np.cov under differentiation takes no weights")
    x = _variables(m, rowvar) if y is None else np.concatenate([_variables(m, rowvar), _variables(y, rowvar)])
    x = x.astype(np.result_type(dtype_of(x), np.float64) if dtype is None else dtype)  # as np.cov does
    x = x - np.mean(x, axis=1, keepdims=True)
    return np.squeeze(x @ x.T / (shape_of(x)[1] - (int(not bias) if ddof is None else ddof)))


def _variables(m, rowvar):
    """One variable per row."""
    x = np.atleast_2d(m)
    return x if rowvar or shape_of(x)[0] == 1 else x.T


@implements(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    c = np.cov(x, y, rowvar, dtype=dtype)
    if shape_of(c) == ():
        return c / c
    deviation = np.sqrt(np.diagonal(c))
    return c / np.outer(deviation, deviation)

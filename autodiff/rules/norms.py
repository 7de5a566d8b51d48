"""Norms: compositions of sums, extrema and singular values, with derivative 0 where a norm of zero has no slope."""

import numpy as np

from autodiff.core import Traced, primal, shape_of
from autodiff.operands import as_operand
from autodiff.registry import implements
from autodiff.rules.reduction import in_dtype_of, ones_at
from autodiff.rules.statistics import root


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    x = as_operand(x)
    ndim = len(shape_of(x))
    if axis is None and ord is None:
        out = root(np.sum(x * x))
        return np.reshape(out, (1,) * ndim) if keepdims else out
    axes = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return np.linalg.vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError("Improper number of dimensions to norm.")
    out = _matrix_norm(np.moveaxis(x, axes, (-2, -1)), "fro" if ord is None else ord)
    return np.reshape(out, ones_at(shape_of(x), axes)) if keepdims else out


@implements(np.linalg.vector_norm)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """(sum |x|^p)^(1/p) and its limits; the number of nonzero entries for p = 0."""
    if type(ord) is Traced:  # none of the short forms below has a derivative by the order
        return in_dtype_of(x, _general_norm(x, ord, axis, keepdims))
    if ord == 2:
        return root(np.sum(x * x, axis=axis, keepdims=keepdims))
    size = np.abs(x)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(primal(x) != 0, axis=axis, keepdims=keepdims, dtype=primal(x).dtype)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    return _general_norm(x, ord, axis, keepdims)


def _general_norm(x, ord, axis, keepdims):
    size, zero = np.abs(x), primal(x) == 0 if ord > 0 else False
    total = np.sum(np.where(zero, 0.0, np.where(zero, 1.0, size) ** ord), axis=axis, keepdims=keepdims)
    none = primal(total) == 0
    return np.where(none, 0.0, np.where(none, 1.0, total) ** (1 / ord))


@implements(np.linalg.matrix_norm)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    out = _matrix_norm(x, ord)
    return out[..., None, None] if keepdims else out


def _matrix_norm(x, ord):
    """Of the last two axes: sums over columns or rows, or a function of the singular values."""
    if ord in ("f", "fro"):
        return root(np.sum(x * x, axis=(-2, -1)))
    if ord == "nuc":
        return np.sum(np.linalg.svdvals(x), axis=-1)
    extreme = np.max if ord > 0 else np.min
    if abs(ord) == 2:
        return extreme(np.linalg.svdvals(x), axis=-1)
    if abs(ord) in (1, np.inf):
        return extreme(np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1), axis=-1)
    raise ValueError("Invalid norm order for matrices.")


@implements(np.linalg.cond)
def cond(x, p=None):
    if p in (None, 2, -2):
        values = np.linalg.svdvals(x)
        return values[..., 0] / values[..., -1] if p != -2 else values[..., -1] / values[..., 0]
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, axis=(-2, -1))

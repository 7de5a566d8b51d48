"""The helpers of numerical calculus: differences, sums of areas, interpolation, polynomials.

As everywhere, a result has the dtype that NumPy gives it: float64 from np.interp and the polynomials, whatever goes in.
"""

import numpy as np

from autodiff.core import DerivativeError, dtype_of, primal, shape_of
from autodiff.operands import as_operand
from autodiff.registry import implements
from autodiff.rules.families import axes_of


def _cut(x, axis, start, stop=None):
    """x[start:stop] along an axis."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


# -- differences and areas ---------------------------------------------------------------------------------------------


@implements(np.diff)
def diff(a, n=1, axis=-1, prepend=None, append=None):
    a = as_operand(a)
    (axis,) = axes_of(axis, len(shape_of(a)))
    ends = [_as_slab(a, axis, end) for end in (prepend, append)]
    parts = [part for part in (ends[0], a, ends[1]) if part is not None]
    a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
    for _ in range(n):
        a = _cut(a, axis, 1) - _cut(a, axis, None, -1)
    return a


def _as_slab(a, axis, end):
    """A scalar given to prepend or append, as one slice of the array."""
    if end is None or shape_of(end) != ():
        return end
    shape = shape_of(a)
    return np.broadcast_to(as_operand(end), shape[:axis] + (1,) + shape[axis + 1 :])


@implements(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None):
    dtype = dtype_of(ary)  # of the result, whatever the ends have
    ends = [[] if end is None else [np.ravel(end).astype(dtype)] for end in (to_begin, to_end)]
    return np.concatenate([*ends[0], np.diff(np.ravel(ary)), *ends[1]])


@implements(np.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = as_operand(y)
    (axis,) = axes_of(axis, len(shape_of(y)))
    heights = (_cut(y, axis, 1) + _cut(y, axis, None, -1)) / 2
    if x is None:
        return np.sum(heights * dx, axis=axis)
    widths = np.diff(x, axis=axis if len(shape_of(x)) > 1 else -1)
    if len(shape_of(widths)) == 1:
        widths = np.reshape(widths, (-1,) + (1,) * (len(shape_of(y)) - 1 - axis))
    return np.sum(heights * widths, axis=axis)


@implements(np.gradient)
def gradient(f, *varargs, axis=None, edge_order=1):
    """Central differences inside, one-sided differences of the given order at the two ends."""
    f = as_operand(f)
    axes = axes_of(axis, len(shape_of(f)))
    spacings = list(varargs) * len(axes) if len(varargs) == 1 else list(varargs) or [1.0] * len(axes)
    parts = [_slope(f, as_operand(h), a, edge_order) for h, a in zip(spacings, axes, strict=True)]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _slope(f, h, axis, edge_order):
    n, f = shape_of(f)[axis], np.moveaxis(f, axis, -1)
    steps = np.diff(h) if shape_of(h) != () else h * np.ones(n - 1, dtype_of(f))
    a, b = steps[:-1], steps[1:]
    inside = -b / (a * (a + b)) * f[..., :-2] + (b - a) / (a * b) * f[..., 1:-1] + a / (b * (a + b)) * f[..., 2:]
    ends = []
    for f0, f1, f2, first, second in (
        (f[..., 0], f[..., 1], f[..., min(2, n - 1)], steps[0], steps[min(1, n - 2)]),
        (f[..., -1], f[..., -2], f[..., max(-3, -n)], -steps[-1], -steps[max(-2, 1 - n)]),
    ):
        if edge_order == 1:
            ends.append((f1 - f0) / first)
        else:
            whole = first + second
            weights = -(first + whole) / (first * whole), whole / (first * second), -first / (second * whole)
            ends.append(weights[0] * f0 + weights[1] * f1 + weights[2] * f2)
    slopes = np.concatenate([ends[0][..., None], inside, ends[1][..., None]], axis=-1)
    return np.moveaxis(slopes.astype(dtype_of(f)) if dtype_of(f).kind == "f" else slopes, -1, axis)


# -- interpolation and spacing -----------------------------------------------------------------------------------------


@implements(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None):
    """Piecewise linear, so differentiable in x, xp and fp; at a knot the slope is that of the piece to its right."""
    x, xp, fp = as_operand(x), as_operand(xp), as_operand(fp)
    if period is not None:
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    piece = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(shape_of(xp)[0] - 2, 0))
    after = np.minimum(piece + 1, shape_of(xp)[0] - 1)
    width = xp[after] - xp[piece]
    share = (x - xp[piece]) / np.where(width == 0, 1.0, width)
    y = fp[piece] + (fp[after] - fp[piece]) * share
    y = np.where(x < xp[0], fp[0] if left is None else left, y)
    return np.where(x > xp[-1], fp[-1] if right is None else right, y).astype(float)


@implements(np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    start, stop = as_operand(start), as_operand(stop)
    steps = max(num - 1 if endpoint else num, 1)
    step = (stop - start) / steps
    number = np.arange(num, dtype=dtype_of(step)).reshape((-1,) + (1,) * len(shape_of(step)))
    points = np.moveaxis(start + number * step, 0, axis)
    points = points if dtype is None else points.astype(dtype)
    return (points, step) if retstep else points


@implements(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    points = base ** np.linspace(start, stop, num, endpoint, axis=axis)
    return points if dtype is None else points.astype(dtype)


@implements(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    if np.any(primal(start) <= 0) or np.any(primal(stop) <= 0):
        raise DerivativeError("np.geomspace under differentiation takes positive ends")
    points = np.exp(np.linspace(np.log(start), np.log(stop), num, endpoint, axis=axis))
    return points.astype(float if dtype is None else dtype)


# -- polynomials, highest power first ----------------------------------------------------------------------------------


@implements(np.polyval)
def polyval(p, x):
    value = np.zeros(shape_of(x), np.result_type(dtype_of(p), dtype_of(x)))
    for k in range(shape_of(p)[0]):
        value = value * as_operand(x) + p[k]
    return value


@implements(np.polyadd)
def polyadd(a1, a2):
    a1, a2 = np.atleast_1d(as_operand(a1), as_operand(a2))
    n = max(shape_of(a1)[0], shape_of(a2)[0])
    return np.pad(a1, (n - shape_of(a1)[0], 0)) + np.pad(a2, (n - shape_of(a2)[0], 0))


@implements(np.polysub)
def polysub(a1, a2):
    return np.polyadd(a1, -np.atleast_1d(as_operand(a2)))


@implements(np.polymul)
def polymul(a1, a2):
    return np.convolve(*np.atleast_1d(as_operand(a1), as_operand(a2)))


@implements(np.polyder)
def polyder(p, m=1):
    for _ in range(m):
        p = p[:-1] * np.arange(shape_of(p)[0] - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p, m=1, k=None):
    constants = np.zeros(m, dtype_of(p)) if k is None else np.broadcast_to(as_operand(k), (m,))
    for i in range(m):
        p = np.concatenate([p / np.arange(shape_of(p)[0], 0, -1), constants[i : i + 1]])
    return p


@implements(np.vander)
def vander(x, N=None, increasing=False):
    n = shape_of(x)[0] if N is None else N
    powers = np.stack([as_operand(x) ** k for k in range(n)], axis=1).astype(np.result_type(dtype_of(x), int))
    return powers if increasing else np.flip(powers, 1)


@implements(np.polyfit)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    if full or cov:
        raise DerivativeError("np.polyfit under differentiation returns the coefficients alone: no full=, no cov=")
    x, y = as_operand(x) + 0.0, as_operand(y)  # integers become floats
    matrix = np.vander(x, deg + 1)
    if w is not None:
        w = as_operand(w)
        matrix, y = matrix * w[:, None], y * (w if len(shape_of(y)) == 1 else w[:, None])
    scale = np.sqrt(np.sum(matrix * matrix, axis=0))
    rcond = shape_of(x)[0] * np.finfo(dtype_of(x)).eps if rcond is None else rcond
    solution = np.linalg.lstsq(matrix / scale, y, rcond)[0]
    return (solution.T / scale).T

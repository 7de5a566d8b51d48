"""Gathering and rearranging entries: every kind of x[...], and all NumPy functions that only move entries.

Gathering and *scattering* (adding entries up where they came from) are each other's transpose. A function that only
moves, repeats or drops entries needs no rule of its own: applied to the positions 1, 2, 3... instead of the values, it
shows where every entry came from, with 0 for those it filled in.
"""

import inspect
import math

import numpy as np

from autodiff.core import DerivativeError, Traced, dtype_of, primal, shape_of, size_of
from autodiff.operands import as_operand, has_traced, strip, writes_out
from autodiff.registry import OPERATORS, implements
from autodiff.rules.families import axes_of, define, linear


def _takes_once(index):
    """Whether no entry can be taken twice, so that scattering is an assignment: slices, integers and one mask."""
    masks = 0
    for part in index if type(index) is tuple else (index,):
        if part is None or part is Ellipsis or isinstance(part, slice | int | np.integer):
            continue
        if not (isinstance(part, np.ndarray) and part.dtype == bool):
            return False
        masks += 1
    return masks <= 1


def _scatter_value(g, shape, index):
    if _takes_once(index):
        out = np.zeros(shape, dtype_of(g))
        out[index] = g
        return out
    size = math.prod(shape)
    taken = np.arange(size).reshape(shape)[index]
    g = np.broadcast_to(g, taken.shape)
    return np.bincount(taken.ravel(), g.ravel(), size).astype(dtype_of(g)).reshape(shape)


def _gathered(g, x, shape, index):
    return take_at(g, index=index)


scatter = linear("scatter", _scatter_value, _gathered)
take_at = linear("getitem", lambda x, index: x[index], lambda g, x, index: scatter(g, shape=shape_of(x), index=index))
OPERATORS.getitem = take_at


# -- functions that only move entries ----------------------------------------------------------------------------------


def movement(*functions):
    """Register NumPy functions f(array, options...) whose every output entry is an entry of the array, or 0."""
    for function in functions:
        implements(function)(_mover(function))


def _mover(function):
    first = next(iter(inspect.signature(function).parameters))

    def transpose(g, x, args, kwargs):
        size = size_of(x)
        origin = function(np.arange(1, size + 1).reshape(shape_of(x)), *args, **kwargs)
        return np.reshape(scatter(g, shape=(size + 1,), index=np.asarray(origin))[1:], shape_of(x))

    primitive = linear(function.__name__, lambda x, args, kwargs: function(x, *args, **kwargs), transpose)

    def handler(*args, **kwargs):
        x, options = (args[0], args[1:]) if args else (kwargs.pop(first), ())
        if has_traced(options) or has_traced(kwargs):
            raise DerivativeError(f"np.{function.__name__} has a derivative by its array only, not by its options")
        return primitive(as_operand(x), args=options, kwargs=kwargs)

    handler.__name__ = function.__name__
    return handler


movement(np.tile, np.repeat, np.diag, np.diagflat, np.diagonal, np.linalg.diagonal, np.delete, np.resize)


def moved_together(function, arrays):
    """function(arrays) for a function that only moves the entries of several arrays into one."""
    starts = np.cumsum([0] + [size_of(a) for a in arrays])
    positions = [
        np.arange(start, start + size_of(a)).reshape(shape_of(a)) for start, a in zip(starts[:-1], arrays, strict=True)
    ]
    return np.concatenate([np.ravel(a) for a in arrays])[function(*positions)]


@implements(np.insert)
def insert(arr, obj, values, axis=None):
    arr, values = as_operand(arr), as_operand(values)
    values = values.astype(dtype_of(arr)) if hasattr(values, "astype") else np.asarray(values, dtype_of(arr))
    return moved_together(lambda a, v: np.insert(a, obj, v, axis), [arr, values])


@implements(np.pad)
def pad(array, pad_width, mode="constant", **options):
    if mode not in _PADDINGS or options.get("reflect_type", "even") != "even":
        raise DerivativeError(
            f"np.pad under differentiation takes the modes {', '.join(_PADDINGS)}: {mode!r} {options}"
        )
    padded = _pad(array, pad_width, mode, **{k: v for k, v in options.items() if k != "constant_values"})
    fill, nothing = options.get("constant_values", 0), np.zeros(shape_of(array), dtype_of(array))
    if type(fill) is Traced:
        return padded + fill.astype(dtype_of(array)) * np.pad(nothing, pad_width, constant_values=1)
    return padded if np.all(np.equal(fill, 0)) else padded + np.pad(nothing, pad_width, constant_values=fill)


_PADDINGS = ("constant", "edge", "reflect", "symmetric", "wrap")
_pad = _mover(np.pad)


# -- taking by other means ---------------------------------------------------------------------------------------------


@implements(np.take)
def take(a, indices, axis=None, out=None, mode="raise"):
    if out is not None:
        raise writes_out(np.take)
    if axis is None:
        a, axis = np.ravel(a), 0
    (axis,) = axes_of(axis, len(shape_of(a)))
    indices = np.asarray(primal(indices))
    if mode != "raise":
        n = shape_of(a)[axis]
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    return as_operand(a)[(slice(None),) * axis + (indices,)]


@implements(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    if axis is None:
        arr, axis = np.ravel(arr), 0
    (axis,) = axes_of(axis, len(shape_of(arr)))
    ndim = len(shape_of(indices))
    # Open grids over the other axes; where arr or indices has length 1 there, it is broadcast.
    lengths = np.broadcast_shapes(*(s[:axis] + (1,) + s[axis + 1 :] for s in (shape_of(arr), shape_of(indices))))
    arr = np.broadcast_to(arr, lengths[:axis] + shape_of(arr)[axis : axis + 1] + lengths[axis + 1 :])
    index = [np.arange(n).reshape((-1,) + (1,) * (ndim - 1 - i)) for i, n in enumerate(lengths)]
    index[axis] = primal(indices)
    return arr[tuple(index)]


@implements(np.compress)
def compress(condition, a, axis=None, out=None):
    if out is not None:
        raise writes_out(np.compress)
    return np.take(a, np.flatnonzero(primal(condition)), axis=axis)


@implements(np.extract)
def extract(condition, arr):
    return np.take(arr, np.flatnonzero(primal(condition)))


@implements(np.sort)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argsort(primal(a), axis=axis, kind=kind or "stable"), axis)


@implements(np.partition)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argpartition(primal(a), primal(kth), axis=axis, kind=kind), axis)


@implements(np.unique)
def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, **options):
    found = np.unique(primal(ar), True, return_inverse, return_counts, axis, **options)
    values = np.take(ar, found[1], axis=axis)
    rest = found[1:] if return_index else found[2:]
    return (values, *rest) if rest else values


# -- choosing between arrays -------------------------------------------------------------------------------------------


@implements(np.select)
def select(condlist, choicelist, default=0):
    out = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        out = np.where(condition, choice, out)
    return out


@implements(np.choose)
def choose(a, choices, out=None, mode="raise"):
    if out is not None:
        raise writes_out(np.choose)
    choices = np.stack(np.broadcast_arrays(*choices)) if isinstance(choices, list | tuple) else choices
    shape = np.broadcast_shapes(shape_of(a), shape_of(choices)[1:])
    choices = np.broadcast_to(choices, shape_of(choices)[:1] + shape)
    places = np.broadcast_to(primal(a), shape)
    if mode != "raise":
        n = len(choices)
        places = places % n if mode == "wrap" else np.clip(places, 0, n - 1)
    return np.take_along_axis(choices, places[None], axis=0)[0]


@implements(np.piecewise)
def piecewise(x, condlist, funclist, *args, **kw):
    single = not isinstance(condlist, list | tuple) or not isinstance(condlist[0], list | tuple | np.ndarray)
    conditions = [np.asarray(c) for c in strip([condlist] if single else condlist)]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    out = np.zeros(shape_of(x), dtype_of(x))
    for condition, function in zip(conditions, funclist, strict=True):
        piece = function(x[condition], *args, **kw) if callable(function) else function
        out = at(out)[condition].set(piece)
    return out


@implements(np.bincount)
def bincount(x, weights=None, minlength=0):
    places = np.asarray(primal(x))
    if weights is None:
        return np.bincount(places, minlength=minlength)
    weights = as_operand(weights).astype(float)  # as np.bincount does
    return scatter(weights, shape=(max(minlength, int(places.max(initial=-1)) + 1),), index=places)


# -- functional updates ------------------------------------------------------------------------------------------------


class at:
    """Functional assignment: `at(x)[index].set(v)` is a new array, x with `x[index] = v`.

    `.add(v)` and `.multiply(v)` combine v with the entry. Any NumPy index is allowed; an entry that occurs twice gets
    the last value set, all values added, or all factors. Differentiable in x and in v.

    >>> at(np.zeros(3))[1:].set(5.0)
    array([0., 5., 5.])
    """

    def __init__(self, x):
        self.x = as_operand(x)

    def __getitem__(self, index):
        return _Place(self.x, strip(index))


class _Place:
    """The entries of an array at an index, to be replaced."""

    def __init__(self, x, index):
        self.x, self.index = x, index
        self.shape = np.broadcast_to(False, shape_of(x))[index].shape

    def set(self, v):
        return _set(self.x, self._values(v), index=self.index)

    def add(self, v):
        return self.x + scatter(self._values(v), shape=shape_of(self.x), index=self.index)

    def multiply(self, v):
        out, v = np.ravel(self.x), np.ravel(self._values(v))
        places = np.arange(size_of(self.x)).reshape(shape_of(self.x))[self.index].ravel()
        for once in _rounds(places):
            out = at(out)[places[once]].set(out[places[once]] * v[once])
        return np.reshape(out, shape_of(self.x))

    def _values(self, v):
        """v in the shape of the place, and as in `x[index] = v` in the dtype of x, if that can hold it."""
        v = np.broadcast_to(as_operand(v), self.shape)
        return v.astype(dtype_of(self.x)) if dtype_of(self.x).kind == "f" else v


def _rounds(places):
    """Split positions that may repeat into rounds without repetition: all first occurrences, all second ones, ..."""
    left = np.arange(places.size)
    while left.size:
        _, first = np.unique(places[left], return_index=True)
        yield left[first]
        left = np.delete(left, first)


def _set_value(x, v, index):
    out = np.array(x, np.result_type(x, v))
    out[index] = v
    return out


def _set_cotangents(needs, g, out, x, v, index):
    to_x = _set(g, np.zeros(shape_of(v), dtype_of(g)), index=index) if needs[0] else None
    if not needs[1]:
        return to_x, None
    to_v = take_at(g, index=index)
    if not _takes_once(index):  # of several values set to one entry, only the last is seen
        order = np.arange(size_of(v)).reshape(shape_of(v))
        last = _set_value(np.zeros(shape_of(x), int), order, index)[index]
        to_v = np.where(last == order, to_v, 0.0)
    return to_x, to_v


def _set_tangent(tangents, out, x, v, index):
    tx, tv = (np.zeros(shape_of(a), dtype_of(a)) if t is None else t for t, a in zip(tangents, (x, v), strict=True))
    return _set(tx, tv, index=index)


_set = define("at.set", _set_value, jvp=_set_tangent, vjp=_set_cotangents, reads=())

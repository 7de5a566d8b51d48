"""The values that differentiation handles: traced ones, plain ones, and what is left of those no longer needed.

Here are also the questions that are asked of any value, traced or not: its primal, its shape and its dtype.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autodiff.core import Trace


class DerivativeError(TypeError):
    """A function was written in a way that cannot be differentiated; the message says what to write instead."""


class Traced:
    """A value under differentiation: what an array is replaced by inside a differentiated function.

    It behaves as its primal does in NumPy calls, operators and methods (see `numpy_protocol`).
    `handle` belongs to its trace, the `owner`: the slot on a reverse tape, or the tangent in forward mode.
    """

    __slots__ = ("handle", "owner", "primal")

    def __init__(self, primal: Any, owner: Trace, handle: Any):
        self.primal = primal
        self.owner = owner
        self.handle = handle


class Form:
    """What the tape keeps of an array whose numbers no rule will read: its shape and dtype."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: np.ndarray):
        self.shape = array.shape
        self.dtype = array.dtype

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape, dtype=int)))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise DerivativeError("a derivative rule reads numbers that its primitive, by its `reads`, said it does not")


def primal(value: Any) -> Any:
    """The plain value under any number of traces; constants pass through."""
    while type(value) is Traced:
        value = value.primal
    return value


def is_traced(values: Iterable) -> bool:
    return any(type(value) is Traced for value in values)


def shape_of(value: Any) -> tuple[int, ...]:
    while type(value) is Traced:
        value = value.primal
    shape = getattr(value, "shape", None)
    return np.shape(value) if shape is None else shape


def size_of(value: Any) -> int:
    return math.prod(shape_of(value))


def dtype_of(value: Any) -> np.dtype:
    while type(value) is Traced:
        value = value.primal
    dtype = getattr(value, "dtype", None)
    return np.asarray(value).dtype if dtype is None else dtype


def zeros_like(value: Any) -> Any:
    """Zeros of the shape and dtype of a value, never traced; a NumPy number, not a 0-d array, for a number."""
    shape, dtype = shape_of(value), dtype_of(value)
    return np.zeros(shape, dtype) if shape else dtype.type(0)

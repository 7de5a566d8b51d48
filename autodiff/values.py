"""The values that differentiation handles: traced ones, plain ones, and the shape and dtype left of those not kept.

Here too are the questions asked of any value, traced or not: its primal, its shape and its dtype.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from autodiff.array_methods import ArrayMethods
from autodiff.errors import DerivativeError


class Owner(Protocol):
    """What a traced value knows of its trace; `autodiff.core.Trace` is the class."""

    name: str
    level: int
    closed: bool

    def process(self, primitive: Any, args: Sequence, params: dict) -> Any: ...


class Traced(ArrayMethods):
    """A value under differentiation: what replaces an array inside a differentiated function.

    `primal` is the plain value, or a traced value of an outer trace. `handle` belongs to the trace that is the `owner`:
    the slot on a reverse tape, or the tangent in forward mode.
    """

    __slots__ = ("handle", "owner", "primal")

    def __init__(self, primal: Any, owner: Owner, handle: Any):
        self.primal = primal
        self.owner = owner
        self.handle = handle


class AbstractArray:
    """The shape and dtype of an array: what the tape keeps of it if no rule reads its values."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: np.ndarray):
        self.shape = array.shape
        self.dtype = array.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise DerivativeError("a derivative rule reads values that its primitive's `reads` leaves out")


def primal(value: Any) -> Any:
    """The plain value beneath all traces; constants pass through."""
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
    """Zeros of the shape and dtype of a value, never traced; a NumPy scalar, not a 0-d array, for a scalar."""
    shape, dtype = shape_of(value), dtype_of(value)
    return np.zeros(shape, dtype) if shape else dtype.type(0)

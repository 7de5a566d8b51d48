"""What operators are given: traced values, plain ones, and lists and tuples that hold either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from autodiff.errors import DerivativeError
from autodiff.registry import name_of


class Operand:
    """The root of `Traced`: a value with a primal, which may have one itself."""

    __slots__ = ()

    primal: Any


def innermost(value: Any) -> Any:
    """The plain value beneath all traces; constants pass through."""
    while isinstance(value, Operand):
        value = value.primal
    return value


def strip(value: Any) -> Any:
    """Replace traced values by their primals, inside lists, tuples and dicts too."""
    if isinstance(value, list | tuple):
        return type(value)([strip(member) for member in value])
    if isinstance(value, dict):
        return {key: strip(member) for key, member in value.items()}
    return innermost(value)


def has_traced(value: Any) -> bool:
    """Whether a traced value is hidden anywhere in an option."""
    if isinstance(value, dict):
        return any(has_traced(member) for member in value.values())
    if isinstance(value, list | tuple):
        return any(has_traced(member) for member in value)
    return isinstance(value, Operand)


_SEQUENCES = (list, tuple)


def as_operand(x: Any) -> Any:
    """An array argument as NumPy takes it: nested lists, of numbers or of traced values, become arrays."""
    return array(x) if isinstance(x, _SEQUENCES) else x


def array(nested: Any, dtype: DTypeLike | None = None) -> Any:
    """Like `np.array`, for nested lists or tuples that contain traced values.

    The members may be numbers and arrays, traced or plain, all of one shape. The result has the dtype that NumPy's
    promotion gives, or `dtype`; without any traced member it is `np.array(nested, dtype)`. Raises `ValueError` if the
    members of a level differ in shape.

    >>> from autodiff import grad
    >>> def rotation(angle):
    ...     c, s = np.cos(angle), np.sin(angle)
    ...     return array([[c, -s], [s, c]])
    >>> rotation(0.0)
    array([[ 1., -0.],
           [ 0.,  1.]])
    >>> float(grad(lambda angle: (rotation(angle) @ np.array([1.0, 2.0]))[1])(0.0))
    1.0
    """
    if not has_traced(nested):
        return np.array(nested, dtype)
    stacked: Any = nested if isinstance(nested, Operand) else np.stack([as_operand(member) for member in nested])
    return stacked if dtype is None else stacked.astype(dtype)


def writes_out(function: Callable) -> DerivativeError:
    """The error for `out=`."""
    return DerivativeError(
        f"{name_of(function)}(..., out=a), or an operator such as a += x, writes into the plain array a, which has no"
        " derivative; use the returned value instead: a = a + x"
    )

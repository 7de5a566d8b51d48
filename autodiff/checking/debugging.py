"""Finding the origin of a NaN or an infinity: which operator, on which line, in which direction of the pass."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from autodiff.core import TRACES, AbstractArray, ForwardTrace, Primitive, ReverseTrace, primal

_LIBRARIES = (os.path.dirname(os.path.dirname(__file__)) + os.sep, os.path.dirname(np.__file__) + os.sep)


@contextmanager
def debug_nans() -> Iterator[None]:
    """Within this context, every operation under differentiation is checked, and the first NaN or infinity raises.

    The `FloatingPointError` names the operator, the source line that called it, and whether its value, its tangent or
    the cotangent of one of its arguments is not finite. NumPy's own warnings are silenced meanwhile. The setting
    belongs to the current thread or task.

    >>> from autodiff import grad
    >>> with debug_nans():
    ...     grad(lambda x: np.sqrt(np.sum(x * x) - 1.0))(np.zeros(2))
    Traceback (most recent call last):
        ...
    FloatingPointError: the value of 'sqrt' is nan, called at <doctest autodiff.checking.debugging.debug_nans[1]>:2
    """
    token = TRACES.set((_CheckedReverseTrace, _CheckedForwardTrace))
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        TRACES.reset(token)


class _Checked(Primitive):
    """A primitive that checks all it computes."""

    def __init__(self, primitive: Primitive, place: str):
        self.inner, self.place = primitive, place
        super().__init__(primitive.name, primitive.impl, self._jvp, self._vjp, primitive.reads)

    def record(self, args: Sequence, params: dict) -> tuple[Any, Any]:
        out, saved = self.inner.record(args, params)
        self.check("the value", out)
        return out, saved

    def _jvp(self, tangents, out, *args, **params):
        self.check("the value", out)
        tangent = self.inner.jvp(tangents, out, *args, **params)
        self.check("the tangent", tangent)
        return tangent

    def _vjp(self, needs, g, saved, *args, **params):
        cotangents = self.inner.vjp(needs, g, saved, *args, **params)
        for i, cotangent in enumerate(cotangents):
            self.check(f"the cotangent for argument {i}", cotangent)
        return cotangents

    def check(self, what: str, value: Any) -> None:
        for member in value if isinstance(value, list | tuple) else (value,):
            if member is None or isinstance(member, AbstractArray):
                continue
            array = np.asarray(primal(member))
            if array.dtype.kind in "fc" and not np.all(np.isfinite(array)):
                index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                at = f" at index {index}" if index else ""
                raise FloatingPointError(f"{what} of {self.name!r} is {array[index]}{at}, called at {self.place}")


class _CheckedReverseTrace(ReverseTrace):
    __slots__ = ()

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        return super().process(_Checked(primitive, _caller()), args, params)


class _CheckedForwardTrace(ForwardTrace):
    __slots__ = ()

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        return super().process(_Checked(primitive, _caller()), args, params)


def _caller() -> str:
    """The innermost line outside this package and NumPy."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"

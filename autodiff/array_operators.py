"""What Python and NumPy do with a traced value by themselves: NumPy's two protocols, operators, indexing, conversions.

`np.exp(x)` on a traced x calls `x.__array_ufunc__`, `np.sum(x)` calls `x.__array_function__`; both look the function up
in the registry. Operators go to the registry directly, without NumPy's dispatch. Whatever would lose the derivative
silently (turning a traced value into a plain number or array, writing into an array) raises, and the message says what
to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, NoReturn, Self

import numpy as np

from autodiff.errors import DerivativeError
from autodiff.operands import Operand, as_operand, innermost, strip, writes_out
from autodiff.registry import OPERATORS, REGISTRY, handler_of, name_of

TO_NUMBER = (
    "a plain number would lose the derivative. Use the NumPy function (np.sin, not math.sin), autodiff.stop_gradient(x)"
    " for a constant, and for a[i] = x with a plain array a: a = autodiff.at(a)[i].set(x)"
)
_TO_ARRAY = (
    "a plain array would lose the derivative. Write autodiff.array([x, y]) for np.array([x, y]), x itself where an"
    " array is wanted, a @ x for a.dot(x), np.linspace for np.arange, autodiff.stop_gradient(x) for a constant, and"
    " for a[i] = x with a plain array a: a = autodiff.at(a)[i].set(x)"
)


class ArrayOperators(Operand):
    """What Python's syntax and NumPy's functions do with an array, for values under differentiation."""

    __slots__ = ()

    # -- NumPy's protocols ---------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            for x in inputs:
                if type(x) is list or type(x) is tuple:
                    inputs = tuple([as_operand(x) for x in inputs])
                    break
            handler = REGISTRY.get(ufunc) or handler_of(ufunc)
            return handler(*inputs) if type(handler) is FunctionType else handler.apply(inputs, {})
        if kwargs.pop("out", None) is not None:
            raise writes_out(ufunc)
        if method == "__call__":
            if type(handler_of(ufunc)) is FunctionType:
                return _call(ufunc, inputs, kwargs)
            raise DerivativeError(f"np.{ufunc.__name__} under differentiation takes no {', '.join(kwargs)}=")
        if method == "outer":
            if kwargs:
                raise DerivativeError(f"np.{ufunc.__name__}.outer under differentiation takes no {', '.join(kwargs)}=")
            x, y = (as_operand(x) for x in inputs)
            return ufunc(np.reshape(x, np.shape(x) + (1,) * np.ndim(y)), y)
        if method == "at":
            raise DerivativeError(
                f"np.{ufunc.__name__}.at writes into an array, which has no derivative; write"
                " autodiff.at(a)[index].add(v), or .set, or .multiply"
            )
        kwargs.setdefault("axis", 0)
        return _call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if kwargs.get("out") is not None:
            raise writes_out(function)
        return _call(function, args, kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise DerivativeError(f"np.array(...) of a value under differentiation: {_TO_ARRAY}")

    # -- arithmetic ----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.add.apply((self, other), {})

    def __radd__(self, other: Any) -> Self:
        return OPERATORS.add.apply((as_operand(other), self), {})

    def __sub__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.sub.apply((self, other), {})

    def __rsub__(self, other: Any) -> Self:
        return OPERATORS.sub.apply((as_operand(other), self), {})

    def __mul__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.mul.apply((self, other), {})

    def __rmul__(self, other: Any) -> Self:
        return OPERATORS.mul.apply((as_operand(other), self), {})

    def __truediv__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.truediv.apply((self, other), {})

    def __rtruediv__(self, other: Any) -> Self:
        return OPERATORS.truediv.apply((as_operand(other), self), {})

    def __pow__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.pow.apply((self, other), {})

    def __rpow__(self, other: Any) -> Self:
        return OPERATORS.pow.apply((as_operand(other), self), {})

    def __matmul__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.matmul.apply((self, other), {})

    def __rmatmul__(self, other: Any) -> Self:
        return OPERATORS.matmul.apply((as_operand(other), self), {})

    def __mod__(self, other: Any) -> Self:
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return OPERATORS.mod.apply((self, other), {})

    def __rmod__(self, other: Any) -> Self:
        return OPERATORS.mod.apply((as_operand(other), self), {})

    def __floordiv__(self, other: Any) -> Any:
        return np.floor_divide(*_plain_pair(self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(*reversed(_plain_pair(self, other)))

    def __divmod__(self, other: Any) -> tuple[Any, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Self]:
        return other // self, other % self

    def __neg__(self) -> Self:
        return OPERATORS.neg.apply((self,), {})

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return OPERATORS.abs.apply((self,), {})

    def __round__(self, ndigits: int = 0) -> Any:
        return np.round(innermost(self), ndigits)

    # -- comparisons: plain answers ------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return np.equal(*_plain_pair(self, other))

    def __ne__(self, other: object) -> Any:
        return np.not_equal(*_plain_pair(self, other))

    def __lt__(self, other: Any) -> Any:
        return np.less(*_plain_pair(self, other))

    def __le__(self, other: Any) -> Any:
        return np.less_equal(*_plain_pair(self, other))

    def __gt__(self, other: Any) -> Any:
        return np.greater(*_plain_pair(self, other))

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(*_plain_pair(self, other))

    __hash__ = object.__hash__

    # -- entries -------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Self:
        if type(index) is not int and type(index) is not slice:
            index = strip(index)
        return OPERATORS.getitem.apply((self,), {"index": index})

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        text = _index_text(index)
        raise DerivativeError(
            f"traced arrays are not changed in place: instead of x[{text}] = v write"
            f" x = autodiff.at(x)[{text}].set(v); there are .add(v) for += and .multiply(v) for *= too"
        )

    def __len__(self) -> int:
        return len(innermost(self))

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return innermost(value) in innermost(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict) -> Self:
        return self

    def __repr__(self) -> str:
        return f"Traced({innermost(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(innermost(self), spec) if spec else repr(self)

    # -- what would lose the derivative --------------------------------------------------------------------------------

    def __bool__(self) -> NoReturn:
        raise DerivativeError(
            "the truth of a value under differentiation: compare it with a number, as in x > 0, which gives a plain"
            " boolean"
        )

    def __float__(self) -> NoReturn:
        raise DerivativeError(f"float() of a value under differentiation: {TO_NUMBER}")

    def __int__(self) -> NoReturn:
        raise DerivativeError(f"int() of a value under differentiation: {TO_NUMBER}")

    def __index__(self) -> NoReturn:
        raise DerivativeError(f"an index from a value under differentiation: {TO_NUMBER}")

    def __complex__(self) -> NoReturn:
        raise DerivativeError(f"complex() of a value under differentiation: {TO_NUMBER}")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _plain_pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Both sides of a comparison, as plain values."""
    traced = type(x)
    while type(x) is traced:
        x = x.primal
    if type(y) is list or type(y) is tuple:
        y = as_operand(y)
    while type(y) is traced:
        y = y.primal
    return x, y


def _call(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    handler = REGISTRY.get(function) or handler_of(function)
    try:
        return handler(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # the call itself, not its body
            raise DerivativeError(f"{name_of(function)} under differentiation: {error}") from None
        raise


def _index_text(index: Any) -> str:
    """An index as it was written between the brackets."""
    if isinstance(index, tuple) and index:
        return ", ".join(_index_text(part) for part in index)
    if isinstance(index, slice):
        ends = ["" if end is None else _index_text(end) for end in (index.start, index.stop)]
        return ":".join(ends if index.step is None else [*ends, _index_text(index.step)])
    if index is Ellipsis:
        return "..."
    text = repr(index.tolist() if isinstance(index, np.ndarray | np.generic) else innermost(index))
    return text if len(text) < 40 else "index"

"""What makes a traced value an array: NumPy's two protocols, the operators, and the methods of `np.ndarray`.

`np.exp(x)` on a traced x calls `x.__array_ufunc__`, `np.sum(x)` calls `x.__array_function__`; both look the function up
in the registry. Operators and methods go to the registry directly, without NumPy's dispatch. Whatever would lose
the derivative silently (turning a traced value into a plain number or array, writing into an array) raises, and the
message says what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from autodiff.errors import DerivativeError
from autodiff.registry import NON_DIFFERENTIABLE, OPERATORS, REGISTRY, handler_of, name_of

Axis = int | Sequence[int] | None

_TO_NUMBER = (
    "a plain number would lose the derivative. Use the NumPy function (np.sin, not math.sin), autodiff.stop_gradient(x)"
    " for a constant, and for a[i] = x with a plain array a: a = autodiff.at(a)[i].set(x)"
)
_TO_ARRAY = (
    "a plain array would lose the derivative. Write autodiff.array([x, y]) for np.array([x, y]), x itself where an"
    " array is wanted, a @ x for a.dot(x), np.linspace for np.arange, autodiff.stop_gradient(x) for a constant, and"
    " for a[i] = x with a plain array a: a = autodiff.at(a)[i].set(x)"
)


class ArrayMethods:
    """The behaviour of an array, for values under differentiation; the base class of `Traced`.

    Everything gives what it gives for the primal, as a traced value where it has a derivative and as a plain one where
    it is piecewise constant (comparisons, `argmax`, `round`).
    """

    __slots__ = ()

    primal: Any

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
        return np.floor_divide(*_primals(self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(*reversed(_primals(self, other)))

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
        return np.round(_primal(self), ndigits)

    # -- comparisons: plain answers ------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return np.equal(*_primals(self, other))

    def __ne__(self, other: object) -> Any:
        return np.not_equal(*_primals(self, other))

    def __lt__(self, other: Any) -> Any:
        return np.less(*_primals(self, other))

    def __le__(self, other: Any) -> Any:
        return np.less_equal(*_primals(self, other))

    def __gt__(self, other: Any) -> Any:
        return np.greater(*_primals(self, other))

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(*_primals(self, other))

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
        return len(_primal(self))

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return _primal(value) in _primal(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict) -> Self:
        return self

    def __repr__(self) -> str:
        return f"Traced({_primal(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(_primal(self), spec) if spec else repr(self)

    # -- what would lose the derivative --------------------------------------------------------------------------------

    def __bool__(self) -> NoReturn:
        raise DerivativeError(
            "the truth of a value under differentiation: compare it with a number, as in x > 0, which gives a plain"
            " boolean"
        )

    def __float__(self) -> NoReturn:
        raise DerivativeError(f"float() of a value under differentiation: {_TO_NUMBER}")

    def __int__(self) -> NoReturn:
        raise DerivativeError(f"int() of a value under differentiation: {_TO_NUMBER}")

    def __index__(self) -> NoReturn:
        raise DerivativeError(f"an index from a value under differentiation: {_TO_NUMBER}")

    def __complex__(self) -> NoReturn:
        raise DerivativeError(f"complex() of a value under differentiation: {_TO_NUMBER}")

    def item(self, *args: Any) -> NoReturn:
        raise DerivativeError(f"x.item() of a value under differentiation: {_TO_NUMBER}")

    def tolist(self) -> NoReturn:
        raise DerivativeError(f"x.tolist() of a value under differentiation: {_TO_NUMBER}")

    def tobytes(self, *args: Any) -> NoReturn:
        raise DerivativeError(f"x.tobytes() of a value under differentiation: {_TO_NUMBER}")

    def sort(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _changes("sort", "np.sort(x) returns a sorted array")

    def partition(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _changes("partition", "np.partition(x, kth) returns a new array")

    def fill(self, value: Any) -> NoReturn:
        raise _changes("fill", "np.full_like(x, value) returns a new array")

    def put(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _changes("put", "write autodiff.at(x)[index].set(v)")

    def resize(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _changes("resize", "np.resize(x, shape) returns a new array")

    def setfield(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _changes("setfield", "write autodiff.at(x)[index].set(v)")

    # -- attributes ----------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(_primal(self))

    @property
    def dtype(self) -> np.dtype:
        plain = _primal(self)
        return plain.dtype if hasattr(plain, "dtype") else np.asarray(plain).dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def T(self) -> Self:
        return REGISTRY[np.transpose](self)

    @property
    def mT(self) -> Self:
        return REGISTRY[np.matrix_transpose](self)

    @property
    def real(self) -> Self:
        return self

    @property
    def imag(self) -> np.ndarray:
        return NON_DIFFERENTIABLE[np.imag](self)

    @property
    def flat(self) -> Self:
        return REGISTRY[np.ravel](self)

    # -- shape ---------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Self:
        return REGISTRY[np.reshape](self, shape[0] if len(shape) == 1 else shape or None, order)

    def transpose(self, *axes: Any) -> Self:
        return REGISTRY[np.transpose](self, axes[0] if len(axes) == 1 else axes or None)

    def ravel(self, order: str = "C") -> Self:
        return REGISTRY[np.ravel](self, order)

    def flatten(self, order: str = "C") -> Self:
        return REGISTRY[np.ravel](self, order)

    def squeeze(self, axis: Axis = None) -> Self:
        return REGISTRY[np.squeeze](self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        return REGISTRY[np.swapaxes](self, axis1, axis2)

    def astype(
        self, dtype: DTypeLike, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """To integers or booleans nothing has a derivative: the result is a constant."""
        kind = np.dtype(dtype).kind
        if kind == "f":
            return OPERATORS.astype.apply((self,), {"dtype": np.dtype(dtype)})
        if kind in "iub":
            return np.asarray(_primal(self)).astype(dtype)
        raise DerivativeError(f"astype to {np.dtype(dtype)}: only real floating-point values are differentiated")

    def copy(self, order: str = "C") -> Self:
        return self

    def conj(self) -> Self:
        return self

    def conjugate(self) -> Self:
        return self

    # -- taking entries ------------------------------------------------------------------------------------------------

    def take(self, indices: ArrayLike, axis: int | None = None, out: None = None, mode: str = "raise") -> Self:
        return REGISTRY[np.take](self, indices, axis, out, mode)

    def compress(self, condition: ArrayLike, axis: int | None = None, out: None = None) -> Self:
        return REGISTRY[np.compress](condition, self, axis, out)

    def choose(self, choices: Any, out: None = None, mode: str = "raise") -> Any:
        return REGISTRY[np.choose](self, choices, out, mode)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        return REGISTRY[np.diagonal](self, offset, axis1, axis2)

    def repeat(self, repeats: ArrayLike, axis: int | None = None) -> Self:
        return REGISTRY[np.repeat](self, repeats, axis)

    # -- reductions ----------------------------------------------------------------------------------------------------

    def sum(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = 0,
        where: Any = True,
    ) -> Self:
        return REGISTRY[np.sum](self, axis, dtype, out, keepdims, initial, where)

    def prod(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = 1,
        where: Any = True,
    ) -> Self:
        return REGISTRY[np.prod](self, axis, dtype, out, keepdims, initial, where)

    def mean(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: None = None,
        keepdims: bool = False,
        *,
        where: Any = True,
    ) -> Self:
        return REGISTRY[np.mean](self, axis, dtype, out, keepdims, where=where)

    def var(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: None = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        **options: Any,
    ) -> Self:
        return REGISTRY[np.var](self, axis, dtype, out, ddof, keepdims, where=where, **options)

    def std(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: None = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        **options: Any,
    ) -> Self:
        return REGISTRY[np.std](self, axis, dtype, out, ddof, keepdims, where=where, **options)

    def max(
        self, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Self:
        return REGISTRY[np.max](self, axis, out, keepdims, initial, where)

    def min(
        self, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Self:
        return REGISTRY[np.min](self, axis, out, keepdims, initial, where)

    def cumsum(self, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None) -> Self:
        return REGISTRY[np.cumsum](self, axis, dtype, out)

    def cumprod(self, axis: int | None = None, dtype: DTypeLike | None = None, out: None = None) -> Self:
        return REGISTRY[np.cumprod](self, axis, dtype, out)

    def trace(
        self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None, out: None = None
    ) -> Self:
        return REGISTRY[np.trace](self, offset, axis1, axis2, dtype, out)

    # -- other functions -----------------------------------------------------------------------------------------------

    def dot(self, b: Any, out: None = None) -> Self:
        return REGISTRY[np.dot](self, b, out)

    def clip(self, min: Any = None, max: Any = None, out: None = None) -> Self:
        return REGISTRY[np.clip](self, min, max, out)

    # -- piecewise constant: plain answers -----------------------------------------------------------------------------

    def round(self, decimals: int = 0) -> Any:
        return np.round(_primal(self), decimals)

    def all(self, *args: Any, **kwargs: Any) -> Any:
        return np.all(_primal(self), *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> Any:
        return np.any(_primal(self), *args, **kwargs)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return np.argmax(_primal(self), axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return np.argmin(_primal(self), axis, keepdims=keepdims)

    def argsort(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return np.argsort(_primal(self), *args, **kwargs)

    def argpartition(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return np.argpartition(_primal(self), *args, **kwargs)

    def nonzero(self) -> tuple[np.ndarray, ...]:
        return np.nonzero(_primal(self))

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        return np.searchsorted(*_primals(self, v), side=side, sorter=sorter)


# -- helpers -----------------------------------------------------------------------------------------------------------


def _primal(value: Any) -> Any:
    while isinstance(value, ArrayMethods):
        value = value.primal
    return value


def _primals(x: Any, y: Any) -> tuple[Any, Any]:
    """Both sides of a comparison, as plain values."""
    traced = type(x)
    while type(x) is traced:
        x = x.primal
    if type(y) is list or type(y) is tuple:
        y = as_operand(y)
    while type(y) is traced:
        y = y.primal
    return x, y


def strip(value: Any) -> Any:
    """Replace traced values by their primals, inside lists, tuples and dicts too."""
    if isinstance(value, list | tuple):
        return type(value)([strip(member) for member in value])
    if isinstance(value, dict):
        return {key: strip(member) for key, member in value.items()}
    return _primal(value)


def has_traced(value: Any) -> bool:
    """Whether a traced value is hidden anywhere in an option."""
    if isinstance(value, dict):
        return any(has_traced(member) for member in value.values())
    if isinstance(value, list | tuple):
        return any(has_traced(member) for member in value)
    return isinstance(value, ArrayMethods)


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
    if isinstance(nested, ArrayMethods):
        return nested if dtype is None else nested.astype(dtype)
    stacked = np.stack([as_operand(member) for member in nested])
    return stacked if dtype is None else stacked.astype(dtype)


def _call(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    handler = REGISTRY.get(function) or handler_of(function)
    try:
        return handler(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # the call itself, not its body
            raise DerivativeError(f"{name_of(function)} under differentiation: {error}") from None
        raise


def writes_out(function: Callable) -> DerivativeError:
    """The error for `out=`."""
    return DerivativeError(
        f"{name_of(function)}(..., out=a), or an operator such as a += x, writes into the plain array a, which has no"
        " derivative; use the returned value instead: a = a + x"
    )


def _changes(method: str, instead: str) -> DerivativeError:
    return DerivativeError(f"x.{method}() changes a value under differentiation: {instead}")


def _index_text(index: Any) -> str:
    """An index as it was written between the brackets."""
    if isinstance(index, tuple) and index:
        return ", ".join(_index_text(part) for part in index)
    if isinstance(index, slice):
        ends = ["" if end is None else _index_text(end) for end in (index.start, index.stop)]
        return ":".join(ends if index.step is None else [*ends, _index_text(index.step)])
    if index is Ellipsis:
        return "..."
    text = repr(index.tolist() if isinstance(index, np.ndarray | np.generic) else _primal(index))
    return text if len(text) < 40 else "index"

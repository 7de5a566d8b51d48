"""What makes a traced value an array: the attributes and methods of `np.ndarray`, each by hand.

They go to the registry directly, without NumPy's dispatch; see `array_operators` for what has no name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from autodiff.array_operators import TO_NUMBER, ArrayOperators
from autodiff.errors import DerivativeError
from autodiff.operands import innermost, strip
from autodiff.registry import NON_DIFFERENTIABLE, OPERATORS, REGISTRY

Axis = int | Sequence[int] | None


class ArrayMethods(ArrayOperators):
    """The behaviour of an array, for values under differentiation; the base class of `Traced`.

    Everything gives what it gives for the primal, as a traced value where it has a derivative and as a plain one where
    it is piecewise constant (comparisons, `argmax`, `round`).
    """

    __slots__ = ()

    # -- attributes ----------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(innermost(self))

    @property
    def dtype(self) -> np.dtype:
        plain = innermost(self)
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
            return np.asarray(innermost(self)).astype(dtype)
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
        return np.round(innermost(self), decimals)

    def all(self, *args: Any, **kwargs: Any) -> Any:
        return np.all(innermost(self), *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> Any:
        return np.any(innermost(self), *args, **kwargs)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return np.argmax(innermost(self), axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return np.argmin(innermost(self), axis, keepdims=keepdims)

    def argsort(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return np.argsort(innermost(self), *args, **kwargs)

    def argpartition(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return np.argpartition(innermost(self), *args, **kwargs)

    def nonzero(self) -> tuple[np.ndarray, ...]:
        return np.nonzero(innermost(self))

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        return np.searchsorted(innermost(self), strip(v), side=side, sorter=sorter)

    # -- what would lose the derivative, or change a value -------------------------------------------------------------

    def item(self, *args: Any) -> NoReturn:
        raise DerivativeError(f"x.item() of a value under differentiation: {TO_NUMBER}")

    def tolist(self) -> NoReturn:
        raise DerivativeError(f"x.tolist() of a value under differentiation: {TO_NUMBER}")

    def tobytes(self, *args: Any) -> NoReturn:
        raise DerivativeError(f"x.tobytes() of a value under differentiation: {TO_NUMBER}")

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


def _changes(method: str, instead: str) -> DerivativeError:
    return DerivativeError(f"x.{method}() changes a value under differentiation: {instead}")

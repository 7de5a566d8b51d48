"""How plain NumPy reaches the primitives: traced values implement NumPy's two protocols, operators and methods.

`np.exp(x)` on a traced x calls `Traced.__array_ufunc__`, `np.sum(x)` calls `Traced.__array_function__`; both look the function up
in the registry of rules. Operators and methods call the same handlers directly, which spares the dispatch.
"""

from __future__ import annotations

import difflib

import numpy as np

from . import rules
from .core import DerivativeError, Traced, apply, dtype_of, primal, shape_of
from .rules.families import NON_DIFFERENTIABLE, REGISTRY

_REDUCTIONS = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}
_ACCUMULATIONS = {np.add: np.cumsum, np.multiply: np.cumprod}


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    if kwargs.get("out") is not None:
        raise DerivativeError(
            f"np.{ufunc.__name__}(..., out=...) writes into an array, which has no derivative; use the returned value instead"
        )
    kwargs.pop("out", None)
    if method == "__call__":
        handler = _lookup(ufunc)
        if kwargs:
            raise DerivativeError(f"np.{ufunc.__name__} under differentiation takes no {', '.join(kwargs)}=")
        return handler(*[np.asarray(x) if isinstance(x, list | tuple) else x for x in inputs])
    table = {"reduce": _REDUCTIONS, "accumulate": _ACCUMULATIONS}.get(method, {})
    if ufunc in table:
        kwargs.setdefault("axis", 0)
        return table[ufunc](*inputs, **kwargs)
    if method == "outer":
        x, y = inputs
        return ufunc(np.reshape(x, shape_of(x) + (1,) * len(shape_of(y))), y)
    raise DerivativeError(f"np.{ufunc.__name__}.{method} has no derivative rule")


def _array_function(self, function, types, args, kwargs):
    if kwargs.get("out") is not None:
        raise DerivativeError(
            f"np.{function.__name__}(..., out=...) writes into an array, which has no derivative; use the returned value instead"
        )
    return _lookup(function)(*args, **kwargs)


def _lookup(function):
    handler = REGISTRY.get(function) or NON_DIFFERENTIABLE.get(function)
    if handler is None:
        raise DerivativeError(_no_rule(function))
    return handler


def _no_rule(function) -> str:
    name = function.__name__
    known = sorted({f.__name__ for f in REGISTRY})
    near = difflib.get_close_matches(name, known, 1, cutoff=0.0)
    return (
        f"np.{name} has no derivative rule. The nearest covered function is np.{near[0]};"
        " autodiff.define adds a rule, autodiff.stop_gradient makes the argument a constant."
    )


# -- operators ---------------------------------------------------------------------------------------------------------


def _binary_operator(primitive):
    def operator(self, other):
        return apply(primitive, (self, _operand(other)), {})

    def reflected(self, other):
        return apply(primitive, (_operand(other), self), {})

    return operator, reflected


def _operand(x):
    return np.asarray(x) if isinstance(x, list | tuple) else x


def _comparison(ufunc):
    return lambda self, other: ufunc(primal(self), primal(other))


def _refuse(what, instead):
    def method(self, *args, **kwargs):
        raise DerivativeError(f"{what} a value under differentiation: {instead}")

    return method


def _getattr_method(function):
    """A method of arrays, by the NumPy function of the same name."""
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


def _reshape(self, *shape, order="C"):
    return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)


def _transpose(self, *axes):
    if not axes or axes == (None,):
        return np.transpose(self)
    return np.transpose(self, axes[0] if len(axes) == 1 else axes)


def _representation(self):
    return f"Traced({primal(self)!r})"


def install(cls: type) -> None:
    """Give traced values the behaviour of arrays."""
    e, c = rules.elementwise, rules.contraction
    for name, primitive in {
        "add": e.add, "sub": e.subtract, "mul": e.multiply, "truediv": e.divide, "pow": e.power, "matmul": c.matmul,
    }.items():  # fmt: skip
        operator, reflected = _binary_operator(primitive)
        setattr(cls, f"__{name}__", operator)
        setattr(cls, f"__r{name}__", reflected)
    for name, ufunc in {
        "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    }.items():  # fmt: skip
        setattr(cls, f"__{name}__", _comparison(ufunc))
    for name in (
        "sum", "mean", "var", "std", "prod", "max", "min", "cumsum", "cumprod", "ravel", "squeeze", "swapaxes", "repeat",
        "take", "trace", "diagonal", "dot", "clip", "argmax", "argmin", "argsort", "round", "all", "any", "nonzero",
    ):  # fmt: skip
        setattr(cls, name, _getattr_method(getattr(np, name)))
    cls.__array_ufunc__ = _array_ufunc
    cls.__array_function__ = _array_function
    cls.__neg__ = lambda self: apply(e.negative, (self,), {})
    cls.__pos__ = lambda self: self
    cls.__abs__ = lambda self: apply(e.absolute, (self,), {})
    cls.__getitem__ = lambda self, index: rules.indexing.getitem(self, index)
    cls.__len__ = lambda self: len(primal(self))
    cls.__iter__ = lambda self: (self[i] for i in range(len(self)))
    cls.__hash__ = object.__hash__
    cls.__repr__ = _representation
    cls.reshape, cls.transpose = _reshape, _transpose
    cls.flatten = lambda self, order="C": np.ravel(self, order=order)
    cls.astype = lambda self, dtype, **_: rules.shape.astype(self, dtype=np.dtype(dtype))
    cls.copy = lambda self, order="C": self
    cls.shape = property(shape_of)
    cls.dtype = property(dtype_of)
    cls.ndim = property(lambda self: len(shape_of(self)))
    cls.size = property(lambda self: int(np.prod(shape_of(self), dtype=int)))
    cls.T = property(lambda self: np.transpose(self))
    cls.mT = property(lambda self: np.swapaxes(self, -1, -2))
    cls.__setitem__ = _refuse(
        "assignment into", "arrays are not changed in place; build the new value with np.where, np.concatenate or np.stack"
    )
    for name in ("__float__", "__int__", "__bool__", "__index__", "__complex__"):
        setattr(cls, name, _refuse(f"{name.strip('_')}() of", "it would lose the derivative; use autodiff.stop_gradient first"))
    cls.__array__ = _refuse("np.array(...) of", "it would lose the derivative; use np.stack or np.concatenate instead")


install(Traced)

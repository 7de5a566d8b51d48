"""How plain NumPy reaches the primitives: traced values implement NumPy's two protocols, operators and methods.

`np.exp(x)` on a traced x calls `Traced.__array_ufunc__`, `np.sum(x)` calls `Traced.__array_function__`; both look the
function up in the registry of rules. Operators call the primitives directly, which spares the dispatch. What would lose
the derivative without a word (turning a traced value into a plain number or array, writing into an array) raises, and
the message says what to write instead.
"""

from __future__ import annotations

import difflib

import numpy as np

from autodiff import rules
from autodiff.core import DerivativeError, Primitive, Traced, apply, dtype_of, primal, shape_of, size_of
from autodiff.rules.families import NON_DIFFERENTIABLE, REFUSED, REGISTRY, as_operand, name_of


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    if method == "__call__" and not kwargs:
        for x in inputs:
            if type(x) is list or type(x) is tuple:
                inputs = tuple([as_operand(x) for x in inputs])
                break
        handler = REGISTRY.get(ufunc) or _lookup(ufunc)
        return apply(handler, inputs, {}) if type(handler) is Primitive else handler(*inputs)
    if kwargs.pop("out", None) is not None:
        raise DerivativeError(_OUT.format(name=f"np.{ufunc.__name__}"))
    if method == "__call__":
        if not isinstance(_lookup(ufunc), Primitive):
            return _call(ufunc, inputs, kwargs)
        raise DerivativeError(f"np.{ufunc.__name__} under differentiation takes no {', '.join(kwargs)}=")
    if method == "outer":
        x, y = (as_operand(x) for x in inputs)
        return ufunc(np.reshape(x, shape_of(x) + (1,) * len(shape_of(y))), y)
    if method == "at":
        raise DerivativeError(
            f"np.{ufunc.__name__}.at writes into an array, which has no derivative; write"
            " autodiff.at(a)[index].add(v), or .set, or .multiply"
        )
    kwargs.setdefault("axis", 0)
    return _call(getattr(ufunc, method), inputs, kwargs)


def _array_function(self, function, types, args, kwargs):
    if kwargs.get("out") is not None:
        raise DerivativeError(_OUT.format(name=name_of(function)))
    return _call(function, args, kwargs)


_OUT = (
    "{name}(..., out=a), or an operator such as a += x, writes into the plain array a, which has no derivative;"
    " use the returned value instead: a = a + x"
)


def _call(function, args, kwargs):
    handler = REGISTRY.get(function) or _lookup(function)
    try:
        return handler(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # the call itself, not its body
            raise DerivativeError(f"{name_of(function)} under differentiation: {error}") from None
        raise


def _lookup(function):
    # Methods of arrays use ufuncs of their own (a.clip: the ufunc named clip, which is not np.clip), hence the name.
    namesake = getattr(np, function.__name__, None)
    for table in (REGISTRY, NON_DIFFERENTIABLE, REFUSED):
        if function in table:
            return table[function]
    handler = REGISTRY.get(namesake) if isinstance(function, np.ufunc) and callable(namesake) else None
    if handler is None:
        raise DerivativeError(_no_rule(function))
    return handler


def _no_rule(function) -> str:
    name = name_of(function)
    near = difflib.get_close_matches(name, sorted(name_of(f) for f in REGISTRY), 1, cutoff=0.0)
    return (
        f"{name} has no derivative rule. The nearest covered function is {near[0]}."
        " autodiff.implements adds a rule; autodiff.stop_gradient makes the argument a constant."
    )


# -- operators and methods ---------------------------------------------------------------------------------------------


def _binary_operator(primitive):
    def operator(self, other):
        if type(other) is list or type(other) is tuple:
            other = as_operand(other)
        return apply(primitive, (self, other), {})

    def reflected(self, other):
        return apply(primitive, (as_operand(other), self), {})

    return operator, reflected


def _operator_by_function(function):
    return lambda self, other: function(self, other), lambda self, other: function(other, self)


def _comparison(ufunc):
    return lambda self, other: ufunc(primal(self), primal(as_operand(other)))


def _method(function):
    """A method of arrays, by the NumPy function of the same name."""
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


def _refuse(what, instead):
    def method(self, *args, **kwargs):
        raise DerivativeError(f"{what} a value under differentiation: {instead}")

    return method


def _shape_arguments(function):
    """x.reshape(2, 3) and x.reshape((2, 3)) are the same, and so with transpose."""
    return lambda self, *args, **kwargs: function(self, args[0] if len(args) == 1 else args or None, **kwargs)


def _set_item(self, index, value):
    text = _index_text(index)
    raise DerivativeError(
        f"traced arrays are not changed in place: instead of x[{text}] = v write x = autodiff.at(x)[{text}].set(v);"
        " there are .add(v) for += and .multiply(v) for *= too"
    )


def _index_text(index) -> str:
    """An index as it was written between the brackets."""
    if isinstance(index, tuple) and index:
        return ", ".join(_index_text(part) for part in index)
    if isinstance(index, slice):
        ends = ["" if end is None else _index_text(end) for end in (index.start, index.stop)]
        return ":".join(ends if index.step is None else [*ends, _index_text(index.step)])
    if index is Ellipsis:
        return "..."
    text = repr(index.tolist() if isinstance(index, np.ndarray | np.generic) else primal(index))
    return text if len(text) < 40 else "index"


_OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "pow": np.power,
}  # fmt: skip
_OPERATORS_BY_FUNCTION = {
    "matmul": np.matmul, "floordiv": np.floor_divide, "mod": np.remainder, "divmod": np.divmod,
}  # fmt: skip
_COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_METHODS = (
    "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip", "conj", "conjugate", "copy",
    "cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "round",
    "searchsorted", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var",
)  # fmt: skip
_CONVERSIONS = ("__float__", "__int__", "__index__", "__complex__", "item", "tolist", "tobytes")
_WRITERS = {
    "sort": "np.sort(x) returns a sorted array", "partition": "np.partition(x, kth) returns a new array",
    "fill": "np.full_like(x, value) returns a new array", "put": "write autodiff.at(x)[index].set(v)",
    "resize": "np.resize(x, shape) returns a new array", "setfield": "write autodiff.at(x)[index].set(v)",
}  # fmt: skip


def install(cls: type) -> None:
    """Give traced values the behaviour of arrays."""
    for name, ufunc in _OPERATORS.items():
        forward, reflected = _binary_operator(REGISTRY[ufunc])
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", reflected)
    for name, function in _OPERATORS_BY_FUNCTION.items():
        forward, reflected = _operator_by_function(_lookup(function))
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", reflected)
    for name, ufunc in _COMPARISONS.items():
        setattr(cls, f"__{name}__", _comparison(ufunc))
    for name in _METHODS:
        setattr(cls, name, _method(_lookup(getattr(np, name))))
    for name in _CONVERSIONS:
        what = f"{name.strip('_')}() of" if name.startswith("__") else f"x.{name}() of"
        setattr(cls, name, _refuse(what, _PLAIN_NUMBER))
    for name, instead in _WRITERS.items():
        setattr(cls, name, _refuse(f"x.{name}() changes", instead))
    for name, behaviour in {
        "__array_ufunc__": _array_ufunc,
        "__array_function__": _array_function,
        "__neg__": lambda self: rules.elementwise.negative(self),
        "__pos__": lambda self: self,
        "__abs__": lambda self: rules.elementwise.absolute(self),
        "__round__": lambda self, ndigits=0: np.round(self, ndigits),
        "__getitem__": rules.indexing.getitem,
        "__setitem__": _set_item,
        "__len__": lambda self: len(primal(self)),
        "__iter__": lambda self: (self[i] for i in range(len(self))),
        "__contains__": lambda self, value: primal(value) in primal(self),
        "__hash__": object.__hash__,
        "__copy__": lambda self: self,
        "__deepcopy__": lambda self, memo: self,
        "__repr__": lambda self: f"Traced({primal(self)!r})",
        "__format__": lambda self, spec: format(primal(self), spec) if spec else repr(self),
        "__bool__": _refuse("the truth of", "compare it with a number, as in x > 0, which gives a plain answer"),
        "__array__": _refuse("np.array(...) of", _PLAIN_ARRAY),
        "reshape": _shape_arguments(rules.shape.reshape),
        "transpose": _shape_arguments(rules.shape.transpose),
        "flatten": lambda self, order="C": np.ravel(self, order=order),
        "astype": lambda self, dtype, **_: rules.shape.astype(self, dtype),
        "compress": lambda self, condition, axis=None: np.compress(condition, self, axis=axis),
        "shape": property(shape_of),
        "dtype": property(dtype_of),
        "ndim": property(lambda self: len(shape_of(self))),
        "size": property(size_of),
        "itemsize": property(lambda self: dtype_of(self).itemsize),
        "nbytes": property(lambda self: size_of(self) * dtype_of(self).itemsize),
        "T": property(rules.shape.transpose),
        "mT": property(lambda self: np.swapaxes(self, -1, -2)),
        "real": property(lambda self: self),
        "imag": property(lambda self: np.imag(self)),  # not property(np.imag), which takes on its docstring
        "flat": property(lambda self: np.ravel(self)),
    }.items():
        setattr(cls, name, behaviour)


_PLAIN_NUMBER = (
    "a plain number would lose the derivative. Use the NumPy function (np.sin, not math.sin), autodiff.stop_gradient(x)"
    " for a constant, and for a[i] = x with a plain array a: a = autodiff.at(a)[i].set(x)"
)
_PLAIN_ARRAY = (
    "a plain array would lose the derivative. Use x itself where an array is wanted, np.stack([x, y]) for"
    " np.array([x, y]), a @ x for a.dot(x), np.linspace for np.arange, autodiff.stop_gradient(x) for a"
    " constant, and for a[i] = x with a plain array a: a = autodiff.at(a)[i].set(x)"
)

install(Traced)

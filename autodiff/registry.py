"""The tables that say what stands in for a NumPy function under differentiation.

They are empty here and filled by `autodiff.rules`. Because they sit below everything else, the methods of traced values
can look rules up, and rules can be written with those methods, without a circle of imports.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Protocol, TypeVar

import numpy as np

from autodiff.errors import DerivativeError


class Operation(Protocol):
    """A primitive, as far as the tables know it."""

    def apply(self, args: Sequence, params: dict) -> Any: ...


Handler = TypeVar("Handler", bound=Callable)

# What a NumPy function or ufunc becomes when an argument is traced: a primitive, or a Python function made of such
# calls. The coverage page and the generated tests walk over this table.
REGISTRY: dict[Callable, Any] = {}

# NumPy functions that are piecewise constant or return nothing to differentiate: they see the primals.
NON_DIFFERENTIABLE: dict[Callable, Callable] = {}

# NumPy functions that write into an array or otherwise cannot be differentiated: they raise, with advice.
REFUSED: dict[Callable, Callable] = {}


class Operators:
    """The primitives behind the operators of traced values, named as in the module `operator`, and behind `astype`."""

    add: Operation
    sub: Operation
    mul: Operation
    truediv: Operation
    pow: Operation
    mod: Operation
    matmul: Operation
    neg: Operation
    abs: Operation
    getitem: Operation
    astype: Operation


OPERATORS = Operators()


def implements(*functions: Callable | None) -> Callable[[Handler], Handler]:
    """Decorator: the decorated function stands in for these NumPy functions when an argument is traced.

    `None` stands for a function that the installed NumPy is too old to have.

    >>> @implements(np.i0)
    ... def bessel(x):
    ...     raise NotImplementedError
    >>> REGISTRY.pop(np.i0) is bessel
    True
    """

    def register(handler: Handler) -> Handler:
        plain = isinstance(handler, FunctionType) or hasattr(handler, "apply")
        for function in functions:
            if function is not None:
                REGISTRY[function] = handler if plain else lambda *args, **kwargs: handler(*args, **kwargs)
        return handler

    return register


def handler_of(function: Callable) -> Any:
    """What stands in for a NumPy function; raises `DerivativeError`, naming a neighbour, if nothing does."""
    for table in (REGISTRY, NON_DIFFERENTIABLE, REFUSED):
        if function in table:
            return table[function]
    # Methods of arrays use ufuncs of their own (a.clip: the ufunc named clip, which is not np.clip), hence the name.
    namesake = getattr(np, function.__name__, None)
    handler = REGISTRY.get(namesake) if isinstance(function, np.ufunc) and callable(namesake) else None
    if handler is None:
        raise DerivativeError(_no_rule(function))
    return handler


def _no_rule(function: Callable) -> str:
    name = name_of(function)
    near = difflib.get_close_matches(name, sorted(name_of(f) for f in REGISTRY), 1, cutoff=0.0)
    return (
        f"{name} has no derivative rule. The nearest covered function is {near[0]}."
        " autodiff.implements adds a rule; autodiff.stop_gradient makes the argument a constant."
    )


def name_of(function: Callable) -> str:
    """A NumPy function as it is written: np.sum, np.linalg.det, np.add.reduce."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    module = "np.linalg" if (getattr(function, "__module__", None) or "").startswith("numpy.linalg") else "np"
    return f"{module}.{function.__name__}"

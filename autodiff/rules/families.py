"""Families of primitives: state a derivative once, get both modes.

Each function here registers one NumPy function. The derivative is written with NumPy on values that may be traced
themselves, which is what makes second and higher derivatives work.

    unary(np.sin, lambda y, x: np.cos(x))                         # y = f(x), dy/dx elementwise
    binary(np.multiply, lambda z, x, y: y, lambda z, x, y: x)     # z = f(x, y), dz/dx and dz/dy elementwise
    linear(...)                                                   # the tangent goes through the function itself
    bilinear(...)                                                 # linear in each of two arguments
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Primitive, primal

# What a NumPy function or ufunc becomes when an argument is traced. The one registry: numpy_protocol looks functions
# up here, and the coverage table and the generated tests walk over it.
REGISTRY: dict[Callable, Callable] = {}

# NumPy functions that are piecewise constant or return no numbers to differentiate: they see the primals.
NON_DIFFERENTIABLE: dict[Callable, Callable] = {}

SAME, NEGATIVE = "same", "negative"  # derivatives +1 and -1, spared the multiplication


def _times(t: Any, derivative: Any, *values: Any) -> Any:
    if derivative is SAME:
        return t
    if derivative is NEGATIVE:
        return -t
    return t * derivative(*values)


def implements(*functions: Callable) -> Callable:
    """Decorator: the decorated function stands in for these NumPy functions when an argument is traced."""

    def register(handler):
        for function in functions:
            REGISTRY[function] = handler
        return handler

    return register


def define(name: str, impl: Callable, *, jvp: Callable, vjp: Callable) -> Primitive:
    """A primitive with both rules written out; see `autodiff.core.Primitive` for their signatures."""
    return Primitive(name, impl, jvp, vjp)


def unary(function: Callable, derivative: Any) -> Primitive:
    """Elementwise y = f(x), with derivative(y, x) = dy/dx."""

    def jvp(tangents, y, x):
        return _times(tangents[0], derivative, y, x)

    def vjp(needs, g, y, x):
        return (_times(g, derivative, y, x),)

    REGISTRY[function] = primitive = Primitive(function.__name__, function, jvp, vjp)
    return primitive


def binary(function: Callable, derivative_x: Any, derivative_y: Any) -> Primitive:
    """Elementwise and broadcasting z = f(x, y), with the two partial derivatives as functions of (z, x, y)."""

    def jvp(tangents, z, x, y):
        tx, ty = tangents
        if ty is None:
            return _times(tx, derivative_x, z, x, y)
        if tx is None:
            return _times(ty, derivative_y, z, x, y)
        return _times(tx, derivative_x, z, x, y) + _times(ty, derivative_y, z, x, y)

    def vjp(needs, g, z, x, y):
        return (
            _times(g, derivative_x, z, x, y) if needs[0] else None,
            _times(g, derivative_y, z, x, y) if needs[1] else None,
        )

    REGISTRY[function] = primitive = Primitive(function.__name__, function, jvp, vjp)
    return primitive


def linear(name: str, impl: Callable, transpose: Callable) -> Primitive:
    """A function linear in its one array argument; transpose(g, x, **params) applies the transposed map to g.

    The transpose may use the shape and dtype of x, never its values.
    """

    def jvp(tangents, y, x, **params):
        return primitive(tangents[0], **params)

    def vjp(needs, g, y, x, **params):
        return (transpose(g, x, **params),)

    primitive = Primitive(name, impl, jvp, vjp)
    return primitive


def bilinear(name: str, impl: Callable, transpose_x: Callable, transpose_y: Callable) -> Primitive:
    """A function linear in each of x and y; transpose_x(g, x, y, **params) and transpose_y likewise give cotangents."""

    def jvp(tangents, z, x, y, **params):
        tx, ty = tangents
        terms = []
        if tx is not None:
            terms.append(primitive(tx, y, **params))
        if ty is not None:
            terms.append(primitive(x, ty, **params))
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def vjp(needs, g, z, x, y, **params):
        return (
            transpose_x(g, x, y, **params) if needs[0] else None,
            transpose_y(g, x, y, **params) if needs[1] else None,
        )

    primitive = Primitive(name, impl, jvp, vjp)
    return primitive


def constant(*functions: Callable) -> None:
    """NumPy functions without a derivative to speak of: piecewise constant, boolean, or about shapes."""
    for function in functions:
        NON_DIFFERENTIABLE[function] = _on_primals(function)


def _on_primals(function: Callable) -> Callable:
    def call(*args, **kwargs):
        return function(*_strip(args), **_strip(kwargs))

    return call


def _strip(value: Any) -> Any:
    """Replace traced values by their primals, inside lists, tuples and dicts too."""
    if isinstance(value, dict):
        return {key: _strip(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_strip(member) for member in value)
    return primal(value)

"""Families of primitives: state a derivative once, get both modes.

The derivative is written with NumPy on values that may be traced themselves, which is what makes second and higher
derivatives work.

    unary(np.sin, lambda y, x: np.cos(x), reads=ARGS)                       # y = f(x), dy/dx elementwise
    binary(np.multiply, lambda z, x, y: y, lambda z, x, y: x, reads=ARGS)   # z = f(x, y), dz/dx and dz/dy elementwise
    linear(name, impl, transpose)                                           # the tangent goes through the function
    bilinear(name, impl, transpose_x, transpose_y)                          # linear in each of two arguments
    by_tangent(name, impl, tangent)                                         # only the tangent is stated; transposed

`reads` states which values a derivative uses: those of the arguments, of the output, of both, or none. The tape does
not keep the others: y = exp(x) keeps y alone, x + y keeps nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff.core import DerivativeError, Primitive, primal, zeros_like
from autodiff.operands import strip
from autodiff.registry import NON_DIFFERENTIABLE, REFUSED, REGISTRY, implements, name_of
from autodiff.transforms import vjp as pullback_of

SAME, NEGATIVE, ZERO = "same", "negative", "zero"  # the derivatives 1, -1 and 0, without a multiplication

BOTH, ARGS, OUT, NOTHING = ("args", "out"), ("args",), ("out",), ()  # which values a derivative reads


def implements_each(maker: Callable, *functions: Callable) -> None:
    """Register handlers made from the NumPy functions they stand in for."""
    for function in functions:
        implements(function)(maker(function))


def define(name: str, impl: Callable, *, jvp: Callable, vjp: Callable, reads: Sequence[str] = BOTH) -> Primitive:
    """A primitive with both rules written out; see `autodiff.core.Primitive` for their signatures.

    >>> cube = define(
    ...     "cube",
    ...     lambda x: x**3,
    ...     jvp=lambda tangents, out, x: 3 * x**2 * tangents[0],
    ...     vjp=lambda needs, g, out, x: (3 * x**2 * g,),
    ... )
    >>> pullback_of(cube, 2.0)[1](1.0)
    (np.float64(12.0),)
    """
    return Primitive(name, impl, jvp, vjp, reads)


# -- elementwise -------------------------------------------------------------------------------------------------------


def unary(
    function: Callable, derivative: Callable | str, *, reads: Sequence[str] = BOTH, pole: bool = False
) -> Primitive:
    """Elementwise y = f(x), with derivative(y, x) = dy/dx: `unary(np.sin, lambda y, x: np.cos(x))`.

    Where `function` is a ufunc, of NumPy or of another package, it can be differentiated itself from then on; otherwise
    call the primitive that is returned.

    reads    which values the derivative uses, as in `Primitive`: ["args"] for the sine, ["out"] for the exponential
    pole     true if the derivative can be infinite or undefined: a tangent or cotangent of exactly 0 then stays 0
    """
    if callable(derivative) and not pole:  # what the general case comes to, with one function call less

        def jvp(tangents, y, x):
            return tangents[0] * derivative(y, x)

        def vjp(needs, g, y, x):
            return (g * derivative(y, x),)

    else:
        times = _multiplication(derivative, pole)

        def jvp(tangents, y, x):
            return times(tangents[0], y, x)

        def vjp(needs, g, y, x):
            return (times(g, y, x),)

    primitive = Primitive(function.__name__, function, jvp, vjp, reads if callable(derivative) else NOTHING)
    REGISTRY[function] = primitive
    return primitive


def binary(
    function: Callable,
    derivative_x: Callable | str,
    derivative_y: Callable | str,
    *,
    reads: Sequence[str] = BOTH,
    pole: bool = False,
    impl: Callable | None = None,
) -> Primitive:
    """Elementwise and broadcasting z = f(x, y), with the two partial derivatives as functions of (z, x, y).

    `reads` and `pole` are those of `unary`; `impl` computes the value, if another function than `function` does.
    """
    times_x, times_y = _multiplication(derivative_x, pole), _multiplication(derivative_y, pole)

    def jvp(tangents, z, x, y):
        tx, ty = tangents
        if ty is None:
            return times_x(tx, z, x, y)
        if tx is None:
            return times_y(ty, z, x, y)
        return times_x(tx, z, x, y) + times_y(ty, z, x, y)

    def vjp(needs, g, z, x, y):
        return times_x(g, z, x, y) if needs[0] else None, times_y(g, z, x, y) if needs[1] else None

    if not (callable(derivative_x) or callable(derivative_y)):
        reads = NOTHING
    primitive = Primitive(function.__name__, impl or function, jvp, vjp, reads)
    REGISTRY[function] = primitive
    return primitive


_TIMES: dict[Any, Callable] = {
    SAME: lambda t, *values: t,
    NEGATIVE: lambda t, *values: -t,
    ZERO: lambda t, *values: zeros_like(t),
}


def _multiplication(derivative: Callable | str, pole: bool) -> Callable:
    """The product of a tangent or cotangent t with a derivative, as a function of (t, *values)."""
    if not callable(derivative):
        return _TIMES[derivative]
    if pole:
        return lambda t, *values: times_near_pole(t, derivative(*values))
    return lambda t, *values: t * derivative(*values)


def times_near_pole(t: Any, d: Any) -> Any:
    """t d, where 0 d = 0 even if d is infinite or undefined: np.where sends 0 into the branch it did not take."""
    plain = primal(d)
    if math.isfinite(np.vdot(plain, plain).real):  # the fastest test that all are finite
        return t * d
    dead = ~np.isfinite(plain) & (primal(t) == 0)
    return np.where(dead, 0.0, t * np.where(dead, 1.0, d))


# -- linear, bilinear, and by transposition ----------------------------------------------------------------------------


def linear(name: str, impl: Callable, transpose: Callable) -> Primitive:
    """A function linear in its one array argument; transpose(g, x, **params) applies the transposed map to g.

    The transpose may use the shape and dtype of x, never its values.

    >>> difference = linear("difference", lambda x: x[1] - x[0], lambda g, x: np.stack([-g, g]))
    >>> pullback_of(difference, np.array([1.0, 5.0]))[1](1.0)
    (array([-1.,  1.]),)
    """

    def jvp(tangents, y, x, **params):
        return primitive(tangents[0], **params)

    def vjp(needs, g, y, x, **params):
        return (transpose(g, x, **params),)

    primitive = Primitive(name, impl, jvp, vjp, reads=())
    return primitive


def bilinear(name: str, impl: Callable, transpose_x: Callable, transpose_y: Callable) -> Primitive:
    """A function linear in each of x and y; transpose_x(g, x, y, **params) and transpose_y likewise give cotangents.

    >>> product = bilinear("product", np.matmul, lambda g, A, x: np.outer(g, x), lambda g, A, x: A.T @ g)
    >>> pullback_of(product, np.eye(2), np.array([1.0, 2.0]))[1](np.array([1.0, 0.0]))
    (array([[1., 2.],
           [0., 0.]]), array([1., 0.]))
    """

    def jvp(tangents, z, x, y, **params):
        tx, ty = tangents
        if ty is None:
            return primitive(tx, y, **params)
        if tx is None:
            return primitive(x, ty, **params)
        return primitive(tx, y, **params) + primitive(x, ty, **params)

    def vjp(needs, g, z, x, y, **params):
        return (
            transpose_x(g, x, y, **params) if needs[0] else None,
            transpose_y(g, x, y, **params) if needs[1] else None,
        )

    primitive = Primitive(name, impl, jvp, vjp, reads=["args"])
    return primitive


def by_tangent(name: str, impl: Callable, tangent: Callable) -> Primitive:
    """A function of which only the tangent is stated, tangent(tangents, out, *args, **params) as in `Primitive.jvp`.

    The tangent is linear in the tangents of the arguments, so its own pullback, at zero or anywhere, is the reverse
    rule: one formula for both modes.
    """

    def vjp(needs, g, out, *args, **params):
        chosen = [i for i, need in enumerate(needs) if need]

        def of_tangents(*ts):
            arriving = dict(zip(chosen, ts, strict=True))
            return tangent([arriving.get(i) for i in range(len(args))], out, *args, **params)

        _, pullback = pullback_of(of_tangents, *[zeros_like(args[i]) for i in chosen])
        found = dict(zip(chosen, pullback(g), strict=True))
        return [found.get(i) for i in range(len(args))]

    return Primitive(name, impl, tangent, vjp)


# -- constants and refusals --------------------------------------------------------------------------------------------


def constant(*functions: Callable) -> None:
    """Register NumPy functions that are piecewise constant, boolean, or about shapes."""
    for function in functions:
        NON_DIFFERENTIABLE[function] = _on_primals(function)


def _on_primals(function: Callable) -> Callable:
    def call(*args, **kwargs):
        return function(*strip(args), **strip(kwargs))

    return call


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """An `axis` argument as a tuple of non-negative axes."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(np.lib.array_utils.normalize_axis_tuple(tuple(axes), ndim))


def refuse(*functions: Callable, instead: str) -> None:
    """Register NumPy functions that cannot be differentiated as they are, with what to write instead."""

    def refusal(function):
        def call(*args, **kwargs):
            raise DerivativeError(f"{name_of(function)} of a value under differentiation: {instead}")

        return call

    for function in functions:
        REFUSED[function] = refusal(function)

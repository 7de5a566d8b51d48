"""The derivative: as a limit, as a matrix in numerator layout, as a linear form, and as a scaling of volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff.calculus.tables import Table
from autodiff.core import shape_of
from autodiff.transforms import grad, jacobian, jvp


def D(f: Callable, argnum: int = 0) -> Callable:
    """The derivative in numerator layout: rows are outputs, columns are inputs.

        f: R -> R       a scalar             f: R^D -> R     a 1 x D row, the gradient
        f: R -> R^E     an E x 1 column      f: R^D -> R^E   an E x D matrix, the Jacobian

    When matrices are involved, the shape of the output followed by the shape of the argument: a scalar differentiated
    by a matrix has the shape of the matrix, a vector in R^M by an M x N matrix gives an M x M x N array.

    >>> D(lambda x: x[0] ** 2 * x[1] + x[0] * x[1] ** 3)(np.array([1.0, 2.0]))
    array([[12., 13.]])
    >>> D(lambda t: np.stack([np.cos(t), np.sin(t)]))(0.0)
    array([[-0.],
           [ 1.]])
    """

    def derivative(*args):
        x = _real(args[argnum])
        full = jacobian(f, argnum)(*args[:argnum], x, *args[argnum + 1 :])
        inputs = len(shape_of(x))
        outputs = len(shape_of(full)) - inputs
        if inputs + outputs == 0 or max(inputs, outputs) > 1:
            return full
        size = int(np.prod(shape_of(x), dtype=int))
        return np.reshape(full, (-1, size) if size else (1, 0))

    return derivative


def _real(x: Any) -> Any:
    """Integers as real numbers, lists as vectors."""
    return np.asarray(x, float)[()] if isinstance(x, int | list | tuple) else x


def difference_quotient(f: Callable, x: Any, h: float) -> Any:
    """(f(x + h) - f(x)) / h: the slope of the secant through x and x + h.

    >>> difference_quotient(lambda x: x**2, 3.0, 0.5)
    6.5
    """
    return (f(x + h) - f(x)) / h


def difference_table(f: Callable, x: float, steps: Sequence[float] | None = None) -> Table:
    """How fast difference quotients approach the derivative as h shrinks, and where rounding turns them back.

    The error of the one-sided quotient falls like h, that of the central quotient (f(x+h) - f(x-h)) / 2h like h^2,
    until the rounding error of f, divided by h, takes over.

    >>> print(difference_table(lambda x: x**3, 1.0, [0.1, 0.01]))
    h     (f(x+h)-f(x))/h  error   (f(x+h)-f(x-h))/2h  error
    0.1   3.31             0.31    3.01                0.01
    0.01  3.0301           0.0301  3.0001              0.0001
    """
    exact = jvp(f, (float(x),), (1.0,))[1]
    rows = []
    for h in [10.0**-k for k in range(0, 13, 2)] if steps is None else steps:
        one_sided, central = difference_quotient(f, x, h), (f(x + h) - f(x - h)) / (2 * h)
        rows.append((h, one_sided, abs(one_sided - exact), central, abs(central - exact)))
    return Table(("h", "(f(x+h)-f(x))/h", "error", "(f(x+h)-f(x-h))/2h", "error"), rows)


def differential(f: Callable, A: Any) -> tuple[Any, Callable]:
    """U and df of df = tr(U' dA), for a scalar function of a matrix: U the gradient, df(dA) the change to first order.

    For a vector, df = u' da.

    >>> U, df = differential(lambda A: np.trace(A @ A), np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> U  # 2 A'
    array([[2., 6.],
           [4., 8.]])
    >>> float(df(np.eye(2)))
    10.0
    """
    U = grad(f)(_real(A))

    def df(dA):
        return np.trace(U.T @ dA) if len(shape_of(U)) == 2 else np.sum(U * dA)

    return U, df


def volume_scale(f: Callable, x: Any) -> Any:
    """|det J|: the factor by which f, from R^n to R^n, scales small volumes at x.

    >>> polar = lambda p: np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])])
    >>> volume_scale(polar, np.array([2.0, 0.0]))
    np.float64(2.0)
    """
    return np.abs(np.linalg.det(jacobian(f)(_real(x))))

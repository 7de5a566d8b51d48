"""Elementwise functions: the table of derivatives of one-variable calculus."""

import numpy as np

from .families import NEGATIVE, SAME, binary, constant, implements, unary

# arithmetic
add = binary(np.add, SAME, SAME)
subtract = binary(np.subtract, SAME, NEGATIVE)
multiply = binary(np.multiply, lambda z, x, y: y, lambda z, x, y: x)
divide = binary(np.divide, lambda z, x, y: 1 / y, lambda z, x, y: -z / y)
negative = unary(np.negative, NEGATIVE)
positive = unary(np.positive, SAME)
reciprocal = unary(np.reciprocal, lambda y, x: -y * y)
square = unary(np.square, lambda y, x: 2 * x)
sqrt = unary(np.sqrt, lambda y, x: 0.5 / y)
absolute = unary(np.absolute, lambda y, x: np.sign(x))

# exponentials and logarithms
exp = unary(np.exp, lambda y, x: y)
expm1 = unary(np.expm1, lambda y, x: y + 1)
log = unary(np.log, lambda y, x: 1 / x)
log1p = unary(np.log1p, lambda y, x: 1 / (1 + x))
logaddexp = binary(np.logaddexp, lambda z, x, y: np.exp(x - z), lambda z, x, y: np.exp(y - z))

# trigonometric and hyperbolic functions
sin = unary(np.sin, lambda y, x: np.cos(x))
cos = unary(np.cos, lambda y, x: -np.sin(x))
tanh = unary(np.tanh, lambda y, x: 1 - y * y)


# power: the exponent's derivative x^y log x is taken as its limit 0 at x = 0
def _power_base(z, x, y):
    return y * x ** np.where(y == 0, 1, y - 1)


def _power_exponent(z, x, y):
    return z * np.log(np.where(x == 0, 1, x))


power = binary(np.power, _power_base, _power_exponent)


# maximum and minimum: at a tie each argument gets half
def _wins(z, x, y):
    return (x == z) / (1.0 + (x == y))


maximum = binary(np.maximum, lambda z, x, y: _wins(z, x, y), lambda z, x, y: _wins(z, y, x))
minimum = binary(np.minimum, lambda z, x, y: _wins(z, x, y), lambda z, x, y: _wins(z, y, x))

constant(
    np.sign, np.floor, np.ceil, np.trunc, np.rint, np.isfinite, np.isnan, np.isinf, np.signbit,
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
)  # fmt: skip


@implements(np.clip)
def clip(a, a_min=None, a_max=None):
    """At a bound the derivative is 1: the bound counts as inside."""
    inside = True
    if a_min is not None:
        inside = inside & (a >= a_min)
    if a_max is not None:
        inside = inside & (a <= a_max)
    return np.where(inside, a, np.clip(_primal(a), a_min, a_max))


def _primal(a):
    from ..core import primal

    return primal(a)

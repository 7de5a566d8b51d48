"""Elementwise functions: the table of derivatives of one-variable calculus."""

import math

import numpy as np

from autodiff.core import dtype_of, primal
from autodiff.operands import as_operand, writes_out
from autodiff.registry import OPERATORS, REGISTRY, implements
from autodiff.rules.families import (
    ARGS,
    NEGATIVE,
    NOTHING,
    OUT,
    SAME,
    ZERO,
    binary,
    constant,
    define,
    times_near_pole,
    unary,
)

# arithmetic
add = binary(np.add, SAME, SAME)
subtract = binary(np.subtract, SAME, NEGATIVE)
multiply = binary(np.multiply, lambda z, x, y: y, lambda z, x, y: x, reads=ARGS)
negative = unary(np.negative, NEGATIVE)
positive = unary(np.positive, SAME)
conjugate = unary(np.conjugate, SAME)  # of real values, the only ones differentiated
reciprocal = unary(np.reciprocal, lambda y, x: -y * y, reads=OUT, pole=True)
square = unary(np.square, lambda y, x: 2 * x, reads=ARGS)
sqrt = unary(np.sqrt, lambda y, x: 0.5 / y, reads=OUT, pole=True)
cbrt = unary(np.cbrt, lambda y, x: 1 / (3 * y * y), reads=OUT, pole=True)
absolute = unary(np.absolute, lambda y, x: np.sign(x), reads=ARGS)
unary(np.fabs, lambda y, x: np.sign(x), reads=ARGS)


# Division, without the array 1 / y: d(x / y) = (dx - z dy) / y.
def _quotient(t, y):
    """t / y, where 0 / 0 = 0 and 0 / nan = 0: see `times_near_pole`."""
    quotient = np.divide(t, y)  # not t / y: of two Python floats that is Python's division, which raises at 0
    plain = primal(quotient)
    if math.isfinite(np.vdot(plain, plain).real):
        return quotient
    dead = np.isnan(plain) & (primal(t) == 0)
    return np.where(dead, 0.0, np.divide(t, np.where(dead, 1.0, y)))


def _divide_tangent(tangents, z, x, y):
    tx, ty = tangents
    if ty is None:
        return _quotient(tx, y)
    change = times_near_pole(-ty, z)
    return _quotient(change if tx is None else tx + change, y)


def _divide_cotangents(needs, g, z, x, y):
    to_x = _quotient(g, y)
    return to_x if needs[0] else None, times_near_pole(-to_x, z) if needs[1] else None


divide = REGISTRY[np.divide] = define("divide", np.divide, jvp=_divide_tangent, vjp=_divide_cotangents)

# exponentials and logarithms
exp = unary(np.exp, lambda y, x: y, reads=OUT, pole=True)
exp2 = unary(np.exp2, lambda y, x: y * math.log(2), reads=OUT, pole=True)
expm1 = unary(np.expm1, lambda y, x: y + 1, reads=OUT, pole=True)
log = unary(np.log, lambda y, x: 1 / x, reads=ARGS, pole=True)
log2 = unary(np.log2, lambda y, x: 1 / (x * math.log(2)), reads=ARGS, pole=True)
log10 = unary(np.log10, lambda y, x: 1 / (x * math.log(10)), reads=ARGS, pole=True)
log1p = unary(np.log1p, lambda y, x: 1 / (1 + x), reads=ARGS, pole=True)

# trigonometric and hyperbolic functions and their inverses
sin = unary(np.sin, lambda y, x: np.cos(x), reads=ARGS)
cos = unary(np.cos, lambda y, x: -np.sin(x), reads=ARGS)
tan = unary(np.tan, lambda y, x: 1 + y * y, reads=OUT, pole=True)
arcsin = unary(np.arcsin, lambda y, x: 1 / np.sqrt(1 - x * x), reads=ARGS, pole=True)
arccos = unary(np.arccos, lambda y, x: -1 / np.sqrt(1 - x * x), reads=ARGS, pole=True)
arctan = unary(np.arctan, lambda y, x: 1 / (1 + x * x), reads=ARGS)
sinh = unary(np.sinh, lambda y, x: np.cosh(x), reads=ARGS, pole=True)
cosh = unary(np.cosh, lambda y, x: np.sinh(x), reads=ARGS, pole=True)
tanh = unary(np.tanh, lambda y, x: 1 - y * y, reads=OUT)
arcsinh = unary(np.arcsinh, lambda y, x: 1 / np.hypot(x, 1), reads=ARGS)
arccosh = unary(np.arccosh, lambda y, x: 1 / np.sqrt((x - 1) * (x + 1)), reads=ARGS, pole=True)
arctanh = unary(np.arctanh, lambda y, x: 1 / ((1 - x) * (1 + x)), reads=ARGS, pole=True)
deg2rad = unary(np.deg2rad, lambda y, x: math.pi / 180, reads=NOTHING)
rad2deg = unary(np.rad2deg, lambda y, x: 180 / math.pi, reads=NOTHING)
unary(np.radians, lambda y, x: math.pi / 180, reads=NOTHING)
unary(np.degrees, lambda y, x: 180 / math.pi, reads=NOTHING)


# The angle and the distance of the origin have no derivative there; 0 is taken.
def _or_zero(x, y):
    """x / y, and 0 where y is 0."""
    zero = y == 0
    return np.where(zero, 0.0, x / np.where(zero, 1.0, y))


arctan2 = binary(
    np.arctan2,
    lambda z, y, x: _or_zero(x, x * x + y * y),
    lambda z, y, x: _or_zero(-y, x * x + y * y),
    reads=ARGS,
)
hypot = binary(np.hypot, lambda z, x, y: _or_zero(x, z), lambda z, x, y: _or_zero(y, z))


# log(e^x + e^y): the derivatives are the shares e^x / e^z and e^y / e^z; where z is infinite, the larger takes all.
def share(z, x, y):
    plain = primal(z)
    if math.isfinite(np.vdot(plain, plain)):
        return np.exp(x - z)
    finite = np.isfinite(plain)
    return np.where(finite, np.exp(np.where(finite, x, 0.0) - np.where(finite, z, 0.0)), _wins(z, x, y))


logaddexp = binary(np.logaddexp, share, lambda z, x, y: share(z, y, x))
logaddexp2 = binary(
    np.logaddexp2,
    lambda z, x, y: share(*(math.log(2) * v for v in (z, x, y))),
    lambda z, x, y: share(*(math.log(2) * v for v in (z, y, x))),
)


# Power: the derivatives are y x^(y-1), which is 0 for y = 0 whatever x, and x^y log x, for x = 0 taken as its limit 0.
def _power(x, y):
    return x**y if type(x) is np.ndarray else np.power(x, y)  # the operator knows x**2; the function does not


def _power_base(z, x, y):
    if isinstance(y, int | float):
        return y * x ** (y - 1) if y != 0 else 0.0
    return y * x ** (y - (primal(y) != 0))


def _power_exponent(z, x, y):
    if type(x) in (int, float):
        return z * (math.log(x) if x > 0 else 0.0 if x == 0 else math.nan)
    return z * np.log(np.where(x == 0, 1.0, x))


power = binary(np.power, _power_base, _power_exponent, pole=True, impl=_power)
float_power = binary(np.float_power, _power_base, _power_exponent, pole=True)


# Maximum and minimum: at a tie each argument gets half.
def _wins(z, x, y):
    half = np.multiply(0.5, primal(x) == primal(y), dtype=dtype_of(z))
    return (primal(x) == primal(z)) - half


maximum = binary(np.maximum, _wins, lambda z, x, y: _wins(z, y, x))
minimum = binary(np.minimum, _wins, lambda z, x, y: _wins(z, y, x))
fmax = binary(np.fmax, _wins, lambda z, x, y: _wins(z, y, x))
fmin = binary(np.fmin, _wins, lambda z, x, y: _wins(z, y, x))

# Division with remainder, x = y floor(x/y) + mod(x, y), and the functions about signs and exponents.
remainder = binary(np.remainder, SAME, lambda z, x, y: -np.floor_divide(x, y), reads=ARGS)
fmod = binary(np.fmod, SAME, lambda z, x, y: -np.trunc(primal(x) / primal(y)), reads=ARGS)
copysign = binary(np.copysign, lambda z, x, y: np.sign(z) * np.sign(x), ZERO)
ldexp = binary(np.ldexp, lambda z, x, n: np.ldexp(dtype_of(z).type(1), n), ZERO)
heaviside = binary(np.heaviside, ZERO, lambda z, x, y: np.equal(x, 0), reads=ARGS)


OPERATORS.add, OPERATORS.sub, OPERATORS.mul, OPERATORS.truediv = add, subtract, multiply, divide
OPERATORS.pow, OPERATORS.mod, OPERATORS.neg, OPERATORS.abs = power, remainder, negative, absolute


@implements(np.divmod)
def divmod_(x1, x2):
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


@implements(np.modf)
def modf(x):
    whole = np.trunc(x)
    return x - whole, whole


@implements(np.frexp)
def frexp(x):
    """x = mantissa * 2^exponent; the exponent is piecewise constant, the mantissa is not."""
    exponent = np.frexp(primal(x))[1]
    return np.ldexp(x, -exponent), exponent


# sin(pi x) / (pi x). Near 0 the quotient in its derivative loses all digits, and the sum of the series does not.
def _sinc_derivative(y, x):
    near = abs(primal(x)) < 0.5
    u = math.pi * np.where(near, x, 0.0)
    series = 0.0
    for k in range(12, 0, -1):
        series = 2 * k * (-1) ** k / math.factorial(2 * k + 1) + series * u * u
    return np.where(near, math.pi * u * series, (np.cos(math.pi * x) - y) / np.where(near, 1.0, x))


sinc = unary(np.sinc, _sinc_derivative)


# Three and more arguments: clip, where, nan_to_num.
def _clip_tangent(tangents, out, x, low, high):
    passes = _clip_passes(x, low, high)
    terms = [t * p for t, p in zip(tangents, passes, strict=True) if t is not None]
    return sum(terms[1:], terms[0])


def _clip_passes(x, low, high):
    """Which of the three the output follows. At a bound it follows x: the bound counts as inside."""
    x, low, high = primal(x), primal(low), primal(high)
    above = x > high if high is not None else False
    below = x < low if low is not None else False
    if low is not None and high is not None:
        above = above | np.greater(low, high)
    return ~np.logical_or(above, below), np.logical_and(below, np.logical_not(above)), above


_clip = define(
    "clip",
    np.clip,
    jvp=_clip_tangent,
    vjp=lambda needs, g, out, x, low, high: [
        g * p if need else None for need, p in zip(needs, _clip_passes(x, low, high), strict=True)
    ],
    reads=["args"],
)


@implements(np.clip)
def clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    if out is not None:
        raise writes_out(np.clip)
    return _clip(a, as_operand(a_min if min is None else min), as_operand(a_max if max is None else max))


def _where_tangent(tangents, out, condition, x, y):
    _, tx, ty = tangents
    return np.where(condition, 0.0 if tx is None else tx, 0.0 if ty is None else ty)


def _where_cotangents(needs, g, out, condition, x, y):
    return None, np.where(condition, g, 0.0) if needs[1] else None, np.where(condition, 0.0, g) if needs[2] else None


_where = define("where", np.where, jvp=_where_tangent, vjp=_where_cotangents)


@implements(np.where)
def where(condition, x=None, y=None):
    condition = primal(condition)
    return np.where(condition) if x is None else _where(condition, as_operand(x), as_operand(y))


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    return np.where(np.isfinite(x), x, np.nan_to_num(primal(x), nan=nan, posinf=posinf, neginf=neginf))


@implements(np.real, np.real_if_close)
def real(val, tol=100):
    return val


@implements(np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=2 * math.pi):
    return p + (np.unwrap(primal(p), discont, axis, period=period) - primal(p))


constant(
    np.sign, np.signbit, np.floor, np.ceil, np.trunc, np.fix, np.rint, np.round, np.around, np.floor_divide, np.spacing,
    np.isfinite, np.isnan, np.isinf, np.isneginf, np.isposinf, np.isreal, np.iscomplex, np.isrealobj, np.iscomplexobj,
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.imag, np.angle,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.isclose, np.allclose, np.array_equal,
    np.array_equiv, np.isin,
)  # fmt: skip

"""Output activations of a field: raw numbers (samples, 4) become density and colour, forward and backward.

    colour = 1 / (1 + exp(-raw)),   density = max(raw, 0)  or  log(1 + exp(raw - 1))  or  exp(min(raw, CAP)).

The exponential is a polynomial that vectorises: exp(x) = 2^n exp(r), |r| <= log(2) / 2.
"""

import math

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from nerf_mini.kernels.compiling import fast_part, parallel_kernel, part
from nerf_mini.kernels.schedule import ACTIVATION_TILE

RELU, SOFTPLUS, EXP = 0, 1, 2
CAP = 15.0  # exp of it is opaque at every length that matters
SHIFT = 1.0  # of the softplus, which starts out thin

_EXP = tuple(1.0 / math.factorial(k) for k in range(14))  # the remainder is below 1e-17
_ATANH = tuple(2.0 / (2 * k + 1) for k in range(17))  # of 2 atanh(s) / s in s^2; on |s| <= 1/3 below 1e-16
# log(2) in two parts, the first so short that its multiples by whole numbers up to 2^11 are exact, in float32 too
_LOG2_HIGH = 0.693359375
_LOG2_LOW = math.log(2.0) - _LOG2_HIGH


@intrinsic
def _power_of_two(typingctx, n, like):
    """2^n in the precision of `like`, for a whole n for which that is a normal number."""
    mantissa, bias, word, real = {
        types.float32: (23, 127, ir.IntType(32), ir.FloatType()),
        types.float64: (52, 1023, ir.IntType(64), ir.DoubleType()),
    }[like]

    def codegen(context, builder, signature, args):
        exponent = builder.add(builder.fptosi(args[0], word), word(bias))
        return builder.bitcast(builder.shl(exponent, word(mantissa)), real)

    return like(like, like), codegen


@part
def _exp(x):
    """exp of x in [-87, 88]; beyond, that of the nearest bound. NaN stays NaN."""
    real = type(x)
    inside = min(max(x, real(-87.0)), real(88.0))
    n = np.rint(inside * real(1.0 / math.log(2.0)))
    r = (inside - n * real(_LOG2_HIGH)) - n * real(_LOG2_LOW)
    total = real(_EXP[13])
    for k in range(12, -1, -1):
        total = total * r + real(_EXP[k])
    return total * _power_of_two(n, x) if x == x else x


@part
def _logistic(x):
    return type(x)(1) / (type(x)(1) + _exp(-x))


@part
def _softplus(x):
    real = type(x)
    z = _exp(-abs(x))
    s = z / (real(2) + z)
    q, total = s * s, real(_ATANH[16])
    for k in range(15, -1, -1):
        total = total * q + real(_ATANH[k])
    return max(x, real(0)) + s * total if x == x else x


@fast_part
def _forward_tile(raw, kind, density, color):
    """raw (count, 4), density (count,), color (count, 3), of one tile."""
    count = density.size
    column = np.empty(ACTIVATION_TILE, raw.dtype)
    for channel in range(3):
        for i in range(count):
            column[i] = raw[i, channel]
        for i in range(count):
            column[i] = _logistic(column[i])
        for i in range(count):
            color[i, channel] = column[i]
    for i in range(count):
        column[i] = raw[i, 3]
    if kind == RELU:
        for i in range(count):
            density[i] = raw.dtype.type(0) if column[i] < 0 else column[i]
    elif kind == SOFTPLUS:
        for i in range(count):
            density[i] = _softplus(column[i] - raw.dtype.type(SHIFT))
    else:
        for i in range(count):
            density[i] = _exp(raw.dtype.type(CAP) if column[i] > CAP else column[i])


@parallel_kernel
def activate_forward(raw, kind, density, color):
    """raw (samples, 4) -> density (samples,), color (samples, 3)."""
    samples = density.size
    for tile in prange((samples + ACTIVATION_TILE - 1) // ACTIVATION_TILE):
        rows = slice(tile * ACTIVATION_TILE, min((tile + 1) * ACTIVATION_TILE, samples))
        _forward_tile(raw[rows], kind, density[rows], color[rows])


@fast_part
def _backward_tile(g_density, g_color, raw, density, color, kind, g_raw):
    one, zero = raw.dtype.type(1), raw.dtype.type(0)
    for i in range(density.size):
        g, c, out = g_color[i], color[i], g_raw[i]
        out[0] = g[0] * c[0] * (one - c[0])
        out[1] = g[1] * c[1] * (one - c[1])
        out[2] = g[2] * c[2] * (one - c[2])
        if kind == RELU:
            out[3] = g_density[i] if raw[i, 3] > zero else zero
        elif kind == SOFTPLUS:
            out[3] = g_density[i] * _logistic(raw[i, 3] - raw.dtype.type(SHIFT))
        else:  # the value itself, also beyond the cap: what is too dense can become thinner
            out[3] = g_density[i] * density[i]


@parallel_kernel
def activate_backward(g_density, g_color, raw, density, color, kind, g_raw):
    """g_raw (samples, 4), from the gradients of both outputs."""
    samples = density.size
    for tile in prange((samples + ACTIVATION_TILE - 1) // ACTIVATION_TILE):
        rows = slice(tile * ACTIVATION_TILE, min((tile + 1) * ACTIVATION_TILE, samples))
        _backward_tile(g_density[rows], g_color[rows], raw[rows], density[rows], color[rows], kind, g_raw[rows])

"""Positional encoding, forward and backward.

gamma(p) = (sin 2^0 pi p, cos 2^0 pi p, ..., sin 2^(L-1) pi p, cos 2^(L-1) pi p), optionally with p itself in front
and without the factor pi. Columns: p (3, optional), then for each frequency 3 sines and 3 cosines.
"""

import numpy as np
from numba import prange, types
from numba.extending import overload

from nerf_mini.kernels.compiling import fast_part, parallel_kernel, part
from nerf_mini.kernels.schedule import ENCODING_TILE

# Taylor coefficients of sin(pi r) / r and cos(pi r) in r^2; on |r| <= 1/2 the remainder is below 1e-16, and below 1e-8
# with the first few.
_SIN = tuple((-1) ** n * np.pi ** (2 * n + 1) / float(np.prod(np.arange(1.0, 2 * n + 2))) for n in range(11))
_COS = tuple((-1) ** n * np.pi ** (2 * n) / float(np.prod(np.arange(1.0, 2 * n + 1))) for n in range(12))


def _terms(x):
    """How many coefficients the precision of x asks for."""
    raise NotImplementedError("for compiled code")


@overload(_terms)
def _(x):
    few = 7 if x.dtype == types.float32 else 11
    return lambda x: few


@fast_part
def sincos_pi(x, scale, count, sines, cosines):
    """sin(pi scale x) and cos(pi scale x) of the first `count` entries of x.

    The angle is reduced exactly to |r| <= 1/2 half turns before the polynomial, so large angles lose nothing.
    """
    terms = _terms(x)
    for i in range(count):
        y = np.float64(x[i]) * scale
        n = np.rint(y)
        r = x.dtype.type(y - n)
        sign = x.dtype.type(1.0 - 2.0 * (n - 2.0 * np.floor(0.5 * n)))
        q = r * r
        s, c = x.dtype.type(_SIN[terms - 1]), x.dtype.type(_COS[terms])
        for k in range(terms - 2, -1, -1):
            s = s * q + x.dtype.type(_SIN[k])
        for k in range(terms - 1, -1, -1):
            c = c * q + x.dtype.type(_COS[k])
        sines[i] = sign * (s * r)
        cosines[i] = sign * c


@part
def encode_columns(x, count, scales, identity, out, start, row):
    """Encode x[3, count] (one row per coordinate) into out[start + i * row + column], flat.

    `scales` are the frequencies in half turns: 2^k, or 2^k / pi without the factor pi.
    """
    sines = np.empty(x.shape[1], x.dtype)
    cosines = np.empty(x.shape[1], x.dtype)
    first = 3 if identity else 0
    for axis in range(3):
        if identity:
            for i in range(count):
                out[start + i * row + axis] = x[axis, i]
        for k in range(scales.size):
            sincos_pi(x[axis], scales[k], count, sines, cosines)
            column = start + first + 6 * k + axis
            for i in range(count):
                out[column + i * row] = sines[i]
                out[column + i * row + 3] = cosines[i]


@part
def encode_columns_backward(g, encoded, start, row, count, scales, identity, g_x):
    """g_x[3, count] from the gradient of the encoding; both lie flat, as `encode_columns` wrote the encoding."""
    first = 3 if identity else 0
    for axis in range(3):
        for i in range(count):
            at = start + i * row
            total = g[at + axis] if identity else g.dtype.type(0)
            for k in range(scales.size):
                column = at + first + 6 * k + axis
                slope = g.dtype.type(np.pi * scales[k])
                total += slope * (g[column] * encoded[column + 3] - g[column + 3] * encoded[column])
            g_x[axis, i] = total


@parallel_kernel
def encode_forward(x, scales, identity, out):
    """x (n, 3) -> out (n, columns)."""
    n, columns = out.shape
    flat = out.reshape(n * columns)
    for tile in prange((n + ENCODING_TILE - 1) // ENCODING_TILE):
        count = min(ENCODING_TILE, n - tile * ENCODING_TILE)
        transposed = np.ascontiguousarray(x[tile * ENCODING_TILE : tile * ENCODING_TILE + count].T)
        encode_columns(transposed, count, scales, identity, flat, tile * ENCODING_TILE * columns, columns)


@parallel_kernel
def encode_backward(g, encoded, scales, identity, g_x):
    """g, encoded (n, columns) -> g_x (n, 3)."""
    n, columns = encoded.shape
    flat_g, flat_encoded = g.reshape(n * columns), encoded.reshape(n * columns)
    for tile in prange((n + ENCODING_TILE - 1) // ENCODING_TILE):
        count = min(ENCODING_TILE, n - tile * ENCODING_TILE)
        tile_g = np.empty((3, count), g.dtype)
        encode_columns_backward(
            flat_g, flat_encoded, tile * ENCODING_TILE * columns, columns, count, scales, identity, tile_g
        )
        for axis in range(3):
            for i in range(count):
                g_x[tile * ENCODING_TILE + i, axis] = tile_g[axis, i]

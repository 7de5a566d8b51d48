"""The contraction of unbounded space into the unit cube, see `geometry.regions.unbounded`."""

from numba import prange

from nerf_mini.kernels.compiling import parallel_kernel
from nerf_mini.kernels.schedule import POINT_BLOCK


@parallel_kernel
def contract_forward(points, out):
    """points (n, 3) in radii about the middle -> out (n, 3) in the unit cube; they may be one array."""
    one, quarter = points.dtype.type(1), points.dtype.type(0.25)
    for block in prange((len(points) + POINT_BLOCK - 1) // POINT_BLOCK):
        for i in range(block * POINT_BLOCK, min((block + 1) * POINT_BLOCK, len(points))):
            m = max(abs(points[i, 0]), max(abs(points[i, 1]), abs(points[i, 2])))
            factor = quarter
            if m > one:
                inverse = one / m
                factor = quarter * (one + one - inverse) * inverse
            for axis in range(3):
                out[i, axis] = points[i, axis] * factor + points.dtype.type(0.5)


@parallel_kernel
def contract_backward(g, points, out):
    """The gradient in points: with f = (2 - 1 / m) / m, g f + (g . p) f'(m) along the largest coordinate."""
    one, quarter = points.dtype.type(1), points.dtype.type(0.25)
    for block in prange((len(points) + POINT_BLOCK - 1) // POINT_BLOCK):
        for i in range(block * POINT_BLOCK, min((block + 1) * POINT_BLOCK, len(points))):
            largest = 0
            for axis in range(1, 3):
                if abs(points[i, axis]) > abs(points[i, largest]):
                    largest = axis
            m = abs(points[i, largest])
            inverse = one / max(m, one)
            factor = quarter * (one + one - inverse) * inverse if m > one else quarter
            along = points.dtype.type(0)
            for axis in range(3):
                along += g[i, axis] * points[i, axis]
                out[i, axis] = g[i, axis] * factor
            if m > one:
                slope = (one + one) * quarter * (inverse - one) * inverse * inverse
                out[i, largest] += along * slope if points[i, largest] > 0 else -along * slope


@parallel_kernel
def contract_in_place(points, side):
    """points (n, 3), in units of a cube about the middle from its corner, `side` radii large, move to the unit cube."""
    kind = points.dtype.type
    one, quarter, half = kind(1), kind(0.25), kind(0.5)
    for block in prange((len(points) + POINT_BLOCK - 1) // POINT_BLOCK):
        for i in range(block * POINT_BLOCK, min((block + 1) * POINT_BLOCK, len(points))):
            m = kind(0)
            for axis in range(3):
                points[i, axis] = (points[i, axis] - half) * kind(side)
                m = max(m, abs(points[i, axis]))
            factor = quarter * (one + one - one / m) / m if m > one else quarter
            for axis in range(3):
                points[i, axis] = points[i, axis] * factor + half

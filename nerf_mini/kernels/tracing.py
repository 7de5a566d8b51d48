"""Following rays from sample to sample, front by front, until they are opaque.

Between these kernels, the field is evaluated at all points of a front at once. Samples are those of `marching.march`:
t[start : start + count] of each ray.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True)
def front_points(alive, front, origins, directions, cube, t, starts, counts, done, out):
    """The points, in the unit cube, of the next `front` samples at most of each ray alive; returns their number."""
    filled = 0
    for ray in alive:
        for i in range(done[ray], min(done[ray] + front, counts[ray])):
            distance = np.float64(t[starts[ray] + i])
            for axis in range(3):
                place = origins[ray, axis] + distance * directions[ray, axis]
                out[filled, axis] = (place - cube[axis]) / cube[3]
            filled += 1
    return filled


@njit(cache=True)
def advance(alive, front, found, starts, counts, length, deepest, depth, done, density):
    """Go on along rays by the density found at their front's points, until the optical depth `deepest` is reached.

    found (points,); density (room,), at the places of the samples, is filled; depth and done (rays,) are the optical
    depth and the number of samples so far. `alive` is shortened in place; returns its new length.
    """
    at, kept = 0, 0
    for ray in alive:
        before, total = done[ray], depth[ray]
        end = min(before + front, counts[ray])
        for i in range(before, end):
            if total < deepest:
                total += found[at + i - before] * length
                density[starts[ray] + i] = found[at + i - before]
                done[ray] += 1
        at += end - before
        depth[ray] = total
        if total < deepest and end < counts[ray]:
            alive[kept] = ray
            kept += 1
    return kept


@njit(cache=True)
def weigh(t, starts, counts, density, length, least, out_distance, out_opacity, out_counts):
    """Weights of the samples, by the quadrature of `compositing`, in the place of their density.

    Samples of less weight than `least` are taken out: the others of a ray, and their t, move up; out_counts (rays,)
    says how many there are. Distance (the sum of weight times t) and opacity (rays,) are of all.
    """
    for ray in range(starts.size):
        depth, distance, opacity, kept = 0.0, 0.0, 0.0, starts[ray]
        for i in range(starts[ray], starts[ray] + counts[ray]):
            tau = density[i] * length
            w = math.exp(-depth) * -math.expm1(-tau)
            depth += tau
            distance += w * t[i]
            opacity += w
            if w >= least:
                t[kept], density[kept] = t[i], w
                kept += 1
        out_distance[ray], out_opacity[ray], out_counts[ray] = distance, opacity, kept - starts[ray]


@njit(cache=True)
def add_colors(color, starts, weights, first, counts, out):
    """out (rays, 3) += weight times colour of the samples; color (samples, 3) lies packed from first (rays,) on."""
    for ray in range(starts.size):
        for i in range(counts[ray]):
            for channel in range(3):
                out[ray, channel] += weights[starts[ray] + i] * color[first[ray] + i, channel]

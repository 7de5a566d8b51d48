"""Following rays from sample to sample, front by front, until they are opaque.

A front is the next few samples of every ray that is still alive. Between these kernels, the field is evaluated at all
points of a front at once.

In training, samples are those of `marching.march`, t[start : start + count] of each ray, and all that is asked is which
of them can be seen. In a picture they are marched to only as they are needed, and weighed at once.
"""

import numpy as np
from numba import prange

from nerf_mini.kernels.compiling import kernel, parallel_kernel, part
from nerf_mini.kernels.marching import follow, step_at
from nerf_mini.kernels.quadrature import weight_and_depth

# -- training ----------------------------------------------------------------------------------------------------------


@kernel
def front_points(alive, front, rays, cube, t, starts, counts, done, out):
    """The points, in coordinates of the cube, of the next `front` samples at most of each ray alive; returns their
    number."""
    filled = 0
    for ray in alive:
        for i in range(done[ray], min(done[ray] + front, counts[ray])):
            _place(rays.origins[ray], rays.directions[ray], np.float64(t[starts[ray] + i]), cube, out[filled])
            filled += 1
    return filled


@part
def _place(origin, direction, t, cube, out):
    for axis in range(3):
        out[axis] = (origin[axis] + t * direction[axis] - cube[axis]) / cube[3]


@kernel
def advance(alive, front, found, t, starts, counts, steps, deepest, depth, done):
    """Go on along rays by the density found at their front's points, until the optical depth `deepest` is reached.

    found (points,); depth and done (rays,) are the optical depth and the number of samples so far. `alive` is shortened
    in place; returns its new length.
    """
    at, kept = 0, 0
    for ray in alive:
        before, total = done[ray], depth[ray]
        end = min(before + front, counts[ray])
        for i in range(before, end):
            if total < deepest:
                total += found[at + i - before] * step_at(t[starts[ray] + i], steps)
                done[ray] += 1
        at += end - before
        depth[ray] = total
        if total < deepest and end < counts[ray]:
            alive[kept] = ray
            kept += 1
    return kept


# -- pictures ----------------------------------------------------------------------------------------------------------

END = -1  # in place of a next candidate, at the end of a ray


@parallel_kernel
def march_front(alive, rays, steps, cells, candidate, out_t, out_counts):
    """The next samples of each ray alive, (alive, front) at most, and how many there are.

    candidate (rays,) is the number of the first candidate that has not been looked at, see `marching`; it is END where
    none is left.
    """
    for k in prange(alive.size):
        ray = alive[k]
        out_counts[k], candidate[ray] = follow(ray, rays, 0.5, steps, cells, candidate[ray], out_t[k])


@parallel_kernel
def place_front(alive, counts, ends, rays, cube, t, out):
    """The points, in coordinates of the cube, of a front, without gaps: those of the k-th ray alive end before
    ends[k]."""
    for k in prange(alive.size):
        ray, first = alive[k], ends[k] - counts[k]
        for i in range(counts[k]):
            _place(rays.origins[ray], rays.directions[ray], np.float64(t[k, i]), cube, out[first + i])


@parallel_kernel
def weigh_front(
    alive, counts, ends, t, density, steps, deepest, depth, distance, opacity, candidate, out_weights
):  # fmt: skip
    """Weights of a front's samples, by the quadrature of training.

    depth, distance (the sum of weight times t) and opacity (rays,) go on from what they were; a ray that reaches the
    optical depth `deepest` is at its END, and what follows weighs nothing.
    """
    for k in prange(alive.size):
        ray, first = alive[k], ends[k] - counts[k]
        for i in range(counts[k]):
            w = 0.0
            if depth[ray] < deepest:
                w, depth[ray] = weight_and_depth(depth[ray], density[first + i], step_at(t[k, i], steps))
                distance[ray] += w * t[k, i]
                opacity[ray] += w
            out_weights[first + i] = w
        if depth[ray] >= deepest:
            candidate[ray] = END


@parallel_kernel
def cross_front(alive, counts, ends, t, density, steps, target, depth, candidate, out_t):
    """Where rays first reach the optical depth `target`: out_t (rays,), filled for those that do so in this front,
    which are then at their END. depth (rays,) goes on from what it was; density is the same all over a sample's step,
    in whose middle the sample lies."""
    for k in prange(alive.size):
        ray, first = alive[k], ends[k] - counts[k]
        for i in range(counts[k]):
            step = step_at(t[k, i], steps)
            added = density[first + i] * step
            if depth[ray] + added >= target:
                out_t[ray] = t[k, i] + step * ((target - depth[ray]) / added - 0.5)
                candidate[ray] = END
                break
            depth[ray] += added


@kernel
def add_colors(color, weights, rays, out):
    """out (rays, 3) += weight times colour of samples, color (samples, 3), weights and their rays (samples,)."""
    for i in range(rays.size):
        for channel in range(3):
            out[rays[i], channel] += weights[i] * color[i, channel]

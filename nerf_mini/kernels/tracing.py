"""Following rays from sample to sample, front by front, until they are opaque.

A front is the next few samples of every ray that is still alive. Between these kernels, the field is evaluated at all
points of a front at once. Nothing is marched to before it is needed: what is hidden costs nothing.
"""

import numpy as np
from numba import prange

from nerf_mini.kernels.compiling import kernel, parallel_kernel, part
from nerf_mini.kernels.marching import enter, follow, step_at
from nerf_mini.kernels.quadrature import weight_and_depth

END = -1  # in place of a next candidate, at the end of a ray


@parallel_kernel
def enter_cells(rays, jitter, steps, cube, filled, out_first, out_end, out_candidate):
    """Where each ray may have samples: `marching.enter` of all rays."""
    for ray in prange(jitter.size):
        out_first[ray], out_end[ray], out_candidate[ray] = enter(
            rays.origins[ray], rays.directions[ray], rays.near[ray], rays.far[ray], jitter[ray], steps, cube, filled
        )


@parallel_kernel
def march_front(alive, rays, first, end, steps, cells, candidate, out_t, out_counts):
    """The next samples of each ray alive, (alive, front) at most, and how many there are.

    candidate (rays,) is the number of the first candidate that has not been looked at, see `marching`; it is END where
    none is left.
    """
    for k in prange(alive.size):
        ray = alive[k]
        out_counts[k], candidate[ray] = follow(ray, rays, first[ray], end[ray], steps, cells, candidate[ray], out_t[k])


@part
def _place(origin, direction, t, cube, out):
    for axis in range(3):
        out[axis] = (origin[axis] + t * direction[axis] - cube[axis]) / cube[3]


@parallel_kernel
def place_front(alive, counts, ends, rays, cube, t, out):
    """The points, in coordinates of the cube, of a front, without gaps: those of the k-th ray alive end before
    ends[k]."""
    for k in prange(alive.size):
        ray, first = alive[k], ends[k] - counts[k]
        for i in range(counts[k]):
            _place(rays.origins[ray], rays.directions[ray], np.float64(t[k, i]), cube, out[first + i])


@parallel_kernel
def see_front(alive, counts, ends, t, density, steps, deepest, least, depth, candidate, out_seen):
    """The samples of a front that can be seen, in place at the beginning of the rows of t, and how many they are: those
    in front of which the optical depth is below `deepest`, and whose weight is at least `least`.

    depth (rays,) goes on from what it was; a ray that reaches `deepest` is at its END.
    """
    for k in prange(alive.size):
        ray, first, seen = alive[k], ends[k] - counts[k], 0
        for i in range(counts[k]):
            if depth[ray] >= deepest:
                break
            weight, depth[ray] = weight_and_depth(depth[ray], density[first + i], step_at(t[k, i], steps))
            if weight >= least:
                t[k, seen] = t[k, i]
                seen += 1
        if depth[ray] >= deepest:
            candidate[ray] = END
        out_seen[k] = seen


@parallel_kernel
def pack_front(alive, seen, t, at, out_t, out_ray):
    """The seen samples of a front behind those of earlier ones: from at[ray] on, which moves on, for rays that `at`
    knows."""
    for k in prange(alive.size):
        ray = alive[k]
        if ray < at.size:
            for i in range(seen[k]):
                out_t[at[ray] + i], out_ray[at[ray] + i] = t[k, i], ray
            at[ray] += seen[k]


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

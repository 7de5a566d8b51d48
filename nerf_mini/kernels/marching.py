"""Marching along rays through a cube of cells, and visiting the occupied ones only.

A ray enters the cube at t_near, and its candidates are the lattice t_n = t_near + (n + jitter) step. A candidate is a
sample if its cell is occupied. Over an empty cell, or an empty block of cells, the march leaps to the first candidate
behind it, so that the samples are exactly the occupied candidates.

`bits` holds one bit per cell, eight cells along z to a byte, (resolution, resolution, resolution / 8); `blocks` one
byte per block of BLOCK cells a side. `cube` is (low x, low y, low z, side). All positions inside are in
cells, in float64: a cell's boundary must not depend on how far away the camera is.
"""

import math

import numpy as np
from numba import prange

from nerf_mini.kernels.compiling import kernel, parallel_kernel, part
from nerf_mini.kernels.schedule import CHUNKS

BLOCK_BITS = 3
BLOCK = 1 << BLOCK_BITS  # cells along the side of a block


@part
def clip_ray(origin, direction, cube, near, far):
    """The part (t_in, t_out) of [near, far] in which a ray is inside the cube; t_in > t_out where there is none."""
    for axis in range(3):
        o, d = np.float64(origin[axis]) - cube[axis], np.float64(direction[axis])
        if d == 0.0:
            if o < 0.0 or o > cube[3]:
                return 1.0, 0.0
            continue
        first, second = -o / d, (cube[3] - o) / d
        near, far = max(near, min(first, second)), min(far, max(first, second))
    return near, far


@part
def _leave(p, place, d, inverse, bits):
    """How far along a coordinate's axis it is to leave the cell, or with BLOCK_BITS the block, of cell `place`."""
    if d == 0.0:
        return math.inf
    return (np.float64(((place >> bits) + (1 if d > 0.0 else 0)) << bits) - p) * inverse


@part
def ray_in_cells(origin, direction, cube, resolution):
    """Origin, direction and inverse of the direction of a ray in units of cells, nine numbers."""
    scale = resolution / cube[3]
    dx, dy, dz = direction[0] * scale, direction[1] * scale, direction[2] * scale
    return (
        (np.float64(origin[0]) - cube[0]) * scale,
        (np.float64(origin[1]) - cube[1]) * scale,
        (np.float64(origin[2]) - cube[2]) * scale,
        dx,
        dy,
        dz,
        1.0 / dx if dx != 0.0 else math.inf,
        1.0 / dy if dy != 0.0 else math.inf,
        1.0 / dz if dz != 0.0 else math.inf,
    )


@part
def next_sample(n, t_first, step, t_out, ray, bits, blocks):
    """The first candidate from number n on in an occupied cell; -1 where none is left before t_out."""
    last, per_step = bits.shape[0] - 1, 1.0 / step
    ox, oy, oz, dx, dy, dz, ix, iy, iz = ray
    t = t_first + n * step
    while t < t_out:
        x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
        i, j, k = min(max(int(x), 0), last), min(max(int(y), 0), last), min(max(int(z), 0), last)
        if bits[i, j, k >> 3] >> (k & 7) & 1:
            return n
        size = 0 if blocks[i >> BLOCK_BITS, j >> BLOCK_BITS, k >> BLOCK_BITS] else BLOCK_BITS
        leap = min(_leave(x, i, dx, ix, size), min(_leave(y, j, dy, iy, size), _leave(z, k, dz, iz, size)))
        # a little less than the whole way: rounding must not leap over a candidate
        n = max(n + 1, math.ceil((t + leap - t_first) * per_step - 1e-6))
        t = t_first + n * step
    return -1


@part
def _share(chunk, items):
    return chunk * items // CHUNKS, (chunk + 1) * items // CHUNKS


@parallel_kernel
def march(origins, directions, jitter, cube, near, far, step, bits, blocks, out_t, out_starts, out_counts):
    """All samples of rays, in out_t[start : start + count] for each ray.

    Each of CHUNKS shares of the rays fills its share of out_t; a ray for which no capacity is left has the count -1.
    """
    for chunk in prange(CHUNKS):
        _march_share(
            np.int64(chunk),
            origins,
            directions,
            jitter,
            cube,
            near,
            far,
            step,
            bits,
            blocks,
            out_t,
            out_starts,
            out_counts,
        )


@part
def _march_share(
    chunk, origins, directions, jitter, cube, near, far, step, bits, blocks, out_t, out_starts, out_counts
):
    at, end = _share(chunk, out_t.size)
    first, last = _share(chunk, out_counts.size)
    for ray in range(first, last):
        t_in, t_out = clip_ray(origins[ray], directions[ray], cube, near[ray], far[ray])
        t_first = t_in + jitter[ray] * step
        in_cells = ray_in_cells(origins[ray], directions[ray], cube, bits.shape[0])
        out_starts[ray] = at
        count, n = 0, np.int64(0)
        while t_in < t_out:
            n = next_sample(n, t_first, step, t_out, in_cells, bits, blocks)
            if n < 0:
                break
            if at + count == end:
                count = -1
                break
            out_t[at + count] = t_first + n * step
            count += 1
            n += 1
        out_counts[ray] = count
        at += max(count, 0)


@kernel
def gather_samples(t, starts, counts, rays, new_starts, out_t, out_ray):
    """Samples of the chosen rays without gaps: t and ray_index (samples,)."""
    for k in range(rays.size):
        ray, at = rays[k], new_starts[k]
        for i in range(counts[ray]):
            out_t[at + i], out_ray[at + i] = t[starts[ray] + i], k

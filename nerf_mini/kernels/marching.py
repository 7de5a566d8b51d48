"""Marching along rays through a cube of cells, and visiting the occupied ones only.

A ray enters the cube at t_in, and its candidates are a lattice that begins at t_in + jitter times a step. Steps have
one length, and from where that is less than `growth` times the distance they have that length. A candidate is a sample
if its cell is occupied. Over an empty cell, or over all the empty blocks of cells around the one it is in, the march
leaps to the first candidate behind them, so that the samples are exactly the occupied candidates.

Cells come in levels: cubes around one centre, each twice as large as the one inside, with as many cells. A place
belongs to the innermost level that it lies in. All positions inside are in cells of the innermost level, in float64: a
cell's boundary must not depend on how far away the camera is.
"""

import math
from typing import NamedTuple

import numpy as np

from nerf_mini.kernels.compiling import part

BLOCK_BITS = 2
BLOCK = 1 << BLOCK_BITS  # cells along the side of a block
_NEVER = 1 << 62


class OccupiedCells(NamedTuple):
    """The occupied cells of nested cubes.

    cube (4,) float64: low corner and side of the innermost. bits (levels, resolution, resolution, resolution / 8)
    uint8: one bit per cell, eight neighbours along z to a byte. clear (levels, resolution / 4, ...) uint8: how many
    blocks of 4^3 cells it is at least, along the axis where it is furthest, to one that holds an occupied cell or where
    another level begins; 0 in such a block itself.
    """

    cube: np.ndarray
    bits: np.ndarray
    clear: np.ndarray


class Steps(NamedTuple):
    """Lengths of marching steps: max(least, growth * distance)."""

    least: float
    growth: float = 0.0


class RayArrays(NamedTuple):
    """Rays for kernels: origins, directions (rays, 3); near, far (rays,) float64."""

    origins: np.ndarray
    directions: np.ndarray
    near: np.ndarray
    far: np.ndarray


@part
def step_at(t, steps):
    """Length of the step at a distance."""
    return max(steps.least, steps.growth * t)


@part
def clip_ray(origin, direction, box, near, far):
    """The part (t_in, t_out) of [near, far] in which a ray is inside a box, given by three low and three high
    coordinates; t_in > t_out where there is none."""
    for axis in range(3):
        o, d = np.float64(origin[axis]), np.float64(direction[axis])
        if d == 0.0:
            if o < box[axis] or o > box[3 + axis]:
                return 1.0, 0.0
            continue
        first, second = (box[axis] - o) / d, (box[3 + axis] - o) / d
        near, far = max(near, min(first, second)), min(far, max(first, second))
    return near, far


@part
def _lattice(first, steps):
    """What `_candidate` and `_number` need: the first candidate, the step and its inverse, the number of the candidate
    from which steps grow, its distance, and the logarithm of the factor by which distances grow and its inverse."""
    step = steps.least
    if steps.growth == 0.0:
        return first, step, 1.0 / step, np.int64(_NEVER), math.inf, 0.0, 0.0
    bend = max(np.int64(math.ceil((step / steps.growth - first) / step)), np.int64(0))
    growth = math.log1p(steps.growth)
    return first, step, 1.0 / step, bend, first + bend * step, growth, 1.0 / growth


@part
def _candidate(n, lattice):
    """The distance of candidate number n."""
    first, step, _, bend, t_bend, growth, _ = lattice
    return first + n * step if n <= bend else t_bend * math.exp((n - bend) * growth)


@part
def _number(t, lattice):
    """The number, with a fraction, that a candidate at a distance would have."""
    first, _, per_step, bend, t_bend, _, per_growth = lattice
    return (t - first) * per_step if t <= t_bend else bend + math.log(t / t_bend) * per_growth


@part
def _leave(p, place, d, inverse, bits, clear):
    """How far along a coordinate's axis it is to leave the cell `place`, or with BLOCK_BITS its block, and clear - 1
    more of them."""
    if d == 0.0:
        return math.inf
    return (np.float64(((place >> bits) + (clear if d > 0.0 else 1 - clear)) << bits) - p) * inverse


@part
def _in_cells(origin, direction, cube, resolution):
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
def _level(x, y, z, half, levels):
    """The level of a place in cells of the innermost one, and the size of its cells."""
    reach, level, size = max(abs(x - half), max(abs(y - half), abs(z - half))), 0, 1.0
    while reach > half * size and level < levels - 1:
        size *= 2.0
        level += 1
    return level, size


@part
def _next_sample(n, lattice, t_out, ray, bits, clear):
    """The first candidate from number n on in an occupied cell, and its distance; -1 where none is left."""
    levels, last, half = bits.shape[0], bits.shape[1] - 1, 0.5 * bits.shape[1]
    ox, oy, oz, dx, dy, dz, ix, iy, iz = ray
    t, level, size = _candidate(n, lattice), 0, 1.0
    while t < t_out:
        x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
        if levels > 1:
            level, size = _level(x, y, z, half, levels)
            if level > 0:
                x, y, z = (x - half) / size + half, (y - half) / size + half, (z - half) / size + half
        i, j, k = min(max(int(x), 0), last), min(max(int(y), 0), last), min(max(int(z), 0), last)
        over, reach = BLOCK_BITS, np.int64(clear[level, i >> BLOCK_BITS, j >> BLOCK_BITS, k >> BLOCK_BITS])
        if reach == 0:
            if bits[level, i, j, k >> 3] >> (k & 7) & 1:
                return n, t
            over, reach = 0, np.int64(1)
        leap = min(
            _leave(x, i, dx, ix, over, reach),
            min(_leave(y, j, dy, iy, over, reach), _leave(z, k, dz, iz, over, reach)),
        )
        # a little less than the whole way: rounding must not leap over a candidate
        n = max(n + 1, math.ceil(_number(t + leap * size, lattice) - 1e-6))
        t = _candidate(n, lattice)
    return -1, t


@part
def enter(origin, direction, near, far, jitter, steps, cube, filled):
    """Where a ray may have samples: the distance of its first candidate, the distance behind which there is none, and
    the number of a candidate before which there is none, which is -1 if there is none at all.

    The lattice begins where the ray enters the box `cube`; occupied are cells in the box `filled` alone.
    """
    t_in, t_out = clip_ray(origin, direction, cube, near, far)
    begin, end = clip_ray(origin, direction, filled, t_in, t_out)
    if t_in >= t_out or begin > end:
        return t_in, t_in, np.int64(-1)
    first = t_in + jitter * step_at(t_in, steps)
    # a little more than the filled box: rounding must not lose a candidate at its faces
    number = max(np.int64(math.floor(_number(begin, _lattice(first, steps)) - 1e-6)), np.int64(0))
    return first, min(t_out, end + 1e-6 * steps.least), number


@part
def follow(ray, rays, first, end, steps, cells, n, out_t):
    """Fill out_t with the samples of a ray from candidate number n on; returns their number, and the next candidate's,
    which is -1 where none is left. For `first` and `end` see `enter`."""
    lattice = _lattice(first, steps)
    in_cells = _in_cells(rays.origins[ray], rays.directions[ray], cells.cube, cells.bits.shape[1])
    count = 0
    while n >= 0 and count < out_t.size:
        n, t = _next_sample(n, lattice, end, in_cells, cells.bits, cells.clear)
        if n >= 0:
            out_t[count] = t
            count += 1
            n += 1
    return count, n

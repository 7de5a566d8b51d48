"""Marching along rays through the occupied cells of a cube. Not differentiable: distances are chosen, not learnt."""

from __future__ import annotations

import numpy as np

from nerf_mini.kernels import marching as kernels
from nerf_mini.ops.occupancy import OccupiedCells


def march(
    origins: np.ndarray,
    directions: np.ndarray,
    near: np.ndarray,
    far: np.ndarray,
    cells: OccupiedCells,
    *,
    step: float,
    jitter: np.ndarray,
    capacity: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples of rays wherever a cell is occupied, at equal steps from where the ray enters the cube.

    origins, directions (rays, 3) float32; near and far (rays,) float64 bound the distance; jitter (rays,) float32 in
    [0, 1) shifts a ray's samples by a part of the step. Lengths are in scene units.

    Returns t (capacity,) float32 and starts, counts (rays,) int64: ray r has the samples t[starts[r]] ... of number
    counts[r], with gaps between rays. A ray for which no capacity was left has the count -1.
    """
    t, rays = np.empty(capacity, np.float32), len(origins)
    starts, counts = np.empty(rays, np.int64), np.empty(rays, np.int64)
    kernels.march(origins, directions, jitter, cells.cube, near, far, step, cells.bits, cells.blocks, t, starts, counts)
    return t, starts, counts


def gather_samples(
    t: np.ndarray, starts: np.ndarray, counts: np.ndarray, rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The samples of the chosen rays (chosen,), without gaps; t, starts and counts as `march` returns them.

    Returns t (samples,) and ray_index (samples,) int64 into the chosen rays.
    """
    ends = np.cumsum(counts[rays])
    total = int(ends[-1]) if len(rays) else 0
    gathered, ray_index = np.empty(total, t.dtype), np.empty(total, np.int64)
    kernels.gather_samples(t, starts, counts, rays, ends - counts[rays], gathered, ray_index)
    return gathered, ray_index

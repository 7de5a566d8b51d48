"""Marching along rays through occupied cells. Not differentiable: distances are chosen, not learnt."""

from __future__ import annotations

import numpy as np

from nerf_mini.kernels import marching as kernels
from nerf_mini.kernels.marching import OccupiedCells, RayArrays, Steps


def march(
    rays: RayArrays, cells: OccupiedCells, steps: Steps, jitter: np.ndarray, capacity: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples of rays wherever a cell is occupied, from where the ray enters the outermost cube.

    rays: origins and directions float32; jitter (rays,) float32 in [0, 1) shifts a ray's samples by a part of the step.
    Distances and steps are in the units of the rays.

    Returns t (capacity,) float32 and starts, counts (rays,) int64: ray r has the samples t[starts[r]] ... of number
    counts[r], with gaps between rays. A ray for which no capacity was left has the count -1.
    """
    t, count = np.empty(capacity, np.float32), len(rays.origins)
    starts, counts = np.empty(count, np.int64), np.empty(count, np.int64)
    kernels.march(rays, jitter, steps, cells, t, starts, counts)
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

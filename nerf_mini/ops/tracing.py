"""Following rays front by front until they are opaque. Not differentiable.

A front is the next few samples of every ray that is still alive; the field is evaluated at all points of a front at
once. In training, `front_points` and `advance` find out which of the samples already marched are visible. In pictures,
`march_front`, `place_front` and `weigh_front` march no further than is needed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerf_mini.kernels import tracing as kernels
from nerf_mini.kernels.marching import OccupiedCells, RayArrays, Steps

# -- training: which samples are visible -------------------------------------------------------------------------------


def front_points(
    alive: np.ndarray,
    front: int,
    rays: RayArrays,
    cube: np.ndarray,
    t: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    done: np.ndarray,
) -> np.ndarray:
    """Points (points, 3) float32, in units of the cube from its corner: the next samples, `front` at most, of each ray
    in alive (alive,).

    t, starts and counts are those of `march`; done (rays,) is how many samples of each ray came before.
    """
    points = np.empty((min(front * len(alive), len(t)), 3), np.float32)
    filled = kernels.front_points(alive, front, rays, cube, t, starts, counts, done, points)
    return points[:filled]


def advance(
    alive: np.ndarray,
    front: int,
    density: np.ndarray,
    t: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    steps: Steps,
    depth_limit: float,
    depth: np.ndarray,
    done: np.ndarray,
) -> np.ndarray:
    """Move past the points of `front_points`, with the field's density (points,) there; returns the rays still alive.

    Each sample adds its density times its step to its ray's optical depth; a ray ends where that reaches `depth_limit`.
    Changed in place: depth (rays,) float64, the optical depths so far, and done (rays,), how many samples are visible.
    """
    kept = kernels.advance(alive, front, density, t, starts, counts, steps, depth_limit, depth, done)
    return alive[:kept]


# -- pictures ----------------------------------------------------------------------------------------------------------


class RayProgress(NamedTuple):
    """How far rays have been followed, all (rays,).

    candidate int64: number of the next candidate sample, -1 at the end of the ray; depth: optical depth; distance: sum
    of weight * t; opacity: sum of weights; float64.
    """

    candidate: np.ndarray
    depth: np.ndarray
    distance: np.ndarray
    opacity: np.ndarray

    @classmethod
    def start(cls, rays: int) -> RayProgress:
        """At the beginning of rays."""
        return cls(np.zeros(rays, np.int64), *(np.zeros(rays) for _ in range(3)))

    def unfinished(self, alive: np.ndarray) -> np.ndarray:
        """Those of the rays in alive (alive,) that go on."""
        return alive[self.candidate[alive] != kernels.END]


def march_front(
    alive: np.ndarray, front: int, rays: RayArrays, cells: OccupiedCells, steps: Steps, progress: RayProgress
) -> tuple[np.ndarray, np.ndarray]:
    """Distances t (alive, front) float64 of the next samples of each ray in alive, and their counts (alive,) int64.

    Samples are those of `march` with jitter 1/2; the candidates in `progress` move on in place.
    """
    t, counts = np.empty((len(alive), front)), np.empty(len(alive), np.int64)
    kernels.march_front(alive, rays, steps, cells, progress.candidate, t, counts)
    return t, counts


def place_front(alive: np.ndarray, t: np.ndarray, counts: np.ndarray, rays: RayArrays, cube: np.ndarray) -> np.ndarray:
    """Points of a front, (points, 3) float32, in units of the cube from its corner, ray after ray without gaps."""
    ends = np.cumsum(counts)
    points = np.empty((ends[-1] if len(ends) else 0, 3), np.float32)
    kernels.place_front(alive, counts, ends, rays, cube, t, points)
    return points


def weigh_front(
    alive: np.ndarray,
    t: np.ndarray,
    counts: np.ndarray,
    density: np.ndarray,
    steps: Steps,
    opaque: float,
    progress: RayProgress,
) -> np.ndarray:
    """Weights (points,) float32 of a front's samples, by the quadrature of `composite`; `progress` moves on in place.

    density (points,) is the field's at the points of `place_front`; each sample stands for an interval of its step. A
    ray ends at the optical depth `opaque`.
    """
    weights = np.empty(len(density), np.float32)
    kernels.weigh_front(
        alive, counts, np.cumsum(counts), t, density, steps, opaque, progress.depth, progress.distance,
        progress.opacity, progress.candidate, weights,
    )  # fmt: skip
    return weights


def cross_front(
    alive: np.ndarray,
    t: np.ndarray,
    counts: np.ndarray,
    density: np.ndarray,
    steps: Steps,
    target: float,
    progress: RayProgress,
    reached: np.ndarray,
) -> None:
    """Fill in `reached` (rays,) float64, in place, where rays first reach the optical depth `target`; they end there.

    density (points,) is the field's at the points of `place_front`, and the same over the step around each. Candidates
    and depths in `progress` move on in place.
    """
    kernels.cross_front(
        alive, counts, np.cumsum(counts), t, density, steps, target, progress.depth, progress.candidate, reached
    )


def add_colors(color: np.ndarray, weights: np.ndarray, rays: np.ndarray, total: np.ndarray) -> None:
    """total (rays, 3) += weight * color, in place, for samples with color (samples, 3), weights and rays (samples,)."""
    kernels.add_colors(color, weights, rays, total)

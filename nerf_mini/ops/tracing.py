"""Following rays through occupied cells, front by front, until they are opaque. Not differentiable: distances are
chosen, not learnt.

A front is the next few samples of every ray that is still alive: `march_front` finds them and `place_front` says where
they are. The field is evaluated at all points of a front at once, and one of the others goes on by what it said:
`see_front` in training, `weigh_front` in pictures, `cross_front` for surfaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nerf_mini.kernels import tracing as kernels
from nerf_mini.kernels.marching import OccupiedCells, RayArrays, Steps
from nerf_mini.ops.occupancy import all_occupied
from nerf_mini.ops.registry import rehearsal


class RayProgress(NamedTuple):
    """How far rays have been followed, all (rays,).

    first: distance of the first candidate sample; end: distance behind which there are no more; candidate int64: number
    of the next one, -1 at the end of the ray; depth: optical depth; distance: sum of weight * t; opacity: sum of
    weights; all but one float64.
    """

    first: np.ndarray
    end: np.ndarray
    candidate: np.ndarray
    depth: np.ndarray
    distance: np.ndarray
    opacity: np.ndarray

    @classmethod
    def start(
        cls, rays: RayArrays, cells: OccupiedCells, steps: Steps, jitter: np.ndarray | None = None
    ) -> RayProgress:
        """At the beginning of rays; jitter (rays,) float32 in [0, 1), by default 1/2, shifts a ray's samples by a part
        of the step. Rays that pass all occupied cells by are at their end."""
        count = len(rays.origins)
        progress = cls(*(np.zeros(count, np.int64 if name == "candidate" else np.float64) for name in cls._fields))
        filled = _filled_box(cells)
        if filled is None:
            progress.candidate[:] = kernels.END
            return progress
        shift = np.full(count, 0.5, np.float32) if jitter is None else jitter
        cube = _box_of_level(cells, cells.bits.shape[0] - 1)
        kernels.enter_cells(rays, shift, steps, cube, filled, progress.first, progress.end, progress.candidate)
        return progress

    def rays(self) -> np.ndarray:
        """Those that are not at their end."""
        return np.flatnonzero(self.candidate != kernels.END)

    def unfinished(self, alive: np.ndarray) -> np.ndarray:
        """Those of the rays in alive (alive,) that go on."""
        return alive[self.candidate[alive] != kernels.END]


def _box_of_level(cells: OccupiedCells, level: int) -> np.ndarray:
    """Low and high corner (6,) of a level's cube."""
    low, side = cells.cube[:3], cells.cube[3]
    margin = 0.5 * side * (2.0**level - 1)
    return np.concatenate([low - margin, low + side + margin])


def _filled_box(cells: OccupiedCells) -> np.ndarray | None:
    """Low and high corner (6,) of the box around all blocks that hold an occupied cell, or inner levels; None where no
    block does."""
    boxes = []
    for level, clear in enumerate(cells.clear):
        filled = clear == 0
        places = [np.flatnonzero(filled.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        if len(places[0]):
            box = _box_of_level(cells, level)
            size = (box[3:] - box[:3]) / filled.shape
            low, high = ([place[end] for place in places] for end in (0, -1))
            boxes.append(np.concatenate([box[:3] + low * size, box[:3] + (np.array(high) + 1) * size]))
    if not boxes:
        return None
    return np.concatenate([np.min(boxes, axis=0)[:3], np.max(boxes, axis=0)[3:]])


def march_front(
    alive: np.ndarray, front: int, rays: RayArrays, cells: OccupiedCells, steps: Steps, progress: RayProgress
) -> tuple[np.ndarray, np.ndarray]:
    """Distances t (alive, front) float64 of the next samples of each ray in alive, and their counts (alive,) int64.

    Samples lie wherever a cell is occupied, on a lattice of steps that begins where the ray enters the outermost cube.
    Distances and steps are in the units of the rays. The candidates in `progress` move on in place.
    """
    t, counts = np.empty((len(alive), front)), np.empty(len(alive), np.int64)
    kernels.march_front(alive, rays, progress.first, progress.end, steps, cells, progress.candidate, t, counts)
    return t, counts


def place_front(alive: np.ndarray, t: np.ndarray, counts: np.ndarray, rays: RayArrays, cube: np.ndarray) -> np.ndarray:
    """Points of a front, (points, 3) float32, in units of the cube from its corner, ray after ray without gaps."""
    ends = np.cumsum(counts)
    points = np.empty((ends[-1] if len(ends) else 0, 3), np.float32)
    kernels.place_front(alive, counts, ends, rays, cube, t, points)
    return points


def see_front(
    alive: np.ndarray,
    t: np.ndarray,
    counts: np.ndarray,
    density: np.ndarray,
    steps: Steps,
    opaque: float,
    progress: RayProgress,
    least: float = 0.0,
) -> np.ndarray:
    """How many of a front's samples (alive,) int64 can be seen: those in front of which the optical depth is below
    `opaque`, where a ray ends, and whose weight is at least `least`. They move to the beginning of the rows of t.

    density (points,) is the field's at the points of `place_front`; each sample adds its density times its step.
    Candidates and depths in `progress` move on in place.
    """
    seen = np.empty(len(alive), np.int64)
    kernels.see_front(
        alive, counts, np.cumsum(counts), t, density, steps, opaque, least, progress.depth, progress.candidate, seen
    )
    return seen


def pack_fronts(
    fronts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The seen samples of fronts (alive, t, seen), one after the other, as those of the first rays without gaps.

    counts (chosen,) is how many samples each of the first rays has in all fronts; other rays are left out. Returns
    t (samples,) float32 and ray_index (samples,) int64.
    """
    at, total = np.cumsum(counts) - counts, int(counts.sum())
    packed, ray_index = np.empty(total, np.float32), np.empty(total, np.int64)
    for alive, t, seen in fronts:
        kernels.pack_front(alive, seen, t, at, packed, ray_index)
    return packed, ray_index


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


@rehearsal
def visible_samples() -> None:
    """For the warm-up: how a training step finds its samples along a ray."""
    cells, steps = all_occupied(np.array([0.0, 0.0, 0.0, 1.0]), 8), Steps(0.5)
    ends = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    rays = RayArrays(*ends, np.zeros(1), np.ones(1))
    progress = RayProgress.start(rays, cells, steps)
    alive = progress.rays()
    t, counts = march_front(alive, 4, rays, cells, steps, progress)
    density = np.zeros(len(place_front(alive, t, counts, rays, cells.cube)), np.float32)
    seen = see_front(alive, t, counts, density, steps, 1.0, progress)
    pack_fronts([(alive, t, seen)], seen)

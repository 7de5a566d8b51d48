"""Samples where there is something: marching through a grid of cells that the field has found occupied."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from nerf_mini import ops
from nerf_mini.config import OccupancyConfig
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.region import Box
from nerf_mini.ops.occupancy import OccupiedCells, all_occupied
from nerf_mini.samplers.base import Density
from nerf_mini.samplers.samples import Samples


@dataclass(frozen=True)
class OccupancySchedule:
    """Constants of the algorithm.

    Attributes:
        eager_steps, eager_share, share: a step evaluates 1 / eager_share of the cells, in the first eager_steps steps,
            when the field changes fastest, and 1 / share of them later.
        eager_decay, decay: of a cell's density at each visit.
        refresh: steps between decisions which cells are occupied.
        occupied: optical depth along the side of the region above which a cell counts as occupied, unless the mean is
            lower.
        long_steps: (until step, factor). Early on the region is full of fog: march with longer steps,
        small_batches: and train on fewer samples.
        transmittance: what is seen through less than this is not looked at.
        front, front_samples: samples evaluated together, of each ray, and of all rays at least.
        marched_per_sample: samples marched through, hidden ones included, for each that is trained on.
        max_rays: of a step.
        momentum: weight of the past in the mean number of samples per ray.
    """

    eager_steps: int = 64
    eager_share: int = 16
    share: int = 256
    eager_decay: float = 0.95
    decay: float = 0.7
    refresh: int = 16
    occupied: float = 5.0
    long_steps: tuple[tuple[int, int], ...] = ((64, 4), (128, 2))
    small_batches: tuple[tuple[int, int], ...] = ((128, 4), (256, 2))
    transmittance: float = 1e-4
    front: int = 8
    front_samples: int = 1 << 13
    marched_per_sample: int = 4
    max_rays: int = 1 << 15
    momentum: float = 0.9

    def long_step(self, step: int) -> int:
        """How many times longer the marching steps are in a training step."""
        return max((factor for until, factor in self.long_steps if step < until), default=1)

    def small_batch(self, step: int) -> int:
        """How many times fewer samples a training step has."""
        return max((factor for until, factor in self.small_batches if step < until), default=1)

    def front_of(self, rays: int) -> int:
        """Samples to evaluate together on each of so many rays."""
        return max(self.front, self.front_samples // rays)

    @property
    def opaque(self) -> float:
        """The optical depth behind which nothing is seen."""
        return -math.log(self.transmittance)


SCHEDULE = OccupancySchedule()


@dataclass
class OccupancyGrid:
    """Which cells of a region are worth a look.

    density (resolution,) * 3 float32, per scene unit: a decaying maximum of what the field said, negative where no
    camera looks; cells: which of them are occupied; cursor (1,) int64: cells visited so far. The arrays are the whole
    state.
    """

    region: Box
    density: np.ndarray
    cells: OccupiedCells
    cursor: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    @classmethod
    def full(cls, region: Box, resolution: int) -> OccupancyGrid:
        """A grid in which every cell is occupied; the resolution is a power of two and at least 8."""
        return cls(region, np.zeros((resolution,) * 3, np.float32), all_occupied(region.array, resolution))

    @property
    def resolution(self) -> int:
        return len(self.density)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The state, by name; changed in place by `update`."""
        return {"density": self.density, "bits": self.cells.bits, "blocks": self.cells.blocks, "cursor": self.cursor}

    @property
    def occupied_share(self) -> float:
        """The share of the cells that are occupied."""
        return float(np.bitwise_count(self.cells.bits).sum(dtype=np.int64)) / self.density.size

    def forget_unseen(self, cameras: Cameras) -> None:
        """Remove for good the cells that no camera sees."""
        ops.mark_unseen(self.density, self.region.array, cameras.poses, cameras.frustums())
        self.mark_occupied(-0.5)

    def mark_occupied(self, threshold: float) -> None:
        """Decide which cells are occupied: those whose density exceeds the threshold."""
        ops.mark_occupied(self.density, threshold, self.cells)

    def update(self, density: Density, step: int, rng: np.random.Generator) -> None:
        """Evaluate the next cells of an endless sweep over all, and now and then decide anew which are occupied.

        The work is spread evenly over the steps.
        """
        cells = self.resolution**3
        eager = step < SCHEDULE.eager_steps
        count = cells // (SCHEDULE.eager_share if eager else SCHEDULE.share)
        indices, points = ops.cell_points(int(self.cursor[0]), rng.random((count, 3), np.float32), self.resolution)
        found = density(points)
        decay = SCHEDULE.eager_decay if eager else SCHEDULE.decay
        ops.update_cells(self.density, indices, found, decay)
        self.cursor[0] = (self.cursor[0] + count) % cells
        if (step + 1) % SCHEDULE.refresh == 0:
            occupied = SCHEDULE.occupied / self.region.unit_length
            self.mark_occupied(min(ops.mean_density(self.density), occupied))


@dataclass
class MarchedRays:
    """Samples of rays with gaps between: t (capacity,), starts and counts (rays,).

    A ray for which no capacity was left has the count -1.
    """

    t: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def packed(self, budget: int, step: float, dtype=np.float32) -> tuple[np.ndarray, Samples]:
        """The first rays that fit into a budget of samples, their indices, and their samples without gaps."""
        rays = np.flatnonzero(self.counts >= 0)
        ends = np.cumsum(self.counts[rays])
        chosen = int(np.searchsorted(ends, budget, side="right"))
        rays, ends = rays[:chosen], ends[:chosen]
        counts = self.counts[rays]
        t, ray_index = ops.gather_samples(self.t, self.starts, self.counts, rays)
        samples = Samples(t.astype(dtype, copy=False), np.full(len(t), step, dtype), ray_index, ends - counts, counts)
        return rays, samples


class OccupancySampler:
    """Steps of one length in occupied cells, as far as they can be seen (Mueller et al. 2022).

    Each ray has a lattice of its own, jittered in training. A first pass without derivatives evaluates the density
    front by front and drops what lies behind something opaque. As many rays are drawn as fill a budget of samples.
    """

    def __init__(self, region: Box, settings: OccupancyConfig, cameras: Cameras):
        self.region, self.cameras, self.settings = region, cameras, settings
        self.grid = OccupancyGrid.full(region, settings.occupancy_resolution)
        self.samples_per_ray = np.full(1, settings.march_steps / 8)  # running mean; the first rays are long
        self.step_length, self.budget = self.length_of_step(0), self._budget(0)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """See `Sampler`."""
        return {**self.grid.arrays, "samples_per_ray": self.samples_per_ray}

    def length_of_step(self, step: int | None = None) -> float:
        """Length of a marching step in scene units: in a training step, longer in the first ones."""
        longer = 1 if step is None else SCHEDULE.long_step(step)
        return longer * self.region.diagonal / self.settings.march_steps

    def length_for_pictures(self) -> float:
        """Length of a marching step in scene units for pictures: longer while most of the region is fog."""
        share = self.grid.occupied_share
        return (4 if share > 0.5 else 2 if share > 0.25 else 1) * self.length_of_step()

    def _budget(self, step: int) -> int:
        return self.settings.samples_per_step // SCHEDULE.small_batch(step)

    def rays_of_step(self) -> int:
        """As many as have visible samples to fill the budget."""
        return int(np.clip(self.budget / max(self.samples_per_ray[0], 1e-3), 16, SCHEDULE.max_rays))

    def before_step(self, density: Density, step: int, rng: np.random.Generator) -> None:
        """Keep the occupancy grid up with the field."""
        if step == 0:
            self.grid.forget_unseen(self.cameras)
        self.step_length, self.budget = self.length_of_step(step), self._budget(step)
        self.grid.update(density, step, rng)

    def sample(self, rays: Rays, density: Density, rng: np.random.Generator | None) -> tuple[np.ndarray, Samples]:
        """See `Sampler`."""
        jitter = np.full(len(rays), 0.5, np.float32) if rng is None else rng.random(len(rays), np.float32)
        marched = self.visible(rays, self.march(rays, jitter), density)
        counts = marched.counts[marched.counts >= 0]
        if len(counts):
            self.samples_per_ray *= SCHEDULE.momentum
            self.samples_per_ray += (1 - SCHEDULE.momentum) * counts.mean()
        return marched.packed(self.budget, self.step_length, rays.origins.dtype.type)

    def march(self, rays: Rays, jitter: np.ndarray) -> MarchedRays:
        """All samples in occupied cells; jitter (rays,) in [0, 1) shifts a ray's lattice."""
        marched = ops.march(
            rays.origins, rays.directions, rays.near, rays.far, self.grid.cells, step=self.step_length, jitter=jitter,
            capacity=SCHEDULE.marched_per_sample * self.budget,
        )  # fmt: skip
        return MarchedRays(*marched)

    def visible(self, rays: Rays, marched: MarchedRays, density: Density) -> MarchedRays:
        """The samples in front of what is opaque."""
        done, depth = np.minimum(marched.counts, 0), np.zeros(len(marched.counts))
        alive = np.flatnonzero(marched.counts > 0)
        while len(alive):
            front = SCHEDULE.front_of(len(alive))
            points = ops.front_points(
                alive, front, rays.origins, rays.directions, self.region.array, marched.t, marched.starts,
                marched.counts, done,
            )  # fmt: skip
            found = density(points)
            alive = ops.advance(alive, front, found, marched.counts, self.step_length, SCHEDULE.opaque, depth, done)
        return MarchedRays(marched.t, marched.starts, done)

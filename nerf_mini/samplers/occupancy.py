"""Samples where there is something: marching through a grid of cells that the field has found occupied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nerf_mini import ops
from nerf_mini.config import OccupancyConfig
from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Region
from nerf_mini.ops import OccupiedCells, RayArrays, Steps
from nerf_mini.samplers.base import Density
from nerf_mini.samplers.samples import Samples

ALL_FOG = 0.9  # share of occupied cells, of those seen, that only a field has which has learnt nothing yet


@dataclass(frozen=True)
class OccupancySchedule:
    """Constants of the algorithm.

    Attributes:
        eager_steps, eager_share, share: a step evaluates 1 / eager_share of the cells, in the first eager_steps steps,
            when the field changes fastest, and 1 / share of them later.
        eager_decay, decay: of a cell's density at each visit.
        refresh: steps between decisions which cells are occupied.
        occupied: optical depth along the diagonal of the region above which a cell counts as occupied, unless the mean
            is lower.
        long_steps: (until step, factor). Early on the region is full of fog: march with longer steps,
        small_batches: and train on fewer samples.
        transmittance: what is seen through less than this is not looked at.
        least_weight: samples of less weight have no part in a training step. They would hardly change a colour, and
            other rays take their place.
        front, picture_front, front_samples: samples evaluated together, of each ray, in pictures, and of all rays at
            least. Behind the last one that is seen they are evaluated in vain.
        usual_samples: mean of all rays, once the air is clear, those that meet nothing included.
        max_rays: of a step.
        momentum: weight of the past in the mean number of samples per ray.
    """

    eager_steps: int = 64
    eager_share: int = 16
    share: int = 256
    eager_decay: float = 0.95
    decay: float = 0.7
    refresh: int = 16
    occupied: float = 5.0 * 3**0.5
    long_steps: tuple[tuple[int, int], ...] = ((64, 4), (128, 2))
    small_batches: tuple[tuple[int, int], ...] = ((128, 4), (256, 2))
    transmittance: float = 1e-4
    least_weight: float = 1e-3
    front: int = 8
    picture_front: int = 4
    front_samples: int = 1 << 13
    usual_samples: int = 5
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

    def picture_front_of(self, rays: int) -> int:
        """The same in pictures."""
        return max(self.picture_front, self.front_samples // rays)

    @property
    def opaque(self) -> float:
        """The optical depth behind which nothing is seen."""
        return -math.log(self.transmittance)


SCHEDULE = OccupancySchedule()
# Photographs are opaque all over: the fog of the first steps ends no ray, and takes longer to clear.
CAPTURE_SCHEDULE = OccupancySchedule(long_steps=((256, 8), (512, 4), (1024, 2)), transmittance=1e-2)


@dataclass
class OccupancyGrid:
    """Which cells of a region are worth a look.

    density (levels, resolution, resolution, resolution) float32: a decaying maximum of what the field said, before the
    region scales it, negative where too few cameras look; cells: which of them are occupied; cursor (1,) int64: cells
    visited so far. The arrays are the whole state.
    """

    region: Region
    density: np.ndarray
    cells: OccupiedCells
    schedule: OccupancySchedule = SCHEDULE
    cursor: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    @classmethod
    def full(cls, region: Region, resolution: int, schedule: OccupancySchedule = SCHEDULE) -> OccupancyGrid:
        """A grid in which every cell is occupied; the resolution is a power of two and at least 8, or 32 with several
        levels."""
        density = np.zeros((region.levels, *(resolution,) * 3), np.float32)
        return cls(region, density, ops.all_occupied(region.cube, resolution, region.levels), schedule)

    @property
    def resolution(self) -> int:
        return self.density.shape[1]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The state, by name; changed in place by `update`."""
        return {"density": self.density, "bits": self.cells.bits, "cursor": self.cursor}

    @property
    def occupied_share(self) -> float:
        """The share of the cells that are occupied."""
        return float(np.bitwise_count(self.cells.bits).sum(dtype=np.int64)) / self.density.size

    @property
    def occupied_share_of_seen(self) -> float:
        """The share that is occupied of the cells that enough cameras see."""
        return self.occupied_share * self.density.size / max(1, int(np.count_nonzero(self.density >= 0)))

    def forget_unseen(self, cameras: Cameras) -> None:
        """Remove for good the cells that too few cameras see."""
        view = self.region.view_of_cells(cameras)
        ops.mark_unseen(self.density, self.region.cube, *view, self.region.least_views)
        self.mark_occupied(-0.5)

    def mark_occupied(self, threshold: float) -> None:
        """Decide which cells are occupied: those whose density exceeds the threshold."""
        ops.mark_occupied(self.density, threshold, self.cells)

    def update(self, density: Density, step: int, rng: np.random.Generator) -> None:
        """Evaluate the next cells of an endless sweep over all, and now and then decide anew which are occupied.

        The work is spread evenly over the steps.
        """
        size = self.density.size
        eager = step < self.schedule.eager_steps
        count = size // (self.schedule.eager_share if eager else self.schedule.share)
        visited = ops.sweep(int(self.cursor[0]), count, size)
        jitter = rng.random((count, 3), np.float32)
        seen = np.flatnonzero(self.density.reshape(-1)[visited] >= 0)
        visited = visited[seen]
        points = self.region.warp(ops.cell_points(visited, jitter[seen], self.resolution))
        decay = self.schedule.eager_decay if eager else self.schedule.decay
        ops.update_cells(self.density, visited, density(points), decay)
        self.cursor[0] = (self.cursor[0] + count) % size
        if (step + 1) % self.schedule.refresh == 0:
            occupied = self.schedule.occupied / self.region.diagonal
            self.mark_occupied(min(ops.mean_density(self.density), occupied))


def ray_arrays(rays: Rays) -> RayArrays:
    """Rays for the operators that march."""
    return RayArrays(np.ascontiguousarray(rays.origins), np.ascontiguousarray(rays.directions), rays.near, rays.far)


def scaled(density: np.ndarray, region: Region, points: np.ndarray) -> np.ndarray:
    """A field's density (n,) at points of the unit cube (n, 3), in place per length in the region's coordinates."""
    scale = region.scale(points)
    if scale is not None:
        density *= scale
    return density


class OccupancySampler:
    """Steps in occupied cells, as far as they can be seen (Mueller et al. 2022), along rays in a region's coordinates.

    Each ray has a lattice of its own, jittered in training. A first pass without derivatives evaluates the density
    front by front and goes no further than to something opaque. As many rays are drawn as fill a budget of samples.
    """

    operators = (ops.OperatorUse("visible_samples"), ops.OperatorUse("occupancy_update"))

    def __init__(self, region: Region, settings: OccupancyConfig, cameras: Cameras, budget: int | None = None):
        """`budget`: samples of what is drawn at once, where that is not a step as the settings have it.

        Raises UserError for one that the longest rays do not fit into.
        """
        self.region, self.cameras, self.settings = region, cameras, settings
        resolution = settings.occupancy_resolution or (128 if region.levels == 1 else 64)
        self.schedule = SCHEDULE if region.bounded else CAPTURE_SCHEDULE
        self.grid = OccupancyGrid.full(region, resolution, self.schedule)
        fitting = min(region.march_steps(cameras), settings.samples_per_step // 8)
        self.march_steps = settings.march_steps or fitting
        self.full_budget = settings.samples_per_step if budget is None else budget
        if self.full_budget < 2 * self.march_steps:
            raise UserError(
                f"--shards: each would have {self.full_budget} samples, which must be at least twice the marching"
                f" steps, {self.march_steps}, or the longest rays do not fit in. Take fewer shards, or raise"
                " --samples-per-step or --batch."
            )
        self.samples_per_ray = np.full(1, self.march_steps / 8)  # running mean; the first rays are long
        self.steps, self.budget = self.steps_of(0), self._budget(0)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """See `Sampler`."""
        return {**self.grid.arrays, "samples_per_ray": self.samples_per_ray}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """See `Sampler`."""
        for name, array in self.state.items():
            array[...] = state[name]
        ops.measure_clear(self.grid.cells)

    @property
    def running(self) -> np.ndarray:
        """See `Sampler`."""
        return self.samples_per_ray

    def steps_of(self, step: int | None = None) -> Steps:
        """Lengths of marching steps: in a training step, longer in the first ones."""
        longer = 1 if step is None else self.schedule.long_step(step)
        return self._steps(longer)

    def steps_for_pictures(self) -> Steps:
        """Lengths of marching steps for pictures: longer while most of the region is fog."""
        if not self.region.bounded and self.grid.occupied_share_of_seen > ALL_FOG:  # untrained: fog that ends no ray
            return self._steps(16)
        share = self.grid.occupied_share
        return self._steps(4 if share > 0.5 else 2 if share > 0.25 else 1)

    def _steps(self, longer: int) -> Steps:
        region = self.region
        return Steps(longer * region.diagonal / self.march_steps, longer * region.step_growth)

    def _budget(self, step: int) -> int:
        return self.full_budget // self.schedule.small_batch(step)

    @property
    def usual_rays(self) -> int:
        """See `Sampler`."""
        return max(1, self.full_budget // self.schedule.usual_samples)

    def rays_of_step(self) -> int:
        """As many as have visible samples to fill the budget."""
        return int(np.clip(self.budget / max(self.samples_per_ray[0], 1e-3), 16, self.schedule.max_rays))

    def before_step(self, density: Density, step: int, rng: np.random.Generator) -> None:
        """Keep the occupancy grid up with the field."""
        if step == 0:
            self.grid.forget_unseen(self.cameras)
        self.steps, self.budget = self.steps_of(step), self._budget(step)
        self.grid.update(density, step, rng)

    def sample(self, rays: Rays, density: Density, rng: np.random.Generator | None) -> tuple[np.ndarray, Samples]:
        """See `Sampler`: the first rays that fill the budget."""
        jitter = np.full(len(rays), 0.5, np.float32) if rng is None else rng.random(len(rays), np.float32)
        samples = self.visible(rays, jitter, density, self.schedule.least_weight)
        if len(samples.counts):
            self.samples_per_ray *= self.schedule.momentum
            self.samples_per_ray += (1 - self.schedule.momentum) * samples.counts.mean()
        return np.arange(len(samples.counts)), samples

    def visible(self, rays: Rays, jitter: np.ndarray, density: Density, least_weight: float = 0.0) -> Samples:
        """The samples in front of what is opaque, of the first rays whose samples fit into the budget; without those of
        less than `least_weight`.

        jitter (rays,) float32 in [0, 1) shifts a ray's lattice.
        """
        cells, steps, opaque = self.grid.cells, self.steps, self.schedule.opaque
        inside, counts, fronts, fitting = ray_arrays(rays), np.zeros(len(rays), np.int64), [], len(rays)
        progress = ops.RayProgress.start(inside, cells, steps, jitter)
        alive = progress.rays()
        while len(alive):
            t, found = ops.march_front(alive, self.schedule.front_of(len(alive)), inside, cells, steps, progress)
            points = self.region.warp(ops.place_front(alive, t, found, inside, cells.cube))
            there = scaled(density(points), self.region, points)
            seen = ops.see_front(alive, t, found, there, steps, opaque, progress, least_weight)
            fronts.append((alive, t, seen))
            counts[alive] += seen
            fitting = int(np.searchsorted(np.cumsum(counts), self.budget, side="right"))
            alive = progress.unfinished(alive[alive < fitting])  # further rays will not be taken
        return self._packed(fronts, counts[:fitting], rays.origins.dtype.type)

    def _packed(self, fronts: list, counts: np.ndarray, real: type) -> Samples:
        t, ray_index = ops.pack_fronts(fronts, counts)
        t, least = t.astype(real, copy=False), real(self.steps.least)
        delta = np.maximum(real(self.steps.growth) * t, least) if self.steps.growth else np.full_like(t, least)
        return Samples(t, delta, ray_index, np.cumsum(counts) - counts, counts)

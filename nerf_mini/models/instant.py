"""Fields in a cube around the scene, sampled where an occupancy grid says that something is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from autodiff import value_and_grad
from nerf_mini.config import Config
from nerf_mini.fields import HashGridField
from nerf_mini.geometry.cameras import Intrinsics
from nerf_mini.models.base import Method
from nerf_mini.ops import GridMLPShape, GridShape, OperatorUse, composite, distortion, tracing
from nerf_mini.rendering.volume import Rendering
from nerf_mini.samplers.occupancy import EAGER_SHARE, Cube, MarchedRays, OccupancyGrid, cube_of_cameras, pixels_across
from nerf_mini.scenes.batches import RayBatch

DEEPEST = -math.log(1e-4)  # optical depth behind which nothing is seen
# Until these steps of a training rays are marched with steps so many times as long, and batches are so much smaller:
# while the cube is full of fog, rays are long and teach little.
STRIDES = ((64, 4), (128, 2))
SHARES = ((128, 4), (256, 2))
# Samples of less weight than the first have no colour in a picture, as long as those of a ray weigh no more than the
# second together: half a level of 8 bits.
FAINT, ALL_FAINT = 1e-3, 0.5 / 255
FRONT, FRONT_SAMPLES = 8, 1 << 13  # samples that are looked at together: of each ray, and of all, at least
ROOM = 4  # samples marched through, opaque ones included, for each that is trained on
MOST_RAYS = 1 << 15  # per step
CELLS_PER_PIXEL = 1.25  # of the finest grid, in the middle of the cube
MEMORY = 0.9  # weight of the past in the number of samples per ray


class CubeField(Protocol):
    """Density and colour in the unit cube; lengths, and so density, are in sides of the cube."""

    @property
    def bytes_per_sample(self) -> int:
        """What training keeps of a sample between the forward and the backward pass."""

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """The operators of a training step, for the warm-up."""

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """Fresh parameters."""

    def density(self, parameters: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Density alone as a function of points (samples, 3) -> (samples,); plain arrays, no derivative."""

    def __call__(
        self, parameters: Any, points: Any, directions: Any, ray_index: np.ndarray, noise: Any = None
    ) -> tuple:
        """points (samples, 3), directions (rays, 3) -> density (samples,), color (samples, 3)."""


class OccupancySampled(Method):
    """A field in a cube around the scene, sampled with steps of one length in occupied cells (Mueller et al. 2022)."""

    rays_at_once = 1 << 16

    def __init__(
        self, field: CubeField, config: Config, cube: Cube, near: float, far: float, poses: np.ndarray,
        intrinsics: Intrinsics,
    ):  # fmt: skip
        settings = config.occupancy
        self.field, self.near, self.far, self.poses, self.intrinsics = field, near, far, poses, intrinsics
        self.noise, self.distortion = config.sampling.density_noise, config.training.distortion
        self.march_steps = settings.march_steps
        self.samples_per_step = settings.samples_per_step
        self.occupancy = OccupancyGrid.full(cube, settings.occupancy_resolution)
        self.samples_per_ray = np.full(1, settings.march_steps / 8)  # running mean; the first steps are long
        self.step, self.budget = self._march_step(0), self._budget(0)

    @property
    def cube(self) -> Cube:
        return self.occupancy.cube

    @property
    def state(self) -> dict[str, np.ndarray]:
        return {**self.occupancy.arrays, "samples_per_ray": self.samples_per_ray}

    def _march_step(self, step: int | None = None) -> float:
        """Length of a step along a ray, in scene units: longer in the first steps of a training."""
        longer = 1 if step is None else max((f for until, f in STRIDES if step < until), default=1)
        return longer * math.sqrt(3) * self.cube.side / self.march_steps

    def _budget(self, step: int) -> int:
        """Samples of a training step: fewer in the first ones."""
        return self.samples_per_step // max((f for until, f in SHARES if step < until), default=1)

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """Fresh parameters."""
        return self.field.init(rng)

    # -- training ------------------------------------------------------------------------------------------------------

    def rays_of_step(self) -> int:
        """As many as have visible samples to fill the budget."""
        return int(np.clip(self.budget / max(self.samples_per_ray[0], 1e-3), 16, MOST_RAYS))

    def samples_at_once(self) -> int:
        """See `Method`."""
        front = FRONT * self.rays_at_once
        return max(front, 2 * ROOM * self.samples_per_step, self.occupancy.resolution**3 // EAGER_SHARE)

    def bytes_kept(self) -> int:
        """See `Method`."""
        return self.samples_per_step * self.field.bytes_per_sample

    def background_of_step(self, background: str, has_alpha: bool) -> str:
        """Random behind pictures with alpha: what is not opaque cannot pass for the colour of the background."""
        return "random" if has_alpha else background

    def before_step(self, parameters: Any, step: int, rng: np.random.Generator) -> None:
        """Keep the occupancy grid up with the field."""
        if step == 0:
            self.occupancy.forget_unseen(self.poses, self.intrinsics)
        self.step, self.budget = self._march_step(step), self._budget(step)
        self.occupancy.update(self.field.density(parameters), step, rng)

    def loss_and_gradient(
        self, parameters: Any, batch: RayBatch, rng: np.random.Generator
    ) -> tuple[dict[str, float], Any]:
        """The photometric loss of a batch, or of its first rays that fit into the budget, and its gradient."""
        jitter = rng.random(len(batch.origins), np.float32)
        marched = self._march(batch.origins, batch.directions, jitter, self.step, ROOM * self.budget)
        marched = self._visible(parameters, batch.origins, batch.directions, marched, self.step)
        self._note_samples(marched)
        rays, directions, points, samples = marched.packed(
            batch.origins, batch.directions, self.cube, self.step, self.budget
        )
        target, background = batch.target[rays], batch.background[rays]
        noise = np.float32(self.noise) * rng.standard_normal(len(points), np.float32) if self.noise > 0 else None

        def loss(parameters):
            density, color = self.field(parameters, points, directions, samples.ray_index, noise)
            s = samples.t, samples.delta, samples.starts, samples.counts
            color, _, opacity, weights = composite(density, color, *s)
            color = color + (1 - opacity)[:, None] * background
            photometric = np.mean((color - target) ** 2)
            if self.distortion == 0:
                return photometric, photometric
            spread_out = np.mean(distortion(weights, samples.t / np.float32(self.cube.side), *s[1:]))
            return photometric + np.float32(self.distortion) * spread_out, photometric

        (value, photometric), gradient = value_and_grad(loss, has_aux=True)(parameters)
        found = math.inf if len(points) else 0.0
        return {"loss": float(value), "fine_loss": float(photometric), "spread": found}, gradient

    def _march(self, origins, directions, jitter, step, room) -> MarchedRays:
        return self.occupancy.march(origins, directions, jitter, self.near, self.far, step, room)

    def _note_samples(self, marched: MarchedRays) -> None:
        counts = marched.counts[marched.counts >= 0]
        if len(counts):
            self.samples_per_ray *= MEMORY
            self.samples_per_ray += (1 - MEMORY) * counts.mean()

    def _visible(self, parameters, origins, directions, marched: MarchedRays, step: float) -> MarchedRays:
        """The samples in front of what is opaque."""
        length, cube = step / self.cube.side, self.cube.array
        done, depth = np.minimum(marched.counts, 0), np.zeros(len(marched.counts))
        alive, density_at = np.flatnonzero(marched.counts > 0), self.field.density(parameters)
        while len(alive):
            front = max(FRONT, FRONT_SAMPLES // len(alive))
            points = tracing.front_points(
                alive, front, origins, directions, cube, marched.t, marched.starts, marched.counts, done
            )
            alive = tracing.advance(alive, front, density_at(points), marched.counts, length, DEEPEST, depth, done)
        return MarchedRays(marched.t, marched.starts, done)

    # -- rendering -----------------------------------------------------------------------------------------------------

    def view(self, parameters: Any, origins: np.ndarray, directions: np.ndarray, background: np.ndarray) -> Rendering:
        """What rays (rays, 3) see, without jitter and without derivatives; faint samples have no colour."""
        rays, step, cube = len(origins), self._march_step(), self.cube.array
        length, density_at = step / self.cube.side, self.field.density(parameters)
        near, far = np.full(rays, self.near, np.float64), np.full(rays, self.far, np.float64)
        progress, cutoffs = tracing.RayProgress.start(rays), tracing.Cutoffs(DEEPEST, FAINT, ALL_FAINT)
        color, alive = np.zeros((rays, 3), np.float32), np.arange(rays)
        while len(alive):
            front = max(FRONT, FRONT_SAMPLES // len(alive))
            t, counts = tracing.march_front(
                alive, front, origins, directions, near, far, self.occupancy.cells, step, progress
            )
            points = tracing.place_front(alive, t, counts, origins, directions, cube)
            weights = tracing.weigh_front(alive, t, counts, density_at(points), length, cutoffs, progress)
            seen = np.flatnonzero(weights)
            place = np.repeat(np.arange(len(alive)), counts)[seen]  # of each one's ray among those alive
            _, emitted = self.field(parameters, points[seen], directions[alive], place)
            tracing.add_colors(emitted, weights[seen], alive[place], color)
            alive = progress.unfinished(alive)
        distance, opacity = progress.distance, progress.opacity
        color += (1 - opacity)[:, None].astype(np.float32) * background
        mean_distance = distance / np.maximum(opacity, 1e-10)
        return Rendering(color, mean_distance.astype(np.float32), opacity.astype(np.float32))


class Instant(OccupancySampled):
    """Multiresolution hash encoding with a small network (Mueller et al. 2022)."""

    lazy = ("tables",)

    def __init__(self, config: Config, near: float, far: float, poses: np.ndarray, intrinsics: Intrinsics):
        settings = config.instant
        cube = cube_of_cameras(poses, near, far, config.occupancy.cube_side)
        finest = max(settings.base_resolution, round(CELLS_PER_PIXEL * pixels_across(cube, poses, intrinsics)))
        grid = GridShape(
            levels=settings.levels,
            features=settings.features,
            log2_entries=settings.log2_entries,
            base=settings.base_resolution,
            finest=finest if settings.finest_resolution is None else settings.finest_resolution,
        )
        network = GridMLPShape(grid.width, settings.hidden_width, color_depth=settings.color_layers)
        field = HashGridField(grid, network, bfloat16=config.precision != "float32")
        super().__init__(field, config, cube, near, far, poses, intrinsics)

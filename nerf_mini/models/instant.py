"""Models of one field in a region, sampled where an occupancy grid says that something is (Mueller et al. 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini.config import Config, InstantConfig, NerfConfig, OccupancyConfig
from nerf_mini.fields import Field, HashGridField
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Region, make_region
from nerf_mini.models.base import Model
from nerf_mini.models.common import mlp_field, near_length, noise_of, query_field
from nerf_mini.models.precision import uses_bfloat16
from nerf_mini.ops import GridMLPShape, GridShape, OperatorUse, harmonics_width
from nerf_mini.rendering.fast import first_reached, render_fronts
from nerf_mini.rendering.volume import Rendering, render
from nerf_mini.samplers import Density, OccupancySampler, Samples
from nerf_mini.scenes import SceneCameras

CELLS_PER_PIXEL = 1.25  # of the finest grid, in the middle of the region; see docs/tuning.md
FINEST = 2**20 - 1  # cells along a side that a grid can have
BOX_ENTRIES, CAPTURE_ENTRIES = 17, 19  # log2, of a level of the tables; see docs/tuning.md
BOX_COLOR_LAYERS, CAPTURE_COLOR_LAYERS = 2, 1  # see docs/tuning.md
CAPTURE_DISTORTION = 1e-2  # clears the air of scenes without bounds; see docs/tuning.md


class OccupancyModel(Model):
    """A field in a region, sampled with marching steps in occupied cells."""

    sampler: OccupancySampler
    random_background = True
    rays_at_once = 1 << 16

    def __init__(self, field: Field, region: Region, settings: OccupancyConfig, config: Config, cameras: Cameras):
        self.field, self.region = field, region
        self.sampler = OccupancySampler(region, settings, cameras, config.training.of_shard(settings.samples_per_step))
        self.density_noise = config.losses.density_noise
        self.distortion = 0.0 if region.bounded else CAPTURE_DISTORTION
        self.near_length = near_length(config.losses, region)

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """See `Model`."""
        return *self.sampler.operators, *self.field.operators, *self.region.operators, OperatorUse("composite")

    def init(self, rng: np.random.Generator) -> dict[str, Any]:
        """See `Model`."""
        return self.field.init(rng)

    def density(self, parameters: Any) -> Density:
        """See `Model`."""
        return self.field.density(parameters)

    def render(
        self,
        parameters: Any,
        rays: Rays,
        samples: Samples,
        background: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> tuple[Rendering, ...]:
        """See `Model`: one rendering."""
        noise = noise_of(self.density_noise, samples, rng)
        return (render(self.field, parameters, self.region, rays, samples, background, noise, self.near_length),)

    def view(self, parameters: Any, rays: Rays, background: np.ndarray) -> Rendering:
        """See `Model`."""
        return render_fronts(self.field, parameters, self.sampler, rays, background)

    def first_reached(self, parameters: Any, rays: Rays, transmittance: float) -> np.ndarray:
        """See `Model`."""
        return first_reached(self.field, parameters, self.sampler, rays, transmittance)

    def query(self, parameters: Any, points: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Model`."""
        return query_field(self.field, parameters, self.region, points, directions)

    def samples_at_once(self) -> int:
        """See `Model`."""
        grid, schedule = self.sampler.grid, self.sampler.schedule
        of_step = schedule.front * schedule.max_rays + self.sampler.full_budget
        return max(schedule.front * self.rays_at_once, of_step, grid.density.size // schedule.eager_share)

    def bytes_per_ray(self) -> int:
        """See `Model`: the sampler bounds the samples of a step."""
        return 0

    def bytes_kept(self) -> int:
        """See `Model`."""
        return self.sampler.full_budget * self.field.bytes_per_sample


def instant_model(config: Config, settings: InstantConfig, scene: SceneCameras) -> OccupancyModel:
    """The hash grid with its small network, in the space that the scene fills."""
    chosen, occupancy, cameras = settings.grid, settings.occupancy, scene.train
    region = make_region(scene.space, cameras, occupancy.cube_side)
    cells = min(CELLS_PER_PIXEL * region.pixels_across(cameras), FINEST)
    finest = max(chosen.base_resolution, round(cells))
    grid = GridShape(
        levels=chosen.levels,
        features=chosen.features,
        log2_entries=chosen.log2_entries or (BOX_ENTRIES if region.bounded else CAPTURE_ENTRIES),
        base=chosen.base_resolution,
        finest=finest if chosen.finest_resolution is None else chosen.finest_resolution,
    )
    codes = config.appearance.appearance_codes
    features = harmonics_width(3) + codes
    layers = chosen.color_layers or (BOX_COLOR_LAYERS if region.bounded else CAPTURE_COLOR_LAYERS)
    network = GridMLPShape(grid.width, chosen.hidden_width, color_depth=layers, ray_features=features)
    field = HashGridField(grid, network, uses_bfloat16(config.precision), region.unit_length, codes)
    model = OccupancyModel(field, region, occupancy, config, cameras)
    model.sparse = ("tables",)
    model.supersampling = 2 if region.bounded else 1
    return model


def occupancy_nerf_model(config: Config, settings: NerfConfig, scene: SceneCameras) -> OccupancyModel:
    """One network of the paper, in the space that the scene fills."""
    region = make_region(scene.space, scene.train, settings.occupancy.cube_side)
    field = mlp_field(settings.network, config.precision, config.appearance.appearance_codes)
    return OccupancyModel(field, region, settings.occupancy, config, scene.train)

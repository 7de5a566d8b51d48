"""Pictures of a field sampled by an occupancy grid, fast: rays are followed front by front, until they are opaque.

The samples and the quadrature are those of training, and so is the way to find them; colours are added up at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nerf_mini import ops
from nerf_mini.fields import Field
from nerf_mini.geometry.rays import Rays
from nerf_mini.ops.tracing import RayProgress
from nerf_mini.rendering.volume import Rendering, scene_distance
from nerf_mini.samplers.occupancy import OccupancySampler, ray_arrays, scaled


def render_fronts(
    field: Field, parameters: Any, sampler: OccupancySampler, rays: Rays, background: np.ndarray
) -> Rendering:
    """What rays see, without jitter and without derivatives; background (3,) or (rays, 3)."""
    steps, cells, region = sampler.steps_for_pictures(), sampler.grid.cells, sampler.region
    schedule = sampler.schedule
    inside = ray_arrays(region.enter(rays))
    progress, color = RayProgress.start(inside, cells, steps), np.zeros((len(rays), 3), np.float32)
    alive = progress.rays()
    while len(alive):
        t, counts = ops.march_front(alive, schedule.picture_front_of(len(alive)), inside, cells, steps, progress)
        points = region.warp(ops.place_front(alive, t, counts, inside, cells.cube))
        directions, place = rays.directions[alive], np.repeat(np.arange(len(alive)), counts)  # of each one's ray
        density, emitted = field(parameters, points, directions, place)  # one pass: most samples are seen
        density = scaled(density, region, points)
        weights = ops.weigh_front(alive, t, counts, density, steps, schedule.opaque, progress)
        ops.add_colors(emitted, weights, alive[place], color)
        alive = progress.unfinished(alive)
    color += (1 - progress.opacity)[:, None].astype(np.float32) * background
    depth = region.depth(rays, progress.distance / np.maximum(progress.opacity, 1e-10))
    return Rendering(color, depth.astype(np.float32), progress.opacity.astype(np.float32))


def first_reached(
    field: Field, parameters: Any, sampler: OccupancySampler, rays: Rays, transmittance: float
) -> np.ndarray:
    """The distance (rays,) float64, in scene units, at which the transmittance falls to `transmittance`; infinite where
    more is left to the end."""
    steps, cells, region = sampler.steps_for_pictures(), sampler.grid.cells, sampler.region
    density_at, inside, target = field.density(parameters), ray_arrays(region.enter(rays)), -math.log(transmittance)
    progress, reached = RayProgress.start(inside, cells, steps), np.full(len(rays), np.inf)
    alive = progress.rays()
    while len(alive):
        front = sampler.schedule.picture_front_of(len(alive))
        t, counts = ops.march_front(alive, front, inside, cells, steps, progress)
        points = region.warp(ops.place_front(alive, t, counts, inside, cells.cube))
        density = scaled(density_at(points), region, points)
        ops.cross_front(alive, t, counts, density, steps, target, progress, reached)
        alive = progress.unfinished(alive)
    return scene_distance(region, rays, reached)

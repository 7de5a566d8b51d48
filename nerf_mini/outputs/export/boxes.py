"""Which box of a scene is exported, and on which density its surface lies."""

from __future__ import annotations

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.regions import Region, make_region
from nerf_mini.outputs.export.base import CaptureWorld, ExportTask
from nerf_mini.outputs.export.training_rays import SurfacePoints, random_rays, surface_points
from nerf_mini.samplers import OccupancySampler
from nerf_mini.training import Trainer

RAYS = 5000  # that look for the surface
BEGINS = 0.92  # transmittance where a surface begins, for its level; see docs/export.md
FIRM = 0.95  # opacity of rays that end in the scene
FEWEST = 50  # of them
MOST_SEEN = 0.05, 0.9  # quantiles of the places seen, between which a scene without a middle is taken
MARGIN = 0.1  # by which that box is widened on either side, as a share of its side


def chosen_box(task: ExportTask) -> Crop:
    """The box that is asked for; else what the scene is about.

    That is its cube, or the cube around the middle of an unbounded scene, whose half side is its inner radius. What
    lies ahead of forward-facing cameras has no middle: there it is the box of most of what they see.
    """
    if task.request.box is not None:
        return task.world.box_in_scene(np.array(task.request.box))
    trainer, space = task.trainer, task.trainer.cameras.space
    if space is not None and space.kind == "forward":
        return _seen_box(trainer)
    if space is not None and space.kind == "unbounded":
        center, radius = np.array(space.center), space.radius
        return Crop.between(center - radius, center + radius)
    cube = _bounded_region(trainer).cube
    return Crop.between(cube[:3], cube[:3] + cube[3])


def _bounded_region(trainer: Trainer) -> Region:
    """The cube of a bounded scene: that of the grid of occupied cells, else the one around what cameras look at."""
    model = trainer.model
    if isinstance(model.sampler, OccupancySampler):
        return model.region
    return make_region(trainer.cameras.space, trainer.cameras.train)


def _seen_box(trainer: Trainer) -> Crop:
    seen = _opaque_points(trainer).positions
    if len(seen) < FEWEST:
        raise UserError("the training cameras see nothing opaque: train longer, or say what to take with --box.")
    low, high = np.quantile(seen, MOST_SEEN, axis=0)
    margin = MARGIN * (high - low)
    return Crop.between(low - margin, high + margin)


def _opaque_points(trainer: Trainer) -> SurfacePoints:
    """Where rays of the training cameras meet what they end at."""
    rays = random_rays(trainer.training_cameras, RAYS, np.random.default_rng(0))
    points = surface_points(trainer, rays, BEGINS)
    return points[points.opacity > FIRM]


def surface_level(trainer: Trainer, box: Crop, world: CaptureWorld) -> float:
    """The density, per scene unit, on which the surface lies: the median of those at which the light of training rays
    begins to be lost.

    Raises UserError where too few rays in the box meet anything.
    """
    points = _opaque_points(trainer)
    inside = points[box.contains(points.positions)]
    if len(points) < FEWEST:
        raise UserError(
            f"only {len(points)} of {RAYS} training rays end at anything opaque: this run has no surface yet. Train"
            " longer, or say with --level on which density its surface is to lie."
        )
    if len(inside) < FEWEST:
        low, high = np.quantile(world.points(points.positions), (0.02, 0.98), axis=0).round(3).tolist()
        raise UserError(
            "the box holds nothing that the training cameras see. Most of what they see lies between"
            f" {_listed(low)} and {_listed(high)}: choose another --box."
        )
    density = trainer.model.density_at(trainer.field, inside.positions)
    return float(np.median(density))


def _listed(corner: list[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in corner) + ")"

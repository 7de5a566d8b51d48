"""A point cloud: where rays of the training cameras meet the surface."""

from __future__ import annotations

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.crop import Crop
from nerf_mini.io.images import to_uint8
from nerf_mini.io.ply import write_ply_points
from nerf_mini.outputs.export.base import Exported, Exporter, ExportTask
from nerf_mini.outputs.export.boxes import chosen_box
from nerf_mini.outputs.export.training_rays import SURFACE, SurfacePoints, random_rays, surface_points
from nerf_mini.outputs.memory import require_memory_for_points
from nerf_mini.rendering.shading import OPAQUE
from nerf_mini.training import Trainer

POINTS = 1_000_000
RAYS_AT_ONCE = 1 << 17
MOST_RAYS = 20  # for each point
NORMAL_STEP = 0.005  # of the box's side, between densities that are compared


def write(task: ExportTask) -> Exported:
    """See `Exporter`."""
    wanted = task.request.points or POINTS
    require_memory_for_points(wanted)
    box = chosen_box(task)
    points = met(task, box, wanted)
    normals = falling(task.trainer, points, NORMAL_STEP * float(np.max(box.sides)))
    places, world = task.world.points(points.positions), task.world
    write_ply_points(task.output, places, to_uint8(points.colors), world.directions(normals))
    low, high = places.min(axis=0), places.max(axis=0)
    record = {
        "points": len(points),
        "box": world.box_record(box),
        "transmittance": SURFACE,
        "bounds": [low.tolist(), high.tolist()],
        "axes": "those of the capture",
    }
    return Exported((task.output,), f"{len(points)} points", record)


def met(task: ExportTask, box: Crop, wanted: int) -> SurfacePoints:
    """Points in a box where random rays of the training cameras meet a surface: as many as wanted, or fewer where most
    rays meet nothing. Raises UserError where there is none."""
    cameras, rng = task.trainer.training_cameras, np.random.default_rng(0)
    found: list[SurfacePoints] = []
    total = 0
    for _ in range(-(-MOST_RAYS * wanted // RAYS_AT_ONCE)):
        new = surface_points(task.trainer, random_rays(cameras, min(RAYS_AT_ONCE, 4 * wanted), rng), SURFACE)
        new = new[(new.opacity > OPAQUE) & box.contains(new.positions)]
        found.append(new[np.arange(min(len(new), wanted - total))])
        total += len(found[-1])
        task.progress("points", total, wanted)
        if total == wanted or (total == 0 and len(found) >= MOST_RAYS):
            break
    if total == 0:
        raise UserError("no ray of the training cameras meets anything in the box: train longer, or change --box.")
    if total < wanted:
        task.warn(f"{total} points instead of {wanted}: most rays meet nothing in the box.")
    return SurfacePoints.joined(found)


def falling(trainer: Trainer, points: SurfacePoints, step: float) -> np.ndarray:
    """Unit normals (n, 3) float32: along which the density falls; towards the camera where it does not change."""
    model, parameters = trainer.model, trainer.field
    gradient = np.empty((len(points), 3), np.float32)
    for first in range(0, len(points), RAYS_AT_ONCE):
        part = slice(first, first + RAYS_AT_ONCE)
        for axis, offset in enumerate(np.eye(3, dtype=np.float32) * np.float32(step)):
            ahead, behind = (model.density_at(parameters, points.positions[part] + o) for o in (offset, -offset))
            gradient[part, axis] = behind - ahead
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return np.where(length > 0, gradient / np.maximum(length, 1e-30), -points.directions)


EXPORTER = Exporter("points", "points on the surface, with colours and normals", (".ply",), ("points", "box"), write)

"""Depth and normals of the views of a split, as pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.files import write_atomically
from nerf_mini.io.images import write_image
from nerf_mini.outputs.export.base import Exported, Exporter, ExportTask
from nerf_mini.outputs.export.training_rays import SURFACE, reached
from nerf_mini.outputs.memory import require_memory_for_pictures
from nerf_mini.rendering.shading import OPAQUE, surface_normals

COARSE, LEAST_PIXELS = 8, 32  # times smaller are pictures in which the largest depth is looked for, but not below
HEADROOM = 1.25  # for what they miss
DEEPEST = 65535


def write(task: ExportTask) -> Exported:
    """See `Exporter`."""
    split, cameras = chosen_cameras(task)
    unit = depth_unit(task, cameras)
    views, files = [], []
    for view in range(len(cameras)):
        depth, normals = surface_maps(task, cameras, view)
        entry: dict[str, Any] = {"view": view, "size": cameras.size[view].tolist()}
        for kind in ("depth", "normal"):
            entry[kind] = f"{kind}/{split}_{view:03d}.png"
            files.append(task.output / entry[kind])
        _write_depth(files[-2], depth / unit)
        write_image(files[-1], np.where(normals.any(axis=-1, keepdims=True), 0.5 * (normals + 1), 0.0))
        views.append(entry)
        task.progress("maps", view + 1, len(cameras))
    record = {
        "split": split,
        "depth_unit": unit,
        "depth_along": "optical axis" if looks_ahead(cameras) else "ray",
        "views": views,
        "axes": "those of the capture",
    }
    return Exported(tuple(files), f"depth and normals of {len(cameras)} views", record)


def chosen_cameras(task: ExportTask) -> tuple[str, Cameras]:
    """The split that is asked for, by default the held-out one if there is any, and its cameras in the scene."""
    request, splits = task.request, task.trainer.refined_cameras.splits
    split = request.split or ("test" if "test" in splits else "train")
    if split not in splits:
        raise UserError(f"--split {quoted(split)}: this run has only {', '.join(splits)}.")
    scale = request.scale or 1.0
    try:
        cameras = splits[split].scaled(scale)
    except ValueError as error:
        raise UserError(f"--scale {scale:g}: {error}.") from error
    require_memory_for_pictures(cameras)
    return split, cameras


def looks_ahead(cameras: Cameras) -> bool:
    """Whether every pixel sees what is before its camera, so that it has a depth along the optical axis."""
    return bool(np.isfinite(cameras.frustums()).all())


def surface_maps(
    task: ExportTask, cameras: Cameras, view: int, antialias: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The depth (height, width), in the capture's unit and 0 where nothing is, and unit normals (height, width, 3) in
    the capture's axes, 0 where there are none.

    Where something is, a pixel as a whole says; the depth is that of its middle: a mean over an edge lies nowhere.
    """
    width, height = cameras.size[view].tolist()
    rays = cameras.image_rays(view)
    image = task.trainer.render(cameras, view, antialias=antialias)
    distance = reached(task.trainer, rays, SURFACE).reshape(height, width)
    known = (image.opacity > OPAQUE) & np.isfinite(distance)
    depth = np.where(known, distance, 0.0).astype(np.float32)
    shown = replace(image, depth=depth, opacity=known.astype(np.float32))
    normals = task.world.directions(surface_normals(shown, cameras, view))
    if looks_ahead(cameras):
        ahead = -(rays.directions @ cameras.poses[view, :3, 2]).reshape(height, width)
        depth = depth * ahead
    return depth * task.world.scale, normals


def depth_unit(task: ExportTask, cameras: Cameras) -> float:
    """The length that one step of a 16-bit depth stands for, the same in all views: the largest depth of small pictures
    just fits."""
    small = cameras.scaled(min(1.0, max(1 / COARSE, LEAST_PIXELS / int(cameras.size.min()))))
    largest = max(float(surface_maps(task, small, view, antialias=False)[0].max()) for view in range(len(small)))
    if largest == 0:
        raise UserError("nothing opaque is seen by these cameras: there is no depth to write. Train longer.")
    return HEADROOM * largest / DEEPEST


def _write_depth(file: Path, steps: np.ndarray) -> None:
    steps = np.rint(steps)
    pixels = np.where(steps <= DEEPEST, steps, 0).astype(np.uint16)  # no depth rather than a wrong one
    write_atomically(file, lambda opened: Image.fromarray(pixels).save(opened, format="PNG"))


EXPORTER = Exporter("maps", "depth in 16 bits and normals of a split's views, as PNG", (), ("split", "scale"), write)

"""What a page must know before it asks for frames: cameras, a place to start from, what can be shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini import __version__
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit_like
from nerf_mini.geometry.poses import common_up, look_at, looked_at
from nerf_mini.geometry.regions import Box, Forward, Region, Unbounded
from nerf_mini.outputs.viewer.requests import MOST_SIDE
from nerf_mini.rendering.shading import SHADINGS
from nerf_mini.training import Trainer

AHEAD = 2.0  # where to look in a scene that lies ahead, in distances of its nearest thing


def describe(trainer: Trainer, name: str, run: str, photos: bool) -> dict[str, Any]:
    """What does not change while a trainer is looked at, as plain values.

    photos: whether the pictures of the data set can be had.
    """
    train, region = trainer.cameras.train, trainer.model.region
    width, height = train.size[0].tolist()
    space = trainer.cameras.space
    return {
        "name": name,
        "run": run,
        "version": __version__,
        "space": "box" if space is None else space.kind,
        "shadings": list(SHADINGS),
        "cameras": _cameras(trainer, photos),
        "start": _start(trainer),
        "fov": float(np.median(vertical_fields_of_view(train))),
        "aspect": width / height,
        "background": [float(channel) for channel in trainer.cameras.background],
        "crop": _largest_crop(region) if region.croppable else None,
        "most_side": MOST_SIDE,
    }


def vertical_fields_of_view(cameras: Cameras) -> np.ndarray:
    """Vertical, in radians, (V,); of the middle of the picture, where a lens bends the rest."""
    return 2.0 * np.arctan(0.5 * cameras.size[:, 1] / cameras.focal[:, 1])


def _cameras(trainer: Trainer, photos: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for split, cameras in trainer.refined_cameras.splits.items():
        views = None if trainer.scene is None else trainer.scene.splits.get(split)
        for view, fov in enumerate(vertical_fields_of_view(cameras).tolist()):
            width, height = cameras.size[view].tolist()
            found.append({
                "index": len(found), "split": split, "name": f"{split} {view}" if views is None else views.names[view],
                "pose": cameras.poses[view].reshape(-1).tolist(), "fov": fov, "aspect": width / height,
                "width": width, "height": height, "photo": photos,
            })  # fmt: skip
    return found


def _start(trainer: Trainer) -> dict[str, Any]:
    """Where to begin: on the orbit around an object; among photographs, near one, where something is known to be."""
    poses, region = np.asarray(trainer.cameras.train.poses, np.float64), trainer.model.region
    up = common_up(poses)
    if isinstance(region, Forward):
        target = np.array(region.center) - [0.0, 0.0, AHEAD * region.near]
        place = np.array(region.center)
    else:
        target = looked_at(poses)
        place = (orbit_like(poses, 40) if region.bounded else poses)[0, :3, 3]
    if np.linalg.norm(place - target) == 0.0:
        target = place - poses[0, :3, 2]
    radius = float(np.median(np.linalg.norm(poses[:, :3, 3] - target, axis=1)))
    return {
        "pose": look_at(place, target, up).reshape(-1).tolist(),
        "target": target.tolist(),
        "up": up.tolist(),
        "radius": radius,
    }


def _largest_crop(region: Region) -> dict[str, Any] | None:
    """The largest box that makes sense: all of a cube; of an endless space, what is around the middle."""
    if isinstance(region, Box):
        return {"center": region.center.tolist(), "sides": [region.side] * 3}
    if isinstance(region, Unbounded):
        return {"center": list(region.center), "sides": [4.0 * region.radius] * 3}
    return None

"""Cameras that stand wherever one likes, and see all that there is to see from there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import looked_at
from nerf_mini.samplers import OccupancySampler
from nerf_mini.training import Trainer

LEAST_RATIO = 1 + 1e-5  # of far to near, which float32 still tells apart with samples between


def free_cameras(trainer: Trainer, poses: ArrayLike, fields_of_view: ArrayLike, size: tuple[int, int]) -> Cameras:
    """Pinhole cameras with square pixels at poses (n, 4, 4), with vertical fields of view (n,) in radians.

    The near and far distances of a data set belong to its own cameras: further away they would cut off the back of the
    scene, nearer its front. Where samples are placed by an occupancy grid these see from themselves on, through all of
    a box, or as far as the training cameras. Where samples are spread between near and far, both move with the
    distance to what the training cameras look at.

    Args:
        size: width and height in pixels.
    """
    poses = np.asarray(poses, np.float64).reshape(-1, 4, 4)
    focal = 0.5 * size[1] / np.tan(0.5 * np.broadcast_to(np.asarray(fields_of_view, np.float64), len(poses)))
    near, far = _seen_by(trainer, poses[:, :3, 3])
    return Cameras.make(poses, size, focal[:, None], near=near, far=far)


def _seen_by(trainer: Trainer, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Near and far of cameras at places (n, 3): (n,), (n,)."""
    train, region = trainer.cameras.train, trainer.model.region
    near, far = float(np.median(train.near)), float(np.median(train.far))
    marches = isinstance(trainer.model.sampler, OccupancySampler)
    if region.bounded and marches:
        low, side = region.cube[:3], region.cube[3]
        farthest = np.linalg.norm(np.maximum(np.abs(places - low), np.abs(places - low - side)), axis=1)
        return np.zeros(len(places)), farthest
    if marches or not region.bounded:
        return np.full(len(places), 0.0 if marches else near), np.full(len(places), far)
    target = looked_at(train.poses)
    usual = float(np.median(np.linalg.norm(train.poses[:, :3, 3] - target, axis=1)))
    moved = np.linalg.norm(places - target, axis=1) - usual
    nearest = np.maximum(near + moved, 1e-3 * usual)
    farthest = np.maximum(far + moved, near + 1e-2 * usual)
    return nearest, np.maximum(farthest, LEAST_RATIO * nearest)

"""Training methods; see `Method` for what one is."""

import numpy as np

from nerf_mini.config import Config
from nerf_mini.geometry.cameras import Intrinsics
from nerf_mini.models.base import Method
from nerf_mini.models.instant import Instant
from nerf_mini.models.nerf import NeRF, OccupancyNeRF
from nerf_mini.scenes.batches import RayBatch, background_color, draw_batch


def make_method(config: Config, near: float, far: float, poses: np.ndarray, intrinsics: Intrinsics) -> Method:
    """The method that a configuration asks for, for a scene between `near` and `far` of its training cameras.

    poses (views, 4, 4) are theirs.
    """
    if config.method == "instant":
        return Instant(config, near, far, poses, intrinsics)
    if config.sampling.sampler == "occupancy":
        return OccupancyNeRF(config, near, far, poses, intrinsics)
    return NeRF(config, near, far)


__all__ = [
    "Instant",
    "Method",
    "NeRF",
    "OccupancyNeRF",
    "RayBatch",
    "background_color",
    "draw_batch",
    "make_method",
]

"""A cube, for scenes that it holds as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import looked_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions.base import MARCH_STEPS, Region
from nerf_mini.ops import positions

STEPS_PER_PIXEL = 1.25  # of marching, in the middle of the box; see docs/tuning.md
FEWEST_STEPS = 128  # about a cell of occupancy each, which longer ones would skip


@dataclass(frozen=True)
class Box(Region):
    """An axis-aligned cube: `low` is its corner and `side` its side, in scene units."""

    low: tuple[float, float, float]
    side: float
    bounded = True

    @classmethod
    def centered(cls, center: np.ndarray, side: float) -> Box:
        """The cube with this centre (3,)."""
        x, y, z = (np.asarray(center, np.float64) - 0.5 * side).tolist()
        return cls((x, y, z), float(side))

    @classmethod
    def around(cls, cameras: Cameras, side: float | None = None) -> Box:
        """The cube around what the cameras look at.

        Its centre is the point nearest to all their axes; its side, where none is given, 3/4 of far - near: the usual 3
        for Blender's scenes.
        """
        near, far = float(np.min(cameras.near)), float(np.max(cameras.far))
        ahead = 0.5 * (near + far) * -cameras.poses[:, :3, 2]
        center = looked_at(cameras.poses, np.mean(cameras.poses[:, :3, 3] + ahead, axis=0))
        return cls.centered(center, 0.75 * (far - near) if side is None else side)

    @property
    def unit_length(self) -> float:
        """See `Region`."""
        return self.side

    @property
    def diagonal(self) -> float:
        """See `Region`."""
        return float(np.sqrt(3.0)) * self.side

    @property
    def center(self) -> np.ndarray:
        """(3,) float64."""
        return np.array(self.low) + 0.5 * self.side

    @cached_property
    def cube(self) -> np.ndarray:
        """See `Region`: the box itself."""
        return np.array([*self.low, self.side])

    def to_unit(self, points: Any) -> Any:
        """(points - low) / side."""
        real = points.dtype.type
        return (points - np.array(self.low, points.dtype)) * real(1.0 / self.side)

    def points(self, rays: Rays, t: Any, ray_index: np.ndarray) -> Any:
        """See `Region`. The map is affine: it is applied to the rays, of which there are fewer."""
        scale = rays.directions.dtype.type(1.0 / self.side)
        return positions(self.to_unit(rays.origins), rays.directions * scale, t, ray_index)

    def march_steps(self, cameras: Cameras) -> int:
        """See `Region`: samples along a ray lie about as close as the rays of a picture, which is all that it can
        tell."""
        along = STEPS_PER_PIXEL * self.pixels_across(cameras) * self.diagonal / self.side
        return int(np.clip(round(along), FEWEST_STEPS, MARCH_STEPS))

    def pixels_across(self, cameras: Cameras) -> float:
        """See `Region`: at the median distance of the cameras; those inside count as half a side away."""
        distance = float(np.median(np.linalg.norm(cameras.poses[:, :3, 3] - self.center, axis=1)))
        return float(np.median(cameras.focal[:, 0])) * self.side / max(distance, 0.5 * self.side)

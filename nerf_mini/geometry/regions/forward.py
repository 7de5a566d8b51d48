"""What lies before cameras that look the same way, as normalised device coordinates (Mildenhall et al. 2020, C).

In the frame of the mean camera, whose nearest thing is at distance n, a point (x, y, z) with z < -n becomes

    (-x / z, -y / z, 1 + n / z)

A projective map: rays stay straight, what is far takes as little room as it does in the pictures, and infinity lies in
the plane 1. The region's coordinates are these, scaled to the unit cube by the widest view; along a ray the third one
runs from 0 to 1, and is its distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from autodiff import stop_gradient
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions.base import Region
from nerf_mini.ops import positions

BORDER = 32  # places along each side of a picture, to find how wide the view is
MARGIN = 1.02
LEAST_AHEAD = 0.05  # a ray that looks further sideways than this does not look forward
SIDEWAYS = 1e-3
FARTHEST = 1e-4  # 1 - s of what counts as infinity, for depths


@dataclass(frozen=True)
class Forward(Region):
    """All before a plane: cameras at about `center` (3,) look along -z, and things begin `near` before it.

    `low`, `side` (2,): the part of the plane (-x / z, -y / z) that the cameras see.
    """

    center: tuple[float, float, float]
    near: float
    low: tuple[float, float]
    side: tuple[float, float]
    croppable = False  # near and far do not bound what lies ahead

    @classmethod
    def before(cls, cameras: Cameras, center: tuple[float, float, float], near: float) -> Forward:
        """As wide as the cameras see, at the nearest plane and at infinity.

        Raises ValueError where a camera looks sideways or back, or stands beyond the nearest plane.
        """
        whole = cls(center, near, (0.0, 0.0), (1.0, 1.0))
        ends = []
        for view in range(len(cameras)):
            width, height = cameras.size[view].tolist()
            x, y = np.linspace(0, width - 1, BORDER), np.linspace(0, height - 1, BORDER)
            column = np.concatenate([x, x, np.zeros(BORDER), np.full(BORDER, width - 1)])
            row = np.concatenate([np.zeros(BORDER), np.full(BORDER, height - 1), y, y])
            rays = cameras.rays(view, column, row, np.float64)
            entered = whole.enter(rays[np.isfinite(rays.directions).all(axis=1)])
            if np.any(rays.directions[:, 2] > -LEAST_AHEAD) or np.any(rays.origins[:, 2] <= -near + center[2]):
                raise ValueError(f"camera {view} does not look forward with the others")
            ends += [entered.origins[:, :2], (entered.origins + entered.directions)[:, :2]]
        border = np.concatenate(ends)
        low, high = border.min(axis=0), border.max(axis=0)
        middle, side = 0.5 * (low + high), MARGIN * (high - low)
        x, y = (middle - 0.5 * side).tolist()
        width, height = side.tolist()
        return cls(center, near, (x, y), (width, height))

    @property
    def unit_length(self) -> float:
        """See `Region`."""
        return 1.0

    @property
    def diagonal(self) -> float:
        """See `Region`: the way of every ray."""
        return 1.0

    @property
    def near_length(self) -> None:
        """See `Region`."""
        return None

    @cached_property
    def cube(self) -> np.ndarray:
        """See `Region`: the unit cube."""
        return np.array([0.0, 0.0, 0.0, 1.0])

    def _stretched(self, points: Any, origin: float = 1.0) -> Any:
        """Points (-x / z, -y / z, 1 + n / z) in coordinates of the unit cube; directions with origin 0."""
        low = origin * np.array([*self.low, 0.0])
        return (points - low.astype(points.dtype)) / np.array([*self.side, 1.0], points.dtype)

    def to_unit(self, points: Any) -> Any:
        """See `Region`; beside and behind the cameras, outside of the cube."""
        offset = points - np.array(self.center, points.dtype)
        x, y, z = offset[..., 0], offset[..., 1], offset[..., 2]
        depth = np.where(z < 0, -z, np.nan)
        unit = self._stretched(np.stack([x / depth, y / depth, 1.0 - self.near / depth], axis=-1))
        return np.where(np.isnan(unit), -1.0, unit).astype(points.dtype)

    def enter(self, rays: Rays) -> Rays:
        """See `Region`: rays from the nearest plane, at distance 0, to infinity, at 1; from the camera on where it
        stands beyond that plane. Rays that do not look ahead are empty."""
        real = rays.origins.dtype.type
        o, d = rays.origins - np.array(self.center, rays.origins.dtype), rays.directions
        z, ahead = np.asarray(stop_gradient(o))[:, 2], np.asarray(stop_gradient(d))[:, 2] < -SIDEWAYS
        near = np.where(ahead, np.clip(1.0 + self.near / np.minimum(z.astype(np.float64), -1e-9), 0.0, 1.0), 1.0)
        d = np.where(ahead[:, None], d, np.array([0.0, 0.0, -1.0], d.dtype))
        start = -(real(self.near) + o[:, 2]) / d[:, 2]
        o = o + start[:, None] * d  # now z = -near
        slope = d[:, :2] / d[:, 2:]
        first = o[:, :2] / real(self.near)  # (-x / z, -y / z) at the plane, and -dx / dz, -dy / dz at infinity
        one, zero = np.ones_like(first[:, :1]), np.zeros_like(first[:, :1])
        origins = self._stretched(np.concatenate([first, zero], axis=1))
        directions = self._stretched(np.concatenate([-slope - first, one], axis=1), 0.0)
        return replace(rays, origins=origins, directions=directions, near=near, far=np.where(ahead, 1.0, 0.0))

    def points(self, rays: Rays, t: Any, ray_index: np.ndarray) -> Any:
        """See `Region`: the rays are in the unit cube already."""
        return positions(rays.origins, rays.directions, t, ray_index)

    def view_of_cells(self, cameras: Cameras) -> tuple[np.ndarray, np.ndarray]:
        """See `Region`: cells are not told apart by cameras, which all look the same way."""
        return np.eye(4)[None], np.array([[-np.inf, np.inf, -np.inf, np.inf]])

    def march_steps(self, cameras: Cameras) -> int:
        """See `Region`: samples lie close enough where distances are even in disparity; see docs/tuning.md."""
        return 410

    def depth(self, rays: Rays, t: Any) -> Any:
        """See `Region`: t = 1 - near / depth before the mean camera."""
        ahead = self.near / np.maximum(1.0 - t, FARTHEST)  # along -z
        height = rays.origins[:, 2] - rays.origins.dtype.type(self.center[2])
        return np.where(t > 0, (ahead + height) / -rays.directions[:, 2], 0.0).astype(rays.origins.dtype)

    def density_scale(self, points: np.ndarray) -> Any:
        """See `Region`: the third coordinate changes by near / z^2 per scene unit."""
        depth = np.maximum(self.center[2] - points[..., 2], 1e-9)
        return (self.near / depth**2).astype(points.dtype)

    def pixels_across(self, cameras: Cameras) -> float:
        """See `Region`: the widest view."""
        return float(np.max(np.median(cameras.focal, axis=0) * np.array(self.side)))

    def pixel_widths(self, cameras: Cameras) -> np.ndarray:
        """See `Region`: at twice the distance of the nearest thing, the middle of the way to infinity in disparity.
        Cameras that stand beyond the nearest thing count as being there."""
        height = cameras.poses[:, 2, 3] - self.center[2]  # how far each stands behind the mean camera
        ahead = np.maximum(2.0 * self.near + height, self.near)
        with np.errstate(divide="ignore"):
            return ahead / (2.0 * self.near * np.max(cameras.focal * np.array(self.side), axis=1))

"""All of space: a cube in the middle as it is, and everything around it contracted (Barron et al. 2022).

With p in radii about the centre and m = max |p_i|, a point outside of the cube m <= 1 moves to

    c(p) = (2 - 1 / m) p / m

so that infinity lies on the cube of side 4, which becomes the unit cube. Mip-NeRF 360 takes the Euclidean norm; the
largest coordinate fills a cube. Cells of occupancy are not contracted but nested: rays are straight in the scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions.base import Region
from nerf_mini.ops import OperatorUse, contract, contract_in_place, positions

INNERMOST = 0.25  # half the side of the innermost cube of cells, in radii


@dataclass(frozen=True)
class Unbounded(Region):
    """A middle of some radius around a centre (3,), and everything around it."""

    center: tuple[float, float, float]
    radius: float
    levels: int = 11  # the outermost cube reaches 256 radii
    step_growth: float = 1 / 128
    least_views: int = 2
    operators: ClassVar[tuple[OperatorUse, ...]] = (
        OperatorUse("contract", constants=(0,)),
        OperatorUse("contraction_in_place"),
        *Region.operators,
    )

    @property
    def unit_length(self) -> float:
        """See `Region`."""
        return 4.0 * self.radius

    @property
    def diagonal(self) -> float:
        """See `Region`: of the cube that is left as it is."""
        return 2.0 * float(np.sqrt(3.0)) * self.radius

    @cached_property
    def cube(self) -> np.ndarray:
        """See `Region`."""
        half = INNERMOST * self.radius
        return np.array([*(np.array(self.center) - half), 2.0 * half])

    def _in_radii(self, points: Any) -> Any:
        return (points - np.array(self.center, points.dtype)) * points.dtype.type(1.0 / self.radius)

    def to_unit(self, points: Any) -> Any:
        """See `Region`."""
        flat = contract(self._in_radii(points.reshape(-1, 3)))
        return flat.reshape(points.shape)

    def points(self, rays: Rays, t: Any, ray_index: np.ndarray) -> Any:
        """See `Region`."""
        scale = rays.directions.dtype.type(1.0 / self.radius)
        return contract(positions(self._in_radii(rays.origins), rays.directions * scale, t, ray_index))

    def warp(self, points: np.ndarray) -> np.ndarray:
        """See `Region`."""
        return contract_in_place(points, 2.0 * INNERMOST)

    def scale(self, points: Any) -> Any:
        """See `Region`: 1 in the middle, and 1 / m around it: things far away are large, and of less density per scene
        unit."""
        away = np.abs(points - points.dtype.type(0.5))
        reach = np.maximum(np.maximum(away[..., 0], away[..., 1]), away[..., 2])  # m = 1 / (2 - 4 reach) if above 1
        return np.minimum(1.0, 2.0 - 4.0 * reach)

    def density_scale(self, points: np.ndarray) -> Any:
        """See `Region`: `scale` has been applied."""
        return 1.0

    def pixels_across(self, cameras: Cameras) -> float:
        """See `Region`: at the median distance of the cameras; those in the middle count as half a radius away."""
        distance = float(np.median(np.linalg.norm(cameras.poses[:, :3, 3] - np.array(self.center), axis=1)))
        return float(np.median(cameras.focal[:, 0])) * self.unit_length / max(distance, 0.5 * self.radius)

    def spacing(self, t: Any) -> Any:
        """See `Region`: t / 2 up to 1 and 1 - 1 / (2 t) beyond, in radii; from 0 to 1."""
        r = t / self.radius
        return np.where(r < 1.0, 0.5 * r, 1.0 - 0.5 / np.maximum(r, 1.0))

    def unspacing(self, s: Any) -> Any:
        """See `Region`."""
        real = s.dtype.type
        return real(self.radius) * np.where(s < 0.5, 2 * s, 1 / np.maximum(2 - 2 * s, real(1e-7)))

    def share(self, t: Any, delta: Any, rays: Rays, counts: np.ndarray) -> tuple[Any, Any]:
        """See `Region`."""
        per_ray = (1.0 / (self.spacing(rays.far) - self.spacing(rays.near))).astype(t.dtype)
        scale = np.repeat(per_ray, counts) if len(per_ray) and np.ptp(per_ray) > 0 else per_ray[:1]
        first, last = self.spacing(t), self.spacing(t + delta)
        return scale * (first + last) / 2, scale * (last - first)

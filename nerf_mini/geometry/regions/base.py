"""What a region is: the part of space that a field covers, and how it becomes the unit cube.

Distances, densities and points are in scene units everywhere else. A region alone knows the unit cube, and where along
rays it can be cut into samples of one density.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.ops import OperatorUse

MARCH_STEPS = 1024  # along the diagonal, where pictures do not ask for fewer


class Region(ABC):
    """A part of space, mapped to the unit cube.

    A region has coordinates of its own, in which rays are straight and samples are placed: those of the scene, unless
    it bends them. Lengths and densities along rays are in units of these coordinates.

    Attributes:
        unit_length: length per side of the unit cube, in its middle.
        diagonal: the longest way through the region; of an endless one, through its middle.
        bounded: whether the whole scene lies within, with nothing behind it but a background.
        levels: nested cubes of cells around the innermost one, which count as one more.
        step_growth: marching steps are this share of the distance where that is longer.
        croppable: whether samples keep between near and far of a ray, and so within a box.
        least_views: cameras that must see a cell for something to be in it.
        operators: those that place samples, for the warm-up.
    """

    bounded: bool = False
    croppable: bool = True
    levels: int = 1
    step_growth: float = 0.0
    least_views: int = 1
    operators: ClassVar[tuple[OperatorUse, ...]] = (OperatorUse("positions", constants=(0, 1, 2)),)

    @property
    @abstractmethod
    def unit_length(self) -> float: ...

    @property
    @abstractmethod
    def diagonal(self) -> float: ...

    @property
    @abstractmethod
    def cube(self) -> np.ndarray:
        """(low x, low y, low z, side) float64 of the innermost cube of cells, in the region's coordinates."""

    @property
    def near_length(self) -> float | None:
        """A distance from cameras that counts as near; None where distances are not those of the scene."""
        return 0.25 * self.unit_length

    @abstractmethod
    def to_unit(self, points: Any) -> Any:
        """Points of the scene (..., 3) in coordinates of the unit cube; outside of the region, outside of it."""

    @abstractmethod
    def points(self, rays: Rays, t: Any, ray_index: np.ndarray) -> Any:
        """Unit-cube coordinates (samples, 3) of samples at distances t (samples,) along rays in the region's
        coordinates."""

    @abstractmethod
    def pixels_across(self, cameras: Cameras) -> float:
        """How many pixels a picture needs for the side of the unit cube, in the middle of the region."""

    def pixel_widths(self, cameras: Cameras) -> np.ndarray:
        """How wide the pixels of each camera are in the middle of the region, where the side of the unit cube is 1:
        (views,) float64."""
        with np.errstate(divide="ignore"):
            return 1.0 / np.array([self.pixels_across(cameras[view]) for view in range(len(cameras))])

    def march_steps(self, cameras: Cameras) -> int:
        """Marching steps along the diagonal for pictures of these cameras, where the configuration does not say."""
        return MARCH_STEPS

    def enter(self, rays: Rays) -> Rays:
        """Rays of the scene in the region's coordinates."""
        return rays

    def view_of_cells(self, cameras: Cameras) -> tuple[np.ndarray, np.ndarray]:
        """Poses (views, 4, 4) and frustums (views, 4) of what cameras see, in the region's coordinates."""
        return cameras.poses, cameras.frustums()

    def depth(self, rays: Rays, t: Any) -> Any:
        """Distances in scene units along rays of the scene, from distances t (rays,) in the region's coordinates."""
        return t

    def warp(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) float32, in units of the innermost cube of cells from its corner, in coordinates of the unit
        cube; may change them in place."""
        return points

    def scale(self, points: Any) -> Any:
        """What a field's density is multiplied by, at points of the unit cube: (n, 3) -> (n,); None for one."""
        return None

    def density_scale(self, points: np.ndarray) -> Any:
        """What a density in the region's coordinates is multiplied by to be one per scene unit: points of the scene
        (n, 3) -> (n,), or one number."""
        return 1.0

    def spacing(self, t: Any) -> Any:
        """Distances along rays on the scale on which samples are spread evenly."""
        return t

    def unspacing(self, s: Any) -> Any:
        """The inverse of `spacing`."""
        return s

    def share(self, t: Any, delta: Any, rays: Rays, counts: np.ndarray) -> tuple[Any, Any]:
        """The middles and lengths of the intervals of packed samples, as shares of the way from near to far, in
        `spacing`: t and delta (samples,), counts (rays,)."""
        per_ray = (1.0 / (rays.far - rays.near)).astype(t.dtype)  # (rays,)
        scale = np.repeat(per_ray, counts) if np.ptp(per_ray) > 0 else per_ray[:1]
        return (t + delta / 2) * scale, delta * scale

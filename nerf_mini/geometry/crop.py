"""A box of the scene, to see or to take only what lies in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nerf_mini.geometry.alignment import scale_of
from nerf_mini.geometry.rays import Rays


@dataclass(frozen=True)
class Crop:
    """A box with its middle at `center` (3,) and sides of length `sides` (3,), in scene units.

    turn (3, 3): its axes as columns, a rotation of the scene's.
    """

    center: np.ndarray
    sides: np.ndarray
    turn: np.ndarray = field(default_factory=lambda: np.eye(3))

    @classmethod
    def between(cls, low: np.ndarray, high: np.ndarray) -> Crop:
        """The box along the scene's axes between two corners (3,)."""
        low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        return cls(0.5 * (low + high), high - low)

    def in_world(self, similarity: np.ndarray) -> Crop:
        """The same box after a similarity (4, 4) of the world."""
        scale = scale_of(similarity)
        center = similarity[:3, :3] @ self.center + similarity[:3, 3]
        return Crop(center, scale * self.sides, similarity[:3, :3] @ self.turn / scale)

    def _own(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) along the axes of the box, from its middle."""
        return (np.asarray(points, np.float64) - self.center) @ self.turn

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 3) of the scene lie in the box: (...,) bool."""
        return (np.abs(self._own(points)) <= 0.5 * self.sides).all(axis=-1)

    def clip(self, rays: Rays) -> tuple[np.ndarray, Rays]:
        """Which rays meet the box between their near and far, (rays,) bool, and all rays, from where they enter it to
        where they leave it.

        Slabs (Kay and Kajiya 1986): along each axis a ray is between the two sides from one distance to another.
        """
        origins, directions = self._own(rays.origins), np.asarray(rays.directions, np.float64) @ self.turn
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (np.stack([-0.5 * self.sides, 0.5 * self.sides])[:, None] - origins) / directions  # (2, rays, 3)
        first, last = np.min(ends, axis=0), np.max(ends, axis=0)
        beside = np.isnan(first)  # along a side, within it
        near = np.maximum(rays.near, np.where(beside, -np.inf, first).max(axis=1))
        far = np.minimum(rays.far, np.where(beside, np.inf, last).min(axis=1))
        return near < far, replace(rays, near=near, far=far)

"""What training cameras see of a scene: rays through random pixels, and where they meet its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.rays import Rays
from nerf_mini.rendering.images import render_rays
from nerf_mini.training import Trainer

SURFACE = 0.9  # transmittance where points and depths are; nearer to the truth than the mean depth, see docs/export.md


@dataclass(frozen=True)
class SurfacePoints:
    """Where rays first lost some of their light.

    positions, directions (n, 3): in the scene, and of the rays that went there; colors (n, 3) in [0, 1] and opacity
    (n,): of the pixels, the colour being that of what is there, without its background.
    """

    positions: np.ndarray
    directions: np.ndarray
    colors: np.ndarray
    opacity: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def joined(cls, parts: list[SurfacePoints]) -> SurfacePoints:
        """Points one after the other."""
        names = ("positions", "directions", "colors", "opacity")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __getitem__(self, chosen: np.ndarray) -> SurfacePoints:
        return SurfacePoints(self.positions[chosen], self.directions[chosen], self.colors[chosen], self.opacity[chosen])


def random_rays(cameras: Cameras, count: int, rng: np.random.Generator) -> Rays:
    """Rays through random places of the pictures, of which every pixel is as likely; fewer where a lens has pixels that
    no light reaches."""
    pixels = np.prod(cameras.size, axis=1)
    view = np.searchsorted(np.cumsum(pixels), rng.integers(pixels.sum(), size=count), side="right")
    column, row = (rng.random((count, 2)) * cameras.size[view] - 0.5).T
    rays = cameras.rays(view, column, row)
    return rays[np.isfinite(rays.directions).all(axis=1)]


def reached(trainer: Trainer, rays: Rays, transmittance: float) -> np.ndarray:
    """The distance (rays,) in scene units where the transmittance falls to a value; infinite where it stays above
    to the end, or where a lens has no ray."""
    model, parameters = trainer.model, trainer.field
    distance = np.full(len(rays), np.inf)
    (lit,) = np.nonzero(np.isfinite(rays.directions).all(axis=1))
    for first in range(0, len(lit), model.rays_at_once):
        part = lit[first : first + model.rays_at_once]
        distance[part] = model.first_reached(parameters, rays[part], transmittance)
    return distance


def surface_points(trainer: Trainer, rays: Rays, transmittance: float) -> SurfacePoints:
    """Where the transmittance of each ray falls to a value; of those rays where it does."""
    seen = render_rays(trainer.model, trainer.field, rays, np.zeros(3))
    distance = reached(trainer, rays, transmittance)
    (met,) = np.nonzero(np.isfinite(distance))
    directions = rays.directions[met]
    positions = rays.origins[met] + distance[met, None] * directions
    opacity = seen[met, 4]
    colors = np.clip(seen[met, :3] / np.maximum(opacity, 1e-6)[:, None], 0, 1)
    return SurfacePoints(positions, directions, colors, opacity)

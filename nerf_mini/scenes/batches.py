"""A batch of training rays."""

from dataclasses import dataclass

import numpy as np

from nerf_mini.geometry.cameras import camera_rays
from nerf_mini.io.images import composite
from nerf_mini.scenes import Views


@dataclass(frozen=True)
class RayBatch:
    """origins, directions, target colours and backgrounds, each (rays, 3) float32."""

    origins: np.ndarray
    directions: np.ndarray
    target: np.ndarray
    background: np.ndarray

    def part(self, rays: slice) -> "RayBatch":
        """Some of the rays."""
        return RayBatch(self.origins[rays], self.directions[rays], self.target[rays], self.background[rays])


def background_color(name: str, rays: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """(rays, 3) float32: "white", "black", or "random", one uniform colour per ray (white without `rng`)."""
    if name == "random" and rng is not None:
        return rng.random((rays, 3), np.float32)
    return np.full((rays, 3), 0.0 if name == "black" else 1.0, np.float32)


def draw_batch(views: Views, rays: int, background: str, crop: float, rng: np.random.Generator) -> RayBatch:
    """Rays through random pixels of random views, drawn with replacement.

    `crop` is the fraction of width and height, around the centre, that pixels are drawn from.
    """
    intrinsics = views.intrinsics
    view = rng.integers(len(views), size=rays)
    column, row = (_central(size, crop, rays, rng) for size in (intrinsics.width, intrinsics.height))
    origins, directions = camera_rays(intrinsics, views.poses[view], column, row)
    colors = background_color(background, rays, rng)
    return RayBatch(origins, directions, composite(views.pixels(view, row, column), colors), colors)


def _central(size: int, crop: float, count: int, rng: np.random.Generator) -> np.ndarray:
    kept = max(1, round(size * crop))
    return (size - kept) // 2 + rng.integers(kept, size=count)

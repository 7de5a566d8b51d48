"""Whole images from a trained field, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.rays import Rays
from nerf_mini.io.images import to_png
from nerf_mini.rendering.antialiasing import mean_over_rays, places_in_pixel
from nerf_mini.rendering.volume import Rendering


class Renderer(Protocol):
    """What pictures need of a model."""

    rays_at_once: int
    """Rays of a picture to work on together: enough for kernels at full speed, in bounded memory."""

    def view(self, parameters: Any, rays: Rays, background: np.ndarray) -> Rendering:
        """What rays see on a background (3,), the same every time; weights and samples may be left out."""


@dataclass(frozen=True)
class RenderedImage:
    """color (height, width, 3) in [0, 1]; depth, in scene units, and opacity (height, width); float32."""

    color: np.ndarray
    depth: np.ndarray
    opacity: np.ndarray

    def _repr_png_(self) -> bytes:
        """The colours, for notebooks."""
        return to_png(self.color)


def render_rays(
    model: Renderer, parameters: Any, rays: Rays, background: ArrayLike, crop: Crop | None = None
) -> np.ndarray:
    """Colour, depth and opacity of rays, in parts: (rays, 5) float32; with `crop`, of what lies in that box."""
    values, behind = np.empty((len(rays), 5), np.float32), np.asarray(background, np.float32)
    lit = np.isfinite(rays.directions[:, 0])  # a lens may have pixels that no light reaches
    if crop is not None:
        inside, rays = crop.clip(rays)
        lit &= inside
    if not lit.all():
        values[:] = [*np.broadcast_to(behind, 3), 0.0, 0.0]
        values[lit] = render_rays(model, parameters, rays[lit], background)
        return values
    for first in range(0, len(rays), model.rays_at_once):
        part = slice(first, first + model.rays_at_once)
        seen = model.view(parameters, rays[part], behind)
        values[part, :3], values[part, 3], values[part, 4] = seen.color, seen.depth, seen.opacity
    return values


def render_pixels(
    model: Renderer,
    parameters: Any,
    cameras: Cameras,
    view: int,
    pixels: np.ndarray,
    background: ArrayLike,
    crop: Crop | None = None,
    supersampling: int = 1,
) -> np.ndarray:
    """Colour, depth and opacity of pixels (n,) of a picture, counted row after row: (n, 5) float32.

    Each is the mean over supersampling x supersampling rays, evenly spread over the pixel; see `antialiasing`.
    """
    row, column = np.divmod(pixels, cameras.size[view, 0])
    if supersampling == 1:
        return render_rays(model, parameters, cameras.rays(view, column, row), background, crop)
    across, down = places_in_pixel(supersampling)
    values, at_once = np.empty((len(pixels), 5), np.float32), max(1, model.rays_at_once // len(across))
    for first in range(0, len(pixels), at_once):
        part = slice(first, first + at_once)
        columns, rows = column[part, None] + across, row[part, None] + down  # (part, rays)
        rays = cameras.rays(view, columns.reshape(-1), rows.reshape(-1))
        seen = render_rays(model, parameters, rays, background, crop)
        lit = np.isfinite(rays.directions[:, 0])
        values[part] = mean_over_rays(seen.reshape(*columns.shape, 5), lit.reshape(columns.shape))
    return values


def _as_image(values: np.ndarray) -> RenderedImage:
    """(height, width, 5) as an image."""
    return RenderedImage(np.clip(values[..., :3], 0, 1), values[..., 3], values[..., 4])


def render_image(
    model: Renderer,
    parameters: Any,
    cameras: Cameras,
    background: ArrayLike,
    view: int = 0,
    crop: Crop | None = None,
    supersampling: int = 1,
) -> RenderedImage:
    """The whole picture of one of the cameras on a background colour (3,), as the model shows it, without jitter; with
    `crop`, of what lies in that box; with `supersampling` n, the mean of n x n rays in each pixel."""
    width, height = cameras.size[view].tolist()
    pixels = np.arange(width * height)
    values = render_pixels(model, parameters, cameras, view, pixels, background, crop, supersampling)
    return _as_image(values.reshape(height, width, 5))


def render_progressively(
    model: Renderer,
    parameters: Any,
    cameras: Cameras,
    background: ArrayLike,
    view: int = 0,
    coarsest: int = 8,
    crop: Crop | None = None,
    supersampling: int = 1,
) -> Iterator[RenderedImage]:
    """A whole picture, coarse first: pictures of full size that get sharper, the last one being `render_image`'s.

    The first shows every `coarsest`-th pixel of a row and column, a power of two, as a square; each further one halves
    that. No ray is followed twice. Pictures that need more rays than one in each pixel come last, and at once.
    """
    if coarsest < 1 or coarsest & (coarsest - 1):
        raise ValueError(f"coarsest must be a power of two, not {coarsest}")
    width, height = cameras.size[view].tolist()
    rays = cameras.image_rays(view)
    row, column = (place.reshape(-1) for place in np.indices((height, width)))
    values = np.zeros((len(rays), 5), np.float32)
    done, stride = np.zeros(len(rays), bool), coarsest
    while stride >= 1:
        (new,) = np.nonzero((row % stride == 0) & (column % stride == 0) & ~done)
        values[new] = render_rays(model, parameters, rays[new], background, crop)
        done[new] = True
        corner = row // stride * stride * width + column // stride * stride  # of the square that a pixel lies in
        yield _as_image(values[corner].reshape(height, width, 5))
        stride //= 2
    if supersampling > 1:
        yield render_image(model, parameters, cameras, background, view, crop, supersampling)


def disparity_picture(image: RenderedImage, nearest: float) -> np.ndarray:
    """nearest / depth as grey, (height, width) in [0, 1]: for scenes without an end."""
    return np.where(image.opacity > 0.5, np.clip(nearest / np.maximum(image.depth, 1e-9), 0, 1), 0)


def depth_picture(image: RenderedImage, near: float, far: float) -> np.ndarray:
    """The depth as grey, (height, width) in [0, 1]: near is bright, far and empty are dark."""
    closeness = (far - image.depth) / (far - near)
    return np.where(image.opacity > 0.5, np.clip(closeness, 0, 1), 0)

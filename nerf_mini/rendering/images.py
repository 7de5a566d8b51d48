"""Whole images from a trained field, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.geometry.cameras import Intrinsics, image_rays
from nerf_mini.models import background_color


@dataclass(frozen=True)
class RenderedImage:
    """color (height, width, 3) in [0, 1]; depth, in scene units, and opacity (height, width); float32."""

    color: np.ndarray
    depth: np.ndarray
    opacity: np.ndarray


def render_image(
    method: Any, parameters: Any, intrinsics: Intrinsics, pose: np.ndarray, background: str
) -> RenderedImage:
    """A whole view as the method shows it, without jitter. A "random" background is rendered white."""
    origins, directions = image_rays(intrinsics, pose)
    color, depth, opacity = [], [], []
    for first in range(0, len(origins), method.rays_at_once):
        part = slice(first, first + method.rays_at_once)
        behind = background_color(background, len(origins[part]))
        seen = method.view(parameters, origins[part], directions[part], behind)
        color.append(seen.color)
        depth.append(seen.depth)
        opacity.append(seen.opacity)
    size = intrinsics.height, intrinsics.width
    return RenderedImage(
        np.clip(np.concatenate(color), 0, 1).reshape(*size, 3),
        np.concatenate(depth).reshape(size),
        np.concatenate(opacity).reshape(size),
    )


def render_progressively(
    method: Any, parameters: Any, intrinsics: Intrinsics, pose: np.ndarray, background: str, coarsest: int = 8
) -> Iterator[RenderedImage]:
    """A whole view, coarse first: pictures of full size that get sharper, the last one being `render_image`'s.

    The first shows every `coarsest`-th pixel of a row and column, a power of two, as a square; each further one halves
    that. No ray is followed twice.
    """
    if coarsest < 1 or coarsest & (coarsest - 1):
        raise ValueError(f"coarsest must be a power of two, not {coarsest}")
    origins, directions = image_rays(intrinsics, pose)
    size = intrinsics.height, intrinsics.width
    row, column = (place.reshape(-1) for place in np.indices(size))
    values = np.zeros((len(origins), 5), np.float32)  # colour, depth, opacity
    done, stride = np.zeros(len(origins), bool), coarsest
    while stride >= 1:
        (new,) = np.nonzero((row % stride == 0) & (column % stride == 0) & ~done)
        for first in range(0, len(new), method.rays_at_once):
            part = new[first : first + method.rays_at_once]
            seen = method.view(parameters, origins[part], directions[part], background_color(background, len(part)))
            values[part] = np.column_stack([seen.color, seen.depth, seen.opacity])
        done[new] = True
        corner = row // stride * stride * size[1] + column // stride * stride  # of the square that a pixel lies in
        color, depth, opacity = np.split(values[corner].reshape(*size, 5), [3, 4], axis=2)
        yield RenderedImage(np.clip(color, 0, 1), depth[..., 0], opacity[..., 0])
        stride //= 2


def depth_picture(image: RenderedImage, near: float, far: float) -> np.ndarray:
    """The depth as grey, (height, width) in [0, 1]: near is bright, far and empty are dark."""
    closeness = (far - image.depth) / (far - near)
    return np.where(image.opacity > 0.5, np.clip(closeness, 0, 1), 0)

"""Whole images from a trained field, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cameras import Intrinsics, image_rays
from .methods import background_color

CHUNK_RAYS = 4096


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
    for first in range(0, len(origins), CHUNK_RAYS):
        part = slice(first, first + CHUNK_RAYS)
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


def depth_picture(image: RenderedImage, near: float, far: float) -> np.ndarray:
    """The depth as grey, (height, width) in [0, 1]: near is bright, far and empty are dark."""
    closeness = (far - image.depth) / (far - near)
    return np.where(image.opacity > 0.5, np.clip(closeness, 0, 1), 0)

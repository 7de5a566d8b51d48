"""What is written of a view: its pictures by kind, and their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import to_uint8
from nerf_mini.rendering.images import RenderedImage, depth_picture, disparity_picture


def shown(
    image: RenderedImage, kinds: tuple[str, ...], cameras: Cameras, view: int, nearest: float | None
) -> list[np.ndarray]:
    """Pictures of each kind; the depth as grey, of what lies in a box between near and far, else by disparity."""
    pictures = [to_uint8(image.color)]
    if "depth" in kinds:
        near, far = float(cameras.near[view]), float(cameras.far[view])
        pictures.append(
            to_uint8(depth_picture(image, near, far) if nearest is None else disparity_picture(image, nearest))
        )
        pictures.append(to_uint8(np.clip(image.opacity, 0, 1)))
    return pictures


def picture_file(folder: Path, kind: str, number: int) -> Path:
    """folder/color_000.png and so on."""
    return folder / f"{kind}_{number:03d}.png"

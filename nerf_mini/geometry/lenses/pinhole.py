"""The pinhole camera: straight lines stay straight."""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini.geometry.lenses.base import Lens


def unproject(plane: Any, parameters: Any = None) -> Any:
    """(x, y) -> (x, y, 1), scaled to unit length: (..., 2) -> (..., 3)."""
    x, y = plane[..., 0], plane[..., 1]
    z = 1.0 / np.sqrt(x * x + y * y + 1.0)
    return np.stack([x * z, y * z, z], axis=-1)


def project(directions: Any, parameters: Any = None) -> Any:
    """(x, y, z) -> (x / z, y / z), NaN unless z > 0: (..., 3) -> (..., 2)."""
    depth = directions[..., 2:]
    return directions[..., :2] / np.where(depth > 0.0, depth, np.nan)


LENS = Lens("pinhole", (), unproject, project, fills_plane=True)

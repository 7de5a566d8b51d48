"""The panorama: longitude runs along x and latitude up y, both in radians.

A whole panorama of w x h pixels has the focal lengths (w / 2 pi, h / pi) and its centre in the middle of the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini.geometry.lenses.base import Lens


def unproject(plane: Any, parameters: Any = None) -> Any:
    """(longitude, -latitude) -> unit directions, (0, 0) straight ahead: (..., 2) -> (..., 3)."""
    x, y = plane[..., 0], plane[..., 1]
    level = np.cos(y)
    return np.stack([level * np.sin(x), np.sin(y), level * np.cos(x)], axis=-1)


def project(directions: Any, parameters: Any = None) -> Any:
    """The inverse, longitudes in [-pi, pi]: (..., 3) -> (..., 2). At the poles, where all meet, the longitude is 0."""
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2] + 0.0  # -0 would make it pi
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=-1)


LENS = Lens("equirectangular", (), unproject, project, fills_plane=True)

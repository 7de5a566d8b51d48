"""The lens of Devernay and Faugeras (2001), COLMAP's FOV: its one parameter omega is a field of view in radians.

Light that a pinhole camera would see at the distance r from the middle of its plane lands at

    r' = atan(2 r tan(omega / 2)) / omega,     r = tan(r' omega) / (2 tan(omega / 2))

in the same direction from it. With omega = 0 this is the pinhole. Everything is a function of squares, and so smooth at
the axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nerf_mini.geometry.lenses import pinhole
from nerf_mini.geometry.lenses.base import Lens

_SERIES_BELOW = 1e-3  # of squares: the terms are exact to rounding there


def unproject(plane: Any, parameters: Any) -> Any:
    """Directions of the light that lands on a place, NaN where r' omega >= pi / 2: (..., 2) -> unit (..., 3)."""
    omega2 = parameters[..., 0] ** 2
    factor = _tan_ratio(omega2 * np.sum(plane * plane, axis=-1)) / _tan_ratio(0.25 * omega2)
    return pinhole.unproject(plane * factor[..., None])


def project(directions: Any, parameters: Any) -> Any:
    """Where light of a direction lands: (..., 3) -> (..., 2)."""
    plane = pinhole.project(directions)
    omega2 = parameters[..., 0] ** 2
    tangent = _tan_ratio(0.25 * omega2)  # 2 tan(omega / 2) / omega
    factor = tangent * _arctan_ratio(omega2 * tangent * tangent * np.sum(plane * plane, axis=-1))
    return plane * factor[..., None]


def _tan_ratio(v: Any) -> Any:
    """tan(a) / a of the squared angle v = a^2, NaN from pi / 2 on."""
    small = v < _SERIES_BELOW
    angle = np.sqrt(np.where(small, 1.0, np.where(v < 0.25 * np.pi**2, v, np.nan)))
    return np.where(small, 1 + v * (1 / 3 + v * (2 / 15 + v * (17 / 315 + v * 62 / 2835))), np.tan(angle) / angle)


def _arctan_ratio(w: Any) -> Any:
    """atan(b) / b of the squared tangent w = b^2."""
    small = w < _SERIES_BELOW
    tangent = np.sqrt(np.where(small, 1.0, w))
    return np.where(
        small, 1 - w * (1 / 3 - w * (1 / 5 - w * (1 / 7 - w * (1 / 9 - w / 11)))), np.arctan(tangent) / tangent
    )


LENS = Lens("fov", ("omega",), unproject, project)

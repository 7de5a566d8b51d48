"""Intrinsics as files state them, for a picture of a size and through a lens by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nerf_mini.errors import UserError
from nerf_mini.geometry.lenses import LENSES

LARGEST_SIDE = 1 << 20  # pixels; more is a damaged file
_WAY_OUT = "Undistort the pictures, for instance with `colmap image_undistorter`."
SHORTEST_FOCAL, LONGEST_FOCAL = 1e-3, 1e9  # in pixels
MOST_OFF_CENTER = 1e9  # pixels from the corner to the principal point


@dataclass(frozen=True)
class Intrinsics:
    """How one camera maps directions to pixels.

    size: width and height of the picture that the rest is for. focal, center: along x and y, in its pixels, from its
    top left corner. lens, parameters: see `geometry.lenses`.
    """

    size: tuple[float, float]
    focal: tuple[float, float]
    center: tuple[float, float]
    lens: str = "pinhole"
    parameters: tuple[float, ...] = ()


def checked_size(width: float, height: float, where: str) -> tuple[float, float]:
    """A width and height that a picture can have. Raises UserError for others."""
    for key, side in (("width", width), ("height", height)):
        if not 1 <= side <= LARGEST_SIDE:
            raise UserError(f"{where}: no picture has a {key} of {side:g} pixels.")
    return width, height


def checked_intrinsics(
    size: tuple[float, float],
    focal: tuple[float, float],
    center: tuple[float, float] | None,
    where: str,
    lens: str = "pinhole",
    coefficients: Mapping[str, float] | None = None,
) -> Intrinsics:
    """Intrinsics, once they are found to be possible.

    Args:
        center: None for the middle of the picture.
        where: file and place, the beginning of every message.
        lens: a name; one that `geometry.lenses` does not have is refused.
        coefficients: of the lens, by name. If all are zero, a lens that only bends a pinhole's rays is a pinhole.

    Raises:
        UserError: a value that is not finite or positive, or a lens or coefficient that is unknown.
    """
    for axis, value in zip("xy", focal, strict=True):
        require_focal(value, f"{where}: the focal length along {axis}")
    center = (size[0] / 2, size[1] / 2) if center is None else center
    if not all(abs(value) <= MOST_OFF_CENTER for value in center):
        raise UserError(f"{where}: the principal point must be finite, not {center[0]:g}, {center[1]:g}.")
    wanted = {name: value for name, value in (coefficients or {}).items() if value != 0}
    if lens == "radial-tangential" and not wanted:
        lens = "pinhole"
    return Intrinsics(size, focal, center, lens, _parameters(lens, wanted, where))


def focal_of_view(angle: float, side: float) -> float:
    """The focal length, in pixels, that shows an angle, between 0 and pi, on a side of a picture.

    An angle so small that its tangent is 0 has an infinite one, which `checked_intrinsics` refuses.
    """
    tangent = math.tan(0.5 * angle)
    return 0.5 * side / tangent if tangent > 0.0 else math.inf


def require_focal(value: float, what: str) -> None:
    """Raise a UserError for a focal length, in pixels, that no camera has."""
    if not SHORTEST_FOCAL <= value <= LONGEST_FOCAL:
        raise UserError(
            f"{what} must be positive and finite, from {SHORTEST_FOCAL:g} to {LONGEST_FOCAL:g} pixels, not {value:g}."
        )


def _parameters(lens: str, coefficients: Mapping[str, float], where: str) -> tuple[float, ...]:
    """The coefficients of a lens in its own order."""
    if lens not in LENSES:
        raise UserError(f"{where}: the lens {lens!r} is not among those known here: {', '.join(LENSES)}. {_WAY_OUT}")
    order = LENSES[lens].parameters
    for name, value in coefficients.items():
        if not math.isfinite(value):
            raise UserError(f"{where}: the lens coefficient {name} must be finite, not {value}.")
        if name not in order:
            raise UserError(f"{where}: the lens coefficient {name} = {value:g} is not supported ({lens}). {_WAY_OUT}")
    return tuple(coefficients.get(name, 0.0) for name in order)


def equirectangular(size: tuple[float, float], where: str) -> Intrinsics:
    """A picture of all directions: longitude from left to right, latitude from top to bottom."""
    return checked_intrinsics(size, (size[0] / (2 * math.pi), size[1] / math.pi), None, where, "equirectangular")

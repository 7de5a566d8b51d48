"""Regions: which part of space a field covers. A new one is a module, and one entry here."""

from collections.abc import Callable

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.regions.base import Region
from nerf_mini.geometry.regions.box import Box
from nerf_mini.geometry.regions.forward import Forward
from nerf_mini.geometry.regions.unbounded import Unbounded
from nerf_mini.geometry.space import Space, SpaceKind

REGIONS: dict[SpaceKind, Callable[[Space, Cameras], Region]] = {
    "box": lambda space, cameras: Box.centered(np.array(space.center), 2.0 * space.radius),
    "unbounded": lambda space, cameras: Unbounded(space.center, space.radius),
    "forward": lambda space, cameras: Forward.before(cameras, space.center, space.radius),
}


def make_region(space: Space | None, cameras: Cameras, cube_side: float | None = None) -> Region:
    """The region of a scene seen by these cameras; where its space is not known, or the side of its cube is given, the
    cube around what they look at.

    Raises UserError where the cameras do not see such a space.
    """
    if space is None or (space.kind == "box" and cube_side is not None):
        return Box.around(cameras, cube_side)
    if space.kind == "forward" and not _some_look_ahead(cameras):
        raise UserError(f"--space {space.kind} does not fit: no camera sees only what is ahead of it.")
    try:
        return REGIONS[space.kind](space, cameras)
    except ValueError as error:
        raise UserError(f"--space {space.kind} does not fit: {error}.") from error


def _some_look_ahead(cameras: Cameras) -> bool:
    """Whether any camera has a pose and sees nothing beside or behind it."""
    if not len(cameras):
        return False
    known = np.isfinite(cameras.poses).all(axis=(1, 2))
    return bool(np.any(known & np.isfinite(cameras.frustums()).all(axis=1)))


__all__ = ["REGIONS", "Box", "Forward", "Region", "Unbounded", "make_region"]

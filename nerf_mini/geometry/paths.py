"""Camera paths for videos: orbits and spirals, around a given point or around what the training cameras look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.geometry.poses import common_up, look_at, looked_at

GAP = 2.6  # radians without a camera, around what they look at, that a path does not cross
WITHIN = 0.7  # quantile of how far cameras stand from their middle, that a path among them keeps within


def orbit(
    views: int,
    radius: float,
    elevation_degrees: float = 30.0,
    target: ArrayLike = (0.0, 0.0, 0.0),
    up: ArrayLike = (0.0, 0.0, 1.0),
) -> np.ndarray:
    """Cameras on a circle that look at `target`: poses (views, 4, 4), float64.

    The angles are evenly spaced over one turn, without repeating the first, so that the video loops.

    Args:
        radius: distance from the target, in scene units.
        elevation_degrees: height above the plane through the target across `up`.
    """
    azimuths = 2.0 * np.pi * np.arange(views) / views
    return _sphere_poses(azimuths, np.full(views, np.radians(elevation_degrees)), radius, target, up)


def spiral(
    views: int,
    radius: float,
    elevation_degrees: tuple[float, float] = (10.0, 60.0),
    turns: int = 2,
    target: ArrayLike = (0.0, 0.0, 0.0),
    up: ArrayLike = (0.0, 0.0, 1.0),
) -> np.ndarray:
    """Cameras that wind around `target`, from the lowest elevation to the highest and back: (views, 4, 4) float64.

    The elevation follows a cosine and the turns are whole, so that the video loops.

    Args:
        radius: distance from the target, in scene units.
        elevation_degrees: lowest and highest.
    """
    phase = 2.0 * np.pi * np.arange(views) / views
    low, high = np.radians(elevation_degrees)
    return _sphere_poses(turns * phase, 0.5 * (low + high) - 0.5 * (high - low) * np.cos(phase), radius, target, up)


def orbit_like(poses: np.ndarray, views: int) -> np.ndarray:
    """An orbit that fits training cameras (V, 4, 4), V >= 1: poses (views, 4, 4), float64.

    It circles the point that the cameras look at, at their median distance and elevation; where they stand on one side
    of it, it stays among them.
    """
    view = _common_view(poses)
    if view.one_sided:
        return _among(view, views, turns=1)
    return orbit(views, view.radius, float(np.median(view.elevations_degrees)), view.target, view.up)


def spiral_like(poses: np.ndarray, views: int) -> np.ndarray:
    """A spiral that fits training cameras (V, 4, 4), V >= 1: poses (views, 4, 4), float64.

    It winds around the point that the cameras look at, at their median distance, between the 10th and the 90th
    percentile of their elevations: where there were cameras, and not beyond.
    """
    view = _common_view(poses)
    if view.one_sided:
        return _among(view, views, turns=2)
    low, high = np.percentile(view.elevations_degrees, (10.0, 90.0))
    return spiral(views, view.radius, (float(low), float(high)), target=view.target, up=view.up)


def _among(view: _CommonView, views: int, turns: int) -> np.ndarray:
    """Cameras on an ellipse among those on one side of what they look at, at their median distance: (views, 4, 4).

    With two turns the second has half the size.
    """
    phase = 2.0 * np.pi * np.arange(views) / views
    toward = view.offsets.mean(axis=0)
    toward /= np.linalg.norm(toward)
    across = np.cross(view.up, toward)
    across /= np.linalg.norm(across)
    upward = np.cross(toward, across)
    spread = view.offsets / np.linalg.norm(view.offsets, axis=1, keepdims=True) - toward
    width, height = (np.quantile(np.abs(spread @ axis), WITHIN) for axis in (across, upward))
    size = 1.0 if turns == 1 else 0.75 + 0.25 * np.cos(phase)
    steps = np.outer(width * size * np.cos(turns * phase), across) + np.outer(
        height * size * np.sin(turns * phase), upward
    )
    steps += toward
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return np.stack([look_at(view.target + view.radius * step, view.target, view.up) for step in steps])


def _sphere_poses(
    azimuths: np.ndarray, elevations: np.ndarray, radius: float, target: ArrayLike, up: ArrayLike
) -> np.ndarray:
    """Cameras at angles in radians on a sphere about `target`, looking at it: (N,), (N,) -> (N, 4, 4)."""
    upward = np.asarray(up, np.float64) / np.linalg.norm(up)
    # The azimuth starts at the world axis most across `up`: +x where up is +z.
    ahead = np.eye(3)[np.argmin(np.abs(upward))]
    ahead = ahead - upward * (ahead @ upward)
    ahead = ahead / np.linalg.norm(ahead)
    frame = np.stack([ahead, np.cross(upward, ahead), upward])
    flat = np.cos(elevations)
    steps = np.stack([flat * np.cos(azimuths), flat * np.sin(azimuths), np.sin(elevations)], axis=1) @ frame
    center = np.asarray(target, np.float64)
    return np.stack([look_at(center + radius * step, center, upward) for step in steps])


@dataclass(frozen=True)
class _CommonView:
    """What a set of cameras looks at, and from where: all in world units, up a unit vector."""

    target: np.ndarray
    up: np.ndarray
    radius: float
    elevations_degrees: np.ndarray
    offsets: np.ndarray

    @property
    def one_sided(self) -> bool:
        """Whether the cameras leave a wide gap on their way around the target. Two or fewer tell nothing."""
        if len(self.offsets) < 3:
            return False
        flat = self.offsets - np.outer(self.offsets @ self.up, self.up)
        first = flat[np.linalg.norm(flat, axis=1).argmax()]
        if np.linalg.norm(first) < 1e-6 * self.radius:
            return False
        angles = np.sort(np.arctan2(np.cross(first, flat) @ self.up, flat @ first))
        return bool(np.max(np.diff(angles, append=angles[0] + 2.0 * np.pi)) > GAP)


def _common_view(poses: np.ndarray) -> _CommonView:
    poses = np.asarray(poses, np.float64)
    target, up = looked_at(poses), common_up(poses)
    offsets = poses[:, :3, 3] - target
    distances = np.linalg.norm(offsets, axis=1)
    sines = offsets @ up / np.maximum(distances, 1e-12)
    elevations = np.degrees(np.arcsin(np.clip(sines, -1.0, 1.0)))
    return _CommonView(target, up, float(np.median(distances)), elevations, offsets)

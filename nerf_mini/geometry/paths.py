"""Camera paths for videos: orbits and spirals, around a given point or around what the training cameras look at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.geometry.poses import common_up, look_at, looked_at


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

    It circles the point that the cameras look at, at their median distance and elevation.
    """
    view = _common_view(poses)
    return orbit(views, view.radius, float(np.median(view.elevations_degrees)), view.target, view.up)


def spiral_like(poses: np.ndarray, views: int) -> np.ndarray:
    """A spiral that fits training cameras (V, 4, 4), V >= 1: poses (views, 4, 4), float64.

    It winds around the point that the cameras look at, at their median distance, between the 10th and the 90th
    percentile of their elevations: where there were cameras, and not beyond.
    """
    view = _common_view(poses)
    low, high = np.percentile(view.elevations_degrees, (10.0, 90.0))
    return spiral(views, view.radius, (float(low), float(high)), target=view.target, up=view.up)


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


def _common_view(poses: np.ndarray) -> _CommonView:
    poses = np.asarray(poses, np.float64)
    target, up = looked_at(poses), common_up(poses)
    offsets = poses[:, :3, 3] - target
    distances = np.linalg.norm(offsets, axis=1)
    sines = offsets @ up / np.maximum(distances, 1e-12)
    return _CommonView(target, up, float(np.median(distances)), np.degrees(np.arcsin(np.clip(sines, -1.0, 1.0))))

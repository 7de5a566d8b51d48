"""What a reader of data sets is, and the checks that all of them share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.space import SpaceKind, World
from nerf_mini.scenes.scene import Scene

_ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Request:
    """What the user asked for: see `load_scene`."""

    path: Path
    downscale: float
    splits: Sequence[str]
    near: float | None
    far: float | None
    test_every: int | None = None
    space: SpaceKind | None = None
    world: World | None = None

    def bounds(self, near: float, far: float) -> tuple[float, float]:
        """The near and far distances: the user's where given, else the data set's.

        Raises UserError unless 0 <= near < far and both are finite.
        """
        near = near if self.near is None else self.near
        far = far if self.far is None else self.far
        if not (0.0 <= near < far < np.inf):
            raise UserError(
                f"{self.path}: near {near} and far {far} are not a range of distances; need 0 <= near < far."
            )
        return float(near), float(far)


@dataclass(frozen=True)
class Reader:
    """One data set format.

    Attributes:
        kind: its name, which becomes `Scene.kind`.
        looks_for: what makes a path one of this kind, in words, for error messages.
        recognise: whether a path is of this kind, told from names alone, without reading files.
        read: the reader itself.
    """

    kind: str
    looks_for: str
    recognise: Callable[[Path], bool]
    read: Callable[[Request], Scene]


def number(content: Mapping[str, Any], key: str, where: object, default: float | None = None) -> float:
    """The finite number under a key of a JSON object; without a default the key must be there.

    Raises UserError, whose message begins with `where`.
    """
    value = content.get(key, default)
    if value is None:
        raise UserError(f"{where}: the key {key!r} is missing.")
    return finite(value, f"{where}: {key!r}")


def finite(value: object, where: str) -> float:
    """A value of a JSON file as a finite number. Raises UserError, whose message begins with `where`."""
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        pass
    raise UserError(f"{where} must be a number, not {quoted(value)}.")


def checked_pose(matrix: object, where: str) -> np.ndarray:
    """A camera-to-world matrix as float64 (4, 4).

    Args:
        matrix: anything that should be one: nested lists from JSON, an array.
        where: file and frame, the beginning of every message.

    Raises:
        UserError: it is not 4x4, not finite, its last row is not 0 0 0 1, or its 3x3 part is no rotation
            (R^T R = 1 within 1e-3 and det R > 0).
    """
    try:
        pose = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: the pose is not a 4x4 matrix of numbers.") from error
    if pose.shape != (4, 4):
        raise UserError(f"{where}: the pose must be a 4x4 matrix, but its shape is {pose.shape}.")
    if not np.isfinite(pose).all():
        raise UserError(f"{where}: the pose holds numbers that are not finite.")
    if np.abs(pose[3] - (0.0, 0.0, 0.0, 1.0)).max() > _ROTATION_TOLERANCE:
        raise UserError(f"{where}: the last row of the pose is {pose[3].tolist()}, not 0 0 0 1. Is it transposed?")
    rotation = pose[:3, :3]
    if np.abs(rotation).max() > 1e6 or np.abs(rotation.T @ rotation - np.eye(3)).max() > _ROTATION_TOLERANCE:
        with np.errstate(over="ignore"):
            lengths = ", ".join(f"{length:.4g}" for length in np.linalg.norm(rotation, axis=0))
        raise UserError(
            f"{where}: the 3x3 part of the pose is no rotation: its columns must be orthogonal and of length 1 "
            f"(lengths: {lengths}). Remove any scale or shear from the cameras."
        )
    if np.linalg.det(rotation) < 0.0:
        raise UserError(f"{where}: the 3x3 part of the pose mirrors (determinant -1). Flip one of the camera's axes.")
    return pose

"""Pinhole cameras: intrinsics, poses and the rays that leave through the pixels.

A pose is a camera-to-world matrix, 4x4, with OpenGL axes: the camera looks along its own -z, +x is right and +y is
up. Pixel (row 0, column 0) is the top left one; its centre has the image coordinates (0.5, 0.5).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

_WORLD_AXES = np.eye(3)


@dataclass(frozen=True)
class Intrinsics:
    """What a camera does inside: image size, focal lengths and principal point, all in pixels."""

    width: int
    height: int
    focal_x: float
    focal_y: float
    center_x: float
    center_y: float

    @classmethod
    def from_field_of_view(cls, width: int, height: int, camera_angle_x: float) -> "Intrinsics":
        """Square pixels and a centred principal point from the horizontal field of view in radians.

        focal = (width / 2) / tan(camera_angle_x / 2), the convention of Blender's data sets.
        """
        focal = 0.5 * width / math.tan(0.5 * camera_angle_x)
        return cls(width, height, focal, focal, 0.5 * width, 0.5 * height)

    def scaled(self, factor: float) -> "Intrinsics":
        """The same camera with an image `factor` times as large; the field of view stays what it was.

        The new size is rounded to whole pixels, and every other quantity follows the size really obtained on its
        axis: a render and a downscaled photograph of that size therefore show the same thing.

        Raises ValueError where the factor leaves less than one pixel.
        """
        width, height = round(self.width * factor), round(self.height * factor)
        if width < 1 or height < 1:
            raise ValueError(f"scaling {self.width}x{self.height} pixels by {factor} leaves no pixel")
        scale_x, scale_y = width / self.width, height / self.height
        return Intrinsics(
            width=width,
            height=height,
            focal_x=self.focal_x * scale_x,
            focal_y=self.focal_y * scale_y,
            center_x=self.center_x * scale_x,
            center_y=self.center_y * scale_y,
        )


def camera_rays(
    intrinsics: Intrinsics, pose: np.ndarray, columns: ArrayLike, rows: ArrayLike, dtype: DTypeLike = np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Rays through the centres of pixels, in world coordinates.

    Pixel (column, row) lies in the direction
    ((column + 1/2 - center_x) / focal_x, -(row + 1/2 - center_y) / focal_y, -1) of its camera.

    Args:
        pose: (4, 4), or a batch (..., 4, 4) whose leading axes broadcast with `columns` and `rows`, so that a batch of
            rays from many views is one call.
        columns, rows: pixel indices, any shape; fractions are allowed (column 0.25 is a quarter pixel right of the
            centre of column 0).
        dtype: of the result; the arithmetic is float64 whatever it is.

    Returns:
        origins (..., 3) and unit directions (..., 3), new contiguous arrays.
    """
    pose = np.asarray(pose, np.float64)
    x = (np.asarray(columns, np.float64) + (0.5 - intrinsics.center_x)) / intrinsics.focal_x
    y = (intrinsics.center_y - 0.5 - np.asarray(rows, np.float64)) / intrinsics.focal_y
    inverse_length = 1.0 / np.sqrt(x * x + y * y + 1.0)
    directions = pose[..., :3, 0] * x[..., None] + pose[..., :3, 1] * y[..., None] - pose[..., :3, 2]  # (..., 3)
    directions *= inverse_length[..., None]
    origins = np.broadcast_to(pose[..., :3, 3], directions.shape)
    return origins.astype(dtype, order="C"), directions.astype(dtype, order="C", copy=False)


def image_rays(
    intrinsics: Intrinsics, pose: np.ndarray, dtype: DTypeLike = np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """The rays of a whole image, row after row: origins and unit directions, each (height * width, 3)."""
    rows, columns = np.divmod(np.arange(intrinsics.height * intrinsics.width), intrinsics.width)
    return camera_rays(intrinsics, pose, columns, rows, dtype)


def project(points: ArrayLike, intrinsics: Intrinsics, pose: np.ndarray) -> np.ndarray:
    """Image coordinates (x, y) in pixels of world points: (..., 3) -> (..., 2), float64.

    The inverse of `camera_rays`: a point on the ray of (column, row) lands on (column + 1/2, row + 1/2). Points that
    are not in front of the camera have no image and give NaN.
    """
    pose = np.asarray(pose, np.float64)
    offset = np.asarray(points, np.float64) - pose[..., :3, 3]
    right, up, back = (np.sum(offset * pose[..., :3, axis], axis=-1) for axis in range(3))
    depth = np.where(back < 0.0, -back, np.nan)
    x = intrinsics.center_x + intrinsics.focal_x * right / depth
    y = intrinsics.center_y - intrinsics.focal_y * up / depth
    return np.stack([x, y], axis=-1)


def look_at(position: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """The pose (4, 4), float64, of a camera at `position` that sees `target` in the middle of its image, `up` upwards.

    A camera that looks along `up` itself has no preferred roll: the world axis most across its view then stands in.

    Raises ValueError where position and target coincide.
    """
    eye = np.asarray(position, np.float64)
    back = eye - np.asarray(target, np.float64)
    distance = np.linalg.norm(back)
    if distance == 0.0:
        raise ValueError(f"a camera at {eye.tolist()} cannot look at the point where it stands")
    back = back / distance
    upward = np.asarray(up, np.float64)
    right = np.cross(upward, back)
    if np.linalg.norm(right) < 1e-8 * np.linalg.norm(upward):
        right = np.cross(_WORLD_AXES[np.argmin(np.abs(back))], back)
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, eye], axis=1)
    return pose

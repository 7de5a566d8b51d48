"""Cameras, and the rays that leave through their pixels.

A pose is a camera-to-world matrix, 4x4, with OpenGL axes: the camera looks along its own -z, +x is right and +y is
up. Pixel (row 0, column 0) is the top left one; its centre has the image coordinates (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nerf_mini.geometry.lenses import LENSES
from nerf_mini.geometry.rays import Rays

_OPENCV_AXES = np.array([1.0, -1.0, -1.0])  # and back: x right, y down, z forward
_GRID = 17  # places along each side of an image
_PIXELS_AT_ONCE = 16384  # whose rays stay in cache
LENS_PARAMETERS = max(len(lens.parameters) for lens in LENSES.values())


@dataclass(frozen=True)
class Cameras:
    """V cameras: arrays over views, each with focal length, principal point, image size and lens of its own.

    Attributes:
        poses: (V, 4, 4), camera-to-world.
        focal: (V, 2), focal lengths along x and y, in pixels.
        center: (V, 2), principal point, in pixels from the top left corner.
        size: (V, 2) int64, width and height of the image in pixels.
        near, far: (V,), distances along rays between which the scene lies, in scene units.
        lens: (V,) names of lenses, see `geometry.lenses`.
        lens_parameters: (V, LENS_PARAMETERS); a lens reads the first few.
    """

    poses: Any
    focal: Any
    center: Any
    size: np.ndarray
    near: np.ndarray
    far: np.ndarray
    lens: np.ndarray
    lens_parameters: Any

    def __len__(self) -> int:
        return len(self.size)

    @classmethod
    def make(
        cls,
        poses: ArrayLike,
        size: ArrayLike,
        focal: ArrayLike,
        center: ArrayLike | None = None,
        near: ArrayLike = 0.0,
        far: ArrayLike = np.inf,
        lens: str | ArrayLike = "pinhole",
        lens_parameters: ArrayLike = (),
    ) -> Cameras:
        """Cameras from whatever has a shape that broadcasts: numbers for all views, or arrays over views.

        Args:
            poses: (V, 4, 4), or one (4, 4).
            size: (2,) or (V, 2), width and height.
            focal: a number, (2,), (V, 1) or (V, 2).
            center: (2,) or (V, 2); by default the middle of the image.
            near, far: a number or (V,).
            lens: a name or (V,) names.
            lens_parameters: (k,) or (V, k).

        Raises ValueError where shapes do not fit, a lens is unknown, or it has fewer parameters than are given.
        """
        poses = np.asarray(poses, np.float64)
        poses = poses[None] if poses.ndim == 2 else poses
        views = len(poses)
        if poses.shape != (views, 4, 4):
            raise ValueError(f"poses must be (views, 4, 4), not {poses.shape}")
        size = np.broadcast_to(np.asarray(size, np.int64), (views, 2)).copy()
        given = np.atleast_1d(np.asarray(lens_parameters, np.float64))
        parameters = np.zeros((views, LENS_PARAMETERS))
        if given.shape[-1] > LENS_PARAMETERS:
            raise ValueError(f"no lens has {given.shape[-1]} parameters; the most is {LENS_PARAMETERS}")
        parameters[:, : given.shape[-1]] = given
        names = np.broadcast_to(np.asarray(lens, np.str_), (views,)).copy()
        unknown = sorted(set(names.tolist()) - set(LENSES))
        if unknown:
            raise ValueError(f"there is no lens {unknown[0]!r}; the lenses are {', '.join(LENSES)}")
        used = [LENSES[name] for name in set(names.tolist())]
        most = max(used, key=lambda lens: len(lens.parameters), default=None)
        if most is not None and parameters[:, len(most.parameters) :].any():
            raise ValueError(
                f"lens {most.name!r} takes {len(most.parameters)} parameters, but {given.shape[-1]} are given"
            )
        return cls(
            poses,
            np.broadcast_to(np.asarray(focal, np.float64), (views, 2)).copy(),
            0.5 * size if center is None else np.broadcast_to(np.asarray(center, np.float64), (views, 2)).copy(),
            size,
            np.broadcast_to(np.asarray(near, np.float64), (views,)).copy(),
            np.broadcast_to(np.asarray(far, np.float64), (views,)).copy(),
            names,
            parameters,
        )

    @classmethod
    def from_field_of_view(
        cls, poses: ArrayLike, width: int, height: int, camera_angle_x: float, near: float = 0.0, far: float = np.inf
    ) -> Cameras:
        """Pinhole cameras with square pixels, from the horizontal field of view in radians.

        focal = (width / 2) / tan(camera_angle_x / 2), the convention of Blender's data sets.
        """
        return cls.make(poses, (width, height), 0.5 * width / math.tan(0.5 * camera_angle_x), near=near, far=far)

    def __getitem__(self, index: Any) -> Cameras:
        """Some of the cameras: by a slice or an array of indices; a single number gives one camera."""
        i = slice(index, index + 1 or None) if isinstance(index, int | np.integer) else index
        return Cameras(
            self.poses[i], self.focal[i], self.center[i], self.size[i], self.near[i], self.far[i], self.lens[i],
            self.lens_parameters[i],
        )  # fmt: skip

    def at(self, poses: np.ndarray) -> Cameras:
        """The first camera, in other places: poses (views, 4, 4)."""
        return replace(self[np.zeros(len(poses), np.int64)], poses=np.asarray(poses, np.float64))

    def scaled(self, factor: float) -> Cameras:
        """The same cameras with images `factor` times as large; the field of view stays what it was.

        Sizes are rounded to whole pixels, and every other quantity follows the size really obtained on its axis: a
        render and a downscaled photograph of that size therefore show the same thing.

        Raises ValueError where the factor leaves less than one pixel.
        """
        size = np.rint(self.size * factor).astype(np.int64)
        if size.min(initial=1) < 1:
            width, height = self.size[size.min(axis=1).argmin()]
            raise ValueError(f"scaling {width}x{height} pixels by {factor} leaves no pixel")
        ratio = size / self.size
        return replace(self, size=size, focal=self.focal * ratio, center=self.center * ratio)

    def rays(self, view: ArrayLike, column: ArrayLike, row: ArrayLike, dtype: DTypeLike = np.float32) -> Rays:
        """Rays through the centres of pixels, in scene coordinates. Plain NumPy, differentiable in the float arrays.

        Without a lens, pixel (column, row) lies in the direction
        ((column + 1/2 - cx) / fx, -(row + 1/2 - cy) / fy, -1) of its camera.

        Args:
            view, column, row: (rays,) whole numbers, or one view for all; fractions of columns and rows are allowed
                (column 0.25 is a quarter pixel right of the centre of column 0).
            dtype: of origins and directions; the arithmetic is float64 whatever it is.
        """
        view = np.broadcast_to(np.asarray(view, np.int64), np.shape(column))
        pose, center, focal = (np.take(a, view, axis=0) for a in (self.poses, self.center, self.focal))
        x = (np.asarray(column, np.float64) + 0.5 - center[:, 0]) / focal[:, 0]
        y = (np.asarray(row, np.float64) + 0.5 - center[:, 1]) / focal[:, 1]
        direction = self._through_lens("unproject", np.stack([x, y], axis=-1), view)  # (rays, 3), OpenCV axes
        turned = np.einsum("rij,rj->ri", pose[:, :3, :3], direction * _OPENCV_AXES)
        origins = pose[:, :3, 3]
        return Rays(origins.astype(dtype), turned.astype(dtype), self.near[view], self.far[view], view)

    def image_rays(self, view: int = 0, dtype: DTypeLike = np.float32) -> Rays:
        """The rays of a whole image, row after row."""
        width, height = self.size[view].tolist()
        row, column = np.divmod(np.arange(width * height), width)
        return self.rays(view, column, row, dtype)

    def valid_pixels(self, view: int = 0) -> np.ndarray:
        """The pixels that see something: (height, width) bool. The image of a lens may end before the corners.

        Light reaches all the image if it reaches its border: the rest is looked at only if it does not.
        """
        width, height = self.size[view].tolist()
        valid = np.ones((height, width), bool)
        if LENSES[str(self.lens[view])].fills_plane:
            return valid
        border = valid.copy()
        border[1:-1, 1:-1] = False
        if not self._has_ray(view, border).all():
            for top in range(0, height, rows := max(1, _PIXELS_AT_ONCE // width)):
                part = valid[top : top + rows]
                part[:] = self._has_ray(view, part, top).reshape(part.shape)
        return valid

    def _has_ray(self, view: int, chosen: np.ndarray, top: int = 0) -> np.ndarray:
        """Whether rays leave through the chosen pixels, (rows, columns) bool, of rows from `top` on: (n,) bool."""
        row, column = np.nonzero(chosen)
        directions = self.rays(view, column, row + top, np.float64).directions
        return np.isfinite(directions[:, 0])

    def frustums(self) -> np.ndarray:
        """What each camera sees, by the planes of its four sides: (V, 4), least and largest x / z, least and largest
        y / z in OpenCV's axes.

        Taken from places all over the undistorted image, and as much wider as it may bulge between them (an eighth of
        the second differences, doubled); unbounded where a camera looks sideways, backwards or nowhere.
        """
        grid = np.linspace(0.0, 1.0, _GRID)
        places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)  # as shares of width and height
        plane = (places * self.size[:, None] - self.center[:, None]) / self.focal[:, None]  # (V, places, 2)
        view = np.repeat(np.arange(len(self)), len(places))
        direction = self._through_lens("unproject", plane.reshape(-1, 2), view).reshape(*plane.shape[:2], 3)
        ahead = direction[..., 2:] > 1e-3
        tangent = direction[..., :2] / np.where(ahead, direction[..., 2:], 1.0)
        whole = np.all(ahead & np.isfinite(tangent), axis=(1, 2))[:, None]
        seen = np.where(whole[..., None], tangent, 0.0)  # (V, places, 2)
        squares = seen.reshape(-1, _GRID, _GRID, 2)
        bulge = 0.25 * np.maximum(*(np.abs(np.diff(squares, 2, axis=axis)).max(axis=(1, 2)) for axis in (1, 2)))
        low = np.where(whole, seen.min(axis=1) - bulge, -np.inf)
        high = np.where(whole, seen.max(axis=1) + bulge, np.inf)
        return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=-1)

    def project(self, points: Any, view: ArrayLike) -> Any:
        """Image coordinates (x, y) in pixels of scene points, seen by a camera each: (n, 3), (n,) -> (n, 2).

        The inverse of `rays`: a point on the ray of (column, row) lands on (column + 1/2, row + 1/2). What the lens
        does not see, such as what is behind a pinhole camera, has no image and gives NaN; a fisheye or a panorama sees
        what is beside and behind it too. Images end nowhere here: coordinates may lie outside of `size`.
        """
        view = np.asarray(view, np.int64)
        pose = self.poses[view]
        offset = points - pose[:, :3, 3]
        right, up, back = (np.sum(offset * pose[:, :3, axis], axis=-1) for axis in range(3))
        plane = self._through_lens("project", np.stack([right, -up, -back], axis=-1), view)
        return self.center[view] + self.focal[view] * plane

    def _through_lens(self, way: str, values: Any, view: np.ndarray) -> Any:
        """The map of each ray's own lens."""
        names = list(dict.fromkeys(self.lens.tolist()))
        if len(names) == 1:
            return getattr(LENSES[names[0]], way)(values, self._parameters_of(view))
        kind = np.array([names.index(name) for name in self.lens.tolist()])[view]
        of_each = [np.flatnonzero(kind == index) for index in range(len(names))]
        mapped = [
            getattr(LENSES[name], way)(values[chosen], self._parameters_of(view[chosen]))
            for name, chosen in zip(names, of_each, strict=True)
        ]
        return np.concatenate(mapped)[np.argsort(np.concatenate(of_each))]

    def _parameters_of(self, view: np.ndarray) -> Any:
        """The parameters of rays' lenses: (rays, LENS_PARAMETERS), or (LENS_PARAMETERS,) if the same for all."""
        known = self.lens_parameters
        if isinstance(known, np.ndarray) and len(known) and (known == known[0]).all():
            return known[0]
        return np.take(known, view, axis=0)

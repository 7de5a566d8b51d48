"""A scene from arrays, without any file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import to_uint8
from nerf_mini.scenes.lens_limits import lens_masks
from nerf_mini.scenes.readers.base import checked_pose
from nerf_mini.scenes.scene import WHITE, Scene, Views


def scene_from_arrays(
    images: Sequence[ArrayLike] | np.ndarray,
    poses: ArrayLike,
    focal: ArrayLike,
    *,
    near: ArrayLike,
    far: ArrayLike,
    center: ArrayLike | None = None,
    lens: str | Sequence[str] = "pinhole",
    lens_parameters: ArrayLike = (),
    background: ArrayLike = WHITE,
    held_out: Iterable[int] = (),
    name: str = "arrays",
) -> Scene:
    """A scene from images and the cameras that took them.

    Args:
        images: V images (height, width, 3), or (height, width, 4) with straight alpha, which may differ in size; uint8,
            or float in [0, 1].
        poses: (V, 4, 4) or (V, 3, 4), camera-to-world, OpenGL axes: x right, y up, looking along -z.
        focal: in pixels: a number, (2,) for x and y, or (V, 2).
        near, far: distances along rays between which the scene lies, in scene units: numbers, or (V,).
        center: principal point in pixels from the top left corner, (2,) or (V, 2); by default the middle.
        lens, lens_parameters: see `geometry.lenses`: a name and (k,) values, or V names and (V, k).
        background: colour (3,) in [0, 1] behind what is transparent.
        held_out: indices of images to test on instead of training on them.
        name: for people.

    Raises:
        UserError: the arrays do not fit together, or hold what cannot be; the message says which and where.
    """
    pixels = [_checked_image(image, index) for index, image in enumerate(images)]
    if not pixels:
        raise UserError("there is no image.")
    try:
        sizes = np.array([(image.shape[1], image.shape[0]) for image in pixels])
        cameras = Cameras.make(
            _checked_poses(poses, len(pixels)), sizes, focal, center, near, far, lens, lens_parameters
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"the cameras do not fit together: {error}.") from error
    _check_numbers(cameras)
    red, green, blue = _checked_color(background)
    held = _checked_indices(held_out)
    if held and not 0 <= held[0] <= held[-1] < len(pixels):
        raise UserError(
            f"held_out must name images 0 to {len(pixels) - 1}, not {held[0] if held[0] < 0 else held[-1]}."
        )
    train = [index for index in range(len(pixels)) if index not in set(held)]
    if not train:
        raise UserError("there is no image to train on.")
    splits = {}
    for split, indices in (("train", train), ("test", held)):
        if indices:
            names = (f"{index:03d}" for index in indices)
            part = cameras[np.array(indices)]
            splits[split] = Views.from_images(part, [pixels[i] for i in indices], names, lens_masks(part))
    return Scene(name, None, "arrays", splits, (red, green, blue))


def _checked_indices(indices: Iterable[int]) -> list[int]:
    """Distinct indices in order."""
    array = np.asarray(list(indices) if isinstance(indices, Iterable) else indices)
    if array.size and (array.ndim != 1 or array.dtype.kind not in "iu"):
        raise UserError(f"held_out must be a list of indices of images, not {indices!r:.60}.")
    return sorted(set(array.tolist()))


def _checked_image(image: ArrayLike, index: int) -> np.ndarray:
    """An image as uint8 (height, width, 3 or 4)."""
    try:
        array = np.asarray(image)
    except ValueError as error:  # rows of several lengths
        raise UserError(f"image {index} is no array ({error}).") from error
    if array.ndim != 3 or array.shape[2] not in (3, 4) or array.size == 0:
        raise UserError(f"image {index} must be (height, width, 3) or (height, width, 4), not {array.shape}.")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise UserError(f"image {index} must be uint8, or float in [0, 1], not {array.dtype}.")
    if not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):  # false for NaN too
        raise UserError(f"image {index} must lie in [0, 1], but ranges from {array.min():g} to {array.max():g}.")
    return to_uint8(array)


def _checked_color(background: ArrayLike) -> list[float]:
    """Red, green and blue."""
    try:
        color = np.asarray(background, np.float64)
    except (TypeError, ValueError):  # a name, say
        color = np.zeros(0)
    if color.shape != (3,) or not ((color >= 0) & (color <= 1)).all():
        raise UserError(f"the background must be a colour (3,) in [0, 1], not {background!r}.")
    return color.tolist()


def _checked_poses(poses: ArrayLike, count: int) -> np.ndarray:
    """(count, 4, 4) float64."""
    array = np.asarray(poses, np.float64)
    if array.ndim != 3 or len(array) != count or array.shape[1:] not in ((3, 4), (4, 4)):
        raise UserError(f"{count} images need poses ({count}, 4, 4) or ({count}, 3, 4), not {array.shape}.")
    if array.shape[1] == 3:
        array = np.concatenate([array, np.broadcast_to([0.0, 0.0, 0.0, 1.0], (count, 1, 4))], axis=1)
    return np.stack([checked_pose(pose, f"pose {index}") for index, pose in enumerate(array)])


def _check_numbers(cameras: Cameras) -> None:
    """Raise a UserError unless focal lengths are positive, bounds ascending, and all is finite."""
    for index in range(len(cameras)):
        focal, near, far = cameras.focal[index], cameras.near[index], cameras.far[index]
        if not ((focal > 0) & np.isfinite(focal)).all():
            raise UserError(f"focal of image {index} must be positive and finite, not {focal.tolist()}.")
        if not 0 <= near < far < np.inf:
            raise UserError(
                f"near {near} and far {far} of image {index} are not a range of distances; need 0 <= near < far."
            )
        if not np.isfinite([*cameras.center[index], *cameras.lens_parameters[index]]).all():
            raise UserError(f"center and lens_parameters of image {index} must be finite.")

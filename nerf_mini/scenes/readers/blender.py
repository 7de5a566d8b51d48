"""Blender-style data sets: transforms_{train,val,test}.json beside folders of images (Mildenhall et al. 2020)."""

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.files import read_json
from nerf_mini.io.images import downscale, read_image
from nerf_mini.scenes.readers.base import Reader, Request, checked_pose
from nerf_mini.scenes.scene import BLACK, SPLITS, WHITE, Scene, Views

DEFAULT_NEAR, DEFAULT_FAR = 2.0, 6.0
_SUFFIXES = ("", ".png", ".jpg")
_POSITIVE_KEYS = ("w", "h", "fl_x", "fl_y")
_DISTORTION_KEYS = ("k1", "k2", "k3", "k4", "p1", "p2")


def _transforms_file(folder: Path, split: str) -> Path:
    return folder / f"transforms_{split}.json"


def _recognise(path: Path) -> bool:
    return any(_transforms_file(path, split).is_file() for split in SPLITS)


def read_blender(request: Request) -> Scene:
    """Read a Blender-style folder.

    Every transforms file has `camera_angle_x`, the horizontal field of view in radians, and `frames`, each with a
    `file_path` (with or without suffix, relative to the folder) and a camera-to-world `transform_matrix`. `near` and
    `far` beside them are optional: 2 and 6 where absent. So are measured intrinsics in pixels, `fl_x`, `fl_y`, `cx` and
    `cy` for images of `w` x `h`. Frames keep the order of the file.

    Raises:
        UserError: there is no training split, or anything in the files is missing, unreadable or inconsistent.
    """
    folder = request.path
    if not _transforms_file(folder, "train").is_file():
        raise UserError(f"{folder}: there is no transforms_train.json, so there is nothing to train on.")
    contents = {
        split: read_json(_transforms_file(folder, split))
        for split in request.splits
        if _transforms_file(folder, split).is_file()
    }
    near, far = DEFAULT_NEAR, DEFAULT_FAR
    for split, content in reversed(contents.items()):  # where they differ, the split asked for first decides
        file = _transforms_file(folder, split)
        near, far = _number(content, "near", file, near), _number(content, "far", file, far)
    bounds = request.bounds(near, far)
    splits = {split: _read_split(request, split, content, bounds) for split, content in contents.items()}
    background = WHITE if any(views.has_alpha for views in splits.values()) else BLACK
    return Scene(folder.resolve().name, folder, "blender", splits, background)


def _number(content: dict[str, Any], key: str, file: Path, default: float | None = None) -> float:
    """The finite number under a key; without a default the key must be there."""
    value = content.get(key, default)
    if value is None:
        raise UserError(f"{file}: the key {key!r} is missing.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{file}: {key!r} must be a number, not {value!r}.")
    return float(value)


def _read_split(request: Request, split: str, content: dict[str, Any], bounds: tuple[float, float]) -> Views:
    """The images and cameras of one transforms file."""
    file = _transforms_file(request.path, split)
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise UserError(f"{file}: the key 'frames' must hold a list of at least one frame.")
    names = [_frame_value(file, index, frame, "file_path") for index, frame in enumerate(frames)]
    poses = [
        checked_pose(_frame_value(file, index, frame, "transform_matrix"), f"{file}: frame {index} ({name})")
        for index, (frame, name) in enumerate(zip(frames, names, strict=True))
    ]
    images, sizes = _read_images(request, file, names)
    focal, center = _intrinsics(content, sizes, file)
    cameras = Cameras.make(np.stack(poses), sizes, focal, center, *bounds).scaled(1.0 / request.downscale)
    return Views.from_images(cameras, images, (Path(name).stem for name in names))


def _intrinsics(content: dict[str, Any], sizes: np.ndarray, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths and principal points, in pixels, of images of the given sizes: (V, 2) -> (V, 2), (V, 2).

    Square pixels and no lens distortion, as Blender renders them.
    """
    angle = _number(content, "camera_angle_x", file)
    if not 0.0 < angle < math.pi:
        raise UserError(f"{file}: camera_angle_x is {angle}; a field of view in radians lies between 0 and pi.")
    distorted = [key for key in _DISTORTION_KEYS if _number(content, key, file, 0.0) != 0.0]
    if distorted:
        raise UserError(
            f"{file}: the lens distorts ({', '.join(distorted)}), which is not supported. "
            "Undistort the images and set these keys to zero."
        )
    for key in _POSITIVE_KEYS:
        if _number(content, key, file, 1.0) <= 0.0:
            raise UserError(f"{file}: {key!r} must be positive, not {content[key]}.")
    # Photographs come with measured values, for images of w x h pixels; a renderer needs none of these keys.
    measured = np.stack([_column(content, key, sizes[:, axis], file) for axis, key in enumerate(("w", "h"))], axis=1)
    scale = sizes / measured  # (V, 2)
    focal_x = _column(content, "fl_x", 0.5 * measured[:, 0] / math.tan(0.5 * angle), file)
    focal = np.stack([focal_x, _column(content, "fl_y", focal_x, file)], axis=1)
    center = [_column(content, key, 0.5 * measured[:, axis], file) for axis, key in enumerate(("cx", "cy"))]
    return focal * scale, np.stack(center, axis=1) * scale


def _column(content: dict[str, Any], key: str, default: np.ndarray, file: Path) -> np.ndarray:
    """The number under a key for every view, or the default of each: (V,)."""
    return np.full(len(default), _number(content, key, file)) if key in content else default


def _frame_value(file: Path, index: int, frame: object, key: str) -> Any:
    """What a frame holds under a key that must be there."""
    if not isinstance(frame, dict) or key not in frame:
        raise UserError(f"{file}: frame {index} lacks the key {key!r}.")
    if key == "file_path" and not isinstance(frame[key], str):
        raise UserError(f"{file}: frame {index}: 'file_path' must be text, not {frame[key]!r}.")
    return frame[key]


def _read_images(request: Request, file: Path, names: Sequence[str]) -> tuple[deque[np.ndarray], np.ndarray]:
    """All images of a split, downscaled, (height, width, 3|4) uint8; and (V, 2) widths and heights before that."""
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter lock
        frames = list(pool.map(partial(_read_frame, request, file), range(len(names)), names))
    return deque(image for image, _ in frames), np.array([size for _, size in frames])


def _read_frame(request: Request, file: Path, index: int, name: str) -> tuple[np.ndarray, tuple[int, int]]:
    """One image, downscaled, and its width and height before that."""
    candidates = [request.path / (name + suffix) for suffix in _SUFFIXES]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise UserError(
            f"{file}: frame {index}: there is no image {name!r} in {request.path} (tried it as it is, .png and .jpg)."
        )
    try:
        image = read_image(found)
        return downscale(image, request.downscale), (image.shape[1], image.shape[0])
    except UserError as error:
        raise UserError(f"{file}: frame {index} ({name}): {error}") from error


READER = Reader("blender", "a folder with transforms_train.json", _recognise, read_blender)

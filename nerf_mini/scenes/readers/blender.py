"""Blender-style data sets: transforms_{train,val,test}.json beside folders of images (Mildenhall et al. 2020)."""

import json
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Intrinsics
from nerf_mini.io.images import downscale, read_image
from nerf_mini.scenes.readers.base import Reader, Request, checked_pose
from nerf_mini.scenes.scene import SPLITS, Scene, Views

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
        split: _read_json(_transforms_file(folder, split))
        for split in request.splits
        if _transforms_file(folder, split).is_file()
    }
    splits = {split: _read_split(request, split, content) for split, content in contents.items()}
    near, far = DEFAULT_NEAR, DEFAULT_FAR
    for split, content in reversed(contents.items()):  # where they differ, the split asked for first decides
        file = _transforms_file(folder, split)
        near, far = _number(content, "near", file, near), _number(content, "far", file, far)
    near, far = request.bounds(near, far)
    return Scene(
        name=folder.resolve().name,
        path=folder,
        kind="blender",
        splits=splits,
        near=near,
        far=far,
        background="white" if any(views.has_alpha for views in splits.values()) else "black",
    )


def _read_json(file: Path) -> dict[str, Any]:
    """The content of a transforms file, which must be a JSON object."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file}: not valid JSON at line {error.lineno}, column {error.colno} ({error.msg}). Was it cut off?"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: must hold a JSON object with camera_angle_x and frames.")
    return content


def _number(content: dict[str, Any], key: str, file: Path, default: float | None = None) -> float:
    """The finite number under a key; without a default the key must be there."""
    value = content.get(key, default)
    if value is None:
        raise UserError(f"{file}: the key {key!r} is missing.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{file}: {key!r} must be a number, not {value!r}.")
    return float(value)


def _read_split(request: Request, split: str, content: dict[str, Any]) -> Views:
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
    images, (height, width) = _read_images(request, file, names)
    intrinsics = _intrinsics(content, width, height, file).scaled(1.0 / request.downscale)
    return Views(images, np.stack(poses), intrinsics, tuple(Path(name).stem for name in names))


def _intrinsics(content: dict[str, Any], width: int, height: int, file: Path) -> Intrinsics:
    """The camera of images of width x height pixels: square pixels and no lens distortion, as Blender renders them."""
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
    pinhole = Intrinsics.from_field_of_view(width, height, angle)
    # Photographs come with measured values, for images of w x h pixels; a renderer needs none of these keys.
    scale_x = width / _number(content, "w", file, width)
    scale_y = height / _number(content, "h", file, height)
    focal_x = _number(content, "fl_x", file, pinhole.focal_x / scale_x)
    return Intrinsics(
        width=width,
        height=height,
        focal_x=focal_x * scale_x,
        focal_y=_number(content, "fl_y", file, focal_x) * scale_y,
        center_x=_number(content, "cx", file, pinhole.center_x / scale_x) * scale_x,
        center_y=_number(content, "cy", file, pinhole.center_y / scale_y) * scale_y,
    )


def _frame_value(file: Path, index: int, frame: object, key: str) -> Any:
    """What a frame holds under a key that must be there."""
    if not isinstance(frame, dict) or key not in frame:
        raise UserError(f"{file}: frame {index} lacks the key {key!r}.")
    if key == "file_path" and not isinstance(frame[key], str):
        raise UserError(f"{file}: frame {index}: 'file_path' must be text, not {frame[key]!r}.")
    return frame[key]


def _read_images(request: Request, file: Path, names: Sequence[str]) -> tuple[np.ndarray, tuple[int, int]]:
    """All images of a split, downscaled, (V, h, w, 3|4) uint8, and their height and width before that.

    Where only some have an alpha channel, the others become opaque RGBA.
    """
    read = partial(_read_frame, request, file)
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter lock
        frames = deque(pool.map(read, range(len(names)), names))
    first_size = frames[0][1]
    for index, (name, (_, size)) in enumerate(zip(names, frames, strict=True)):
        if size != first_size:
            raise UserError(
                f"{file}: frame {index} ({name}) is {size[1]}x{size[0]} pixels, but frame 0 ({names[0]}) is "
                f"{first_size[1]}x{first_size[0]}; all images of a split must have one size."
            )
    with_alpha = any(image.shape[2] == 4 for image, _ in frames)
    images = np.empty((len(frames), *frames[0][0].shape[:2], 4 if with_alpha else 3), np.uint8)
    for target in images:
        image, _ = frames.popleft()  # each is let go once copied, so that the split is never in memory twice
        target[..., 3:] = 255
        target[..., : image.shape[2]] = image
    return images, first_size


def _read_frame(request: Request, file: Path, index: int, name: str) -> tuple[np.ndarray, tuple[int, int]]:
    """One image, downscaled, and its height and width before that."""
    candidates = [request.path / (name + suffix) for suffix in _SUFFIXES]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise UserError(
            f"{file}: frame {index}: there is no image {name!r} in {request.path} (tried it as it is, .png and .jpg)."
        )
    try:
        image = read_image(found)
        return downscale(image, request.downscale), (image.shape[0], image.shape[1])
    except UserError as error:
        raise UserError(f"{file}: frame {index} ({name}): {error}") from error


READER = Reader("blender", "a folder with transforms_train.json", _recognise, read_blender)

"""camera_path.json: films as nerfstudio's viewer writes them.

camera_path  a list with a frame each: camera_to_world, 16 numbers row by row, OpenGL axes; fov, vertical, in degrees
render_width, render_height, seconds, fps, camera_type ("perspective")
crop         crop_center, crop_scale (whole sides), crop_rot (roll, pitch, yaw in radians), crop_bg_color (0 to 255)
keyframes    matrix, fov: what the frames were made of; is_cycle: whether they close

Places are those of nerfstudio's scene. For rendered objects that is the world of the data set; captures it centres and
scales, as its dataparser_transforms.json says. Files written here are in the world of the data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.alignment import poses_in_world
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.keyframes import Keyframes
from nerf_mini.io.files import read_json, write_json
from nerf_mini.scenes.readers.base import checked_pose

MOST_FRAMES, MOST_PIXELS, MOST_SECONDS = 100_000, 8192, 86_400.0
FARTHEST = 1e9  # from the origin of a file, on any axis


@dataclass(frozen=True)
class CameraPath:
    """A film.

    Attributes:
        poses: (frames, 4, 4), camera-to-world.
        fields_of_view: (frames,), vertical, in radians.
        size: width and height in pixels.
        seconds: how long it runs.
        crop, background: the box and the colour (3,) in [0, 1] to show it with; None for what the scene has.
        keyframes: what it was made of, where that is known.
    """

    poses: np.ndarray
    fields_of_view: np.ndarray
    size: tuple[int, int]
    seconds: float
    crop: Crop | None = None
    background: tuple[float, float, float] | None = None
    keyframes: Keyframes | None = None

    @classmethod
    def through(
        cls, keyframes: Keyframes, size: tuple[int, int], seconds: float, frames_per_second: float = 30.0
    ) -> CameraPath:
        """The film through keyframes."""
        frames = min(max(round(seconds * frames_per_second), 1), MOST_FRAMES)
        poses, fields = keyframes.way(frames)
        return cls(poses, fields, size, seconds, keyframes=keyframes)

    @property
    def frames_per_second(self) -> float:
        """Of the film."""
        return len(self.poses) / self.seconds

    def in_world(self, similarity: np.ndarray) -> CameraPath:
        """The same film after a similarity (4, 4) of the world."""
        crop, keys = self.crop, self.keyframes
        return replace(
            self,
            poses=poses_in_world(self.poses, similarity),
            crop=None if crop is None else crop.in_world(similarity),
            keyframes=None if keys is None else replace(keys, poses=poses_in_world(keys.poses, similarity)),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        width, height = self.size
        frames = [_frame(pose, fov, width / height) for pose, fov in zip(self.poses, self.fields_of_view, strict=True)]
        content: dict[str, Any] = {
            "camera_type": "perspective", "render_width": width, "render_height": height,
            "fps": self.frames_per_second, "seconds": self.seconds, "camera_path": frames,
        }  # fmt: skip
        if self.keyframes is not None:
            own = zip(self.keyframes.poses, self.keyframes.fields_of_view, strict=True)
            content["keyframes"] = [
                {"matrix": pose.reshape(-1).tolist(), "fov": float(np.degrees(fov)), "aspect": width / height}
                for pose, fov in own
            ]
            content["is_cycle"] = self.keyframes.loop
        if self.crop is not None:
            red, green, blue = (round(255 * value) for value in self.background or (0.0, 0.0, 0.0))
            content["crop"] = {
                "crop_center": self.crop.center.tolist(), "crop_scale": self.crop.sides.tolist(),
                "crop_rot": _angles(self.crop.turn), "crop_bg_color": {"r": red, "g": green, "b": blue},
            }  # fmt: skip
        return content


def _frame(pose: np.ndarray, fov: float, aspect: float) -> dict[str, Any]:
    return {"camera_to_world": pose.reshape(-1).tolist(), "fov": float(np.degrees(fov)), "aspect": aspect}


def write_camera_path(file: Path, path: CameraPath) -> None:
    """Write a film. Raises UserError where the place cannot be written to."""
    write_json(file, path.to_json())


def read_camera_path(file: Path) -> CameraPath:
    """A film from a file of nerfstudio's viewer, or of ours, in the coordinates of the file.

    Raises UserError, naming the key, for what is missing or makes no sense, and for cameras that are not perspective.
    """
    content, at = read_json(file), _At(str(file))
    kind = content.get("camera_type", "perspective")
    if kind != "perspective":
        raise UserError(f"{file}: 'camera_type' is {quoted(kind)}; only perspective films are rendered.")
    frames = content.get("camera_path")
    if not isinstance(frames, list) or not 1 <= len(frames) <= MOST_FRAMES:
        raise UserError(f"{file}: 'camera_path' must be a list of 1 to {MOST_FRAMES} frames.")
    poses, fields = _cameras(frames, "camera_to_world", lambda i: at.key(f"camera_path[{i}]"))
    size = at.whole(content, "render_width"), at.whole(content, "render_height")
    seconds = at.number(content, "seconds", 1e-3, MOST_SECONDS)
    crop, background = _crop(content["crop"], at.key("crop")) if content.get("crop") else (None, None)
    return CameraPath(poses, fields, size, seconds, crop, background, _keyframes(content, at))


@dataclass(frozen=True)
class _At:
    """A place in a file, and values with limits from there."""

    where: str

    def key(self, name: str) -> _At:
        return _At(f"{self.where}: {name!r}")

    def fail(self, text: str) -> UserError:
        return UserError(f"{self.where}: {text}")

    def number(self, content: Any, key: str, least: float, most: float) -> float:
        value = content.get(key) if isinstance(content, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.fail(f"{key!r} is {quoted(value)}; it must be a number from {least:g} to {most:g}.")
        return float(value)

    def whole(self, content: Any, key: str) -> int:
        value = self.number(content, key, 1, MOST_PIXELS)
        if value != int(value):
            raise self.fail(f"{key!r} is {value:g}; it must be a whole number of pixels.")
        return int(value)

    def vector(self, content: Any, key: str, least: float = -FARTHEST) -> np.ndarray:
        value = content.get(key) if isinstance(content, dict) else None
        numbers = isinstance(value, list) and len(value) == 3 and all(type(v) in (int, float) for v in value)
        if not numbers or not all(least <= v <= FARTHEST for v in value):  # type: ignore[union-attr]
            raise self.fail(f"{key!r} is {quoted(value)}; it must be three numbers{' above 0' if least > 0 else ''}.")
        return np.array(value, np.float64)


def _cameras(frames: list[Any], key: str, at: Callable[[int], _At]) -> tuple[np.ndarray, np.ndarray]:
    """Poses (n, 4, 4), and fields of view (n,) in radians, of frames or keyframes."""
    poses, fields = [], []
    for i, frame in enumerate(frames):
        matrix = frame.get(key) if isinstance(frame, dict) else None
        if not isinstance(matrix, list) or len(matrix) != 16:
            raise at(i).fail(f"{key!r} is {quoted(matrix)}; it must be a list of 16 numbers.")
        poses.append(_pose([matrix[row : row + 4] for row in range(0, 16, 4)], at(i)))
        fields.append(np.radians(at(i).number(frame, "fov", 0.1, 179.0)))
    return np.stack(poses), np.array(fields)


def _pose(rows: list[Any], at: _At) -> np.ndarray:
    """A camera-to-world matrix (4, 4) whose place is within reach."""
    matrix = checked_pose(rows, at.where)
    if np.abs(matrix[:3, 3]).max() > FARTHEST:
        raise at.fail(f"is further than {FARTHEST:g} from the origin.")
    return matrix


def _keyframes(content: dict[str, Any], at: _At) -> Keyframes | None:
    """The keyframes of the file; None where there are none, or where another program wrote them its own way."""
    frames = content.get("keyframes")
    if not isinstance(frames, list) or not frames or len(frames) > MOST_FRAMES:
        return None
    if any(not isinstance(frame, dict) or not isinstance(frame.get("matrix"), list) for frame in frames):
        return None  # the add-on of Blender writes matrices as text, column by column
    poses, fields = _cameras(frames, "matrix", lambda i: at.key(f"keyframes[{i}]"))
    return Keyframes(poses, fields, content.get("is_cycle") is True)


def _crop(content: Any, at: _At) -> tuple[Crop, tuple[float, float, float] | None]:
    """The box of a film, and the colour around it."""
    center, sides = at.vector(content, "crop_center"), at.vector(content, "crop_scale", 1e-9)
    angles = at.vector(content, "crop_rot") if content.get("crop_rot") is not None else np.zeros(3)
    crop, color = Crop(center, sides, _turn(angles)), content.get("crop_bg_color")
    if color is None:
        return crop, None
    red, green, blue = (at.key("crop_bg_color").number(color, channel, 0, 255) / 255 for channel in "rgb")
    return crop, (red, green, blue)


def _turn(angles: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) by roll, pitch and yaw in radians: about x, then y, then z."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ about_y @ about_x


def _angles(turn: np.ndarray) -> list[float]:
    """Roll, pitch and yaw in radians; the inverse of `_turn`."""
    flat = np.hypot(turn[0, 0], turn[1, 0])
    if flat < 1e-9:  # straight up or down: roll and yaw turn about one axis, and the yaw is taken to be 0
        return [float(np.arctan2(-turn[1, 2], turn[1, 1])), float(np.arctan2(-turn[2, 0], flat)), 0.0]
    roll, yaw = np.arctan2(turn[2, 1], turn[2, 2]), np.arctan2(turn[1, 0], turn[0, 0])
    return [float(roll), float(np.arctan2(-turn[2, 0], flat)), float(yaw)]


def read_transform(file: Path) -> np.ndarray:
    """The similarity (4, 4) from the world of a data set to that of nerfstudio's scene: its dataparser_transforms.json,
    x -> scale (transform x).

    Raises UserError for a file that is none.
    """
    content, at = read_json(file), _At(str(file))
    scale, rows = at.number(content, "scale", 1e-9, 1e9), content.get("transform")
    if not isinstance(rows, list) or len(rows) not in (3, 4):
        raise at.fail(f"'transform' is {quoted(rows)}; it must be three rows of four numbers.")
    similarity = _pose([*rows[:3], [0.0, 0.0, 0.0, 1.0]], at.key("transform"))
    similarity[:3] *= scale
    return similarity

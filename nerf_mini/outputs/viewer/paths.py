"""Camera paths that a page makes: shown, and kept in the folder of the run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.keyframes import Keyframes
from nerf_mini.outputs.camera_paths import CameraPath, read_camera_path, write_camera_path
from nerf_mini.outputs.viewer.requests import LEAST_FOV, MOST_FOV, MOST_SIDE, between, pose, whole
from nerf_mini.runs.evaluation import spread_indices
from nerf_mini.runs.folder import Run

NAME = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.ASCII | re.IGNORECASE)  # on Windows, with any ending
MOST_KEYFRAMES = 200
PAGE_FRAMES, PAGE_SECONDS, PAGE_RATE = 10_000, 600.0, 120.0  # of what a page may make; files may have more
SHOWN_KEYFRAMES = 24  # of a path that another program made without saying of what


@dataclass(frozen=True)
class Timing:
    """Keyframes, and how fast they are passed."""

    keyframes: Keyframes
    seconds: float
    frames_per_second: float

    @classmethod
    def parsed(cls, content: dict[str, Any]) -> Timing:
        """From a request. Raises UserError for what makes no sense."""
        frames, loop = content.get("keyframes"), content.get("loop", False)
        if not isinstance(frames, list) or not 1 <= len(frames) <= MOST_KEYFRAMES:
            raise UserError(f"'keyframes' must be a list of 1 to {MOST_KEYFRAMES} cameras.")
        if not all(isinstance(frame, dict) for frame in frames):
            raise UserError("'keyframes' must be objects with 'pose' and 'fov'.")
        if not isinstance(loop, bool):
            raise UserError(f"'loop' must be true or false, not {quoted(loop)}.")
        poses = np.stack([pose(frame, "pose") for frame in frames])
        fields = np.array([between(frame, "fov", LEAST_FOV, MOST_FOV) for frame in frames])
        seconds = between(content, "seconds", 0.1, PAGE_SECONDS)
        per_second = between(content, "frames_per_second", 1.0, PAGE_RATE)
        if seconds * per_second > PAGE_FRAMES:
            raise UserError(f"a path has at most {PAGE_FRAMES} frames, not {seconds * per_second:.0f}.")
        return cls(Keyframes(poses, fields, loop), seconds, per_second)


@dataclass(frozen=True)
class PathFolder:
    """RUN/paths: files as nerfstudio writes them, in the world of the data set; pages know the scene alone."""

    run: Run

    @property
    def _folder(self) -> Path:
        return self.run.path / "paths"

    def _file(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise UserError(f"{quoted(name)}: names of paths have 1 to 40 letters, digits, _ and -.")
        if DEVICE.fullmatch(name):
            raise UserError(f"{quoted(name)}: names of paths are no devices of Windows; choose another.")
        return self._folder / f"{name}.json"

    def preview(self, content: dict[str, Any]) -> dict[str, Any]:
        """The frames of a path: poses and fields of view."""
        timing = Timing.parsed(content)
        frames = max(1, round(timing.seconds * timing.frames_per_second))
        poses, fields = timing.keyframes.way(frames)
        return {"poses": poses.reshape(-1, 16).tolist(), "fov": fields.tolist()}

    def names(self) -> list[str]:
        """Of the paths that are there."""
        files = [file for file in self._folder.glob("*.json") if file.is_file()]
        return sorted(file.stem for file in files if NAME.fullmatch(file.stem))

    def read(self, name: str) -> dict[str, Any] | None:
        """A path for the page; None where there is none. Raises UserError for a file that is damaged."""
        file = self._file(name)
        if not file.is_file():
            return None
        path = read_camera_path(file).in_world(np.linalg.inv(self.run.cameras.to_capture))
        keyframes = path.keyframes or _some_frames(path)
        fields = np.clip(keyframes.fields_of_view, LEAST_FOV, MOST_FOV).tolist()
        width, height = path.size
        return {
            "name": name,
            "keyframes": [
                {"pose": own.reshape(-1).tolist(), "fov": fov} for own, fov in zip(keyframes.poses, fields, strict=True)
            ],
            "loop": keyframes.loop,
            "seconds": path.seconds,
            "frames_per_second": path.frames_per_second,
            "width": width,
            "height": height,
        }

    def write(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """Keep a path; says where it is, and how to render it. Raises UserError instead of replacing a path of another
        program, of which the page knows a part only."""
        file, timing = self._file(name), Timing.parsed(content)
        if file.is_file() and _knows_more(file):
            raise UserError(
                f"{file.name} was made by another program, and would lose what pages do not show: its own"
                " frames, or its crop. Choose another name."
            )
        if not self.run.path.is_dir():
            raise UserError(f"{self.run.path}: the folder of the run is gone, and the path is not kept.")
        size = whole(content, "width", 1, MOST_SIDE), whole(content, "height", 1, MOST_SIDE)
        path = CameraPath.through(timing.keyframes, size, timing.seconds, timing.frames_per_second)
        write_camera_path(file, path.in_world(self.run.cameras.to_capture))
        suffix = ".mp4" if find_spec("imageio_ffmpeg") else ".webp"
        video = self.run.renders / f"{name}{suffix}"
        command = ["nerf-mini", "render", str(self.run.path), "--path", str(file), "--output", str(video)]
        return {"file": str(file), "command": shlex.join(command)}


def _knows_more(file: Path) -> bool:
    """Whether a path says more than keyframes, or cannot be read."""
    try:
        path = read_camera_path(file)
    except UserError:
        return True
    return path.keyframes is None or path.crop is not None


def _some_frames(path: CameraPath) -> Keyframes:
    """A few of a path's frames, evenly spread, to stand for the keyframes that are not known."""
    chosen = spread_indices(len(path.poses), SHOWN_KEYFRAMES)
    return Keyframes(path.poses[chosen], path.fields_of_view[chosen])

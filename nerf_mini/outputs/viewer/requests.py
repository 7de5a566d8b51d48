"""What a page may ask for, checked: from JSON to dataclasses, or to a sentence that says what is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.geometry.crop import Crop
from nerf_mini.io.files import is_number
from nerf_mini.rendering.shading import SHADINGS
from nerf_mini.scenes.readers.base import checked_pose

MOST_SIDE = 2048  # pixels
LONGEST_CLIENT = 40  # characters
FARTHEST = 1e6  # scene units from the origin that a camera or a box may be
LEAST_FOV, MOST_FOV = 0.02, 3.1
LOSSLESS = 100  # the quality that means PNG
ACTIONS = ("pause", "resume", "save")


@dataclass(frozen=True)
class FrameRequest:
    """A picture that a page asks for.

    Attributes:
        client, seq: which page, and the number of its request; a later one replaces those before it.
        width, height: in pixels.
        pose, fov: (4, 4) camera-to-world with OpenGL axes, and the vertical field of view in radians; or
        camera: the index of one of the data set's cameras, whose lens is the one of the picture.
        shading: one of `SHADINGS`.
        quality: of JPEG; 100 asks for PNG.
        final: whether this is a sharp picture of a camera at rest, which may be given up for a newer request.
        antialias: whether to follow as many rays in each pixel as `Trainer.supersampling` says.
        crop: the box to show; None: everything.
        background: a colour (3,) in [0, 1]; None: the scene's own.
    """

    client: str
    seq: int
    width: int
    height: int
    pose: np.ndarray | None = None
    fov: float = 0.0
    camera: int | None = None
    shading: str = "color"
    quality: int = 85
    final: bool = False
    antialias: bool = False
    crop: Crop | None = None
    background: tuple[float, ...] | None = None


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a request. Raises UserError where there is none, or a number in it is not finite."""
    try:
        content = json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise UserError(f"the request is not valid JSON ({str(error)[:100]}).") from error
    if not isinstance(content, dict):
        raise UserError("the request must be a JSON object.")
    return content


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def parse_frame(content: dict[str, Any], cameras: int) -> FrameRequest:
    """A request for a frame of a scene with this many cameras. Raises UserError for anything else."""
    client = content.get("client")
    if not isinstance(client, str) or not 1 <= len(client) <= LONGEST_CLIENT:
        raise UserError(f"'client' must be text of 1 to {LONGEST_CLIENT} characters, not {quoted(client)}.")
    shading = content.get("shading", "color")
    if not isinstance(shading, str) or shading not in SHADINGS:
        raise UserError(f"'shading' must be one of {', '.join(SHADINGS)}, not {quoted(shading)}.")
    request: dict[str, Any] = {
        "client": client,
        "seq": whole(content, "seq", 0, 2**53),
        "width": whole(content, "width", 1, MOST_SIDE),
        "height": whole(content, "height", 1, MOST_SIDE),
        "shading": shading,
        "quality": whole(content, "quality", 1, LOSSLESS) if "quality" in content else 85,
        "final": _flag(content, "final"),
        "antialias": _flag(content, "antialias"),
        "crop": _crop(content.get("crop")),
        "background": _background(content.get("background")),
    }
    if content.get("camera") is not None:
        return FrameRequest(**request, camera=whole(content, "camera", 0, cameras - 1))
    return FrameRequest(**request, pose=pose(content, "pose"), fov=between(content, "fov", LEAST_FOV, MOST_FOV))


def parse_action(content: dict[str, Any]) -> str:
    """What is asked of a training. Raises UserError unless it is one of `ACTIONS`."""
    action = content.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        raise UserError(f"'action' must be one of {', '.join(ACTIONS)}, not {quoted(action)}.")
    return action


def numbers(value: Any, count: int, name: str) -> list[float]:
    """A list of n finite numbers. Raises UserError for anything else."""
    if isinstance(value, list) and len(value) == count and all(map(is_number, value)):
        return [float(member) for member in value]
    raise UserError(f"{name!r} must be {count} finite numbers, not {quoted(value)}.")


def between(content: dict[str, Any], name: str, least: float, most: float) -> float:
    """The number under a name, within limits. Raises UserError for anything else."""
    value: Any = content.get(name)
    if is_number(value) and least <= value <= most:
        return float(value)
    raise UserError(f"{name!r} must be a number from {least:g} to {most:g}, not {quoted(value)}.")


def whole(content: dict[str, Any], name: str, least: int, most: int) -> int:
    """The whole number under a name, within limits. Raises UserError for anything else."""
    value = content.get(name)
    if type(value) is int and least <= value <= most:
        return value
    raise UserError(f"{name!r} must be a whole number from {least} to {most}, not {quoted(value)}.")


def pose(content: dict[str, Any], name: str) -> np.ndarray:
    """The camera-to-world matrix (4, 4) under a name, 16 numbers row by row. Raises UserError for anything else."""
    matrix = checked_pose(np.reshape(numbers(content.get(name), 16, name), (4, 4)), f"{name!r}")
    if np.abs(matrix[:3, 3]).max() > FARTHEST:
        raise UserError(f"{name!r}: the camera is further than {FARTHEST:g} from the origin.")
    return matrix


def _flag(content: dict[str, Any], name: str) -> bool:
    value = content.get(name, False)
    if not isinstance(value, bool):
        raise UserError(f"{name!r} must be true or false, not {quoted(value)}.")
    return value


def _crop(value: Any) -> Crop | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise UserError(f"'crop' must be an object with 'center' and 'sides', not {quoted(value)}.")
    center, sides = (np.array(numbers(value.get(name), 3, name)) for name in ("center", "sides"))
    if np.abs(center).max() > FARTHEST or not np.all((sides > 0) & (sides <= FARTHEST)):
        raise UserError(f"'crop': needs a center and positive sides of at most {FARTHEST:g}.")
    return Crop(center, sides)


def _background(value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    color = numbers(value, 3, "background")
    if not all(0.0 <= channel <= 1.0 for channel in color):
        raise UserError(f"'background' must be red, green and blue from 0 to 1, not {quoted(value)}.")
    return tuple(color)

"""instant-ngp's form: transforms.json with the scene's place in the unit cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.poses import looked_at
from nerf_mini.io.files import write_json
from nerf_mini.scenes.writers.base import Capture, Writer, coefficients, dynamic_mask, in_common, only_lens
from nerf_mini.scenes.writers.nerfstudio import FILE_NAME, frame_of, intrinsics_of

LENSES = ("pinhole", "radial-tangential", "fisheye")
AABB_SCALE = 16  # unit cubes along a side of what is modelled
_PERSPECTIVE = ("k1", "k2", "p1", "p2")


def write_instant_ngp(folder: Path, capture: Capture) -> tuple[Path, ...]:
    """Write transforms.json, in which all pictures are for training; returns the file.

    `scale` and `offset` put what the cameras look at in the middle of the unit cube, and the cameras at half a unit
    from it. Masks, beside the pictures, are white where pixels are to be ignored.

    Raises:
        UserError: the cameras have several kinds of lens, or one that the form does not have.
    """
    file, cameras = folder / FILE_NAME, capture.cameras
    lens = only_lens(cameras, file, LENSES)
    for view in range(len(capture.names)):
        extra = [key for key, value in coefficients(cameras, view).items() if value and key not in _PERSPECTIVE]
        if extra and lens != "fisheye":
            raise UserError(f"{file}: cannot hold the lens parameter {extra[0]}. Write a COLMAP model instead.")
    intrinsics = [intrinsics_of(cameras, view, file) for view in range(len(capture.names))]
    shared = in_common(intrinsics)
    middle = looked_at(np.asarray(cameras.poses))
    distance = float(np.median(np.linalg.norm(np.asarray(cameras.poses)[:, :3, 3] - middle, axis=1)))
    scale = 0.5 / distance if distance > 0 else 1.0
    content: dict[str, Any] = {
        **shared,
        **({"is_fisheye": True} if lens == "fisheye" else {}),
        "aabb_scale": AABB_SCALE,
        "scale": scale,
        "offset": (0.5 - scale * middle).tolist(),
        "frames": [
            frame_of(capture, view, {key: value for key, value in own.items() if key not in shared})
            for view, own in enumerate(intrinsics)
        ],
    }
    write_json(file, content)
    return (file,)


WRITER = Writer("instant-ngp", f"{FILE_NAME} as instant-ngp has it", write_instant_ngp, dynamic_mask, 255, LENSES)

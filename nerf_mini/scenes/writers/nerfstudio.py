"""nerfstudio's form: transforms.json, and sparse_pc.ply for the points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.files import write_json
from nerf_mini.io.ply import write_ply_points
from nerf_mini.scenes.writers.base import IMAGES, Capture, Writer, coefficients, in_common, mask_beside, only_lens

FILE_NAME, POINTS_NAME = "transforms.json", "sparse_pc.ply"
CAMERA_MODELS = {
    "pinhole": "PINHOLE", "radial-tangential": "OPENCV", "radial-polynomial": "OPENCV", "fisheye": "OPENCV_FISHEYE",
    "equirectangular": "EQUIRECTANGULAR",
}  # fmt: skip
_DENOMINATOR = ("k4", "k5", "k6")
_SAME_WORLD = np.eye(4)[:3].tolist()
_GREY = 128
_SPLITS = (("train", "train"), ("val", "test"), ("test", "test"))  # nerfstudio validates on what it tests on


def write_nerfstudio(folder: Path, capture: Capture) -> tuple[Path, ...]:
    """Write transforms.json, and sparse_pc.ply if there are points; returns the files.

    What all cameras have in common stands at the top of the file, the rest in the frames. Masks are black where pixels
    are to be ignored.

    Raises:
        UserError: the cameras have several kinds of lens, or one that the form does not have.
    """
    file, points = folder / FILE_NAME, folder / POINTS_NAME
    lens = only_lens(capture.cameras, file, tuple(CAMERA_MODELS))
    intrinsics = [intrinsics_of(capture.cameras, view, file) for view in range(len(capture.names))]
    shared = in_common(intrinsics)
    content: dict[str, Any] = {"camera_model": CAMERA_MODELS[lens], **shared, "applied_transform": _SAME_WORLD}
    if capture.points is not None:
        content["ply_file_path"] = POINTS_NAME
        grey = np.full((len(capture.points.positions), 3), _GREY, np.uint8)
        write_ply_points(points, capture.points.positions, grey)
    if capture.held_out:
        held_out = set(capture.held_out)
        paths: dict[str, list[str]] = {"train": [], "test": []}
        for name in capture.names:
            paths["test" if name in held_out else "train"].append(f"{IMAGES}/{name}")
        content |= {f"{split}_filenames": paths[part] for split, part in _SPLITS}
    content["frames"] = [
        frame_of(capture, view, {key: value for key, value in own.items() if key not in shared})
        | ({"mask_path": mask_beside(capture.names[view])} if capture.masked else {})
        for view, own in enumerate(intrinsics)
    ]
    write_json(file, content)
    return (file,) if capture.points is None else (file, points)


def frame_of(capture: Capture, view: int, intrinsics: dict[str, Any]) -> dict[str, Any]:
    """What transforms files say of one picture."""
    pose = np.asarray(capture.cameras.poses)[view].tolist()
    return {"file_path": f"{IMAGES}/{capture.names[view]}", "transform_matrix": pose, **intrinsics}


def intrinsics_of(cameras: Cameras, view: int, where: object) -> dict[str, Any]:
    """What transforms files say of one camera, in pixels. Raises UserError for a lens with a denominator."""
    (fl_x, fl_y), (cx, cy) = np.asarray(cameras.focal)[view].tolist(), np.asarray(cameras.center)[view].tolist()
    width, height = cameras.size[view].tolist()
    lens = coefficients(cameras, view)
    if cameras.lens[view] == "radial-tangential":
        if any(lens[key] for key in _DENOMINATOR):
            raise UserError(f"{where}: cannot hold a lens with k4, k5 or k6. Write a COLMAP model instead.")
        lens = {key: value for key, value in lens.items() if key not in _DENOMINATOR and (value or key != "k3")}
    return {"w": width, "h": height, "fl_x": fl_x, "fl_y": fl_y, "cx": cx, "cy": cy, **lens}


WRITER = Writer(
    "nerfstudio", f"{FILE_NAME} as nerfstudio has it", write_nerfstudio, mask_beside, 0, tuple(CAMERA_MODELS)
)

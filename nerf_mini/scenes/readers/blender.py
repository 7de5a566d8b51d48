"""Blender-style data sets: transforms_{train,val,test}.json beside folders of images (Mildenhall et al. 2020).

They are told from captures, which have files of the same names, in `readers.transforms`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nerf_mini.errors import UserError
from nerf_mini.io.files import real_path
from nerf_mini.scenes.readers.base import Request, checked_pose, number
from nerf_mini.scenes.readers.frames import Frame, found_pictures
from nerf_mini.scenes.readers.intrinsics import Intrinsics, checked_intrinsics, checked_size, focal_of_view
from nerf_mini.scenes.readers.pictures import Picture, unique_names
from nerf_mini.scenes.readers.shots import Shot, background_of, read_views
from nerf_mini.scenes.readers.splits import every_nth
from nerf_mini.scenes.scene import Scene
from nerf_mini.scenes.settling import settled

DEFAULT_NEAR, DEFAULT_FAR = 2.0, 6.0
LENS_KEYS = ("k1", "k2", "k3", "k4", "p1", "p2")
_POSITIVE_KEYS = ("w", "h", "fl_x", "fl_y")


def read_blender(request: Request, frames: Mapping[str, Sequence[Frame]]) -> Scene:
    """Read a Blender-style folder.

    Every transforms file has `camera_angle_x`, the horizontal field of view in radians, and `frames`, each with a
    `file_path` (with or without suffix, relative to the folder) and a camera-to-world `transform_matrix`. `near` and
    `far` beside them are optional: 2 and 6 where absent. So are measured intrinsics in pixels, `fl_x`, `fl_y`, `cx` and
    `cy` for images of `w` x `h`. Frames keep the order of the file, and the world is left as it is, unless the user
    asks for a space.

    Raises:
        UserError: anything in the files is missing, unreadable or inconsistent.
    """
    held_out = "its own split files"
    near, far = DEFAULT_NEAR, DEFAULT_FAR
    for split in reversed([split for split in request.splits if split in frames]):
        first = frames[split][0]  # where files differ, the split asked for first decides
        near, far = number(first.top, "near", first.file, near), number(first.top, "far", first.file, far)
    if request.space is None:  # else the user's are in units of the settled scene
        near, far = request.bounds(near, far)
    if request.test_every is not None:
        frames, held_out = _pooled(frames, request.test_every)
    wanted = dict.fromkeys(request.splits if request.space is None else ("train", *request.splits))
    shots = {split: _shots(request, frames[split], near, far) for split in wanted if split in frames}
    # names differ within a split; a picture of another may have the same
    views = {split: read_views(part, unique_names([shot.name for shot in part])) for split, part in shots.items()}
    background = background_of([shot for part in shots.values() for shot in part])
    folder = request.path
    scene = Scene(real_path(folder).name, folder, "blender", views, background, held_out)
    if request.space is not None:
        scene = settled(scene, request.space, request.near, request.far, request.world)
    return replace(scene, splits={split: scene.splits[split] for split in views if split in request.splits})


def _pooled(frames: Mapping[str, Sequence[Frame]], every: int) -> tuple[dict[str, Sequence[Frame]], str]:
    """The frames of all splits, by name, split anew."""
    pool = {frame.name: frame for part in frames.values() for frame in part}
    ordered = [pool[name] for name in sorted(pool)]
    indices, rule = every_nth(len(ordered), every)
    return {split: [ordered[i] for i in part] for split, part in indices.items()}, rule


def _shots(request: Request, frames: Sequence[Frame], near: float, far: float) -> list[Shot]:
    """The pictures and cameras of a split."""
    poses = [checked_pose(frame.value("transform_matrix"), frame.where) for frame in frames]
    pictures = found_pictures(request.path, frames, request.downscale, levels=False)
    return [
        Shot(frame.name, frame.where, picture, pose, _intrinsics(frame.top, picture, frame), near, far)
        for frame, picture, pose in zip(frames, pictures, poses, strict=True)
    ]


def _intrinsics(content: Mapping[str, Any], picture: Picture, frame: Frame) -> Intrinsics:
    """Square pixels and no lens distortion, as Blender renders them."""
    file = frame.file
    angle = number(content, "camera_angle_x", file)
    if not 0.0 < angle < math.pi:
        raise UserError(f"{file}: camera_angle_x is {angle}; a field of view in radians lies between 0 and pi.")
    distorted = [key for key in LENS_KEYS if number(content, key, file, 0.0) != 0.0]
    if distorted:
        raise UserError(
            f"{file}: the lens distorts ({', '.join(distorted)}), but there is no focal length in pixels (fl_x, w, h) "
            "that this is to be read with. Undistort the images and set these keys to zero, or add the focal length."
        )
    for key in _POSITIVE_KEYS:
        if number(content, key, file, 1.0) <= 0.0:
            raise UserError(f"{file}: {key!r} must be positive, not {content[key]}.")
    # Photographs come with measured values, for images of w x h pixels; a renderer needs none of these keys.
    width, height = number(content, "w", file, picture.stored[0]), number(content, "h", file, picture.stored[1])
    focal = number(content, "fl_x", file) if "fl_x" in content else focal_of_view(angle, width)
    center = number(content, "cx", file, 0.5 * width), number(content, "cy", file, 0.5 * height)
    size = checked_size(width, height, str(file))
    upright = number(content, "fl_y", file) if "fl_y" in content else focal
    return checked_intrinsics(size, (focal, upright), center, str(file))

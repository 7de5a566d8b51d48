"""The data set that a capture becomes: pictures, transforms.json and a COLMAP model that say the same."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from nerf_mini.errors import UserError, reason_of
from nerf_mini.geometry.poses import common_up
from nerf_mini.io.images import open_picture
from nerf_mini.scenes.capture.gathering import JPEG, Progress
from nerf_mini.scenes.capture.models import Model
from nerf_mini.scenes.scene import Observations, SparsePoints
from nerf_mini.scenes.writers import WRITERS, Capture

IMAGES = "images"
_ORIENTATION = 0x0112  # in EXIF: how a viewer is to turn a picture


def write_data_set(folder: Path, photos: Path, model: Model, max_size: int, progress: Progress) -> tuple[Model, int]:
    """Write the pictures that have a pose, transforms.json and sparse/0; gives the model as written, z up.

    Pictures are linked or copied as they are, or shrunk where they are larger than `max_size`; how many were. They are
    not turned: poses are those of their pixels as they are stored.
    """
    model = _upright(model)
    cameras, place, shrunk = model.cameras, model.place.copy(), 0
    focal, center, size = cameras.focal.copy(), cameras.center.copy(), cameras.size.copy()
    for view, name in enumerate(model.names):
        target = folder / IMAGES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        written = _write_picture(photos / name, target, max_size)
        if written is not None:
            ratio = np.array(written) / size[view]
            focal[view], center[view], size[view] = focal[view] * ratio, center[view] * ratio, written
            place[model.image == view] *= ratio
            shrunk += 1
        progress("pictures", view + 1, len(model))
    model = replace(model, cameras=replace(cameras, focal=focal, center=center, size=size), place=place)
    seen = Observations(model.point, model.image, model.place, model.names)
    tracks = np.bincount(model.point, minlength=len(model.positions))
    written_capture = Capture(model.cameras, model.names, SparsePoints(model.positions, tracks, seen))
    for kind in ("nerfstudio", "colmap"):
        WRITERS[kind].write(folder, written_capture)
    return model, shrunk


def _upright(model: Model) -> Model:
    """The model turned so that the cameras' mean up is z, its middle camera at the origin."""
    up = common_up(model.cameras.poses)
    right = np.cross(np.eye(3)[np.abs(up).argmin()], up)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(up, right), up])  # from the world to x right, y ahead, z up
    poses = model.cameras.poses.copy()
    middle = np.median(poses[:, :3, 3], axis=0)
    poses[:, :3, 3] -= middle
    poses[:, :3] = turn @ poses[:, :3]
    return replace(model, cameras=replace(model.cameras, poses=poses), positions=(model.positions - middle) @ turn.T)


def _write_picture(source: Path, target: Path, max_size: int) -> tuple[int, int] | None:
    """Link or copy a picture, or write a smaller one and give its size."""
    try:
        with open_picture(source) as image:
            if max(image.size) > max_size:
                ratio = max_size / max(image.size)
                size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
                exif = image.getexif()
                exif.pop(_ORIENTATION, None)
                options = JPEG if image.format == "JPEG" else {}
                image.resize(size, Image.Resampling.LANCZOS).save(target, format=image.format, exif=exif, **options)
                return size
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{source}: cannot be read as an image ({reason_of(error)}). Is the file complete?") from error
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)
    return None

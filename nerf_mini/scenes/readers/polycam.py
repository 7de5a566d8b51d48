"""Polycam's raw data: a folder `keyframes` with pictures, and a JSON file with the camera of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError, listed, log_warning
from nerf_mini.io.files import read_json
from nerf_mini.scenes.readers.base import Reader, Request, checked_pose, number
from nerf_mini.scenes.readers.intrinsics import checked_intrinsics, checked_size
from nerf_mini.scenes.readers.pictures import Picture, find_pictures, open_pictures, pictures_in
from nerf_mini.scenes.readers.shots import Shot, captured
from nerf_mini.scenes.readers.splits import every_nth
from nerf_mini.scenes.scene import Scene

FOLDER = "keyframes"
KINDS = (("corrected_cameras", "corrected_images"), ("cameras", "images"))  # after loops were closed; as tracked live
MOST_CAMERAS = 100_000


def _folders(path: Path) -> tuple[str, str] | None:
    """The folders of cameras and of pictures within `keyframes`, the better ones where there are two of each."""
    root = path / FOLDER
    found = (kind for kind in KINDS if all((root / name).is_dir() for name in kind))
    return next(found, None)


def read_polycam(request: Request) -> Scene:
    """Read keyframes/corrected_cameras and corrected_images, or else keyframes/cameras and images.

    ID.json holds `fx`, `fy`, `cx`, `cy`, `width` and `height` in pixels, and the rows of the camera-to-world matrix as
    `t_00` to `t_23`, with OpenGL's axes and y up, in metres. ID.jpg is its picture. Every 8th picture is held out.

    Raises:
        UserError: a file is damaged, or no picture has a camera.
    """
    folders = _folders(request.path)
    if folders is None:
        raise UserError(f"{request.path / FOLDER}: holds no folders of cameras and pictures.")
    root, (cameras, images) = request.path / FOLDER, folders
    files = sorted(file for file in (root / cameras).glob("*.json") if not file.name.startswith("."))
    if len(files) > MOST_CAMERAS:
        raise UserError(f"{root / cameras}: holds {len(files)} cameras; at most {MOST_CAMERAS} can be read.")
    found, factor = find_pictures(root, [f"{images}/{file.stem}" for file in files], request.downscale)
    pairs = [(file, picture) for file, picture in zip(files, found, strict=True) if picture is not None]
    if not pairs:
        raise UserError(f"{root}: no picture in {images} has a camera of the same name in {cameras}.")
    _warn_of_singles(root, (cameras, images), files, [file for file, _ in pairs])
    pictures = open_pictures([picture for _, picture in pairs], factor, [str(file) for file, _ in pairs])
    shots = [_shot(file, picture) for (file, _), picture in zip(pairs, pictures, strict=True)]
    splits, held_out = every_nth(len(shots), request.test_every)
    return captured(request, "polycam", {split: [shots[i] for i in part] for split, part in splits.items()}, held_out)


def _warn_of_singles(root: Path, folders: tuple[str, str], files: Sequence[Path], paired: Sequence[Path]) -> None:
    """Name cameras without a picture, and pictures without a camera."""
    cameras, images = folders
    without = [file.name for file in files if file not in set(paired)]
    if without:
        log_warning(f"{root / cameras}: {len(without)} cameras have no picture in {images}: {listed(without)}")
    stems = {file.stem for file in files}
    alone = [name for name in pictures_in(root / images) if Path(name).stem not in stems]
    if alone:
        log_warning(f"{root / images}: {len(alone)} pictures have no pose in {cameras}: {listed(alone)}")


def _shot(file: Path, picture: Picture) -> Shot:
    """A picture, and its camera from a file."""
    values, where = read_json(file), str(file)

    def of(key: str) -> float:
        return number(values, key, where)

    pose = np.eye(4)
    pose[:3] = [[of(f"t_{row}{column}") for column in range(4)] for row in range(3)]
    size = checked_size(of("width"), of("height"), where)
    intrinsics = checked_intrinsics(size, (of("fx"), of("fy")), (of("cx"), of("cy")), where)
    return Shot(file.stem, where, picture, checked_pose(pose, where), intrinsics)


READER = Reader(
    "polycam", f"a folder with {FOLDER}/cameras and {FOLDER}/images", lambda path: _folders(path) is not None,
    read_polycam,
)  # fmt: skip

"""LLFF's data sets: poses_bounds.npy beside folders of pictures (Mildenhall et al. 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError, listed, reason_of
from nerf_mini.io.files import require_file
from nerf_mini.scenes.readers.base import Reader, Request, checked_pose
from nerf_mini.scenes.readers.intrinsics import checked_intrinsics, checked_size
from nerf_mini.scenes.readers.pictures import find_pictures, levels_of, open_pictures, pictures_in
from nerf_mini.scenes.readers.shots import Shot, captured
from nerf_mini.scenes.readers.splits import every_nth
from nerf_mini.scenes.scene import Scene

FILE_NAME = "poses_bounds.npy"
_COLUMNS = 17  # a matrix of 3 x 5, row by row, then near and far
_FOLDER = "images"


def _recognise(path: Path) -> bool:
    return (path / FILE_NAME).is_file()


def read_llff(request: Request) -> Scene:
    """Read poses_bounds.npy and the pictures in images, or in images_2, images_4 ..

    Each row holds a pose as columns down, right, back, position, and (height, width, focal length) of the pictures
    before they were downscaled; then the distances of the nearest and the farthest thing in view. Rows are in the order
    of the names. Every 8th picture is held out.

    Raises:
        UserError: the file is damaged, or has another number of rows than there are pictures.
    """
    folder, file = request.path, request.path / FILE_NAME
    rows = _read_rows(file)
    names = _names(folder, len(rows), file)
    files, factor = find_pictures(folder, [f"{_FOLDER}/{name}" for name in names], request.downscale)
    where = [f"{file}: row {index} ({name})" for index, name in enumerate(names)]
    found = [found for found in files if found is not None]
    if len(found) < len(files):
        raise UserError(f"{where[files.index(None)]}: its picture is missing in {_FOLDER}, or is no file.")
    pictures = open_pictures(found, factor, where)
    shots = []
    for row, name, place, picture in zip(rows, names, where, pictures, strict=True):
        matrix, (near, far) = row[:15].reshape(3, 5), row[15:]
        down, right, back, position, (height, width, focal) = matrix.T
        pose = np.eye(4)
        pose[:3] = np.stack([right, -down, back, position], axis=1)
        if not 0 < near < far < np.inf:
            raise UserError(f"{place}: near {near:g} and far {far:g} are not a range of distances.")
        size = checked_size(float(width), float(height), place)
        intrinsics = checked_intrinsics(size, (float(focal), float(focal)), None, place)
        shots.append(Shot(name, place, picture, checked_pose(pose, place), intrinsics, float(near), float(far)))
    splits, held_out = every_nth(len(shots), request.test_every)
    return captured(request, "llff", {split: [shots[i] for i in part] for split, part in splits.items()}, held_out)


def _read_rows(file: Path) -> np.ndarray:
    """The rows of the file, (views, 17) float64, at least one and all finite."""
    require_file(file)
    try:
        with open(file, "rb") as opened:
            rows = np.lib.format.open_memmap(file, "r") if opened.read(6) == b"\x93NUMPY" else None
    except Exception as error:  # NumPy's parser of headers raises more kinds than it documents, TokenError among them
        raise UserError(f"{file}: cannot be read as a NumPy array ({reason_of(error)}). Is it complete?") from error
    if rows is None or rows.ndim != 2 or rows.shape[1] != _COLUMNS or not len(rows) or rows.dtype.kind != "f":
        found = "no NumPy array" if rows is None else f"{rows.shape} {rows.dtype}"
        raise UserError(f"{file}: must hold an array of numbers of (views, {_COLUMNS}), not {found}.")
    numbers = np.array(rows, np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(wrong):
        raise UserError(f"{file}: row {wrong[0]} holds values that are not finite.")
    return numbers


def _names(folder: Path, count: int, file: Path) -> list[str]:
    """The names of the pictures, one per row; of the largest ones, where there are several sizes."""
    levels = levels_of(folder, _FOLDER)
    for name in (_FOLDER, *(levels[n] for n in sorted(levels))):
        names = pictures_in(folder / name)
        if len(names) == count:
            return names
        if names:
            raise UserError(
                f"{file}: has {count} rows, but {folder / name} holds {len(names)} pictures: {listed(names, 12)}. "
                "Pictures without a pose must go: see which ones COLMAP did not register."
            )
    raise UserError(f"{folder}: there are no pictures in {_FOLDER}, nor in {_FOLDER}_2, _4 or _8.")


READER = Reader("llff", f"a folder with {FILE_NAME} and images", _recognise, read_llff)

"""Captures of nerfstudio and instant-ngp: transforms.json, or split files of the same names as Blender's.

Keys are those of nerfstudio's data conventions and of instant-ngp's loader; docs/formats.md has the table. A folder is
Blender's if its split files say no more of the camera than its field of view, or measure the intrinsics of pictures
with transparency; all else is a capture, whose world is settled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, listed, log_warning, quoted
from nerf_mini.io.images import read_header
from nerf_mini.scenes.readers.base import Reader, Request, checked_pose, finite, number
from nerf_mini.scenes.readers.blender import LENS_KEYS, read_blender
from nerf_mini.scenes.readers.colmap_files import model_folders, read_points
from nerf_mini.scenes.readers.frames import Frame, found_pictures, read_frames
from nerf_mini.scenes.readers.intrinsics import (
    Intrinsics,
    checked_intrinsics,
    checked_size,
    equirectangular,
    focal_of_view,
)
from nerf_mini.scenes.readers.pictures import Mask, Picture, beside, find_pictures
from nerf_mini.scenes.readers.ply import read_ply_points
from nerf_mini.scenes.readers.shots import Shot, captured
from nerf_mini.scenes.readers.splits import by_lists, every_nth
from nerf_mini.scenes.scene import SPLITS, Scene, SparsePoints

SINGLE_FILE = "transforms.json"
PERSPECTIVE = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_CAMERA_MODELS = (*PERSPECTIVE, "OPENCV_FISHEYE", "EQUIRECTANGULAR")
_DISTORTION_ORDER = ("k1", "k2", "k3", "k4", "p1", "p2")  # of the list distortion_params
_REFUSED = (
    "rolling_shutter", "transform_matrix_start", "transform_matrix_end", "latlong", "equirectangular", "orthographic",
    "from_mitsuba", *(f"ftheta_p{i}" for i in range(5)),
)  # fmt: skip
_IGNORED_PIXELS = ("white_transparent", "black_transparent", "fix_premult")
_LISTS = {split: f"{split}_filenames" for split in SPLITS}
_OF_CAPTURES = (
    "aabb_scale", "aabb", "scale", "offset", "camera_model", "is_fisheye", "x_fov", "distortion_params",
    "fisheye_crop_radius", "orientation_override", "applied_transform", "applied_scale", "ply_file_path",
    *_LISTS.values(), *_REFUSED,
)  # fmt: skip
_MEASURED = ("fl_x", "fl_y", "cx", "cy")
_AABB_SCALES = tuple(2**k for k in range(8))


def _split_files(folder: Path) -> dict[str, Path]:
    files = {split: folder / f"transforms_{split}.json" for split in SPLITS}
    return {split: file for split, file in files.items() if file.is_file()}


def _recognise(path: Path) -> bool:
    return (path.suffix == ".json" and path.is_file()) or (path / SINGLE_FILE).is_file() or bool(_split_files(path))


def read_transforms(request: Request) -> Scene:
    """Read a folder with transforms.json, or with transforms_train.json and perhaps _val and _test, which come first.

    Raises:
        UserError: there is nothing to train on, or anything in the files is missing, unreadable, inconsistent or not
            supported.
    """
    path = request.path
    files = {} if path.is_file() else _split_files(path)
    single = path if path.is_file() else path / SINGLE_FILE
    if "train" not in files and not single.is_file():
        raise UserError(f"{path}: there is no transforms_train.json, so there is nothing to train on.")
    if "train" not in files:
        frames = sorted(read_frames(single), key=lambda frame: frame.name)
        return _read_capture(request, frames, _chosen_splits(request, frames))
    parts = {split: read_frames(file) for split, file in files.items()}
    if not _is_capture(path, parts):
        return read_blender(request, parts)
    frames = [frame for part in parts.values() for frame in part]
    if request.test_every is not None:
        frames = sorted({frame.name: frame for frame in frames}.values(), key=lambda frame: frame.name)
        return _read_capture(request, frames, every_nth(len(frames), request.test_every))
    ends = np.cumsum([len(part) for part in parts.values()]).tolist()
    splits = {split: list(range(end - len(part), end)) for (split, part), end in zip(parts.items(), ends, strict=True)}
    return _read_capture(request, frames, (splits, "its own split files"))


def _is_capture(folder: Path, parts: Mapping[str, Sequence[Frame]]) -> bool:
    """Whether split files are of photographs rather than of renderings: see the head of this module."""
    first = next(iter(parts.values()))[0]
    for frames in parts.values():
        top = frames[0].top
        measured = "fl_x" in top
        if any(key in top for key in _OF_CAPTURES) or (measured and any(key in top for key in LENS_KEYS)):
            return True
        if (measured and "camera_angle_x" not in top) or any("fl_x" in frame.values for frame in frames):
            return True
    if not any(key in first.top for key in _MEASURED):
        return False
    files, _ = find_pictures(folder, [first.name], 1)
    return files[0] is not None and not read_header(files[0]).has_alpha


def _chosen_splits(request: Request, frames: Sequence[Frame]) -> tuple[dict[str, list[int]], str]:
    """Indices of the frames of a single file by split, by its own lists or by name, and the rule in words."""
    top, file = frames[0].top, frames[0].file
    names = [frame.name for frame in frames]
    twice = sorted({name for before, name in pairwise(names) if before == name})
    if twice:
        raise UserError(f"{file}: several frames have the same picture: {listed(twice)}. Keep one frame for each.")
    lists = {}
    for split, key in _LISTS.items():
        wanted = top.get(key)
        if wanted is None:
            continue
        if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
            raise UserError(f"{file}: {key!r} must be a list of file paths, not {quoted(wanted)}.")
        lists[split] = wanted
    if not lists or request.test_every is not None:
        return every_nth(len(frames), request.test_every)
    return by_lists(names, lists, {split: f"{file}: {_LISTS[split]}" for split in lists})


def _read_capture(request: Request, frames: Sequence[Frame], chosen: tuple[dict[str, list[int]], str]) -> Scene:
    """The scene of frames that are already in splits."""
    splits, held_out = chosen
    folder = frames[0].file.parent
    for top, file in {id(frame.top): (frame.top, frame.file) for frame in frames}.values():
        _check_file(top, file)
    kept = [i for split, part in splits.items() if split == "train" or split in request.splits for i in part]
    wanted = [frames[index] for index in kept]
    pictures = found_pictures(folder, wanted, request.downscale)
    shots = {index: _shot(folder, frame, picture) for index, frame, picture in zip(kept, wanted, pictures, strict=True)}
    by_split = {split: [shots[i] for i in part if i in shots] for split, part in splits.items()}
    points = _sparse_points(folder, frames[0].top, frames[0].file)
    return captured(request, "transforms", {split: part for split, part in by_split.items() if part}, held_out, points)


def _check_file(top: Mapping[str, Any], file: Path) -> None:
    """Raise a UserError for what is not supported, or wrong, for a whole file; warn of what is not done."""
    model = top.get("camera_model", "OPENCV")
    if model not in _CAMERA_MODELS:
        raise UserError(
            f"{file}: 'camera_model' {quoted(model)} is not supported; those that are: {', '.join(_CAMERA_MODELS)}."
        )
    scale = top.get("aabb_scale", 1)
    if isinstance(scale, bool) or scale not in _AABB_SCALES:
        raise UserError(f"{file}: 'aabb_scale' must be a power of two from 1 to 128, not {quoted(scale)}.")
    ignored = [key for key in _IGNORED_PIXELS if top.get(key)]
    if ignored:
        log_warning(f"{file}: {', '.join(ignored)}: not supported; pictures are read as they are")


def _shot(folder: Path, frame: Frame, picture: Picture) -> Shot:
    """A frame, checked."""
    for key in _REFUSED:
        if _says_something(frame.values.get(key)) or _says_something(frame.top.get(key)):
            raise UserError(
                f"{frame.where}: the key {key!r} is not supported: cameras with it would be read wrongly. If they do "
                "without it, remove the key."
            )
    intrinsics = _intrinsics(folder, frame, picture)
    near, far = (_distance(frame, key, default) for key, default in (("near", 0.0), ("far", math.inf)))
    if not near < far:
        raise UserError(f"{frame.where}: near {near} and far {far} are not a range of distances; need near < far.")
    radius = None
    if _says_something(frame.top.get("fisheye_crop_radius")):
        radius = number(frame.top, "fisheye_crop_radius", frame.file)
        if radius <= 0:
            raise UserError(f"{frame.file}: 'fisheye_crop_radius' must be positive, not {radius:g}.")
    pose = checked_pose(frame.value("transform_matrix"), frame.where)
    return Shot(frame.name, frame.where, picture, pose, intrinsics, near, far, _masks(folder, frame, picture), radius)


def _says_something(value: object) -> bool:
    """Not absent, false, zero, or a list of zeros."""
    return any(map(_says_something, value)) if isinstance(value, list) else bool(value)


def _distance(frame: Frame, key: str, default: float) -> float:
    """The near or far distance of a frame, in the units of the file."""
    value = frame.values.get(key, frame.top.get(key))
    if value is None:
        return default
    distance = finite(value, f"{frame.where}: {key!r}")
    if distance < 0:
        raise UserError(f"{frame.where}: {key!r} must not be negative, but is {distance:g}.")
    return distance


def _intrinsics(folder: Path, frame: Frame, picture: Picture) -> Intrinsics:
    """The camera of a frame. What the frame says counts more than what the file says for all."""
    values, where = {**frame.top, **frame.values}, frame.where
    size = _measured_size(folder, frame, values, picture)
    model = frame.top.get("camera_model", "OPENCV")
    if model == "EQUIRECTANGULAR":
        return equirectangular(size, where)
    focal_x = _focal(frame, "x", size[0])
    if focal_x is None:
        raise UserError(f"{where}: there is no focal length: neither 'fl_x' nor 'x_fov' nor 'camera_angle_x'.")
    focal_y = _focal(frame, "y", size[1])
    center = number(values, "cx", where, size[0] / 2), number(values, "cy", where, size[1] / 2)
    coefficients = _coefficients(values, where)
    if model == "OPENCV_FISHEYE" or values.get("is_fisheye"):
        return checked_intrinsics(size, (focal_x, focal_y or focal_x), center, where, "fisheye", coefficients)
    # k4 is of r^8 in nerfstudio, of a denominator in OpenCV, and ignored by instant-ngp
    lens = "radial-polynomial" if coefficients["k4"] else "radial-tangential"
    return checked_intrinsics(size, (focal_x, focal_y or focal_x), center, where, lens, coefficients)


def _measured_size(folder: Path, frame: Frame, values: Mapping[str, Any], picture: Picture) -> tuple[float, float]:
    """The size in whose pixels the intrinsics are: as the file says, else of the picture that it names."""
    if "w" in values and "h" in values:
        return checked_size(number(values, "w", frame.where), number(values, "h", frame.where), frame.where)
    (named,), _ = find_pictures(folder, [frame.name], 1, levels=False)
    if named is None and any(key in values for key in _MEASURED):
        raise UserError(
            f"{frame.where}: the picture is downscaled, and the size of the original is unknown; add 'w' and 'h'."
        )
    return (picture.header if named in (None, picture.file) else read_header(named)).size


def _focal(frame: Frame, axis: str, side: float) -> float | None:
    """Focal length along an axis in pixels, from a field of view in degrees, in pixels, or as an angle in radians."""
    for values in (frame.values, frame.top):
        for key, unit in ((f"{axis}_fov", math.radians(1)), (f"fl_{axis}", None), (f"camera_angle_{axis}", 1.0)):
            if values.get(key) is None:
                continue
            value = number(values, key, frame.where)
            if unit is None and value <= 0:
                raise UserError(f"{frame.where}: {key!r} must be positive, not {value:g}.")
            if unit is not None and not 0 < value * unit < math.pi:
                limit = "180 degrees" if axis in key[:1] else "pi"
                raise UserError(f"{frame.where}: {key!r} is {value:g}; a field of view lies between 0 and {limit}.")
            return value if unit is None else focal_of_view(value * unit, side)
    return None


def _coefficients(values: Mapping[str, Any], where: str) -> dict[str, float]:
    """The lens coefficients k1 to k4, p1 and p2, 0 where absent."""
    given = values.get("distortion_params")
    if given is None:
        return {key: number(values, key, where, 0.0) for key in LENS_KEYS}
    if not isinstance(given, list) or len(given) != len(_DISTORTION_ORDER):
        raise UserError(f"{where}: 'distortion_params' must be a list of 6 numbers, not {quoted(given)}.")
    return {
        key: finite(value, f"{where}: 'distortion_params': {key}")
        for key, value in zip(_DISTORTION_ORDER, given, strict=True)
    }


def _masks(folder: Path, frame: Frame, picture: Picture) -> tuple[Mask, ...]:
    """nerfstudio's mask, which the frame names, and instant-ngp's, which lies beside the picture."""
    masks = []
    name = frame.path("mask_path")
    if name is not None:
        (file,), _ = find_pictures(folder, [name], 1, levels=False)
        if file is None:
            raise UserError(f"{frame.where}: there is no mask {quoted(name)} in {folder}.")
        masks.append(Mask(file))
    moving = f"dynamic_mask_{picture.file.stem}.png"
    found = beside(picture.file, moving) or _file_beside(folder, frame.name, moving)
    return (*masks, Mask(found, keeps_black=True)) if found is not None else tuple(masks)


def _file_beside(folder: Path, name: str, other: str) -> Path | None:
    (file,), _ = find_pictures(folder, [name], 1, levels=False)
    return None if file is None else beside(file, other)


def _sparse_points(folder: Path, top: Mapping[str, Any], file: Path) -> SparsePoints | None:
    """Points from the file that is named, else from a COLMAP model beside it, brought along with the cameras."""
    name = top.get("ply_file_path")
    if name is not None:
        if not isinstance(name, str):
            raise UserError(f"{file}: 'ply_file_path' must be text, not {quoted(name)}.")
        if (folder / name).is_file():
            positions = read_ply_points(folder / name)
            return SparsePoints(positions, np.zeros(len(positions), np.int64))
        log_warning(f"{file}: there is no {name}, so there are no sparse points")
    applied = _applied(top, file)
    model = next(iter(model_folders(folder)), None)
    if applied is None or model is None:
        return None  # how the cameras were moved since is unknown
    found = read_points(model)
    if found is None:
        return None
    return SparsePoints(found.positions @ applied[:, :3].T + applied[:, 3], found.tracks)


def _applied(top: Mapping[str, Any], file: Path) -> np.ndarray | None:
    """What was done to the world of COLMAP, (3, 4)."""
    matrix = top.get("applied_transform")
    if matrix is None:
        return None
    rows = [*matrix, [0.0, 0.0, 0.0, 1.0]] if isinstance(matrix, list) and len(matrix) == 3 else matrix
    pose = checked_pose(rows, f"{file}: 'applied_transform'")
    scale = number(top, "applied_scale", file, 1.0)
    if scale <= 0:
        raise UserError(f"{file}: 'applied_scale' must be positive, not {scale:g}.")
    return scale * pose[:3]


READER = Reader(
    "transforms",
    "a folder with transforms_train.json or transforms.json",
    _recognise,
    read_transforms,
)

"""The files of COLMAP's sparse models, binary and text, parsed from the description of the format.

    cameras   camera id, model, width, height, parameters
    images    image id, rotation and translation from world to camera, camera id, name; and for each feature its place
              and the point that it is of
    points3D  point id, place, colour, error; and for each picture that saw it the image id and the feature

Binary files are little-endian and packed. Nothing is allocated that the bytes of the file do not bear out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError, plain, quoted
from nerf_mini.geometry.unit_quaternions import rotations
from nerf_mini.io.files import read_text
from nerf_mini.scenes.readers.packed import Packed

PARTS = ("cameras", "images")
_PLACES = ("sparse", "colmap/sparse", "")
FARTHEST_FEATURE = 1e9  # pixels
_OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])  # from OpenCV's: x right, y down, z forward

MODELS: dict[int, tuple[str, int]] = {  # by the number in binary files: name, and how many parameters
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12), 11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4), 13: ("DIVISION", 5), 14: ("SIMPLE_FISHEYE", 3), 15: ("FISHEYE", 4), 16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}  # fmt: skip
_PARAMETER_COUNTS = dict(MODELS.values())

_CAMERA = np.dtype([("id", "<u4"), ("model", "<i4"), ("width", "<u8"), ("height", "<u8")])
_IMAGE = np.dtype([("id", "<u4"), ("quaternion", "<f8", 4), ("translation", "<f8", 3), ("camera", "<u4")])
_FEATURE = np.dtype([("place", "<f8", 2), ("point", "<u8")])
_POINT = np.dtype(
    [("id", "<u8"), ("position", "<f8", 3), ("color", "u1", 3), ("error", "<f8"), ("track", "<u8")]
)  # and `track` times 8 bytes
_FLOAT = np.dtype("<f8")
_NO_POINT = np.uint64(2**64 - 1)
_SMALLEST_IMAGE = _IMAGE.itemsize + 1 + 8  # an empty name and no feature


@dataclass(frozen=True)
class ModelCamera:
    """A camera as the file has it. where: file and place, for messages."""

    model: str
    width: float
    height: float
    parameters: tuple[float, ...]
    where: str


@dataclass(frozen=True)
class ModelImage:
    """A picture that has a pose.

    pose (4, 4): camera-to-world, OpenGL axes. places (m, 2): of the features that are of a point, in pixels;
    points (m,) uint64: ids of these points. where: file and place, for messages.
    """

    name: str
    pose: np.ndarray
    camera: int
    places: np.ndarray
    points: np.ndarray
    where: str


@dataclass(frozen=True)
class ModelPoints:
    """ids (n,) uint64, ascending; positions (n, 3) float64; tracks (n,) int64, how many pictures saw each."""

    ids: np.ndarray
    positions: np.ndarray
    tracks: np.ndarray


def model_folders(root: Path) -> Iterator[Path]:
    """Folders below a data set's that hold a model with cameras and images, or are one."""
    for place in _PLACES:
        folder = root / place
        numbered = [f for f in folder.glob("[0-9]*") if f.name.isdecimal() and f.is_dir()] if place else []
        for candidate in (*sorted(numbered, key=lambda f: int(f.name)), folder):
            if all(_part(candidate, part) is not None for part in PARTS):
                yield candidate


def _part(folder: Path, part: str) -> Path | None:
    """The file of a part of a model; the binary one, where there are both."""
    files = (folder / f"{part}{suffix}" for suffix in (".bin", ".txt"))
    return next((file for file in files if file.is_file()), None)


def read_cameras(folder: Path) -> dict[int, ModelCamera]:
    """The cameras of a model by id. Raises UserError where the file is damaged."""
    file = _part(folder, "cameras")
    assert file is not None
    return _cameras_of_text(file) if file.suffix == ".txt" else _cameras_of_bytes(Packed(file))


def read_images(folder: Path) -> list[ModelImage]:
    """The pictures of a model that have a pose, by name. Raises UserError where the file is damaged."""
    file = _part(folder, "images")
    assert file is not None
    images = list(_images_of_text(file) if file.suffix == ".txt" else _images_of_bytes(Packed(file)))
    images.sort(key=lambda image: image.name)
    for before, image in pairwise(images):
        if before.name == image.name:
            raise UserError(f"{image.where}: a picture of the name {quoted(image.name)} is there twice.")
    return images


def read_points(folder: Path) -> ModelPoints | None:
    """The points of a model; None where it has no file of them. Raises UserError where that is damaged."""
    file = _part(folder, "points3D")
    if file is None:
        return None
    points = _points_of_text(file) if file.suffix == ".txt" else _points_of_bytes(Packed(file))
    wrong = np.flatnonzero(~np.isfinite(points.positions).all(axis=1))
    if len(wrong):
        raise UserError(f"{file}: point {points.ids[wrong[0]]} is at {points.positions[wrong[0]].tolist()}.")
    order = np.argsort(points.ids, kind="stable")
    return ModelPoints(points.ids[order], points.positions[order], points.tracks[order])


# ----------------------------------------------------------------------------------------------------------------------
# What both have in common


def _checked_camera(model: str, width: float, height: float, parameters: Sequence[float], where: str) -> ModelCamera:
    if len(parameters) != _PARAMETER_COUNTS[model]:
        raise UserError(f"{where}: {model} has {_PARAMETER_COUNTS[model]} parameters, not {len(parameters)}.")
    return ModelCamera(model, width, height, tuple(map(float, parameters)), where)


def _checked_image(
    name: str, rotation: np.ndarray, translation: np.ndarray, camera: int, features: tuple[np.ndarray, np.ndarray],
    where: str,
) -> ModelImage:  # fmt: skip
    if not name:
        raise UserError(f"{where}: the picture has no name.")
    length = np.linalg.norm(rotation)
    if not (np.isfinite(translation).all() and 1e-6 < length < 1e6):
        raise UserError(
            f"{where}: rotation {rotation.tolist()} and translation {translation.tolist()} are no pose of a camera."
        )
    places, points = features
    wrong = np.flatnonzero(~(np.abs(places) <= FARTHEST_FEATURE).all(axis=1))
    if len(wrong):
        raise UserError(f"{where}: a feature is at {quoted(places[wrong[0]].tolist())}, which is beyond any picture.")
    return ModelImage(name, _camera_to_world(rotation / length, translation), camera, places, points, where)


def _camera_to_world(quaternion: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """From the unit quaternion w, x, y, z and the translation of world to camera, OpenCV axes, to a pose (4, 4)."""
    rotation = rotations(quaternion)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.T, -rotation.T @ translation
    return pose @ _OPENGL_AXES


# ----------------------------------------------------------------------------------------------------------------------
# Binary


def _cameras_of_bytes(data: Packed) -> dict[int, ModelCamera]:
    count = data.count("cameras")
    data.require(count, _CAMERA.itemsize, "cameras")
    cameras = {}
    for _ in range(count):
        where = f"{data.file}: at byte {data.offset}"
        (head,) = data.take(_CAMERA, 1, "camera")
        number, model = int(head["id"]), MODELS.get(int(head["model"]))
        if model is None:
            raise UserError(f"{where}: camera {number} is of the unknown model {head['model']}. Is the file complete?")
        where = f"{data.file}: camera {number}"
        parameters = data.take(_FLOAT, model[1], f"parameters of camera {number}")
        if number in cameras:
            raise UserError(f"{where} is there twice.")
        cameras[number] = _checked_camera(model[0], int(head["width"]), int(head["height"]), parameters.tolist(), where)
    data.end()
    return cameras


def _images_of_bytes(data: Packed) -> Iterator[ModelImage]:
    count = data.count("images")
    data.require(count, _SMALLEST_IMAGE, "images")
    for _ in range(count):
        where = f"{data.file}: at byte {data.offset}"
        (head,) = data.take(_IMAGE, 1, "image")
        name = data.text("the name of an image")
        features = data.take(_FEATURE, data.count("features"), "features")
        of_points = features[features["point"] != _NO_POINT]
        where = f"{where}: image {plain(name)}"
        yield _checked_image(
            name, head["quaternion"], head["translation"], int(head["camera"]),
            (of_points["place"], of_points["point"]), where,
        )  # fmt: skip
    data.end()


def _points_of_bytes(data: Packed) -> ModelPoints:
    count = data.count("points")
    data.require(count, _POINT.itemsize, "points")
    length, length_of_track = len(data.data), struct.Struct("<Q").unpack_from
    starts, place = [], data.offset
    for _ in range(count):
        head_end = place + _POINT.itemsize
        if head_end > length:
            break
        starts.append(place)
        place = head_end + 8 * length_of_track(data.data, head_end - 8)[0]
    if len(starts) < count or place > length:
        raise UserError(f"{data.file}: at byte {starts[-1]}: the track of a point ends beyond the file's end.")
    data.offset = place
    data.end()
    raw = np.frombuffer(data.data, np.uint8)
    rows = np.array(starts, np.int64).reshape(-1, 1) + np.arange(_POINT.itemsize)
    records = raw[rows].view(_POINT).reshape(-1)
    return ModelPoints(records["id"].copy(), records["position"].copy(), records["track"].astype(np.int64))


# ----------------------------------------------------------------------------------------------------------------------
# Text


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, but for comments. Blank lines count: an image without features has one."""
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if not line.lstrip().startswith("#"):
            yield number, line.strip()


def _numbers(fields: Sequence[str], where: str) -> np.ndarray:
    try:
        return np.array(fields, np.float64)
    except ValueError as error:
        raise UserError(f"{where}: {quoted(' '.join(fields))} are not all numbers.") from error


def _identity(field: str, where: str) -> int:
    if not field.isdecimal() or len(field) > 20 or int(field) >= 2**64:
        raise UserError(f"{where}: {quoted(field)} is no whole number that could identify anything.")
    return int(field)


def _cameras_of_text(file: Path) -> dict[int, ModelCamera]:
    cameras = {}
    for line_number, line in _lines(file):
        if not line:
            continue
        where, fields = f"{file}: line {line_number}", line.split()
        if len(fields) < 5:
            raise UserError(f"{where}: a camera has an id, a model, width, height and parameters.")
        number, model = _identity(fields[0], where), fields[1]
        if model not in _PARAMETER_COUNTS:
            raise UserError(f"{where}: the camera model {quoted(model)} is unknown.")
        if number in cameras:
            raise UserError(f"{where}: camera {number} is there twice.")
        width, height, *parameters = _numbers(fields[2:], where).tolist()
        cameras[number] = _checked_camera(model, width, height, parameters, where)
    return cameras


def _images_of_text(file: Path) -> Iterator[ModelImage]:
    lines = _lines(file)
    for number, line in lines:
        if not line:  # after the last picture
            continue
        where, fields = f"{file}: line {number}", line.split(maxsplit=9)
        if len(fields) < 10:
            raise UserError(
                f"{where}: a picture has an id, QW QX QY QZ, TX TY TZ, a camera and a name; the line after it has its "
                "features, and may be empty, but must be there."
            )
        pose = _numbers(fields[1:8], where)
        features = _features(*next(lines, (number + 1, "")), file)
        yield _checked_image(fields[9], pose[:4], pose[4:], _identity(fields[8], where), features, where)


def _features(number: int, line: str, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Places (m, 2) and point ids (m,) of the features in a line that are of a point."""
    where, fields = f"{file}: line {number}", line.split()
    if len(fields) % 3:
        raise UserError(f"{where}: features are x, y and the id of a point each, but there are {len(fields)} numbers.")
    kept = [i for i in range(2, len(fields), 3) if fields[i] != "-1"]
    points = np.array([_identity(fields[i], where) for i in kept], np.uint64)
    places = _numbers([fields[i + k] for i in kept for k in (-2, -1)], where).reshape(-1, 2)
    return places, points


def _points_of_text(file: Path) -> ModelPoints:
    ids, positions, tracks = [], [], []
    for number, line in _lines(file):
        if not line:
            continue
        where, fields = f"{file}: line {number}", line.split()
        if len(fields) < 8 or len(fields) % 2:
            raise UserError(f"{where}: a point has an id, X Y Z, R G B, an error, and two numbers for each picture.")
        ids.append(_identity(fields[0], where))
        positions.append(_numbers(fields[1:4], where))
        tracks.append((len(fields) - 8) // 2)
    return ModelPoints(np.array(ids, np.uint64), np.array(positions).reshape(-1, 3), np.array(tracks, np.int64))

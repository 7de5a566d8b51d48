"""COLMAP's sparse models, binary or text: sparse/0 with cameras, images and points3D."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.unit_quaternions import quaternions
from nerf_mini.io.files import write_bytes
from nerf_mini.scenes.writers.base import Capture, Writer, coefficients, mask_beside

FOLDER = "sparse/0"
LENSES = ("pinhole", "radial-tangential", "fisheye", "fov", "equirectangular")
_MODELS = {"PINHOLE": 1, "OPENCV": 4, "OPENCV_FISHEYE": 5, "FULL_OPENCV": 6, "FOV": 7, "EQUIRECTANGULAR": 17}
_FULL_ONLY = ("k3", "k4", "k5", "k6")
_OPENCV_AXES = np.array([1.0, -1.0, -1.0])
_GREY, _UNKNOWN_ERROR = 128, -1.0
_FEATURE = np.dtype([("place", "<f8", 2), ("point", "<u8")])
_TRACK = np.dtype([("image", "<u4"), ("feature", "<u4")])


class _Model(NamedTuple):
    """A sparse model: ids count from 1, and stand for the position in each list.

    cameras: model, width, height, parameters. quaternions (V, 4), translations (V, 3): from world to camera. camera_of
    (V,): of each picture. features: of each picture, the places (m, 2) and the indices of the points (m,). positions
    (n, 3), errors (n,): of points. tracks: of each point, the pictures that saw it and the features there.
    """

    cameras: list[tuple[str, int, int, tuple[float, ...]]]
    quaternions: np.ndarray
    translations: np.ndarray
    camera_of: list[int]
    names: tuple[str, ...]
    features: list[tuple[np.ndarray, np.ndarray]]
    positions: np.ndarray
    errors: np.ndarray
    tracks: list[np.ndarray]


def write_colmap(folder: Path, capture: Capture, text: bool = False) -> tuple[Path, ...]:
    """Write sparse/0 with cameras, images and points3D, which may be empty; returns the files.

    Pictures share a camera where their intrinsics are the same. Masks are black where COLMAP is to find no features.

    Raises:
        UserError: a camera has a lens that COLMAP does not have.
    """
    model = _model(folder / FOLDER, capture)
    parts = {"cameras": (_cameras_text, _cameras_bytes), "images": (_images_text, _images_bytes)}
    parts |= {"points3D": (_points_text, _points_bytes)}
    files = []
    for part, (as_text, as_bytes) in parts.items():
        files.append(folder / FOLDER / f"{part}{'.txt' if text else '.bin'}")
        write_bytes(files[-1], as_text(model).encode() if text else as_bytes(model))
    return tuple(files)


def _model(where: Path, capture: Capture) -> _Model:
    """A capture as COLMAP sees it."""
    cameras = capture.cameras
    own = [_camera(cameras, view, where) for view in range(len(cameras))]
    distinct = list(dict.fromkeys(own))
    poses = np.asarray(cameras.poses)
    to_camera = (poses[:, :3, :3] * _OPENCV_AXES).transpose(0, 2, 1)
    translations = -np.einsum("vij,vj->vi", to_camera, poses[:, :3, 3])
    positions = np.zeros((0, 3)) if capture.points is None else np.asarray(capture.points.positions)
    features, tracks, errors = _observed(capture, len(positions))
    return _Model(
        distinct, quaternions(to_camera), translations, [distinct.index(camera) for camera in own], capture.names,
        features, positions, errors, tracks,
    )  # fmt: skip


def _camera(cameras: Cameras, view: int, where: object) -> tuple[str, int, int, tuple[float, ...]]:
    """Model, width, height and parameters of a camera."""
    (fx, fy), (cx, cy) = np.asarray(cameras.focal)[view].tolist(), np.asarray(cameras.center)[view].tolist()
    width, height = cameras.size[view].tolist()
    name, lens = str(cameras.lens[view]), coefficients(cameras, view)
    if name == "pinhole":
        return "PINHOLE", width, height, (fx, fy, cx, cy)
    if name == "radial-tangential":
        full = any(lens[key] for key in _FULL_ONLY)
        kept = lens.values() if full else [value for key, value in lens.items() if key not in _FULL_ONLY]
        return "FULL_OPENCV" if full else "OPENCV", width, height, (fx, fy, cx, cy, *kept)
    if name == "fisheye":
        return "OPENCV_FISHEYE", width, height, (fx, fy, cx, cy, *lens.values())
    if name == "fov":
        return "FOV", width, height, (fx, fy, cx, cy, *lens.values())
    whole = (width / (2 * math.pi), height / math.pi, width / 2, height / 2)
    if name == "equirectangular" and np.allclose((fx, fy, cx, cy), whole):
        return "EQUIRECTANGULAR", width, height, (float(width), float(height))
    raise UserError(f"{where}: cannot hold the lens {name!r} of camera {view}, only {', '.join(LENSES)}.")


def _observed(capture: Capture, count: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray], np.ndarray]:
    """Features of each picture, tracks of each of the points, and their mean distances from where they land."""
    seen = capture.observations
    nothing = np.zeros((0, 2)), np.zeros(0, np.int64)
    if seen is None or capture.points is None:
        return [nothing] * len(capture.names), [np.zeros(0, _TRACK)] * count, np.full(count, _UNKNOWN_ERROR)
    number = {name: view for view, name in enumerate(capture.names)}
    view = np.array([number[name] for name in seen.names], np.int64)[seen.image]
    order = np.argsort(view, kind="stable")
    view, point, place = view[order], seen.point[order], seen.place[order]
    starts = np.searchsorted(view, np.arange(len(capture.names) + 1))
    features = [(place[a:b], point[a:b]) for a, b in pairwise(starts)]
    entries = np.zeros(len(view), _TRACK)
    entries["image"], entries["feature"] = view + 1, np.arange(len(view)) - starts[view]
    by_point = np.argsort(point, kind="stable")
    ends = np.searchsorted(point[by_point], np.arange(count + 1))
    tracks = [entries[by_point[a:b]] for a, b in pairwise(ends)]
    distance = np.linalg.norm(capture.cameras.project(capture.points.positions[point], view) - place, axis=1)
    length = np.diff(ends)
    total = np.bincount(point, np.nan_to_num(distance), count)
    return features, tracks, np.where(length > 0, total / np.maximum(length, 1), _UNKNOWN_ERROR)


# ----------------------------------------------------------------------------------------------------------------------
# Binary: little-endian, packed


def _packed(kind: str, *values: float) -> bytes:
    return np.array(values, kind).tobytes()


def _cameras_bytes(model: _Model) -> bytes:
    parts = [_packed("<u8", len(model.cameras))]
    for number, (name, width, height, parameters) in enumerate(model.cameras, start=1):
        parts += [_packed("<u4", number), _packed("<i4", _MODELS[name]), _packed("<u8", width, height)]
        parts.append(_packed("<f8", *parameters))
    return b"".join(parts)


def _images_bytes(model: _Model) -> bytes:
    parts = [_packed("<u8", len(model.names))]
    for view, (name, (places, points)) in enumerate(zip(model.names, model.features, strict=True)):
        features = np.zeros(len(points), _FEATURE)
        features["place"], features["point"] = places, points + 1
        parts += [_packed("<u4", view + 1), _packed("<f8", *model.quaternions[view], *model.translations[view])]
        parts += [_packed("<u4", model.camera_of[view] + 1), name.encode() + b"\0"]
        parts += [_packed("<u8", len(features)), features.tobytes()]
    return b"".join(parts)


def _points_bytes(model: _Model) -> bytes:
    parts = [_packed("<u8", len(model.positions))]
    for index, (position, error, track) in enumerate(zip(model.positions, model.errors, model.tracks, strict=True)):
        parts += [_packed("<u8", index + 1), _packed("<f8", *position), bytes([_GREY] * 3), _packed("<f8", error)]
        parts += [_packed("<u8", len(track)), track.tobytes()]
    return b"".join(parts)


# ----------------------------------------------------------------------------------------------------------------------
# Text


def _line(*values: object) -> str:
    """Values in a line; numbers with all their digits."""
    return " ".join(repr(float(value)) if isinstance(value, float) else str(value) for value in values) + "\n"


def _cameras_text(model: _Model) -> str:
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]\n"]
    for number, (name, width, height, parameters) in enumerate(model.cameras, start=1):
        lines.append(_line(number, name, width, height, *parameters))
    return "".join(lines)


def _images_text(model: _Model) -> str:
    lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME\n", "# (X Y POINT3D_ID)[]\n"]
    for view, (name, (places, points)) in enumerate(zip(model.names, model.features, strict=True)):
        pose = (*model.quaternions[view].tolist(), *model.translations[view].tolist())
        lines.append(_line(view + 1, *pose, model.camera_of[view] + 1, name))
        features = zip(places.tolist(), points.tolist(), strict=True)
        lines.append(_line(*(value for (x, y), point in features for value in (x, y, point + 1))))
    return "".join(lines)


def _points_text(model: _Model) -> str:
    lines = ["# POINT3D_ID X Y Z R G B ERROR (IMAGE_ID POINT2D_INDEX)[]\n"]
    for index, (position, error, track) in enumerate(zip(model.positions, model.errors, model.tracks, strict=True)):
        entries = [value for entry in track.tolist() for value in entry]
        lines.append(_line(index + 1, *position.tolist(), _GREY, _GREY, _GREY, float(error), *entries))
    return "".join(lines)


_DESCRIBED = f"a COLMAP model in {FOLDER}"
WRITER = Writer("colmap", _DESCRIBED, write_colmap, mask_beside, 0, LENSES)
TEXT_WRITER = Writer("colmap-text", f"{_DESCRIBED}, as text", partial(write_colmap, text=True), mask_beside, 0, LENSES)

"""From pictures with cameras, in whatever coordinates a data set has, to a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import LENS_PARAMETERS, Cameras
from nerf_mini.io.files import real_path
from nerf_mini.io.images import downscaled_size
from nerf_mini.io.memory import require_memory
from nerf_mini.scenes.lens_limits import lens_masks
from nerf_mini.scenes.readers.base import Request
from nerf_mini.scenes.readers.intrinsics import Intrinsics
from nerf_mini.scenes.readers.pictures import Mask, Picture, Size, proportional, unique_names
from nerf_mini.scenes.scene import BLACK, WHITE, Observations, Scene, SparsePoints, Views
from nerf_mini.scenes.settling import settled

BYTES_AT_WORK = 8  # of a pixel of a picture that is read and shrunk
FARTHEST = 1e9  # from the origin that a camera may stand, in the units of the files; more is a damaged file


@dataclass(frozen=True)
class Shot:
    """A picture and the camera that took it, as the files say.

    Attributes:
        name: of the picture, as the data set calls it.
        where: file and place, the beginning of every message about it.
        picture: not read yet.
        pose: (4, 4), camera-to-world, OpenGL axes.
        intrinsics: for a picture of their own size.
        near, far: distances; 0 and infinity stand for unknown.
        masks: a pixel is valid where all say so.
        circle: radius about the middle within which the lens draws, in pixels of the size of `intrinsics`.
    """

    name: str
    where: str
    picture: Picture
    pose: np.ndarray
    intrinsics: Intrinsics
    near: float = 0.0
    far: float = np.inf
    masks: tuple[Mask, ...] = ()
    circle: float | None = None

    @property
    def size(self) -> Size:
        """Width and height of the picture as it is read. Raises UserError where no pixel would be left."""
        try:
            return downscaled_size(self.picture.stored, self.picture.factor)
        except UserError as error:
            raise UserError(f"{self.where}: {error}") from error


def turned_to_fit(shot: Shot) -> Shot:
    """The shot, with its picture turned upright where the intrinsics are those of the upright picture.

    Most programs that find cameras read pictures as they are stored, and so do we; some obey EXIF's orientation.

    Raises UserError where the intrinsics are for pictures of other proportions.
    """
    header, size = shot.picture.header, shot.intrinsics.size
    if proportional(header.size, size):
        return shot
    if header.orientation >= 5 and proportional(header.shown_size, size):
        return replace(shot, picture=replace(shot.picture, upright=True))
    (width, height), (w, h) = header.size, size
    raise UserError(
        f"{shot.where}: the picture {shot.picture.file.name} has {width}x{height} pixels, but its camera is for "
        f"{w:g}x{h:g}, which is of other proportions. Was it cropped or turned? Use the pictures that the cameras were "
        "found from."
    )


def captured(
    request: Request,
    kind: str,
    shots: Mapping[str, Sequence[Shot]],
    held_out: str,
    points: SparsePoints | None = None,
) -> Scene:
    """The scene of a capture: pictures read, world settled.

    Args:
        shots: of each split that has any, with "train" among them even if it is not asked for: the world is settled by
            it. Only pictures of splits that are asked for are read.
        held_out: the rule in words.
        points: in the coordinates of the files; observations in pictures of no split are dropped.

    Raises UserError where no picture, or no pixel of any, is left to train on.
    """
    if "train" not in shots:
        raise UserError(f"{request.path}: no picture is left to train on.")
    shots = {split: [turned_to_fit(shot) for shot in part] for split, part in shots.items()}
    everything = [shot for part in shots.values() for shot in part]
    for shot in everything:
        if np.abs(shot.pose[:3, 3]).max() > FARTHEST:
            raise UserError(f"{shot.where}: the camera stands at {shot.pose[:3, 3].tolist()}, which cannot be.")
    names = list(dict.fromkeys(shot.name for shot in everything))
    short = dict(zip(names, unique_names(names), strict=True))
    splits = {}
    for split, part in shots.items():
        if split == "train" or split in request.splits:
            make = read_views if split in request.splits else _views_without_pixels
            splits[split] = make(part, [short[shot.name] for shot in part])
    if splits["train"].valid is not None and not splits["train"].valid.any():
        raise UserError(
            f"{request.path}: masks leave nothing to train on; black is ignored. So does a lens without light."
        )
    if points is not None and points.observations is not None:
        points = replace(points, observations=_observed(points.observations, short))
    if points is not None:
        _require_near(points.positions, request.path)
    folder = real_path(request.path)
    name = folder.parent.name if folder.is_file() else folder.name
    scene = Scene(name, request.path, kind, splits, background_of(everything), held_out, points)
    scene = settled(scene, request.space, request.near, request.far, request.world)
    return replace(scene, splits={split: scene.splits[split] for split in splits if split in request.splits})


def _require_near(points: np.ndarray, path: Path) -> None:
    """Raise a UserError where a sparse point (n, 3) is at no place, or further away than anything is."""
    wrong = np.flatnonzero(~(np.abs(points) <= FARTHEST).all(axis=1))
    if len(wrong):
        raise UserError(f"{path}: sparse point {wrong[0]} is at {points[wrong[0]].tolist()}, which cannot be.")


def _observed(seen: Observations, short: Mapping[str, str]) -> Observations:
    """The observations in pictures that are in some split, by their short names."""
    kept = np.array([name in short for name in seen.names], bool)
    known = kept[seen.image]
    return Observations(
        seen.point[known],
        (np.cumsum(kept) - 1)[seen.image[known]],
        seen.place[known],
        tuple(short[name] for name in seen.names if name in short),
        None if seen.size is None else seen.size[kept],
    )


def background_of(shots: Sequence[Shot]) -> tuple[float, float, float]:
    """White behind what is transparent, as is the custom; black where nothing is."""
    return WHITE if any(shot.picture.has_alpha for shot in shots) else BLACK


def cameras_of(shots: Sequence[Shot]) -> Cameras:
    """The cameras of pictures as they are read. Intrinsics follow the size really found, on each axis."""
    measured = np.array([shot.intrinsics.size for shot in shots], np.float64)
    stored = np.array([shot.picture.stored for shot in shots])
    size = np.array([shot.size for shot in shots])
    parameters = np.zeros((len(shots), LENS_PARAMETERS))
    for row, shot in zip(parameters, shots, strict=True):
        row[: len(shot.intrinsics.parameters)] = shot.intrinsics.parameters
    found, ratio = stored / measured, size / stored
    return Cameras.make(
        np.stack([shot.pose for shot in shots]),
        size,
        np.array([shot.intrinsics.focal for shot in shots]) * found * ratio,
        np.array([shot.intrinsics.center for shot in shots]) * found * ratio,
        np.array([shot.near for shot in shots]),
        np.array([shot.far for shot in shots]),
        [shot.intrinsics.lens for shot in shots],
        parameters,
    )


def _views_without_pixels(shots: Sequence[Shot], names: Sequence[str]) -> Views:
    """Cameras alone: the pixels are one pixel, seen again and again."""
    cameras = cameras_of(shots)
    pixel = np.zeros(4 if any(shot.picture.has_alpha for shot in shots) else 3, np.uint8)
    count = int(np.prod(cameras.size, axis=1).sum())
    return Views(cameras, np.broadcast_to(pixel, (count, len(pixel))), tuple(names))


def read_views(shots: Sequence[Shot], names: Sequence[str]) -> Views:
    """Pictures, shrunk and straight into one array, with their cameras and the pixels that are valid.

    Raises UserError where a picture or mask cannot be read, or all do not fit into memory.
    """
    cameras = cameras_of(shots)
    counts = np.prod(cameras.size, axis=1)
    starts = np.cumsum(counts) - counts
    channels = 4 if any(shot.picture.has_alpha for shot in shots) else 3
    total = sum(width * height for width, height in cameras.size.tolist())  # of Python, which does not overflow
    at_work = max(width * height for width, height in (shot.picture.stored for shot in shots))
    require_memory(
        f"{shots[0].where} and others: {len(shots)} pictures take", channels * total + BYTES_AT_WORK * at_work,
        "Shrink them: --downscale.",
    )  # fmt: skip
    pixels = np.empty((total, channels), np.uint8)

    def read(view: int) -> np.ndarray | None:
        """Fill in the pixels of a picture; which of them its masks say are valid."""
        shot, part = shots[view], pixels[starts[view] : starts[view] + counts[view]]
        try:
            image = shot.picture.read(shot.size)
            part[:, 3:] = 255
            part[:, : image.shape[2]] = image.reshape(len(part), -1)
            return _valid(shot)
        except UserError as error:
            raise UserError(f"{shot.where}: {error}") from error

    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter lock
        valid = list(pool.map(read, range(len(shots))))
    return Views(cameras, pixels, tuple(names), _packed(valid, lens_masks(cameras), starts, counts))


def _valid(shot: Shot) -> np.ndarray | None:
    """Which pixels of a picture are valid by its masks and circle, (height, width) bool; None: all."""
    parts = [mask.read(shot.picture.stored, shot.size) for mask in shot.masks]
    if shot.circle is not None:
        width, height = shot.size
        y, x = np.indices((height, width)) + 0.5
        w, h = shot.intrinsics.size
        parts.append(np.hypot((x / width - 0.5) * w, (y / height - 0.5) * h) <= shot.circle)
    return np.logical_and.reduce(parts) if parts else None


def _packed(
    first: Sequence[np.ndarray | None], second: Sequence[np.ndarray | None], starts: np.ndarray, counts: np.ndarray
) -> np.ndarray | None:
    """Two lists of masks, flat and both obeyed; None where all of all pictures is valid."""
    if all(mask is None for mask in (*first, *second)):
        return None
    valid = np.ones(int(counts.sum()), bool)
    for masks in (first, second):
        for mask, start, count in zip(masks, starts, counts, strict=True):
            if mask is not None:
                valid[start : start + count] &= mask.reshape(-1)
    return None if valid.all() else valid

"""COLMAP's sparse models beside a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from nerf_mini.errors import UserError, listed, log_warning
from nerf_mini.io.files import read_text, real_path
from nerf_mini.scenes.readers.base import Reader, Request
from nerf_mini.scenes.readers.colmap_files import (
    MODELS,
    ModelCamera,
    ModelImage,
    ModelPoints,
    model_folders,
    read_cameras,
    read_images,
    read_points,
)
from nerf_mini.scenes.readers.intrinsics import Intrinsics, checked_intrinsics, checked_size, equirectangular
from nerf_mini.scenes.readers.pictures import Mask, Picture, find_pictures, levels_of, open_pictures, pictures_in
from nerf_mini.scenes.readers.shots import Shot, captured
from nerf_mini.scenes.readers.splits import Split, by_lists, every_nth
from nerf_mini.scenes.scene import Observations, Scene, SparsePoints

_PICTURES = ("images", "input")
_LISTS = {"train": "train_list.txt", "val": "validation_list.txt", "test": "test_list.txt"}

# By model: how many focal lengths, the lens, and its coefficients in the order of the file.
_LENSES: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "SIMPLE_PINHOLE": (1, "pinhole", ()),
    "PINHOLE": (2, "pinhole", ()),
    "SIMPLE_RADIAL": (1, "radial-tangential", ("k1",)),
    "RADIAL": (1, "radial-tangential", ("k1", "k2")),
    "OPENCV": (2, "radial-tangential", ("k1", "k2", "p1", "p2")),
    "OPENCV_FISHEYE": (2, "fisheye", ("k1", "k2", "k3", "k4")),
    "FULL_OPENCV": (2, "radial-tangential", ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    "FOV": (2, "fov", ("omega",)),
    "SIMPLE_RADIAL_FISHEYE": (1, "fisheye", ("k1",)),
    "RADIAL_FISHEYE": (1, "fisheye", ("k1", "k2")),
    "SIMPLE_FISHEYE": (1, "fisheye", ()),
    "FISHEYE": (2, "fisheye", ()),
}


def _pictures_of(root: Path) -> tuple[Path, str] | None:
    """The folder of a data set and the name of its folder of pictures; looked for above a bare model too."""
    for base in (root, *real_path(root).parents[:3]):
        for name in _PICTURES:
            if (base / name).is_dir() or levels_of(base, name):
                return base, name
        if base == root and next(model_folders(root), root) != root:
            break  # a data set with a model inside: its pictures are not outside
    return None


def _recognise(path: Path) -> bool:
    return path.is_dir() and next(model_folders(path), None) is not None and _pictures_of(path) is not None


def read_colmap(request: Request) -> Scene:
    """Read a COLMAP model, binary or text: the one with the most pictures of sparse/0, sparse/1 .., and its pictures.

    Pictures are in the order of their names, and every 8th is held out, unless there are lists train_list.txt or
    test_list.txt. Masks are in `masks`, called after the pictures, and black where there is nothing to learn from.

    Raises:
        UserError: the model is damaged, uses a camera model that is not supported, or none of its pictures is there.
    """
    root, folder = _pictures_of(request.path) or (request.path, "")
    model, images = max(
        ((model, read_images(model)) for model in model_folders(request.path)), key=lambda found: len(found[1])
    )
    cameras = {number: _intrinsics(camera) for number, camera in read_cameras(model).items()}
    for image in images:
        if image.camera not in cameras:
            raise UserError(f"{image.where}: its camera {image.camera} is not in the file of cameras.")
    shots = _shots(request, root, folder, images, cameras, model)
    splits, held_out = _chosen_splits(request, root, [shot.name for shot in shots])
    points = _sparse_points(read_points(model), images, shots)
    return captured(
        request, "colmap", {split: [shots[i] for i in part] for split, part in splits.items()}, held_out, points
    )


def _intrinsics(camera: ModelCamera) -> Intrinsics:
    """A camera's own values. Raises UserError where its model has no lens here."""
    size = checked_size(camera.width, camera.height, camera.where)
    if camera.model == "EQUIRECTANGULAR":
        return equirectangular(size, camera.where)
    if camera.model not in _LENSES:
        known = ", ".join(name for name, _ in MODELS.values() if name in _LENSES)
        raise UserError(
            f"{camera.where}: the camera model {camera.model} is not supported; those that are: {known}. Undistort the "
            "pictures with `colmap image_undistorter`."
        )
    focals, lens, names = _LENSES[camera.model]
    values = camera.parameters
    center = values[focals], values[focals + 1]
    coefficients = dict(zip(names, values[focals + 2 :], strict=True))
    where = f"{camera.where} ({camera.model})"
    return checked_intrinsics(size, (values[0], values[focals - 1]), center, where, lens, coefficients)


def _shots(
    request: Request,
    root: Path,
    folder: str,
    images: Sequence[ModelImage],
    cameras: Mapping[int, Intrinsics],
    model: Path,
) -> list[Shot]:
    """The pictures of the model that are there; others are named in a warning."""
    for image in images:
        if PurePosixPath(image.name).is_absolute() or ".." in PurePosixPath(image.name).parts:
            raise UserError(f"{image.where}: the name must be a path within the folder of pictures.")
    files, factor = find_pictures(root, [f"{folder}/{image.name}" for image in images], request.downscale)
    missing = [image.name for image, file in zip(images, files, strict=True) if file is None]
    if len(missing) == len(images):
        raise UserError(
            f"{root / folder}: holds none of the {len(images)} pictures of the model in {model}: {listed(missing)}."
        )
    if missing:
        log_warning(f"{root / folder}: {len(missing)} pictures of the model are not there: {listed(missing)}")
    without = sorted(set(pictures_in(root / folder)) - {image.name for image in images})
    if without:
        total = len(without) + len(images) - len(missing)
        log_warning(f"{len(without)} of {total} pictures have no pose in {model}: {listed(without)}")
    found = [(image, file) for image, file in zip(images, files, strict=True) if file is not None]
    pictures = open_pictures([file for _, file in found], factor, [image.where for image, _ in found])
    masked = _masks(root)
    return [
        Shot(image.name, image.where, picture, image.pose, cameras[image.camera], masks=masked(image.name, picture))
        for (image, _), picture in zip(found, pictures, strict=True)
    ]


def _masks(root: Path) -> Callable[[str, Picture], tuple[Mask, ...]]:
    """From the name of a picture to its masks, masks/NAME.png or masks/STEM.png."""
    known = {name: root / "masks" / name for name in pictures_in(root / "masks")}

    def masks_of(name: str, picture: Picture) -> tuple[Mask, ...]:
        stem = PurePosixPath(name).with_suffix("").as_posix()
        file = next((known[guess] for guess in (f"{name}.png", f"{stem}.png", name) if guess in known), None)
        return () if file is None else (Mask(file),)

    return masks_of


def _chosen_splits(request: Request, root: Path, names: Sequence[str]) -> Split:
    """By lists of names beside the model, else every n-th."""
    files = {split: root / name for split, name in _LISTS.items() if (root / name).is_file()}
    if request.test_every is not None or not {"train", "test"} & set(files):
        return every_nth(len(names), request.test_every)
    lists = {split: _read_list(file) for split, file in files.items()}
    return by_lists(names, lists, {split: f"{file}" for split, file in files.items()})


def _read_list(file: Path) -> list[str]:
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def _sparse_points(
    found: ModelPoints | None, images: Sequence[ModelImage], shots: Sequence[Shot]
) -> SparsePoints | None:
    """Points, and where pictures that are there saw them."""
    if found is None or not len(found.ids):
        return None
    by_name = {image.name: image for image in images}
    point, picture, place = [], [], []
    for index, shot in enumerate(shots):
        image = by_name[shot.name]
        at = np.minimum(np.searchsorted(found.ids, image.points), len(found.ids) - 1)
        known = found.ids[at] == image.points
        point.append(at[known])
        picture.append(np.full(np.count_nonzero(known), index))
        place.append(image.places[known])
    names = tuple(shot.name for shot in shots)
    sizes = np.array([shot.intrinsics.size for shot in shots])
    seen = Observations(np.concatenate(point), np.concatenate(picture), np.concatenate(place), names, sizes)
    return SparsePoints(found.positions, found.tracks, seen)


READER = Reader(
    "colmap", "a folder with a COLMAP model (sparse/0 with cameras and images) and images", _recognise, read_colmap
)

"""The single-file data set of the tiny NeRF notebook: an .npz with images, poses and a focal length."""

import math
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np

from nerf_mini.errors import UserError, quoted, reason_of
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import area_average, downscaled_size, to_uint8
from nerf_mini.io.memory import require_memory
from nerf_mini.scenes.readers.base import Reader, Request, checked_pose
from nerf_mini.scenes.readers.intrinsics import require_focal
from nerf_mini.scenes.readers.splits import every_nth
from nerf_mini.scenes.scene import BLACK, Scene, Views
from nerf_mini.scenes.settling import settled

DEFAULT_NEAR, DEFAULT_FAR = 2.0, 6.0
FILE_NAME = "tiny_nerf_data.npz"
_TRAINING_VIEWS = 100
BYTES_AT_WORK = 4  # for each of an array: read, checked, made bytes
_KEYS = ("images", "poses", "focal")


def _data_file(path: Path) -> Path:
    return path / FILE_NAME if path.is_dir() else path


def _recognise(path: Path) -> bool:
    file = _data_file(path)
    return file.is_file() and file.suffix == ".npz"


def read_tiny_nerf(request: Request) -> Scene:
    """Read an .npz file with `images` (N, H, W, 3), float in [0, 1] or uint8, `poses` (N, 4, 4) and `focal` in pixels.

    As in the notebook the first 100 images train and image 101 tests; image 100 validates. Of fewer than 102 images
    the last one tests, the one before validates (given at least three) and the rest train. The world is left as it is,
    unless the user asks for a space.

    Raises:
        UserError: the file is damaged, lacks a key, or its arrays do not fit together.
    """
    file = _data_file(request.path)
    arrays = _read_arrays(file)
    images = _checked_images(file, arrays["images"])
    poses = _checked_poses(file, arrays["poses"], len(images))
    focal = _checked_focal(file, arrays["focal"])
    height, width = images.shape[1:3]
    near, far = DEFAULT_NEAR, DEFAULT_FAR
    if request.space is None:  # else the user's are in units of the settled scene
        near, far = request.bounds(near, far)
    size = _downscaled_size(file, (width, height), request.downscale)
    ratio = np.array(size) / (width, height)
    cameras = Cameras.make(poses, size, focal * ratio, 0.5 * np.array([width, height]) * ratio, near, far)
    splits = {}
    chosen, held_out = _split_indices(len(images)), "the last ones"
    if request.test_every is not None:
        chosen, held_out = every_nth(len(images), request.test_every)
    for split, indices in chosen.items():
        if split in request.splits or (split == "train" and request.space is not None):
            small = [area_average(images[index], size) for index in indices]
            splits[split] = Views.from_images(cameras[np.array(indices)], small, (f"{index:03d}" for index in indices))
    scene = Scene(file.stem, request.path, "tiny_nerf", splits, BLACK, held_out)
    if request.space is not None:
        scene = settled(scene, request.space, request.near, request.far, request.world)
    return replace(scene, splits={split: scene.splits[split] for split in splits if split in request.splits})


def _split_indices(count: int) -> dict[str, list[int]]:
    """Which images belong to which split; empty splits are left out."""
    held_out = min(count - 1, 2)
    trained = min(count - held_out, _TRAINING_VIEWS)
    indices = {"train": list(range(trained))}
    if held_out == 2:
        indices["val"] = [trained]
    if held_out >= 1:
        indices["test"] = [trained + held_out - 1]
    return indices


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The three arrays of the file."""
    try:
        with np.load(file) as archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise UserError(f"{file}: lacks {', '.join(map(repr, missing))}; it holds {', '.join(archive)}.")
            for key in _KEYS:
                _require_plain(file, key, archive.zip.getinfo(f"{key}.npy"), archive.zip)
            return {key: archive[key] for key in _KEYS}
    except UserError:
        raise
    except Exception as error:  # BadZipFile, zlib.error, MemoryError, TokenError and more
        raise UserError(
            f"{file}: cannot be read as an .npz archive ({reason_of(error)}). Is the file complete?"
        ) from error


def _require_plain(file: Path, key: str, entry: ZipInfo, archive: ZipFile) -> None:
    """Raise a UserError for an array of objects, which only unpickling could read, and for one that does not fit into
    memory."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise UserError(
            f"{file}: {key!r} is an array of Python objects, which could run programs and is never read. Save numbers:"
            " np.savez(file, images=images.astype(np.float32), ...)."
        )
    needed = dtype.itemsize * math.prod(shape)
    if needed > entry.file_size:
        raise UserError(f"{file}: {key!r} should hold {needed} bytes, but {entry.file_size} are there. Is it complete?")
    require_memory(f"{file}: {key!r} takes", BYTES_AT_WORK * needed, "Take fewer or smaller images.")


def _checked_images(file: Path, images: np.ndarray) -> np.ndarray:
    """The images as uint8 (N, H, W, 3)."""
    if images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape:
        raise UserError(f"{file}: 'images' must be (N, H, W, 3), but its shape is {images.shape}.")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{file}: 'images' must be uint8 or float, not {images.dtype}.")
    low, high = images.min(), images.max()  # either is NaN where any value is
    if not (low >= -1e-3 and high <= 1.0 + 1e-3):
        raise UserError(f"{file}: 'images' must lie in [0, 1], but range from {low} to {high}.")
    return to_uint8(images)


def _checked_poses(file: Path, poses: np.ndarray, count: int) -> np.ndarray:
    """The poses as float64 (N, 4, 4), one per image."""
    if len(np.atleast_1d(poses)) != count:
        raise UserError(f"{file}: there are {count} images, but 'poses' has the shape {poses.shape}.")
    return np.stack([checked_pose(pose, f"{file}: frame {index}") for index, pose in enumerate(poses)])


def _checked_focal(file: Path, focal: np.ndarray) -> float:
    """The focal length in pixels."""
    if focal.size != 1 or focal.dtype.kind not in "iuf" or not 0.0 < focal.item() < np.inf:
        raise UserError(f"{file}: 'focal' must be one positive number, not {quoted(focal)}.")
    require_focal(float(focal.item()), f"{file}: 'focal'")
    return float(focal.item())


def _downscaled_size(file: Path, size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Width and height divided by the factor; an error names the file."""
    try:
        return downscaled_size(size, factor)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


READER = Reader(
    "tiny_nerf", f"a file .npz with images, poses and focal, or a folder with {FILE_NAME}", _recognise, read_tiny_nerf
)

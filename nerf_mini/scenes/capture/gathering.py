"""Photos in a folder, and the sharpest frames of a video."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nerf_mini.errors import UserError, plain, reason_of
from nerf_mini.io.files import real_path
from nerf_mini.io.images import open_picture
from nerf_mini.scenes.checks.base import natural
from nerf_mini.scenes.checks.pictures import BLUR_WIDTH, sharpness

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
UNKNOWN = (".heic", ".heif", ".avif", ".webp", ".dng", ".cr2", ".cr3", ".nef", ".arw")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif")
FEWEST = 3
JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}
_EXTRA = "pip install 'nerf-mini[photos]'"

Progress = Callable[[str, int, int], None]
"""Told the stage, and how much of it is done and to do."""


@dataclass(frozen=True)
class Photo:
    """A picture file: its name relative to the folder, width and height as they are stored, and its age and bytes."""

    name: str
    size: tuple[int, int]
    stamp: tuple[int, int]


@dataclass(frozen=True)
class Photos:
    """What was found: a folder, the photos in it in natural order of names, and the names of files that are none.

    consecutive: whether neighbours in order are neighbours in space, as in a video.
    """

    folder: Path
    photos: tuple[Photo, ...]
    unreadable: tuple[str, ...]
    consecutive: bool = False

    @property
    def names(self) -> list[str]:
        return [photo.name for photo in self.photos]

    @property
    def plain_names(self) -> list[str]:
        """Their numbers in order, from 1, and their suffixes."""
        return [f"{i:05d}{Path(photo.name).suffix.lower()}" for i, photo in enumerate(self.photos, start=1)]


def photos_in(folder: Path, consecutive: bool = False) -> Photos:
    """The photos in a folder and the folders in it. Raises UserError where there are fewer than three."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _hidden(file.relative_to(folder))]
    known = [file for file in files if file.suffix.lower() in SUFFIXES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sizes = dict(zip(known, pool.map(_size, known), strict=True))
    photos, unreadable = [], []
    for file in files:
        name, size = file.relative_to(folder).as_posix(), sizes.get(file)
        if size is not None:
            stat = file.stat()
            photos.append(Photo(name, size, (stat.st_size, stat.st_mtime_ns)))
        elif file.suffix.lower() in SUFFIXES + UNKNOWN:
            unreadable.append(name)
    if len(photos) < FEWEST:
        what = f"{len(photos)} photos ({', '.join(SUFFIXES)})" if photos else f"no photos ({', '.join(SUFFIXES)})"
        other = (
            f", and {len(unreadable)} files that cannot be read, such as {plain(unreadable[0])}" if unreadable else ""
        )
        raise UserError(f"{folder}: holds {what}{other}; at least {FEWEST} are needed, and 50 to 150 are good.")
    photos.sort(key=lambda photo: natural(photo.name))
    return Photos(folder, tuple(photos), tuple(unreadable), consecutive)


def linked(found: Photos, folder: Path) -> Photos:
    """The same photos under plain names, 00001.jpg and so on in their order, in a folder that is made anew.

    Programs that are handed lists of names split these at spaces. Photos are linked, or copied where that cannot be.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = found.plain_names
    for photo, name in zip(found.photos, names, strict=True):
        source = real_path(found.folder / photo.name)
        try:
            os.symlink(source, folder / name)
        except OSError:  # a file system without links, or a user without the right to make them
            shutil.copyfile(source, folder / name)
    photos = tuple(replace(photo, name=name) for photo, name in zip(found.photos, names, strict=True))
    return replace(found, folder=folder, photos=photos)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _size(file: Path) -> tuple[int, int] | None:
    """Width and height of a picture that can be decoded to its end; None where it cannot."""
    try:
        with open_picture(file) as image:
            width, height = image.size
            image.draft("L", (1, 1))  # a JPEG file in an eighth of its size, which is quick
            image.load()
            return width, height
    except Exception:  # Pillow's decoders raise more kinds than they document
        return None


def frames_of(video: Path, folder: Path, count: int, largest: int, progress: Progress) -> None:
    """Write the sharpest frame of each of `count` equal stretches of a video into a folder, as JPEG files.

    Args:
        largest: pixels of the longer side, to which larger frames are shrunk.

    Raises:
        UserError: the file is no video, holds too few frames, or the reader of videos is not installed.
    """
    frames, total = _opened(video)
    count = min(count, total)
    folder.mkdir(parents=True, exist_ok=True)
    best: tuple[float, np.ndarray] | None = None
    written = 0
    for index, frame in enumerate(_decoded(frames, video)):
        value = sharpness(_grey(frame))
        if best is None or value > best[0]:
            best = (value, frame)
        if written < count - 1 and index + 1 >= (written + 1) * total // count:
            _write(best[1], folder / f"{written + 1:05d}.jpg", largest)
            best, written = None, written + 1
            progress("frames", index + 1, total)
    if best is not None:  # the last stretch lasts as long as the video, whose length is an estimate
        _write(best[1], folder / f"{written + 1:05d}.jpg", largest)
        written += 1
        progress("frames", total, total)
    if written < FEWEST:
        raise UserError(f"{video}: gave {written} frames; at least {FEWEST} are needed. Is the file complete?")


def _opened(video: Path) -> tuple[Iterator[Any], int]:
    """The frames of a video, and about how many there are."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise UserError(f"{video}: to read videos, install the extra: {_EXTRA}") from error
    try:
        frames = imageio_ffmpeg.read_frames(str(video))
        meta = next(frames)
        size, total = meta["size"], int(meta["fps"] * meta["duration"])
    except Exception as error:  # an OSError with all that ffmpeg printed, a StopIteration, a KeyError
        raise UserError(f"{video}: cannot be read as a video. Is the file complete, and a video at all?") from error
    if total < FEWEST:
        raise UserError(f"{video}: has {total} frames; at least {FEWEST} are needed.")
    width, height = size
    return (np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames), total


def _decoded(frames: Iterator[Any], video: Path) -> Iterator[np.ndarray]:
    try:
        yield from frames
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{video}: cannot be decoded ({reason_of(error)}). Is the file complete?") from error


def _grey(frame: np.ndarray) -> np.ndarray:
    image = Image.fromarray(frame).convert("L")
    factor = min(1.0, BLUR_WIDTH / image.width)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.float32) / 255.0


def _write(frame: np.ndarray, file: Path, largest: int) -> None:
    image = Image.fromarray(frame)
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    image.save(file, **JPEG)

"""Pictures of a run made by the workers of a pool, and written here as they arrive.

A worker reads the run folder, and writes nothing. Beside the pictures, frames.jsonl says of each what it shows and the
CRC-32 of its file: what is there already is not made again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from autodiff import tree
from nerf_mini import __version__
from nerf_mini.errors import UserError, Warn
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.crop import Crop
from nerf_mini.io.files import append_line, to_json, write_bytes
from nerf_mini.io.images import to_png
from nerf_mini.outputs.frames import picture_file, shown
from nerf_mini.pool import Pool, completed
from nerf_mini.runs.workers import RunAt, held_trainer

RECORD = "frames.jsonl"


@dataclass(frozen=True)
class Frame:
    """A picture to make: of which run, from a single camera, and how it is shown; see `Trainer.render` and `shown`."""

    run: RunAt
    camera: Cameras
    background: tuple[float, float, float] | None
    crop: Crop | None
    kinds: tuple[str, ...]
    nearest: float | None
    antialias: bool

    @property
    def mark(self) -> str:
        """Changes with all that the picture depends on: every field, the run by its own mark wherever it lies."""
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "run"}
        digest = hashlib.sha256(repr((__version__, self.run.mark, tree.paths(told))).encode())
        for leaf in map(np.asarray, tree.flatten(told)[0]):
            digest.update(repr(leaf.tolist()).encode() if leaf.dtype.kind == "U" else leaf.tobytes())
        return digest.hexdigest()[:16]


def make_frame(frame: Frame) -> list[bytes]:
    """PNG files of a frame, one of each kind; in a worker."""
    image = held_trainer(frame.run).render(frame.camera, 0, frame.background, frame.crop, frame.antialias)
    return [to_png(picture) for picture in shown(image, frame.kinds, frame.camera, 0, frame.nearest)]


def write_frames(
    pool: Pool, frames: Sequence[Frame], folder: Path, report: Callable[[int, int], None], warn: Warn
) -> list[list[Path]]:
    """Have frames made that are not in the folder yet; returns the files of each, by kind.

    Raises UserError as `completed`, and where the folder cannot be written to. Whatever happens, what has arrived
    stays.
    """
    files = [[picture_file(folder, kind, number) for kind in frame.kinds] for number, frame in enumerate(frames)]
    record, marks = _Record(folder / RECORD), [frame.mark for frame in frames]
    missing = [n for n in range(len(frames)) if not all(record.holds(file, marks[n]) for file in files[n])]
    done = len(frames) - len(missing)
    if done:
        warn(f"{done} of {len(frames)} frames are there already")
    report(done, len(frames))
    for index, pictures in completed(pool, make_frame, [frames[n] for n in missing], warn):
        number = missing[index]
        for file, picture in zip(files[number], pictures, strict=True):
            write_bytes(file, picture)
            record.add(file, marks[number], picture)
        done += 1
        report(done, len(frames))
    return files


class _Record:
    """Which files of a folder show what."""

    def __init__(self, path: Path):
        self.path, self.known = path, dict[str, tuple[str, int]]()
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error
        for line in lines:
            try:
                found = json.loads(line)
                self.known[str(found["file"])] = str(found["mark"]), int(found["crc"])
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                continue  # cut off, or damaged: the file is made again

    def holds(self, file: Path, mark: str) -> bool:
        """Whether a file is there as it was written, and shows this."""
        known = self.known.get(file.name)
        if known is None or known[0] != mark:
            return False
        try:
            return zlib.crc32(file.read_bytes()) == known[1]
        except OSError:
            return False

    def add(self, file: Path, mark: str, content: bytes) -> None:
        """After a file was written."""
        append_line(self.path, to_json({"file": file.name, "mark": mark, "crc": zlib.crc32(content)}))

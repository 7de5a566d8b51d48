"""The cameras of a run, as they were refined, in the formats of other programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.alignment import in_world
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.outputs.export.base import Exported, Exporter, ExportTask
from nerf_mini.scenes.scene import SPLITS, Scene, SparsePoints
from nerf_mini.scenes.writers import WRITERS, Capture

FORMATS = ("nerfstudio", "colmap-text")
_IMAGES = "images"
_FIRST = (_IMAGES, *SPLITS)  # folders where pictures are, if there are any
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
MOST_FILES = 100_000  # of a data set that are looked at; more is a folder in which a data set is the least of it


def write(task: ExportTask) -> Exported:
    """See `Exporter`. A format that cannot hold the lens is left out, with a warning."""
    capture = capture_of(task)
    written: dict[str, tuple[Path, ...]] = {}
    problems = []
    for kind in FORMATS:
        try:
            written[kind] = WRITERS[kind].write(task.output, capture)
        except UserError as error:
            problems.append(str(error))
    if not written:
        raise UserError(" ".join(problems))
    for problem in problems:
        task.warn(problem)
    counts = {split: len(cameras) for split, cameras in task.trainer.cameras.splits.items()}
    record = {"formats": list(written), "cameras": counts, "axes": "those of the capture"}
    files = tuple(file for own in written.values() for file in own)
    return Exported(files, f"{len(capture.names)} cameras as {' and '.join(written)}", record)


def capture_of(task: ExportTask) -> Capture:
    """All cameras, in the capture's coordinates and as refined, with the names of their pictures."""
    splits = task.trainer.refined_cameras.splits
    placed = [in_world(cameras, task.world.to_capture) for cameras in splits.values()]
    names = picture_names(task.trainer.scene, splits)
    every = tuple(name for split in splits for name in names[split])
    if len(set(every)) < len(every):
        names = {split: numbered(split, len(cameras)) for split, cameras in splits.items()}
        every = tuple(name for split in splits for name in names[split])
    held_out = tuple(name for split in splits if split != "train" for name in names[split])
    return Capture(joined(placed), every, _sparse_points(task), held_out=held_out)


def joined(parts: list[Cameras]) -> Cameras:
    """Cameras one after the other."""
    names = ("poses", "focal", "center", "size", "near", "far", "lens", "lens_parameters")
    return Cameras(*(np.concatenate([np.asarray(getattr(part, name)) for part in parts]) for name in names))


def _sparse_points(task: ExportTask) -> SparsePoints | None:
    """Those of the data set, if it is there."""
    scene = task.trainer.scene
    if scene is None or scene.points is None:
        return None
    return replace(scene.points, positions=task.world.points(scene.points.positions), observations=None)


def numbered(split: str, count: int) -> list[str]:
    """Names for pictures that have none."""
    return [f"{split}/{index:04d}.png" for index in range(count)]


def picture_names(scene: Scene | None, splits: Mapping[str, Cameras]) -> dict[str, list[str]]:
    """The files of each split's pictures, relative to their folder, if the data set is there; else numbers."""
    names = {split: numbered(split, len(cameras)) for split, cameras in splits.items()}
    if scene is not None:
        files = {} if scene.path is None else _pictures_in(scene.path)
        for split, views in scene.splits.items():
            names[split] = [_file_of(name, split, files) for name in views.names]
    return names


def _pictures_in(folder: Path) -> dict[str, list[PurePosixPath]]:
    """The pictures of a data set by their stems, relative to its folder; nothing in hidden folders."""
    files: dict[str, list[PurePosixPath]] = {}
    seen = 0
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted((name for name in folders if name[0] != "."), key=lambda name: (name not in _FIRST, name))
        for file in (PurePosixPath(Path(inner, name).relative_to(folder).as_posix()) for name in sorted(names)):
            if file.suffix.lower() in _PICTURES:
                files.setdefault(file.stem, []).append(file)
        seen += len(names)
        if seen > MOST_FILES:
            break
    return files


def _file_of(name: str, split: str, files: dict[str, list[PurePosixPath]]) -> str:
    """The one file that a view can have come from; a name made of the view's where there is none, or several."""
    fitting = [file for file in files.get(PurePosixPath(name).name, ()) if str(file.with_suffix("")).endswith(name)]
    for folder in (_IMAGES, split):
        inside = [file for file in fitting if file.parts[0] == folder]
        fitting = inside if inside else fitting
    if len(fitting) == 1:
        parts = fitting[0].parts
        return "/".join(parts[1:] if parts[0] == _IMAGES and len(parts) > 1 else parts)
    return f"{split}/{name}.png"


EXPORTER = Exporter(
    "cameras", "transforms.json as nerfstudio has it, and a COLMAP model as text", (), (), write, wants_data=True
)

"""The cameras of a run, as they were refined, in the formats of other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.alignment import in_world
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.outputs.export.base import Exported, Exporter, ExportTask
from nerf_mini.scenes.scene import SparsePoints
from nerf_mini.scenes.writers import WRITERS, Capture

FORMATS = ("nerfstudio", "colmap-text")
_IMAGES = "images"
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


def write(task: ExportTask) -> Exported:
    """See `Exporter`. A format that cannot hold the lens is left out, with a warning."""
    capture = capture_of(task)
    written, problems = [], []
    for kind in FORMATS:
        try:
            WRITERS[kind].write(task.output, capture)
            written.append(kind)
        except UserError as error:
            problems.append(str(error))
    if not written:
        raise UserError(" ".join(problems))
    for problem in problems:
        task.warn(problem)
    splits = split_cameras(task)
    counts = {split: len(cameras) for split, cameras in splits.items()}
    record = {"formats": written, "cameras": counts, "axes": "those of the capture"}
    return Exported(written_files(task.output), f"{len(capture.names)} cameras as {' and '.join(written)}", record)


def split_cameras(task: ExportTask) -> dict[str, Cameras]:
    """The cameras of each split, in the capture's coordinates; those of the training views as refined."""
    splits = task.trainer.refined_cameras.splits
    return {split: in_world(cameras, task.world.to_capture) for split, cameras in splits.items()}


def capture_of(task: ExportTask) -> Capture:
    """All cameras with the names of their pictures."""
    splits = split_cameras(task)
    names = {split: picture_names(task, split, len(cameras)) for split, cameras in splits.items()}
    every = tuple(name for split in splits for name in names[split])
    if len(set(every)) < len(every):
        names = {split: numbered(split, len(cameras)) for split, cameras in splits.items()}
        every = tuple(name for split in splits for name in names[split])
    held_out = tuple(name for split in splits if split != "train" for name in names[split])
    return Capture(joined(list(splits.values())), every, _sparse_points(task), held_out=held_out)


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


def picture_names(task: ExportTask, split: str, count: int) -> list[str]:
    """The files of a split's pictures, relative to the folder of pictures, if the data set is there; else numbers."""
    scene = task.trainer.scene
    views = None if scene is None else scene.splits.get(split)
    if scene is None or views is None:
        return numbered(split, count)
    files: dict[str, list[PurePosixPath]] = {}
    if scene.path is not None and scene.path.is_dir():
        for file in sorted(scene.path.rglob("*")):
            if file.suffix.lower() in _PICTURES:
                files.setdefault(file.stem, []).append(PurePosixPath(file.relative_to(scene.path).as_posix()))
    return [_file_of(name, split, files) for name in views.names]


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


def written_files(folder: Path) -> tuple[Path, ...]:
    """The files that the formats consist of."""
    model = [f"sparse/0/{part}.txt" for part in ("cameras", "images", "points3D")]
    names = ["transforms.json", "sparse_pc.ply", *model]
    return tuple(folder / name for name in names if (folder / name).is_file())


EXPORTER = Exporter("cameras", "transforms.json as nerfstudio has it, and a COLMAP model as text", (), (), write)

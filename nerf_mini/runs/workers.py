"""A run as a worker of a pool holds it: at one checkpoint, loaded once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nerf_mini.errors import UserError
from nerf_mini.io.files import real_path
from nerf_mini.models import make_model
from nerf_mini.runs.checkpoint import checkpoint_files, load, step_of
from nerf_mini.runs.folder import Run, open_run
from nerf_mini.runs.pictures import changed_pictures
from nerf_mini.runs.restoring import shapes_of
from nerf_mini.training import Calibration, Trainer

_FILES = ("config.json", "cameras.json")


@dataclass(frozen=True)
class RunAt:
    """A run folder, by its absolute path, at a checkpoint; `mark` changes with every bit of what pictures depend on.

    split, data: which views are read too, and from where instead of where the run says; None: none.
    """

    path: Path
    step: int
    mark: str
    split: str | None = None
    data: Path | None = None


def at_step(run: Run, step: int, split: str | None = None, data: Path | None = None) -> RunAt:
    """A run at a checkpoint that is there. Raises UserError where it is gone."""
    path = real_path(run.path)
    return RunAt(path, step, _mark(path, step), split, None if data is None else real_path(data))


def _mark(path: Path, step: int) -> str:
    """Step, and CRC-32 of the files that make a run at that step."""
    files = [file for file in checkpoint_files(path / "checkpoints") if step_of(file) == step]
    if not files:
        raise UserError(
            f"{path}: the checkpoint of step {step} is not there. While a run is trained, older checkpoints go as new"
            " ones come; start again when it has ended."
        )
    crc = 0
    try:
        for file in (*(path / name for name in _FILES), *files):
            crc = zlib.crc32(file.read_bytes(), crc)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror or error}).") from error
    return f"{step}-{crc:08x}"


@lru_cache(maxsize=1)
def held_trainer(at: RunAt) -> Trainer:
    """The trainer of a run at a checkpoint; it stays in memory until another one is asked for.

    Raises UserError where the folder is not to be seen from here, or holds something else.
    """
    if not (at.path / _FILES[0]).is_file():
        raise UserError(
            f"{at.path}: there is no such run here. Workers need the run folder at the same path: on storage that"
            " all share, or as a copy."
        )
    if _mark(at.path, at.step) != at.mark:
        raise UserError(f"{at.path}: is another run here, or another state of it. Copy it again, or share the folder.")
    run = open_run(at.path)
    scene = None
    if at.split is not None:
        scene = run.read_scene((at.split,) if at.split == "train" else ("train", at.split), at.data)
    model = make_model(run.config, run.cameras)
    shapes = shapes_of(model, Calibration(run.config, run.cameras))
    file = next(file for file in checkpoint_files(run.checkpoints) if step_of(file) == at.step)
    return Trainer(run.config, run.cameras, scene, load(file, shapes, model.region.unit_length))


@lru_cache(maxsize=1)
def changed_since(at: RunAt) -> tuple[str, ...]:
    """Which pictures of the data set that `held_trainer` read are not those that the run began with."""
    scene = held_trainer(at).scene
    return () if scene is None else changed_pictures(at.path, scene).views

"""Trainers from run folders, and run folders from trainers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nerf_mini.config import differences
from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import real_path
from nerf_mini.models import Model, make_model
from nerf_mini.ranks import ALONE, Communicator
from nerf_mini.runs.checkpoint import Shapes, checkpoint_files, load_latest, save, step_of
from nerf_mini.runs.folder import Run, create_run, open_run, same_cameras, write_config
from nerf_mini.runs.lock import RunLock
from nerf_mini.runs.pictures import changed_pictures
from nerf_mini.scenes import Scene
from nerf_mini.training import Calibration, Trainer
from nerf_mini.training.memory import parameter_shapes


def shapes_of(model: Model, calibration: Calibration | None = None) -> Shapes:
    """The shapes of what is learnt, and of what the sampler keeps; makes none of it."""
    kept = {name: (array.shape, array.dtype) for name, array in model.sampler.state.items()}
    beside = {} if calibration is None else calibration.shapes
    return Shapes({"field": parameter_shapes(model), **beside}, kept)


def restored_trainer(
    run: Run, scene: Scene | None = None, warn: Warn = log_warning, communicator: Communicator = ALONE
) -> Trainer:
    """The trainer of a run at its newest sound checkpoint; without a scene it renders, but does not train.

    `warn` is called with a sentence for each newer checkpoint that is damaged. Raises UserError if all are.
    """
    model = make_model(run.config, run.cameras)
    shapes = shapes_of(model, Calibration(run.config, run.cameras))
    state, problems = load_latest(run.checkpoints, shapes, model.region.unit_length)
    for problem in problems:
        warn(f"{problem} Falling back to the checkpoint of step {state.step}.")
    return Trainer(run.config, run.cameras, scene, state, communicator)


def load_trainer(folder: Path, data: Path | Scene | None = None, warn: Warn = log_warning) -> Trainer:
    """The trainer of a run folder at its newest sound checkpoint.

    Its scene is `data`, a path or a scene made from arrays, or is read from where it was. Where that is gone, the
    trainer has no scene: it renders, but does not train. `warn` is told of damaged checkpoints, and of pictures that
    are not those that the run began with. Raises UserError if the folder is not a run or is damaged, or if `data` is
    not that of the run.
    """
    run = open_run(folder)
    if isinstance(data, Scene):
        run.require_same(data)
        scene: Scene | None = data
    elif data is not None or (run.data is not None and run.data.exists()):
        scene = run.read_scene(data=data)
    else:
        scene = None
    if scene is not None:
        changes = changed_pictures(run.path, scene)
        if changes:
            warn(f"{scene.path or scene.name}: {changes}")
    return restored_trainer(run, scene, warn)


def save_trainer(trainer: Trainer, folder: Path) -> Path:
    """Write a run folder, or a new checkpoint into the run folder of this trainer; returns the folder.

    Raises UserError if the folder holds anything else, such as another run, or a later step of this one, and where
    another process trains it.
    """
    data = None if trainer.scene is None or trainer.scene.path is None else real_path(trainer.scene.path)
    run = Run(folder, trainer.config, data, trainer.cameras)
    with RunLock(folder):
        return _saved(trainer, run)


def _saved(trainer: Trainer, run: Run) -> Path:
    folder = run.path
    if not (folder / "config.json").is_file():
        create_run(run, trainer.whole_state(), trainer.scene)
        return folder
    saved = open_run(folder)
    same = same_cameras(saved.cameras.train, run.cameras.train)
    if not same or differences(saved.config, run.config):
        raise UserError(f"{folder}: holds another run. Choose another folder.")
    newest = max((step_of(path) for path in checkpoint_files(saved.checkpoints)), default=-1)
    if newest > trainer.step_count:
        raise UserError(f"{folder}: holds step {newest}, later than step {trainer.step_count}. Choose another folder.")
    save(saved.checkpoints, trainer.whole_state())
    if saved.config != run.config:  # the run may have become longer
        write_config(replace(saved, config=run.config))
    return folder

"""Training into a run folder: metrics, checkpoints and validation pictures on the way; stopping loses nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nerf_mini.config import Config, differences
from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import real_path, sync
from nerf_mini.io.images import write_image
from nerf_mini.ranks import ALONE, Communicator
from nerf_mini.rendering.metrics import decibels, mse_to_psnr
from nerf_mini.runs.checkpoint import checkpoint_files, save
from nerf_mini.runs.evaluation import Report, evaluate_views, spread_indices, target_image
from nerf_mini.runs.folder import (
    Run,
    append_metrics,
    create_run,
    open_run,
    read_scene,
    remove_temporary_files,
    require_free,
    truncate_metrics,
)
from nerf_mini.runs.lock import RunLock
from nerf_mini.runs.pictures import FILE as PICTURES
from nerf_mini.runs.pictures import require_unchanged, write_pictures
from nerf_mini.runs.records import Evaluation, StepEntry, ValidationEntry
from nerf_mini.runs.restoring import load_trainer, restored_trainer, save_trainer
from nerf_mini.runs.shared_lock import SharedLock
from nerf_mini.runs.signals import interruptible
from nerf_mini.scenes import Scene
from nerf_mini.training import StepReport, Trainer, TrainingState

SessionEnd = Literal["steps", "time", "interrupted"]


def _never() -> bool:
    return False


@dataclass
class Session:
    """A trainer that writes into a run folder as it goes on.

    Attributes:
        lock: of the run folder. `train` gives it back when it ends, unless `borrowed`: then whoever took it does.
        interrupted: whether a signal that ends processes has come while `train` runs, or another process asks this one
            to stop. Whoever holds up a training in `on_step` is to look, and to let go.
        saved_step: that of the checkpoint written last by `save` or `train`; None before there is one.
    """

    run: Run
    trainer: Trainer
    lock: RunLock
    borrowed: bool = False
    interrupted: Callable[[], bool] = _never
    saved_step: int | None = None

    def train(
        self,
        max_seconds: float | None = None,
        on_step: Callable[[StepReport], None] | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> SessionEnd:
        """Train to the end that the configuration plans, or until `max_seconds` have passed in this call.

        Ctrl-C, SIGTERM and SIGHUP finish the step, save, and end with "interrupted"; a second Ctrl-C stops at once.
        `on_step` is called after each step, `on_message` with what is worth a line. Raises UserError if the loss is
        not finite, the network has collapsed, the disk is full, or another process has taken the run; what was saved
        before stays.
        """
        self.lock.acquire()
        with interruptible() as signalled:  # until the lock is given back, which no signal is to cut in half
            self.interrupted = lambda: signalled() or self.lock.stop_asked
            try:
                end = self._train(max_seconds, on_step, on_message)
            finally:
                if not self.borrowed:
                    self.lock.release()
            interrupted = self.interrupted()
            self.interrupted = _never  # without a cycle the trainer goes with the session, and its memory with it
        return "interrupted" if interrupted else end

    def _train(
        self,
        max_seconds: float | None,
        on_step: Callable[[StepReport], None] | None,
        on_message: Callable[[str], None] | None,
    ) -> SessionEnd:
        stepping = True

        def after(report: StepReport) -> bool:
            nonlocal stepping
            stepping = False
            self.lock.check()
            self._write(report, on_message)
            if on_step is not None:
                on_step(report)
            stepping = True
            return self.interrupted()

        try:
            end = self.trainer.train(max_seconds=max_seconds, on_step=after)
        except UserError as error:
            files = checkpoint_files(self.run.checkpoints)
            if not stepping or not files:
                raise
            raise UserError(f"{error} The last good checkpoint is {files[-1]}.") from error
        self.save()
        return "interrupted" if end == "stopped" else end

    def save(self) -> None:
        """Write a checkpoint, unless that of this step is written. Raises UserError if the disk is full, the place
        cannot be written to, or another process trains this run."""
        if self.saved_step == self.trainer.step_count:
            return
        state, held = self.trainer.whole_state(), self.lock.held
        self.lock.acquire()
        try:
            self._lead(lambda: self._save(state))
        finally:
            if not held:
                self.lock.release()
        self.saved_step = self.trainer.step_count

    def _save(self, state: TrainingState) -> None:
        sync(self.run.metrics)  # a checkpoint is never on the disk before the lines of the steps that led to it
        save(self.run.checkpoints, state)

    @property
    def _lead(self) -> Callable[[Callable[[], Any]], Any]:
        """Has one process do what all processes of a training want done."""
        return self.trainer.communicator.lead

    def _write(self, report: StepReport, on_message: Callable[[str], None] | None) -> None:
        """What is due after a step, the checkpoint last: a run that goes on from it lacks nothing of the step."""
        settings, step = self.run.config.training, report.step
        if step % settings.log_every == 0:
            seconds = self.trainer.state.seconds
            entry = StepEntry(step, seconds, float(report.loss), report.psnr, report.learning_rate, report.rays)
            self._lead(lambda: append_metrics(self.run.metrics, entry))
        if step % settings.validate_every == 0:
            self._lead(lambda: self.validate(on_message))
        if step % settings.checkpoint_every == 0:
            self.save()

    def validate(self, on_message: Callable[[str], None] | None = None) -> float:
        """Render one held-out view beside the truth to renders/validation/; returns and logs its PSNR in dB.

        Views of which a mask leaves nothing are passed over; where there are no others, it returns NaN.
        """
        trainer, step = self.trainer, self.trainer.step_count
        splits = _scene(trainer).splits
        views = splits.get("val") or splits.get("test") or splits["train"]
        shown = [i for i in range(len(views)) if views.valid is None or np.any(views.mask(i))]
        if not shown:
            return math.nan
        index = shown[(step // self.run.config.training.validate_every) % len(shown)]
        image = trainer.render(trainer.cameras_of(views), index).color
        target = target_image(views, index, trainer.cameras.background)
        path = self.run.renders / "validation" / f"step-{step:07d}.png"
        write_image(path, np.concatenate([image, target], axis=1))
        mask = views.mask(index)
        errors = (image - target) if mask is None else (image - target)[mask]
        psnr = mse_to_psnr(float(np.mean(errors**2)))
        append_metrics(self.run.metrics, ValidationEntry(step, psnr, views.names[index]))
        if on_message is not None:
            on_message(f"step {step}: validation PSNR {decibels(psnr)} dB, {path}")
        return psnr

    def evaluate(self, most: int = 8, report: Report | None = None) -> Evaluation | None:
        """Scores of at most `most` test views; None where there are none, or masks leave nothing of them to score."""
        views = _scene(self.trainer).splits.get("test")
        if views is None:
            return None
        chosen = spread_indices(len(views), most)
        if views.valid is not None and not any(np.any(views.mask(view)) for view in chosen):
            return None
        return evaluate_views(self.trainer, views, chosen, report)


def start(
    data: Path, output: Path, config: Config, lock: RunLock | None = None, communicator: Communicator = ALONE
) -> Session:
    """Begin a run in a new folder; with `lock` under a lock that the caller holds, with `communicator` together with
    other processes.

    Raises UserError for a data set that cannot be read, a folder that holds anything already, and a precision that this
    CPU lacks.
    """
    scene = read_scene(data, config)
    communicator.lead(lambda: require_free(output))
    trainer = Trainer(config, scene.cameras, scene, communicator=communicator)
    run = Run(output, trainer.config, real_path(data), trainer.cameras)
    session = Session(run, trainer, lock or SharedLock(output, communicator), borrowed=lock is not None)
    with _kept_on_success(session.lock):
        communicator.lead(lambda: create_run(run, trainer.state, scene))
    return session


def resume(
    output: Path,
    config: Config | None = None,
    data: Path | None = None,
    warn: Warn = log_warning,
    lock: RunLock | None = None,
    communicator: Communicator = ALONE,
) -> Session:
    """Continue a run from its newest sound checkpoint; `warn` is told of newer ones that are damaged. With
    `lock`, under a lock that the caller holds; with `communicator`, together with other processes, as many as one
    likes.

    `config` must agree with the run's, but for where the run ends; None takes the run's own. Raises UserError
    otherwise, listing the differences, where the folder, the data set or a picture of it is not what it should be, and
    where another process trains the run.
    """
    run = open_run(output)
    if config is not None:
        changed = differences(run.config, config)
        if changed:
            raise UserError(
                f"{output}: --resume with a different configuration.\n  " + "\n  ".join(changed)
                + "\nDrop these options to continue the run, or start another with another --output."
            )  # fmt: skip
        run = replace(run, config=replace(config, precision=run.config.precision))
    own = lock or SharedLock(output, communicator)
    with _kept_on_success(own):
        scene = run.read_scene(data=data)
        communicator.lead(lambda: require_unchanged(run.path, scene))
        trainer = restored_trainer(run, scene, warn, communicator)
        communicator.lead(lambda: _clear(run, trainer.step_count, scene))
    return Session(run, trainer, own, borrowed=lock is not None)


def _clear(run: Run, step: int, scene: Scene) -> None:
    """Remove what a run that was killed after a step has left in its folder."""
    remove_temporary_files(run)
    truncate_metrics(run.metrics, step)
    if not (run.path / PICTURES).exists():  # a run of an earlier version takes these for its pictures
        write_pictures(run.path, scene)


@contextmanager
def _kept_on_success(lock: RunLock) -> Iterator[None]:
    """Hold a lock in the body and, if that succeeds, after it."""
    held = lock.held
    lock.acquire()
    try:
        yield
    except BaseException:
        if not held:
            lock.release()
        raise


def _scene(trainer: Trainer) -> Scene:
    if trainer.scene is None:
        raise UserError("this run was opened without its data; say where that is.")
    return trainer.scene


__all__ = [
    "Session",
    "SessionEnd",
    "load_trainer",
    "resume",
    "save_trainer",
    "start",
]

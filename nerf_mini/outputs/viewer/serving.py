"""`nerf-mini view`: one thread renders a run's newest checkpoint for whoever asks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import real_path
from nerf_mini.outputs.viewer.description import describe
from nerf_mini.outputs.viewer.jobs import Jobs
from nerf_mini.outputs.viewer.news import News, Point, State
from nerf_mini.outputs.viewer.paths import PathFolder
from nerf_mini.outputs.viewer.photos import Photos
from nerf_mini.outputs.viewer.requests import FrameRequest
from nerf_mini.outputs.viewer.routes import Service
from nerf_mini.outputs.viewer.stage import Stage
from nerf_mini.outputs.viewer.work import work_off
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.history import read_history
from nerf_mini.runs.restoring import restored_trainer

NEWER_EVERY = 1.0  # seconds, whether there is a newer checkpoint


class Show:
    """A run that is looked at. `run` is for the one thread that renders; all else may be called from any."""

    def __init__(self, folder: Path, data: Path | None = None, warn: Warn = log_warning):
        """Open a run. Raises UserError where it is none, or has no checkpoint."""
        run = open_run(folder)
        self._opened, self._warn = run, warn
        self._stamp = _stamp(run.checkpoints)
        self.stage = Stage(restored_trainer(run, warn=warn))
        trainer = self.stage.trainer
        where = data or run.data
        there = where is not None and where.exists()
        if data is not None and not there:
            raise UserError(f"{data}: no such file or folder.")
        self.photos = Photos(
            run.cameras.splits, trainer.cameras.background, (lambda: run.read_scene(data=data)) if there else None
        )
        self._there = there
        self._describe()
        state = State(step=trainer.step_count, seconds=trainer.state.seconds, saved_step=trainer.step_count)
        history = metrics_history(run.metrics)
        if history:
            state.psnr, state.loss = history[-1][1:]
        self.news, self.jobs = News(state, history), Jobs()

    def _describe(self) -> None:
        """Cameras and the background of the trainer that is shown: they may be learnt."""
        folder = self._opened.path
        self._about = describe(self.stage.trainer, real_path(folder).name, str(folder), self._there)

    @property
    def service(self) -> Service:
        """What the server hands out."""
        return Service(self.jobs, self.news, self.photos, self.info, paths=PathFolder(self._opened))

    def info(self) -> dict[str, Any]:
        """What a page must know first."""
        state = self.news.state
        now = {"revision": state.revision, "step": state.step, "ready": state.ready, "training": False, "paths": True}
        return {**self._about, **now}

    def run(self) -> None:
        """Render what is asked for, until the jobs are closed; shows a newer checkpoint when there is one."""
        start = self._about["start"]
        tiny = FrameRequest("start", 0, 32, 32, pose=np.reshape(start["pose"], (4, 4)), fov=self._about["fov"])
        self.stage.frame(tiny)  # compiles the kernels, or loads them
        self.news.update(ready=True)
        looked = time.monotonic()
        while not self.jobs.closed:
            work_off(self.jobs, self.stage, NEWER_EVERY)
            if time.monotonic() - looked >= NEWER_EVERY:
                self._follow()
                looked = time.monotonic()

    def _follow(self) -> None:
        """Show the newest checkpoint."""
        stamp = _stamp(self._opened.checkpoints)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            trainer = restored_trainer(self._opened, warn=self._warn)
        except (UserError, OSError):  # the folder is being changed, or is gone: what was loaded can be looked at still
            return
        self.stage.exchange(trainer)
        self._describe()
        history = metrics_history(self._opened.metrics)
        self.news.replace_history(history)
        last: dict[str, Any] = {"psnr": history[-1][1], "loss": history[-1][2]} if history else {}
        self.news.update(
            step=trainer.step_count, revision=self.stage.revision, seconds=trainer.state.seconds,
            saved_step=trainer.step_count, **last,
        )  # fmt: skip


def _stamp(folder: Path) -> tuple[str, ...]:
    """What changes with every checkpoint."""
    try:
        return tuple(sorted(f"{file.name} {file.stat().st_mtime_ns}" for file in folder.glob("step-*.npz")))
    except OSError:
        return ()


def metrics_history(file: Path) -> list[Point]:
    """Step, PSNR and loss of the training steps in metrics.jsonl, as far as it can be read."""
    try:
        return [(entry.step, entry.psnr, entry.loss) for entry in read_history(file).steps]
    except UserError:
        return []

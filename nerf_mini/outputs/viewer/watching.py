"""`nerf-mini train --view`: the thread that trains serves frames between its steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import real_path
from nerf_mini.outputs.viewer.allowance import Allowance
from nerf_mini.outputs.viewer.description import describe
from nerf_mini.outputs.viewer.jobs import Frame, Jobs
from nerf_mini.outputs.viewer.news import News, State
from nerf_mini.outputs.viewer.paths import PathFolder
from nerf_mini.outputs.viewer.photos import Photos
from nerf_mini.outputs.viewer.requests import FrameRequest
from nerf_mini.outputs.viewer.routes import Service
from nerf_mini.outputs.viewer.serving import metrics_history
from nerf_mini.outputs.viewer.stage import Stage
from nerf_mini.outputs.viewer.work import work_off
from nerf_mini.runs.session import Session
from nerf_mini.training import StepReport

HELD_UP = 0.5  # seconds for which moving cameras keep a training from its next step
STILL = 0.1  # seconds without a coarse frame after which a camera counts as at rest
LIMIT = 1.0  # seconds that a sharp frame may take from a training: pages ask for what takes 0.4
DESCRIBE_EVERY = 5.0  # seconds
GO_ON_EVERY = 0.2  # seconds, whether a pause has ended


class Watching:
    """Pages that watch a training. The field is shown as it is between two steps, and never changed.

    While a camera moves every coarse frame is served, and the training takes two steps a second. At rest sharp frames
    are served as far as `Allowance` lets them be; while the training pauses, at once. None of this counts as training
    time.
    """

    def __init__(self, session: Session, warn: Warn = log_warning):
        self._session, self._warn = session, warn
        trainer, run = session.trainer, session.run
        self.jobs, self.stage = Jobs(), Stage(trainer)
        self.photos = Photos(run.cameras.splits, trainer.cameras.background, trainer.scene)
        self.news = News(State(step=trainer.step_count, training=True), metrics_history(run.metrics))
        self._describe()
        self._paths = PathFolder(run)
        self._paused, self._save = threading.Event(), threading.Event()
        self._allowance = Allowance()

    def _describe(self) -> None:
        """Cameras and the background as they are now: they may be learnt."""
        path = self._session.run.path
        self._about = describe(self._session.trainer, real_path(path).name, str(path), self.photos.exist)
        self._described = time.perf_counter()

    @property
    def service(self) -> Service:
        """What the server hands out."""
        return Service(self.jobs, self.news, self.photos, self.info, self.control, self._paths)

    def info(self) -> dict[str, Any]:
        """What a page must know first."""
        state = self.news.state
        now = {"revision": 0, "step": state.step, "ready": state.ready, "training": True, "paths": True}
        return {**self._about, **now}

    def control(self, action: str) -> None:
        """Have the training pause, go on or save, after the step at hand. Raises UserError when it is over."""
        if self.news.state.finished:
            raise UserError("the training is finished.")
        if action == "save":
            self._save.set()
        else:
            (self._paused.set if action == "pause" else self._paused.clear)()

    def step(self, report: StepReport) -> None:
        """Tell of a step that is done, and serve whoever waits; to be called by the thread that trains."""
        trainer, loss = self._session.trainer, float(report.loss)
        self.news.update(
            (report.step, report.psnr, loss), step=report.step, psnr=report.psnr, loss=loss,
            seconds=trainer.state.seconds, saved_step=self._session.saved_step,
        )  # fmt: skip
        if len(self.jobs) or self._save.is_set() or self._paused.is_set():
            with trainer.clock.stopped():
                self._attend()

    def _attend(self) -> None:
        self._write()
        if self._session.trainer.calibration.shapes and time.perf_counter() - self._described > DESCRIBE_EVERY:
            self._describe()
        self._serve()
        if not self._paused.is_set():
            return
        self.news.update(paused=True)
        while self._paused.is_set() and not self._session.interrupted():
            self._write()
            work_off(self.jobs, self.stage, GO_ON_EVERY, stop=self._session.interrupted)
        self._paused.clear()
        self.news.update(paused=False)

    def _write(self) -> None:
        """Save, if that was asked for."""
        if self._save.is_set():
            self._save.clear()
            try:
                self._session.save()
            except UserError as error:  # what a page asks for does not end a training
                self._warn(str(error))
            self.news.update(saved_step=self._session.saved_step)

    def _serve(self) -> None:
        """Serve what may be served now. As long as a camera moves, wait for its next request, but not without end: a
        path may be played over and over.

        A sharp frame that takes much longer than the page thought is given up: early on a scene is full of fog,
        through which rays are long.
        """
        entered, wait = time.perf_counter(), 0.0
        while not self._session.interrupted() and time.perf_counter() < entered + HELD_UP:
            began = time.perf_counter()
            job = work_off(self.jobs, self.stage, wait, self._is_due, LIMIT, self._session.interrupted)
            if job is None:
                return
            self.news.update(ready=True)  # the kernels of pictures are there, which are not those of steps
            now = time.perf_counter()
            if job.request.final:
                self._allowance.rendered(job.request, isinstance(job.outcome, Frame), began, now)
            else:
                self._allowance.moved(job.request.client, now)
            wait = self._allowance.wait(STILL, now)

    def _is_due(self, request: FrameRequest) -> bool:
        return self._allowance.is_due(request, time.perf_counter())

    def finish(self) -> None:
        """Tell that the training is over."""
        trainer = self._session.trainer
        self._describe()
        self.news.update(
            step=trainer.step_count, seconds=trainer.state.seconds, saved_step=self._session.saved_step, finished=True
        )

    def serve_between(self) -> None:
        """Serve those who wait while something else goes on, but not for long."""
        end = time.perf_counter() + HELD_UP
        while time.perf_counter() < end:
            if work_off(self.jobs, self.stage, 0.0, limit=LIMIT) is None:
                return

    def linger(self, until: Callable[[], bool] = lambda: False) -> None:
        """Go on serving frames of what was trained, until the jobs are closed."""
        while not self.jobs.closed and not until():
            if work_off(self.jobs, self.stage, GO_ON_EVERY) is not None:
                self.news.update(ready=True)

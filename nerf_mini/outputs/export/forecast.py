"""How long a stage of an export will take, said once, if it is long."""

from __future__ import annotations

import time

from nerf_mini.errors import Warn
from nerf_mini.outputs.export.base import StageProgress

FIRST_WORD = 15.0  # seconds of a stage before anything is said of it
LONG = 300.0  # seconds that are left


class Forecast:
    """A `StageProgress` that passes on what it is told, and warns where a stage will take minutes more."""

    def __init__(self, progress: StageProgress, warn: Warn):
        self._progress, self._warn = progress, warn
        self._stage, self._said = "", False
        self._began, self._before = 0.0, 0  # when the stage was first heard of, and how much of it was done then

    def __call__(self, stage: str, done: int, total: int) -> None:
        """See `StageProgress`."""
        self._progress(stage, done, total)
        now = time.perf_counter()
        if stage != self._stage:
            self._stage, self._said, self._began, self._before = stage, False, now, done
        seconds, more = now - self._began, done - self._before
        if self._said or more <= 0 or seconds < FIRST_WORD:
            return
        left = seconds * (total - done) / more
        if left > LONG:
            self._said = True
            self._warn(f"{stage}: {done} of {total}; about {left / 60:.0f} minutes more at this pace. Ctrl-C ends it.")

"""What the command line shows while it works: lines of text, and bars of progress."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from nerf_mini.errors import printable
from nerf_mini.rendering.metrics import decibels

if TYPE_CHECKING:
    from nerf_mini.training import StepReport, Trainer


def say(text: str) -> None:
    """Print a line at once, also where the output is a file; escapes stand for control characters, and for what it has
    no characters for."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(printable(text).encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def counting_bar(description: str, unit: str = "view") -> Iterator[Callable[[int, int], None]]:
    """A bar over views or the like; the function it gives is called with how many are done, and how many there are."""
    with tqdm(unit=unit, desc=description, disable=not sys.stderr.isatty()) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report


class StageBars:
    """A bar for each stage of a long work, and a line when it is done; where nobody watches, lines alone."""

    def __init__(self, line: Callable[[str], None]):
        self.line = line
        self.stage, self.done, self.last = "", 0, time.perf_counter()
        self.bar: tqdm | None = None

    def report(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        if stage != self.stage:
            self._finish()
            self.stage = stage
            self.bar = tqdm(desc=stage, total=total, disable=not sys.stderr.isatty(), leave=False)
        if self.bar is not None:
            self.bar.total = total
            self.bar.update(done - self.bar.n)
        self.done = done

    def _finish(self) -> None:
        if self.bar is not None:
            self.bar.close()
            now = time.perf_counter()
            self.line(f"{self.stage}: {self.done} in {now - self.last:.0f} s")
            self.last = now
        self.bar = None

    def __enter__(self) -> StageBars:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self._finish()
        elif self.bar is not None:
            self.bar.close()


class TrainingBar:
    """A bar over the steps of a run with loss, PSNR and rays per second."""

    def __init__(self, trainer: Trainer, max_seconds: float | None):
        self.max_seconds, self.clock, self.started = max_seconds, trainer.clock, trainer.clock.now()
        self.times: deque[float] = deque(maxlen=100)
        self.compiling = True
        quiet = not sys.stderr.isatty()
        total = trainer.config.training.max_steps
        count = "{n_fmt} steps" if total is None else "{n_fmt}/{total_fmt} steps"
        self.bar = tqdm(
            total=total, initial=trainer.step_count, unit="step", dynamic_ncols=True,
            mininterval=30 if quiet else 0.2, desc="compiling kernels",
            bar_format="{desc}: " + count + " [{elapsed}{postfix}",
        )  # fmt: skip
        self.bar.set_postfix_str("]", refresh=True)

    def step(self, report: StepReport) -> None:
        """Show a step that is done."""
        now = self.clock.now()
        self.times.append(now)
        span = now - self.times[0]
        if span > 0:
            rate = (len(self.times) - 1) / span
            left = float("inf") if self.bar.total is None else (self.bar.total - report.step) / rate
            if self.max_seconds is not None:
                left = min(left, max(0.0, self.max_seconds - (now - self.started)))
            text = f"loss {report.loss:.4f}, PSNR {decibels(report.psnr)} dB, {rate * report.rays:.0f} rays/s"
            self.bar.set_postfix_str(f"{tqdm.format_interval(left)} left] {text}", refresh=False)
        if self.compiling:
            self.compiling = False
            self.bar.set_description_str("training", refresh=False)
        self.bar.update(1)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self.bar.write(printable(text), file=sys.stderr)

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

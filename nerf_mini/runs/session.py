"""Training into a run folder: metrics, checkpoints and validation pictures on the way; stopping loses nothing."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nerf_mini.config import Config, differences
from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.images import write_image
from nerf_mini.rendering.metrics import mse_to_psnr
from nerf_mini.runs.checkpoint import checkpoint_files, save
from nerf_mini.runs.evaluation import Report, evaluate_views, spread_indices, target_image
from nerf_mini.runs.folder import (
    Run,
    append_metrics,
    create_run,
    open_run,
    read_scene,
    require_free,
    truncate_metrics,
)
from nerf_mini.runs.records import Evaluation, StepEntry, ValidationEntry
from nerf_mini.runs.restoring import load_trainer, restored_trainer, save_trainer
from nerf_mini.scenes import Scene
from nerf_mini.training import StepReport, Trainer

SessionEnd = Literal["steps", "time", "interrupted"]


@dataclass
class Session:
    """A trainer that writes into a run folder as it goes on.

    Attributes:
        interrupted: whether Ctrl-C or SIGTERM has come while `train` runs. Whoever holds up a training in `on_step`
            is to look, and to let go.
        saved_step: that of the checkpoint written last by `save` or `train`; None before there is one.
    """

    run: Run
    trainer: Trainer
    interrupted: Callable[[], bool] = lambda: False
    saved_step: int | None = None

    def train(
        self,
        max_seconds: float | None = None,
        on_step: Callable[[StepReport], None] | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> SessionEnd:
        """Train to the end that the configuration plans, or until `max_seconds` have passed in this call.

        Ctrl-C or SIGTERM finishes the step, saves, and ends with "interrupted"; a second one stops at once. `on_step`
        is called after each step, `on_message` with what is worth a line. Raises UserError if the loss is not finite,
        the network has collapsed or the disk is full; what was saved before stays.
        """
        stepping = True

        def after(report: StepReport) -> bool:
            nonlocal stepping
            stepping = False
            if on_step is not None:
                on_step(report)
            self._write(report, on_message)
            stepping = True
            return self.interrupted()

        with _interruptible() as self.interrupted:
            try:
                end = self.trainer.train(max_seconds=max_seconds, on_step=after)
            except UserError as error:
                files = checkpoint_files(self.run.checkpoints)
                if not stepping or not files:
                    raise
                raise UserError(f"{error} The last good checkpoint is {files[-1]}.") from error
            if self.trainer.step_count != self.saved_step:
                self.save()
        return "interrupted" if end == "stopped" else end

    def save(self) -> None:
        """Write a checkpoint. Raises UserError if the disk is full or the place cannot be written to."""
        save(self.run.checkpoints, self.trainer.state)
        self.saved_step = self.trainer.step_count

    def _write(self, report: StepReport, on_message: Callable[[str], None] | None) -> None:
        """What is due after a step."""
        settings, step = self.run.config.training, report.step
        if step % settings.log_every == 0:
            seconds = self.trainer.state.seconds
            entry = StepEntry(step, seconds, float(report.loss), report.psnr, report.learning_rate, report.rays)
            append_metrics(self.run.metrics, entry)
        if step % settings.checkpoint_every == 0 and step != self.saved_step:
            self.save()
        if step % settings.validate_every == 0:
            self.validate(on_message)

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
            on_message(f"step {step}: validation PSNR {psnr:.2f} dB, {path}")
        return psnr

    def evaluate(self, most: int = 8, report: Report | None = None) -> Evaluation | None:
        """Scores of at most `most` test views; None for a data set without a test split."""
        views = _scene(self.trainer).splits.get("test")
        return None if views is None else evaluate_views(self.trainer, views, spread_indices(len(views), most), report)


def start(data: Path, output: Path, config: Config) -> Session:
    """Begin a run in a new folder.

    Raises UserError for a data set that cannot be read, a folder that holds anything already, and a precision that this
    CPU lacks.
    """
    scene = read_scene(data, config)
    require_free(output)
    trainer = Trainer(config, scene.cameras, scene)
    run = Run(output, trainer.config, data.resolve(), trainer.cameras)
    create_run(run, trainer.state)
    return Session(run, trainer)


def resume(output: Path, config: Config | None = None, data: Path | None = None, warn: Warn = log_warning) -> Session:
    """Continue a run from its newest sound checkpoint; `warn` is told of newer ones that are damaged.

    `config` must agree with the run's, but for where the run ends; None takes the run's own. Raises UserError
    otherwise, listing the differences, and where the folder or the data set is not what it should be.
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
    trainer = restored_trainer(run, run.read_scene(data=data), warn)
    truncate_metrics(run.metrics, trainer.step_count)
    return Session(run, trainer)


def _scene(trainer: Trainer) -> Scene:
    if trainer.scene is None:
        raise UserError("this run was opened without its data; say where that is.")
    return trainer.scene


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a flag, so that a step is never cut in half; the next acts as usual."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number, frame):
        received.append(number)
        restore()

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, on_signal)
    except ValueError:  # not the main thread: signals go elsewhere
        yield lambda: False
        return
    try:
        yield lambda: bool(received)
    finally:
        restore()


__all__ = [
    "Session",
    "SessionEnd",
    "load_trainer",
    "resume",
    "save_trainer",
    "start",
]

"""The training loop: batch, loss and gradient, optimiser step, and what is written on the way."""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import tree
from nerf_mini.config import Config, differences
from nerf_mini.errors import UserError
from nerf_mini.io.images import write_image
from nerf_mini.models import draw_batch
from nerf_mini.ops import BFLOAT16, OperatorUse
from nerf_mini.rendering.images import render_image
from nerf_mini.rendering.metrics import mse_to_psnr
from nerf_mini.runs.checkpoint import Checkpoint, checkpoint_files, save
from nerf_mini.runs.evaluation import evaluate_views, spread_indices, target_image
from nerf_mini.runs.folder import Run, append_metrics, create_run, open_run, read_scene, truncate_metrics
from nerf_mini.runtime import warm_up
from nerf_mini.scenes import Scene
from nerf_mini.training.optimiser import adam_update, learning_rate

PROCESS_BYTES, SAMPLE_BYTES = 220 << 20, 320  # measured, see `memory_needed`
COLLAPSE_AFTER = 400  # steps; before, a network may well be of one colour
COLLAPSE_SPREAD = 2e-3  # standard deviation of the rendered colours of a batch


@dataclass
class Progress:
    """What the command line shows while a training runs; every method may be replaced."""

    step: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    message: Callable[[str], None] = lambda text: None


@dataclass
class Training:
    """A training in progress: the run it belongs to, its data, and its state."""

    run: Run
    scene: Scene
    state: Checkpoint
    method: Any
    recent: deque = field(default_factory=lambda: deque(maxlen=200))  # fine losses of the latest steps

    @property
    def step(self) -> int:
        return self.state.optimiser.step


def start(data: Path, output: Path, config: Config) -> Training:
    """A new training in a new run folder. Raises UserError for a precision that this CPU does not have."""
    if config.precision == "bfloat16" and not BFLOAT16:
        raise UserError(
            "--precision bfloat16: this CPU has no instructions for it; --precision auto takes float32 here."
        )
    if config.precision == "auto":
        config = replace(config, precision="bfloat16" if BFLOAT16 else "float32")
    scene = read_scene(data, config)
    run = create_run(output, config, scene)
    state = run.fresh()
    return Training(run, scene, state, run.method(state))


def resume(output: Path, config: Config | None = None, data: Path | None = None, warn: Callable = print) -> Training:
    """Continue the training in a run folder from its newest readable checkpoint.

    `config` must agree with the run's, but for where the training ends; None takes the run's own. Raises UserError
    otherwise, listing the differences.
    """
    run = open_run(output)
    if config is not None:
        changed = differences(run.config, config)
        if changed:
            raise UserError(
                f"{output}: --resume with a different configuration.\n  " + "\n  ".join(changed)
                + "\nDrop these options to continue the run, or train anew with another --output."
            )  # fmt: skip
        run = Run(run.path, replace(config, precision=run.config.precision), run.data, run.cameras)
    scene = run.scene(("train", "val", "test"), data)
    state, warnings = run.latest()
    for warning in warnings:
        warn(f"{warning} Falling back to the checkpoint of step {state.optimiser.step}.")
    truncate_metrics(run.metrics, state.optimiser.step)
    return Training(run, scene, state, run.method(state))


def memory_needed(training: Training) -> int:
    """About how many bytes the process will take: a forecast, from sizes alone.

    The interpreter and compiled kernels; the pictures; parameters, their gradient and Adam's two means; what the method
    keeps, and its copy at the start; activations; and for each sample that is worked on at once its position, encoding,
    raw outputs, colour and their gradients.
    """
    images = sum(views.images.nbytes for views in training.scene.splits.values())
    parameters = sum(leaf.nbytes for leaf in tree.flatten(training.state.parameters)[0])
    kept = sum(array.nbytes for array in training.method.state.values())
    samples = SAMPLE_BYTES * training.method.samples_at_once() + training.method.bytes_kept()
    return PROCESS_BYTES + images + 4 * parameters + 2 * kept + samples


def train(training: Training, max_seconds: float | None = None, progress: Progress | None = None) -> str:
    """Run a training to its end; returns why it ended: "steps", "time" or "interrupted".

    Checkpoints and metrics are written on the way and at the end. `max_seconds` bounds the time of this call,
    compilation included, but for one step; where the configuration has no max_steps, the learning rate decays over what
    compilation leaves of it. Ctrl-C finishes the step, saves, and returns "interrupted"; a second one stops at once.
    Raises UserError if the loss is not finite or the network has collapsed.
    """
    progress = progress or Progress()
    settings = training.run.config.training
    started, before, saved_at = time.perf_counter(), training.state.seconds, -1
    if settings.max_steps is None and max_seconds is None:
        raise UserError("nothing ends this training: give --max-steps or --max-seconds.")
    planned = before + max_seconds if settings.max_steps is None and max_seconds is not None else None
    reason = "steps"
    first, last = training.step, math.inf if settings.max_steps is None else settings.max_steps
    with _interruptible() as interrupted:
        if first < last:
            warm_up([*training.method.field.operators, OperatorUse("composite")])
        lost = time.perf_counter() - started  # seconds without a step
        training.state.seconds = before + lost
        while training.step < last:
            if max_seconds is not None and training.step > first and time.perf_counter() - started >= max_seconds:
                reason = "time"
                break
            if interrupted():
                reason = "interrupted"
                break
            share = None if planned is None else (training.state.seconds - lost) / max(planned - lost, 1e-9)
            metrics = train_step(training, share)
            training.state.seconds = before + time.perf_counter() - started
            step = training.step
            progress.step(step, metrics)
            if step % settings.log_every == 0:
                append_metrics(training.run.metrics, {"step": step, "seconds": training.state.seconds, **metrics})
            if step % settings.checkpoint_every == 0:
                _save(training)
                saved_at = step
            if step % settings.validate_every == 0:
                validate(training, progress)
    if training.step != saved_at:
        _save(training)
    return reason


def _save(training: Training) -> None:
    save(training.run.checkpoints, replace(training.state, method=training.method.state))


def train_step(training: Training, progress: float | None = None) -> dict[str, float]:
    """One batch, one gradient, one update. Returns loss, psnr (dB, mean of recent steps), learning_rate and rays.

    `progress` is for the learning rate of a training that is bound by time.
    """
    config, state = training.run.config, training.state
    settings = config.training
    method, views = training.method, training.scene.splits["train"]
    crop = settings.crop_fraction if training.step < settings.crop_steps else 1.0
    method.before_step(state.parameters, training.step, state.rng)
    background = method.background_of_step(training.run.cameras.background, views.has_alpha)
    batch = draw_batch(views, method.rays_of_step(), background, crop, state.rng)
    losses, gradient = method.loss_and_gradient(state.parameters, batch, state.rng)
    _require_finite(training, losses["loss"], gradient)
    _require_spread(training, losses["spread"], batch.target - batch.background)
    rate = learning_rate(config.optimiser, training.step, progress)
    adam_update(config.optimiser, state.parameters, gradient, state.optimiser, progress, method.lazy)
    training.recent.append(losses["fine_loss"])
    psnr = mse_to_psnr(float(np.mean(training.recent)))
    return {"loss": losses["loss"], "psnr": psnr, "learning_rate": rate, "rays": len(batch.origins)}


def validate(training: Training, progress: Progress) -> float:
    """Render one held-out view beside the truth to renders/validation/; returns and logs its PSNR."""
    splits = training.scene.splits
    views = splits.get("val") or splits.get("test") or splits["train"]
    background = training.run.cameras.background
    index = (training.step // training.run.config.training.validate_every) % len(views)
    image = render_image(training.method, training.state.parameters, views.intrinsics, views.poses[index], background)
    target = target_image(views, index, background)
    path = training.run.renders / "validation" / f"step-{training.step:07d}.png"
    write_image(path, np.concatenate([image.color, target], axis=1))
    psnr = mse_to_psnr(float(np.mean((image.color - target) ** 2)))
    append_metrics(training.run.metrics, {"step": training.step, "validation_psnr": psnr, "view": views.names[index]})
    progress.message(f"step {training.step}: validation PSNR {psnr:.2f} dB, {path}")
    return psnr


def final_evaluation(training: Training, most: int = 8) -> dict[str, Any] | None:
    """PSNR and SSIM on at most `most` test views; None for a data set without a test split."""
    views = training.scene.splits.get("test")
    if views is None:
        return None
    indices = spread_indices(len(views), most)
    return evaluate_views(training.method, training.state.parameters, views, training.run.cameras.background, indices)


def _require_finite(training: Training, loss: float, gradient: Any) -> None:
    """Stop before the update: no checkpoint ever holds a number that is not finite."""
    # the sum of squares is finite where every number is, and needs no array of its own
    if math.isfinite(loss) and all(math.isfinite(np.vdot(leaf, leaf)) for leaf in tree.flatten(gradient)[0]):
        return
    problem = "the gradient is not finite" if math.isfinite(loss) else f"the loss became {loss}"
    files = checkpoint_files(training.run.checkpoints)
    good = f"The last good checkpoint is {files[-1]}" if files else "There is no checkpoint yet"
    raise UserError(
        f"{problem} at step {training.step + 1} (seed {training.run.config.seed}). {good}. Train again with a"
        f" lower --learning-rate than {training.run.config.optimiser.learning_rate}, or another --seed."
    )


def _require_spread(training: Training, spread: float, emitted: np.ndarray) -> None:
    """Stop when every ray has the same colour although the pictures have not: nothing will be learnt from there on.

    `emitted` (rays, 3) are the pictures' colours less the background.
    """
    if (
        training.step < COLLAPSE_AFTER
        or spread >= COLLAPSE_SPREAD
        or np.std(emitted, axis=0).max() < 10 * COLLAPSE_SPREAD
    ):
        return
    config = training.run.config
    softplus = "" if config.network.density_activation == "softplus" else " with --density-activation softplus,"
    raise UserError(
        f"the training has collapsed: at step {training.step} every ray has the same colour (seed {config.seed})."
        f" Train again with another --seed,{softplus} with a lower --learning-rate, or check that --near and --far"
        " enclose the scene."
    )


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, so that a step is never cut in half; the second one raises as usual."""
    pressed = []

    def on_interrupt(number, frame):
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, on_interrupt)
    except ValueError:  # not the main thread: Ctrl-C goes elsewhere
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)

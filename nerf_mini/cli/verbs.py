"""What the verbs of the command line do: the work, with its progress shown."""

from __future__ import annotations

import shlex
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from tqdm import tqdm

from nerf_mini.errors import UserError
from nerf_mini.outputs.novel_views import render_views
from nerf_mini.runs.evaluation import evaluate_run
from nerf_mini.runs.folder import open_run
from nerf_mini.runtime import prepare
from nerf_mini.training.loop import Progress, Training, final_evaluation, memory_needed, resume, start, train

if TYPE_CHECKING:
    from nerf_mini.cli.program import BenchmarkArguments, EvalArguments, RenderArguments, SceneArguments, TrainArguments


def train_command(arguments: TrainArguments) -> None:
    """nerf-mini train."""
    prepare()
    if arguments.max_seconds is not None and not arguments.max_seconds > 0:
        raise UserError(f"--max-seconds {arguments.max_seconds}: must be positive.")
    started = time.perf_counter()
    config, output = arguments.config, arguments.run_folder
    if config.training.max_steps is None and arguments.max_seconds is None:
        raise UserError("nothing ends this training: give --max-steps or --max-seconds.")
    if arguments.resume:
        training = resume(output, config, arguments.data, warn=_say)
        _say(f"continuing {output} from step {training.step}")
    else:
        training = start(arguments.data, output, config)
        _say(f"training {config.method} ({arguments.preset}) on {_describe(training)}")
        _say(f"run folder: {output}; memory: about {memory_needed(training) / 1e9:.1f} GB")
    remaining = None if arguments.max_seconds is None else arguments.max_seconds - (time.perf_counter() - started)
    with _ProgressLine(training, remaining) as line:
        reason = train(training, remaining, Progress(step=line.step, message=line.message))
    if reason == "interrupted":
        _say(f"interrupted at step {training.step}, which is saved. Continue with:")
        again = ["nerf-mini", "train", str(arguments.data), "--output", str(output), "--resume"]
        if config.training.max_steps != open_run(output).config.training.max_steps:
            again += ["--max-steps", str(config.training.max_steps)]
        if config.training.max_steps is None and arguments.max_seconds is not None:
            left = arguments.max_seconds - (time.perf_counter() - started)
            again += ["--max-seconds", f"{max(1, left):.0f}"]
        _say("  " + shlex.join(again))
        return
    _report_end(training)


def _describe(training: Training) -> str:
    views = training.scene.splits["train"]
    size = views.intrinsics
    return f"{training.scene.path}: {len(views)} views of {size.width} x {size.height}, {training.scene.kind}"


def _report_end(training: Training) -> None:
    output = training.run.path
    _say(f"finished at step {training.step} after {training.state.seconds:.0f} s of training")
    result = final_evaluation(training)
    if result is not None:
        count, total = len(result["views"]), len(training.scene.splits["test"])
        _say(f"test PSNR {result['psnr']:.2f} dB, SSIM {result['ssim']:.3f} (mean of {count} of {total} test views)")
    _say(f"pictures: {training.run.renders}")
    _say("next: " + shlex.join(["nerf-mini", "render", str(output), "--output", str(output / "orbit.gif")]))


class _ProgressLine:
    """A tqdm bar over the steps with loss, PSNR and rays per second."""

    def __init__(self, training: Training, max_seconds: float | None):
        self.max_seconds, self.started = max_seconds, time.perf_counter()
        self.times: deque[float] = deque(maxlen=100)
        quiet = not sys.stderr.isatty()
        total = training.run.config.training.max_steps
        count = "{n_fmt} steps" if total is None else "{n_fmt}/{total_fmt} steps"
        self.bar = tqdm(
            total=total, initial=training.step, unit="step", dynamic_ncols=True,
            mininterval=30 if quiet else 0.2, desc="compiling kernels",
            bar_format="{desc}: " + count + " [{elapsed}{postfix}",
        )  # fmt: skip
        self.bar.set_postfix_str("]", refresh=True)

    def step(self, step: int, metrics: dict[str, float]) -> None:
        now = time.perf_counter()
        self.times.append(now)
        span = now - self.times[0]
        if span > 0:
            rate = (len(self.times) - 1) / span
            left = float("inf") if self.bar.total is None else (self.bar.total - step) / rate
            if self.max_seconds is not None:
                left = min(left, max(0.0, self.max_seconds - (now - self.started)))
            text = f"loss {metrics['loss']:.4f}, PSNR {metrics['psnr']:.2f} dB, {rate * metrics['rays']:.0f} rays/s"
            self.bar.set_postfix_str(f"{tqdm.format_interval(left)} left] {text}", refresh=False)
        if self.bar.desc.startswith("compiling"):
            self.bar.set_description_str("training", refresh=False)
        self.bar.update(1)

    def message(self, text: str) -> None:
        self.bar.write(text, file=sys.stderr)

    def __enter__(self) -> _ProgressLine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()


def eval_command(arguments: EvalArguments) -> None:
    """nerf-mini eval."""
    prepare()
    run = open_run(arguments.run)

    def report(row, image, target):
        _say(f"{row['name']}: PSNR {row['psnr']:.2f} dB, SSIM {row['ssim']:.4f}")

    result = evaluate_run(run, arguments.split, arguments.max_views, arguments.data, report)
    for warning in result["warnings"]:
        _say(warning)
    _say(
        f"{arguments.split}: PSNR {result['psnr']:.2f} dB, SSIM {result['ssim']:.4f},"
        f" mean of {len(result['views'])} views at step {result['step']}; {result['seconds_per_view']:.2f} s per view"
    )
    _say(f"written: {run.path / 'eval' / (arguments.split + '.json')}")


def render_command(arguments: RenderArguments) -> None:
    """nerf-mini render."""
    prepare()
    run = open_run(arguments.run)
    with tqdm(unit="view", desc="rendering", disable=not sys.stderr.isatty()) as bar:

        def report(done, total):
            bar.total = total
            bar.update(done - bar.n)

        result = render_views(
            run,
            arguments.path,
            arguments.views,
            arguments.scale,
            arguments.output,
            arguments.maps,
            arguments.progressive,
            report,
        )
    for warning in result.warnings:
        _say(warning)
    first = result.files[0]
    where = first if len(result.files) == 1 else f"{len(result.files)} files, from {first}"
    _say(f"rendered step {result.step}: {where}")


def scene_command(arguments: SceneArguments) -> None:
    """nerf-mini scene."""
    from nerf_mini.scenes.synthetic import make_scene

    with tqdm(unit="view", desc="ray tracing", disable=not sys.stderr.isatty()) as bar:

        def report(done, total):
            bar.total = total
            bar.update(done - bar.n)

        folder = make_scene(
            arguments.name, arguments.output, size=arguments.size, views=arguments.views, seed=arguments.seed,
            progress=report,
        )  # fmt: skip
    _say(f"made: {folder}")


def benchmark_command(arguments: BenchmarkArguments) -> None:
    """nerf-mini benchmark."""
    prepare()
    if arguments.rounds < 1:
        raise UserError(f"--rounds {arguments.rounds}: must be at least 1.")
    from nerf_mini.benchmark import benchmark

    benchmark(arguments.peer, arguments.json, arguments.rounds, _say)


def _say(text: str) -> None:
    print(text, flush=True)

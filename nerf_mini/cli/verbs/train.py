"""nerf-mini train."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nerf_mini.cli.arguments import TrainArguments
from nerf_mini.cli.progress import TrainingBar, say
from nerf_mini.errors import UserError
from nerf_mini.outputs.report import report_of_session
from nerf_mini.ranks import Communicator, joined, require_alone
from nerf_mini.rendering.metrics import decibels
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.session import Session, resume, start
from nerf_mini.scenes import Scene
from nerf_mini.scenes.checks import quick_findings
from nerf_mini.training import StepReport, memory_needed

if TYPE_CHECKING:
    from nerf_mini.outputs.viewer.watching import Watching


def run(arguments: TrainArguments) -> None:
    """Start a run or continue one, until its end or Ctrl-C."""
    if arguments.max_seconds is not None and not arguments.max_seconds > 0:
        raise UserError(f"--max-seconds {arguments.max_seconds}: must be positive.")
    if arguments.config.training.max_steps is None and arguments.max_seconds is None:
        raise UserError("nothing ends this run: give --max-steps or --max-seconds.")
    if arguments.view:
        from nerf_mini.outputs.viewer.listening import check_port

        check_port(arguments.view_port)
    elif arguments.port is not None or arguments.no_open:
        option = "--no-open" if arguments.port is None else "--port"
        raise UserError(f"{option} is for those who watch: add --view.")
    if arguments.distributed == "off":
        require_alone(arguments.config.training.shards)
    elif arguments.view:
        raise UserError(
            "--view does not go with --distributed: while you look, all would wait. `nerf-mini view RUN` shows"
            " checkpoints as they appear."
        )
    with joined(arguments.distributed, arguments.patience, arguments.mixed_hosts) as communicator:
        _run(arguments, communicator)


def _run(arguments: TrainArguments, communicator: Communicator) -> None:
    """Train, together with other processes or alone."""
    started = time.perf_counter()
    session = _opened(arguments, communicator)
    elapsed = communicator.lead(lambda: time.perf_counter() - started)
    remaining = None if arguments.max_seconds is None else arguments.max_seconds - elapsed
    with _watched(arguments, session) as watching:
        if _train(arguments, session, remaining, watching) and watching is not None:
            say("the page goes on showing it until Ctrl-C")
            with suppress(KeyboardInterrupt):
                watching.linger()


def _train(arguments: TrainArguments, session: Session, remaining: float | None, watching: Watching | None) -> bool:
    """Train, and say how it went; returns whether it went to its end."""
    clock = session.trainer.clock
    began = clock.now()
    with TrainingBar(session.trainer, remaining) as bar:

        def on_step(report: StepReport) -> None:
            bar.step(report)
            if watching is not None:
                watching.step(report)

        end = session.train(remaining, on_step, bar.message)
    if watching is not None:
        watching.finish()
    if end != "interrupted":
        session.trainer.communicator.lead(lambda: _report_end(session, arguments.report, watching))
        return True
    say(f"interrupted at step {session.trainer.step_count}, which is saved. Continue with:")
    left = None if remaining is None else remaining - (clock.now() - began)
    say("  " + shlex.join(_command_to_continue(arguments, session, left)))
    return False


@contextmanager
def _watched(arguments: TrainArguments, session: Session) -> Iterator[Watching | None]:
    """With --view, a server for those who watch; without, nothing of it is imported."""
    if not arguments.view:
        yield None
        return
    from nerf_mini.outputs.viewer.listening import announce, listen
    from nerf_mini.outputs.viewer.watching import Watching

    watching = Watching(session, warn=say)
    server = listen(watching.service, "127.0.0.1", arguments.view_port, say=say)
    server.start()
    try:
        announce(server, not arguments.no_open, say)
        yield watching
    finally:
        server.stop()


def _opened(arguments: TrainArguments, communicator: Communicator) -> Session:
    config, output = arguments.config, arguments.run_folder
    if arguments.resume:
        session = resume(output, config, arguments.data, warn=say, communicator=communicator)
        say(f"continuing {output} from step {session.trainer.step_count}")
        return session
    session = start(arguments.data, output, config, communicator=communicator)
    if session.trainer.scene is not None:
        say(f"training {config.method} ({arguments.preset}) on {_described(session.trainer.scene)}")
        _warn(arguments.data, session.trainer.scene)
    say(f"run folder: {output}; memory: about {memory_needed(session.trainer) / 1e9:.1f} GB")
    return session


def _warn(data: Path, scene: Scene) -> None:
    """Say what a quick look finds wrong with a data set."""
    doubts = [finding for finding in quick_findings(scene) if finding.severity != "note"]
    for finding in doubts:
        say(f"{finding.severity}: {finding.text} {finding.advice}")
    if doubts:
        say("more about it: " + shlex.join(["nerf-mini", "check", str(data)]))


def _described(scene: Scene) -> str:
    """What is trained on: kind, pictures, what is held out by which rule, and what the scene fills."""
    sizes = np.concatenate([views.cameras.size for views in scene.splits.values()])
    smallest, largest = (" x ".join(map(str, edge(sizes, axis=0))) for edge in (np.min, np.max))
    size = smallest if smallest == largest else f"{smallest} to {largest}"
    held_out = len(sizes) - len(scene.splits["train"])
    held = f"{held_out} held out: {scene.held_out}" if held_out else "none held out"
    space = "box" if scene.space is None else scene.space.kind
    return f"{scene.path}: {scene.kind}, {len(sizes)} pictures of {size}, {held}; {space}"


def _command_to_continue(arguments: TrainArguments, session: Session, seconds_left: float | None) -> list[str]:
    """The command line that goes on with an interrupted run."""
    command = ["nerf-mini", "train", str(arguments.data), "--output", str(session.run.path), "--resume"]
    if arguments.view:
        command += ["--view", "--port", str(arguments.view_port), *(["--no-open"] if arguments.no_open else [])]
    if not arguments.report:
        command.append("--no-report")
    if arguments.distributed != "off":
        ranks = str(session.trainer.communicator.size)
        command = ["mpiexec", "-n", ranks, *command, "--distributed", arguments.distributed]
        command += ["--mixed-hosts"] if arguments.mixed_hosts else []
    steps = arguments.config.training.max_steps
    if steps is None and seconds_left is not None:
        return [*command, "--max-seconds", f"{max(1, seconds_left):.0f}"]
    if steps != open_run(session.run.path).config.training.max_steps:
        command += ["--max-steps", str(steps)]
    return command


def _report_end(session: Session, wanted: bool, watching: Watching | None) -> None:
    output, trainer, page = session.run.path, session.trainer, None
    say(f"finished at step {trainer.step_count} after {trainer.state.seconds:.0f} s of training")
    if wanted:
        between = watching.serve_between if watching is not None else lambda: None
        result, page = report_of_session(session, between)
    else:
        result = session.evaluate()
    if result is not None and trainer.scene is not None:
        count, total = len(result.views), len(trainer.scene.splits["test"])
        similarity = "" if math.isnan(result.ssim) else f", SSIM {result.ssim:.3f}"
        say(f"test PSNR {decibels(result.psnr)} dB{similarity} (mean of {count} of {total} test views)")
    say(f"pictures: {session.run.renders}" + ("" if page is None else f"; report: {page}"))
    say("next: " + shlex.join(["nerf-mini", "view", str(output)]) + " to fly through it, or")
    say("  " + shlex.join(["nerf-mini", "render", str(output), "--output", str(output / "orbit.gif")]))

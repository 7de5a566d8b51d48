"""One training of a sweep: started, continued, or found finished. It can be done again at any time, anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.config import Config, to_dict
from nerf_mini.errors import UserError
from nerf_mini.io.files import is_number, to_json, write_bytes
from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.report import report_of_run
from nerf_mini.outputs.report.machine import Machine
from nerf_mini.outputs.report.pictures import shrunk, webp
from nerf_mini.runs.evaluation import ScoredView, evaluate_views, evaluation_file, spread_indices
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.lock import RunLock
from nerf_mini.runs.records import Evaluation
from nerf_mini.runs.sealing import read_sealed, write_sealed
from nerf_mini.runs.session import Session, resume, start
from nerf_mini.training import StepReport

FORMAT = 1
RESULT = "sweep.json"
TRUTH, RENDERING = "sweep-truth.webp", "sweep-rendering.webp"  # of one test view, in RUN/renders
LONGEST = 240  # pixels of their longer side
_MOST = 1e9  # decibels or seconds in a file: what lies beyond was never measured

Watch = Callable[[Session], AbstractContextManager[Callable[[StepReport], None]]]
"""Shows a training: gives a function that is called after each step."""


@dataclass(frozen=True)
class Job:
    """A training to do: on data, into a run folder, both absolute paths; test_views as in the plan."""

    data: Path
    run: Path
    config: Config
    test_views: int | None
    report: bool = True

    @property
    def mark(self) -> str:
        """Changes with all that the result depends on, but for the machine."""
        plain = [to_dict(self.config), self.data.name, self.test_views]
        return hashlib.sha256(to_json(plain).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What came of a training: scores of test views, None where there are none; or why there is nothing.

    PSNR in dB, times in seconds. machine: the processor.
    """

    step: int = 0
    seconds: float = 0.0
    views: int = 0
    psnr: float | None = None
    ssim: float | None = None
    cc_psnr: float | None = None
    seconds_per_view: float | None = None
    machine: str = ""
    error: str | None = None
    interrupted: bool = False


def finished(job: Job) -> Outcome | None:
    """The outcome of a training that has been done; None where it has not. A damaged file counts as none."""
    file = job.run / RESULT
    if not file.is_file():
        return None
    try:
        found = read_sealed(file)
        if found.pop("format") != FORMAT or found.pop("mark") != job.mark:
            return None
        outcome = Outcome(**found)
    except (UserError, KeyError, TypeError):
        return None
    return outcome if _sound(outcome) else None


def _sound(outcome: Outcome) -> bool:
    scores = outcome.psnr, outcome.ssim, outcome.cc_psnr, outcome.seconds_per_view
    numbers = outcome.step, outcome.seconds, outcome.views, *(score for score in scores if score is not None)
    return all(is_number(n) and abs(n) <= _MOST for n in numbers) and isinstance(outcome.machine, str)


def train(job: Job, watch: Watch = lambda session: nullcontext(lambda report: None)) -> Outcome:
    """Train a run to its end, score and describe it; or go on where it was left. What goes wrong is the outcome."""
    done = finished(job)
    if done is not None:
        return done
    try:
        with RunLock(job.run).take_over() as lock:  # a worker that was taken for dead may still train it
            return _trained(job, lock, watch)
    except UserError as error:
        return Outcome(error=str(error))
    except MemoryError:
        return Outcome(error="there is not enough memory. Fewer workers a machine leave more for each.")


def _trained(job: Job, lock: RunLock, watch: Watch) -> Outcome:
    session = _session(job, lock)
    with watch(session) as show:
        if session.train(on_step=show) == "interrupted":
            return Outcome(session.trainer.step_count, interrupted=True)
    scores = _scored(session, job)
    if job.report:
        report_of_run(job.run, max_views=len(scores.views) if scores else 1)
    outcome = _outcome(session, scores)
    plain = {key: value for key, value in asdict(outcome).items() if key not in ("error", "interrupted")}
    write_sealed(job.run / RESULT, {"format": FORMAT, "mark": job.mark, **plain})
    return outcome


def _session(job: Job, lock: RunLock) -> Session:
    """A new run, or the one that is there. Raises UserError where that has other settings, or another length."""
    if not (job.run / "config.json").is_file():
        return start(job.data, job.run, job.config, lock)
    saved = open_run(job.run).config.training.max_steps
    if saved != job.config.training.max_steps:
        raise UserError(
            f"{job.run}: is a run of {saved} steps, and the plan has {job.config.training.max_steps}. Choose another"
            " --output, or remove the run."
        )
    try:
        return resume(job.run, job.config, job.data, lock=lock)
    except UserError as error:
        text = str(error).partition("\nDrop these options")[0].replace(" --resume with a", " has a")
        raise UserError(f"{text.rstrip('.')}. Choose another --output, or remove the run.") from error


def _scored(session: Session, job: Job) -> Evaluation | None:
    """Scores of test views, written as `nerf-mini eval` does, and pictures of one of them."""
    trainer = session.trainer
    views = None if trainer.scene is None else trainer.scene.splits.get("test")
    if views is None:
        return None
    indices = spread_indices(len(views), job.test_views)
    middle = indices[len(indices) // 2]

    def keep(view: ScoredView) -> None:
        if view.index == middle:
            for name, picture in ((TRUTH, view.target), (RENDERING, view.image.color)):
                write_bytes(session.run.renders / name, webp([shrunk(to_uint8(np.asarray(picture)), LONGEST)]))

    scores = evaluate_views(trainer, views, indices, keep)
    write_sealed(evaluation_file(session.run, "test"), {"split": "test", **scores.to_json()})
    return scores


def _outcome(session: Session, scores: Evaluation | None) -> Outcome:
    state, machine = session.trainer.state, Machine.here()
    here = f"{machine.cpu}, {machine.threads} threads, nerf-mini {machine.nerf_mini}"
    if scores is None:
        return Outcome(state.step, state.seconds, machine=here)
    plain: dict[str, Any] = scores.to_json()  # whose infinities and NaN become null
    return Outcome(
        state.step, state.seconds, len(scores.views), plain["psnr"], plain["ssim"], plain["cc_psnr"],
        scores.seconds_per_view, here,
    )  # fmt: skip

"""Scores of held-out views, taken by the workers of a pool.

Workers read the run folder and the data set. While an evaluation is under way, a folder beside its file to be, such as
RUN/eval/<split>.parts, holds a file for each view that has been scored at this checkpoint; these are not scored again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini import __version__
from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.pool import Pool, completed
from nerf_mini.runs.evaluation import (
    evaluate_views,
    evaluation_file,
    nothing_to_score,
    read_evaluation,
    spread_indices,
)
from nerf_mini.runs.folder import Run
from nerf_mini.runs.records import Evaluation, Fit, MultiScaleEvaluation, ViewScore
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.runs.scales import MIP_NERF, scales_file, scales_of
from nerf_mini.runs.sealing import read_sealed, write_sealed
from nerf_mini.runs.workers import RunAt, at_step, changed_since, held_trainer


@dataclass(frozen=True)
class ViewTask:
    """A view to score: of a run with its split, by its index in that; see `evaluate_views`."""

    run: RunAt
    index: int
    fit: Fit = "none"
    scale: Fraction = Fraction(1)

    @property
    def file(self) -> str:
        """The name of the file that keeps its score."""
        return f"{self.index}.json" if self.scale == 1 else f"{self.index}-{self.scale}.json".replace("/", "-")


def score_view(task: ViewTask) -> Evaluation | str:
    """The evaluation of a single view, or the name of one of which a mask leaves nothing; in a worker."""
    trainer = held_trainer(task.run)
    assert task.run.split is not None
    views = trainer.views_of(task.run.split)
    try:
        found = evaluate_views(trainer, views, [task.index], fit=task.fit, scale=float(task.scale))
    except UserError:  # there is no other: see `evaluate_views`
        return views.names[task.index]
    return found.of_changed(changed_since(task.run))


def evaluate_on_pool(
    pool: Pool,
    run: Run,
    split: str = "test",
    max_views: int | None = None,
    data: Path | None = None,
    report: Callable[[ViewScore], None] = lambda score: None,
    warn: Warn = log_warning,
    fit: Fit = "none",
) -> Evaluation:
    """What `evaluate_run` does, by workers, with the same scores; `report` is called with each, as they arrive.

    Raises UserError as that does, and as `completed`.
    """
    indices, at = _indices(run, split, max_views), _newest(run, split, data, warn)
    parts = _Parts(evaluation_file(run, split, fit), at)
    tasks = [ViewTask(at, index, fit) for index in indices]
    found = _scored(pool, tasks, parts, lambda task, score: report(score), warn)
    evaluation = _joined([found[task] for task in tasks])
    parts.end({"split": split, **evaluation.to_json()})
    return evaluation


def evaluate_scales_on_pool(
    pool: Pool,
    run: Run,
    scales: Iterable[float | Fraction] = MIP_NERF,
    split: str = "test",
    max_views: int | None = None,
    data: Path | None = None,
    report: Callable[[Fraction, ViewScore], None] = lambda scale, score: None,
    warn: Warn = log_warning,
) -> MultiScaleEvaluation:
    """What `evaluate_run_at_scales` does, by workers, with the same scores; `report` is called with each scale and
    score, as they arrive.

    Raises UserError as that does, and as `completed`.
    """
    indices = _indices(run, split, max_views)
    chosen = scales_of(run.cameras.splits[split], scales)
    at = _newest(run, split, data, warn)
    parts = _Parts(scales_file(run, split), at)
    tasks = {scale: [ViewTask(at, index, scale=scale) for index in indices] for scale in chosen}
    # largest first: a large one after many quick ones would look as if its worker had fallen silent
    largest_first = [task for scale in sorted(chosen, reverse=True) for task in tasks[scale]]
    found = _scored(pool, largest_first, parts, lambda task, score: report(task.scale, score), warn)
    scores = {scale: _joined([found[task] for task in own], scale) for scale, own in tasks.items()}
    evaluation = MultiScaleEvaluation(scores)
    parts.end({"split": split, **evaluation.to_json()})
    return evaluation


def _indices(run: Run, split: str, max_views: int | None) -> list[int]:
    """Which views of a split are scored. Raises UserError for a split that the run lacks."""
    cameras = run.cameras.splits
    if split not in cameras:
        raise UserError(f"{run.path}: its data set has no split {split!r}; it has {', '.join(cameras)}.")
    return spread_indices(len(cameras[split]), max_views)


def _newest(run: Run, split: str, data: Path | None, warn: Warn) -> RunAt:
    """The run at its newest sound checkpoint, with a split."""
    return at_step(run, restored_trainer(run, warn=warn).step_count, split, data)


def _scored(
    pool: Pool, tasks: Sequence[ViewTask], parts: _Parts, report: Callable[[ViewTask, ViewScore], None], warn: Warn
) -> dict[ViewTask, Evaluation | str]:
    """What `score_view` makes of each task; what is among the parts is taken from there."""
    found: dict[ViewTask, Evaluation | str] = {task: part for task in tasks if (part := parts.read(task)) is not None}
    if found:
        warn(f"{len(found)} of {len(tasks)} views are scored already")
    missing = [task for task in tasks if task not in found]
    for number, part in completed(pool, score_view, missing, warn):
        task = missing[number]
        found[task] = part
        if isinstance(part, Evaluation):
            parts.write(task, part)
            report(task, part.views[0])
    return found


def _joined(parts: Sequence[Evaluation | str], scale: float | Fraction = 1) -> Evaluation:
    """Evaluations of single views as one, and names of those that were skipped."""
    scored = [part for part in parts if isinstance(part, Evaluation)]
    if not scored:
        raise nothing_to_score(float(scale))
    views = tuple(view for part in scored for view in part.views)
    seconds = float(np.median([part.seconds_per_view for part in scored]))
    protocol = replace(scored[0].protocol, skipped=tuple(part for part in parts if isinstance(part, str)))
    return replace(scored[0], views=views, seconds_per_view=seconds, protocol=protocol)


class _Parts:
    """Files of views that were scored, at a checkpoint: they lie beside the file that is to hold all scores."""

    def __init__(self, target: Path, at: RunAt):
        self.target, self.folder, self.mark = target, target.with_suffix(".parts"), f"{at.mark} {__version__}"

    def read(self, task: ViewTask) -> Evaluation | None:
        """What was written of a view at this checkpoint."""
        file = self.folder / task.file
        with suppress(UserError):  # not there, or damaged: it is scored again
            if read_sealed(file).get("mark") == self.mark:
                return read_evaluation(file)
        return None

    def write(self, task: ViewTask, part: Evaluation) -> None:
        """Keep the score of a view."""
        write_sealed(self.folder / task.file, {"mark": self.mark, **part.to_json()})

    def end(self, whole: dict[str, Any]) -> None:
        """Write the file of all scores in place of the parts."""
        write_sealed(self.target, whole)
        shutil.rmtree(self.folder, ignore_errors=True)

"""Scores of held-out views, taken by the workers of a pool.

Workers read the run folder and the data set. While an evaluation is under way, RUN/eval/<split>.parts holds a file for
each view that has been scored at this checkpoint; these are not scored again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerf_mini import __version__
from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import read_json, write_json
from nerf_mini.pool import Pool, completed
from nerf_mini.runs.evaluation import evaluate_views, evaluation_file, read_evaluation, spread_indices
from nerf_mini.runs.folder import Run
from nerf_mini.runs.records import Evaluation, Fit, ViewScore
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.runs.workers import RunAt, at_step, held_trainer


@dataclass(frozen=True)
class ViewTask:
    """A view to score: of a run with its split, by its index in that."""

    run: RunAt
    index: int
    fit: Fit


def score_view(task: ViewTask) -> Evaluation | str:
    """The evaluation of a single view, or the name of one of which a mask leaves nothing; in a worker."""
    trainer = held_trainer(task.run)
    assert task.run.split is not None
    views = trainer.views_of(task.run.split)
    try:
        return evaluate_views(trainer, views, [task.index], fit=task.fit)
    except UserError:  # there is no other: see `evaluate_views`
        return views.names[task.index]


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
    cameras = run.cameras.splits
    if split not in cameras:
        raise UserError(f"{run.path}: its data set has no split {split!r}; it has {', '.join(cameras)}.")
    indices = spread_indices(len(cameras[split]), max_views)
    at = at_step(run, restored_trainer(run, warn=warn).step_count, split, data)
    target = evaluation_file(run, split, fit)
    parts = _Parts(target.with_suffix(".parts"), f"{at.mark} {__version__}")
    found: dict[int, Evaluation | str] = {i: part for i in indices if (part := parts.read(i)) is not None}
    if found:
        warn(f"{len(found)} of {len(indices)} views are scored already")
    missing = [index for index in indices if index not in found]
    for number, part in completed(pool, score_view, [ViewTask(at, index, fit) for index in missing], warn):
        found[missing[number]] = part
        if isinstance(part, Evaluation):
            parts.write(missing[number], part)
            report(part.views[0])
    evaluation = _joined([found[index] for index in indices])
    write_json(target, {"split": split, **evaluation.to_json()})
    shutil.rmtree(parts.folder, ignore_errors=True)
    return evaluation


def _joined(parts: list[Evaluation | str]) -> Evaluation:
    """Evaluations of single views as one, and names of those that were skipped."""
    scored = [part for part in parts if isinstance(part, Evaluation)]
    if not scored:
        raise UserError("no view can be scored: masks leave nothing of them.")
    views = tuple(view for part in scored for view in part.views)
    seconds = float(np.median([part.seconds_per_view for part in scored]))
    protocol = replace(scored[0].protocol, skipped=tuple(part for part in parts if isinstance(part, str)))
    return replace(scored[0], views=views, seconds_per_view=seconds, protocol=protocol)


@dataclass(frozen=True)
class _Parts:
    """Files of views that were scored, at a checkpoint."""

    folder: Path
    mark: str

    def _file(self, index: int) -> Path:
        return self.folder / f"{index}.json"

    def read(self, index: int) -> Evaluation | None:
        """What was written of a view at this checkpoint."""
        with suppress(UserError):  # not there, or damaged: it is scored again
            if read_json(self._file(index)).get("mark") == self.mark:
                return read_evaluation(self._file(index))
        return None

    def write(self, index: int, part: Evaluation) -> None:
        """Keep the score of a view."""
        write_json(self._file(index), {"mark": self.mark, **part.to_json()})

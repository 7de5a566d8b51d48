"""All trainings of a sweep, one after the other or on a pool, and their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.io.files import real_path, write_bytes
from nerf_mini.pool import Patience, Pool, completed
from nerf_mini.runs.lock import ask_to_stop
from nerf_mini.sweeps.data import data_of, prepared
from nerf_mini.sweeps.page import sweep_page
from nerf_mini.sweeps.plan import Plan, Task
from nerf_mini.sweeps.tables import Row, csv_table, text_table
from nerf_mini.sweeps.training import Job, Outcome, Watch, finished, train

# a training may take any time: only the death of a worker hands it out again; it is given time to save
TRAININGS = Patience(least=math.inf, leave=20.0)


@dataclass(frozen=True)
class Sweep:
    """A plan, and the folder where its runs are; report: whether each run gets a page of its own."""

    plan: Plan
    output: Path
    report: bool = True

    def job(self, task: Task) -> Job:
        """What is to be done for a task."""
        output = real_path(self.output)
        return Job(
            data_of(task.source, output), output / task.folder, task.config, self.plan.test_views, self.report
        )  # fmt: skip

    def rows(self) -> list[Row]:
        """The tasks in their order, each with its outcome if it is finished."""
        return [Row(task, finished(self.job(task))) for task in self.plan.tasks]


def run_sweep(
    sweep: Sweep,
    tasks: Sequence[Task],
    pool: Pool | None = None,
    done: Callable[[Task, Outcome], None] = lambda task, outcome: None,
    warn: Warn = log_warning,
    watch: Watch | None = None,
) -> None:
    """Do the tasks that are not finished, in this process or on a pool; `done` is told of each.

    `watch` shows trainings of this process. Raises UserError where a scene cannot be made, KeyboardInterrupt after
    Ctrl-C: trainings have saved by then, or do so within a step.
    """
    left = [task for task in tasks if finished(sweep.job(task)) is None]
    for source in dict.fromkeys(task.source for task in left):
        prepared(source, real_path(sweep.output))
    if pool is None:
        _one_after_the_other(sweep, left, done, watch)
    else:
        _on_pool(sweep, left, pool, done, warn)


def _one_after_the_other(
    sweep: Sweep, tasks: Sequence[Task], done: Callable[[Task, Outcome], None], watch: Watch | None
) -> None:
    for task in tasks:
        outcome = train(sweep.job(task)) if watch is None else train(sweep.job(task), watch)
        done(task, outcome)
        if outcome.interrupted:
            raise KeyboardInterrupt


def _on_pool(
    sweep: Sweep, tasks: Sequence[Task], pool: Pool, done: Callable[[Task, Outcome], None], warn: Warn
) -> None:
    left = dict(enumerate(tasks))
    try:
        for index, outcome in completed(pool, train, [sweep.job(task) for task in tasks], warn, TRAININGS):
            task = left.pop(index)
            if not outcome.error and finished(sweep.job(task)) is None and not outcome.interrupted:
                raise UserError(f"{sweep.job(task).run}: a worker says it has trained this run, but it is not here:"
                                " the folder of a sweep must lie on storage that all workers share.")  # fmt: skip
            done(task, outcome)
    finally:
        for task in left.values():
            ask_to_stop(sweep.job(task).run)


def write_results(sweep: Sweep) -> list[Path]:
    """Write the table of all runs that are finished, as sweep.txt, sweep.csv and sweep.html; returns these files."""
    rows = sweep.rows()
    contents = {
        "sweep.txt": text_table(rows).encode(),
        "sweep.csv": csv_table(rows).encode(),
        "sweep.html": sweep_page(sweep.plan, rows, sweep.output),
    }
    files = [sweep.output / name for name in contents]
    for file, content in zip(files, contents.values(), strict=True):
        write_bytes(file, content)
    return files

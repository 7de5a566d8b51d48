"""nerf-mini sweep."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nerf_mini.cli.arguments import SweepArguments
from nerf_mini.cli.progress import TrainingBar, say
from nerf_mini.cli.workers import pool_of
from nerf_mini.errors import UserError
from nerf_mini.outputs.report.wording import counted
from nerf_mini.rendering.metrics import decibels
from nerf_mini.runs.session import Session
from nerf_mini.sweeps import Outcome, Sweep, Task, finished, read_plan, run_sweep, text_table, write_results
from nerf_mini.training import StepReport

FAILURE = 2


def run(arguments: SweepArguments) -> int:
    """Train what is not finished, and write the table."""
    plan = read_plan(arguments.file)
    sweep = Sweep(plan, arguments.output or Path("runs") / plan.name, arguments.report)
    if arguments.list:
        _list(sweep)
        return 0
    tasks = _chosen(plan.tasks, arguments)
    left = sum(finished(sweep.job(task)) is None for task in tasks)
    said = "" if left == len(tasks) else f", {len(tasks) - left} of them finished"
    say(f"{counted(len(tasks), 'run')} in {sweep.output}{said}")
    failures: list[str] = []
    with pool_of(arguments.cluster) as pool:
        try:
            run_sweep(sweep, tasks, pool, _telling(left, failures), say, _bar)
        except KeyboardInterrupt:
            say("interrupted; what was trained is saved. Continue with:")
            say("  " + shlex.join(_again(arguments)))
            raise
    if arguments.only is None:
        files = write_results(sweep)
        say("\n" + text_table(sweep.rows()))
        say(f"written: {', '.join(map(str, files))}")
    if failures:
        say(f"not finished: {len(failures)}; the same command tries again")
    return FAILURE if failures else 0


def _list(sweep: Sweep) -> None:
    for row in sweep.rows():
        state = "to do" if row.outcome is None else "finished"
        say(f"{row.task.number:4d}  {state:8}  {row.task.folder.as_posix()}")


def _chosen(tasks: Sequence[Task], arguments: SweepArguments) -> Sequence[Task]:
    if arguments.only is None:
        return tasks
    if not 0 <= arguments.only < len(tasks):
        raise UserError(f"--only {arguments.only}: {arguments.file} has the runs 0 to {len(tasks) - 1}; see --list.")
    return [tasks[arguments.only]]


def _telling(left: int, failures: list[str]) -> Callable[[Task, Outcome], None]:
    """Says a line for each run that ends."""
    done = 0

    def tell(task: Task, outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.interrupted:
            failures.append("stopped")
            say(f"[{done} of {left}] {task}: stopped at step {outcome.step}, which is saved")
            return
        if outcome.error is not None:
            failures.append(outcome.error)
            say(f"[{done} of {left}] {task}: failed: {outcome.error}")
            return
        score = "" if outcome.psnr is None else f"test PSNR {decibels(outcome.psnr)} dB, "
        say(f"[{done} of {left}] {task}: {score}{outcome.step} steps in {outcome.seconds:.0f} s")

    return tell


@contextmanager
def _bar(session: Session) -> Iterator[Callable[[StepReport], None]]:
    with TrainingBar(session.trainer, None) as bar:
        yield bar.step


def _again(arguments: SweepArguments) -> list[str]:
    """The command line that goes on."""
    words = ["nerf-mini", "sweep", str(arguments.file)]
    for name in ("output", "only", "cluster"):
        value = getattr(arguments, name)
        words += [] if value is None else [f"--{name}", str(value)]
    return words if arguments.report else [*words, "--no-report"]

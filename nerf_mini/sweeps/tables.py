"""Results of a sweep: a line for each run, and means over seeds."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nerf_mini.outputs.report.wording import NOTHING, duration, figure
from nerf_mini.sweeps.plan import Task
from nerf_mini.sweeps.training import Outcome

COLUMNS = ("scene", "settings", "seed", "psnr", "ssim", "cc_psnr", "views", "steps", "seconds", "seconds_per_view",
           "machine", "run")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A task, and its outcome if it is finished."""

    task: Task
    outcome: Outcome | None


@dataclass(frozen=True)
class Group:
    """The finished runs of a scene and a setting; `planned`: how many there are to be."""

    scene: str
    settings: str
    outcomes: tuple[Outcome, ...]
    planned: int

    def mean(self, value: Callable[[Outcome], float | None]) -> float | None:
        """The mean over seeds; None where one of them has no value."""
        found = [value(outcome) for outcome in self.outcomes]
        there = [v for v in found if v is not None]
        return statistics.fmean(there) if there and len(there) == len(found) else None

    def spread(self, value: Callable[[Outcome], float | None]) -> float | None:
        """The standard deviation over seeds; None for less than two."""
        found = [v for v in map(value, self.outcomes) if v is not None]
        return statistics.stdev(found) if len(found) == len(self.outcomes) > 1 else None

    @property
    def psnr(self) -> str:
        """In dB, with its spread."""
        spread = self.spread(lambda o: o.psnr)
        return figure(self.mean(lambda o: o.psnr)) + ("" if spread is None else f" ± {figure(spread)}")

    @property
    def figures(self) -> tuple[str, ...]:
        """What a line of a table says: seeds, PSNR, SSIM, steps, training, time per view."""
        steps = {outcome.step for outcome in self.outcomes}
        seeds = str(len(self.outcomes)) + ("" if len(self.outcomes) == self.planned else f" of {self.planned}")
        return (
            seeds, self.psnr, figure(self.mean(lambda o: o.ssim), 4), str(min(steps)) if steps else NOTHING,
            duration(self.mean(lambda o: o.seconds)), duration(self.mean(lambda o: o.seconds_per_view)),
        )  # fmt: skip


HEADS = ("Scene", "Settings", "Seeds", "PSNR, dB", "SSIM", "Steps", "Training", "Per view")


def groups(rows: Sequence[Row]) -> list[Group]:
    """Scenes and settings, in the order of the plan."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.task.source.name, row.task.settings), []).append(row)
    return [
        Group(scene, settings, tuple(row.outcome for row in own if row.outcome is not None), len(own))
        for (scene, settings), own in found.items()
    ]


def text_table(rows: Sequence[Row]) -> str:
    """Means over seeds, a line for each scene and setting; ± is the standard deviation over seeds."""
    lines = [HEADS, *((group.scene, group.settings, *group.figures) for group in groups(rows))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADS))]

    def padded(line: Sequence[str]) -> str:
        cells = [
            text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(map(padded, lines)) + "\n"


def csv_table(rows: Sequence[Row]) -> str:
    """A line for each finished run, with a head."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        o = row.outcome
        if o is not None:
            task = row.task
            values = (
                task.source.name, task.settings, task.seed, o.psnr, o.ssim, o.cc_psnr, o.views, o.step,
                round(o.seconds, 3), o.seconds_per_view, o.machine, task.folder.as_posix(),
            )  # fmt: skip
            writer.writerow(["" if value is None else value for value in values])
    return file.getvalue()

"""Figures that stay: how long a few things take, in units of a yardstick that is measured in between, release by
release on each machine; and a guard against slow-downs.

Seconds say little on a machine that does other things too, or that is clocked down. So each round times everything in
turn, the yardstick among it, whose work never changes; a figure is the shortest time of a thing over the shortest of
the yardstick. Figures of two machines are not compared, and those of a machine that is busy mean little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, prange

from nerf_mini import __version__
from nerf_mini.benchmark.instant import InstantStep
from nerf_mini.benchmark.timing import once
from nerf_mini.benchmark.workloads import WORKLOADS, OwnStep
from nerf_mini.errors import UserError, quoted
from nerf_mini.io.files import is_number, read_json, write_json
from nerf_mini.outputs.report.machine import Machine

FORMAT = 1
TOLERANCE = 1.3  # how many times as long as before a thing may take
ATTEMPTS = 3  # of which the shortest counts: something else may have been going on
_MOST = 1e6  # a figure in a file: what lies beyond was never measured

Things = Mapping[str, Callable[[], object]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """The figures of a version on a machine, by the names of what was timed."""

    version: str
    cpu: str
    threads: int
    system: str
    figures: Mapping[str, float]

    @classmethod
    def here(cls, figures: Mapping[str, float]) -> Entry:
        """Figures of this version on this machine."""
        machine = Machine.here()
        return cls(__version__, machine.cpu, machine.threads, machine.system, figures)

    def same_machine(self, other: Entry) -> bool:
        """Whether figures can be compared."""
        return (self.cpu, self.threads, self.system) == (other.cpu, other.threads, other.system)


@njit(parallel=True)
def _yardstick(small, large, target):
    """Arithmetic in cache on every thread, and a copy of what no cache holds."""
    for part in prange(small.shape[0]):
        for _ in range(400):
            for i in range(small.shape[1]):
                small[part, i] = small[part, i] * np.float32(0.999) + np.float32(0.001)
    for i in prange(large.size):
        target[i] = large[i]


def yardstick() -> Callable[[], object]:
    """A function that does the same work on every day of every version."""
    small, large = np.ones((16, 4096), np.float32), np.ones(2**23, np.float32)
    target = np.zeros_like(large)

    def measure() -> None:
        _yardstick(small, large, target)

    return measure


def things() -> dict[str, Callable[[], object]]:
    """What is timed: steps and a picture of both methods, as small as they can be without being something else."""
    nerf, instant = OwnStep(WORKLOADS[-1]), InstantStep.warmed_up("float32")
    trainer, cameras = instant.trainer, instant.trainer.cameras.splits["test"]

    def ten_steps() -> None:
        for _ in range(10):
            instant()

    return {
        "step of nerf": nerf,
        "ten steps of instant": ten_steps,
        "picture of instant": lambda: trainer.render(cameras, 0),
    }


def figures_of(timed: Things, unit: Callable[[], object], rounds: int) -> dict[str, float]:
    """For each thing, its shortest time over that of the unit, all in turn; one uncounted call of each comes first.

    The shortest, since whatever else a machine does only ever makes things longer.
    """
    for function in (unit, *timed.values()):
        function()
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    units = []
    for _ in range(rounds):
        for name, function in timed.items():
            seconds[name].append(once(function))
            units.append(once(unit))
    return {name: min(found) / max(min(units), 1e-9) for name, found in seconds.items()}


def guard(
    file: Path, rounds: int, tolerance: float = TOLERANCE, say: Say = print, timed: Things | None = None,
    unit: Callable[[], object] | None = None,
) -> Entry:  # fmt: skip
    """Compare this version with the last other one that the file knows on this machine, and add it to the file.

    A machine of which the file knows nothing yet is added, and so is the file. Raises UserError where something takes
    more than `tolerance` times as long as before, and for a file that holds something else; the file then stays as it
    was.
    """
    if not 1.0 < tolerance < 100.0:
        raise UserError(f"--tolerance {tolerance}: must be more than 1 and less than 100.")
    entries = read_entries(file) if file.exists() else []
    timed, unit = timed or things(), unit or yardstick()
    found = Entry.here(figures_of(timed, unit, rounds))
    known = [entry for entry in entries if entry.same_machine(found)]
    before = next((entry for entry in reversed(known) if entry.version != found.version), None)
    if before is not None:
        for _ in range(ATTEMPTS - 1):
            if not _slower(found, before, tolerance):
                break
            again = figures_of(timed, unit, rounds)
            found = Entry.here({name: min(figure, again[name]) for name, figure in found.figures.items()})
    for line in table(found, before):
        say(line)
    slower = [] if before is None else _slower(found, before, tolerance)
    if before is not None and slower:
        name = slower[0]
        raise UserError(
            f"{name}: takes {found.figures[name] / before.figures[name]:.2f} times as long as in version"
            f" {before.version} on this machine, in {ATTEMPTS} attempts; {tolerance:g} is allowed."
        )
    kept = [entry for entry in entries if not (entry.same_machine(found) and entry.version == found.version)]
    _write(file, [*kept, found])
    return found


def table(found: Entry, before: Entry | None) -> Iterator[str]:
    """Figures as lines for people."""
    yield f"{found.cpu}, {found.threads} threads; times in units of the yardstick"
    yield f"{'':<22}{found.version:>10}" + ("" if before is None else f"{before.version:>10}     ratio")
    for name, figure in found.figures.items():
        old = None if before is None else before.figures.get(name)
        yield f"{name:<22}{figure:>10.2f}" + ("" if old is None else f"{old:>10.2f}{figure / old:>10.2f}")


def _slower(found: Entry, before: Entry, tolerance: float) -> list[str]:
    """Names of what takes too long, the worst first."""
    ratios = {n: figure / before.figures[n] for n, figure in found.figures.items() if n in before.figures}
    return sorted((name for name, ratio in ratios.items() if ratio > tolerance), key=lambda name: -ratios[name])


def read_entries(file: Path) -> list[Entry]:
    """The entries of a history, the oldest first. Raises UserError for a file that is none."""
    content = read_json(file)
    if content.get("format") != FORMAT or not isinstance(content.get("entries"), list):
        raise UserError(
            f"{file}: is no history of figures, as `nerf-mini benchmark --compare` writes it, of format {FORMAT}."
        )
    return [_entry(said, f"{file}: entry {index}") for index, said in enumerate(content["entries"])]


def _entry(said: Any, where: str) -> Entry:
    names = ("version", "cpu", "threads", "system", "figures")
    if not isinstance(said, dict) or set(said) != set(names):
        raise UserError(f"{where} is {quoted(said)}; it must hold {', '.join(names)}.")
    texts = all(isinstance(said[name], str) for name in ("version", "cpu", "system"))
    figures = said["figures"]
    sound = isinstance(figures, dict) and all(is_number(value) and 0 < value < _MOST for value in figures.values())
    if not texts or type(said["threads"]) is not int or not sound:
        raise UserError(f"{where} is {quoted(said)}; its figures must be positive numbers, and the rest text.")
    return Entry(**said)


def _write(file: Path, entries: list[Entry]) -> None:
    write_json(file, {"format": FORMAT, "entries": [asdict(entry) for entry in entries]})

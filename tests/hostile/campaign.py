"""Trying the cases of a part, each in a folder of its own, and the table at the end."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cases import Case
from .parts import PARTS


@dataclass(frozen=True)
class Failure:
    """A case in which the program did not hold, and how."""

    part: str
    case: str
    fault: str

    def __str__(self) -> str:
        return f"{self.part}: {self.case}\n    {self.fault}"


@dataclass(frozen=True)
class Tally:
    """How many cases of a part were tried, and what did not hold."""

    part: str
    tried: int
    failures: tuple[Failure, ...]

    @property
    def held(self) -> int:
        return self.tried - len(self.failures)


def tally(
    part: str,
    seed: int,
    count: int,
    told: Callable[[Failure], object] = print,
    only: str = "",
    trying: Callable[[Case], object] = lambda case: None,
) -> Tally:
    """Try the cases of a part whose names contain `only`; `trying` is called before each, `told` of each failure."""
    tried, failures = 0, []
    for case in itertools.islice(PARTS[part](seed, count), count):
        if only not in case.name:
            continue
        tried += 1
        trying(case)
        fault = tried_out(case)
        if fault is not None:
            failures.append(Failure(part, case.name, fault))
            told(failures[-1])
    return Tally(part, tried, tuple(failures))


def tried_out(case: Case) -> str | None:
    """What did not hold in a case; None where all did."""
    with _own_folder() as folder:
        try:
            return case.run(folder)
        except Exception:
            return "the case itself raised:\n" + traceback.format_exc()


def table(tallies: Sequence[Tally]) -> str:
    """Part, tried, held; and their sums."""
    rows = [("part", "tried", "held")]
    rows += [(t.part, str(t.tried), str(t.held)) for t in tallies]
    rows.append(("all", str(sum(t.tried for t in tallies)), str(sum(t.held for t in tallies))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """An empty folder, which is the working folder in the body, and gone after it, whatever is in it."""
    before = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="hostile-")).resolve()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        gc.collect()  # what holds files open
        for place, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                os.chmod(place, stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)

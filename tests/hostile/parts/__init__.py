"""The parts of the campaign: one module each, with `cases(seed, count)`, and one line here."""

from collections.abc import Callable, Iterator

from ..cases import Case
from . import faults, kills, options, readers, run_folders

PARTS: dict[str, Callable[[int, int], Iterator[Case]]] = {
    "readers": readers.cases,
    "options": options.cases,
    "run_folders": run_folders.cases,
    "kills": kills.cases,
    "faults": faults.cases,
}

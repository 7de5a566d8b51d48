"""Faults of the machine, made in this process: from some moment on, files cannot be read or written, or they vanish.

Moments are those at which a program opens, renames or makes something below a folder, as `sys.addaudithook` is told.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

READS, WRITES = "reads", "writes"
_WRITING = {"os.rename", "os.mkdir"}  # what is removed goes also where nothing can be written
_LISTING = {"os.listdir", "os.scandir"}


@dataclass
class Fault:
    """What is to go wrong.

    Attributes:
        kind: of the moments that count, READS or WRITES.
        folder: below which.
        moment: the first at which it happens, from 0; -1 only counts.
        happens: raises, or does what it likes.
        lasting: at every moment after that too.
        count: of moments so far.
    """

    kind: str
    folder: str
    moment: int
    happens: Callable[[str], None]
    lasting: bool = True
    count: int = 0

    def come(self, path: str) -> None:
        """A moment."""
        index, self.count = self.count, self.count + 1
        if index == self.moment or (self.lasting and 0 <= self.moment < index):
            self.happens(path)


_present: list[Fault] = []


@contextmanager
def failing(fault: Fault) -> Iterator[Fault]:
    """The fault is there in the body."""
    _hooked()
    _present.append(fault)
    try:
        yield fault
    finally:
        _present.remove(fault)


def refusing(number: int) -> Callable[[str], None]:
    """What happens where the system refuses with an error number."""

    def refuse(path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    return refuse


def count_of(kind: str, folder: Path, work: Callable[[], object]) -> int:
    """How many moments some work has."""
    with failing(Fault(kind, str(folder), -1, refusing(errno.EIO))) as fault:
        work()
    return fault.count


@cache
def _hooked() -> None:
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _present or not arguments or not isinstance(arguments[0], str | os.PathLike):
        return
    kind = _kind(event, arguments)
    path = os.fspath(arguments[0])
    if kind is None or not isinstance(path, str):
        return
    for fault in list(_present):
        if fault.kind == kind and os.path.abspath(path).startswith(fault.folder):
            fault.come(path)


def _kind(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
        return WRITES if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else READS
    return WRITES if event in _WRITING else READS if event in _LISTING else None

"""Who trains a run at the moment: a file beside its folder, with the sign of whoever took it last.

A process that was taken for dead, frozen say, may wake up and find that another one has gone on with its run. It looks
into the file every second, and goes.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_bytes

INTERVAL = 1.0  # seconds between two looks
STOP = b"stop"


class Stopped(Exception):
    """Somebody asks for the training to end."""


class Claim:
    """The right to train in a run folder, taken from whoever had it."""

    def __init__(self, run: Path):
        self.file, self.sign, self.looked = claim_file(run), uuid.uuid4().hex.encode(), time.monotonic()
        write_bytes(self.file, self.sign)

    def check(self) -> None:
        """To be called after each step. Raises Stopped where somebody asks for it, and UserError where another process
        has taken the run."""
        now = time.monotonic()
        if now - self.looked < INTERVAL:
            return
        self.looked = now
        found = _content(self.file)
        if found == STOP:
            raise Stopped
        if found is not None and found != self.sign:
            raise UserError(f"{self.file.with_suffix('')}: another process goes on with this run.")

    def release(self) -> None:
        """Give the right back, if it is still held."""
        if _content(self.file) in (self.sign, STOP):
            self.file.unlink(missing_ok=True)


def claim_file(run: Path) -> Path:
    """Where the claim of a run is."""
    return run.with_name(f"{run.name}.claim")


def ask_to_stop(run: Path) -> bool:
    """Have whoever trains a run save and end; whether somebody does."""
    file = claim_file(run)
    if not file.exists():
        return False
    write_bytes(file, STOP)
    return True


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:  # a file system that is away for a moment
        return None

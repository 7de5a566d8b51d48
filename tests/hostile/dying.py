"""`python -m tests.hostile.dying MOMENT SIGNAL LOG RUN ARGUMENTS...`: nerf-mini, which dies at a moment of its own.

A moment is whenever it opens, renames or removes something in the run folder, makes a folder there, and when half of
what it writes to a file has arrived. At the given one, counted from 0, it sends itself the signal; what the moments
were is written to LOG, one in a line. -1 counts alone.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from collections.abc import Callable
from typing import IO, Any

_ON_FILES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime"}


class Moments:
    """Counts moments, and ends the process at one of them."""

    def __init__(self, fatal: int, signal: int, log: str, run: str):
        self.fatal, self.signal, self.log, self.run = fatal, signal, os.open(log, os.O_WRONLY | os.O_CREAT), run
        self.count = 0

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """A hook of `sys.addaudithook`."""
        if event not in _ON_FILES or not isinstance(arguments[0], str) or not arguments[0].startswith(self.run):
            return
        writes = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and event != "os.utime":  # the lock's signs of life come when they like
            self.come(f"{event.removeprefix('os.')} {os.path.relpath(arguments[0], self.run)}")

    def come(self, what: str, first: Callable[[], Any] = lambda: None) -> None:
        """A moment; where it is the fatal one, something is done first."""
        os.write(self.log, (what + "\n").encode())
        if self.count == self.fatal:
            first()
            os.kill(os.getpid(), self.signal)
        self.count += 1

    def opened(self, file: Any, mode: str = "r", **options: Any) -> IO[Any]:
        """`open`, for writers whose files are to break off half way."""
        if mode not in ("wb", "a"):
            return builtins.open(file, mode, **options)
        raw = _Breaking(os.fspath(file), mode[0], self)
        return io.BufferedWriter(raw) if mode == "wb" else io.TextIOWrapper(io.BufferedWriter(raw), **options)


class _Breaking(io.FileIO):
    def __init__(self, path: str, mode: str, moments: Moments):
        super().__init__(path, mode)
        self.moments, self.path = moments, path

    def write(self, data: Any) -> int:  # type: ignore[override]
        content, done = bytes(data), 0

        def half() -> None:
            nonlocal done
            done = super(_Breaking, self).write(content[: len(content) // 2]) or 0

        self.moments.come(f"half of {os.path.relpath(self.path, self.moments.run)}", half)
        return done + (super().write(content[done:]) or 0)


def main() -> int:
    """See the module."""
    fatal, signal, log, run, *arguments = sys.argv[1:]
    from nerf_mini.cli.program import entry_point
    from nerf_mini.io import files

    moments = Moments(int(fatal), int(signal), log, run)
    files.open = moments.opened  # type: ignore[attr-defined]
    sys.addaudithook(moments.audit)
    sys.argv = ["nerf-mini", *arguments]
    return entry_point()


if __name__ == "__main__":
    sys.exit(main())

"""What surrounds a command in a process of its own: where it prints to, signals that end it, its environment."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, TextIO

from nerf_mini.errors import UserError, quoted

MOST_THREADS = 1024  # that Numba may be told to start
THREADING_LAYERS = ("default", "safe", "threadsafe", "forksafe", "workqueue", "omp", "tbb")
BROKEN_PIPE = 141  # what a shell reports of a process that SIGPIPE ended


# -- streams -----------------------------------------------------------------------------------------------------------


class _Sturdy(io.FileIO):
    """A stream that somebody may close, or whose disk may be full: what cannot be written is dropped, and noted."""

    failure: OSError | None = None

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        """See `io.RawIOBase.write`."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


class Streams:
    """Standard output and errors that never end a command, in place of the process's own.

    A reader may go, as `head` does; a terminal may be closed, a disk full. What was trained does not depend on it.
    Characters that a terminal does not know are escaped.
    """

    def __init__(self) -> None:
        for descriptor in (0, 1, 2):
            _ensure_open(descriptor)
        if os.environ.get("NO_COLOR"):
            os.environ["TERM"] = "dumb"  # which tells the same to the parser of arguments
        self.out, sys.stdout = _sturdy(sys.stdout)
        self.err, sys.stderr = _sturdy(sys.stderr)

    def code(self, code: int) -> int:
        """The exit code of a command that ended with `code`: a reader who left, and lost results, change success."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        failure = None if self.out is None else self.out.failure
        if failure is None or code != 0:
            return code
        if failure.errno == errno.EPIPE:
            return BROKEN_PIPE
        print(f"nerf-mini: what it prints could not be written ({failure.strerror}).", file=sys.stderr, flush=True)
        return 2


def _ensure_open(descriptor: int) -> None:
    """Without one of these, the next file that is opened would take its number, and what is printed would go there."""
    try:
        os.fstat(descriptor)
    except OSError:
        if os.open(os.devnull, os.O_RDWR) != descriptor:  # the lowest that is free
            raise AssertionError("standard streams are opened in order") from None


def _sturdy(stream: TextIO | None) -> tuple[_Sturdy | None, TextIO]:
    if stream is None:  # it was closed when the process began
        return None, open(os.devnull, "w", encoding="utf-8")
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if type(raw) is not io.FileIO or not isinstance(stream, io.TextIOWrapper):  # a console of Windows, or a notebook's
        return None, stream
    sturdy = _Sturdy(raw.fileno(), "w", closefd=False)
    text = io.TextIOWrapper(
        io.BufferedWriter(sturdy), stream.encoding, "backslashreplace",
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
    return sturdy, text


# -- signals -----------------------------------------------------------------------------------------------------------


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C has ended a command, which clears up as it does on Ctrl-C."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number, self.name = number, signal.Signals(number).name


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """In the body, signals that would end the process at once raise `Ended`, the first time."""

    def end(number: int, frame: object) -> None:
        for known in before:
            signal.signal(known, signal.SIG_IGN)  # a terminal that is closed tells so twice
        raise Ended(number)

    names = [name for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    before = [number for name in names if signal.getsignal(number := getattr(signal, name)) == signal.SIG_DFL]
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_DFL)


# -- warnings ----------------------------------------------------------------------------------------------------------


def shown_as_sentences(package: str = "nerf_mini") -> None:
    """Have warnings that a package gives printed as what the command line says, without a place in its sources."""
    plain = warnings.formatwarning

    def formatted(message: Any, category: Any, filename: str, lineno: int, line: str | None = None) -> str:
        own = f"{os.sep}{package}{os.sep}" in filename
        return f"nerf-mini: {message}\n" if own else plain(message, category, filename, lineno, line)

    warnings.formatwarning = formatted


# -- the environment ---------------------------------------------------------------------------------------------------


def check_environment() -> None:
    """Raise a UserError for variables of libraries at which these would fail without a sentence."""
    threads = os.environ.get("NUMBA_NUM_THREADS")
    if threads is not None and not (threads.strip().isdecimal() and 1 <= int(threads.strip()[:9]) <= MOST_THREADS):
        raise UserError(
            f"NUMBA_NUM_THREADS={quoted(threads)} in the environment: must be a whole number of threads from 1 to"
            f" {MOST_THREADS}. Unset it to use all cores."
        )
    layer = os.environ.get("NUMBA_THREADING_LAYER", "default")
    if layer not in THREADING_LAYERS:
        raise UserError(
            f"NUMBA_THREADING_LAYER={quoted(layer)} in the environment: must be one of {', '.join(THREADING_LAYERS)}."
        )
    if layer in ("omp", "tbb"):
        try:
            import_module(f"numba.np.ufunc.{layer}pool")
        except ImportError as error:
            raise UserError(
                f"NUMBA_THREADING_LAYER={layer} in the environment: there is none on this machine. Unset it."
            ) from error
    bars = [name for name in os.environ if name.startswith("TQDM_")]
    if bars:
        try:
            import_module("tqdm")
        except ValueError as error:
            raise UserError(
                f"{', '.join(bars)} in the environment: makes no sense to tqdm, which draws bars of progress"
                f" ({str(error)[:100]}). Unset it."
            ) from error

"""What a case of the campaign is, how a command line is tried in it, and when the program has held.

Held is a command that finished with a sound result, or that was refused in a sentence (exit code 1 or 2). Not held are
tracebacks, warnings of NumPy, long silence, messages too long to read or with control characters in them, NaN and
infinity where figures were promised, temporary files, and files that a refused command left.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import signal
import subprocess
import sys
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]  # of the repository
LONGEST_MESSAGE = 1000  # characters; the page of a parser, which lists choices, may be longer
LONGEST_PAGE = 6000
SECONDS = 60.0  # of work without an answer: a hang
WAITING = 5.0  # times as many on the clock
_NOT_FINITE = re.compile(r"(?<![\w./-])[-+]?(nan|inf|infinity)(?![\w./-])", re.IGNORECASE)
_OF_LIBRARIES = ("[Errno", "object has no attribute", "Traceback (most recent call last)", "RuntimeWarning")
_WITHOUT_FORECAST = "there is not enough memory for this"
_TEMPORARY = re.compile(r"\..*\.tmp")


@dataclass(frozen=True)
class Case:
    """One thing to try.

    Attributes:
        name: says what is tried; unique in its part.
        run: given an empty folder of its own, which is also the working folder, tries it: None where the program held,
            else a sentence that says what did not hold.
    """

    name: str
    run: Callable[[Path], str | None]


@dataclass(frozen=True)
class Outcome:
    """What became of a command line.

    Attributes:
        arguments: of the command.
        code: how it ended; None where it did not: it hung, or raised.
        out, err: what it printed.
        seconds: how long it took.
        raised: the traceback of what came through; empty where nothing did.
        warned: warnings of Python and NumPy, one in a line.
        changed: files and folders that it made, removed or wrote, relative to the working folder.
    """

    arguments: tuple[str, ...]
    code: int | None
    out: str
    err: str
    seconds: float
    raised: str = ""
    warned: str = ""
    changed: tuple[str, ...] = field(default=())

    @property
    def printed(self) -> str:
        """All that a user sees."""
        return self.out + self.err

    @property
    def refused(self) -> bool:
        """Whether it ended in a clear error."""
        return self.code == 2


class TooSlow(BaseException):
    """The time is over; not an Exception, which the program would be free to catch."""


# ----------------------------------------------------------------------------------------------------------------------
# Trying


def outcome_of(arguments: Sequence[object], seconds: float = SECONDS) -> Outcome:
    """Run a command line in this process, in the working folder, under a time limit (where there are alarms)."""
    from nerf_mini.cli.program import main

    words = tuple(map(str, arguments))
    before = listing(Path.cwd())
    out, err, began = _stream(), _stream(), time.perf_counter()
    code: int | None = None
    raised = ""
    with warnings.catch_warnings(record=True) as caught, _time_limit(seconds):
        warnings.simplefilter("always", RuntimeWarning)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(list(words))
            except SystemExit as end:  # how the parser of arguments refuses
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except TooSlow:
                raised = ""
            except BaseException:
                raised = traceback.format_exc()
    warned = "\n".join(f"{w.filename}:{w.lineno}: {w.message}" for w in caught if w.category is RuntimeWarning)
    took, changed = time.perf_counter() - began, _changes(before, listing(Path.cwd()))
    return Outcome(words, code, _text(out), _text(err), took, raised, warned, changed)


def outcome_in_process(
    arguments: Sequence[object],
    environment: Mapping[str, str | None] | None = None,
    seconds: float = 2 * SECONDS,
    kill: Callable[[subprocess.Popen[str]], object] | None = None,
    before: Sequence[str] = (),
    code: str | None = None,
) -> Outcome:
    """Run a command line in a process of its own, in the working folder.

    Args:
        environment: variables to set, or, with None, to take away.
        kill: called with the process at once, to send it signals when the time has come.
        before: a command that the command line follows, such as ("prlimit", "--fsize=100000").
        code: Python to run instead of `nerf-mini`; it finds the arguments in sys.argv[1:].
    """
    words = tuple(map(str, arguments))
    of_child = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    python = [sys.executable, "-P", *(["-m", "nerf_mini"] if code is None else ["-c", code])]
    there, began = listing(Path.cwd()), time.perf_counter()
    child = subprocess.Popen(
        [*before, *python, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        env={key: value for key, value in of_child.items() if value is not None},
    )  # fmt: skip
    ended: int | None = None
    try:
        if kill is not None:
            kill(child)
        out, err = child.communicate(timeout=seconds)
        ended = child.returncode
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
    took, changed = time.perf_counter() - began, _changes(there, listing(Path.cwd()))
    raised = err if "Traceback (most recent call last)" in err else ""
    return Outcome(words, ended, out, err, took, raised, "", changed)


# ----------------------------------------------------------------------------------------------------------------------
# Judging


def fault_of(outcome: Outcome, may_remain: Sequence[str] = (), codes: Sequence[int] = (0, 1, 2)) -> str | None:
    """What did not hold, in a sentence; None where all did.

    Args:
        may_remain: beginnings of paths that even a refused command may leave or change.
        codes: with which it may end.
    """
    return _of_the_end(outcome, codes) or _of_the_words(outcome) or _of_the_files(outcome, may_remain)


def verdict(arguments: Sequence[object], may_remain: Sequence[str] = (), seconds: float = SECONDS) -> str | None:
    """`fault_of` what `outcome_of` a command line is."""
    return fault_of(outcome_of(arguments, seconds), may_remain)


def _of_the_end(outcome: Outcome, codes: Sequence[int]) -> str | None:
    if outcome.raised:
        return f"raised {_last_line(outcome.raised)} ({_place(outcome.raised)})"
    if outcome.code is None:
        return f"no answer within {outcome.seconds:.0f} s"
    if outcome.code not in codes:
        return f"ended with {outcome.code}: {outcome.err[-300:]!r}"
    if outcome.warned:
        return f"warned: {outcome.warned[:300]}"
    return None


def _of_the_words(outcome: Outcome) -> str | None:
    if outcome.code and not outcome.printed.strip():
        return f"ended with {outcome.code} without a word"
    foreign = next((mark for mark in _OF_LIBRARIES if mark in outcome.printed), None)
    if foreign is not None:
        return f"{foreign!r} in what it printed: {outcome.printed[-300:]!r}"
    if _WITHOUT_FORECAST in outcome.printed:
        return "ran out of memory that no forecast had denied it"
    unprintable = next((c for c in outcome.printed if _is_control(c)), None)
    if unprintable is not None:
        return f"printed the control character {unprintable!r}: {outcome.printed[:300]!r}"
    page = "─" in outcome.err or "usage:" in outcome.printed  # a parser's frame
    if outcome.code == 2 and len(outcome.err) > (LONGEST_PAGE if page else LONGEST_MESSAGE):
        return f"a message of {len(outcome.err)} characters: {outcome.err[:200]!r}"
    found = _NOT_FINITE.search(_without_arguments(outcome)) if outcome.code in (0, 1) else None
    return None if found is None else f"a result that is not finite: {found[0]} in {outcome.out[-300:]!r}"


def _without_arguments(outcome: Outcome) -> str:
    """The results alone: a user may call a file nan."""
    text = outcome.out
    for word in sorted(outcome.arguments, key=len, reverse=True):
        value = word.partition("=")[2] if word.startswith("-") else word
        text = text.replace(value, "") if len(value) > 2 else text
    return text


def _of_the_files(outcome: Outcome, may_remain: Sequence[str]) -> str | None:
    temporary = [name for name in outcome.changed if _TEMPORARY.fullmatch(Path(name).name)]
    if temporary:
        return f"left temporary files: {temporary[:3]}"
    left = [name for name in outcome.changed if not name.startswith(tuple(may_remain))] if outcome.refused else []
    return f"was refused, but left or changed {left[:3]}" if left else None


# ----------------------------------------------------------------------------------------------------------------------
# Within


def listing(folder: Path) -> dict[str, tuple[int, int] | None]:
    """Everything under a folder: size and time of change of files, None for what else there is."""
    found: dict[str, tuple[int, int] | None] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):  # gone in the meantime
                state = os.lstat(path)
                found[os.path.relpath(path, folder)] = (state.st_size, state.st_mtime_ns) if name in files else None
    return found


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*before, *after} if before.get(name, 0) != after.get(name, 0)))


def _stream() -> io.TextIOWrapper:
    """As strict as the terminal of a user: what it cannot encode raises."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8", "replace")


def _is_control(character: str) -> bool:
    return character not in "\n\r\t" and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1][:300]


def _place(text: str) -> str:
    """Where in the program a traceback points."""
    places = re.findall(r'File "[^"]*?((?:nerf_mini|autodiff)/[^"]*)", line (\d+), in (\S+)', text)
    return "{}:{} {}".format(*places[-1]) if places else "outside of the program"


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the body after some seconds of work, and again later, should it be caught.

    Work is time of the processor, so that a busy machine is no reason; what waits, as for a pipe, ends with a multiple
    of it on the clock.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    clock, worked = time.perf_counter(), time.process_time()
    told = -math.inf

    def look(number: int, frame: FrameType | None) -> None:
        nonlocal told
        now = time.perf_counter()
        over = time.process_time() - worked > seconds or now - clock > WAITING * seconds
        if over and now - told > 30:
            told = now
            raise TooSlow

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, min(1.0, seconds), min(1.0, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)

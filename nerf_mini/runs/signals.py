"""Signals that end a training: the step at hand is finished, and what was trained is saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Ctrl-C; a scheduler's time limit, or `kill`; a terminal that is closed; the same on Windows, with Ctrl-Break
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
ENDING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn signals that end a process into a flag, so that a step is never cut in half.

    A second Ctrl-C acts as usual: somebody is impatient. Other signals come several times by themselves, when a
    terminal is closed, and a second one changes nothing. SIGHUP that is ignored, as `nohup` has it, stays so.
    """
    received: list[int] = []
    before: dict[int, Any] = {}

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        if number == signal.SIGINT:
            signal.signal(number, before[number])

    try:
        for number in ENDING:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, on_signal) or signal.SIG_DFL
    except ValueError:  # not the main thread: signals go elsewhere
        yield lambda: False
        return
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

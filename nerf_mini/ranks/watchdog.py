"""What ends a process that waits for others in vain: a message that never comes does not return an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watchdog:
    """Calls `give_up`, from a thread of its own, when one wait lasts longer than `patience` seconds.

    `give_up` is to end the process: whoever waits in a library cannot be woken.
    """

    def __init__(self, patience: float, give_up: Callable[[], None]):
        self.patience, self._give_up, self._waiting_since = patience, give_up, float("inf")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The body waits for others."""
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = float("inf")

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, self.patience / 10)):
            if time.monotonic() - self._waiting_since > self.patience:
                self._give_up()
                return

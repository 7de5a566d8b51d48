"""Training time: time that passes, but for what is spent aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """A clock that can be stopped for a while, such as while pictures are rendered for somebody who watches."""

    def __init__(self) -> None:
        self._aside = 0.0

    def now(self) -> float:
        """Seconds since some moment."""
        return self.read()

    def read(self) -> float:
        """The time of this process."""
        return time.perf_counter() - self._aside

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The clock stands still in the body."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._aside += time.perf_counter() - began


class ToldClock(Clock):
    """A clock that shows the time that it was told last, alike in all processes; `read` is that of this one."""

    def __init__(self) -> None:
        super().__init__()
        self._told = self.read()

    def now(self) -> float:
        """The time that was told."""
        return self._told

    def tell(self, told: float) -> None:
        """Show another time."""
        self._told = told

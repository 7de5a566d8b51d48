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
        return time.perf_counter() - self._aside

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The clock stands still in the body."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._aside += time.perf_counter() - began

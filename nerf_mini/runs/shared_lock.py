"""The lock of a run folder where several processes train one run: rank 0 holds it for all."""

from __future__ import annotations

from pathlib import Path

from nerf_mini.ranks import Communicator
from nerf_mini.runs.lock import RunLock


class SharedLock(RunLock):
    """See `RunLock`. All processes acquire it together, and learn together that they cannot."""

    def __init__(self, run: Path, communicator: Communicator):
        super().__init__(run)
        self._team, self._held = communicator, False

    @property
    def held(self) -> bool:
        """Whether rank 0 has the right."""
        return super().held if self._team.rank == 0 else self._held

    def acquire(self) -> SharedLock:
        """See `RunLock`."""
        if not self.held:
            self._team.lead(self._acquire)
            self._held = True
        return self

    def _acquire(self) -> None:
        super().acquire()

    def check(self) -> None:
        """See `RunLock`: rank 0 looks; the others end when it does."""
        if self._team.rank == 0:
            super().check()

    def release(self) -> None:
        """See `RunLock`."""
        self._held = False
        super().release()

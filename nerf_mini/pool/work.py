"""Tasks handed out to a pool, and handed out again where a worker dies or falls silent."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass
from typing import Any

from nerf_mini.errors import UserError, Warn, log_warning
from nerf_mini.pool.base import Pool
from nerf_mini.pool.worker import Answer, Sender, perform, stamp

AHEAD = 2  # tasks for each worker that are handed out: one that it does, and one that waits there
DEATHS = 3  # of workers of this machine without a result in between
COPIES = 4  # of a task whose workers fall silent
_TICK = 1.0  # seconds


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    A task that takes longer than `least`, and than `factor` times the median of those before it, is handed out a second
    time, and then after twice that again; infinity: never. `alone` is how long no worker at all may be there, and
    `leave` how long workers of this machine have to end properly when the work is given up.
    """

    least: float = 10.0
    factor: float = 5.0
    alone: float = 120.0
    leave: float = 2.0


def completed(
    pool: Pool,
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    warn: Warn = log_warning,
    patience: Patience | None = None,
) -> Iterator[tuple[int, Any]]:
    """(index, function(task)) of all tasks, as they get done.

    A task may be done more than once, at the same time too; the first result counts. If the iterator is closed or
    interrupted, what is not done yet is cancelled. `warn` is told what goes wrong and is mended. Raises UserError where
    it cannot be mended, and what a task raises.
    """
    return _Work(pool, function, tasks, warn, Patience() if patience is None else patience).results()


@dataclass(frozen=True)
class _Copy:
    """A task that was handed out, and when."""

    index: int
    since: float


def _failed(future: Future) -> bool:
    return future.cancelled() or future.exception() is not None


class _Work:
    """What is to be done, what is on its way, and what has been learnt of how long it takes."""

    def __init__(self, pool: Pool, function: Callable, tasks: Sequence, warn: Warn, patience: Patience):
        self.pool, self.function, self.tasks, self.warn, self.patience = pool, function, tasks, warn, patience
        self.sender, self.own_stamp = Sender(pool.threads), stamp()
        self.waiting, self.unfinished = deque(range(len(tasks))), set(range(len(tasks)))
        self.running: dict[Future, _Copy] = {}
        self.copies: Counter[int] = Counter()
        self.times: deque[float] = deque(maxlen=100)
        self.deaths, self.strange = 0, set[str]()
        self.workers, self.counted = pool.workers(), time.monotonic()
        self.alone: float | None = None  # since when no worker has been there

    def results(self) -> Iterator[tuple[int, Any]]:
        """See `completed`."""
        try:
            while self.unfinished:
                self._hand_out()
                for future in sorted(wait(self.running, _TICK, FIRST_COMPLETED).done, key=_failed):  # results first
                    copy = self.running.pop(future, None)  # None: the executor broke, and all its futures with it
                    if copy is None or copy.index not in self.unfinished:
                        continue
                    answer = self._answer(future)
                    if answer is not None:
                        self._learn(copy, answer)
                        yield copy.index, answer.value
                self._count_workers()
                self._repeat_overdue()
        finally:
            for future in self.running:
                future.cancel()
            if any(not future.done() for future in self.running):
                self.pool.abandon(self.patience.leave)

    def _hand_out(self) -> None:
        while self.waiting and len(self.running) < AHEAD * max(1, self.workers):
            if not self._submit(self.waiting.popleft()):
                return

    def _submit(self, index: int) -> bool:
        """Hand a task out; False if the executor broke."""
        try:
            future = self.pool.submit(perform, self.sender, self.function, self.tasks[index])
        except BrokenExecutor as error:
            self.waiting.appendleft(index)
            self._renew(error)
            return False
        self.running[future] = _Copy(index, time.monotonic())
        self.copies[index] += 1
        return True

    def _answer(self, future: Future) -> Answer | None:
        """What a future brought; None where the executor broke, and all that runs is to come again."""
        try:
            return future.result()
        except BrokenExecutor as error:
            self._renew(error)
            return None
        except (Exception, CancelledError) as error:
            text = self.pool.explained(error)
            if text is None and isinstance(error, CancelledError):
                text = f"{self.pool.name} gave the work up."
            if text is None:
                raise
            raise UserError(f"{text} {self._progress()}") from error

    def _renew(self, error: BrokenExecutor) -> None:
        """Go on with a new executor."""
        self.deaths += 1
        self.running.clear()
        self.copies.clear()
        if self.deaths > DEATHS or not self.pool.renew():
            raise UserError(
                f"workers of {self.pool.name} died {self.deaths} times without a result. Is there enough memory for"
                f" all of them? {self._progress()}"
            ) from error
        self.waiting = deque(sorted(self.unfinished))
        self.warn("a worker died; what it was doing comes again")

    def _learn(self, copy: _Copy, answer: Answer) -> None:
        self.unfinished.discard(copy.index)
        self.deaths = 0
        self.times.append(time.monotonic() - copy.since)
        if answer.stamp != self.own_stamp and answer.host not in self.strange:
            self.strange.add(answer.host)
            self.warn(
                f"{answer.host} has another processor, or other versions of NumPy, Numba or the kernels: the last bits"
                " of what it makes may differ"
            )

    def _count_workers(self) -> None:
        """Notice how many workers there are, from time to time. Raises UserError where there are none for long."""
        now = time.monotonic()
        if now - self.counted < (_TICK if self.workers == 0 else 5 * _TICK):
            return
        self.workers, self.counted = self.pool.workers(), now
        if self.workers > 0:
            self.alone = None
        elif self.alone is None:
            self.alone = now
            self.warn(f"{self.pool.name} has no worker; waiting {self.patience.alone:g} s for one")
        elif now - self.alone > self.patience.alone:
            raise UserError(
                f"{self.pool.name} has no worker, or does not answer, for {now - self.alone:.0f} s. {self._progress()}"
            )

    def _repeat_overdue(self) -> None:
        """Hand out again what takes too long: its worker may be frozen, or its network gone."""
        if not self.times:
            return  # the first ones load, and perhaps compile
        usual, now = max(self.patience.least, self.patience.factor * statistics.median(self.times)), time.monotonic()
        for copy in list(self.running.values()):
            number, age = self.copies[copy.index], now - copy.since
            if copy.index not in self.unfinished or age <= usual * 2 ** (number - 1):
                continue
            if number > COPIES:
                raise UserError(f"{self.pool.name} does not answer any more, for {age:.0f} s. {self._progress()}")
            self.warn(f"no answer for {age:.0f} s; task {copy.index + 1} goes to another worker too")
            if not self._submit(copy.index):
                return

    def _progress(self) -> str:
        done = len(self.tasks) - len(self.unfinished)
        return f"{done} of {len(self.tasks)} are done; the same command goes on with the others."

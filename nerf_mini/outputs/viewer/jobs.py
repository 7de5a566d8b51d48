"""Requests for frames on their way to the one thread that renders: of each page the latest, and all in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from nerf_mini.errors import UserError
from nerf_mini.outputs.viewer.requests import FrameRequest

MOST_CLIENTS = 8


@dataclass(frozen=True)
class Frame:
    """An encoded picture: its bytes, kind, what it took, and the step and revision of the field that it shows.

    aliased: whether more rays in each pixel would show it better.
    """

    data: bytes
    content_type: str
    render_ms: float
    encode_ms: float
    step: int
    revision: int
    aliased: bool = False


Outcome = Frame | UserError | Literal["superseded", "late", "failed"]


@dataclass(eq=False)
class Job:
    """A request, and what becomes of it."""

    request: FrameRequest
    outcome: Outcome | None = None
    cancelled: bool = False
    _done: threading.Event = field(default_factory=threading.Event)

    def finish(self, outcome: Outcome) -> None:
        """Say what became of it; the first word counts."""
        if not self._done.is_set():
            self.outcome = outcome
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is done, or for some seconds; returns whether it is."""
        return self._done.wait(seconds)


class Jobs:
    """At most one waiting request per client: a newer one takes its place. Clients are served in turn.

    Any thread may submit; one takes. A running job is cancelled by a newer request of the same client only if it is
    final: the coarse frames of a moving camera are shown, or nothing would ever be.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, Job] = {}
        self._running: Job | None = None
        self._latest: dict[str, int] = {}  # sequence numbers, by client, the one served longest ago first
        self.closed = False

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def submit(self, request: FrameRequest) -> Job:
        """Queue a request. Raises UserError where too many clients wait for frames."""
        job, client = Job(request), request.client
        with self._changed:
            if self.closed or request.seq < self._latest.get(client, 0):
                job.finish("superseded")
                return job
            self._admit(client)
            self._latest[client] = request.seq
            before = self._waiting.pop(client, None)
            if before is not None:
                before.finish("superseded")
            if self._running is not None and self._running.request.client == client and self._running.request.final:
                self._running.cancelled = True
            self._waiting[client] = job
            self._changed.notify()
        return job

    def _admit(self, client: str) -> None:
        """Make room for a client, by forgetting one that asks for nothing."""
        if client in self._latest or len(self._latest) < MOST_CLIENTS:
            return
        busy = {*self._waiting, *([self._running.request.client] if self._running else [])}
        idle = next((name for name in self._latest if name not in busy), None)
        if idle is None:
            raise UserError(f"{MOST_CLIENTS} pages are being served already; close one.")
        del self._latest[idle]

    def withdraw(self, job: Job) -> None:
        """Give up a job for which nobody waits any more."""
        with self._changed:
            job.cancelled = True
            if self._waiting.get(job.request.client) is job:
                del self._waiting[job.request.client]
            if job is not self._running:
                job.finish("superseded")

    def take(self, seconds: float, accept: Callable[[FrameRequest], bool] = lambda request: True) -> Job | None:
        """The next job among those that are accepted, waiting for one for some seconds; to be followed by `done`."""
        with self._changed:
            job = self._next(accept)
            if job is None and seconds > 0 and not self.closed:
                self._changed.wait(seconds)
                job = self._next(accept)
            return job

    def _next(self, accept: Callable[[FrameRequest], bool]) -> Job | None:
        for client in list(self._latest):
            job = self._waiting.get(client)
            if job is not None and accept(job.request):
                del self._waiting[client]
                self._latest[client] = self._latest.pop(client)  # to the end of the row
                self._running = job
                return job
        return None

    def done(self, job: Job, outcome: Outcome) -> None:
        """Hand over what became of a job that was taken."""
        with self._changed:
            self._running = None
        job.finish(outcome)

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self.closed = True
            jobs = [*self._waiting.values(), *([self._running] if self._running else [])]
            self._waiting.clear()
            self._changed.notify_all()
        for job in jobs:
            job.cancelled = True
            job.finish("superseded")

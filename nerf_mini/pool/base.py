"""A pool: workers that take tasks, behind any executor of `concurrent.futures`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

MANY = 64  # workers, where nobody knows how many there are


class Pool:
    """An executor, and what is known of its workers.

    Any executor does, such as `Pool(ThreadPoolExecutor(2))` or one of mpi4py.futures; subclasses know their engine
    better. A pool is left as a context manager; whoever made the executor closes it.

    Attributes:
        name: for messages.
        threads: how many threads kernels take in a worker, by the name of its host; those that are missing, and more
            than there are, take all.
        here: how many of its workers share the memory of this machine.
    """

    here = 0

    def __init__(self, executor: Executor, name: str = "the pool", threads: Mapping[str, int] | None = None):
        self.executor, self.name, self.threads = executor, name, dict(threads or {})

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """Hand a call out."""
        return self.executor.submit(function, *arguments)

    def workers(self) -> int:
        """How many there are at the moment; 0 also where their engine does not answer."""
        return MANY

    def renew(self) -> bool:
        """Take a new executor for one that broke; False where there is none."""
        return False

    def explained(self, error: BaseException) -> str | None:
        """What an exception of the engine means, in a sentence; None for others."""
        return None

    def abandon(self, seconds: float) -> None:
        """Stop what still runs, after at most so many seconds for it to end properly."""

    def close(self) -> None:
        """Let go of what belongs to the pool."""

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

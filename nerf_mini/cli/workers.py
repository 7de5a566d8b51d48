"""The pool that --cluster names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nerf_mini.cli.progress import say
from nerf_mini.pool import Pool, open_pool


@contextmanager
def pool_of(address: str | None) -> Iterator[Pool | None]:
    """The pool at an address, None without one."""
    if address is None:
        yield None
        return
    with open_pool(address) as pool:
        yield pool


@contextmanager
def nothing_lost(pool: Pool | None) -> Iterator[None]:
    """Whoever interrupts work on a pool hears what becomes of it."""
    try:
        yield
    except KeyboardInterrupt:
        if pool is not None:
            say("what is done stays; the same command goes on with the rest")
        raise

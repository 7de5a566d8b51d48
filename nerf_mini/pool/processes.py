"""A pool of processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

import numba

from nerf_mini.pool.base import Pool

_BYTES = 1 << 30  # that a process is to have
_SECONDS_TO_DIE, _SECONDS_ALONE = 2.0, 20.0


class LocalPool(Pool):
    """Fresh processes of this machine, which are replaced where they die.

    Args:
        processes: how many; None: one for each thread that Numba takes, which is as many as there are cores, if they
            have memory for all of them.
    """

    def __init__(self, processes: int | None = None):
        cores = numba.config.NUMBA_NUM_THREADS
        self.processes = self.here = processes or max(1, min(cores, _memory() // _BYTES))
        threads = {platform.node(): max(1, cores // self.processes)}
        super().__init__(self._fresh(), "this machine", threads)

    def _fresh(self) -> ProcessPoolExecutor:
        self._context = _Context()
        return ProcessPoolExecutor(self.processes, self._context, _begin)

    def workers(self) -> int:
        """See `Pool`."""
        return self.processes

    def renew(self) -> bool:
        """See `Pool`."""
        self.abandon(_SECONDS_TO_DIE)
        return True

    def abandon(self, seconds: float) -> None:
        """See `Pool`. Processes are asked by SIGTERM first, upon which a training saves."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self._end("terminate", seconds)
        self._end("kill", _SECONDS_TO_DIE)  # also those that are stopped
        self.executor = self._fresh()  # which starts no process before it gets a task

    def _end(self, how: str, seconds: float) -> None:
        alive = [process for process in self._context.started if process.is_alive()]
        for process in alive:
            with suppress(OSError):
                getattr(process, how)()
        deadline = time.monotonic() + seconds
        for process in alive:
            process.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """See `Pool`."""
        self.executor.shutdown(wait=True, cancel_futures=True)


class _Context(SpawnContext):
    """Starts processes afresh, which is safe beside threads of kernels, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **keywords: Any) -> SpawnProcess:  # type: ignore[override]
        process = SpawnProcess(*arguments, **keywords)
        self.started.append(process)
        return process


def _memory() -> int:
    """Bytes of memory of this machine; plenty where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 50


def _begin() -> None:
    """In a new process: Ctrl-C is for the one that started it, which then says what is to end; and without that one,
    nobody would ever end this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # a training listens to Ctrl-C again, but a terminal sends it to its own group alone
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # upon which a training saves
        time.sleep(_SECONDS_ALONE)
        os._exit(1)

"""How a task is done where it arrives."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from nerf_mini import __version__
from nerf_mini.errors import UserError
from nerf_mini.ops import compiler_stamp
from nerf_mini.runtime import prepare

_TURN = threading.Lock()  # one task after the other: kernels are launched by one thread of a process at a time


def stamp() -> str:
    """The same where pictures have the same bits: kernels, their compiler, the processor, NumPy."""
    return f"{compiler_stamp()} {np.__version__}"


@dataclass(frozen=True)
class Sender:
    """Who gives work away; threads: see `Pool`."""

    threads: Mapping[str, int] = field(default_factory=dict)
    host: str = field(default_factory=platform.node)
    version: str = __version__


@dataclass(frozen=True)
class Answer:
    """What a task returned, on which host, and the `stamp` of that."""

    value: Any
    host: str
    stamp: str


def perform(sender: Sender, function: Callable[..., Any], *arguments: Any) -> Answer:
    """Call function(*arguments) in a worker. Raises UserError for another version of nerf-mini here, and what the
    function raises; from another host, errors say which one it was."""
    prepare()
    host = platform.node()
    if sender.version != __version__:
        raise UserError(
            f"the worker on {host} has nerf-mini {__version__}, and {sender.host} has {sender.version}: install the"
            " same version on both."
        )
    try:
        with _TURN, _threads(sender.threads.get(host)):
            return Answer(function(*arguments), host, stamp())
    except UserError as error:
        raise UserError(str(error) if host == sender.host else f"on {host}: {error}") from None


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Kernels of this thread of Python take so many threads; None: all."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count or numba.config.NUMBA_NUM_THREADS, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)

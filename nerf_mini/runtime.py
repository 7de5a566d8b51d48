"""What a process does once before it runs kernels: load threads, and compile kernels on several cores.

Nothing happens when this module is imported, and nothing depends on it: what is missing is loaded or compiled when it
is needed, only later.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numba

from nerf_mini.ops import OperatorUse, cache_folder, compiler_stamp

SPIN_COUNT = "1000"  # about ten microseconds
HELPER_TIMEOUT = 300.0  # seconds
MOST_HELPERS = 3  # beside this process; a step has hardly more than four kernels that take seconds

_HELPER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from nerf_mini.runtime import help_compiling
help_compiling(*sys.argv[2:])
"""


# -- threads -----------------------------------------------------------------------------------------------------------


def prepare() -> None:
    """Load Numba's OpenMP such that a thread that waits for the others soon leaves its core to other programs.

    To be called before the first kernel runs; after that, and the second time, it has no effect. GNU OpenMP's threads
    spin for milliseconds, longer than a kernel takes: beside another busy program, training steps would take up to five
    times as long. It reads the variable when the library is loaded. OpenMP of other platforms, OpenMP that something
    else has already loaded, and settings of the user are left alone.
    """
    if sys.platform != "linux" or {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        return
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        with suppress(ImportError):  # no OpenMP: Numba has other threading layers
            importlib.import_module("numba.np.ufunc.omppool")
    finally:
        del os.environ["GOMP_SPINCOUNT"]


# -- warm-up -----------------------------------------------------------------------------------------------------------


def warm_up(uses: Sequence[OperatorUse]) -> None:
    """Have the kernels of some operators compiled or, quickly, loaded from the cache: by calling them on examples.

    Numba compiles one function after the other. Unless this has been done before, other processes help: each takes the
    next kernels that nobody has taken, in the order of `uses`, and leaves them in the cache, where training finds them.
    """
    prepare()
    marker, runs = _marker(uses), _runs(uses)
    try:
        shared = None if marker is None or marker.exists() else TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError:  # no place for temporary files: helpers are not worth an error
        shared = None
    if marker is None or shared is None:
        for run in runs:
            run()
        return
    with shared as claims, _helpers(uses, claims) as helpers:
        _compile_unclaimed(runs, claims)
        with suppress(subprocess.TimeoutExpired):
            if all([helper.wait(HELPER_TIMEOUT) == 0 for helper in helpers]):
                with suppress(OSError):
                    marker.touch()


def help_compiling(uses: str, claims: str) -> None:
    """What a helper does: `uses` as JSON, `claims` a folder that the processes share."""
    _compile_unclaimed(_runs([OperatorUse(**use) for use in json.loads(uses)]), claims)


def _runs(uses: Sequence[OperatorUse]) -> list[Callable[[], None]]:
    return [run for use in uses for run in use.runs]


def _compile_unclaimed(runs: Sequence[Callable[[], None]], claims: str) -> None:
    """Run what no process has claimed yet, by a file with its number; all, where no file can be made."""
    for number, run in enumerate(runs):
        try:
            (Path(claims) / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError:  # a full disk
            pass
        run()


def _as_json(uses: Sequence[OperatorUse]) -> str:
    return json.dumps([asdict(use) for use in uses])


def _marker(uses: Sequence[OperatorUse]) -> Path | None:
    """A file in the cache that says that these kernels have been compiled; None where there is no cache."""
    folder = None if numba.config.DISABLE_JIT else cache_folder()
    if folder is None:
        return None
    key = hashlib.sha256((compiler_stamp() + _as_json(uses)).encode()).hexdigest()[:16]
    return folder / f"warm-{key}"


@contextmanager
def _helpers(uses: Sequence[OperatorUse], claims: str) -> Iterator[list[subprocess.Popen]]:
    """Processes that run `help_compiling`, as many as there are cores for; whatever happens, none outlives this."""
    helpers: list[subprocess.Popen] = []
    try:
        for _ in range(min(numba.config.NUMBA_NUM_THREADS - 1, MOST_HELPERS)):
            helper = _start_helper(uses, claims)
            if helper is not None:
                helpers.append(helper)
        yield helpers
    finally:
        for helper in helpers:
            helper.kill()  # if it is still running
            helper.wait()


def _start_helper(uses: Sequence[OperatorUse], claims: str) -> subprocess.Popen | None:
    """A process that runs `help_compiling`; None where there is no way to start it."""
    frozen = getattr(sys, "frozen", False)  # then the executable is the whole program, not Python
    if not sys.executable or frozen:
        return None
    # it finds modules where this process does, and -P keeps it from looking into the current folder before that
    command = [sys.executable, "-P", "-c", _HELPER, json.dumps(sys.path), _as_json(uses), claims]
    quiet = subprocess.DEVNULL
    with suppress(OSError):
        return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    return None

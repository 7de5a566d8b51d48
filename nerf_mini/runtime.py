"""What a process does once before it runs kernels: load threads, and compile the largest kernels on two cores.

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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numba

from nerf_mini.ops import OperatorUse, cache_folder, compiler_stamp

SPIN_COUNT = "1000"  # about ten microseconds
HELPER_TIMEOUT = 300.0  # seconds

_HELPER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from nerf_mini.runtime import compile_backward
compile_backward(sys.argv[2])
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
    """Have the kernels of some operators compiled or, quickly, loaded from the cache.

    Numba compiles one function after the other. Unless this has been done before, a second process compiles the
    backward kernels, by calling them on the operators' examples, while this one does the same with the forward kernels;
    training then finds both in the cache.
    """
    prepare()
    marker = _marker(uses)
    helper = None if marker is None or marker.exists() else _start_helper(uses)
    try:
        for use in uses:
            use.run_forward()
        if helper is not None:
            with suppress(subprocess.TimeoutExpired):
                if helper.wait(HELPER_TIMEOUT) == 0 and marker is not None:
                    with suppress(OSError):
                        marker.touch()
    finally:
        if helper is not None:
            helper.kill()  # if it is still running
            helper.wait()


def compile_backward(uses: str) -> None:
    """Call the backward kernels of operators; for the helper process, with their uses as JSON."""
    for use in json.loads(uses):
        OperatorUse(**use).run_backward()


def _as_json(uses: Sequence[OperatorUse]) -> str:
    return json.dumps([asdict(use) for use in uses])


def _marker(uses: Sequence[OperatorUse]) -> Path | None:
    """A file in the cache that says that these kernels have been compiled; None where there is no cache."""
    folder = None if numba.config.DISABLE_JIT else cache_folder()
    if folder is None:
        return None
    key = hashlib.sha256((compiler_stamp() + _as_json(uses)).encode()).hexdigest()[:16]
    return folder / f"warm-{key}"


def _start_helper(uses: Sequence[OperatorUse]) -> subprocess.Popen | None:
    """A process that runs `compile_backward`; None where there is no second core for it, or no way to start it."""
    frozen = getattr(sys, "frozen", False)  # then the executable is the whole program, not Python
    if numba.config.NUMBA_NUM_THREADS < 2 or not sys.executable or frozen:
        return None
    # it finds modules where this process does, and -P keeps it from looking into the current folder before that
    command = [sys.executable, "-P", "-c", _HELPER, json.dumps(sys.path), _as_json(uses)]
    quiet = subprocess.DEVNULL
    with suppress(OSError):
        return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    return None

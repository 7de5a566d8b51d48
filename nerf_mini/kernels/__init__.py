"""Numba kernels: arrays in, arrays out; no autodiff, no Python objects."""

import contextlib
import os
from pathlib import Path

import numba


def _drop_stale_caches() -> None:
    """Forget cached kernels that are older than any kernel source.

    Numba looks at the file of the cached function alone, but a kernel is compiled with what it calls in other files.
    """
    folder = Path(__file__).parent
    newest = max(source.stat().st_mtime_ns for source in folder.glob("*.py"))
    for index in (folder / "__pycache__").glob("*.nbi"):
        with contextlib.suppress(OSError):  # a read-only installation, or another process was faster
            if index.stat().st_mtime_ns < newest:
                index.unlink()


def _start_patient_threads() -> None:
    """Start Numba's threads so that one that waits for the others soon leaves its core to other programs.

    GNU OpenMP's threads spin for milliseconds, more than a kernel takes: on a busy machine, a training step then lasts
    twice as long as it must. OpenMP reads the variable when its threads start, and it is for them alone.
    """
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        return
    os.environ["GOMP_SPINCOUNT"] = "1000"  # a few microseconds
    try:
        numba.get_num_threads()
    finally:
        del os.environ["GOMP_SPINCOUNT"]


_drop_stale_caches()
_start_patient_threads()

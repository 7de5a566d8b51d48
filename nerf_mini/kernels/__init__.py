"""Numba kernels: arrays in, arrays out; no autodiff, no Python objects."""

import contextlib
import importlib
import os
import sys
from pathlib import Path


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


def _load_patient_threads() -> None:
    """Load Numba's OpenMP so that a thread that waits for the others soon leaves its core to other programs.

    GNU OpenMP's threads spin for milliseconds, more than a kernel takes: beside another busy program, training steps
    last up to five times as long as they must. It reads the variable when the library is loaded; other platforms'
    OpenMP, and one that something else has loaded before, stay as they are.
    """
    if sys.platform != "linux" or {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        return
    os.environ["GOMP_SPINCOUNT"] = "1000"  # about ten microseconds
    try:
        with contextlib.suppress(ImportError):  # no OpenMP: Numba has other ways
            importlib.import_module("numba.np.ufunc.omppool")
    finally:
        del os.environ["GOMP_SPINCOUNT"]


_drop_stale_caches()
_load_patient_threads()

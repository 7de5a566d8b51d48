"""Numba kernels: arrays in, arrays out; no autodiff, no Python objects."""

import contextlib
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


_drop_stale_caches()

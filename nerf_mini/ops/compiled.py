"""What the CPU can do, and where compiled kernels are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

from numba.core.registry import cpu_target

from nerf_mini.kernels.activations import activate_forward
from nerf_mini.kernels.compiling import source_stamp
from nerf_mini.kernels.matmul import BFLOAT16

__all__ = ["BFLOAT16", "cache_folder", "compiler_stamp"]


def cache_folder() -> Path | None:
    """Where compiled kernels are kept; None if nowhere."""
    path = getattr(getattr(activate_forward, "stats", None), "cache_path", None)
    return None if path is None else Path(path)


def compiler_stamp() -> str:
    """Changes with the kernels' sources, the version of Numba, and the CPU."""
    cpu = repr(cpu_target.target_context.codegen().magic_tuple())
    return hashlib.sha256((source_stamp() + cpu).encode()).hexdigest()[:16]

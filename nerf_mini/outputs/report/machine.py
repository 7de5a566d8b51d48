"""What a run or a report was made with: the processor, and versions."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np

from nerf_mini import __version__
from nerf_mini.ops import BFLOAT16


@dataclass(frozen=True)
class Machine:
    """A computer and the versions of what runs on it. threads: those that kernels take; bfloat16: whether its CPU has
    instructions for that."""

    cpu: str
    threads: int
    bfloat16: bool
    system: str
    python: str
    numpy: str
    numba: str
    nerf_mini: str

    @classmethod
    def here(cls) -> Machine:
        """The one that this process runs on."""
        return cls(
            _cpu_name(), numba.get_num_threads(), BFLOAT16, f"{platform.system()} {platform.machine()}",
            platform.python_version(), np.__version__, numba.__version__, __version__,
        )  # fmt: skip


def _cpu_name() -> str:
    """What the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine() or "unknown"

"""Peak memory of a training step, measured in a process of its own.

Run as python -m nerf_mini.benchmark.memory WORKLOAD IMPLEMENTATION PRECISION.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from nerf_mini.benchmark.workloads import WORKLOADS, OwnStep
from nerf_mini.runtime import prepare


def peak_rss_mb() -> float | None:
    """Largest resident size of this process so far, in MB; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage would count the parent's peak from before the exec
        peak_kb = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]
        return int(peak_kb) / 2**10
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure_step(workload: str, implementation: str, precision: str) -> float | None:
    """Peak memory in MB of a fresh process that takes three steps; None if it cannot be measured."""
    command = [sys.executable, "-m", "nerf_mini.benchmark.memory", workload, implementation, precision]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return float(result.stdout)
    except ValueError:
        return None


def main(name: str, implementation: str, precision: str) -> None:
    workload = next(w for w in WORKLOADS if w.name == name)
    step: Callable[[], float]
    if implementation == "torch":
        from nerf_mini.benchmark.torch_peer import TorchStep

        step = TorchStep(workload, precision)
    else:
        prepare()
        step = OwnStep(workload, "bfloat16" if precision == "bfloat16" else "float32")
    for _ in range(3):
        step()
    print(peak_rss_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])

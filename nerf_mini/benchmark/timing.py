"""Fair timings on a noisy machine: things to compare take turns, and the median counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

REST = 0.25  # seconds between turns, in which the idle threads of the other library's pool stop spinning


def interleaved(functions: Mapping[str, Callable[[], object]], rounds: int = 5, rest: float = 0.0) -> dict[str, float]:
    """Median seconds of each function, called in turn with `rest` seconds between; one uncounted call comes first."""
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            time.sleep(rest)
            seconds[name].append(once(function))
    return {name: statistics.median(values) for name, values in seconds.items()}


def once(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start

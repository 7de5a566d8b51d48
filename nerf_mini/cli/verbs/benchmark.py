"""nerf-mini benchmark."""

from __future__ import annotations

from nerf_mini.benchmark import benchmark
from nerf_mini.benchmark.history import guard
from nerf_mini.cli.arguments import BenchmarkArguments
from nerf_mini.cli.progress import say
from nerf_mini.errors import UserError


def run(arguments: BenchmarkArguments) -> None:
    """Measure this machine."""
    if arguments.rounds < 1:
        raise UserError(f"--rounds {arguments.rounds}: must be at least 1.")
    if arguments.compare is not None:
        guard(arguments.compare, arguments.rounds, arguments.tolerance, say)
        return
    benchmark(arguments.peer, arguments.json, arguments.rounds, say)

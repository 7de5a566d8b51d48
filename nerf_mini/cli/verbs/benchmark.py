"""nerf-mini benchmark."""

from __future__ import annotations

from nerf_mini.benchmark import benchmark
from nerf_mini.cli.arguments import BenchmarkArguments
from nerf_mini.cli.progress import say
from nerf_mini.errors import UserError


def run(arguments: BenchmarkArguments) -> None:
    """Measure this machine."""
    if arguments.rounds < 1:
        raise UserError(f"--rounds {arguments.rounds}: must be at least 1.")
    benchmark(arguments.peer, arguments.json, arguments.rounds, say)

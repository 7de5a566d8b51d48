"""The check of a forecast of memory against what the machine has."""

from __future__ import annotations

from collections.abc import Iterator

from nerf_mini.io.memory import MOST, memory_of_machine
from nerf_mini.scenes.checks.base import Finding


def memory(needed: int, there: int | None) -> Iterator[Finding]:
    """What training will need, in bytes, must fit into what is there, unless that is unknown."""
    if there is not None and needed > MOST * there:
        text = f"Training needs about {needed / 1e9:.1f} GB of memory, of {there / 1e9:.1f} GB here."
        yield Finding("memory", "warning", text, "Shrink the pictures: --downscale 2 takes a quarter of theirs.")


__all__ = ["memory", "memory_of_machine"]

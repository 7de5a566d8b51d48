"""Damaged data sets of every format."""

from __future__ import annotations

from collections.abc import Iterator

from ..cases import Case


def cases(seed: int, count: int) -> Iterator[Case]:
    """Damaged data sets, read by `nerf-mini check` and `train`."""
    yield from ()

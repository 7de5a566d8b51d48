"""Absurd values of every option."""

from __future__ import annotations

from collections.abc import Iterator

from ..cases import Case


def cases(seed: int, count: int) -> Iterator[Case]:
    """Command lines with absurd values."""
    yield from ()

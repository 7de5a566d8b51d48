"""The memory that a process may take here, and the refusal of what does not fit into it."""

from __future__ import annotations

import os
from pathlib import Path

from nerf_mini.errors import UserError

MOST = 0.8  # of the memory there is
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of containers


def memory_of_machine() -> int | None:
    """Bytes of memory that a process may have here: the machine's, or what a container leaves of it; None where the
    system does not tell."""
    told = [size for size in (_physical(), *map(_of_group, _GROUPS)) if size is not None]
    return min(told, default=None)


def require_memory(what: str, needed: int, remedy: str) -> None:
    """Raise a UserError where n bytes are more than there are: before they are asked for.

    Args:
        what: with its verb: "training needs".
        remedy: what to do instead, as a whole sentence.
    """
    there = memory_of_machine()
    if there is not None and needed > MOST * there:
        raise UserError(f"{what} about {needed / 1e9:.1f} GB of memory, of {there / 1e9:.1f} GB here. {remedy}")


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _of_group(file: str) -> int | None:
    """The limit in a file of control groups; None where there is none."""
    try:
        text = Path(file).read_text(encoding="ascii").strip()
        return int(text) if text.isdecimal() and int(text) > 0 else None
    except (OSError, ValueError):
        return None

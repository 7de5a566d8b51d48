"""A pool from what follows --cluster."""

from __future__ import annotations

import re
from pathlib import Path

from nerf_mini.errors import UserError, quoted
from nerf_mini.pool.base import Pool

MOST_PROCESSES = 1024
_LOCAL = re.compile(r"local(?::(\d{1,9}))?")


def open_pool(address: str) -> Pool:
    """The pool at an address: "local", or "local:N" for N processes; tcp://host:port or tls://host:port, where a Dask
    scheduler listens, or the file (.json) that one wrote.

    Raises UserError for other addresses, and where nobody answers.
    """
    local = _LOCAL.fullmatch(address)
    if local:
        count = None if local[1] is None else int(local[1])
        if count is not None and not 1 <= count <= MOST_PROCESSES:
            raise UserError(f"--cluster {address}: must be from 1 to {MOST_PROCESSES} processes.")
        from nerf_mini.pool.processes import LocalPool

        return LocalPool(count)
    file = address.endswith(".json")
    if file and not Path(address).is_file():
        raise UserError(
            f"--cluster {quoted(address)}: there is no such file; `dask scheduler --scheduler-file` makes it."
        )
    if not file and not re.fullmatch(r"[a-z]+://\S+", address):
        raise UserError(
            f"--cluster {quoted(address)}: must be local, local:N, the address of a Dask scheduler such as"
            " tcp://host:8786, or the .json file that it wrote."
        )
    from nerf_mini.pool.dask_pool import DaskPool

    return DaskPool(address)

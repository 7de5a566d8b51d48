"""Whether the processes of one training can give the bits that they promise: one kind of CPU, one version, one data
set, one state to begin with."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import numba
import numpy as np

from nerf_mini import __version__
from nerf_mini.errors import UserError, Warn, plain
from nerf_mini.ops import compiler_stamp
from nerf_mini.ranks.communicator import Communicator


def require_alike_hosts(team: Communicator, mixed: bool, warn: Warn) -> None:
    """Raise a UserError, the same in all ranks, where one has another version, of nerf-mini, NumPy or Numba, or another
    kind of CPU; if `mixed`, warn of another CPU."""
    versions = {"nerf-mini": __version__, "NumPy": np.__version__, "Numba": numba.__version__}
    require_alike(team, versions, "Install the same versions on all hosts.")
    try:
        advice = "Bits depend on it: leave that host out, or add --mixed-hosts if they may."
        require_alike(team, {"CPU, or other kernels,": compiler_stamp()}, advice)
    except UserError as error:
        if not mixed:
            raise
        warn(f"warning: {error}")


def require_alike(team: Communicator, own: Mapping[str, str], advice: str) -> None:
    """Raise a UserError, the same in all ranks, where the values that they name differ."""
    everyone = team.collect((platform.node(), dict(own)))
    host, first = everyone[0]
    for rank, (other, values) in enumerate(everyone):
        for name, value in values.items():
            if value != first.get(name):
                raise UserError(
                    f"rank {rank} on {plain(other)} has another {name} than rank 0 on {plain(host)}: {plain(value)}"
                    f" instead of {plain(first.get(name, 'nothing'))}. {advice}"
                )

"""How a process joins the others of a training, and how it leaves: a rank that fails takes the others with it."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import numba

from nerf_mini.errors import UserError
from nerf_mini.ranks.communicator import ALONE, Communicator
from nerf_mini.ranks.hosts import require_alike_hosts
from nerf_mini.ranks.mpi import FAILURE, INSTALL, MpiCommunicator, launched, load_mpi, say

GRACE = 2.0  # seconds in which others may fail for the same reason


@contextmanager
def joined(engine: str, patience: float, mixed_hosts: bool = False) -> Iterator[Communicator]:
    """The communicator of this process in the body; `engine` is "mpi", or "off" for a process on its own.

    Only rank 0 prints there. An error in one rank ends all: a UserError, which is printed once, with exit code 2, and
    any other with a traceback and exit code 1. Raises UserError where there is no MPI, or a launcher has started
    several processes that do not see each other.
    """
    if engine == "off":
        yield ALONE
        return
    mpi = load_mpi()
    require_no_singletons(mpi.COMM_WORLD.Get_size())
    communicator = MpiCommunicator(mpi.COMM_WORLD, patience)
    try:
        with _quiet(communicator.rank):
            _share_cores(communicator)
            require_alike_hosts(communicator, mixed_hosts, say if communicator.rank == 0 else _nothing)
            yield communicator
            communicator.lead(lambda: None)  # others wait here for rank 0, and leave it their cores
    except UserError as error:
        _leave(communicator, error)
    except KeyboardInterrupt:
        communicator.abort(130)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        say(f"rank {communicator.rank} on {platform.node()} failed, and ends the others.")
        communicator.abort(1)
    finally:
        communicator.end()


def require_no_singletons(size: int) -> None:
    """Raise a UserError where a launcher has started several processes, each of which believes to be the only one."""
    count, launcher = launched()
    if size == 1 and count > 1:
        raise UserError(
            f"--distributed mpi: {launcher} says that there are {count} processes, but this one sees no other: its MPI"
            f" library is not that of the launcher, and all would write one run folder. With Slurm, try"
            f" srun --mpi=pmi2, or mpiexec; else {INSTALL}, and its own mpiexec."
        )


def require_alone(shards: int) -> None:
    """Raise a UserError where a launcher has started several processes for a step of several shards, which do not talk
    to each other: each would take all shards, and all would write one run folder."""
    count, launcher = launched()
    if shards > 1 and count > 1 and launcher == "mpiexec":
        raise UserError(f"--shards {shards}: {launcher} has started {count} processes; add --distributed mpi.")


def _nothing(text: str) -> None:
    """Say nothing."""


def _leave(communicator: MpiCommunicator, error: UserError) -> None:
    """End with a sentence: of rank 0 where all fail alike."""
    if communicator.all_arrive(GRACE):
        if communicator.rank == 0:
            raise error
        raise SystemExit(FAILURE)
    say(f"rank {communicator.rank} on {platform.node()}: {error}")
    communicator.abort(FAILURE)


@contextmanager
def _quiet(rank: int) -> Iterator[None]:
    """All ranks but the first print nothing."""
    if rank == 0:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _share_cores(communicator: MpiCommunicator) -> None:
    """Kernels of the ranks on one host share its cores, unless NUMBA_NUM_THREADS says how many each takes."""
    here = communicator.collect(platform.node()).count(platform.node())
    if "NUMBA_NUM_THREADS" not in os.environ:
        numba.set_num_threads(max(1, numba.config.NUMBA_NUM_THREADS // here))

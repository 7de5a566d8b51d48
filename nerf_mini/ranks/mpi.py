"""Processes that `mpiexec` or `srun` has started, and that talk over MPI."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.ranks.watchdog import Watchdog

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

Value = TypeVar("Value")

# how many processes a launcher says that it has started
LAUNCHERS = {
    "PMI_SIZE": "mpiexec", "OMPI_COMM_WORLD_SIZE": "mpiexec", "SLURM_STEP_NUM_TASKS": "srun", "SLURM_NTASKS": "Slurm",
}  # fmt: skip
INSTALL = "pip install 'nerf-mini[mpi]', or mpi4py alone where the cluster has an MPI of its own"
BEAT, DONE = 1, 2  # tags of messages: rank 0 still works; what came of it
BEATS = 5.0  # seconds between two of them
LOOK = 0.005  # seconds between two looks for one: whoever waits leaves its core to others meanwhile
FAILURE = 2  # exit code


def load_mpi() -> Any:
    """The module `mpi4py.MPI`; importing it starts MPI. Raises UserError where it, or an MPI library, is missing."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise UserError(f"--distributed mpi needs mpi4py: {INSTALL}.") from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"--distributed mpi: no MPI library was found ({reason}). {INSTALL}.") from error
    return MPI


def launched() -> tuple[int, str]:
    """How many processes a launcher has started, by its own account, and which launcher; 1 without one."""
    found = [(int(os.environ[name]), by) for name, by in LAUNCHERS.items() if os.environ.get(name, "").isdecimal()]
    return max(found, default=(1, ""))


class MpiCommunicator:
    """See `Communicator`. No MPI operator adds anything, and no large block is gathered by Allgatherv, which some
    libraries send in small pieces."""

    def __init__(self, world: Intracomm, patience: float):
        """`patience`, in seconds: the longest wait for other ranks before this one gives up."""
        self._mpi = load_mpi()
        self.world, self.rank, self.size, self.sent = world, world.Get_rank(), world.Get_size(), 0
        self._beats = world.Dup()
        self._watchdog = Watchdog(patience, self._lose)
        self._waiting = self._watchdog.waiting

    def exchange(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Communicator`."""
        counts = np.array([len(part) for part in parts], np.int64)
        theirs = np.empty_like(counts)
        outgoing = np.concatenate(parts)
        with self._waiting():
            self.world.Alltoall(counts, theirs)
            incoming = np.empty(int(theirs.sum()), np.uint32)
            self.world.Alltoallv([outgoing, counts], [incoming, theirs])
        self.sent += outgoing.nbytes - parts[self.rank].nbytes
        return np.split(incoming, np.cumsum(theirs)[:-1])

    def gather(self, part: np.ndarray) -> list[np.ndarray]:
        """See `Communicator`: by Allgather, in blocks as long as the longest part."""
        lengths = np.empty(self.size, np.int64)
        with self._waiting():
            self.world.Allgather(np.array([len(part)], np.int64), lengths)
            block = np.zeros(int(lengths.max()), part.dtype)
            block[: len(part)] = part
            blocks = np.empty((self.size, len(block)), part.dtype)
            self.world.Allgather(block, blocks)
        self.sent += (self.size - 1) * block.nbytes
        return [row[:length] for row, length in zip(blocks, lengths, strict=True)]

    def collect(self, value: Value) -> list[Value]:
        """See `Communicator`."""
        with self._waiting():
            return self.world.allgather(value)

    def lead(self, work: Callable[[], Value]) -> Value:
        """See `Communicator`: rank 0 says every few seconds that it is still at work."""
        error, value = self._led(work) if self.rank == 0 else self._follow()
        if error is not None:
            raise UserError(error)
        return value

    def _led(self, work: Callable[[], Value]) -> tuple[str | None, Any]:
        done = threading.Event()
        beating = threading.Thread(target=self._beat, args=(done,), daemon=True)
        beating.start()
        outcome: tuple[str | None, Any] = (None, None)
        try:
            outcome = (None, work())
        except UserError as error:
            outcome = (str(error), None)
        finally:
            done.set()
            beating.join()
        with self._waiting():
            for rank in range(1, self.size):
                self._beats.send(outcome, rank, DONE)
        return outcome

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(min(BEATS, self._watchdog.patience / 4)):
            for rank in range(1, self.size):
                self._beats.send(None, rank, BEAT)  # so small that nobody has to be there to take it

    def _follow(self) -> tuple[str | None, Any]:
        status = self._mpi.Status()
        while True:
            with self._waiting():
                while not self._beats.Iprobe(0, self._mpi.ANY_TAG, status):
                    time.sleep(LOOK)
                message = self._beats.recv(source=0, tag=status.Get_tag())
            if status.Get_tag() == DONE:
                return message

    def all_arrive(self, seconds: float) -> bool:
        """Whether all ranks call this within some seconds."""
        request, end = self._beats.Ibarrier(), time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(LOOK)
        return True

    def end(self) -> None:
        """Watch no longer."""
        self._watchdog.end()

    def abort(self, code: int) -> NoReturn:
        """End all ranks, at once."""
        sys.stdout.flush()
        self.world.Abort(code)
        os._exit(code)

    def _lose(self) -> None:
        """The others are gone: MPI itself may wait for them forever, so leave without it."""
        say(
            f"rank {self.rank} on {platform.node()} has heard nothing from the others for"
            f" {self._watchdog.patience:.0f} s and gives up: one of them is frozen, its host or the network is gone, or"
            " --patience is too short. Start again with --resume to continue from the last checkpoint."
        )
        os._exit(FAILURE)


def say(text: str) -> None:
    """A line for the person who started the ranks."""
    print(f"nerf-mini: {text}", file=sys.__stderr__, flush=True)

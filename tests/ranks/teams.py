"""Ranks in threads of one process: a communicator without MPI. One thread runs at a time, until it waits for others."""

import threading

import numba

from nerf_mini.errors import UserError


class ThreadTeam:
    """The communicator of one of several threads."""

    def __init__(self, rank, shared):
        self.rank, self.size, self.sent, self.shared = rank, shared.size, 0, shared

    def exchange(self, parts):
        everyone = self.shared.meet(self.rank, parts)
        self.sent += sum(part.nbytes for rank, part in enumerate(parts) if rank != self.rank)
        return [theirs[self.rank].copy() for theirs in everyone]

    def gather(self, part):
        self.sent += (self.size - 1) * part.nbytes
        return [theirs.copy() for theirs in self.shared.meet(self.rank, part)]

    def collect(self, value):
        return self.shared.meet(self.rank, value)

    def lead(self, work):
        value, error = None, None
        if self.rank == 0:
            try:
                value = work()
            except UserError as found:
                error = str(found)
        value, error = self.shared.meet(self.rank, (value, error))[0]
        if error is not None:
            raise UserError(error)
        return value


class _Shared:
    def __init__(self, size):
        self.size, self.turn, self.slots = size, threading.Lock(), [None] * size
        self.barrier = threading.Barrier(size, timeout=60)

    def meet(self, rank, value):
        self.slots[rank] = value
        self._wait()
        everyone = list(self.slots)
        self._wait()  # nobody puts in something new before all have looked
        return everyone

    def _wait(self):
        self.turn.release()
        try:
            self.barrier.wait()
        finally:
            self.turn.acquire()


def on_ranks(size, work):
    """What work(team) returns on each of several ranks, or the exception that it raises there."""
    shared, outcomes = _Shared(size), [None] * size

    def run(rank):
        numba.set_num_threads(1)  # of this thread
        with shared.turn:
            try:
                outcomes[rank] = work(ThreadTeam(rank, shared))
            except Exception as error:
                outcomes[rank] = error
                if not isinstance(error, UserError):
                    shared.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, UserError | threading.BrokenBarrierError):
            raise outcome
    return outcomes

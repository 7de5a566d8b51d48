"""The workers of a Dask scheduler as a pool. Dask is imported when the first one is made."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from nerf_mini import __version__
from nerf_mini.errors import UserError, listed, plain, reason_of
from nerf_mini.pool.base import Pool

ANSWER = 10.0  # seconds for a scheduler, or its workers, to answer
# What a worker says of itself: host, cores, version; it need not have this package, and so is asked without it.
_ABOUT = "(lambda m: (m('platform').node(), m('os').cpu_count(), m('nerf_mini').__version__))(__import__)"


class DaskPool(Pool):
    """Workers that have joined a scheduler, or will.

    Args:
        address: such as tcp://host:8786, or a scheduler file (.json).

    Raises UserError where Dask is not installed, no scheduler answers, or a worker has no nerf-mini or another version.
    """

    def __init__(self, address: str):
        try:
            from distributed import Client
        except ImportError as error:
            raise UserError(
                f'--cluster {plain(address)}: needs the extra "cluster": pip install "nerf-mini[cluster]". Without it,'
                " --cluster local takes processes of this machine."
            ) from error
        self._log = logging.getLogger("distributed"), logging.getLogger("distributed").level
        self._log[0].setLevel(logging.CRITICAL)  # what it says at length is said here in a sentence
        where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        self.client = Client.__new__(Client)  # to be held also where it cannot be made
        try:
            self.client.__init__(**where, timeout=ANSWER, set_as_default=False, name="nerf-mini")  # type: ignore[misc]
        except Exception as error:  # of many kinds: of the network, of TLS, of addresses, of files
            self.client.status = "closed"  # or it would try to take leave when it is collected, and complain
            self._log[0].setLevel(self._log[1])
            tls = " TLS needs certificates, see docs/machines.md." if address.startswith("tls") else ""
            raise UserError(
                f"--cluster {plain(address)}: no Dask scheduler answers there ({reason_of(error)}). Start one with"
                f" `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`.{tls}"
            ) from error
        super().__init__(self.client.get_executor(pure=False, retries=0), f"the scheduler {plain(address)}")
        try:
            self.threads = self._checked()
        except UserError:
            self.close()
            raise

    def _checked(self) -> dict[str, int]:
        """Threads for each worker, by host: the cores there, shared by the workers there."""
        about = self._asked(_ABOUT)
        missing = [_place(worker) for worker, told in about.items() if isinstance(told, BaseException)]
        if missing:
            raise UserError(f"{self.name}: no nerf-mini can be imported on {listed(missing)}: install {__version__}.")
        others = [f"{_place(w)} ({told[2]})" for w, told in about.items() if told[2] != __version__]
        if others:
            raise UserError(
                f"{self.name}: another version of nerf-mini than {__version__} is on {listed(others)}: install the same"
                " one everywhere."
            )
        workers = Counter(told[0] for told in about.values())
        return {host: max(1, (cores or 1) // workers[host]) for host, cores, _ in about.values()}

    def _asked(self, expression: str) -> dict[str, Any]:
        """What the workers make of an expression, by address; nothing where one of them does not answer."""
        found: dict[str, Any] = {}

        def ask() -> None:
            with suppress(Exception):  # a worker that leaves meanwhile
                found.update(self.client.run(eval, expression, on_error="return"))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ANSWER)
        return dict(found)

    def submit(self, function: Any, *arguments: Any) -> Future:
        """See `Pool`."""
        try:
            return super().submit(function, *arguments)
        except Exception as error:
            text = self.explained(error)
            if text is None:
                raise
            raise UserError(text) from error

    def workers(self) -> int:
        """See `Pool`."""
        try:
            identity = self.client.scheduler.identity  # type: ignore[union-attr]
            told = self.client.sync(identity, callback_timeout=ANSWER)
            return int(told.get("n_workers", len(told["workers"])))
        except Exception:  # of the network
            return 0

    def explained(self, error: BaseException) -> str | None:
        """See `Pool`."""
        kind = type(error).__name__
        if kind == "KilledWorker":
            return "several workers died of the same task, one after the other. Is there enough memory on them?"
        if isinstance(error, CancelledError) or kind in ("CommClosedError", "ClosedClientError"):
            return f"{self.name} is gone, or restarted."
        if isinstance(error, ImportError | AttributeError) and "nerf_mini" in str(error):
            return f"a worker has no nerf-mini, or another version than {__version__}: install the same everywhere."
        return None

    def close(self) -> None:
        """See `Pool`."""
        with suppress(Exception):  # the scheduler may be gone
            self.client.close(timeout=ANSWER)
        self._log[0].setLevel(self._log[1])


def _place(worker: str) -> str:
    """The address of a worker without its protocol."""
    return worker.rpartition("/")[2]

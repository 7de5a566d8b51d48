"""What arrives on a connection, read with patience that ends: a request is there in time, or never."""

from __future__ import annotations

import io
import math
import socket
import time


class Arriving(io.RawIOBase):
    """The bytes of a connection, for `io.BufferedReader`.

    A timeout of a socket begins anew with every byte, and whoever sends one now and then holds the connection for days.
    Here it ends `patience` seconds after the first byte that came since `begin`; before that one, after as long a
    silence. Then reading raises TimeoutError.
    """

    def __init__(self, connection: socket.socket, patience: float):
        self._connection, self._patience, self._end = connection, patience, math.inf

    def begin(self) -> None:
        """A new request."""
        self._end = math.inf

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer) -> int:
        """As many bytes as there are."""
        left = min(self._patience, self._end - time.monotonic())
        if left <= 0:
            raise TimeoutError("the request takes too long")
        self._connection.settimeout(left)
        try:
            count = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._patience)
        self._end = min(self._end, time.monotonic() + self._patience)
        return count

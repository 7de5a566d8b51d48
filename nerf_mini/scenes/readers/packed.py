"""The bytes of a binary file, read from front to back; no count is believed before the bytes left bear it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.io.files import read_bytes


class Packed:
    """A place in the bytes of a file.

    Attributes:
        file: for messages.
        data: its bytes.
        offset: of the next one.
    """

    def __init__(self, file: Path, data: bytes | None = None, offset: int = 0) -> None:
        self.file, self.offset = file, offset
        self.data = read_bytes(file) if data is None else data

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self.data) - self.offset

    def require(self, count: int, size: int, what: str) -> None:
        """Raise a UserError unless `count` records of at least `size` bytes can follow."""
        if count * size > self.left:
            raise UserError(
                f"{self.file}: at byte {self.offset}: {quoted(count)} {what} of {size} bytes each cannot follow, as"
                f" only {self.left} bytes are left. Is the file complete?"
            )

    def take(self, dtype: np.dtype, count: int, what: str) -> np.ndarray:
        """The next records: (count,) of the dtype, not to be written to."""
        self.require(count, dtype.itemsize, what)
        values = np.frombuffer(self.data, dtype, count, self.offset)
        self.offset += count * dtype.itemsize
        return values

    def count(self, what: str) -> int:
        """The next number, of 8 bytes, which says how many records follow."""
        return int(self.take(np.dtype("<u8"), 1, f"count of {what}")[0])

    def text(self, what: str) -> str:
        """The next text, which ends with a zero byte."""
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            raise UserError(f"{self.file}: at byte {self.offset}: {what} does not end. Is the file complete?")
        raw, self.offset = self.data[self.offset : end], end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.file}: at byte {end - len(raw)}: {what} is not UTF-8: {quoted(raw)}.") from error

    def end(self) -> None:
        """Raise a UserError unless all has been read."""
        if self.left:
            raise UserError(f"{self.file}: {self.left} bytes follow the last record, at byte {self.offset}.")

"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nerf_mini.errors import UserError


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call write(file) on a temporary file beside `path`, then rename it to `path`; on failure nothing is left behind.

    Raises UserError if the disk is full or the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # what was never made, or is no place for files
            temporary.unlink()
        for folder in made:  # from the innermost out
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise UserError(_explain(path, error)) from error
        raise


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file. Raises UserError if the disk is full or the place cannot be written to."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise UserError(_explain(path, error)) from error


@contextlib.contextmanager
def undone_on_failure(folder: Path) -> Iterator[None]:
    """If the body fails, remove all that it made in a folder that was missing or empty before."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        for content in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(content) if content.is_dir() else content.unlink()
        if not existed and folder.is_dir():
            folder.rmdir()
        raise


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path}: the disk is full. The file was not written; free some space and start again"
            " (a training goes on with --resume)."
        )
    return f"{path}: cannot be written ({error.strerror or error})."


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON, which knows no infinity: a number that is not finite, such as the PSNR of equal pictures, becomes null."""

    def finite(value):
        if isinstance(value, dict):
            return {key: finite(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [finite(member) for member in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(value), indent=indent, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, written atomically."""
    text = to_json(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Raises UserError, naming the file and the place, if it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise UserError(f"{path}: is no valid JSON ({error}).") from error

"""Files and folders that appear whole or not at all, and JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nerf_mini.errors import UserError
from nerf_mini.io.memory import require_memory

_TEMPORARY_NAME = re.compile(r"\..*\.\d+\.tmp")

LEFTOVER_AGE = 3600.0  # seconds after which a temporary file is taken for one of a process that was killed


@contextlib.contextmanager
def file_made_atomically(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `path`, renamed to it when the body ends; if the body fails, nothing is left behind.

    The content is on the disk before the name is: a crash leaves the old file or the new one, whole. Temporary files
    that a killed process left in the folder are removed once they are old.

    Raises UserError if the disk is full or the place cannot be written to.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # it may never have been made, or the place may hold no files
            temporary.unlink()
        for folder in made:  # from the innermost out
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise UserError(_explain(path, error)) from error
        raise


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call write(file) on a file that is made as by `file_made_atomically`."""
    with file_made_atomically(path) as file:
        write(file)


@contextlib.contextmanager
def folder_made_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, renamed to it when the body ends; if the body fails, nothing is left behind.

    `path` must not exist, or be an empty folder. Raises UserError if the disk is full or the place cannot be written
    to; what then cannot be removed either, as on a disk that no longer answers, is named.
    """
    with _temporary_folder(_temporary(path), path) as temporary:
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.rename(path)


@contextlib.contextmanager
def files_made_together(path: Path) -> Iterator[Path]:
    """Where to write a file, or a folder of files, and what belongs beside it: when the body ends, all is moved to
    `path`, and beside it. If the body fails, nothing is left behind, and what was there is as it was.

    Other files of a folder stay; of those that are replaced, some may be new where it is the moving that fails. Raises
    UserError if the disk is full or the place cannot be written to; it, and what the body raises, names `path`.
    """
    path = real_path(path) if path.name in ("", "..") else path
    inside = path / path.name if path.is_dir() else path  # the folder above may be somebody else's
    moved: list[Path] = []
    with _temporary_folder(_temporary(inside), path) as temporary:
        written = temporary / path.name
        try:
            yield written
            for content in sorted(temporary.iterdir()):
                _move(content, path.with_name(content.name), moved)
        except BaseException as error:
            for target in moved:
                with contextlib.suppress(OSError):
                    shutil.rmtree(target) if target.is_dir() else target.unlink()
            if isinstance(error, UserError):
                raise UserError(str(error).replace(str(written), str(path))) from error
            raise


def _move(source: Path, target: Path, moved: list[Path]) -> None:
    """Give a file, or all files of a folder, their final names; those that were not there before join `moved`."""
    if source.is_dir() and target.is_dir():
        for content in sorted(source.iterdir()):
            _move(content, target / content.name, moved)
        return
    if not os.path.lexists(target):
        moved.append(target)
    os.replace(source, target)


@contextlib.contextmanager
def _temporary_folder(temporary: Path, path: Path) -> Iterator[Path]:
    """A folder that is gone when the body ends, by that or by `path`, of which errors speak, being made of it."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had the same number
        temporary.mkdir(parents=True)
        remove_leftovers(temporary.parent)
        yield temporary
        shutil.rmtree(temporary, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:  # from the innermost out
            with contextlib.suppress(OSError):
                folder.rmdir()
        left = f" {temporary} cannot be removed, and may be deleted." if os.path.lexists(temporary) else ""
        if isinstance(error, OSError) or (left and isinstance(error, UserError)):
            told = _explain(path, error) if isinstance(error, OSError) else str(error)
            raise UserError(told + left) from error
        raise


def remove_leftovers(folder: Path, age: float = LEFTOVER_AGE, of: str | None = None) -> None:
    """Remove temporary files and folders of this module that nobody has written to for some seconds; `of` a file of one
    name, or of all."""
    for left in folder.glob(".*.tmp" if of is None else f".{of}.*.tmp"):
        if not is_temporary(left.name):
            continue
        with contextlib.suppress(OSError):  # another process may be faster
            if time.time() - left.stat().st_mtime >= age:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def is_temporary(name: str) -> bool:
    """Whether a name is one of this module's for temporary files and folders."""
    return _TEMPORARY_NAME.fullmatch(name) is not None


def _temporary(path: Path) -> Path:
    """Of this process and thread alone: a server writes from several."""
    return path.with_name(f".{path.name}.{os.getpid()}{threading.get_ident()}.tmp")


def real_path(path: Path) -> Path:
    """An absolute path without links; one through links that lead in a circle ends at them, and cannot be opened."""
    return Path(os.path.realpath(path))


def require_no_way_out(folder: Path) -> None:
    """Raise a UserError if a link within a folder leads out of it: what is written there would end up elsewhere.

    A folder that came from somebody else may hold a link in place of one that is to be written to.
    """
    home = real_path(folder)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            if path.is_symlink() and not real_path(path).is_relative_to(home):
                raise UserError(
                    f"{path}: is a link that leads out of {folder}, and what is written there would end up elsewhere."
                    " Remove it, or put a copy of what it leads to in its place."
                )


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file. Raises UserError if the disk is full or the place cannot be written to."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise UserError(_explain(path, error)) from error


def sync(path: Path) -> None:
    """Have what was written to a file on the disk, if there is such a file and the system can."""
    with contextlib.suppress(OSError), open(path, "rb+") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def undone_on_failure(folder: Path, but: Sequence[str] = ()) -> Iterator[None]:
    """If the body fails, remove all that it made in a folder that was missing or empty before, `but` for files of some
    names, which may have been there."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        for content in folder.iterdir() if folder.is_dir() else ():
            if content.name not in but:
                shutil.rmtree(content) if content.is_dir() else content.unlink()
        if not existed and folder.is_dir():
            folder.rmdir()
        raise


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path}: the disk is full. Nothing was written; free some space and start again"
            " (`nerf-mini train` goes on with --resume)."
        )
    return f"{path}: cannot be written ({error.strerror or error})."


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON, which knows no infinity: what is not finite, such as the PSNR of equal pictures, becomes null."""

    def finite(value):
        if isinstance(value, dict):
            return {key: finite(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [finite(member) for member in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(value), indent=indent, allow_nan=False)


def is_number(value: object) -> bool:
    """Whether a value of a JSON file is a finite number, within what floats hold: no truth value, NaN or 10^400."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def write_bytes(path: Path, data: bytes) -> None:
    """Bytes, written atomically."""
    write_atomically(path, lambda file: file.write(data))


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, written atomically."""
    text = to_json(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def require_file(path: Path) -> None:
    """Raise a UserError unless a path is that of a file: a pipe may never begin, and a device never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: is {'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'}, not a file.")


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises UserError where it cannot be read."""
    require_file(path)
    try:
        require_memory(f"{path}: takes", path.stat().st_size, "Is it the right file?")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error


def read_text(path: Path) -> str:
    """The text in a file. Raises UserError where it cannot be read, or is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as text (byte {error.start} is not UTF-8).") from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises UserError, naming the file and the place, if there is none."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno} ({error.msg})"
        raise UserError(f"{path}: not valid JSON at {place}. Was it cut off?") from error
    except (ValueError, RecursionError) as error:  # numbers or nesting without end
        raise UserError(f"{path}: cannot be read as JSON ({str(error)[:100]}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a JSON object.")
    return content

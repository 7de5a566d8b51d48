"""JSON files that notice when a bit of them has changed: a key "checksum" is over all else that they say.

Over values, not bytes: a file may be laid out anew, or its keys sorted. Whoever edits one by hand writes null there.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from nerf_mini.errors import UserError
from nerf_mini.io.files import read_json, to_json, write_json

KEY = "checksum"
DIGITS = 16


def checksum_of(content: dict[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of what a JSON object says besides its checksum.

    Raises RecursionError for nesting without end.
    """
    said = {key: value for key, value in content.items() if key != KEY}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGITS]


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write indented JSON with its checksum, atomically, as `write_json`."""
    read_back = json.loads(to_json(content))  # where tuples are lists, and what is not finite is null
    write_json(path, {**read_back, KEY: checksum_of(read_back)})


def read_sealed(path: Path, required: bool = False) -> dict[str, Any]:
    """The JSON object in a file, without its checksum; see `unsealed`. Raises UserError as `read_json`."""
    return unsealed(read_json(path), str(path), required)


def unsealed(content: dict[str, Any], where: str, required: bool = True) -> dict[str, Any]:
    """What a JSON object says besides its checksum, which must fit it, or be null.

    Args:
        where: the file, the beginning of every message.
        required: whether there must be one; files of earlier versions have none.

    Raises UserError where a value is not as it was written.
    """
    said = {key: value for key, value in content.items() if key != KEY}
    if KEY not in content:
        if required:
            raise _changed(where, "lacks its checksum")
        return said
    try:
        sound = content[KEY] is None or content[KEY] == checksum_of(said)
    except RecursionError:
        sound = False
    if not sound:
        raise _changed(where, "is not as it was written: its checksum does not fit")
    return said


def _changed(where: str, what: str) -> UserError:
    return UserError(
        f'{where}: {what}. If it was edited on purpose, write "{KEY}": null in it, and it is read as it is; else it is'
        " damaged: put a copy in its place."
    )

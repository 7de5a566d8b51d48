"""metrics.jsonl: what a run writes down on the way. Each line ends with the CRC-32 of what it says; those that runs of
earlier versions wrote have none."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nerf_mini.errors import UserError
from nerf_mini.io.files import require_file, to_json
from nerf_mini.runs.records import MetricsEntry, StepEntry, ValidationEntry

_KEY = "crc32"
_LONGEST_LINE = 1 << 14  # bytes; an honest one has some hundred


@dataclass(frozen=True)
class History:
    """The entries of a run in the order of the file; `damaged` counts lines that are none."""

    steps: tuple[StepEntry, ...] = ()
    validations: tuple[ValidationEntry, ...] = ()
    damaged: int = 0


def read_history(path: Path) -> History:
    """The entries of a metrics.jsonl, without lines that are damaged; nothing where there is no file.

    Raises UserError for a file that cannot be read.
    """
    steps, validations, damaged = [], [], 0
    if path.exists():
        require_file(path)
    try:
        with open(path, "rb") as file:
            while line := file.readline(_LONGEST_LINE):
                entry = _entry(line)
                if isinstance(entry, StepEntry):
                    steps.append(entry)
                elif isinstance(entry, ValidationEntry):
                    validations.append(entry)
                elif line.strip():
                    damaged += 1
    except FileNotFoundError:
        return History()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error
    return History(tuple(steps), tuple(validations), damaged)


def line_of(entry: MetricsEntry) -> str:
    """An entry as a line of metrics.jsonl."""
    said = json.loads(to_json(entry.to_json()))  # where what is not finite is null
    return to_json({**said, _KEY: _crc(said)})


def said_in(line: bytes | str) -> dict[str, Any] | None:
    """The values in a line; None for one that is damaged."""
    try:
        found = json.loads(line)
        intact = isinstance(found, dict) and (_KEY not in found or found.pop(_KEY) == _crc(found))
    except (ValueError, RecursionError):
        return None
    return found if intact else None


def _crc(said: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(said, sort_keys=True).encode()):08x}"


def _entry(line: bytes) -> StepEntry | ValidationEntry | None:
    """What a line says; None for one that is damaged, or says what is not finite."""
    found = said_in(line)
    if found is None:
        return None
    kind = ValidationEntry if "validation_psnr" in found else StepEntry
    names = [field.name for field in fields(kind)]
    try:
        if set(found) != set(names):
            return None
        if kind is ValidationEntry:
            return ValidationEntry(_step(found), _number(found, "validation_psnr"), str(found["view"]))
        return StepEntry(_step(found), *(_number(found, name) for name in names[1:]))
    except (ValueError, TypeError, OverflowError):
        return None


def _step(found: dict[str, Any]) -> int:
    step = found["step"]
    if type(step) is not int or not 0 <= step < 1 << 53:
        raise ValueError("no step")
    return step


def _number(found: dict[str, Any], name: str) -> float:
    value = found[name]
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("not finite")
    return float(value)

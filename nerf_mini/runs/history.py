"""Reading metrics.jsonl: what a run wrote down on the way."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerf_mini.errors import UserError
from nerf_mini.io.files import require_file
from nerf_mini.runs.records import StepEntry, ValidationEntry

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


def _entry(line: bytes) -> StepEntry | ValidationEntry | None:
    """What a line says; None for one that is damaged, or says what is not finite."""
    try:
        found = json.loads(line)
        if "validation_psnr" in found:
            return ValidationEntry(_step(found), _number(found, "validation_psnr"), str(found["view"]))
        names = ("seconds", "loss", "psnr", "learning_rate", "rays")
        return StepEntry(_step(found), *(_number(found, name) for name in names))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
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

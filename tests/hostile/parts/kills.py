"""Trainings that are killed at every stage, also while a file is written; each goes on to the same bits."""

from __future__ import annotations

import json
import re
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

from .. import sound
from ..cases import Case, Outcome, fault_of, outcome_in_process, outcome_of

MOST = 400  # kills; one takes some seconds
SECONDS = 600.0  # without an end: a hang, also on a busy machine that compiles kernels
METHODS = ("nerf", "instant")
SIGNALS = tuple(getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGHUP") if hasattr(signal, name))
CHILD = "import sys; from tests.hostile.dying import main; sys.exit(main())"
SAVED = re.compile(r"interrupted at step \d+, which is saved")


def cases(seed: int, count: int) -> Iterator[Case]:
    """Kills at moments of a training, each followed by what a user does then: go on, or start again."""
    if not hasattr(signal, "SIGKILL") or count == 0:
        return
    random = Random(seed)
    every = [(method, *moment, number) for method in METHODS for moment in _moments(method) for number in SIGNALS]
    random.shuffle(every)
    for place, (method, index, what, number) in enumerate(every[: min(count, MOST)]):
        again = random.randrange(len(_moments(method))) if place % 4 == 3 else None
        yield _case(method, index, what, number, again)


def _case(method: str, index: int, what: str, number: int, again: int | None) -> Case:
    def run(folder: Path) -> str | None:
        target = folder / "run"
        fault = _kill(method, target, index, number, resumed=False)
        if fault is None and again is not None:  # and once more while it goes on, if that comes so far
            fault = _kill(method, target, _moments(method)[again][0], number, resumed=(target / "config.json").exists())
        return fault or _goes_on(method, target)

    twice = "" if again is None else f", then at moment {again}"
    return Case(f"{method}: {signal.Signals(number).name} at moment {index}, {what}{twice}", run)


def _arguments(method: str, target: Path, resumed: bool) -> list[str]:
    options = ["--resume"] if resumed else sound.OPTIONS[method]
    return ["train", str(sound.scene()), "--output", str(target), *options]


def _kill(method: str, target: Path, index: int, number: int, resumed: bool) -> str | None:
    """Train in a process that a signal ends at a moment; what did not hold when it died."""
    words = [index, number, target.parent / "log", target, *_arguments(method, target, resumed)]
    outcome = outcome_in_process(words, code=CHILD, environment={"NUMBA_NUM_THREADS": "1"}, seconds=SECONDS)
    if number == signal.SIGKILL:
        return None if outcome.code in (-number, 0) else f"was not killed, but ended with {outcome.code}: {outcome.err}"
    fault = fault_of(outcome, codes=(0, 128 + number))
    if fault is None and outcome.code and f"ended by {signal.Signals(number).name}" not in outcome.err:
        fault = "was ended without a word"
    if fault is None and not outcome.code and not (SAVED.search(outcome.out) or "finished at step" in outcome.out):
        fault = "ended before its end without a word"
    return fault or _of_locks(target)


def _goes_on(method: str, target: Path) -> str | None:
    """Do what a user does next, and compare the run with one that nobody killed."""
    resumed = (target / "config.json").exists()
    if not resumed and target.exists() and any(target.iterdir()):
        advice = outcome_of(_arguments(method, target, resumed=True))
        if "without --resume" not in " ".join(advice.err.split()):
            return f"--resume does not say what to do: {advice.err[:300]!r}"
    outcome: Outcome = outcome_of(_arguments(method, target, resumed), SECONDS)
    fault = fault_of(replace(outcome, changed=()), codes=(0,))  # which may clear temporary files away
    return fault or _of_locks(target) or _differences(target, _whole(method))


def _of_locks(target: Path) -> str | None:
    return "left its lock" if (target / "training.lock").exists() else None


def _differences(run: Path, whole: Path) -> str | None:
    files, wanted = ({str(p.relative_to(f)) for p in f.rglob("*")} for f in (run, whole))
    if files != wanted:
        return f"files are missing or too many: {sorted(files ^ wanted)[:5]}"
    for file in sorted(name for name in files if name.endswith(".npz")):
        if _content(run / file) != _content(whole / file):
            return f"{file} has other bits"
    return None if _lines(run) == _lines(whole) else f"metrics differ: {_lines(run)} instead of {_lines(whole)}"


def _content(file: Path) -> dict[str, object]:
    """All bits of a checkpoint but the time it took."""
    import numpy as np

    with np.load(file) as archive:
        found: dict[str, object] = {name: (archive[name].dtype.str, archive[name].tobytes()) for name in archive.files}
        meta = json.loads(str(archive["meta"]))
    meta.pop("seconds")
    return {**found, "meta": meta, "checksum": None}


def _lines(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "crc32")} for line in lines]


@cache
def _whole(method: str) -> Path:
    """A run of the same training that nobody killed."""
    return _observed(method)[0]


@cache
def _moments(method: str) -> list[tuple[int, str]]:
    """Index and description of the moments to kill at: of many of a kind, the first, the middle, and the last."""
    kinds: dict[str, list[int]] = {}
    for index, line in enumerate(_observed(method)[1]):
        kinds.setdefault(re.sub(r"\.\d+\.tmp$|\.\d+\.\d+\.tmp$", ".tmp", line), []).append(index)
    chosen = {(at[place], kind) for kind, at in kinds.items() for place in (0, len(at) // 2, -1)}
    return sorted(chosen)


@cache
def _observed(method: str) -> tuple[Path, list[str]]:
    place = Path(tempfile.mkdtemp(prefix="hostile-whole-", dir=sound.scene().parent))
    words = [-1, 0, place / "log", place / "run", *_arguments(method, place / "run", resumed=False)]
    outcome = outcome_in_process(words, code=CHILD, environment={"NUMBA_NUM_THREADS": "1"}, seconds=SECONDS)
    assert outcome.code == 0, outcome.err
    return place / "run", (place / "log").read_text().splitlines()

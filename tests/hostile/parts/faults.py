"""Faults of the machine: disks that are full, folders that cannot be read, data that vanish, streams that are closed,
clocks that go back, caches that are damaged, and an environment that makes no sense."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from random import Random

from PIL import Image

from .. import sound
from ..cases import Case, Outcome, fault_of, listing, outcome_in_process, outcome_of
from ..failing import READS, WRITES, Fault, count_of, failing, refusing

FULL = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EFBIG", "ESTALE")
UNREADABLE = ("EACCES", "EIO", "ESTALE", "ELOOP", "ENOENT", "EMFILE", "EISDIR")
SLOW = 12  # one case in so many has a process of its own

Work = Callable[[Path], list[str]]
"""The words of a command in a folder that holds a data set, "scene", and a finished run, "run"."""

WORKS: dict[str, Work] = {
    "train": lambda f: ["train", str(f / "scene"), "--output", str(f / "new"), *sound.OPTIONS["nerf"]],
    "train --resume": lambda f: ["train", str(f / "scene"), "--output", str(f / "run"), "--resume", "--max-steps", "8"],
    "eval": lambda f: ["eval", str(f / "run")],
    "render": lambda f: ["render", str(f / "run"), "--views", "2", "--output", str(f / "pictures")],
    "render to a file": lambda f: ["render", str(f / "run"), "--views", "2", "--output", str(f / "orbit.gif")],
    "report": lambda f: ["report", str(f / "run")],
    "export cameras": lambda f: ["export", str(f / "run"), "cameras", "--output", str(f / "cameras")],
    "export maps": lambda f: ["export", str(f / "run"), "maps", "--output", str(f / "maps")],
    "check": lambda f: ["check", str(f / "scene"), "--json", str(f / "found.json")],
    "scene": lambda f: ["scene", "blobs", "--output", str(f / "made"), "--size", "8", "--views", "3"],
}


def cases(seed: int, count: int) -> Iterator[Case]:
    """Faults of every kind, in turn; few of those that need a process of their own, which takes seconds."""
    random = Random(seed)
    quick = (maker(random) for maker in cycle((_refused_write, _refused_read, _vanishing, _clock)))
    slow = iter(random.sample(found := list(_in_processes()), len(found)))
    turns = (next(slow, None) if index % SLOW == SLOW - 1 else next(quick) for index in range(2 * count))
    yield from islice((case for case in turns if case is not None), count)


def _prepared(folder: Path) -> None:
    sound.copied(sound.scene(), folder / "scene")
    sound.copied(sound.run("nerf"), folder / "run")


# ----------------------------------------------------------------------------------------------------------------------
# In this process


def _refused_write(random: Random) -> Case:
    return _refused(random, WRITES, FULL)


def _refused_read(random: Random) -> Case:
    return _refused(random, READS, UNREADABLE)


def _refused(random: Random, kind: str, errors: Sequence[str]) -> Case:
    verb, name, lasting = random.choice(list(WORKS)), random.choice(errors), random.random() < 0.7
    share = random.random()

    def run(folder: Path) -> str | None:
        _prepared(folder)
        moment, before = int(share * _moments(verb, kind)), listing(folder)
        with failing(Fault(kind, str(folder), moment, refusing(getattr(errno, name)), lasting)):
            outcome = outcome_of(WORKS[verb](folder))
        changed = tuple(sorted(name for name, _ in listing(folder).items() ^ before.items()))  # looked at without fault
        may_remain = (
            ("new", "run") if verb.startswith("train") else ("run/eval", "run/renders", "run/report", "pictures")
        )
        changed = tuple(name for name in changed if not _said_to_be_left(name, outcome, kind if lasting else ""))
        fault = fault_of(replace(outcome, changed=changed), may_remain)
        return fault or _broken_picture(folder / "pictures") or _still_sound(verb, folder)

    return Case(f"{verb}: {name} at {share:.0%} of its {kind}{', from then on' if lasting else ''}", run)


def _broken_picture(folder: Path) -> str | None:
    """Pictures that were rendered before the fault stay: whoever waited for them has them. Each is whole."""
    for file in sorted(folder.rglob("*.png")):
        try:
            with Image.open(file) as picture:
                picture.load()
        except Exception as error:
            return f"left {file.name}, which is no whole picture: {error}"
    return None


def _said_to_be_left(name: str, outcome: Outcome, lasting: str) -> bool:
    """Whether a folder that can no longer be listed, and so not be removed, is named."""
    temporary = Path(name).parts[0]
    return lasting == READS and temporary.endswith(".tmp") and f"{temporary} cannot be removed" in outcome.err


def _still_sound(verb: str, folder: Path) -> str | None:
    """What a user does next works: a training goes on or starts again, and anything else is done again."""
    words = WORKS[verb](folder)
    if verb == "train" and (folder / "new" / "config.json").exists():
        words = ["train", str(folder / "scene"), "--output", str(folder / "new"), "--resume"]
    for made in ("made", "pictures", "maps", "cameras"):
        shutil.rmtree(folder / made, ignore_errors=True)
    again = outcome_of(words)
    fault = fault_of(replace(again, changed=()), codes=(0, 1) if verb == "check" else (0,))
    left = [str(p.relative_to(folder)) for p in folder.rglob(".*.tmp")] + list(map(str, folder.rglob("training.lock")))
    return f"afterwards: {fault}" if fault else f"left {left[:3]}" if left and verb.startswith("train") else None


@cache
def _moments(verb: str, kind: str) -> int:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        _prepared(folder)
        return count_of(kind, folder, lambda: outcome_of(WORKS[verb](folder)))


def _vanishing(random: Random) -> Case:
    """A folder goes while a command works on it."""
    verb, what, share = (
        random.choice(list(WORKS)),
        random.choice(("scene", "run", "new", "run/checkpoints")),
        random.random(),
    )

    def run(folder: Path) -> str | None:
        _prepared(folder)
        moment = int(share * _moments(verb, READS))
        gone = Fault(READS, str(folder), moment, lambda path: _remove(folder / what), lasting=False)
        with failing(gone):
            outcome = outcome_of(WORKS[verb](folder))
        return fault_of(replace(outcome, changed=()))

    return Case(f"{verb}: {what} goes at {share:.0%} of its reads", run)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _clock(random: Random) -> Case:
    """The clock of the system is set while a command works."""
    verb, step = random.choice(list(WORKS)), random.choice((-1e9, -3600.0, -0.5, 1e9))

    def run(folder: Path) -> str | None:
        _prepared(folder)
        real, drift = time.time, [0.0]

        def drifting() -> float:
            drift[0] += step
            return real() + drift[0] if abs(drift[0]) < 1e9 else real() + step

        time.time = drifting
        try:
            outcome = outcome_of(WORKS[verb](folder))
        finally:
            time.time = real
        return fault_of(outcome, codes=(0, 1) if verb == "check" else (0,))

    return Case(f"{verb}: the clock goes by {step:g} s at each look", run)


# ----------------------------------------------------------------------------------------------------------------------
# In processes of their own

SHELL = (
    ('"$@" >&-', "no standard output"),
    ('"$@" 2>&-', "no standard error"),
    ('"$@" <&- >&- 2>&-', "no streams at all"),
    ('{ "$@"; echo $? >code; } | true; exit $(cat code)', "a reader that has gone"),
    ('{ "$@"; echo $? >code; } 2>&1 | head -c 20; exit $(cat code)', "a reader that goes"),
    ('"$@" >/dev/full', "output to a full disk"),
    ('"$@" 2>/dev/full', "errors to a full disk"),
    ('ulimit -n 20; "$@"', "few file handles"),
    ('ulimit -f 4; "$@"', "no file above two kilobytes"),
)  # fmt: skip
ENVIRONMENTS: tuple[dict[str, str | None], ...] = (
    {"NUMBA_NUM_THREADS": "0"}, {"NUMBA_NUM_THREADS": "many"}, {"NUMBA_NUM_THREADS": "999999"},
    {"NUMBA_THREADING_LAYER": "none"}, {"TQDM_DISABLE": "1"}, {"TQDM_NCOLS": "wide"}, {"NO_COLOR": "1"},
    {"TERM": "dumb"}, {"COLUMNS": "1"}, {"COLUMNS": "0"}, {"HOME": None}, {"HOME": "/nonexistent"}, {"HOME": "\udcff"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"TMPDIR": "/nonexistent"}, {"PATH": None},
    {"PYTHONUNBUFFERED": "1"}, {"PYTHONIOENCODING": "ascii"}, {"TZ": "nowhere"}, {"SOURCE_DATE_EPOCH": "x"},
)  # fmt: skip


def _in_processes() -> Iterator[Case]:
    if os.name != "nt":
        for (line, what), verb in zip(SHELL, cycle(("check", "train", "render", "eval")), strict=False):
            yield Case(f"{verb}: {what}", partial(_in_shell, line, verb))
    for environment, verb in zip(ENVIRONMENTS, cycle(("train", "report", "render to a file")), strict=False):
        named = ", ".join(f"{key}={value}" for key, value in environment.items()).encode("ascii", "replace").decode()
        yield Case(f"{verb}: {named}", partial(_in_environment, environment, verb))
    for damage in ("cut", "flipped", "empty", "garbage", "a folder"):
        yield Case(f"a compiled kernel in the cache is {damage}", partial(_with_damaged_cache, damage))


def _in_shell(line: str, verb: str, folder: Path) -> str | None:
    _prepared(folder)
    outcome = outcome_in_process(WORKS[verb](folder), before=("sh", "-c", line, "sh"))
    silent = outcome.code and (">&-" in line or "/dev/full" in line or "code" in line)
    fault = fault_of(replace(outcome, err="..." if silent else outcome.err), ("new", "code"), codes=(0, 1, 2, 141))
    return fault or (None if "ulimit" not in line else _still_sound(verb, folder))


def _in_environment(environment: dict[str, str | None], verb: str, folder: Path) -> str | None:
    _prepared(folder)
    outcome = outcome_in_process(WORKS[verb](folder), environment)
    odd = [name for name in outcome.changed if name.startswith("~")]
    return fault_of(outcome) or (f"made {odd}" if odd else None)


def _with_damaged_cache(damage: str, folder: Path) -> str | None:
    """A copy of the cache of compiled kernels, one of which is damaged."""
    from nerf_mini.ops import cache_folder

    _prepared(folder)
    outcome_of(WORKS["eval"](folder))  # which compiles what it needs
    kernels = cache_folder()
    if kernels is None:
        return None
    code = "import os; from nerf_mini.ops import cache_folder; print(cache_folder())"
    environment = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    place = Path(outcome_in_process([], environment, code=code).out.strip())
    for file in kernels.glob("*.nbc"):
        shutil.copy2(file, place)
    for file in place.glob("activate_forward*.nbc"):
        _damage(file, damage)
    outcome = outcome_in_process(WORKS["eval"](folder), environment, seconds=600)
    return fault_of(outcome, codes=(0,))


def _damage(file: Path, damage: str) -> None:
    content = bytearray(file.read_bytes())
    if damage == "a folder":
        file.unlink()
        file.mkdir()
        return
    content[len(content) // 2] ^= 16
    changed = {"cut": content[: len(content) // 2], "flipped": content, "empty": b"", "garbage": b"\x80\x05no pickle"}
    file.write_bytes(changed[damage])

"""Ways to damage a file of a run: its bytes, what its JSON says, and what is in a checkpoint."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.io.files import write_atomically
from nerf_mini.runs import checkpoint
from nerf_mini.runs.sealing import KEY, checksum_of

Damage = Callable[[Path, random.Random], None]
"""Damages a file, in a way that the generator chooses."""

# ----------------------------------------------------------------------------------------------------------------------
# Bytes


def flip(file: Path, rng: random.Random) -> None:
    """One bit."""
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def cut(file: Path, rng: random.Random) -> None:
    """The end is missing."""
    data = file.read_bytes()
    file.write_bytes(data[: rng.randrange(len(data))])


def zero(file: Path, rng: random.Random) -> None:
    """A block of zeros, as some file systems leave after a crash."""
    data = bytearray(file.read_bytes())
    start = rng.randrange(len(data))
    length = min(rng.choice([1, 16, 512, 4096]), len(data) - start)
    data[start : start + length] = bytes(length)
    file.write_bytes(data)


def grow(file: Path, rng: random.Random) -> None:
    """Something is added in the middle or at the end."""
    data = file.read_bytes()
    at = rng.choice([rng.randrange(len(data)), len(data)])
    file.write_bytes(data[:at] + rng.randbytes(rng.choice([1, 7, 512])) + data[at:])


def swap(file: Path, rng: random.Random) -> None:
    """Two blocks change places."""
    data = file.read_bytes()
    length = max(1, min(rng.choice([1, 4, 64, 512]), len(data) // 3))
    first = rng.randrange(len(data) - 2 * length + 1)
    second = rng.randrange(first + length, len(data) - length + 1)
    a, b = data[first : first + length], data[second : second + length]
    file.write_bytes(data[:first] + b + data[first + length : second] + a + data[second + length :])


BYTES: dict[str, Damage] = {"flip": flip, "cut": cut, "zero": zero, "grow": grow, "swap": swap}

# ----------------------------------------------------------------------------------------------------------------------
# JSON

_MARK = "@here@"
_RAW = (
    "NaN", "Infinity", "-Infinity", "1e999", "1e308", "-1e308", "5e-324", "0", "-0.0", "-1", "1", "2", "0.5",
    "1" + "0" * 400, "-1" + "0" * 400, "9223372036854775808", "1e15", "-1e-9", "null", "true", "false", "[]", "{}",
    '""', '"a text"', '"\\u001b[2J\\u0007"', '"\\ud800"', '"' + "x" * 100_000 + '"', "[[[1]]]", "[" * 10_000, '"NaN"',
    "[" * 900 + "]" * 900, '{"a": 1}', "[1, 2, 3]", "[null]", '"../../../etc/passwd"', "16", "3.0", "1000000",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that is in nested lists and objects."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield (*path, key)
        yield from places(member, (*path, key))


def say_otherwise(content: Any, rng: random.Random) -> str:
    """JSON text in which a value, or a section, is another: of another kind, extreme, absent or twice there."""
    content = json.loads(json.dumps(content))
    *path, key = _place(content, rng)
    section = content
    for step in path:
        section = section[step]
    what, raw = rng.choice(["replace", "replace", "replace", "remove", "swap", "scale", "twice"]), rng.choice(_RAW)
    if what == "remove":
        del section[key]
    elif what == "swap":
        other = rng.choice(list(section) if isinstance(section, dict) else list(range(len(section))))
        section[key], section[other] = section[other], section[key]
    elif what == "scale" and type(section[key]) in (int, float):
        section[key] = section[key] * rng.choice([-1, 0.5, 1.001, 1e3, 1e6, 1e-6])
    elif what == "twice" and isinstance(section, list):
        section.insert(key, section[key])
    else:
        section[key] = _MARK
    return json.dumps(content).replace(f'"{_MARK}"', raw)


def _place(content: Any, rng: random.Random) -> tuple[Any, ...]:
    """The path of something, sections as likely as the many numbers of a matrix."""
    by_name: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for path in places(content):
        by_name.setdefault(tuple("#" if isinstance(key, int) else key for key in path), []).append(path)
    return rng.choice(by_name[rng.choice(list(by_name))])


def edit(file: Path, rng: random.Random) -> None:
    """Whoever edits a file by hand says so, or sees to the checksum."""
    content = json.loads(file.read_text())
    content.pop(KEY, None)
    text = say_otherwise(content, rng)
    try:
        changed = json.loads(text)
        seal: str | None = checksum_of(changed) if rng.random() < 0.5 else None
    except (ValueError, RecursionError):
        seal = None
    file.write_text(text.rstrip()[:-1] + f', "{KEY}": {json.dumps(seal)}}}')


def edit_a_line(file: Path, rng: random.Random) -> None:
    """A line of JSON is another, or there twice, or elsewhere."""
    lines = file.read_text().splitlines()
    at = rng.randrange(len(lines))
    content = {key: value for key, value in json.loads(lines[at]).items() if key != "crc32"}
    lines[at] = rng.choice([say_otherwise(content, rng), lines[0], "[]", "null", "{}", "\0" * 50, "x" * 99_999])
    file.write_text("\n".join(lines) + "\n")


# ----------------------------------------------------------------------------------------------------------------------
# Checkpoints


def tamper(file: Path, rng: random.Random) -> None:
    """What a checkpoint holds is another, and its checksums fit."""
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files if name not in ("meta", "checksum")}
        meta = json.loads(str(archive["meta"]))
    text = json.dumps(meta)
    what = rng.choice(["meta", "array", "array", "drop", "add"])
    name = rng.choice(list(arrays))
    if what == "meta":
        meta.pop("checksums")
        text = say_otherwise(meta, rng)
    elif what == "drop":
        del arrays[name]
    elif what == "add":
        arrays[rng.choice(["parameters/other", "../outside", "a" * 300, "sampler", "checksum/x"])] = np.zeros(3)
    else:
        arrays[name] = rng.choice(_ARRAYS)(arrays[name])
    _write(file, text, arrays, with_sums=rng.random() < 0.8)


_ARRAYS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else array + 1,
    lambda array: np.full_like(array, np.inf) if array.dtype.kind == "f" else array[..., :0],
    lambda array: array.astype(np.float64),
    lambda array: array.astype(np.int64),
    lambda array: array[None],
    lambda array: array.reshape(-1)[:-1],
    lambda array: np.zeros((0, 3), array.dtype),
    lambda array: np.array("a text"),
    lambda array: array.astype(">f4"),
    lambda array: np.full_like(array, np.finfo(np.float32).max) if array.dtype.kind == "f" else -array.astype(np.int64),
]


def _write(file: Path, text: str, arrays: dict[str, np.ndarray], with_sums: bool) -> None:
    if with_sums:
        sums = {name: checkpoint.checksum(array) for name, array in arrays.items()}
        text = text.rstrip()[:-1] + f', "checksums": {json.dumps(sums)}}}'
    meta = np.array(text)
    members = {"meta": meta, "checksum": np.array(checkpoint.checksum(meta)), **arrays}
    write_atomically(file, lambda stream: checkpoint._write_sealed(stream, members))


def other_archive(file: Path, rng: random.Random) -> None:
    """Something else under the name of a checkpoint: what would ask for much memory, or run code, among it."""
    rng.choice([_empty, _lone_array, _objects, _bomb, _lying_header, _no_arrays, _twice])(file)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _lone_array(file: Path) -> None:
    with open(file, "wb") as stream:
        np.save(stream, np.zeros(4))


def _objects(file: Path) -> None:
    with open(file, "wb") as stream:
        np.savez(stream, meta=np.array([{"a": 1}, print], dtype=object))


def _bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("meta.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (10**8,)})
            for _ in range(100):
                member.write(bytes(10**6))


def _lying_header(file: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2 * 10**9, 2)}
    )  # fmt: skip
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("meta.npy", header.getvalue() + bytes(16))


def _no_arrays(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../outside.npy", b"x")


def _twice(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data + data)

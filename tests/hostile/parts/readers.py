"""Damaged data sets of every format: cut, flipped, retyped, extreme, swapped, self-referring."""

from __future__ import annotations

import io
import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import sound
from ..cases import Case, fault_of, outcome_of

Damage = Callable[[Path, random.Random], str]
"""Damages one file of a data set, and says how; empty where there was nothing to damage."""

EXTREMES = (
    0, -1, 1, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e-300, 2**31, -(2**31) - 1, 2**63, 2**64, 10**30, float("nan"),
    float("inf"), -float("inf"), 1e10, 1e-10, 0.5, 1e5,
)  # fmt: skip
OTHERS = (
    None, True, "", "x", "\x1b[31mred\x07\x9b2J", "\u202egnp.exe", "x" * 5000, "../../../etc/passwd", "/etc/passwd",
    ".", "transforms.json", "a\x00b",
    "a/" * 3000, "\ud800", [], {}, [[]], [[1]], [None], {"a": 1}, [1, 2, 3], ["x"] * 9,
    [[1, 0, 0, 0]] * 4, [[0] * 4] * 4, [[1e200] * 4] * 4, 10**400, "nan", "1", False,
)  # fmt: skip
WORDS = (
    "nan", "inf", "-inf", "1e308", "1e-320", "1e999", "9" * 400, "-1", "0", "0.5", "18446744073709551616", "x", "#", "",
    "\x1b[2J", "\x00", "x" * 5000, "0x7f", "1_0", "\u0663", "PINHOLE", "OPENCV_FISHEYE", "../../x.png", "-0",
)  # fmt: skip
PROOF = "executed"  # the file that code of a data set makes, if it is ever run


def cases(seed: int, count: int) -> Iterator[Case]:
    """Copies of sound data sets with one to three damages, read by `nerf-mini check` and `train`."""
    kinds = sound.kinds()
    if count:
        sound.warm_up()
    for number in range(count):
        rng = random.Random(f"readers {seed} {number}")
        kind = rng.choice(kinds)
        yield Case(f"{number} {kind}", _trial(kind, rng))


def _trial(kind: str, rng: random.Random) -> Callable[[Path], str | None]:
    def run(folder: Path) -> str | None:
        source = sound.scene(kind)
        data = sound.copied(source, folder / f"data{source.suffix}")
        done = [damage for _ in range(rng.choices((1, 2, 3), (7, 2, 1))[0]) if (damage := _damaged(data, rng))]
        way = rng.choices(("quick", "check", "train"), (4, 4, 3))[0]
        words: list[object] = ["check", data, *(["--quick"] if way == "quick" else [])]
        if way == "train":
            words = ["train", data, "--output", "out", *sound.OPTIONS["instant"], "--max-seconds", "5", "--no-report"]
        outcome = outcome_of(words)
        begun = way == "train" and ("at step" in outcome.err or "is saved" in outcome.err)
        fault = fault_of(outcome, ("out",) if begun else ())
        if (folder / PROOF).exists():
            fault = "code of the data set was run"
        return None if fault is None else f"{fault} [{way}; {'; '.join(done)}]"

    return run


def _damaged(data: Path, rng: random.Random) -> str:
    """Damage a file of the data set, in one of the ways that suit it."""
    files = [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.is_file() and "truth" not in p.parts)
    if not files:
        return ""
    pictures = [file for file in files if file.suffix == ".png"]
    others = [file for file in files if file not in pictures]
    file = rng.choice(pictures if pictures and (not others or rng.random() < 0.25) else others)
    ways = [*ANY, *3 * BY_SUFFIX.get(file.suffix, ())]
    way = rng.choice(ways)
    return f"{file.name}: {way.__name__.strip('_')} {way(file, rng)[:120]!a}"


# ----------------------------------------------------------------------------------------------------------------------
# Any file


def _cut(file: Path, rng: random.Random) -> str:
    data = file.read_bytes()
    length = rng.randrange(len(data) + 1)
    file.write_bytes(data[:length])
    return f"at {length}"


def _flip(file: Path, rng: random.Random) -> str:
    data = bytearray(file.read_bytes())
    places = [rng.randrange(len(data)) for _ in range(rng.choice((1, 1, 2, 8)))] if data else []
    for place in places:
        data[place] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    return str(places)


def _overwrite(file: Path, rng: random.Random) -> str:
    """Extreme numbers where numbers may be."""
    data = bytearray(file.read_bytes())
    form = rng.choice(("<Q", "<d", "<I", "<f", "<q"))
    value = (
        rng.choice((0, 1, 2**31, 2**32 - 1, 255)) if form[1] in "QIq" else rng.choice((float("nan"), 1e30, -0.0, 0.0))
    )
    if form in ("<Q", "<q"):
        value = rng.choice((0, 2**62, 2**63 - 1, 1000, 2**32))
    raw = struct.pack(form, value)
    place = (
        rng.randrange(max(1, len(data) - len(raw))) if rng.random() < 0.5 else 4 * rng.randrange(max(1, len(data) // 4))
    )
    data[place : place + len(raw)] = raw
    file.write_bytes(data)
    return f"{form} {value} at {place}"


def _extend(file: Path, rng: random.Random) -> str:
    with open(file, "ab") as stream:
        stream.write(rng.choice((b"\0" * 9, b"\xff" * 100, b"\n\n", b"{}", b"garbage " * 50)))
    return ""


def _replace(file: Path, rng: random.Random) -> str:
    """Something else in its place."""
    kind = rng.choice(("nothing", "empty", "folder", "itself", "fifo", "zeros", "sibling", "brackets", "text"))
    data = file.read_bytes()
    siblings = sorted(p for p in file.parent.iterdir() if p.is_file() and p != file)
    file.unlink()
    if kind == "empty":
        file.write_bytes(b"")
    elif kind == "folder":
        file.mkdir()
    elif kind == "itself":
        file.symlink_to(file)
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "zeros":
        file.symlink_to("/dev/zero")
    elif kind == "sibling":
        file.write_bytes(rng.choice(siblings).read_bytes() if siblings else data[::-1])
    elif kind == "brackets":
        file.write_bytes(rng.choice((b"[", b'{"frames":', b"(")) * 10_000)
    elif kind == "text":
        file.write_bytes(rng.choice((b"\xff\xfe\x00", b"null", b"[]", b"{}", b"0", b"# nothing\n", b"\xef\xbb\xbf{}")))
    return kind


ANY: tuple[Damage, ...] = (_cut, _flip, _overwrite, _extend, _replace)

# ----------------------------------------------------------------------------------------------------------------------
# JSON


def _json_value(file: Path, rng: random.Random) -> str:
    """Another value, kind, place or no value at all for something in it."""
    try:
        content = json.loads(file.read_text())
    except (ValueError, OSError, RecursionError):
        return "not any more"
    places = list(_places(content))
    if not places:
        return "nothing in it"
    holder, key, path = rng.choice(places if rng.random() < 0.5 else [p for p in places if len(p[2]) <= 2] or places)
    way = rng.choice(("extreme", "other", "delete", "swap", "double", "rename"))
    if way == "extreme":
        holder[key] = rng.choice(EXTREMES)
    elif way == "other":
        holder[key] = rng.choice(OTHERS)
    elif way == "swap":
        other, place, _ = rng.choice(places)
        holder[key], other[place] = other[place], holder[key]
    elif way == "double" and isinstance(holder, list):
        holder.append(holder[key])
    elif way == "rename" and isinstance(holder, dict):
        holder[
            rng.choice(("frames", "fl_x", "k1", "camera_model", "file_path", "mask_path", "ply_file_path", "\x1b[2J"))
        ] = holder.pop(key)
    else:
        del holder[key]
    try:
        text = json.dumps(content)
    except (ValueError, RecursionError):  # swapped into itself
        text = '{"frames": {"frames": '
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return f"{way} {'.'.join(map(str, path))}"


def _json_nested(file: Path, rng: random.Random) -> str:
    """Brackets without end, or digits, in place of a value."""
    text = file.read_text(errors="replace")
    starts = [place for place, letter in enumerate(text) if letter == ":"]
    if not starts:
        return ""
    place = rng.choice(starts) + 1
    deep = rng.choice(
        (
            "[" * 10_000 + "]" * 10_000,
            '{"a":' * 5_000 + "1" + "}" * 5_000,
            "9" * 5_000,
            "1e99999",
            '"' + "y" * 10**5 + '"',
        )
    )
    end = min(
        (e for e in (text.find(",", place), text.find("\n", place), text.find("}", place)) if e > 0), default=len(text)
    )
    file.write_text(text[:place] + deep + text[end:])
    return deep[:20]


def _places(value: Any, path: tuple[object, ...] = ()) -> Iterator[tuple[Any, Any, tuple[object, ...]]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield value, key, (*path, key)
        yield from _places(member, (*path, key))


# ----------------------------------------------------------------------------------------------------------------------
# Text


def _token(file: Path, rng: random.Random) -> str:
    lines = file.read_text(errors="replace").split("\n")
    full = [number for number, line in enumerate(lines) if line.split()]
    if not full:
        return ""
    number = rng.choice(full)
    tokens = lines[number].split(" ")
    place = rng.randrange(len(tokens))
    word = rng.choice(WORDS)
    tokens[place : place + 1] = rng.choice(([word], [word], [], [word, tokens[place]], [rng.choice(tokens)]))
    lines[number] = " ".join(tokens)
    file.write_text("\n".join(lines))
    return f"line {number + 1}, word {place}: {word[:20]}"


def _line(file: Path, rng: random.Random) -> str:
    lines = file.read_text(errors="replace").split("\n")
    number = rng.randrange(len(lines))
    lines[number : number + 1] = rng.choice(
        ([], 2 * [lines[number]], [rng.choice(lines)], ["", lines[number]], ["x " * 40_000])
    )
    file.write_text("\n".join(lines))
    return f"line {number + 1}"


# ----------------------------------------------------------------------------------------------------------------------
# Arrays


class Executed:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (PROOF, "w")


def _other_array(array: np.ndarray, rng: random.Random) -> Any:
    way = rng.randrange(12)
    if way == 0:
        return np.array([Executed()] * 3, object)
    if way == 1:
        return array.astype(rng.choice((np.complex128, np.float16, np.int8, np.uint64, np.bool_, "S8", "U8")))
    if way == 2:
        return array[..., : array.shape[-1] // 2] if array.ndim else array.reshape(1, 1)
    if way == 3:
        return array[: len(array) // 2] if array.ndim else np.zeros(0)
    if way == 4:
        return array.T
    if way == 5:
        return array[None]
    if way == 6:
        return np.zeros((0, *array.shape[1:]), array.dtype)
    changed = np.array(array, np.float64)
    if changed.size:
        changed.reshape(-1)[rng.randrange(changed.size)] = float(rng.choice(EXTREMES))
    return changed if way < 10 else np.full_like(changed, float(rng.choice(EXTREMES)))


def _arrays(file: Path, rng: random.Random) -> str:
    """Other arrays in an .npy or .npz file."""
    try:
        loaded = np.load(file)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except Exception:
        return "not any more"
    name = rng.choice(sorted(arrays))
    changed = _other_array(arrays[name], rng)
    stream = io.BytesIO()
    if name == "":
        np.save(stream, changed)
    else:
        kept = {key: value for key, value in arrays.items() if key != name}
        np.savez(stream, **kept, **({} if rng.random() < 0.1 else {name: changed}))
    file.write_bytes(stream.getvalue())
    return f"{name}: {changed.dtype} {changed.shape}"


def _header(file: Path, rng: random.Random) -> str:
    """A header that lies about what follows."""
    stream = io.BytesIO()
    shape = rng.choice(("(10**11, 17)", "(2**62, 4)", "(-1, 17)", "(17,)", "()", "(1e3, 2)", "(" * 500, "(3, 17, 0)"))
    kind = rng.choice(("'<f8'", "'|O'", "'<f8', 'x'", "[('a', '<f8')]", "'<U1000000000'"))
    text = f"{{'descr': {kind}, 'fortran_order': {rng.choice(('False', 'True', '1'))}, 'shape': {shape}, }}".encode()
    stream.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n" + b"\0" * 200)
    if file.suffix == ".npy":
        file.write_bytes(stream.getvalue())
    else:
        import zipfile

        with zipfile.ZipFile(file, "w") as archive:
            for name in ("images", "poses", "focal"):
                archive.writestr(f"{name}.npy", stream.getvalue())
    return f"{kind} {shape[:20]}"


# ----------------------------------------------------------------------------------------------------------------------
# Pictures


def _picture(file: Path, rng: random.Random) -> str:
    """Another picture, or what only claims to be one."""
    kind = rng.choice(
        ("postscript", "gif", "huge", "grey16", "tiny", "palette", "float", "cmyk", "clear", "large", "tiff", "bmp")
    )
    stream = io.BytesIO()
    size = rng.choice(((16, 16), (24, 18), (1, 1), (17, 16), (3000, 1)))
    if kind == "postscript":
        file.write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n("
            + PROOF.encode()
            + b") (w) file closefile\nshowpage\n"
        )
        return kind
    if kind == "huge":
        import zlib

        head = struct.pack(
            ">IIBBBBB", *rng.choice(((60_000, 60_000), (2**31 - 1, 2**31 - 1), (30_000, 30_000))), 8, 2, 0, 0, 0
        )
        chunk = b"IHDR" + head
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)))
        return kind
    mode = {"grey16": "I;16", "palette": "P", "float": "F", "cmyk": "CMYK", "clear": "RGBA", "bmp": "RGB"}.get(
        kind, "RGB"
    )
    image = Image.new(mode, size if kind != "large" else (400, 300))
    image.save(stream, {"gif": "GIF", "float": "TIFF", "cmyk": "JPEG", "tiff": "TIFF", "bmp": "BMP"}.get(kind, "PNG"))
    data = bytearray(stream.getvalue())
    if kind in ("tiff", "bmp"):  # lying about sizes and places
        place = rng.randrange(4, min(len(data) - 4, 60))
        data[place : place + 4] = struct.pack("<I", rng.choice((0, 8, 2**31, 2**32 - 1, 10**6)))
    file.write_bytes(data)
    return f"{kind} {image.size}"


BY_SUFFIX: dict[str, tuple[Damage, ...]] = {
    ".json": (_json_value, _json_value, _json_value, _json_nested),
    ".txt": (_token, _token, _line),
    ".npy": (_arrays, _header),
    ".npz": (_arrays, _arrays, _header),
    ".png": (_picture,),
    ".bin": (_overwrite,),
    ".ply": (_token, _overwrite),
}

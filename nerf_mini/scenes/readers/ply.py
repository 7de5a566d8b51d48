"""The vertices of PLY files, ASCII or binary, as sparse points come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError, quoted
from nerf_mini.io.files import read_bytes
from nerf_mini.scenes.readers.packed import Packed

_LONGEST_HEADER = 1 << 16  # bytes
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}


def read_ply_points(file: Path) -> np.ndarray:
    """The places of the vertices of a PLY file, (n, 3) float64.

    Raises:
        UserError: it is no PLY file, ends early, or its first element is not one of vertices with x, y and z.
    """
    data = read_bytes(file)
    form, count, properties, start = _header(file, data)
    if form == "ascii":
        table = _ascii_table(file, data[start:], count, len(properties))
        positions = np.stack([table[:, list(properties).index(axis)] for axis in "xyz"], axis=1)
    else:
        dtype = np.dtype([(name, _ORDERS[form] + kind) for name, kind in properties.items()])
        records = Packed(file, data, start).take(dtype, count, "vertices")
        with np.errstate(invalid="ignore"):  # of NaNs, which are found below
            positions = np.stack([records[axis].astype(np.float64) for axis in "xyz"], axis=1)
    wrong = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(wrong):
        raise UserError(f"{file}: vertex {wrong[0]} is at {positions[wrong[0]].tolist()}, which is no place.")
    return positions


def _header(file: Path, data: bytes) -> tuple[str, int, dict[str, str], int]:
    """Format, number of vertices, their properties with NumPy's types, and where the vertices begin."""
    end = data.find(b"end_header", 0, _LONGEST_HEADER)
    start = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or start == 0:
        raise UserError(f"{file}: is no PLY file, or its header does not end.")
    form, count, properties, elements = "", -1, dict[str, str](), 0
    for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
        match line.split():
            case ["format", name, _]:
                form = name
            case ["element", name, number]:
                elements += 1
                if elements == 1 and (name != "vertex" or not number.isdecimal() or len(number) > 18):
                    raise UserError(f"{file}: the first element must be of vertices, not {quoted(line)}.")
                count = int(number) if elements == 1 else count
            case ["property", kind, name] if elements == 1 and kind in _TYPES:
                properties[name] = _TYPES[kind]
            case ["property", *_] if elements == 1:
                raise UserError(f"{file}: vertices with {quoted(line)} are not supported.")
    if form not in _ORDERS or count < 0 or not set("xyz") <= set(properties):
        raise UserError(f"{file}: the header must name a format, and vertices with x, y and z.")
    return form, count, properties, start


def _ascii_table(file: Path, data: bytes, count: int, width: int) -> np.ndarray:
    """The first `count` lines of numbers, (count, width)."""
    lines = data.split(b"\n", min(count, len(data)))[:count]
    try:
        table = np.array([line.split() for line in lines], np.float64)
    except ValueError as error:
        raise UserError(f"{file}: a line of vertices does not hold {width} numbers.") from error
    if table.shape != (count, width):
        raise UserError(f"{file}: {quoted(count)} lines of {width} numbers must follow the header. Is it complete?")
    return table

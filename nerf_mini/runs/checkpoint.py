"""Checkpoints: all that a run needs to go on with the same bits, with checksums of every array and of the whole file.

A checkpoint is a .npz file, a zip archive of arrays, as NumPy writes it. The archive's comment, the last bytes of the
file, is its CRC-32.
"""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.io.files import is_number, remove_leftovers, write_atomically
from nerf_mini.runs.formats import MEAN, PARAMETERS, SAMPLER, VARIANCE, sealed, stamp, upgraded
from nerf_mini.training.optimiser import AdamState
from nerf_mini.training.state import RECENT, TrainingState

_SEAL, _NO_DIGITS = b"crc32 ", b"00000000"  # before and in place of the digits, while they are computed
_CHUNK = 1 << 20  # bytes

KEPT = 2  # checkpoints that stay; an older one stands in for a newest one that turns out to be damaged


@dataclass(frozen=True)
class Shapes:
    """What a model's checkpoints hold: the shapes of the parameters, in nested dicts, and (shape, dtype) of each array
    that its sampler keeps."""

    parameters: Mapping[str, Any]
    sampler: Mapping[str, tuple[tuple[int, ...], np.dtype]]


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; what is called after no step is none."""
    return sorted((path for path in folder.glob("step-*.npz") if step_of(path) >= 0), key=step_of)


def step_of(path: Path) -> int:
    """The step that a checkpoint's name says it is of; -1 where it says none."""
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isascii() and digits.isdecimal() else -1


def save(folder: Path, state: TrainingState) -> Path:
    """Write a checkpoint atomically as step-NNNNNNN.npz and delete all but the newest few.

    Raises UserError if the disk is full or the place cannot be written to.
    """
    arrays: dict[str, np.ndarray] = {}
    parts = {PARAMETERS: state.parameters, MEAN: state.optimiser.mean, VARIANCE: state.optimiser.variance}
    for part, tree in {**parts, SAMPLER: state.sampler}.items():
        arrays.update(_named(tree, part))
    text = json.dumps({
        **stamp("checkpoint"), "step": state.step, "seconds": state.seconds, "drawn": state.drawn,
        "rng": state.rng.bit_generator.state, "recent": list(state.recent),
        "checksums": {name: checksum(array) for name, array in arrays.items()},
    })  # fmt: skip
    meta = np.array(text)
    path = folder / f"step-{state.step:07d}.npz"
    remove_leftovers(folder, age=0.0)  # nobody else writes here
    members = {"meta": meta, "checksum": np.array(checksum(meta)), **arrays}
    write_atomically(path, lambda file: _write_sealed(file, members))
    for old in checkpoint_files(folder)[:-KEPT]:
        with contextlib.suppress(OSError):  # Windows keeps what a viewer is reading; the next save tries again
            old.unlink()
    return path


def load(path: Path, shapes: Shapes, cube_side: float = 1.0) -> TrainingState:
    """Read a checkpoint.

    Args:
        shapes: those that the model of the run has; see `Shapes`.
        cube_side: of the occupancy grid's region, in scene units, which files of format 1 leave out.

    Raises UserError if a bit of it is not as it was written, or if it is another model's.
    """
    try:
        meta, arrays = _verified(path)
        if step_of(path) not in (-1, meta["step"]):
            raise ValueError(f"it says that it is of step {meta['step']}")
    except Exception as error:  # damaged archives raise more kinds than are documented
        raise UserError(f"{path}: the checkpoint is damaged ({_reason(error)}).") from error
    content = upgraded("checkpoint", {"meta": meta, "arrays": arrays}, str(path), meta, cube_side=cube_side)
    try:
        return _state(content["meta"], content["arrays"], shapes)
    except Exception as error:  # the state of a generator, too, is checked by NumPy alone
        raise UserError(f"{path}: the checkpoint is damaged, or of another model ({_reason(error)}).") from error


def load_latest(folder: Path, shapes: Shapes, cube_side: float = 1.0) -> tuple[TrainingState, list[str]]:
    """The newest checkpoint that is sound (see `load`), and a message for each newer one that is not.

    Raises UserError if there is none.
    """
    problems: list[str] = []
    for path in reversed(checkpoint_files(folder)):
        try:
            return load(path, shapes, cube_side), problems
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("no checkpoint can be read: " + " ".join(problems) + " Train again with another --output.")
    raise UserError(f"{folder}: holds no checkpoint yet; the run ended before its first one. Train again.")


def checksum(array: np.ndarray) -> int:
    """CRC-32 of an array's dtype, shape and bytes."""
    header = zlib.crc32(f"{array.dtype.str} {array.shape}".encode())
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, header)


def _verified(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a file says about itself, and its arrays by name. Raises ValueError where a checksum is wrong."""
    whole = _is_whole(path)
    with zipfile.ZipFile(path) as archive:
        arrays = {member.filename.removesuffix(".npy"): _array(archive, member) for member in archive.infolist()}
    written, text = arrays.pop("checksum", None), arrays.pop("meta")
    meta = json.loads(str(text))
    if not whole and sealed("checkpoint", meta):
        raise ValueError("the checksum of the file is missing")
    if written is None and "format" not in meta:
        return meta, arrays  # format 1 has no checksums
    if written is None or int(written) != checksum(text):
        raise ValueError("the checksum of its metadata is wrong")
    checksums = meta["checksums"]
    if checksums.keys() != arrays.keys():
        raise ValueError(f"{sorted(checksums.keys() ^ arrays.keys())[0]} is missing or too many")
    for name, array in arrays.items():
        if checksum(array) != checksums[name]:
            raise ValueError(f"the checksum of {name} is wrong")
    return meta, arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """A member of a .npz file. Raises ValueError unless it is stored as it is and has the size that it says."""
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0) or member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{member.filename} is not stored as NumPy does")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} is not of the size that it says")
        array = np.frombuffer(bytearray(file.read()), dtype)  # to the end, where zip's own checksum is compared
    return array.reshape(shape, order="F" if by_columns else "C")


class _Counted:
    """A stream to write to that counts the CRC-32 of what goes through; for that, nothing seeks in it."""

    def __init__(self, file: BinaryIO):
        self.file, self.crc = file, 0

    def write(self, data: Any) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _write_sealed(file: BinaryIO, members: Mapping[str, np.ndarray]) -> None:
    """A .npz file of arrays by name, with its CRC-32 at the end."""
    stream = _Counted(file)
    with zipfile.ZipFile(stream, "w") as archive:  # type: ignore[call-overload]
        archive.comment = _SEAL + _NO_DIGITS
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    file.seek(-len(_NO_DIGITS), 2)
    file.write(b"%08x" % stream.crc)


def _is_whole(path: Path) -> bool:
    """Whether the last bytes of a file are its CRC-32; False where they are not meant to be. Raises ValueError where
    they are that of another file."""
    with open(path, "rb") as file:
        left = file.seek(0, 2) - len(_NO_DIGITS)
        if left < len(_SEAL):
            return False
        file.seek(left - len(_SEAL))
        if file.read(len(_SEAL)) != _SEAL:
            return False
        digits, crc = file.read(), 0
        file.seek(0)
        while left:
            part = file.read(min(left, _CHUNK))
            if not part:
                raise ValueError("it became shorter while it was read")
            crc, left = zlib.crc32(part, crc), left - len(part)
    if digits != b"%08x" % zlib.crc32(_NO_DIGITS, crc):
        raise ValueError("the checksum of the file is wrong")
    return True


def _state(meta: dict[str, Any], arrays: dict[str, np.ndarray], shapes: Shapes) -> TrainingState:
    """The state from arrays by name. Raises ValueError unless they are those that are expected."""
    expected = {f"{SAMPLER}/{name}": form for name, form in shapes.sampler.items()}
    for part in (PARAMETERS, MEAN, VARIANCE):
        expected |= {name: (shape, np.dtype(np.float32)) for name, shape in _named(shapes.parameters, part)}
    if expected.keys() != arrays.keys():
        raise ValueError(f"{min(expected.keys() ^ arrays.keys())} is missing or too many")
    for name, (shape, dtype) in expected.items():
        if arrays[name].shape != shape or arrays[name].dtype != dtype:
            raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}, expected {dtype} {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds values that are not finite")
    rng = np.random.default_rng()
    rng.bit_generator.state = meta["rng"]
    step, seconds, drawn = int(meta["step"]), float(meta["seconds"]), int(meta["drawn"])
    if step < 0 or not 0 <= seconds < math.inf or drawn < 0:
        raise ValueError(f"{step} steps with {drawn} pixels in {seconds} seconds")
    recent = meta["recent"]
    if not isinstance(recent, list) or len(recent) > RECENT or not all(is_number(e) and e >= 0 for e in recent):
        raise ValueError("the errors of recent steps are none")
    parameters, mean, variance, sampler = (_nested(arrays, f"{p}/") for p in (PARAMETERS, MEAN, VARIANCE, SAMPLER))
    optimiser = AdamState(step, mean, variance)
    return TrainingState(parameters, optimiser, rng, seconds, sampler, drawn, deque(map(float, recent), RECENT))


def _reason(error: Exception) -> str:
    """Why a checkpoint cannot be read, in words for a message: those of this module, or of the system."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, zipfile.BadZipFile):
        return "it is no whole archive"
    if isinstance(error, ValueError):
        return repr(str(error))[1:-1][:200]
    return f"it holds something else: {type(error).__name__}"


def _named(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings under names like parameters/field/coarse/layer0/weight."""
    if isinstance(tree, Mapping):
        for key, member in tree.items():
            yield from _named(member, f"{prefix}/{key}")
    else:
        yield prefix, tree


def _nested(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """The inverse of `_named`: nested dicts of the arrays whose names begin with the prefix."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        if name.startswith(prefix):
            *path, last = name.removeprefix(prefix).split("/")
            branch = tree
            for key in path:
                branch = branch.setdefault(key, {})
            branch[last] = array
    return tree

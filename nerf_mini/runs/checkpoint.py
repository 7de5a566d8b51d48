"""Checkpoints: all that a training needs to go on with the same bits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_atomically
from nerf_mini.training.optimiser import AdamState

KEPT = 2  # checkpoints that stay; an older one stands in for a newest one that turns out corrupt


@dataclass
class Checkpoint:
    """The state after `optimiser.step` steps; `seconds` is the training time so far, `method` what the method keeps
    besides the parameters."""

    parameters: Any
    optimiser: AdamState
    rng: np.random.Generator
    seconds: float
    method: dict[str, np.ndarray] = field(default_factory=dict)


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(folder.glob("step-*.npz"))


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint atomically as step-NNNNNNN.npz and delete all but the newest few."""
    state = checkpoint.optimiser
    meta = {"step": state.step, "seconds": checkpoint.seconds, "rng": checkpoint.rng.bit_generator.state}
    arrays = {"meta": np.array(json.dumps(meta))}
    trees = {"parameters": checkpoint.parameters, "mean": state.mean, "variance": state.variance}
    for prefix, tree in {**trees, "method": checkpoint.method}.items():
        arrays.update(_named(tree, prefix))
    path = folder / f"step-{state.step:07d}.npz"
    for left in folder.glob(".step-*.tmp"):  # by a process that was killed while it wrote
        left.unlink(missing_ok=True)
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
    for old in checkpoint_files(folder)[:-KEPT]:
        old.unlink()
    return path


def load(path: Path, template: Any, method: dict[str, np.ndarray] | None = None) -> Checkpoint:
    """Read a checkpoint whose parameters have the form and shapes of `template`, and what the method keeps those of
    `method`. Raises UserError if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            parts = [_filled(template, file, prefix, path) for prefix in ("parameters", "mean", "variance")]
            kept = _filled(method or {}, file, "method", path)
        rng = np.random.default_rng()
        rng.bit_generator.state = meta["rng"]
        optimiser = AdamState(int(meta["step"]), parts[1], parts[2])
        return Checkpoint(parts[0], optimiser, rng, float(meta["seconds"]), kept)
    except Exception as error:  # damaged archives raise more kinds than are documented
        raise UserError(f"{path}: the checkpoint is damaged ({type(error).__name__}: {error}).") from error


def load_latest(
    folder: Path, template: Any, method: dict[str, np.ndarray] | None = None
) -> tuple[Checkpoint, list[str]]:
    """The newest checkpoint that can be read (see `load`), and a message for each newer one that cannot.

    Raises UserError if there is none.
    """
    problems: list[str] = []
    for path in reversed(checkpoint_files(folder)):
        try:
            return load(path, template, method), problems
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("no checkpoint can be read: " + " ".join(problems) + " Train again with another --output.")
    raise UserError(f"{folder}: holds no checkpoint yet; the training ended before its first one. Train again.")


def _named(tree: Any, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    """The leaves of nested dicts under names like parameters/coarse/layer0/weight."""
    if isinstance(tree, dict):
        for key, member in tree.items():
            yield from _named(member, f"{prefix}/{key}")
    else:
        yield prefix, tree


def _filled(template: Any, file: Any, prefix: str, path: Path) -> Any:
    if isinstance(template, dict):
        return {key: _filled(member, file, f"{prefix}/{key}", path) for key, member in template.items()}
    array = file[prefix]
    if array.shape != template.shape or array.dtype != template.dtype:
        raise ValueError(f"{prefix} is {array.dtype} {array.shape}, expected {template.dtype} {template.shape}")
    return array

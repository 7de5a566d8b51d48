"""Digits by which two runs are known to be the same to the bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nerf_mini.config import Config, to_dict
from nerf_mini.io.files import to_json
from nerf_mini.runs import cameras as cameras_file
from nerf_mini.scenes import SceneCameras
from nerf_mini.training.state import TrainingState

DIGITS = 16


def fingerprint_of(config: Config, cameras: SceneCameras, state: TrainingState) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over settings, cameras, and all that pictures are made of: what was
    learnt, and what the sampler keeps.

    The planned end of the run does not count, which changes no step before it; nor do times and folders. The same
    command on the same machine gives the same digits.
    """
    settings = to_dict(config)
    settings["training"] = {name: value for name, value in settings["training"].items() if name != "max_steps"}
    digest = hashlib.sha256(to_json([settings, cameras_file.to_json(cameras)]).encode())
    for name, array in _named({"parameters": state.parameters, "sampler": state.sampler}, ""):
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()[:DIGITS]


def _named(tree: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of nested mappings with their paths, in the order of these."""
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from _named(tree[key], f"{path}/{key}")
    else:
        yield path, np.asarray(tree)

"""Small corrections of cameras, which can be learnt: rays of corrected cameras are differentiable in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nerf_mini.geometry.cameras import LENS_PARAMETERS, Cameras
from nerf_mini.geometry.poses import rigid_motion

CORRECTIONS = {"poses": 6, "focal": 2, "lens": LENS_PARAMETERS}
"""What can be corrected, and how many values that takes for each view."""


def no_correction(cameras: Cameras, what: Collection[str] = tuple(CORRECTIONS), dtype=np.float32) -> dict[str, Any]:
    """Zeros for everything that is to be learnt, a key of `CORRECTIONS` each: arrays (V, values)."""
    return {name: np.zeros((len(cameras), CORRECTIONS[name]), dtype) for name in what}


def corrected(cameras: Cameras, correction: Mapping[str, Any]) -> Cameras:
    """Cameras with corrections, any of:

    poses (V, 6): a twist (w, v), see `rigid_motion`, by which each camera turns and moves in its own axes;
    focal (V, 2): logarithms of factors of the focal lengths;
    lens (V, LENS_PARAMETERS): added to the parameters of the lens.

    Plain NumPy, differentiable in the corrections and in the cameras.
    """
    changes: dict[str, Any] = {}
    if "poses" in correction:
        changes["poses"] = cameras.poses @ rigid_motion(correction["poses"])
    if "focal" in correction:
        changes["focal"] = cameras.focal * np.exp(correction["focal"])
    if "lens" in correction:
        changes["lens_parameters"] = cameras.lens_parameters + correction["lens"]
    return replace(cameras, **changes)

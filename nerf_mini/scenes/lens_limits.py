"""Pixels that no light reaches: beyond the place where a lens folds the image over."""

from __future__ import annotations

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.lenses import LENSES


def lens_masks(cameras: Cameras) -> list[np.ndarray | None]:
    """For each camera which pixels a ray leaves through, (height, width) bool; None: all of them.

    Cameras that differ in their poses alone share one mask.
    """
    known: dict[bytes, np.ndarray | None] = {}
    masks: list[np.ndarray | None] = []
    for view, lens in enumerate(cameras.lens.tolist()):
        if LENSES[lens].fills_plane:
            masks.append(None)
            continue
        values = (cameras.size, cameras.focal, cameras.center, cameras.lens, cameras.lens_parameters)
        key = b"".join(value[view].tobytes() for value in values)
        if key not in known:
            known[key] = _lens_mask(cameras[view])
        masks.append(known[key])
    return masks


def _lens_mask(camera: Cameras) -> np.ndarray | None:
    """The mask of one camera; None where all of its pixels see something."""
    valid = camera.valid_pixels()
    return None if valid.all() else valid

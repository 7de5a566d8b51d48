"""Pixels that no light reaches: beyond the place where a lens folds the image over."""

from __future__ import annotations

import numpy as np

from nerf_mini.geometry.cameras import Cameras

_BAND = 1 << 17  # pixels at a time


def lens_masks(cameras: Cameras) -> list[np.ndarray | None]:
    """For each camera which pixels a ray leaves through, (height, width) bool; None: all of them.

    Cameras that differ in their poses alone share one mask.
    """
    known: dict[bytes, np.ndarray | None] = {}
    masks: list[np.ndarray | None] = []
    for view, lens in enumerate(cameras.lens.tolist()):
        if lens == "pinhole":
            masks.append(None)
            continue
        values = (cameras.size, cameras.focal, cameras.center, cameras.lens, cameras.lens_parameters)
        key = b"".join(value[view].tobytes() for value in values)
        if key not in known:
            known[key] = _lens_mask(cameras[view])
        masks.append(known[key])
    return masks


def _lens_mask(camera: Cameras) -> np.ndarray | None:
    """What a lens sees is star-shaped about its centre: where it sees the whole border, it sees all within."""
    width, height = camera.size[0].tolist()
    row, column = np.indices((height, width), sparse=True)
    row, column = np.broadcast_to(row, (height, width)), np.broadcast_to(column, (height, width))
    border = [(a[0], a[-1], a[:, 0], a[:, -1]) for a in (row, column)]
    if _reached(camera, *map(np.concatenate, border)).all():
        return None
    rows = max(1, _BAND // width)
    bands = [slice(first, first + rows) for first in range(0, height, rows)]
    mask = np.concatenate([_reached(camera, row[b].reshape(-1), column[b].reshape(-1)) for b in bands])
    return mask.reshape(height, width)


def _reached(camera: Cameras, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Whether the rays of pixels have directions: (n,) bool."""
    with np.errstate(all="ignore"):
        return np.isfinite(camera.rays(0, column, row, np.float64).directions).all(axis=1)

"""LLFF's form: poses_bounds.npy (Mildenhall et al. 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_atomically
from nerf_mini.scenes.writers.base import Capture, Writer, only_lens

FILE_NAME = "poses_bounds.npy"
LENSES = ("pinhole",)
_NEAREST, _FARTHEST = 0.001, 0.999  # quantiles of depths, as LLFF's own program takes them


def write_llff(folder: Path, capture: Capture) -> tuple[Path, ...]:
    """Write poses_bounds.npy: in the order of the names, a row for each picture; returns the file.

    A row is the 3x5 matrix of the columns down, right, back, position and (height, width, focal length), and the
    distances between which the view's points lie: its observed ones, else all before it, else the camera's own bounds.

    Raises:
        UserError: a camera is no pinhole with square pixels and its centre in the middle, or has no bounds.
    """
    file, cameras = folder / FILE_NAME, capture.cameras
    only_lens(cameras, file, LENSES)
    focal, center = np.asarray(cameras.focal), np.asarray(cameras.center)
    if np.abs(focal[:, 0] - focal[:, 1]).max() > 1e-6 * focal.max() or np.abs(center - cameras.size / 2).max() > 1e-6:
        raise UserError(f"{file}: can hold square pixels and a centred principal point only. Choose another format.")
    order = sorted(range(len(capture.names)), key=lambda view: capture.names[view])
    rows = np.empty((len(order), 17))
    for row, view in zip(rows, order, strict=True):
        right, up, back, position = np.asarray(cameras.poses)[view, :3].T
        width, height = cameras.size[view]
        row[:15] = np.stack([-up, right, back, position, (height, width, focal[view, 0])], axis=1).reshape(-1)
        row[15:] = _bounds(capture, view, file)
    write_atomically(file, lambda opened: np.save(opened, rows))
    return (file,)


def _bounds(capture: Capture, view: int, where: object) -> tuple[float, float]:
    """The distances, along the optical axis, of the nearest and the farthest thing in a view."""
    pose = np.asarray(capture.cameras.poses)[view]
    if capture.points is not None:
        seen, positions = capture.observations, capture.points.positions
        if seen is not None:
            positions = positions[seen.point[seen.image == seen.names.index(capture.names[view])]]
        depth = (pose[:3, 3] - positions) @ pose[:3, 2]
        if (depth > 0).any():
            near, far = np.quantile(depth[depth > 0], [_NEAREST, _FARTHEST]).tolist()
            return near, max(far, np.nextafter(near, np.inf))
    near, far = float(capture.cameras.near[view]), float(capture.cameras.far[view])
    if not 0 < near < far < np.inf:
        raise UserError(f"{where}: needs sparse points, or near and far distances, of {capture.names[view]}.")
    return near, far


WRITER = Writer("llff", f"{FILE_NAME} as LLFF has it", write_llff, None, 0, LENSES)

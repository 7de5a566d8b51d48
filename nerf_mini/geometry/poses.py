"""Poses: where a camera stands and looks, small motions of it, and what many cameras look at.

A pose is a camera-to-world matrix, 4x4, with OpenGL axes: x right, y up, looking along -z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_WORLD_AXES = np.eye(3)


def look_at(position: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """The pose (4, 4), float64, of a camera at `position` that sees `target` in the middle of its image, `up` upwards.

    A camera that looks along `up` itself has no preferred roll: the world axis most across its view then stands in.

    Raises ValueError where position and target coincide.
    """
    eye = np.asarray(position, np.float64)
    back = eye - np.asarray(target, np.float64)
    distance = np.linalg.norm(back)
    if distance == 0.0:
        raise ValueError(f"a camera at {eye.tolist()} cannot look at the point where it stands")
    back = back / distance
    upward = np.asarray(up, np.float64)
    right = np.cross(upward, back)
    if np.linalg.norm(right) < 1e-8 * np.linalg.norm(upward):
        right = np.cross(_WORLD_AXES[np.argmin(np.abs(back))], back)
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, eye], axis=1)
    return pose


def rigid_motion(twist: Any) -> Any:
    """The exponential map of SE(3): twists (..., 6) -> matrices (..., 4, 4). Plain NumPy, differentiable also at zero.

    A twist (w, v) turns by the rotation vector w, in radians, and moves by V v:

        R = 1 + A [w] + B [w]^2,   V = 1 + B [w] + C [w]^2,
        A = sin(a) / a,   B = (1 - cos(a)) / a^2,   C = (a - sin(a)) / a^3,   a = |w|

    where [w] is the cross product as a matrix.
    """
    w, v = twist[..., :3], twist[..., 3:]
    angle2 = np.sum(w * w, axis=-1)[..., None, None]
    small = angle2 < 1e-4  # the series are exact to rounding there, and smooth where the quotients are not
    safe = np.where(small, 1.0, angle2)
    angle = np.sqrt(safe)
    a = np.where(small, 1 - angle2 / 6 * (1 - angle2 / 20), np.sin(angle) / angle)
    b = np.where(small, 0.5 - angle2 / 24 * (1 - angle2 / 30), (1 - np.cos(angle)) / safe)
    c = np.where(small, 1 / 6 - angle2 / 120 * (1 - angle2 / 42), (angle - np.sin(angle)) / (safe * angle))
    zero = np.zeros_like(w[..., 0])
    rows = [
        np.stack([zero, -w[..., 2], w[..., 1]], axis=-1),
        np.stack([w[..., 2], zero, -w[..., 0]], axis=-1),
        np.stack([-w[..., 1], w[..., 0], zero], axis=-1),
    ]
    cross = np.stack(rows, axis=-2)  # (..., 3, 3)
    cross2 = cross @ cross
    rotation = np.eye(3) + a * cross + b * cross2
    move = (np.eye(3) + b * cross + c * cross2) @ v[..., None]
    top = np.concatenate([rotation, move], axis=-1)  # (..., 3, 4)
    bottom = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (*top.shape[:-2], 1, 4))
    return np.concatenate([top, bottom], axis=-2)


def looked_at(poses: np.ndarray, fallback: ArrayLike | None = None) -> np.ndarray:
    """The point nearest to all optical axes, in the least-squares sense: poses (V, 4, 4) -> (3,).

    One camera, or cameras with parallel axes, leave a whole line of such points. Of these it is the one nearest to
    `fallback`, by default the origin of the scene, which is where most data sets put their object. Cameras that do not
    have the point before them (a panorama) look at `fallback` where it is given, and one unit ahead where not.
    """
    poses = np.asarray(poses, np.float64)
    positions, forward = poses[:, :3, 3], -poses[:, :3, 2]
    start = np.zeros(3) if fallback is None else np.asarray(fallback, np.float64)
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]  # (V, 3, 3) projections across the axes
    right = np.einsum("vij,vj->i", across, positions - start)
    target = start + np.linalg.lstsq(across.sum(axis=0), right, rcond=1e-6)[0]
    depths = np.sum((target - positions) * forward, axis=1)
    if np.median(depths) > 1e-6:
        return target
    return np.mean(positions + forward, axis=0) if fallback is None else start


def common_up(poses: np.ndarray) -> np.ndarray:
    """Which way is up for these cameras, a unit vector: poses (V, 4, 4) -> (3,).

    World z where every camera stands level with it, as in data sets out of Blender; the mean of the cameras' own up
    directions otherwise.
    """
    mean_up = poses[:, :3, 1].mean(axis=0)
    level = np.abs(poses[:, 2, 0]).max() < 1e-3
    if (level and mean_up[2] > 0.0) or np.linalg.norm(mean_up) < 1e-6:
        return _WORLD_AXES[2].copy()
    return mean_up / np.linalg.norm(mean_up)

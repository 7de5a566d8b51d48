"""A smooth way through a few cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerf_mini.geometry.unit_quaternions import quaternions, rotations

LEAST_STEP = 1e-3  # of the mean one, between keyframes that coincide


@dataclass(frozen=True)
class Keyframes:
    """Cameras to pass through, in this order.

    Attributes:
        poses: (K, 4, 4), K >= 1, camera-to-world.
        fields_of_view: (K,), vertical, in radians.
        loop: whether the way leads from the last back to the first.
    """

    poses: np.ndarray
    fields_of_view: np.ndarray
    loop: bool = False

    def __len__(self) -> int:
        return len(self.poses)

    def way(self, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Poses (frames, 4, 4) and fields of view (frames,) along the way.

        Positions, unit quaternions and log tan(fov / 2) follow a centripetal Catmull-Rom curve (Yuksel et al. 2011):
        it passes through the keyframes, turns no loops between near ones, and takes longer where they are further
        apart. A loop ends a frame before it would repeat the first.
        """
        if len(self) == 1:
            return np.repeat(self.poses, frames, axis=0), np.repeat(self.fields_of_view, frames)
        points, steps = self._points()
        knots = np.concatenate([[0.0], np.cumsum(steps)])
        share = np.arange(frames) / (frames if self.loop else max(frames - 1, 1))
        found = _curve(points, knots, knots[1] + share * (knots[-2] - knots[1]))
        poses = np.zeros((frames, 4, 4))
        poses[:, :3, 3], poses[:, 3, 3] = found[:, :3], 1.0
        poses[:, :3, :3] = rotations(found[:, 3:7] / np.linalg.norm(found[:, 3:7], axis=1, keepdims=True))
        return poses, 2.0 * np.arctan(np.exp(found[:, 7]))

    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """What is interpolated, (n, 8), with a point more at either end, and the lengths of the n - 1 knot spans."""
        order = np.arange(-1, len(self) + 2) if self.loop else np.arange(len(self))
        poses = self.poses[order % len(self)]
        turns = quaternions(poses[:, :3, :3])
        for i in range(1, len(turns)):  # q and -q are one rotation: take the shorter way
            if turns[i] @ turns[i - 1] < 0:
                turns[i] = -turns[i]
        zoom = np.log(np.tan(0.5 * self.fields_of_view[order % len(self)]))
        points = np.concatenate([poses[:, :3, 3], turns, zoom[:, None]], axis=1)
        moved = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
        turned = 2.0 * np.arccos(np.clip(np.abs(np.sum(turns[1:] * turns[:-1], axis=1)), 0.0, 1.0))
        lengths = np.hypot(moved / max(float(moved.mean()), 1e-12), turned)
        steps = np.sqrt(np.maximum(lengths, LEAST_STEP * max(float(lengths.mean()), 1e-12)))
        if not self.loop:  # mirrored ends: the way begins and ends straight
            points = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
            steps = np.concatenate([steps[:1], steps, steps[-1:]])
        return points, steps


def _curve(points: np.ndarray, knots: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A Catmull-Rom curve through points (n, c) at knots (n,), between the second and the last but one: (m,) -> (m, c).

    The pyramid of Barry and Goldman (1988).
    """
    span = np.clip(np.searchsorted(knots, at, side="right") - 1, 1, len(knots) - 3)
    p = [points[span + i] for i in range(-1, 3)]
    t = [knots[span + i] for i in range(-1, 3)]

    def between(a, b, start, end):
        share = ((at - start) / (end - start))[:, None]
        return (1.0 - share) * a + share * b

    first = [between(p[i], p[i + 1], t[i], t[i + 1]) for i in range(3)]
    second = [between(first[i], first[i + 1], t[i], t[i + 2]) for i in range(2)]
    return between(second[0], second[1], t[1], t[2])

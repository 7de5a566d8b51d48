"""The similarity between two sets of cameras that show the same thing in worlds of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nerf_mini.geometry.cameras import Cameras


@dataclass(frozen=True)
class Similarity:
    """x -> scale rotation x + move: rotation (3, 3), move (3,)."""

    rotation: np.ndarray
    move: np.ndarray
    scale: float = 1.0

    def of_poses(self, poses: np.ndarray) -> np.ndarray:
        """Poses (V, 4, 4) in the new world; they stay rigid."""
        moved = poses.copy()
        moved[:, :3, :3] = self.rotation @ poses[:, :3, :3]
        moved[:, :3, 3] = self.scale * poses[:, :3, 3] @ self.rotation.T + self.move
        return moved

    def of_cameras(self, cameras: Cameras) -> Cameras:
        """Cameras in the new world, with their bounds."""
        near, far = self.scale * cameras.near, self.scale * cameras.far
        return replace(cameras, poses=self.of_poses(cameras.poses), near=near, far=far)


def aligning(poses: np.ndarray, others: np.ndarray) -> Similarity:
    """The similarity that takes poses to others, both (V, 4, 4), in the least-squares sense.

    The rotation is the one nearest to those between the cameras' axes and between their places around their mean
    (Kabsch 1976), so that cameras in one line or in one place have one too; scale and move are those of the places
    (Umeyama 1991). Cameras in one place keep the scale.
    """
    places, wanted = poses[:, :3, 3], others[:, :3, 3]
    around, around_wanted = places - places.mean(axis=0), wanted - wanted.mean(axis=0)
    size = float(np.sum(around**2))
    together = np.einsum("vij,vkj->ik", others[:, :3, :3], poses[:, :3, :3])
    if size > 0:
        together = together + around_wanted.T @ around * (len(poses) / size)
    u, _, vt = np.linalg.svd(together)
    rotation = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    scale = float(np.sum(around_wanted * (around @ rotation.T))) / size if size > 0 else 1.0
    scale = scale if scale > 0 else 1.0
    return Similarity(rotation, wanted.mean(axis=0) - scale * rotation @ places.mean(axis=0), scale)


def pose_errors(poses: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far poses are from true ones, both (V, 4, 4): angles in radians and distances in scene units, (V,) each."""
    relative = np.swapaxes(truth[:, :3, :3], 1, 2) @ poses[:, :3, :3]
    skew = relative - np.swapaxes(relative, 1, 2)
    sine = 0.5 * np.sqrt(skew[:, 2, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 0] ** 2)
    angle = np.arctan2(sine, 0.5 * (np.trace(relative, axis1=1, axis2=2) - 1))  # accurate where it is small, too
    return angle, np.linalg.norm(poses[:, :3, 3] - truth[:, :3, 3], axis=1)


def world_motions(poses: np.ndarray) -> np.ndarray:
    """What moves all cameras alike and so changes no picture: an orthonormal basis (6 V, n) of the corrections of
    poses, see `geometry.corrections`, that are infinitesimal similarities of the world; n is at most 7.

    A world motion x -> W x x + m + s x, around the mean place, turns a camera with the axes R at p by R^T W in its own
    axes and moves it by R^T (W x p + m + s p).
    """
    axes, places = poses[:, :3, :3], poses[:, :3, 3]
    around = places - places.mean(axis=0)
    columns: list[np.ndarray] = []
    motions = []
    for unit in np.eye(3):
        motions.append((unit, np.cross(unit, around)))  # turns
        motions.append((np.zeros(3), np.broadcast_to(unit, around.shape)))  # moves
    motions.append((np.zeros(3), around))  # grows
    for turn, move in motions:
        own = np.einsum("vji,j->vi", axes, turn), np.einsum("vji,vj->vi", axes, move)
        columns.append(np.concatenate(own, axis=1).reshape(-1))
    basis, size, _ = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    return basis[:, size > 1e-9 * size[0]]

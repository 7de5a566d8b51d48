"""The similarity between two sets of cameras that show the same thing in worlds of their own."""

import numpy as np


def similarity(rotation: np.ndarray, move: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """x -> scale rotation x + move, as a matrix (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = scale * rotation, move
    return matrix


def aligning(poses: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The similarity (4, 4) that takes poses to others, both (V, 4, 4), in the least-squares sense.

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
    return similarity(rotation, wanted.mean(axis=0) - scale * rotation @ places.mean(axis=0), scale)


def pose_errors(poses: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far poses are from true ones, both (V, 4, 4): angles in radians and distances in scene units, (V,) each."""
    relative = np.swapaxes(truth[:, :3, :3], 1, 2) @ poses[:, :3, :3]
    skew = relative - np.swapaxes(relative, 1, 2)
    sine = 0.5 * np.sqrt(skew[:, 2, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 0] ** 2)
    angle = np.arctan2(sine, 0.5 * (np.trace(relative, axis1=1, axis2=2) - 1))  # accurate where it is small, too
    return angle, np.linalg.norm(poses[:, :3, 3] - truth[:, :3, 3], axis=1)

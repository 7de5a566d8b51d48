"""Similarities of the world, which change no picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nerf_mini.geometry.cameras import Cameras


def scale_of(similarity: np.ndarray) -> float:
    """The factor by which a similarity (4, 4) makes lengths grow."""
    return float(np.cbrt(np.linalg.det(similarity[:3, :3])))


def poses_in_world(poses: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """Poses (V, 4, 4) after a similarity of the world: they turn, move and grow apart with it, and stay rigid."""
    moved = similarity @ poses
    moved[:, :3, :3] /= scale_of(similarity)
    return moved


def in_world(cameras: Cameras, similarity: np.ndarray) -> Cameras:
    """Cameras after a similarity (4, 4) of the world; see `poses_in_world`."""
    scale = scale_of(similarity)
    poses = poses_in_world(cameras.poses, similarity)
    return replace(cameras, poses=poses, near=cameras.near * scale, far=cameras.far * scale)


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

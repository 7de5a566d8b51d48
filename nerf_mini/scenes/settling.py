"""Settling a capture: its arbitrary world is turned upright, centred and scaled, and its space is chosen.

The scene that results has its middle at the origin and of radius 1, z up; one that lies before its cameras has the mean
camera at the origin, looking along -z, and its nearest thing at distance 1. What was done is kept in
`Scene.to_capture`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.alignment import in_world
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import common_up, looked_at
from nerf_mini.geometry.space import Space, SpaceKind, World
from nerf_mini.scenes.scene import Scene, SparsePoints

FORWARD_SPREAD = 0.03  # smallest eigenvalue of the mean of 1 - d d^T over optical axes d, below which they are parallel
NEAR, FAR = 0.05, 1e3  # of a capture about which no more is known, in radii of its middle
NEAREST_SHARE, NEARER = 1e-3, 0.9  # a view begins before this share of its sparse points, and a little nearer yet
MOST_NEAR = 0.75  # however far away the sparse points are: they miss what has no texture
AHEAD, STANDING_BACK = 0.1, 0.9  # of the least cosine of forward views, and of the way to the nearest thing
ROOM, FEW_POINTS = 4.0, 50  # half side of a box around opaque pictures; points that are too few to size a box by
SMALLEST, LARGEST = 1e-9, 1e9  # radius of the middle, in the units of the files
LEAST_COMMON = 1e-6  # of the mean axes of cameras, below which they have none
LEAST_TRACK = 3  # pictures that must have seen a point before it is trusted


def settled(
    scene: Scene,
    space: SpaceKind | None = None,
    near: float | None = None,
    far: float | None = None,
    world: World | None = None,
) -> Scene:
    """The scene turned upright, centred and scaled, its space chosen, and near and far distances set.

    Args:
        scene: as its files say, in any world. Distances near and far of its cameras are replaced where they are 0 or
            infinite, which stands for unknown.
        space: instead of the one that suits the training cameras.
        near, far: distances along rays, in units of the settled scene, instead of the ones found.
        world: what the capture was turned into before, to do the same again.
    """
    if world is None:
        world = _world_of(scene, space)
    from_capture = np.linalg.inv(world.to_capture)
    points, sparse = _into(_trusted(scene.points), world.to_capture), scene.points
    if sparse is not None:
        sparse = replace(sparse, positions=_into(sparse.positions, world.to_capture))
    reach = np.sqrt(3.0) * world.space.radius if world.space.kind == "box" else np.inf  # of the space, from its centre
    splits = {}
    for split, views in scene.splits.items():
        cameras = in_world(views.cameras, from_capture)
        splits[split] = replace(views, cameras=_bounded(cameras, points, reach, near, far))
    return replace(scene, splits=splits, points=sparse, space=world.space, to_capture=world.to_capture)


def _world_of(scene: Scene, space: SpaceKind | None) -> World:
    """What suits the training cameras and the points of a capture; its space may be given."""
    cameras, points = scene.splits["train"].cameras, _trusted(scene.points)
    kind = space or _suitable(scene, cameras)
    frame, radius = (_before if kind == "forward" else _upright)(cameras, points)
    if not SMALLEST <= radius <= LARGEST or not np.isfinite(frame).all():
        raise UserError(
            f"{scene.path or scene.name}: what the cameras look at is {radius:g} units away, which cannot be. Are the"
            " places of cameras, or near and far distances, damaged?"
        )
    to_capture = _similarity(frame, radius)
    if space is None and kind == "forward" and not _looks_forward(in_world(cameras, np.linalg.inv(to_capture))):
        kind, to_capture = "unbounded", _similarity(*_upright(cameras, points))
    size = _half_side(scene, _into(points, to_capture)) if kind == "box" else 1.0
    return World(Space(kind, radius=size), to_capture)


def _similarity(frame: np.ndarray, radius: float) -> np.ndarray:
    """From the coordinates of a frame (4, 4), in units of `radius`, to those that the frame is given in: (4, 4)."""
    return frame @ np.diag([radius, radius, radius, 1.0])


def _suitable(scene: Scene, cameras: Cameras) -> SpaceKind:
    """What fits the training cameras: parallel axes look forward, transparent pictures show an object alone."""
    if scene.splits["train"].has_alpha:
        return "box"
    axes = cameras.poses[:, :3, 2]
    spread = np.linalg.eigvalsh(np.eye(3) - axes.T @ axes / len(axes))[0]
    return "forward" if spread < FORWARD_SPREAD else "unbounded"


def _looks_forward(cameras: Cameras) -> bool:
    """Whether cameras in the frame of their mean stand before the plane z = -1, and see only what is ahead."""
    frustums = cameras.frustums()  # least and largest x / z and y / z
    if not np.isfinite(frustums).all() or cameras.poses[:, 2, 3].min() < -STANDING_BACK:
        return False
    x, y = frustums[:, [0, 1, 0, 1]], frustums[:, [2, 2, 3, 3]]  # (V, 4) corners
    corners = np.stack([x, -y, -np.ones_like(x)], axis=-1)
    corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
    return bool(np.einsum("vj,vcj->vc", cameras.poses[:, 2, :3], corners).max() < -AHEAD)


def _half_side(scene: Scene, points: np.ndarray) -> float:
    """Half the side of the box of an object, in radii: what holds its sparse points, or half the way to the cameras. A
    box asked for around opaque pictures has to hold what is behind the object too."""
    if not scene.splits["train"].has_alpha:
        return ROOM
    if len(points) < FEW_POINTS:
        return 0.5
    return float(np.clip(1.1 * np.quantile(np.abs(points).max(axis=1), 0.98), 0.1, 1.0))


def _trusted(points: SparsePoints | None) -> np.ndarray:
    """Positions (n, 3) of the points that enough pictures saw, or of all where that is unknown."""
    if points is None:
        return np.zeros((0, 3))
    return points.positions[(points.tracks >= LEAST_TRACK) | (points.tracks == 0)]


def _upright(cameras: Cameras, points: np.ndarray) -> tuple[np.ndarray, float]:
    """A frame (4, 4) whose z is up and whose origin is what the cameras look at, and their median distance from it."""
    frame, positions = np.eye(4), cameras.poses[:, :3, 3]
    middle = np.median(points, axis=0) if len(points) else None
    frame[:3, :3] = _turned_to(common_up(cameras.poses))
    frame[:3, 3] = looked_at(cameras.poses, middle)
    radius = float(np.median(np.linalg.norm(positions - frame[:3, 3], axis=1)))
    return frame, radius if radius > SMALLEST else 1.0


def _turned_to(up: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) that takes z to `up` by the shortest way."""
    z = np.array([0.0, 0.0, 1.0])
    across, cosine = np.cross(z, up), float(z @ up)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    x, y, w = across
    cross = np.array([[0, -w, y], [w, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def _before(cameras: Cameras, points: np.ndarray) -> tuple[np.ndarray, float]:
    """The frame (4, 4) of the mean camera, and the distance before it at which something begins."""
    frame = np.eye(4)
    back, up = cameras.poses[:, :3, 2].mean(axis=0), cameras.poses[:, :3, 1].mean(axis=0)
    if np.linalg.norm(np.cross(up, back)) < LEAST_COMMON:  # axes that cancel out have no mean
        up, back = cameras.poses[0, :3, 1], cameras.poses[0, :3, 2]
    back = back / np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    frame[:3] = np.stack([right, np.cross(back, right), back, cameras.poses[:, :3, 3].mean(axis=0)], axis=1)
    depth = -(points - frame[:3, 3]) @ back
    if len(depth):  # where points lie beside the cameras there is no such plane, and this distance fits none
        return frame, max(NEARER * float(np.quantile(depth, NEAREST_SHARE)), 1e-6)
    if np.min(cameras.near) > 0:
        return frame, NEARER * float(np.min(cameras.near))
    target = looked_at(cameras.poses)
    ahead = float((frame[:3, 3] - target) @ back)
    return frame, 0.5 * ahead if ahead > 0 else 1.0


def _into(points: np.ndarray, to_capture: np.ndarray) -> np.ndarray:
    """Points of the capture, (n, 3), in scene coordinates."""
    back = np.linalg.inv(to_capture)
    return points @ back[:3, :3].T + back[:3, 3]


def _bounded(cameras: Cameras, seen: np.ndarray, reach: float, near: float | None, far: float | None) -> Cameras:
    """Cameras with near and far distances: those asked for, else their own, else what sparse points (n, 3) suggest and
    how far the space reaches."""
    begin, end = cameras.near.copy(), cameras.far.copy()
    for view in np.flatnonzero(begin <= 0):
        pose = cameras.poses[view]
        depth = -(seen - pose[:3, 3]) @ pose[:3, 2]
        ahead = depth[depth > 0]
        found = NEARER * float(np.quantile(ahead, NEAREST_SHARE)) if len(ahead) else NEAR
        begin[view] = min(max(found, NEAR), MOST_NEAR)
    begin = begin if near is None else np.full_like(begin, near)
    if far is not None:
        begin = begin if near is not None else np.minimum(begin, 0.5 * far)
        return replace(cameras, near=begin, far=np.full_like(end, far))
    leaves = np.minimum(np.linalg.norm(cameras.poses[:, :3, 3], axis=1) + reach, FAR)
    end = np.where(np.isfinite(end), end, leaves)
    return replace(cameras, near=begin, far=np.maximum(end, 2 * begin))

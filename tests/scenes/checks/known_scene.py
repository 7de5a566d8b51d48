"""A small capture whose truth is known: a textured ball on a textured floor before a textured sky."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.space import Space
from nerf_mini.scenes.scene import Observations, Scene, SparsePoints, Views

WIDTH, HEIGHT, FOCAL, VIEWS = 60, 45, 62.0, 18
LENS = (-0.18, 0.04, 0.002, -0.001)
_BALL, _FLOOR, _SKY = 1.0, -0.6, 6.0


def capture(seed: int = 0, scale: float = 1.0) -> Scene:
    """18 views along an arc of 80 degrees, at three heights, every 6th held out; sparse points with observations."""
    angle = np.linspace(-0.7, 0.7, VIEWS)
    height = 0.6 + 0.35 * (np.arange(VIEWS) % 3)
    places = np.stack([3 * np.cos(angle), 3 * np.sin(angle), height], axis=1)
    poses = np.stack([look_at(place, (0.0, 0.0, -0.1)) for place in places])
    cameras = Cameras.make(
        poses, (WIDTH, HEIGHT), FOCAL, (31.0, 22.0), near=0.5, far=12.0, lens="radial-tangential", lens_parameters=LENS
    )
    cameras = cameras.scaled(scale)
    texture = _texture(np.random.default_rng(seed), 12.0 * scale)
    pictures = [_picture(cameras, view, texture) for view in range(VIEWS)]
    held = np.arange(VIEWS) % 6 == 3
    splits = {
        split: Views.from_images(
            cameras[np.flatnonzero(which)],
            [pictures[view] for view in np.flatnonzero(which)],
            (f"{view:04d}" for view in np.flatnonzero(which)),
        )
        for split, which in (("train", ~held), ("test", held))
    }
    return Scene(
        "ball", None, "arrays", splits, (1.0, 1.0, 1.0), points=_points(cameras, seed), space=Space("unbounded")
    )


def _texture(rng: np.random.Generator, finest: float):
    """Points (n, 3) -> colours (n, 3) in [0, 1]: waves of random directions and lengths, the more the finer."""
    waves = rng.normal(size=(40, 3)) * rng.uniform(2.0, finest, size=(40, 1))
    phase, weight = rng.uniform(0, 2 * np.pi, size=40), rng.normal(size=(40, 3)) * 0.06

    def color(points: np.ndarray) -> np.ndarray:
        return np.clip(0.45 + np.sin(points @ waves.T + phase) @ weight, 0.02, 0.98)

    return color


def _hits(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Where rays first meet the ball, the floor or the sky: (n, 3)."""
    along = np.sum(origins * directions, axis=1)
    gap = np.sum(origins * origins, axis=1) - along**2
    with np.errstate(invalid="ignore", divide="ignore"):
        ball = np.where(gap < _BALL**2, -along - np.sqrt(np.maximum(_BALL**2 - gap, 0)), np.inf)
        floor = (_FLOOR - origins[:, 2]) / directions[:, 2]
    sky = -along + np.sqrt(_SKY**2 - gap)
    floor = np.where((floor > 0) & (floor < sky), floor, np.inf)
    return origins + np.minimum(np.minimum(ball, floor), sky)[:, None] * directions


def _picture(cameras: Cameras, view: int, texture) -> np.ndarray:
    row, column = np.indices(cameras.size[view][::-1]).reshape(2, -1).astype(float)
    color = np.zeros((len(row), 3))
    for x, y in ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)):
        rays = cameras.rays(view, column + x, row + y, np.float64)
        color += texture(_hits(rays.origins, rays.directions)) / 4
    return (255 * color.reshape(*cameras.size[view][::-1], 3) + 0.5).astype(np.uint8)


def _points(cameras: Cameras, seed: int) -> SparsePoints:
    """Points of the surfaces, each with the three views that it was made for, seen within a quarter pixel."""
    rng = np.random.default_rng([seed, 1])
    point, image, place, positions = [], [], [], []
    for first in range(0, VIEWS - 2):
        column, row = rng.uniform(5, WIDTH - 5, 20), rng.uniform(5, HEIGHT - 5, 20)
        rays = cameras.rays(first, column, row, np.float64)
        hits = _hits(rays.origins, rays.directions)
        for view in range(first, first + 3):
            point += range(len(positions) * 20, len(positions) * 20 + 20)
            image += [view] * 20
            place.append(cameras.project(hits, np.full(20, view)) + rng.normal(size=(20, 2)) * 0.2)
        positions.append(hits)
    names = tuple(f"{view:04d}" for view in range(VIEWS))
    seen = Observations(np.array(point), np.array(image), np.concatenate(place), names)
    return SparsePoints(np.concatenate(positions), np.full(len(positions) * 20, 3), seen)


# -- damages -----------------------------------------------------------------------------------------------------------


def with_cameras(scene: Scene, change) -> Scene:
    """`change` is given the cameras of each split."""
    splits = {split: replace(views, cameras=change(views.cameras)) for split, views in scene.splits.items()}
    return replace(scene, splits=splits)


def with_poses(scene: Scene, change) -> Scene:
    """`change` is given the poses (V, 4, 4) of each split."""
    return with_cameras(scene, lambda cameras: replace(cameras, poses=change(cameras.poses.copy())))


def with_pictures(scene: Scene, change) -> Scene:
    """`change` is given a list of all pictures, in order of names, and gives another."""
    places = [(views.names[i], split, i) for split, views in scene.splits.items() for i in range(len(views))]
    places.sort()
    changed = change([scene.splits[split].image(i).copy() for _, split, i in places])
    found = {(split, i): picture for (_, split, i), picture in zip(places, changed, strict=True)}
    splits = {
        split: Views.from_images(views.cameras, [found[split, i] for i in range(len(views))], views.names, None)
        for split, views in scene.splits.items()
    }
    return replace(scene, splits=splits)


def without_points(scene: Scene) -> Scene:
    """As if none had been found."""
    return replace(scene, points=None)

"""The exact surfaces of the toy scenes: signed distances, negative inside."""

from itertools import pairwise

import numpy as np

from nerf_mini.scenes.synthetic.primitives import Box, Capsule, Cone, Sphere
from nerf_mini.scenes.synthetic.tracer import SurfaceScene


def signed_distance(scene: SurfaceScene, points: np.ndarray) -> np.ndarray:
    """From points (n, 3) to the union of a scene's shapes: (n,), exact outside of them."""
    return np.min([_of_shape(surface.shape, points) for surface in scene.surfaces], axis=0)


def _of_shape(shape, points: np.ndarray) -> np.ndarray:
    if isinstance(shape, Sphere):
        return np.linalg.norm(points - shape.center, axis=1) - shape.radius
    if isinstance(shape, Box):
        beyond = np.abs((points - shape.center) @ shape._axes()) - shape.half
        return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
    if isinstance(shape, Capsule):
        axis, length = shape._axis()
        along = np.clip((points - shape.start) @ axis, 0, length)
        return np.linalg.norm(points - shape.start - along[:, None] * axis, axis=1) - shape.radius
    assert isinstance(shape, Cone)
    return _of_cone(shape, points - shape.base)


def _of_cone(cone: Cone, place: np.ndarray) -> np.ndarray:
    """A convex outline in the half plane (radius, height): the distance to its three sides."""
    flat = np.stack([np.hypot(place[:, 0], place[:, 1]), place[:, 2]], axis=1)
    corners = np.array([[0, 0], [cone.bottom_radius, 0], [cone.top_radius, cone.height], [0, cone.height]])
    nearest, inside = np.full(len(flat), np.inf), np.ones(len(flat), bool)
    for start, end in pairwise(corners):
        side = end - start
        if not side.any():
            continue
        share = np.clip((flat - start) @ side / (side @ side), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(flat - start - share[:, None] * side, axis=1))
        inside &= (flat - start) @ [-side[1], side[0]] >= 0
    return np.where(inside, -nearest, nearest)

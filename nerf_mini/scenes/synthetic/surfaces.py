"""The toy scenes made of surfaces: still lifes that fit in a cube of side 2.6 about the origin, z up."""

import math
from itertools import pairwise

import numpy as np

from nerf_mini.scenes.synthetic.primitives import Box, Capsule, Cone, Sphere, Vector
from nerf_mini.scenes.synthetic.textures import bands, checker, gradient, solid
from nerf_mini.scenes.synthetic.tracer import Lighting, Surface, SurfaceScene

DAYLIGHT = Lighting(
    sun_direction=(0.55, 0.35, 0.85),
    sun=(0.86, 0.80, 0.68),
    sky=(0.36, 0.42, 0.50),
    ground=(0.16, 0.14, 0.12),
    sun_spread=0.10,
)


def shapes() -> SurfaceScene:
    """Balls, a block, a column and a cone in daylight on a round checkered table."""
    floor = -0.46
    return SurfaceScene(
        surfaces=(
            Surface(Cone((0.0, 0.0, floor - 0.12), 0.12, 1.16, 1.16), checker("#f4ecd8", "#9db8c4", 0.4)),
            # A big ball; a block with a ball on top; a striped cone; a column; two marbles.
            Surface(
                Sphere((-0.36, 0.38, floor + 0.46), 0.46),
                gradient("#a3123f", "#ff8c55", floor + 0.05, floor + 0.95),
                specular=0.25,
                shininess=40.0,
                occluder=0.46,
            ),
            Surface(Box((0.46, 0.40, floor + 0.28), (0.28, 0.28, 0.28), 24.0), solid("#2f95a3"), occluder=0.32),
            Surface(Sphere((0.46, 0.40, floor + 0.78), 0.22), solid("#f6c832"), 0.25, 40.0, occluder=0.22),
            Surface(
                Cone((0.34, -0.48, floor), 0.88, 0.34, 0.0),
                bands("#5b4b8a", "#ad94d6", 0.22, floor),
                occluder=0.3,
            ),
            Surface(
                Cone((-0.52, -0.48, floor), 0.56, 0.22, 0.22),
                gradient("#1f6b45", "#a5d46a", floor, floor + 0.56),
                occluder=0.26,
            ),
            Surface(Sphere((-0.08, -0.76, floor + 0.15), 0.15), solid("#e0559a"), 0.25, 40.0, occluder=0.15),
            Surface(Sphere((0.86, -0.10, floor + 0.13), 0.13), solid("#ece9f4"), 0.3, 60.0, occluder=0.13),
        ),
        lighting=DAYLIGHT,
    )


def lattice() -> SurfaceScene:
    """A wire cube, an octahedron and two rings of polished rods: thin, and glinting differently from every side."""
    cube = [np.array((x, y, z)) * 0.72 for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    octahedron = [0.72 * sign * axis for axis in np.eye(3) for sign in (-1, 1)]
    steel, gold, copper = solid("#6f8fb0"), solid("#e0b040"), solid("#c8623c")
    rods = [Surface(rod, steel, 0.9, 60.0) for rod in _wires(cube, 1.44, 0.045)]
    rods += [Surface(Sphere(_vector(corner), 0.085), steel, 0.9, 60.0) for corner in cube]
    rods += [Surface(rod, gold, 0.9, 60.0) for rod in _wires(octahedron, 0.72 * math.sqrt(2.0), 0.04)]
    for tilt in (-1.0, 1.0):
        rods += [Surface(rod, copper, 0.9, 60.0) for rod in _ring(1.18, tilt * math.radians(22.0), 24, 0.035)]
    return SurfaceScene(tuple(rods), DAYLIGHT)


def _wires(corners: list[np.ndarray], edge: float, radius: float) -> list[Capsule]:
    """Rods between all corners that are an edge's length apart."""
    return [
        Capsule(_vector(a), _vector(b), radius)
        for i, a in enumerate(corners)
        for b in corners[i + 1 :]
        if math.isclose(np.linalg.norm(a - b), edge, rel_tol=1e-9)
    ]


def _ring(ring_radius: float, tilt: float, pieces: int, radius: float) -> list[Capsule]:
    """A circle about the origin, tilted about x by that many radians, as a closed chain of short rods."""
    angles = 2.0 * np.pi * np.arange(pieces + 1) / pieces
    flat = ring_radius * np.sin(angles)
    points = np.stack([ring_radius * np.cos(angles), flat * math.cos(tilt), flat * math.sin(tilt)], axis=1)
    return [Capsule(_vector(a), _vector(b), radius) for a, b in pairwise(points)]


def _vector(values: np.ndarray) -> Vector:
    x, y, z = values.tolist()
    return x, y, z

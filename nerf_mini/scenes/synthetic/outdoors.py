"""Scenes without an end, as photographs have them: ground to the horizon, hills far away, a sky. z is up.

What there is to look at is within about 1.3 of the origin in the garden, and within 3 before the facade.
"""

from dataclasses import replace

import numpy as np

from nerf_mini.scenes.synthetic.primitives import Box, Capsule, Cone, Ground, Sphere, Vector
from nerf_mini.scenes.synthetic.surfaces import DAYLIGHT, shapes
from nerf_mini.scenes.synthetic.textures import bands, gradient, marbled, patchwork, solid
from nerf_mini.scenes.synthetic.tracer import Surface, SurfaceScene, Texture

GROUND = -1.3
_HILLS = (
    (0.3, 90.0, 40.0),
    (1.1, 140.0, 70.0),
    (2.2, 110.0, 45.0),
    (3.4, 160.0, 90.0),
    (4.4, 100.0, 38.0),
    (5.4, 130.0, 60.0),
)
_TREES = ((0.2, 6.5, 1.0), (1.3, 8.0, 1.3), (2.3, 6.0, 0.8), (3.5, 9.0, 1.5), (4.3, 7.0, 1.1), (5.5, 11.0, 1.7))
_HOUSES = ((0.8, 16.0, 2.2), (2.8, 22.0, 3.0), (4.9, 18.0, 2.0))


def garden() -> SurfaceScene:
    """A still life on a table in a garden: trees and houses around it, fields and hills behind."""
    table = Surface(
        Cone((0.0, 0.0, GROUND), -0.58 - GROUND, 0.5, 0.3), marbled("#6b4a2f", "#a47c52", 0.3, 1), occluder=0.4
    )
    return SurfaceScene((*shapes().surfaces, table, *_surroundings()), DAYLIGHT, sky)


def facade() -> SurfaceScene:
    """A wall with columns and niches that cameras at y < -3 look at, along y; and what is in front of it and behind."""
    stone = marbled("#8d7b68", "#d8c7ae", 0.35, 2)
    surfaces = [
        Surface(Box((0.0, 1.6, 0.1), (3.6, 0.3, 1.4)), bands("#b9a58a", "#94785c", 0.2, GROUND)),
        Surface(Box((0.0, 1.15, 1.35), (3.0, 0.3, 0.12)), stone, occluder=0.3),
        Surface(Box((-0.1, 0.7, -1.2), (2.6, 0.8, 0.1)), marbled("#77706a", "#a8a29a", 0.25, 3), occluder=0.4),
    ]
    for index, x in enumerate((-2.2, -0.75, 0.75, 2.2)):
        surfaces.append(Surface(Cone((x, 1.1, -1.1), 2.35, 0.2, 0.16), stone, occluder=0.25))
        surfaces.append(
            Surface(Sphere((x, 0.35, -0.85), 0.24), marbled("#a3123f", "#ff8c55", 0.15, index), 0.2, 40.0, 0.24)
        )
    for index, (x, z) in enumerate(((-1.5, 0.2), (0.0, 0.3), (1.5, 0.2))):
        surfaces.append(Surface(Box((x, 1.3, z), (0.4, 0.1, 0.6)), marbled("#1f4f6b", "#9fd0e0", 0.2, 10 + index)))
    surfaces.append(
        Surface(Box((1.2, -0.7, -1.0), (0.3, 0.3, 0.3), 20.0), marbled("#2f95a3", "#d5f0e0", 0.2, 20), occluder=0.3)
    )
    surfaces.append(
        Surface(Cone((-1.3, -1.0, GROUND), 0.9, 0.3, 0.0), bands("#5b4b8a", "#ad94d6", 0.15, GROUND), occluder=0.25)
    )
    return SurfaceScene((*surfaces, *_surroundings()), DAYLIGHT, sky)


def passer_by(place: tuple[float, float]) -> tuple[Surface, ...]:
    """Somebody who stands on the ground, and throws no shadow: what a mask has to hide is what he covers."""
    x, y = place
    parts = (
        (Capsule((x, y, GROUND + 0.2), (x, y, -0.35), 0.17), bands("#d9352b", "#f6e9d8", 0.1, GROUND)),
        (Sphere((x, y, 0.0), 0.15), solid("#e3b48f")),
    )
    return tuple(Surface(shape, texture, casts_shadow=False) for shape, texture in parts)


def brightened(scene: SurfaceScene, gain: float) -> SurfaceScene:
    """The scene in `gain` times as much light: what a camera records that exposes for that much longer."""
    light, above = scene.lighting, scene.sky

    def scaled(color: Vector) -> Vector:
        red, green, blue = color
        return gain * red, gain * green, gain * blue

    lighting = replace(light, sun=scaled(light.sun), sky=scaled(light.sky), ground=scaled(light.ground))
    return replace(scene, lighting=lighting, sky=None if above is None else lambda directions: gain * above(directions))


def sky(directions: np.ndarray) -> np.ndarray:
    """Light from above: pale at the horizon, blue at the zenith, with clouds."""
    height = np.maximum(directions[:, 2:], 0.0)
    clear = np.array([0.62, 0.70, 0.78]) * (1.0 - height) ** 3 + np.array([0.10, 0.24, 0.52]) * (
        1.0 - (1.0 - height) ** 3
    )
    return clear + _CLOUDS(directions) * np.minimum(4.0 * height, 1.0)


_CLOUDS: Texture = marbled("#000000", "#a8a8a8", 0.5, 5)


def _surroundings() -> list[Surface]:
    """Ground, trees, houses and hills, at their azimuths (radians), distances and sizes."""
    fields = patchwork(("#7d9a4e", "#a8b15c", "#5f7f45", "#c2a869", "#8c7a4f"), 30, 40.0)
    surfaces = [Surface(Ground(GROUND), fields)]
    for index, (azimuth, distance, size) in enumerate(_TREES):
        x, y = _place(azimuth, distance)
        surfaces.append(Surface(Cone((x, y, GROUND), 1.6 * size, 0.2 * size, 0.12 * size), solid("#6b4f35")))
        crown = Sphere((x, y, GROUND + 2.3 * size), size)
        surfaces.append(Surface(crown, marbled("#2d5a2b", "#86b04e", 0.5 * size, index), occluder=0.8 * size))
    for index, (azimuth, distance, size) in enumerate(_HOUSES):
        x, y = _place(azimuth, distance)
        walls = (
            gradient("#c9b8a0", "#efe6d6", GROUND, GROUND + 2 * size)
            if index % 2
            else bands("#d8c3a5", "#a5673f", 0.8, GROUND)
        )
        surfaces.append(
            Surface(Box((x, y, GROUND + size), (size, 0.7 * size, size), 30.0 * index), walls, occluder=size)
        )
        surfaces.append(Surface(Cone((x, y, GROUND + 2 * size), size, 1.4 * size, 0.0), solid("#8c3b2e")))
    for index, (azimuth, distance, radius) in enumerate(_HILLS):
        x, y = _place(azimuth, distance)
        surfaces.append(
            Surface(Sphere((x, y, GROUND - 0.7 * radius), radius), marbled("#4f6b57", "#9aa98c", 12.0, 30 + index))
        )
    return surfaces


def _place(azimuth: float, distance: float) -> tuple[float, float]:
    return distance * float(np.cos(azimuth)), distance * float(np.sin(azimuth))

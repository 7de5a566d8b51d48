"""Fields that are known: fog of any density and colour, in a capture that is turned, moved and grown."""

from collections.abc import Callable

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.regions import Box
from nerf_mini.models import Model
from nerf_mini.rendering.volume import render
from nerf_mini.samplers import StratifiedSampler

SCALE = 2.5
TO_CAPTURE = np.eye(4)
TO_CAPTURE[:3, :3] = SCALE * np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
TO_CAPTURE[:3, 3] = [10.0, -3.0, 2.0]


class Fog(Model):
    """Fog of a density and a colour that are functions of the place in the scene, (n, 3) -> (n,) and (n, 3)."""

    def __init__(self, density: Callable, color: Callable, samples: int = 160):
        self.region, self.bytes_per_sample = Box.centered(np.zeros(3), 3.0), 0
        self.sampler = StratifiedSampler(64, samples, self.region)
        self.scene_density, self.scene_color = density, color

    operators = ()

    def init(self, rng):
        return {}

    def density(self, parameters):
        return lambda unit: self.scene_density(3.0 * unit - 1.5).astype(np.float32)

    def field(self, parameters, unit, directions, ray_index, noise=None):
        place = 3.0 * unit - 1.5
        return self.scene_density(place).astype(np.float32), self.scene_color(place).astype(np.float32)

    def render(self, parameters, rays, samples, background, rng=None):
        return (render(self.field, parameters, self.region, rays, samples, background),)

    def view(self, parameters, rays, background):
        return self.render(parameters, rays, self.sampler.sample(rays)[1], background)[0]

    def query(self, parameters, points, directions):
        return self.scene_density(points), self.scene_color(points).astype(np.float32)

    def samples_at_once(self):
        return 0

    bytes_per_ray = bytes_kept = samples_at_once


def around(count: int, size: int = 32) -> Cameras:
    """Cameras all around the origin, 4 away."""
    rng = np.random.default_rng(1)
    places = rng.normal(size=(count, 3))
    places *= 4.0 / np.linalg.norm(places, axis=1, keepdims=True)
    return Cameras.from_field_of_view([look_at(place, (0, 0, 0)) for place in places], size, size, 0.69, 2.0, 6.0)


def soft_ball(radius: float, slope: float = 400.0) -> Callable:
    """Density that rises from the surface of a ball inwards, `slope` per unit of length."""
    return lambda place: np.clip(slope * (radius - np.linalg.norm(place, axis=-1)), 0, 60)

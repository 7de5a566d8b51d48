"""Where along a ray light has been lost: against fog that is known, and against the samples of training."""

from dataclasses import replace

import numpy as np
import pytest

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box
from nerf_mini.rendering.volume import first_crossing, render
from nerf_mini.samplers import StratifiedSampler
from nerf_mini.samplers.occupancy import scaled
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer

REGION = Box.centered(np.zeros(3), 4.0)


def rays_of(count: int) -> Rays:
    origins, directions = np.zeros((count, 3), np.float32), np.tile(np.float32([0, 0, -1]), (count, 1))
    return Rays(origins, directions, np.full(count, 0.25), np.full(count, 1.75), np.zeros(count, np.int64))


@pytest.mark.parametrize("transmittance", [0.99, 0.9, 0.5, 0.2])
@pytest.mark.parametrize("density", [0.3, 2.0, 50.0])
def test_even_fog_takes_light_exponentially(transmittance, density):
    def fog(parameters, points, directions, ray_index, noise=None):
        return np.full(len(points), density, np.float32), np.zeros((len(points), 3), np.float32)

    rays = rays_of(3)
    samples = StratifiedSampler(3, 64).sample(rays)[1]
    found = first_crossing(render(fog, None, REGION, rays, samples), REGION, rays, transmittance)
    way = -np.log(transmittance) / density
    lost = 1.5 * (63.5 / 64)  # the last interval ends at far
    assert found.shape == (3,)
    np.testing.assert_allclose(found, 0.25 + way if way < lost else np.inf, atol=1e-4)


def test_nothing_takes_no_light():
    def empty(parameters, points, directions, ray_index, noise=None):
        return np.zeros(len(points), np.float32), np.zeros((len(points), 3), np.float32)

    rays = rays_of(2)
    samples = StratifiedSampler(2, 8).sample(rays)[1]
    assert np.isinf(first_crossing(render(empty, None, REGION, rays, samples), REGION, rays, 0.9)).all()


def test_something_opaque_takes_it_where_it_begins():
    def wall(parameters, points, directions, ray_index, noise=None):
        behind = np.abs(points[:, 2] - 0.5) * 4.0 > 1.0  # the unit cube is 4 long: z < -1
        return np.where(behind, 1e6, 0).astype(np.float32), np.zeros((len(points), 3), np.float32)

    rays = rays_of(2)
    samples = StratifiedSampler(2, 150).sample(rays)[1]
    found = first_crossing(render(wall, None, REGION, rays, samples), REGION, rays, 0.9)
    np.testing.assert_allclose(found, 1.0, atol=0.011)


def test_pictures_lose_light_where_training_does(blobs, tiny):
    """Front by front, along the samples that training marches through."""
    scene = load_scene(blobs)
    trainer = Trainer(tiny, scene.cameras, scene)
    for _ in range(30):
        trainer.step()
    model, sampler = trainer.model, trainer.model.sampler
    camera = Cameras.from_field_of_view(look_at((2.5, 2.0, 2.0), (0, 0, 0)), 12, 12, 0.69, 1.0, 6.0)
    rays, steps = camera.image_rays(), sampler.steps_for_pictures()
    kept, sampler.steps, sampler.budget = sampler.steps, steps, 1 << 18
    samples = sampler.visible(rays, np.full(len(rays), 0.5, np.float32), lambda points: np.zeros(len(points)))
    sampler.steps = kept
    expected = np.full(len(rays), np.inf)
    for ray in range(len(rays)):
        own = samples.t[samples.starts[ray] : samples.starts[ray] + samples.counts[ray]]
        one = replace(rays, origins=rays.origins[[ray]], directions=rays.directions[[ray]])
        points = model.region.points(one, own, np.zeros(len(own), np.int64))
        density = scaled(model.density(trainer.field)(points), model.region, points).astype(np.float64)
        depth = np.cumsum(density * steps.least)
        reached = np.flatnonzero(depth >= -np.log(0.8))
        if len(reached):
            i = reached[0]
            share = (-np.log(0.8) - (depth[i] - density[i] * steps.least)) / (density[i] * steps.least)
            expected[ray] = own[i] + (share - 0.5) * steps.least
    found = model.first_reached(trainer.field, rays, 0.8)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    assert 0 < np.isfinite(found).mean() < 1
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_density_is_that_of_a_query(blobs, tiny, rng):
    scene = load_scene(blobs)
    trainer = Trainer(tiny, scene.cameras, scene)
    points = rng.uniform(-2, 2, (200, 3)).astype(np.float32)
    expected = trainer.query(points)[0]
    found = trainer.model.density_at(trainer.field, points)
    assert found.dtype == np.float32 and (found == 0).any() and (found > 0).any()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)

"""Marching through nested cubes of cells with steps that grow, against brute force; and which cells are kept."""

import dataclasses

import numpy as np
import pytest

from nerf_mini.config import OccupancyConfig
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Unbounded
from nerf_mini.ops import Steps
from nerf_mini.samplers import OccupancySampler

REGION = Unbounded((0.3, -0.2, 0.1), 2.0, levels=5)


GROWING = Steps(0.021, 0.011)


def nothing(points):
    return np.zeros(len(points), np.float32)


def make_sampler(share, steps=GROWING):
    cameras = Cameras.make(orbit(3, 2.0), (8, 8), 8.0, near=0.1, far=100.0)
    sampler = OccupancySampler(REGION, OccupancyConfig(occupancy_resolution=32), cameras)
    sampler.grid.density[:] = np.random.default_rng(0).random(sampler.grid.density.shape) < share
    sampler.grid.mark_occupied(0.5)
    sampler.steps, sampler.budget = steps, 100_000
    return sampler


def make_rays(count=60):
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:3] = np.eye(3)
    origins = rng.normal(size=(count, 3))
    near, far = np.full(count, 0.05), np.where(np.arange(count) % 3 == 0, 6.0, 1e3)
    return Rays(origins.astype(np.float32), directions.astype(np.float32), near, far, np.zeros(count, int))


def cell_of(points):
    """The level and the cell (n, 4) of points in the scene: of the innermost cube that they lie in."""
    offset = (points - np.array(REGION.center)) / (0.5 * REGION.cube[3])
    level = np.ceil(np.log2(np.maximum(np.abs(offset).max(axis=1), 1.0))).astype(int)
    place = (offset / 2.0 ** level[:, None] + 1) * 16
    return np.column_stack([level, np.clip(place.astype(int), 0, 31)]), place


def candidates(t_in, t_out, jitter, steps):
    """All candidates, one after the other: equal steps, then steps in proportion to the distance."""
    t, found = t_in + jitter * max(steps.least, steps.growth * t_in), []
    while t < t_out:
        found.append(t)
        t += max(steps.least, steps.growth * t)
    return np.array(found)


@pytest.mark.parametrize("steps", [GROWING, Steps(0.05, 0.0)], ids=["growing", "equal"])
@pytest.mark.parametrize("share", [0.002, 0.2, 1.0])
def test_samples_are_the_candidates_in_occupied_cells(share, steps):
    sampler, rays = make_sampler(share, steps), make_rays()
    jitter = np.random.default_rng(2).random(len(rays), np.float32)
    marched, outermost = sampler.visible(rays, jitter, nothing), 0.5 * REGION.cube[3] * 2**4
    for ray in range(len(rays)):
        o, d = rays.origins[ray].astype(float), rays.directions[ray].astype(float)
        with np.errstate(divide="ignore"):
            walls = np.sort((np.array(REGION.center) + outermost * np.array([[-1], [1]]) - o) / d, axis=0)
        t_in, t_out = max(walls[0].max(), rays.near[ray]), min(walls[1].min(), rays.far[ray])
        t = candidates(t_in, t_out, jitter[ray], steps)
        if steps.growth:  # where growing steps begin, the lattice goes on from the last of the equal ones
            bend = steps.least / steps.growth
            assert np.all(np.diff(t)[t[:-1] > bend] > steps.least)
        cell, place = cell_of(o + t[:, None] * d)
        sure = np.abs(place - np.rint(place)).min(axis=1) > 1e-7
        wanted = t[(sampler.grid.density[tuple(cell.T)] > 0.5) & sure]
        start, count = marched.starts[ray], marched.counts[ray]
        found = marched.t[start : start + count].astype(float)
        if len(wanted):
            nearest = found[np.abs(found[None] - wanted[:, None]).argmin(axis=1)]
            np.testing.assert_allclose(nearest, wanted, rtol=2e-6)
        assert count - np.count_nonzero(~sure) <= len(wanted) <= count


def test_the_interval_of_a_sample_is_the_step_at_its_distance():
    sampler, rays = make_sampler(0.3), make_rays()
    samples = sampler.visible(rays, np.zeros(len(rays), np.float32), nothing)
    np.testing.assert_allclose(samples.delta, np.maximum(0.021, 0.011 * samples.t), rtol=1e-6)


@pytest.mark.parametrize("front", [1, 7, 4000])
def test_samples_do_not_depend_on_the_length_of_fronts(front):
    sampler, rays = make_sampler(0.1), make_rays()
    jitter = np.full(len(rays), 0.5, np.float32)
    wanted = sampler.visible(rays, jitter, nothing)
    sampler.schedule = dataclasses.replace(sampler.schedule, front=front, front_samples=1)
    found = sampler.visible(rays, jitter, nothing)
    np.testing.assert_array_equal(found.counts, wanted.counts)
    np.testing.assert_array_equal(found.t, wanted.t)


def test_cells_that_a_finer_level_covers_are_never_occupied_nor_visited():
    sampler = make_sampler(1.0)
    grid, seen = sampler.grid, []
    grid.density[:] = 0
    grid.forget_unseen(sampler.cameras)
    assert (grid.density[1:, 8:24, 8:24, 8:24] < 0).all() and (grid.density[0] >= 0).mean() > 0.5
    rng = np.random.default_rng(3)
    for step in range(32):
        grid.update(lambda points: seen.append(points) or np.full(len(points), 9.0, np.float32), step, rng)
    visited = np.concatenate(seen)
    assert len(visited) < 2 * grid.density.size and (visited > 0).all() and (visited < 1).all()
    np.testing.assert_array_equal(np.unpackbits(grid.cells.bits, axis=3, bitorder="little") > 0, grid.density >= 0)


def test_a_cell_must_be_seen_by_two_cameras():
    poses = np.stack([np.eye(4)] * 2)
    poses[1, :3, :3] = np.diag([-1.0, 1.0, -1.0])  # back to back
    cameras = Cameras.make(poses, (8, 8), 8.0, near=0.1, far=9.0)
    one, two = (
        OccupancySampler(
            Unbounded((0.0, 0.0, 0.0), 1.0, levels=3, least_views=views),
            OccupancyConfig(occupancy_resolution=32), cameras,
        )
        for views in (1, 2)
    )  # fmt: skip
    for sampler in (one, two):
        sampler.grid.forget_unseen(sampler.cameras)
    assert (one.grid.density[2] >= 0).sum() > 100 > (two.grid.density[2] >= 0).sum()


def test_pictures_of_a_field_that_has_learnt_nothing_take_long_steps_before_and_after_the_first_step():
    """Cells that no camera sees are empty from the first step on: of those that are seen, all are fog."""
    sampler = make_sampler(1.0)
    untrained = sampler.steps_for_pictures()
    sampler.grid.forget_unseen(sampler.cameras)
    assert sampler.grid.occupied_share < 0.9 and sampler.grid.occupied_share_of_seen == 1.0
    assert sampler.steps_for_pictures() == untrained
    sampler.grid.density[sampler.grid.density >= 0] = 0.0
    sampler.grid.density[0, 10:14] = 1.0
    sampler.grid.mark_occupied(0.5)
    assert sampler.steps_for_pictures().least == untrained.least / 16

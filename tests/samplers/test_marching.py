"""Ray and cube, and marching through occupied cells, against brute force."""

import dataclasses

import numba
import numpy as np
import pytest

from nerf_mini.config import OccupancyConfig
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box
from nerf_mini.kernels import marching
from nerf_mini.ops import Steps
from nerf_mini.samplers import OccupancyGrid, OccupancySampler
from nerf_mini.samplers.occupancy import SCHEDULE

CUBE = Box((-1.5, -1.0, 0.0), 3.0)
STEP = 0.037


@numba.njit
def clip_ray(*arguments):
    return marching.clip_ray(*arguments)


def make_rays(count, near=0.0, far=20.0, seed=0):
    rng = np.random.default_rng(seed)
    origins = rng.standard_normal((count, 3))
    origins *= 5 / np.linalg.norm(origins, axis=1, keepdims=True)
    target = np.array(CUBE.low) + CUBE.side * rng.uniform(-0.1, 1.1, (count, 3))
    directions = target - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:3] = np.eye(3)  # along the axes, through and beside the cube
    bounds = (np.broadcast_to(np.asarray(bound, float), (count,)).copy() for bound in (near, far))
    return Rays(origins.astype(np.float32), directions.astype(np.float32), *bounds, np.zeros(count, np.int64))


def make_sampler(share=1.0, room=100_000, resolution=16, region=CUBE, step=STEP):
    """A sampler in whose grid a random share of the cells is occupied, with a budget of `room` samples."""
    cameras = Cameras.make(orbit(2, 5.0), (8, 8), 8.0, near=2.0, far=8.0)
    sampler = OccupancySampler(region, OccupancyConfig(occupancy_resolution=resolution), cameras)
    sampler.grid.density[:] = np.random.default_rng(0).random(sampler.grid.density.shape) < share
    sampler.grid.mark_occupied(0.5)
    sampler.steps, sampler.budget = Steps(step), room
    return sampler


BOX = np.array([*CUBE.low, *(np.array(CUBE.low) + CUBE.side)])


def nothing(points):
    return np.zeros(len(points), np.float32)


def march(sampler, rays, density=nothing):
    """The samples in occupied cells, all of them if nothing hides any, and the jitter."""
    jitter = np.random.default_rng(1).random(len(rays), np.float32)
    return sampler.visible(rays, jitter, density), jitter


def t_of(samples, ray):
    return samples.t[samples.starts[ray] : samples.starts[ray] + samples.counts[ray]]


@pytest.mark.parametrize(
    ("origin", "direction", "expected"),
    [
        ((-5, 0, 1), (1, 0, 0), (3.5, 6.5)),
        ((0, 0, 1), (0, 0, 1), (0.0, 2.0)),  # from inside
        ((0, 0, 8), (0, 0, -1), (5.0, 8.0)),
        ((0, 5, 1), (1, 0, 0), None),  # parallel to a face, outside
        ((-5, 0, 1), (-1, 0, 0), None),  # behind
    ],
)
def test_where_a_ray_enters_and_leaves_the_cube(origin, direction, expected):
    t_in, t_out = clip_ray(np.array(origin, float), np.array(direction, float), BOX, 0.0, 100.0)
    if expected is None:
        assert t_in > t_out
    else:
        np.testing.assert_allclose((t_in, t_out), expected, rtol=1e-12)


@pytest.mark.parametrize("bounds", [(0.0, 20.0), (np.linspace(2, 5, 60), np.linspace(8, 4, 60))], ids=["wide", "own"])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.2, 1.0])
def test_samples_are_exactly_the_candidates_in_occupied_cells(share, bounds):
    sampler, rays = make_sampler(share), make_rays(60, *bounds)
    grid, (marched, jitter) = sampler.grid, march(sampler, rays)
    for ray in range(60):
        o, d = rays.origins[ray].astype(float), rays.directions[ray].astype(float)
        t_in, t_out = clip_ray(o, d, BOX, rays.near[ray], rays.far[ray])
        t = t_in + (np.arange(int(max(t_out - t_in, 0) / STEP) + 2) + jitter[ray]) * STEP
        t = t[t < t_out]
        place = (o + t[:, None] * d - CUBE.low) * (grid.resolution / CUBE.side)
        cell = np.clip(place.astype(int), 0, grid.resolution - 1)
        sure = np.abs(place - np.rint(place)).min(axis=1) > 1e-9 if len(t) else np.ones(0, bool)
        wanted = t[(grid.density[0][tuple(cell.T)] > 0.5) & sure]
        found = t_of(marched, ray)
        assert len(found) == len(wanted)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_packed_samples_are_sorted_inside_and_within_the_budget():
    sampler, rays = make_sampler(0.3), make_rays(80, near=3.0, far=6.0)
    full, _ = march(sampler, rays)
    for budget in (0, len(full) // 2, len(full)):
        sampler.budget = budget
        samples, _ = march(sampler, rays)
        chosen = np.arange(len(samples.counts))
        np.testing.assert_array_equal(samples.counts, full.counts[: len(chosen)])  # a ray is dropped, and not cut
        assert len(chosen) == 80 or samples.counts.sum() + full.counts[len(chosen)] > budget
        points = CUBE.points(rays[chosen], samples.t, samples.ray_index)
        assert samples.counts.sum() == len(points) == len(samples.t) <= budget
        np.testing.assert_array_equal(samples.delta, np.float32(STEP))
        np.testing.assert_array_equal(samples.starts, np.cumsum(samples.counts) - samples.counts)
        np.testing.assert_array_equal(samples.ray_index, np.repeat(np.arange(len(chosen)), samples.counts))
        assert np.all((points >= -1e-6) & (points <= 1 + 1e-6)) and np.all((samples.t >= 3) & (samples.t <= 6))
        assert np.all(np.diff(samples.t)[np.diff(samples.ray_index) == 0] > 0)
    assert len(chosen) == 80


def test_the_same_bits_for_one_and_two_threads():
    sampler, rays = make_sampler(0.3), make_rays(80)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            samples, _ = march(sampler, rays, fog)
            points = CUBE.points(rays, samples.t, samples.ray_index)
            found.append(samples.counts.tobytes() + points.tobytes() + samples.t.tobytes())
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


# -- what is seen of it ------------------------------------------------------------------------------------------------


def fog(points):
    """Density per scene unit, from 0 to 6, that changes through the cube."""
    return (3 + 3 * np.sin(np.float32(9) * points).prod(axis=1)).astype(np.float32)


@pytest.mark.parametrize("density", [0.0, 0.3, 5.0, 40.0])
def test_samples_end_where_the_light_does(density):
    """Kept are those samples of a ray in front of which the optical depth is below the limit, and no others."""
    sampler, rays = make_sampler(0.5), make_rays(70)

    def field(points):
        return np.float32(density) * fog(points)

    samples, _ = march(sampler, rays)
    seen, _ = march(sampler, rays, field)
    optical = field(CUBE.points(rays, samples.t, samples.ray_index)).astype(float) * STEP
    for ray in range(70):
        mine = slice(samples.starts[ray], samples.starts[ray] + samples.counts[ray])
        before = np.cumsum(optical[mine]) - optical[mine]
        assert (np.abs(before - SCHEDULE.opaque) > 1e-4).all(), "the limit should lie between two samples"
        assert seen.counts[ray] == np.count_nonzero(before < SCHEDULE.opaque)
        np.testing.assert_array_equal(t_of(seen, ray), t_of(samples, ray)[: seen.counts[ray]])
    assert (len(seen) < len(samples)) == (density >= 5.0)


@pytest.mark.parametrize("least", [1e-3, 0.02])
def test_samples_that_weigh_less_are_left_out_and_the_others_keep_their_places(least):
    """Weights T (1 - exp(-density step)) from their definition; what is left out still takes light."""
    sampler, rays = make_sampler(0.5), make_rays(150)

    def density(points):
        return (40.0 * np.prod(np.sin(9.0 * points) ** 2, axis=1)).astype(np.float32)

    whole, jitter = march(sampler, rays, density)
    found = sampler.visible(rays, jitter, density, least)
    tau = STEP * density(CUBE.points(rays, whole.t, whole.ray_index)).astype(float)
    behind = np.cumsum(tau)
    before = behind - tau - np.repeat((behind - tau)[np.minimum(whole.starts, len(tau) - 1)], whole.counts)
    weights = np.exp(-before) * (1 - np.exp(-tau))
    sure = np.abs(weights - least) > 1e-3 * least  # the others may fall to either side
    assert sure.mean() > 0.99 and 0.1 < np.mean(weights >= least) < 0.9
    places = set(zip(found.ray_index.tolist(), found.t.tolist(), strict=True))
    kept = np.array([place in places for place in zip(whole.ray_index.tolist(), whole.t.tolist(), strict=True)])
    np.testing.assert_array_equal(kept[sure], (weights >= least)[sure])
    assert kept.sum() == len(found) and (np.diff(found.ray_index) >= 0).all()
    np.testing.assert_array_equal(found.counts, np.bincount(found.ray_index, minlength=len(found.counts)))


def test_a_step_takes_the_first_rays_that_fill_the_budget_and_learns_how_many_to_draw():
    sampler, rays = make_sampler(0.5), make_rays(150)
    sampler.budget, before = 2000, sampler.samples_per_ray[0]
    chosen, samples = sampler.sample(rays, fog, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, np.arange(len(chosen)))
    assert len(chosen) < 150 and 1900 < len(samples) <= 2000
    per_ray = len(samples) / len(chosen)
    for _ in range(60):
        sampler.sample(rays, fog, np.random.default_rng(0))
    assert abs(sampler.samples_per_ray[0] - per_ray) < 0.1 * per_ray < abs(before - per_ray)
    assert sampler.rays_of_step() == int(2000 / sampler.samples_per_ray[0])


def test_without_a_generator_the_lattice_begins_half_a_step_inside():
    sampler, rays = make_sampler(), make_rays(60)
    chosen, samples = sampler.sample(rays, nothing, None)
    assert len(chosen) == 60
    for ray in np.flatnonzero(samples.counts):
        t_in, _ = clip_ray(rays.origins[ray], rays.directions[ray], BOX, 0.0, 20.0)
        assert samples.t[samples.starts[ray]] == pytest.approx(t_in + STEP / 2, rel=1e-6)


@pytest.mark.parametrize("unit", [1 / 128, 64.0])
def test_the_unit_of_length_does_not_matter(unit):
    """A scene in other units, with a density per such a unit: the same samples, to the bit for a power of two."""
    rays = make_rays(70, 1.0, 9.0)
    other = dataclasses.replace(
        rays, origins=np.float32(unit) * rays.origins, near=unit * rays.near, far=unit * rays.far
    )
    region = Box(tuple((unit * np.array(CUBE.low)).tolist()), unit * CUBE.side)
    here, there = make_sampler(0.5), make_sampler(0.5, region=region, step=unit * STEP)
    chosen, samples = here.sample(rays, lambda points: 40 * fog(points), np.random.default_rng(0))
    found, scaled = there.sample(other, lambda points: 40 * fog(points) / np.float32(unit), np.random.default_rng(0))
    assert there.steps_of().least == unit * here.steps_of().least
    np.testing.assert_array_equal(found, chosen)
    np.testing.assert_array_equal(scaled.counts, samples.counts)
    np.testing.assert_array_equal(scaled.t, np.float32(unit) * samples.t)
    np.testing.assert_array_equal(scaled.delta, np.float32(unit) * samples.delta)
    grids = OccupancyGrid.full(CUBE, 16), OccupancyGrid.full(region, 16)
    for grid, length in zip(grids, (1.0, unit), strict=True):
        rng = np.random.default_rng(3)
        for step in range(64):
            grid.update(lambda points, length=length: ball(points) / np.float32(length), step, rng)
    assert 0 < grids[0].occupied_share < 1
    np.testing.assert_array_equal(grids[1].cells.bits, grids[0].cells.bits)


# -- the occupancy grid ------------------------------------------------------------------------------------------------


def ball(points):
    """Optical depth 40 per side of the cube, in a ball around its middle."""
    inside = np.linalg.norm(points - 0.5, axis=1) < 0.25
    return np.where(inside, 40.0 / CUBE.side, 0.0).astype(np.float32)


def occupied_cells(grid):
    return np.unpackbits(grid.cells.bits[0], axis=2, bitorder="little").astype(bool)


def test_the_grid_finds_what_is_dense_and_never_loses_it():
    grid, rng = OccupancyGrid.full(CUBE, 16), np.random.default_rng(0)
    middle = (np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), -1) + 0.5) / 16
    distance = np.linalg.norm(middle - 0.5, axis=-1)
    reach = np.sqrt(3) / 2 / 16
    for step in range(1500):
        grid.update(ball, step, rng)
        occupied = occupied_cells(grid)
        assert occupied[distance < 0.25 - reach].all(), f"a dense cell was lost at step {step}"
    assert not occupied[distance > 0.25 + reach].any(), "an empty cell is still occupied"
    assert grid.occupied_share == occupied.mean()


def test_the_sweep_visits_every_cell_once_a_round():
    grid, rng = OccupancyGrid.full(CUBE, 16), np.random.default_rng(0)
    seen = []
    for step in range(16):
        grid.update(lambda points: seen.append(points) or np.zeros(len(points), np.float32), step, rng)
    cells = (np.concatenate(seen) * 16).astype(int)
    assert len(np.unique(cells, axis=0)) == 16**3


def test_cells_that_no_camera_sees_are_gone_for_good(blobs):
    from nerf_mini.scenes import load_scene

    cameras = load_scene(blobs).cameras.train[:1]
    region = Box((-40.0, -40.0, -40.0), 80.0)
    grid = OccupancyGrid.full(region, 32)
    grid.forget_unseen(cameras)
    unseen = grid.density < 0
    assert 0.5 < unseen.mean() < 1
    rng = np.random.default_rng(0)
    for step in range(200):
        grid.update(lambda points: np.full(len(points), 9.0, np.float32), step, rng)
    np.testing.assert_array_equal(occupied_cells(grid), ~unseen[0])


def test_whatever_one_of_the_cameras_sees_is_kept():
    """Cameras of several sizes and focal lengths: no pixel looks into a cell that was thrown away."""
    sizes, focal = [(16, 9), (5, 20), (12, 12)], [(20.0, 25.0), (30.0, 30.0), (9.0, 8.0)]
    cameras = Cameras.make(orbit(3, 4.0), sizes, focal, near=0.5, far=9.0, lens="radial-tangential",
                           lens_parameters=[-0.05, 0.01])  # fmt: skip
    region = Box((-6.0, -6.0, -6.0), 12.0)
    grid = OccupancyGrid.full(region, 32)
    grid.forget_unseen(cameras)
    assert 0.05 < np.mean(grid.density < 0) < 0.95
    for view in range(3):
        rays = cameras.image_rays(view)
        for t in np.arange(0.5, 9.0, 0.1):
            points = region.to_unit(rays.origins + np.float32(t) * rays.directions)
            cells = (points[((points > 0) & (points < 1)).all(axis=1)] * 32).astype(int)
            assert (grid.density[0][tuple(cells.T)] >= 0).all()

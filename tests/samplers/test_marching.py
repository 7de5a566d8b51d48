"""Ray and cube, and marching through occupied cells, against brute force."""

import numba
import numpy as np
import pytest

from nerf_mini.config import Config, InstantConfig
from nerf_mini.geometry.cameras import Intrinsics, look_at
from nerf_mini.kernels import marching
from nerf_mini.models import Instant
from nerf_mini.samplers.occupancy import Cube, OccupancyGrid, cube_of_cameras, pixels_across

CUBE = Cube((-1.5, -1.0, 0.0), 3.0)
STEP = 0.037


@numba.njit
def clip_ray(*arguments):
    return marching.clip_ray(*arguments)


def rays(count, seed=0):
    rng = np.random.default_rng(seed)
    origins = rng.standard_normal((count, 3))
    origins *= 5 / np.linalg.norm(origins, axis=1, keepdims=True)
    target = np.array(CUBE.low) + CUBE.side * rng.uniform(-0.1, 1.1, (count, 3))
    directions = target - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:3] = np.eye(3)  # along the axes, through and beside the cube
    return origins.astype(np.float32), directions.astype(np.float32)


def occupied_grid(share, seed=0, resolution=16):
    grid = OccupancyGrid.full(CUBE, resolution)
    grid.density[:] = np.random.default_rng(seed).random(grid.density.shape) < share
    grid.mark_occupied(0.5)
    return grid


def march(grid, origins, directions, near=0.0, far=20.0, room=100_000):
    jitter = np.random.default_rng(1).random(len(origins), np.float32)
    return grid.march(origins, directions, jitter, near, far, STEP, room), jitter


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
    t_in, t_out = clip_ray(np.array(origin, float), np.array(direction, float), CUBE.array, 0.0, 100.0)
    if expected is None:
        assert t_in > t_out
    else:
        np.testing.assert_allclose((t_in, t_out), expected, rtol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.003, 0.2, 1.0])
def test_samples_are_exactly_the_candidates_in_occupied_cells(share):
    grid, (origins, directions) = occupied_grid(share), rays(60)
    marched, jitter = march(grid, origins, directions)
    for ray in range(60):
        o, d = origins[ray].astype(float), directions[ray].astype(float)
        t_in, t_out = clip_ray(o, d, CUBE.array, 0.0, 20.0)
        t = t_in + (np.arange(int(max(t_out - t_in, 0) / STEP) + 2) + jitter[ray]) * STEP
        t = t[t < t_out]
        place = (o + t[:, None] * d - CUBE.low) * (grid.resolution / CUBE.side)
        cell = np.clip(place.astype(int), 0, grid.resolution - 1)
        sure = np.abs(place - np.rint(place)).min(axis=1) > 1e-9 if len(t) else np.ones(0, bool)
        wanted = t[(grid.density[tuple(cell.T)] > 0.5) & sure]
        start, count = marched.starts[ray], marched.counts[ray]
        found = marched.t[start : start + count]
        assert len(found) == len(wanted)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_packed_samples_are_sorted_inside_and_within_the_budget():
    grid, (origins, directions) = occupied_grid(0.3), rays(80)
    marched, _ = march(grid, origins, directions, near=3.0, far=6.0)
    total = marched.counts.sum()
    for budget in (0, total // 2, total):
        chosen, kept, points, samples = marched.packed(origins, directions, CUBE, STEP, budget)
        assert samples.counts.sum() == len(points) == len(samples.t) <= budget
        np.testing.assert_array_equal(kept, directions[chosen])
        np.testing.assert_array_equal(samples.starts, np.cumsum(samples.counts) - samples.counts)
        np.testing.assert_array_equal(samples.ray_index, np.repeat(np.arange(len(chosen)), samples.counts))
        assert np.all((points >= -1e-6) & (points <= 1 + 1e-6)) and np.all((samples.t >= 3) & (samples.t <= 6))
        assert np.all(np.diff(samples.t)[np.diff(samples.ray_index) == 0] > 0)
    assert len(chosen) == 80


def test_a_ray_without_room_is_dropped_and_not_cut():
    grid, (origins, directions) = occupied_grid(1.0), rays(80)
    full, _ = march(grid, origins, directions)
    small, _ = march(grid, origins, directions, room=int(full.counts.sum()) // 2)
    assert np.any(small.counts < 0)
    np.testing.assert_array_equal(small.counts[small.counts >= 0], full.counts[small.counts >= 0])


def test_the_same_bits_for_one_and_two_threads():
    grid, (origins, directions) = occupied_grid(0.3), rays(80)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            marched, _ = march(grid, origins, directions)
            packed = marched.packed(origins, directions, CUBE, STEP, 10**6)
            found.append(packed[2].tobytes() + packed[3].t.tobytes())
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


# -- the occupancy grid ------------------------------------------------------------------------------------------------


def ball(points):
    """Density 40 in a ball around the middle of the unit cube."""
    return np.where(np.linalg.norm(points - 0.5, axis=1) < 0.25, 40.0, 0.0).astype(np.float32)


def test_the_grid_finds_what_is_dense_and_never_loses_it():
    grid, rng = OccupancyGrid.full(CUBE, 16), np.random.default_rng(0)
    middle = (np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), -1) + 0.5) / 16
    distance = np.linalg.norm(middle - 0.5, axis=-1)
    reach = np.sqrt(3) / 2 / 16
    for step in range(1500):
        grid.update(ball, step, rng)
        occupied = np.unpackbits(grid.bits, axis=2, bitorder="little").astype(bool)
        assert occupied[distance < 0.25 - reach].all(), f"a dense cell was lost at step {step}"
    assert not occupied[distance > 0.25 + reach].any(), "an empty cell is still occupied"


def test_the_sweep_visits_every_cell_once_a_round():
    grid, rng = OccupancyGrid.full(CUBE, 16), np.random.default_rng(0)
    seen = []
    for step in range(16):
        grid.update(lambda points: seen.append(points) or np.zeros(len(points), np.float32), step, rng)
    cells = (np.concatenate(seen) * 16).astype(int)
    assert len(np.unique(cells, axis=0)) == 16**3


def test_cells_that_no_camera_sees_are_gone_for_good(blobs):
    from nerf_mini.scenes import load_scene

    views = load_scene(blobs).splits["train"]
    grid = OccupancyGrid.full(Cube((-40.0, -40.0, -40.0), 80.0), 32)
    grid.forget_unseen(views.poses[:1], views.intrinsics)
    unseen = grid.density < 0
    assert 0.5 < unseen.mean() < 1
    rng = np.random.default_rng(0)
    for step in range(200):
        grid.update(lambda points: np.full(len(points), 9.0, np.float32), step, rng)
    occupied = np.unpackbits(grid.bits, axis=2, bitorder="little").astype(bool)
    np.testing.assert_array_equal(occupied, ~unseen)


def test_the_cube_lies_around_what_the_cameras_look_at(blobs):
    from nerf_mini.scenes import load_scene

    scene = load_scene(blobs)
    cube = cube_of_cameras(scene.splits["train"].poses, 2.0, 6.0)
    assert cube.side == 3.0
    assert cube_of_cameras(scene.splits["train"].poses, 2.0, 6.0, 2.5).side == 2.5
    one = cube_of_cameras(scene.splits["train"].poses[:1], 2.0, 6.0)
    pose = scene.splits["train"].poses[0]
    np.testing.assert_allclose(np.array(one.low) + 1.5, pose[:3, 3] - 4 * pose[:3, 2], atol=1e-6)


def test_pixels_across_the_cube_are_those_of_its_middle():
    """A camera at distance D with focal length f sees a side s, face on and in the middle, as f s / D pixels."""
    cube = Cube((-1.0, -1.0, -1.0), 2.0)
    poses = np.array([look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0)), look_at((4.0, 0.0, 0.0), (0.0, 0.0, 0.0))])
    intrinsics = Intrinsics.from_field_of_view(100, 80, 0.7)
    corners = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    in_camera = (corners - poses[0, :3, 3]) @ poses[0, :3, :3]
    columns = intrinsics.focal_x * in_camera[:, 0] / -in_camera[:, 2]
    assert pixels_across(cube, poses, intrinsics) == pytest.approx(abs(columns[1] - columns[0]))


def test_the_finest_grid_follows_the_pixels_unless_it_is_given():
    poses = np.array([look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0)), look_at((4.0, 0.0, 0.0), (0.0, 0.0, 0.0))])

    def finest(size, **settings):
        config = Config(method="instant", instant=InstantConfig(**settings))
        method = Instant(config, 2.0, 6.0, poses, Intrinsics.from_field_of_view(size, size, 0.7))
        return method.field.grid.finest

    assert finest(400) == pytest.approx(2 * finest(200), abs=1)
    assert finest(200, finest_resolution=99) == 99
    assert finest(2) == InstantConfig().base_resolution

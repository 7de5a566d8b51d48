"""Free cameras see what there is to see, from near and far."""

import numpy as np
import pytest

from nerf_mini import Trainer, look_at, scene_from_arrays
from nerf_mini.outputs.free_views import free_cameras


def _trainer(preset):
    poses = np.stack([look_at((3 * np.cos(a), 3 * np.sin(a), 1), (0, 0, 0)) for a in np.arange(6.0)])
    images = np.full((6, 8, 8, 3), 0.5, np.float32)
    return Trainer(scene_from_arrays(images, poses, 9.0, near=2.0, far=4.5), preset=preset)


def test_cameras_before_an_occupancy_grid_see_all_of_the_box():
    trainer = _trainer("quick")
    low, side = trainer.model.region.cube[:3], trainer.model.region.cube[3]
    for eye in ((0.1, 0.2, 0.0), (50.0, 3.0, 1.0)):
        camera = free_cameras(trainer, look_at(eye, (0, 0, 0)), 0.8, (40, 30))
        corners = low + side * np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
        assert camera.near[0] == 0
        assert camera.far[0] == pytest.approx(np.linalg.norm(corners - eye, axis=1).max())
        assert camera.size[0].tolist() == [40, 30]
        assert 2 * np.arctan(15 / camera.focal[0, 1]) == pytest.approx(0.8)


def test_where_samples_lie_between_near_and_far_both_move_with_the_camera():
    trainer = _trainer("small")
    distances = np.array([0.4, 3.0, 9.0, 1e6, 1e9])
    poses = np.stack([look_at((d, 0, 0), (0, 0, 0)) for d in distances])
    cameras = free_cameras(trainer, poses, 0.8, (8, 8))
    assert np.all(cameras.near > 0) and np.all(cameras.far > cameras.near)
    usual = np.linalg.norm([3, 0, 1])
    np.testing.assert_allclose(cameras.near[1:3], 2.0 + distances[1:3] - usual, atol=1e-6)
    np.testing.assert_allclose(cameras.far[1:3], 4.5 + distances[1:3] - usual, atol=1e-6)
    assert np.all(cameras.far.astype(np.float32) > cameras.near.astype(np.float32)), "also from very far away"

"""What the occupancy operators promise to callers who are not the sampler."""

import numpy as np

from nerf_mini import ops


def test_a_wider_frustum_keeps_more_cells():
    cube, pose = np.array([-1.0, -1.0, -1.0, 2.0]), np.eye(4)
    pose[2, 3] = 3.0  # looks along -z at the cube

    def seen(*frustums):
        density = np.zeros((1, 16, 16, 16), np.float32)
        ops.mark_unseen(density, cube, np.stack([pose] * len(frustums)), np.array(frustums))
        return density != ops.UNSEEN

    narrow = seen((-0.13, 0.13, -0.13, 0.13))
    assert 0 < narrow.sum() < 16**3
    for more in (seen((-0.13, 0.3, -0.13, 0.13)), seen((-0.13, 0.13, -0.13, 0.13), (-0.2, 0.2, -0.2, 0.2))):
        assert np.all(more[narrow]) and more.sum() > narrow.sum()
    assert seen((-np.inf, np.inf, -np.inf, np.inf)).all()


def test_cells_behind_the_camera_are_unseen():
    cube, pose = np.array([-1.0, -1.0, -1.0, 2.0]), np.eye(4)  # in the middle, looking along -z
    density = np.zeros((1, 16, 16, 16), np.float32)
    ops.mark_unseen(density, cube, pose[None], np.array([[-5.0, 5.0, -5.0, 5.0]]))
    assert (density[..., 10:] == ops.UNSEEN).all() and (density[..., :6] != ops.UNSEEN).all()

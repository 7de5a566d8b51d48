"""What does not fit into memory is refused before the work."""

import numpy as np
import pytest

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.outputs.memory import require_memory_for_mesh, require_memory_for_pictures, require_memory_for_points


def cameras(width: int, height: int, count: int = 3) -> Cameras:
    return Cameras.make(np.tile(np.eye(4), (count, 1, 1)), (width, height), 100.0, near=0.1, far=1.0)


def test_the_largest_picture_counts_and_what_is_kept_of_all():
    require_memory_for_pictures(cameras(4096, 4096, 1000), there=8 << 30)
    with pytest.raises(UserError, match=r"a picture of 131072 x 131072 pixels may need .* GB .*lower --scale"):
        require_memory_for_pictures(cameras(131072, 131072), there=1 << 40)
    with pytest.raises(UserError, match=r"1000 pictures of 4096 x 4096 pixels .* a folder of PNG files"):
        require_memory_for_pictures(cameras(4096, 4096, 1000), kept=1, there=8 << 30)


def test_processes_that_render_at_once_need_memory_each():
    require_memory_for_pictures(cameras(800, 800), there=4 << 30, at_once=4)
    with pytest.raises(UserError, match=r"a picture of 800 x 800 pixels in each of 64 processes .* --cluster local:N"):
        require_memory_for_pictures(cameras(800, 800), there=4 << 30, at_once=64)


def test_sizes_beyond_all_measure_do_not_overflow():
    with pytest.raises(UserError, match="may need"):
        require_memory_for_pictures(cameras(2**40, 2**40))


def test_points_that_do_not_fit():
    require_memory_for_points(1_000_000, there=2 << 30)
    with pytest.raises(UserError, match=r"100000000 points may need .* GB .* fewer --points"):
        require_memory_for_points(100_000_000, there=8 << 30)


def test_meshes_that_do_not_fit():
    require_memory_for_mesh((512, 512, 512), there=4 << 30)
    with pytest.raises(UserError, match=r"2048 x 2048 x 2048 cells may need 12.* GB .* lower --resolution"):
        require_memory_for_mesh((2048, 2048, 2048), there=8 << 30)
    require_memory_for_mesh((2048, 2048, 8), there=8 << 30)

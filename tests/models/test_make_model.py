"""What a configuration and the cameras of a scene make of a model."""

import numpy as np
import pytest

from nerf_mini.config import HashGridConfig, from_preset
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.models import make_model
from nerf_mini.scenes import BLACK, SceneCameras

POSES = np.array([look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0)), look_at((4.0, 0.0, 0.0), (0.0, 0.0, 0.0))])


def test_the_finest_grid_follows_the_pixels_unless_it_is_given():
    def finest(size, **settings):
        cameras = Cameras.from_field_of_view(POSES, size, size, 0.7, 2.0, 6.0)
        return make_model(from_preset("default", **settings), SceneCameras({"train": cameras}, BLACK)).field.grid.finest

    assert finest(400) == pytest.approx(2 * finest(200), abs=1)
    assert finest(200, finest_resolution=99) == 99
    assert finest(2) == HashGridConfig().base_resolution

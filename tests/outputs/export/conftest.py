"""Trainers whose field is known."""

import numpy as np
import pytest
from fog import TO_CAPTURE, Fog, around

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.scenes import WHITE, SceneCameras
from nerf_mini.training import Trainer


@pytest.fixture
def foggy(tiny_config):
    """A function that makes a trainer of fog: density and colour by place, and how the scene lies in its capture."""

    def make(
        density, color=None, to_capture=TO_CAPTURE, views: int = 16, samples: int = 160, **splits: Cameras
    ) -> Trainer:
        cameras = SceneCameras({"train": around(views), **splits}, WHITE, None, to_capture)
        trainer = Trainer(tiny_config(), cameras)
        trainer.model = Fog(density, color or (lambda place: np.full((len(place), 3), (0.8, 0.4, 0.1))), samples)
        trainer.state.parameters = {**trainer.state.parameters, "field": {}}
        return trainer

    return make

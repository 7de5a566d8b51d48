"""Tiny scenes and a tiny instant method."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nerf_mini.config import Config, InstantConfig, OccupancyConfig, OptimiserConfig, TrainingConfig
from nerf_mini.scenes.synthetic import make_scene

TINY = Config(
    method="instant",
    instant=InstantConfig(
        levels=4, log2_entries=10, base_resolution=4, finest_resolution=32, hidden_width=32, color_layers=1,
    ),
    occupancy=OccupancyConfig(samples_per_step=2048, march_steps=128, occupancy_resolution=16),
    optimiser=OptimiserConfig(learning_rate=1e-2, final_rate=1e-3, decay_steps=200, epsilon=1e-15),
    training=TrainingConfig(crop_steps=0, max_steps=30, log_every=2, checkpoint_every=8, validate_every=10),
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> Config:
    return TINY


@pytest.fixture(scope="session")
def blobs(tmp_path_factory) -> Path:
    """A Blender-style folder: 10 training, 1 validation and 2 test views of 16 x 16 pixels. Not to be written to."""
    return make_scene("blobs", tmp_path_factory.mktemp("scenes") / "blobs", size=16, views=10)


@pytest.fixture
def painted(blobs):
    """A function that starts a training of the scene with its training pictures replaced."""
    from nerf_mini.training.loop import start

    def make(path, config, images=None, views=None):
        training = start(blobs, path, config)
        split = training.scene.splits["train"]
        keep = slice(views)
        new = np.array(split.images[keep]) if images is None else np.broadcast_to(images, split.images[keep].shape)
        split = dataclasses.replace(split, images=np.array(new), poses=split.poses[keep], names=split.names[keep])
        training.scene = dataclasses.replace(training.scene, splits={**training.scene.splits, "train": split})
        return training

    return make

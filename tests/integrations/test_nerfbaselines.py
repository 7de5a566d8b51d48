"""The adapter to nerfbaselines, driven as its trainer drives a method; nerfbaselines itself need not be installed."""

from dataclasses import dataclass, fields
from importlib.metadata import entry_points

import numpy as np
import pytest

import nerf_mini as nm
from nerf_mini.integrations.nerfbaselines import Adapter

SETTINGS = {
    "preset": "quick", "levels": "4", "log2_entries": "10", "base_resolution": "4", "finest_resolution": "16",
    "hidden_width": "16", "samples_per_step": "1024", "march_steps": "64", "occupancy_resolution": "16",
    "max_steps": "20",
}  # fmt: skip


@dataclass
class TheirCameras:
    """The fields of `nerfbaselines.Cameras` that a pinhole camera has."""

    poses: np.ndarray
    intrinsics: np.ndarray
    image_sizes: np.ndarray
    nears_fars: np.ndarray | None = None

    def __getitem__(self, index):
        values = (getattr(self, field.name) for field in fields(self))
        return TheirCameras(*(None if value is None else value[index] for value in values))


@pytest.fixture
def dataset(blobs):
    views = nm.load_scene(blobs).splits["train"]
    ours = views.cameras
    poses = (ours.poses[:, :3] * [1, -1, -1, 1]).astype(np.float32)  # OpenCV's axes
    cameras = TheirCameras(poses, np.concatenate([ours.focal, ours.center], 1).astype(np.float32), ours.size)
    images = [views.image(i) for i in range(len(views))]
    return {"cameras": cameras, "images": images, "metadata": {"background_color": np.array([255, 255, 255])}}


def test_it_trains_renders_saves_and_loads(dataset, tmp_path):
    method = Adapter(train_dataset=dataset, config_overrides=SETTINGS)
    assert method.get_info()["num_iterations"] == 20 and method.get_info()["loaded_step"] is None
    losses = [method.train_iteration(step)["loss"] for step in range(20)]
    assert np.isfinite(losses).all()
    one = dataset["cameras"][3]
    shown = method.render(one)
    assert shown["color"].shape == (16, 16, 3) and shown["color"].dtype == np.uint8
    assert shown["depth"].shape == shown["accumulation"].shape == (16, 16)
    method.save(str(tmp_path / "checkpoint"))
    loaded = Adapter(checkpoint=str(tmp_path / "checkpoint"))
    assert loaded.get_info()["loaded_step"] == 20
    np.testing.assert_array_equal(loaded.render(one)["color"], shown["color"])


def test_a_picture_is_that_of_our_own_camera(dataset, blobs):
    """OpenCV's axes became OpenGL's: the picture of their camera is that of ours, rounded to 8 bits."""
    method, ours = Adapter(train_dataset=dataset, config_overrides=SETTINGS), nm.load_scene(blobs).splits["train"]
    mine = method.trainer.render(ours.cameras, view=2).color
    theirs = method.render(dataset["cameras"][2])["color"] / 255
    assert np.abs(mine - theirs).max() < 0.5 / 255 + 1e-3


def test_the_entry_point_names_a_module_that_registers_it():
    (entry,) = [point for point in entry_points(group="nerfbaselines.specs") if point.name == "nerf-mini"]
    assert entry.value == "nerf_mini.integrations.nerfbaselines_spec"

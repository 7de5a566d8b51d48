"""Scenes and runs small enough for a test: pictures of 16 x 16 pixels, networks of a few units.

At least two threads, even on one core: what must not depend on the number of threads can be tried anywhere.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

threads = int(os.environ.get("NUMBA_NUM_THREADS", 0)) or os.cpu_count() or 1
os.environ["NUMBA_NUM_THREADS"] = str(max(2, threads))  # before Numba is imported

import numba  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from nerf_mini.config import Config, from_preset, with_settings  # noqa: E402
from nerf_mini.scenes.synthetic import make_scene  # noqa: E402

TINY = from_preset(
    "small", depth=2, width=16, position_frequencies=3, direction_frequencies=1, coarse_samples=8, fine_samples=8,
    rays=128, learning_rate=1e-2, final_rate=1e-3, decay_steps=200,
    crop_steps=5, max_steps=20, log_every=2, checkpoint_every=8, validate_every=10,
)  # fmt: skip

TINY_INSTANT = from_preset(
    "default", levels=4, log2_entries=10, base_resolution=4, finest_resolution=32, hidden_width=32, color_layers=1,
    samples_per_step=2048, march_steps=128, occupancy_resolution=16, decay_steps=200,
    max_steps=30, log_every=2, checkpoint_every=8, validate_every=10,
)  # fmt: skip

# The same as options of `nerf-mini train`.
TINY_OPTIONS = [
    *("--method", "nerf"),
    *("--depth", "2", "--width", "16", "--position-frequencies", "3", "--direction-frequencies", "1"),
    *("--coarse-samples", "8", "--fine-samples", "8"),
    *("--learning-rate", "1e-2", "--final-rate", "1e-3", "--decay-steps", "200"),
    *("--rays", "128", "--crop-steps", "5", "--max-steps", "20"),
    *("--log-every", "2", "--checkpoint-every", "8", "--validate-every", "10"),
]


@pytest.fixture(scope="session")
def tiny_config():
    """A function that returns a tiny configuration; keywords replace settings by name, in whatever section they are."""

    def make(**settings) -> Config:
        return with_settings(TINY, **settings)

    return make


@pytest.fixture(scope="session")
def tiny_options() -> list[str]:
    """The tiny configuration as options of `nerf-mini train`."""
    return list(TINY_OPTIONS)


@pytest.fixture(scope="session")
def blobs(tmp_path_factory) -> Path:
    """A Blender-style folder: 10 training, 1 validation and 2 test views of 16 x 16 pixels. Not to be written to."""
    return make_scene("blobs", tmp_path_factory.mktemp("scenes") / "blobs", size=16, views=10)


@pytest.fixture(scope="session")
def moved():
    """A function that puts cameras further from the origin, which all look at, by a factor."""

    def further(cameras, factor):
        poses = cameras.poses.copy()
        poses[:, :3, 3] *= factor
        return replace(cameras, poses=poses)

    return further


@pytest.fixture
def own_blobs(blobs, tmp_path) -> Path:
    """A copy of the scene that a test may damage."""
    return Path(shutil.copytree(blobs, tmp_path / "scene"))


def trained_run(path: Path, scene: Path, config: Config) -> Path:
    from nerf_mini.runs.session import start

    start(scene, path, config).train()
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, blobs, tiny_config) -> Path:
    """A finished tiny training of 20 steps, with checkpoints of the steps 16 and 20. Not to be written to."""
    return trained_run(tmp_path_factory.mktemp("runs") / "tiny", blobs, tiny_config())


@pytest.fixture
def own_run(run_folder, tmp_path) -> Path:
    """A copy of the run that a test may damage or write into."""
    return Path(shutil.copytree(run_folder, tmp_path / "run"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2020)


@pytest.fixture
def one_thread():
    """Kernels on one thread: thousands of tiny calls are faster without waking a second one."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> Config:
    """A tiny instant method."""
    return TINY_INSTANT

"""What does not fit into memory is refused before it is asked for."""

import re

import pytest

import nerf_mini.io.memory as memory
from nerf_mini.config import with_settings
from nerf_mini.errors import UserError
from nerf_mini.io.memory import memory_of_machine, require_memory
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer, memory_needed


@pytest.fixture
def machine(monkeypatch):
    """A function that gives the machine another size of memory."""
    return lambda size: monkeypatch.setattr(memory, "_physical", lambda: size)


def test_a_container_may_leave_less_than_the_machine_has(tmp_path, monkeypatch, machine):
    machine(8_000)
    monkeypatch.setattr(memory, "_GROUPS", (str(tmp_path / "max"), str(tmp_path / "missing")))
    assert memory_of_machine() == 8_000
    for text, found in (("5000\n", 5_000), ("max\n", 8_000), ("9999999", 8_000), ("0", 8_000), ("x", 8_000)):
        (tmp_path / "max").write_text(text)
        assert memory_of_machine() == found
    machine(None)
    assert memory_of_machine() is None
    require_memory("this takes", 10**18, "")


def test_what_does_not_fit_is_refused_with_a_remedy(machine):
    machine(10 * 10**9)
    require_memory("this takes", 7 * 10**9, "Do something else.")
    with pytest.raises(UserError, match=re.escape("this takes about 9.0 GB of memory, of 10.0 GB here. Do something")):
        require_memory("this takes", 9 * 10**9, "Do something else.")


def test_pictures_and_models_are_refused_before_they_are_there(blobs, tiny, machine):
    scene = load_scene(blobs)
    needed = memory_needed(Trainer(tiny, scene.cameras, scene))
    machine(int(1.3 * needed))
    Trainer(tiny, scene.cameras, scene)
    with pytest.raises(UserError, match=r"training needs about .* GB of memory.*--log2-entries"):
        Trainer(with_settings(tiny, levels=64, log2_entries=24, finest_resolution=2**19), scene.cameras, scene)
    machine(10_000)  # more than a file of cameras, less than the pictures
    with pytest.raises(UserError, match=r"10 pictures take about .*--downscale"):
        load_scene(blobs)


def test_a_forecast_takes_no_memory(blobs, tiny):
    import tracemalloc

    from nerf_mini.models import make_model
    from nerf_mini.training import Calibration
    from nerf_mini.training.memory import memory_to_train

    scene, large = load_scene(blobs), with_settings(tiny, levels=64, log2_entries=24, finest_resolution=2**19)
    model = make_model(large, scene.cameras)
    tracemalloc.start()
    needed = memory_to_train(model, Calibration(large, scene.cameras), scene)
    assert needed > 20e9 and tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()

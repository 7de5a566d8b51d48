"""How many rays in each pixel the pictures of a trainer take, and what they show."""

import numpy as np
import pytest

from nerf_mini.cli.program import main
from nerf_mini.config import with_settings
from nerf_mini.io.images import read_image, to_uint8
from nerf_mini.rendering.images import render_image
from nerf_mini.runs.restoring import load_trainer
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trainer(blobs, tiny):
    scene = load_scene(blobs)
    trainer = Trainer(with_settings(tiny, max_steps=80), scene.cameras, scene)
    trainer.train()
    return trainer


def test_pictures_like_those_of_the_training_have_one_ray_in_each_pixel(trainer):
    for cameras in trainer.cameras.splits.values():
        assert {trainer.supersampling(cameras, view) for view in range(len(cameras))} == {1}
    camera = trainer.cameras.splits["test"]
    plain = render_image(trainer.model, trainer.field, camera, trainer.cameras.background)
    for picture in (trainer.render(camera), trainer.render(camera, antialias=False)):
        for name in ("color", "depth", "opacity"):
            assert getattr(picture, name).tobytes() == getattr(plain, name).tobytes()


@pytest.mark.parametrize(("factor", "count"), [(0.5, 2), (0.25, 4), (0.125, 8), (1, 1), (2, 1), (4, 1)])
def test_smaller_pictures_and_those_from_afar_have_more(trainer, moved, factor, count):
    cameras = trainer.cameras.splits["test"]
    assert trainer.supersampling(cameras.scaled(factor), 1) == count
    assert trainer.supersampling(moved(cameras, 1 / factor), 1) == count
    assert trainer.supersampling(moved(cameras, 1e6)) == 8


def test_a_smaller_picture_is_the_mean_of_the_full_one(trainer):
    """At half the size, of four pixels each: the same rays."""
    cameras = trainer.cameras.splits["test"]
    whole, half = trainer.render(cameras), trainer.render(cameras.scaled(0.5))
    mean = whole.color.reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(half.color, mean, atol=1e-5)
    fast = trainer.render(cameras.scaled(0.5), antialias=False)
    assert np.abs(fast.color - mean).mean() > 10 * np.abs(half.color - mean).mean()


def test_render_takes_one_ray_in_a_pixel_if_asked(own_run):
    trainer = load_trainer(own_run)
    camera = trainer.cameras.splits["test"].scaled(0.5)
    for antialias, options in ((True, []), (False, ["--no-antialias"]), (True, ["--progressive"])):
        folder = own_run / f"pictures{len(options)}{antialias}"
        arguments = ["--path", "test", "--views", "1", "--scale", "0.5", "--output", str(folder), *options]
        assert main(["render", str(own_run), *arguments]) == 0
        shown = to_uint8(trainer.render(camera, antialias=antialias).color)
        np.testing.assert_array_equal(read_image(folder / "color_000.png"), shown)

"""A picture does not depend on how it was computed, and a smaller one shows the same view."""

import dataclasses

import numba
import numpy as np
import pytest

from nerf_mini.config import with_settings
from nerf_mini.models import make_model
from nerf_mini.rendering.images import RenderedImage, depth_picture, render_image, render_progressively
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def render(blobs, tiny_config):
    """A function that renders the first test view, by default as its own camera sees it."""
    scene = load_scene(blobs)
    trainer = Trainer(tiny_config(), scene.cameras, scene)
    trainer.train()
    parameters = trainer.state.parameters["field"]
    parameters["fine"]["density"]["bias"] += 2  # denser than 20 steps of training make it
    own = scene.splits["test"].cameras

    def view(cameras=own, background=WHITE):
        return render_image(trainer.model, parameters, cameras, background)

    view.trainer, view.model, view.parameters, view.cameras = trainer, trainer.model, parameters, own
    return view


def fine_rendering(model, parameters, rays, background=WHITE):
    """The last rendering of a training step, with all samples in the middle of their bins."""
    _, samples = model.sample(parameters, rays, None)
    return model.render(parameters, rays, samples, np.float32(background))[-1]


def assert_same_bits(first, second):
    for a, b in zip(
        (first.color, first.depth, first.opacity), (second.color, second.depth, second.opacity), strict=True
    ):
        assert a.dtype == b.dtype == np.float32 and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("chunk", [1, 7, 128, 255])
def test_the_size_of_chunks_changes_no_bit(render, monkeypatch, chunk, one_thread):
    whole = render()
    assert np.std(whole.color) > 0.01, "there should be something to see"
    monkeypatch.setattr(render.model, "rays_at_once", chunk)
    assert_same_bits(render(), whole)


def test_the_number_of_threads_changes_no_bit(render):
    before, pictures = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            pictures.append(render())
    finally:
        numba.set_num_threads(before)
    assert_same_bits(*pictures)


def test_what_a_rendering_holds(render):
    image = render()
    assert image.color.shape == (16, 16, 3) and image.depth.shape == image.opacity.shape == (16, 16)
    assert image.color.min() >= 0 and image.color.max() <= 1
    assert image.opacity.min() >= 0 and image.opacity.max() <= 1 + 1e-6
    hit = image.opacity > 0.5
    assert hit.any() and np.all((image.depth[hit] >= 2) & (image.depth[hit] <= 6))


def test_the_background_is_seen_through_what_is_not_opaque(render):
    """white - black = 1 - opacity in every channel; a trainer shows the scene's background unless told otherwise."""
    white, black = render(), render(background=BLACK)
    through = np.repeat(1 - white.opacity[..., None], 3, axis=2)
    np.testing.assert_allclose(white.color - black.color, through, atol=1e-5)
    assert render.trainer.cameras.background == WHITE
    assert_same_bits(render.trainer.render(render.cameras), white)
    assert_same_bits(render.trainer.render(render.cameras, background=BLACK), black)


def test_a_picture_is_of_the_view_that_is_named(render):
    second = render(render.cameras[1])
    assert np.abs(second.color - render().color).mean() > 1e-3
    assert_same_bits(render.trainer.render(render.cameras, view=1), second)


def test_half_the_size_is_the_same_view_through_half_the_camera(render):
    """Width, height, focal lengths and centre are halved; a pixel looks through the middle of four full-size ones."""
    full = render.cameras
    half = full.scaled(0.5)
    for name in ("size", "focal", "center"):
        np.testing.assert_array_equal(getattr(half, name), getattr(full, name) / 2)
    rows, columns = np.divmod(np.arange(64), 8)
    rays = full.rays(0, 2 * columns + 0.5, 2 * rows + 0.5)
    fine = fine_rendering(render.model, render.parameters, rays)
    np.testing.assert_allclose(render(half).color.reshape(-1, 3), np.clip(fine.color, 0, 1), atol=1e-4)


def test_a_picture_has_the_size_of_its_camera(render):
    """Also one that is not square, and shows as much of the view as it would in a square one."""
    wide = dataclasses.replace(render.cameras[:1], size=np.array([[16, 6]]), center=np.array([[8.0, 3.0]]))
    picture = render(wide)
    assert picture.color.shape == (6, 16, 3) and picture.depth.shape == (6, 16)
    np.testing.assert_allclose(picture.color, render().color[5:11], atol=1e-5)


def test_the_scale_option_halves_and_doubles_pictures(own_run):
    from nerf_mini.cli.program import main
    from nerf_mini.io.images import read_image

    for scale, size in ((0.5, 8), (2, 32)):
        output = own_run / f"scale-{scale}"
        assert main(["render", str(own_run), "--views", "1", "--scale", str(scale), "--output", str(output)]) == 0
        assert read_image(output / "color_000.png").shape == (size, size, 3)


def test_depth_pictures_are_bright_near_and_dark_far_or_empty():
    depth, opacity = np.array([[2.0, 4.0, 6.0, 1.0, 3.0]]), np.array([[1.0, 1, 1, 1, 0.2]])
    image = RenderedImage(np.zeros((1, 5, 3)), depth, opacity)
    np.testing.assert_array_equal(depth_picture(image, 2.0, 6.0), [[1, 0.5, 0, 1, 0]])


def test_progressive_pictures_get_sharper_and_end_as_the_whole_one(render):
    """The first shows every fourth pixel as a square; the last is the picture that is rendered at once."""
    pictures = list(render_progressively(render.model, render.parameters, render.cameras, WHITE, coarsest=4))
    whole = render()
    assert len(pictures) == 3
    np.testing.assert_array_equal(pictures[0].color, np.repeat(np.repeat(whole.color[::4, ::4], 4, 0), 4, 1))
    errors = [np.abs(picture.color - whole.color).mean() for picture in pictures]
    assert errors[0] > errors[1] > errors[2] == 0
    assert_same_bits(pictures[-1], whole)
    with pytest.raises(ValueError, match="power of two, not 3"):
        next(render_progressively(render.model, render.parameters, render.cameras, WHITE, coarsest=3))


def test_what_the_coarse_pass_found_empty_or_hidden_is_not_missed(render):
    """With networks that agree, the picture without those samples is that of all of them, to half a level of 8 bits."""
    rays, background = render.cameras.image_rays(0), np.ones(3, np.float32)
    config = with_settings(render.trainer.config, coarse_samples=96, fine_samples=16)
    model = make_model(config, render.trainer.cameras)
    sharp = dict(render.parameters["fine"])
    for bias in range(-60, 60):  # of a density so steep that space is either solid or empty
        sharp["density"] = {"weight": 60 * render.parameters["fine"]["density"]["weight"], "bias": np.float32([bias])}
        parameters = {"coarse": sharp, "fine": sharp}
        if model.view(parameters, rays, background).opacity.mean() > 0.4:
            break
    found = model.view(parameters, rays, background)
    wanted = fine_rendering(model, parameters, rays)
    assert 0.1 < wanted.opacity.mean() < 0.9
    assert len(found.samples) < 0.8 * len(wanted.samples)
    np.testing.assert_allclose(found.color, wanted.color, atol=0.5 / 255)
    np.testing.assert_allclose(found.opacity, wanted.opacity, atol=0.5 / 255)

"""Captures train in every space, with both methods; what a run needs of its space lives in its folder."""

import numpy as np
import pytest

from nerf_mini import ops
from nerf_mini.api import Trainer, open_run
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.paths import orbit
from nerf_mini.geometry.regions import Box, Forward, Unbounded
from nerf_mini.rendering.fast import render_fronts
from nerf_mini.scenes import Scene, Views, load_scene, scene_from_arrays
from nerf_mini.scenes.settling import settled
from nerf_mini.scenes.synthetic.capturing import CaptureSettings, make_capture

TINY = {
    "instant": {"preset": "quick", "levels": 4, "log2_entries": 12, "base_resolution": 4, "finest_resolution": 64,
                "hidden_width": 16, "color_layers": 1, "samples_per_step": 8192, "march_steps": 256,
                "occupancy_resolution": 32},
    "nerf": {"preset": "small", "depth": 2, "width": 32, "position_frequencies": 5, "direction_frequencies": 1,
             "coarse_samples": 24, "fine_samples": 24, "rays": 128, "crop_steps": 0},
}  # fmt: skip
KINDS = {"garden": ("unbounded", Unbounded), "facade": ("forward", Forward)}


@pytest.fixture(scope="module", params=KINDS)
def capture(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make_capture(request.param, folder / "data", CaptureSettings(size=32, views=12))
    return request.param, load_scene(folder / "data")


@pytest.mark.parametrize("method", TINY)
def test_a_capture_is_learnt_in_its_own_space(capture, method, tmp_path):
    """Better than the best single colour by far, with each method; and a run opens as what it was."""
    name, scene = capture
    kind, region = KINDS[name]
    trainer = Trainer(scene, max_steps=300 if method == "instant" else 500, seed=1, **TINY[method])
    assert scene.space.kind == kind and isinstance(trainer.model.region, region)
    pixels = scene.splits["train"].pixels[:, :3] / 255
    plain = -10 * np.log10(np.mean((pixels - pixels.mean(axis=0)) ** 2))
    trainer.train()
    assert trainer.evaluate("train", max_views=4).psnr > plain + 2.5
    trainer.save(tmp_path / "run")
    again = open_run(tmp_path / "run", scene)
    cameras = scene.splits["train"].cameras
    np.testing.assert_array_equal(again.render(cameras, 3).color, trainer.render(cameras, 3).color)
    assert again.model.region == trainer.model.region
    rays, behind = cameras.image_rays(3), np.zeros(3, np.float32)
    whole, part = (trainer.model.view(trainer.field, some, behind) for some in (rays, rays[100:164]))
    if method == "instant":  # a pixel is what it is, whichever others are rendered with it
        np.testing.assert_array_equal(part.color, whole.color[100:164])
    np.testing.assert_array_equal(again.cameras.to_capture, scene.to_capture)


def test_depth_is_in_scene_units(capture):
    """Cameras in a hollow cube of opaque walls, two radii from the middle on each side: where a ray meets them."""
    name, scene = capture
    if name == "facade":
        pytest.skip("what lies ahead has no middle")
    trainer = Trainer(scene, **TINY["instant"])
    region, sampler = trainer.model.region, trainer.model.sampler
    grid = sampler.grid

    def wall(points):
        return np.abs(points - 0.5).max(axis=1) > (2 - 1 / 2) / 4  # contracted, and 4 wide

    def field(parameters, points, directions, ray_index, noise=None):
        return np.where(wall(points), 1e6, 0).astype(np.float32), np.zeros((len(points), 3), np.float32)

    cells = np.arange(grid.density.size)
    centers = ops.cell_points(cells, np.full((len(cells), 3), 0.5, np.float32), grid.resolution)
    grid.density[...] = wall(region.warp(centers)).reshape(grid.density.shape)
    grid.mark_occupied(0.5)
    rays = scene.splits["train"].cameras.image_rays(0)
    found = render_fronts(field, None, sampler, rays, np.zeros(3, np.float32))
    inside = region.enter(rays)
    origins, directions = (np.asarray(a, float) for a in (inside.origins, inside.directions))
    middle, side = np.asarray(region.center), 2 * region.radius
    with np.errstate(divide="ignore"):
        exits = ((middle + np.sign(directions) * side - origins) / directions).min(axis=1)
    assert np.all(np.abs(origins - middle) < side) and np.all(found.opacity > 0.99)
    # the first sample behind the wall, or in its first cell where the middle is not yet
    assert np.all((found.depth > 0.99 * exits) & (found.depth < 1.05 * exits))


def test_a_space_may_be_asked_for(capture):
    _, scene = capture
    forced = load_scene(scene.path, space="box")
    assert isinstance(Trainer(forced, max_steps=1, **TINY["instant"]).model.region, Box)


def test_nothing_is_beside_or_behind_what_lies_ahead(capture):
    """Queries outside of the space have no density, whatever the network says there."""
    name, scene = capture
    if name == "garden":
        pytest.skip("all of space is inside")
    for settings in TINY.values():
        trainer = Trainer(scene, max_steps=1, **settings)
        density, _ = trainer.query([[0.0, 0.0, 1.0], [50.0, 0.0, -2.0], [0.0, 0.0, -3.0]])
        assert density[0] == density[1] == 0 < density[2] < 1e3


@pytest.mark.parametrize("method", TINY)
def test_pixels_that_no_light_reaches_show_the_background(method):
    """A lens that folds the corners over: pictures are whole, and there is nothing in the corners."""
    lens = {"lens": "radial-tangential", "lens_parameters": [-0.35]}
    cameras = Cameras.make(orbit(4, 3.0), (24, 24), 12.0, near=1.0, far=5.0, **lens)
    images = [np.full((24, 24, 3), 90, np.uint8)] * 4
    scene = scene_from_arrays(images, cameras.poses, 12.0, near=1.0, far=5.0, background=(0.0, 1.0, 0.0), **lens)
    lit = cameras.valid_pixels(0)
    assert 0.3 < lit.mean() < 0.98
    trainer = Trainer(scene, max_steps=3, background="black", **TINY[method])
    trainer.train()
    image = trainer.render(cameras, 0, background=(0.0, 1.0, 0.0))
    assert np.isfinite(image.color).all() and (image.opacity[~lit] == 0).all()
    np.testing.assert_array_equal(image.color[~lit], np.broadcast_to([0.0, 1.0, 0.0], (np.sum(~lit), 3)))


@pytest.mark.parametrize("method", TINY)
def test_an_object_cut_out_of_photographs_is_learnt_in_its_box(method):
    """Bounds follow the box where the files have none: both methods find a ball before a transparent background."""
    cameras = Cameras.make(orbit(10, 3.0), (20, 20), 30.0)
    row, column = np.indices((20, 20))
    image = np.zeros((20, 20, 4), np.uint8)
    image[np.hypot(row - 9.5, column - 9.5) < 5] = (200, 60, 30, 255)
    views = Views.from_images(cameras, [image] * 10, [str(i) for i in range(10)])
    scene = settled(Scene("ball", None, "made", {"train": views}, (1.0, 1.0, 1.0)))
    assert scene.space.kind == "box" and (scene.splits["train"].cameras.far < 3).all()
    trainer = Trainer(scene, max_steps=300, **TINY[method])
    trainer.train()
    assert trainer.evaluate("train", max_views=2).psnr > 16

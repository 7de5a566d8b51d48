"""What is learnt beside the field: exposures and corrections of cameras."""

import copy
import dataclasses

import numpy as np
import pytest

from autodiff import tree
from nerf_mini.config import from_preset, with_settings
from nerf_mini.errors import UserError
from nerf_mini.fields import HashGridField, MLPField
from nerf_mini.fields.coarse_to_fine import band_weights
from nerf_mini.geometry.alignment import world_motions
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.io.images import composite
from nerf_mini.models import make_model
from nerf_mini.models.refinement import coarsened, differentiating_rays
from nerf_mini.ops import GridMLPShape, GridShape, MLPShape
from nerf_mini.scenes import PixelBatch, SceneCameras, Views, load_scene
from nerf_mini.training import Calibration, Trainer
from nerf_mini.training.losses import exposed
from nerf_mini.training.step import Acting, Batch, loss_and_gradient

TINY = {
    "levels": 3, "log2_entries": 8, "base_resolution": 2, "finest_resolution": 4, "hidden_width": 6,
    "march_steps": 32, "samples_per_step": 512, "occupancy_resolution": 8,
}  # fmt: skip
ALL = {"refine": "poses+focal+lens", "exposure": "per-image", "appearance_codes": 3, "background": "learnt"}


@pytest.fixture(scope="module")
def scene(blobs):
    return load_scene(blobs)


def three_cameras():
    """The first two share focal length and lens."""
    poses = np.stack([look_at(p, (0.1, 0.0, 0.0)) for p in ((3.0, 1.0, 2.0), (-1.0, 3.2, 1.0), (0.5, -3.0, 2.5))])
    return Cameras.make(
        poses, (12, 10), [(14.0, 15.0), (14.0, 15.0), (13.0, 14.0)], near=2.0, far=6.0, lens="radial-tangential",
        lens_parameters=(0.01, -0.02),
    )  # fmt: skip


def scene_cameras():
    return SceneCameras({"train": three_cameras()}, (1.0, 1.0, 1.0))


def calibration_of(config):
    return Calibration(config, scene_cameras())


def in_double(parameters, rng, spread):
    return tree.map_leaves(lambda p: p.astype(np.float64) + spread * rng.standard_normal(p.shape), parameters)


def content(trainer):
    state = trainer.state
    return [a.tobytes() for a in tree.flatten([state.parameters, state.optimiser.mean, state.optimiser.variance])[0]]


# -- the gradient ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("photometric", ["mse", "huber"])
@pytest.mark.usefixtures("one_thread")
def test_gradient_of_a_step_that_learns_everything(rng, monkeypatch, photometric):
    """By all that is learnt beside the field, with detail held back, against central differences."""
    config = from_preset("quick", precision="float32", photometric=photometric, **TINY, **ALL)
    calibration = calibration_of(config)
    model = make_model(config, scene_cameras())
    fresh = model.init(rng)
    parameters = {"field": in_double(fresh, rng, 0.5), **in_double(calibration.init(), rng, 0.02)}
    values = rng.integers(0, 256, (5, 4), np.uint8)
    pixels = PixelBatch(np.array([0, 1, 2, 2, 0]), np.array([2, 7, 5, 6, 9]), np.array([3, 8, 5, 2, 6]), values)
    batch = Batch(pixels, rng.random((5, 3)))
    plain = Batch(pixels, batch.background.astype(np.float32)).rays(three_cameras())
    chosen, samples = model.sample(fresh, plain, rng)
    samples = dataclasses.replace(samples, t=samples.t.astype(np.float64), delta=samples.delta.astype(np.float64))
    monkeypatch.setattr(model, "sample", lambda *_: (chosen, samples))
    acting = Acting(0.5, calibration.penalty, calibration.corrections)

    def found():
        return loss_and_gradient(model, parameters, three_cameras(), batch, config.losses, None, acting)

    gradient, step = found().gradient, 1e-6
    of_pictures = ("exposure", "appearance", "background")
    learnt = {**parameters["cameras"], **{name: parameters[name] for name in of_pictures}}
    slopes = {**gradient["cameras"], **{name: gradient[name] for name in of_pictures}}
    for name, array in learnt.items():
        wanted = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept, sides = array[index], []
            for side in (step, -step):
                array[index] = kept + side
                sides.append(found().terms.total)
            array[index] = kept
            wanted[index] = (sides[0] - sides[1]) / (2 * step)
        assert np.count_nonzero(np.abs(wanted) > 1e-8) >= min(5, wanted.size), name
        np.testing.assert_allclose(slopes[name], wanted, rtol=5e-5, atol=2e-8, err_msg=name)


def test_the_gain_brightens_the_scene_and_not_what_is_put_behind_it(rng):
    class Seen:  # two rays, the second of which sees nothing
        color, opacity = np.array([[0.5, 0.4, 0.3], [0.2, 0.6, 1.0]]), np.array([0.5, 0.0])

    from nerf_mini.rendering.volume import Rendering

    background = np.array([[0.2, 0.2, 0.2], [0.2, 0.6, 1.0]])
    rendering = Rendering(Seen.color, None, Seen.opacity)
    twice = exposed(rendering, np.full((2, 3), 2.0), background).color
    np.testing.assert_allclose(twice[0], 2 * (Seen.color[0] - 0.1) + 0.1)
    np.testing.assert_allclose(twice[1], background[1])
    np.testing.assert_array_equal(exposed(rendering, np.ones((2, 3)), background).color, Seen.color)


# -- what is held fixed ------------------------------------------------------------------------------------------------


def test_corrections_turn_cameras_around_what_they_see():
    """To first order a turn (w, 0) leaves the point at `distance` before the camera where it is; s moves the camera."""
    calibration = calibration_of(from_preset("quick", **ALL))
    pivot = np.array([0.0, 0.0, -calibration.distance, 1.0])
    turns = np.concatenate([1e-5 * np.eye(3), np.zeros((3, 3))], axis=1)
    motions = rigid_motion(calibration.corrections({"poses": turns})["poses"])
    np.testing.assert_allclose((motions @ pivot)[:, :3], np.broadcast_to(pivot[:3], (3, 3)), atol=1e-8)
    moves = np.concatenate([np.zeros((3, 3)), np.eye(3)], axis=1)
    twists = calibration.corrections({"poses": moves})["poses"]
    np.testing.assert_allclose(twists, calibration.distance * moves)


def test_the_world_does_not_drift(rng):
    """Corrections that move all cameras alike are taken out, and steps have nothing of them."""
    calibration = calibration_of(from_preset("quick", **ALL))
    parameters = in_double(calibration.init(), rng, 1e-3)
    calibration.constrain(parameters)
    for name in ("exposure", "appearance"):
        np.testing.assert_allclose(parameters[name].mean(axis=0), 0, atol=1e-12)
    once = copy.deepcopy(parameters)
    calibration.constrain(parameters)
    np.testing.assert_allclose(parameters["cameras"]["poses"], once["cameras"]["poses"], atol=1e-12)
    motion = world_motions(three_cameras().poses) @ rng.standard_normal(7)
    drift = {"cameras": {"poses": motion.reshape(3, 6) @ np.linalg.inv(calibration._to_twists)}}
    calibration.constrain(drift)
    np.testing.assert_allclose(drift["cameras"]["poses"], 0, atol=1e-12)
    gradient = {"cameras": {"poses": rng.standard_normal((3, 6))}}
    calibration.confine(gradient)
    kept = copy.deepcopy(gradient)
    calibration.constrain(gradient)
    np.testing.assert_allclose(gradient["cameras"]["poses"], kept["cameras"]["poses"], atol=1e-12)


def test_cameras_with_one_lens_learn_as_one(rng):
    calibration = calibration_of(from_preset("quick", **ALL))
    gradient = {"cameras": {"focal": np.array([[1.0, 2.0], [3.0, 5.0], [10.0, 20.0]])}}
    calibration.confine(gradient)
    np.testing.assert_array_equal(gradient["cameras"]["focal"], [[4, 7], [4, 7], [10, 20]])


# -- coarse to fine ----------------------------------------------------------------------------------------------------


def test_bands_are_released_one_after_the_other():
    weights = np.array([band_weights(8, detail) for detail in np.linspace(0, 1, 30)])
    assert np.all(np.diff(weights, axis=0) >= 0) and np.all(np.diff(weights, axis=1) <= 0)
    assert weights.min() >= 0 and np.all(weights[:, 0] == 1)
    np.testing.assert_allclose(weights[-1], 1)
    assert weights[0, -1] == 0 and band_weights(1, 0.0) == [1.0]


@pytest.mark.parametrize("kind", ["grid", "mlp"])
def test_what_is_held_back_is_neither_shown_nor_learnt(kind, rng):
    """At no detail, the features of the finest level, or the octave, make no difference."""
    grid = GridShape(levels=4, features=2, log2_entries=6, base=2, finest=8)
    if kind == "grid":
        field = HashGridField(grid, GridMLPShape(grid.width, 8))
    else:
        field = MLPField(MLPShape(depth=3, width=8, skip=2, position_frequencies=4, direction_frequencies=1))
    parameters = field.init(rng)
    points, directions = rng.random((20, 3), np.float32), np.tile(np.float32([0, 0, 1]), (20, 1))
    coarse = field.coarsened(parameters, 0.0)
    other = copy.deepcopy(parameters)
    if kind == "grid":
        other["tables"][grid.table[-1, 0] :] += 5
    else:
        for name in ("layer0", "layer2"):
            other[name]["weight"][18:24] += 5
    seen = [np.column_stack(field(p, points, directions, np.arange(20))) for p in (coarse, field.coarsened(other, 0.0))]
    np.testing.assert_array_equal(*seen)
    whole = [np.column_stack(field(p, points, directions, np.arange(20))) for p in (parameters, other)]
    assert np.abs(whole[0] - whole[1]).max() > 1e-3
    full = field.coarsened(parameters, 1.0)
    np.testing.assert_array_equal(whole[0], np.column_stack(field(full, points, directions, np.arange(20))))


def test_what_is_not_learnt_costs_nothing(scene, tiny):
    """No parameters, no other operators, the field's parameters as they are."""
    trainer = Trainer(tiny, scene.cameras, scene)
    assert set(trainer.state.parameters) == {"field"} and not trainer.calibration.shapes
    assert trainer.field is trainer.state.parameters["field"]
    assert coarsened(trainer.model, trainer.field, 1.0) is trainer.field
    assert trainer.training_cameras is scene.cameras.train
    assert trainer.cameras_of(scene.splits["test"]) is scene.splits["test"].cameras
    uses = differentiating_rays(trainer.model.operators)
    assert all(use.constants == () for use in uses) and "positions" in {use.name for use in uses}


# -- training ----------------------------------------------------------------------------------------------------------


def masked(scene, valid, color=None):
    """The scene with only some training pixels valid, and the others painted over."""
    views = scene.splits["train"]
    pixels = views.pixels.copy()
    if color is not None:
        pixels[~valid] = color
    views = Views(views.cameras, pixels, views.names, valid)
    return dataclasses.replace(scene, splits={**scene.splits, "train": views})


@pytest.mark.parametrize("method", ["instant", "nerf"])
def test_masked_pixels_have_no_influence(scene, tiny, tiny_config, rng, method):
    """Whatever they show, every bit of what is learnt is the same."""
    valid = rng.random(len(scene.splits["train"].pixels)) < 0.5
    config = with_settings(tiny, max_steps=12) if method == "instant" else tiny_config(max_steps=12)
    config = with_settings(config, photometric="huber", refine="poses", refine_from=2, exposure="per-image")
    found = []
    for color in ((255, 0, 0, 255), (0, 0, 255, 0)):
        painted = masked(scene, valid, color)
        trainer = Trainer(config, painted.cameras, painted)
        trainer.train()
        found.append(content(trainer))
    assert found[0] == found[1]


def test_cameras_are_not_touched_before_it_is_time(scene, tiny):
    config = with_settings(tiny, refine="poses", refine_from=3, max_steps=5)
    trainer, sizes = Trainer(config, scene.cameras, scene), []
    trainer.train(on_step=lambda _: sizes.append(np.abs(trainer.state.parameters["cameras"]["poses"]).max()) and None)
    assert sizes[:3] == [0, 0, 0] and sizes[3] > 0
    assert not np.array_equal(trainer.training_cameras.poses, scene.cameras.train.poses)


@pytest.mark.usefixtures("one_thread")
def test_exposures_are_found(scene, tiny):
    """Pictures at gains of their own: the learnt gains are those, but for their mean."""
    views, rng = scene.splits["train"], np.random.default_rng(0)
    gains = rng.uniform(0.5, 1.0, (len(views), 3))
    pixels = views.pixels.copy()
    owner = np.repeat(np.arange(len(views)), np.diff([*views.starts, len(pixels)]))
    pixels[:, :3] = np.rint(pixels[:, :3] * gains[owner])
    dimmed = dataclasses.replace(scene, splits={**scene.splits, "train": Views(views.cameras, pixels, views.names)})
    config = with_settings(tiny, exposure="per-image", max_steps=250, exposure_rate=2e-2)
    trainer = Trainer(config, dimmed.cameras, dimmed)
    trainer.train()
    wanted = np.log(gains) - np.log(gains).mean(axis=0)
    found = trainer.state.parameters["exposure"]
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.5 * np.sqrt(np.mean(wanted**2))


@pytest.mark.usefixtures("one_thread")
def test_refinement_finds_disturbed_poses(scene, tiny):
    """Cameras that were turned and moved at random see things where they are again, a few pixels in ten apart."""
    views, rng = scene.splits["train"], np.random.default_rng(3)
    truth = views.cameras.poses
    wrong = truth @ rigid_motion(rng.standard_normal((10, 6)) * np.repeat([0.03, 0.1], 3))
    moved = Views(dataclasses.replace(views.cameras, poses=wrong), views.pixels, views.names)
    disturbed = dataclasses.replace(scene, splits={**scene.splits, "train": moved})
    config = with_settings(
        tiny, refine="poses", refine_from=50, coarse_steps=200, pose_rate=3e-3, max_steps=300, decay_steps=300
    )
    trainer = Trainer(config, disturbed.cameras, disturbed)
    trainer.train()
    points, view = rng.uniform(-0.5, 0.5, (300, 3)), np.arange(300) % 10

    def error(cameras):
        """In pixels, of where points are seen."""
        return np.sqrt(np.mean((cameras.project(points, view) - views.cameras.project(points, view)) ** 2))

    assert error(trainer.training_cameras) < 0.3 * error(moved.cameras)


@pytest.mark.parametrize("preset", ["quick", "small"])
def test_codes_explain_pictures_of_two_colours(scene, tiny, preset):
    """Every picture is there twice, once turned to red: without codes a field shows one colour, with them both."""
    views = scene.splits["train"]
    twice = np.repeat(np.arange(len(views)), 2)
    images = [views.image(i).copy() for i in twice]
    for image in images[1::2]:
        image[..., 1:3] //= 3
    pairs = Views.from_images(views.cameras[twice], images, [f"{i}" for i in range(len(twice))])
    tinted = dataclasses.replace(scene, splits={"train": pairs})
    errors = []
    for codes in (0, 4):
        base = (
            tiny
            if preset == "quick"
            else from_preset("small", depth=2, width=16, rays=128, coarse_samples=16, fine_samples=16)
        )
        config = with_settings(base, appearance_codes=codes, max_steps=150, background="black")
        trainer = Trainer(config, tinted.cameras, tinted)
        reports = [trainer.step() for _ in range(150)]
        errors.append(np.mean([report.terms.fine for report in reports[-20:]]))
        if codes:
            found = trainer.state.parameters["appearance"]
            between = np.linalg.norm(found[::2].mean(axis=0) - found[1::2].mean(axis=0))
            within = np.linalg.norm(found[::2] - found[::2].mean(axis=0), axis=1).mean()
            assert between > 1.5 * within
    assert errors[1] < 0.8 * errors[0]


def test_a_background_is_learnt(scene, tiny):
    """Opaque pictures of a thing before a blue wall: the colour of the wall is found, kept and shown."""
    views, wall = scene.splits["train"], np.array([0.2, 0.4, 0.9])
    seen = composite(views.pixels, wall)
    opaque = dataclasses.replace(views, pixels=np.rint(255 * seen).astype(np.uint8))
    walled = dataclasses.replace(scene, splits={"train": opaque})
    config = with_settings(tiny, background="learnt", max_steps=150, distortion=1e-2)
    trainer = Trainer(config, walled.cameras, walled)
    np.testing.assert_allclose(trainer.cameras.background, 0.5)
    trainer.train()
    np.testing.assert_allclose(trainer.cameras.background, wall, atol=0.12)
    away = Cameras.make(look_at((3, 0, 0), (6, 0, 0)), (4, 4), 10.0, near=0.1, far=5.0)
    color = trainer.render(away).color
    np.testing.assert_allclose(color, np.broadcast_to(trainer.cameras.background, color.shape), atol=1e-6)
    with pytest.raises(UserError, match="alpha"):
        Trainer(config, scene.cameras, scene)

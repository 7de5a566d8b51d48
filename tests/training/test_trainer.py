"""The trainer in memory: it learns, it repeats itself to the bit, it stops when told to, and notices when it fails."""

import copy
import dataclasses
import itertools
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import nerf_mini.models.precision as precision_module
import nerf_mini.training.health as health
import nerf_mini.training.trainer as trainer_module
from autodiff import tree
from nerf_mini.config import LossConfig, from_preset, with_settings
from nerf_mini.errors import UserError
from nerf_mini.geometry.paths import orbit
from nerf_mini.io.images import composite
from nerf_mini.models import OccupancyModel
from nerf_mini.ops import BFLOAT16
from nerf_mini.rendering.metrics import psnr
from nerf_mini.rendering.volume import Rendering, render
from nerf_mini.samplers import OccupancyGrid
from nerf_mini.scenes import Views, draw_pixels, load_scene, scene_from_arrays
from nerf_mini.scenes.synthetic import default_blobs
from nerf_mini.training import Trainer, memory_needed
from nerf_mini.training.step import Batch, loss_and_gradient

WHITE = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def scene(blobs):
    return load_scene(blobs)


@pytest.fixture(scope="module")
def trainer_of(scene, tiny_config, tiny):
    """A function that begins a tiny training of a method; keywords replace settings."""

    def make(method="nerf", scene=scene, **settings):
        config = tiny_config(**settings) if method == "nerf" else with_settings(tiny, **settings)
        return Trainer(config, scene.cameras, scene)

    return make


METHODS = pytest.mark.parametrize("method", ["nerf", "instant"])


def with_training_views(scene, views):
    return dataclasses.replace(scene, splits={**scene.splits, "train": views})


def painted(scene, color):
    """The scene with training pictures of one colour (4,)."""
    views = scene.splits["train"]
    pixels = np.broadcast_to(np.asarray(color, np.uint8), views.pixels.shape).copy()
    return with_training_views(scene, Views(views.cameras, pixels, views.names))


def content(trainer):
    """All bits of a trainer's state, but the seconds it took."""
    state = trainer.state
    arrays = tree.flatten([state.parameters, state.optimiser.mean, state.optimiser.variance, dict(state.sampler)])[0]
    return [array.tobytes() for array in arrays], state.step, state.rng.bit_generator.state


def trained(trainer, *args, **options):
    trainer.train(*args, **options)
    return trainer


def reports(trainer, *args, **options):
    """What each step of a training reported."""
    found = []
    trainer.train(*args, on_step=lambda report: found.append(report), **options)  # returns None: goes on
    return found


def before_step(trainer, step, action):
    """Have something done to the trainer before the given step, counted from 1."""
    original = trainer.step

    def patched(progress=None):
        if trainer.step_count + 1 == step:
            action(trainer)
        return original(progress)

    trainer.step = patched
    return trainer


def psnr_of_views(trainer, views, count=None):
    """Mean PSNR of the first pictures of a split."""
    found = []
    for index in range(count or len(views)):
        image = trainer.render(views.cameras, index)
        found.append(psnr(image.color, composite(views.image(index), trainer.cameras.background)))
    return np.mean(found)


# -- learning ----------------------------------------------------------------------------------------------------------


def test_the_loss_falls(trainer_of):
    losses = [report.loss for report in reports(trainer_of(max_steps=120))]
    assert len(losses) == 120
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_it_learns_the_scene(trainer_of, scene):
    trainer = trainer_of("instant", max_steps=300)
    losses = [report.loss for report in reports(trainer)]
    assert np.mean(losses[-20:]) < 0.2 * np.mean(losses[:10])
    assert psnr_of_views(trainer, scene.splits["test"]) > 20


def test_the_network_of_the_paper_learns_with_the_occupancy_sampler(scene, tiny_config):
    """--method nerf --sampler occupancy: one network, samples where the grid says that something is."""
    config = tiny_config(
        sampler="occupancy", width=32, position_frequencies=4, samples_per_step=2048, march_steps=128,
        occupancy_resolution=16, max_steps=150, crop_steps=0, epsilon=1e-15,
    )  # fmt: skip
    trainer = Trainer(config, scene.cameras, scene)
    assert isinstance(trainer.model, OccupancyModel)
    trainer.train()
    assert psnr_of_views(trainer, scene.splits["test"]) > 20
    assert trainer.model.sampler.grid.occupied_share < 1  # some of the cube was found empty


@METHODS
def test_images_of_several_sizes_lenses_and_bounds_are_learnt(trainer_of, method):
    """Each camera of the blobs has its own size, focal length and bounds; a few views are held out."""
    sizes = np.tile([(16, 16), (20, 12), (9, 18)], (5, 1))
    focal, near, far = 1.4 * sizes.max(axis=1, keepdims=True), np.linspace(1.8, 2.2, 15), np.linspace(5.8, 6.2, 15)
    poses = np.concatenate([orbit(8, 4.0, 25.0), orbit(7, 4.0, 55.0)])
    blank = [np.zeros((height, width, 4), np.uint8) for width, height in sizes]
    cameras = scene_from_arrays(blank, poses, focal, near=near, far=far).cameras.train
    images = []
    for view in range(15):
        rays = cameras.image_rays(view, np.float64)
        color, opacity, _ = default_blobs().render_exact(rays.origins, rays.directions, near[view], far[view])
        straight = np.column_stack([color / np.maximum(opacity, 1e-12)[:, None], opacity])
        images.append(straight.reshape(sizes[view, 1], sizes[view, 0], 4).clip(0, 1))
    arrays = scene_from_arrays(images, poses, focal, near=near, far=far, held_out=[3, 7, 11])
    trainer = trainer_of(method, scene=arrays, max_steps=250)
    before = psnr_of_views(trainer, arrays.splits["test"])
    trainer.train()
    after = psnr_of_views(trainer, arrays.splits["test"])
    assert after > before + 4 and after > 15


def test_early_steps_draw_from_the_centre_of_the_images(trainer_of, monkeypatch):
    seen = []

    def spy(views, count, crop, rng):
        seen.append(crop)
        return draw_pixels(views, count, crop, rng)

    monkeypatch.setattr(trainer_module, "draw_pixels", spy)
    trainer_of(max_steps=5, crop_steps=3, crop_fraction=0.25).train()
    assert seen == [0.25, 0.25, 0.25, 1.0, 1.0]


@METHODS
def test_several_rays_go_through_each_pixel_from_a_step_on(trainer_of, method):
    """Pictures are then the mean of as many; a resumed run goes on in the same way."""
    trainer = trainer_of(method, max_steps=8, supersampling=2, supersampling_from=5)
    cameras = trainer.scene.splits["test"].cameras
    assert [trainer.supersampling_of_step(step) for step in (0, 4, 5, 9)] == [1, 1, 2, 2]
    for step in range(1, 9):
        rays = trainer.step().rays
        assert trainer.supersampling(cameras) == (2 if step > 5 else 1)
        assert step <= 5 or rays % 4 == 0
    half, quarter = cameras.scaled(0.5), cameras.scaled(0.25)
    assert (trainer.supersampling(half), trainer.supersampling(quarter)) == (4, 8)
    assert trainer.supersampling(cameras.scaled(2.0)) == 1
    single = trainer.render(cameras, 0, antialias=False).color
    assert not np.array_equal(trainer.render(cameras, 0).color, single)


def test_by_default_the_instant_method_sees_each_pixel_three_times_before_that(trainer_of, scene):
    pixels = scene.splits["train"].cameras.size.prod(axis=1).sum()
    trainer = trainer_of("instant", supersampling=None, samples_per_step=2048)
    assert pixels < 10**4 and trainer.supersampling_of_step(1999) == 1 and trainer.supersampling_of_step(2000) == 2
    views = scene.splits["train"]
    large = dataclasses.replace(scene.cameras, splits={**scene.cameras.splits, "train": views.cameras.scaled(40.0)})
    many = Trainer(trainer.config, large)
    usual = many.model.sampler.usual_rays
    first = next(step for step in range(2000, 10**5) if many.supersampling_of_step(step) == 2)
    assert first * usual == pytest.approx(3 * 1600 * pixels, rel=0.01)
    assert trainer_of("nerf").supersampling_of_step(10**6) == 1


def test_rays_of_a_step_adapt_to_the_budget(trainer_of):
    rays = [report.rays for report in reports(trainer_of("instant", max_steps=300))]
    assert rays[-1] > 4 * rays[0]


@METHODS
def test_the_distortion_loss_pulls_weights_together(trainer_of, method):
    """A heavy one thins out what lies along a ray: the mean distortion of rays falls."""
    spread = {}
    for weight in (0.0, 1.0):
        trainer = trained(
            trainer_of(method, max_steps=60, distortion=weight, **({"rays": 64} if method == "nerf" else {}))
        )
        pixels = draw_pixels(trainer.views, 64, 1.0, np.random.default_rng(5))
        batch = Batch(pixels, np.ones((64, 3), np.float32))
        found = loss_and_gradient(
            trainer.model, trainer.state.parameters, trainer.cameras.train, batch, LossConfig(distortion=1.0),
            np.random.default_rng(5),
        )  # fmt: skip
        spread[weight] = found.terms.distortion
    assert 0 <= spread[1.0] < 0.5 * spread[0.0]


@METHODS
def test_what_a_step_reports(trainer_of, method):
    found = reports(trainer_of(method, max_steps=12, distortion=0.1))
    assert [report.step for report in found] == list(range(1, 13))
    for report in found:
        terms = report.terms
        assert report.loss == pytest.approx(terms.fine + terms.coarse + terms.distortion)
        assert terms.fine > 0 and terms.distortion > 0 and (terms.coarse > 0) == (method == "nerf")
        mean = np.mean([earlier.terms.fine for earlier in found[: report.step]])
        assert report.psnr == pytest.approx(-10 * np.log10(mean))
        assert report.rays >= 16


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_seed_collapses(seed):
    """The first 300 steps of the default run, at its learning rates, on the default scene: every seed learns it."""
    scene = load_scene(Path(__file__).parents[2] / "data" / "shapes")
    config = from_preset("default", max_steps=300, decay_steps=12_000, seed=seed)
    trainer = trained(Trainer(config, scene.cameras, scene))
    assert psnr_of_views(trainer, scene.splits["test"], 2) > 25


# -- the same bits -----------------------------------------------------------------------------------------------------


@METHODS
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(trainer_of, method):
    first, second = (trained(trainer_of(method, max_steps=30)) for _ in range(2))
    assert content(first) == content(second)
    other = trained(trainer_of(method, max_steps=30, seed=1))
    for name, a, b in zip(
        tree.paths(first.state.parameters), *(tree.flatten(t.state.parameters)[0] for t in (first, other)), strict=True
    ):
        assert np.any(a != b), name


@METHODS
def test_the_number_of_threads_does_not_change_a_bit(trainer_of, method):
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(content(trained(trainer_of(method, max_steps=20, density_noise=0.5))))
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


@METHODS
def test_a_training_that_is_cut_in_two_has_the_same_bits(trainer_of, method):
    """Stopped by a callback and gone on with, by the same trainer and by another one with a copy of its state."""
    straight = trained(trainer_of(method, max_steps=40))
    cut = trainer_of(method, max_steps=40)
    assert cut.train(on_step=lambda report: report.step == 21) == "stopped"
    assert cut.step_count == 21
    other = Trainer(cut.config, cut.cameras, cut.scene, copy.deepcopy(cut.state))
    for trainer in (cut, other):
        assert trainer.train() == "steps"
        assert content(trainer) == content(straight)


def test_a_callback_and_pictures_on_the_way_change_no_bit(trainer_of, scene):
    """Rendering, with a grid that is half full of fog, and querying draw no random numbers and keep nothing."""
    for method in ("nerf", "instant"):
        watched = trainer_of(method, max_steps=12)
        watched.train(on_step=lambda _, t=watched: t.render(scene.splits["test"].cameras) and t.query(np.ones(3)) and 0)
        assert watched.step_count == 12
        assert content(watched) == content(trained(trainer_of(method, max_steps=12)))


# -- how long ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, False, 0])
def test_a_callback_that_returns_nothing_true_stops_nothing(trainer_of, answer):
    calls = []
    assert trainer_of(max_steps=4).train(on_step=lambda report: calls.append(report.step) or answer) == "steps"
    assert calls == [1, 2, 3, 4]


def test_a_finished_training_takes_no_step(trainer_of):
    trainer = trained(trainer_of(max_steps=4))
    before = content(trainer)
    assert trainer.train() == "steps" and trainer.train(max_steps=2) == "steps"
    assert content(trainer) == before


def test_max_seconds_bounds_the_time(trainer_of):
    trainer = trainer_of(max_steps=10**6)
    started = time.perf_counter()
    assert trainer.train(max_seconds=0.5) == "time"
    assert 0.5 <= time.perf_counter() - started < 5
    assert trainer.step_count > 0
    seconds = trainer.state.seconds
    assert 0.5 <= seconds < 5
    assert trainer.train(max_seconds=1e-9) == "time", "at least one step"
    assert trainer.state.seconds > seconds


def test_without_a_limit_of_steps_the_rate_decays_over_the_time(trainer_of):
    trainer = trainer_of(max_steps=None, decay_steps=None)
    rates = [report.learning_rate for report in reports(trainer, max_seconds=1.0)]
    assert rates[0] > 9e-3 and rates[-1] < 1.5e-3, "from 1e-2 to 1e-3"
    assert all(later <= sooner for sooner, later in itertools.pairwise(rates))


def test_a_training_bound_by_time_in_two_parts_has_one_schedule(trainer_of):
    """The second part goes on where the first ended, at the share of both that has passed."""
    trainer = trainer_of(max_steps=None, decay_steps=None)
    stop = {"at": time.perf_counter() + 0.6}
    first = []
    trainer.train(max_seconds=1.2, on_step=lambda r: first.append(r.learning_rate) or time.perf_counter() > stop["at"])
    left = 1.2 - trainer.state.seconds
    second = [report.learning_rate for report in reports(trainer, max_seconds=left)]
    assert second[0] == pytest.approx(first[-1], rel=0.3) and second[-1] < 1.5e-3


def test_a_bound_on_the_time_leaves_the_schedule_of_steps_alone(trainer_of):
    trainer = trainer_of(max_steps=40)
    assert trainer.train(max_seconds=1e-9) == "time"
    assert trainer.step_count == 1
    assert trainer.train(max_seconds=100.0) == "steps"
    assert content(trainer) == content(trained(trainer_of(max_steps=40)))


def test_without_any_end_training_is_refused(trainer_of):
    trainer = trainer_of(max_steps=None)
    with pytest.raises(UserError, match="nothing ends this training"):
        trainer.train()
    assert trainer.step_count == 0


@pytest.mark.parametrize("where", ["configuration", "call"])
def test_fewer_steps_shorten_the_schedule(trainer_of, where):
    """Without steps of its own, the decay is over the run that is asked for."""
    steps = 10
    trainer = trainer_of(max_steps=steps if where == "configuration" else 500, decay_steps=None)
    rates = [report.learning_rate for report in reports(trainer, *([steps] if where == "call" else []))]
    np.testing.assert_allclose(rates, 1e-2 * 0.1 ** (np.arange(steps) / steps), rtol=1e-12)


def test_steps_of_the_decay_hold_whatever_the_length_of_the_run(trainer_of):
    rates = [report.learning_rate for report in reports(trainer_of(max_steps=8, decay_steps=4))]
    np.testing.assert_allclose(rates, 1e-2 * 0.1 ** np.minimum(1, np.arange(8) / 4), rtol=1e-12)


# -- failing -----------------------------------------------------------------------------------------------------------


def poison(trainer):
    trainer.state.parameters["field"]["fine"]["density"]["bias"][:] = np.nan


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_not_finite_stops_with_step_seed_and_advice(trainer_of):
    trainer = before_step(trainer_of(seed=5), 13, poison)
    with pytest.raises(UserError) as error:
        trainer.train()
    for part in ("loss", "nan", "step 13", "seed 5", "--learning-rate", "0.01"):
        assert part in str(error.value)
    assert trainer.step_count == 12


def test_a_gradient_that_is_not_finite_never_reaches_the_state(trainer_of, monkeypatch):
    """The loss of step 8 is finite, its gradient is not: the update would spoil the parameters."""
    trainer = trainer_of(seed=5)

    def spoilt(*args):
        found = loss_and_gradient(*args)
        if trainer.step_count + 1 == 8:
            found.gradient["field"]["coarse"]["layer0"]["weight"][0, 0] = np.inf
        return found

    monkeypatch.setattr(trainer_module, "loss_and_gradient", spoilt)
    with pytest.raises(UserError, match=r"gradient is not finite at step 8 \(seed 5\)"):
        trainer.train()
    assert trainer.step_count == 7
    state = trainer.state
    for values in (state.parameters, state.optimiser.mean, state.optimiser.variance):
        assert all(np.isfinite(leaf).all() for leaf in tree.flatten(values)[0])


def kill_density(trainer):
    for network in trainer.state.parameters["field"].values():
        network["density"]["bias"][:] = -1e3


@pytest.mark.parametrize("background", ["auto", "random"])
def test_a_collapse_to_the_background_is_detected(trainer_of, monkeypatch, background):
    """ReLU densities that are zero everywhere have no gradient: every ray shows the background for ever."""
    monkeypatch.setattr(health, "COLLAPSE_AFTER", 10)
    trainer = trainer_of(density_activation="relu", seed=3, background=background)
    with pytest.raises(UserError, match=r"collapsed.*step 1\d .*seed 3.*--seed.*softplus"):
        before_step(trainer, 3, kill_density).train()


@METHODS
@pytest.mark.parametrize("background", ["auto", "random"])
def test_a_healthy_training_is_no_collapse(trainer_of, monkeypatch, method, background):
    monkeypatch.setattr(health, "COLLAPSE_AFTER", 0 if method == "nerf" else 16)
    assert trainer_of(method, background=background).train() == "steps"


def test_a_dead_coarse_network_is_a_collapse_too(trainer_of, monkeypatch):
    """Nothing would be sampled where the scene is; the fine network alone hides that."""

    def kill_coarse(trainer):
        trainer.state.parameters["field"]["coarse"]["density"]["bias"][:] = -1e3

    monkeypatch.setattr(health, "COLLAPSE_AFTER", 10)
    with pytest.raises(UserError, match=r"collapsed.*step 16 "):
        before_step(trainer_of(density_activation="relu"), 3, kill_coarse).train()


PICTURES = {"empty": (0, 0, 0, 0), "opaque": (200, 30, 90, 255), "half-transparent": (200, 30, 90, 128)}


@pytest.mark.parametrize("background", ["auto", "random"])
@pytest.mark.parametrize("color", PICTURES.values(), ids=PICTURES)
def test_pictures_of_one_colour_are_no_collapse(trainer_of, scene, monkeypatch, color, background):
    """Also where every ray emits exactly the same, as in a network without a density."""
    monkeypatch.setattr(health, "COLLAPSE_AFTER", 3)
    trainer = trainer_of(scene=painted(scene, color), density_activation="relu", background=background)
    assert before_step(trainer, 2, kill_density).train() == "steps"


# -- scenes with little to see -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("color", PICTURES.values(), ids=PICTURES)
def test_pictures_of_one_colour_train_without_error(trainer_of, scene, color, monkeypatch):
    monkeypatch.setattr(health, "COLLAPSE_AFTER", 20)
    trainer = trainer_of("instant", scene=painted(scene, color), max_steps=120)
    assert trainer.train() == "steps"
    assert np.isfinite(trainer.render(scene.splits["test"].cameras).color).all()


@METHODS
def test_a_single_view_trains_without_error(trainer_of, scene, method):
    single = with_training_views(scene, scene.splits["train"][:1])
    assert trainer_of(method, scene=single, max_steps=60).train() == "steps"


@pytest.mark.parametrize("preset", ["quick", "small"])
def test_presets_train_on_16_by_16_pixels(scene, preset):
    """Where the finest grid that the pixels ask for is hardly finer than the coarsest."""
    trainer = Trainer(from_preset(preset, max_steps=3), scene.cameras, scene)
    losses = [report.loss for report in reports(trainer)]
    assert np.isfinite(losses).all() and losses[0] > 0


# -- without training --------------------------------------------------------------------------------------------------


def test_a_trainer_without_data_shows_and_does_not_train(trainer_of, scene):
    trainer = trained(trainer_of("instant", max_steps=20))
    bare = Trainer(trainer.config, trainer.cameras, None, copy.deepcopy(trainer.state))
    camera = scene.splits["test"].cameras
    np.testing.assert_array_equal(bare.render(camera).color, trainer.render(camera).color)
    with pytest.raises(UserError, match="without its data"):
        bare.step()


@pytest.mark.parametrize("preset", ["quick", "default", "best"])
def test_pictures_before_training_are_fast(scene, preset):
    """The whole cube is thin fog then: the marching steps are longer, or a picture would take a minute."""
    trainer = Trainer(from_preset(preset), scene.cameras, scene)
    field, asked = trainer.model.field, []

    class Counted:
        def density(self, parameters):
            found = field.density(parameters)
            return lambda points: asked.append(len(points)) or found(points)

        def __call__(self, *args):
            return field(*args)

    trainer.model.field = Counted()
    camera = scene.splits["test"].cameras.scaled(2.0)
    image = trainer.render(camera)
    rays, steps = image.opacity.size, trainer.model.sampler.march_steps
    assert 0.01 < image.opacity.mean() < 1
    assert sum(asked) < rays * steps / 4


def test_density_and_colour_at_points(trainer_of, scene):
    """Per scene unit, as rays see them; none outside of the box."""
    trainer = trained(trainer_of("instant", max_steps=150))
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    density, color = trainer.query(points)
    assert density.shape == (200,) and color.shape == (200, 3)
    assert density.min() >= 0 and color.min() >= 0 and color.max() <= 1
    truth = default_blobs().density(points)
    assert density[truth > 5].mean() > 10 * density[truth < 0.05].mean()
    unit = trainer.model.region.to_unit(points.astype(np.float32))
    at_once = trainer.model.density(trainer.state.parameters["field"])(unit)
    np.testing.assert_allclose(density, at_once, rtol=1e-4)
    outside, _ = trainer.query([[0.0, 0.0, 9.0], [4.0, 0.0, 0.0]])
    np.testing.assert_array_equal(outside, 0)
    one, _ = trainer.query(points[0], (1.0, 0.0, 0.0))
    np.testing.assert_allclose(one, density[:1], rtol=1e-4)


def test_the_forecast_of_memory_counts_pictures_tables_and_samples(trainer_of):
    def forecast(**changes):
        return memory_needed(trainer_of("instant", **changes))

    base = forecast()
    assert 2e8 < base < 4e8  # hardly more than the process itself
    larger = forecast(log2_entries=20, finest_resolution=512)
    assert larger - base > 4 * 4 * 2**20  # four numbers an entry, at least one more level of 2^20 entries
    assert forecast(occupancy_resolution=512) > 2 * 4 * 512**3
    assert forecast(samples_per_step=2**19) > base + 2e8


def test_auto_becomes_the_precision_of_the_cpu(trainer_of):
    for method in ("nerf", "instant"):
        assert trainer_of(method).config.precision == ("bfloat16" if BFLOAT16 else "float32")
        assert trainer_of(method, precision="float32").config.precision == "float32"


def test_a_precision_that_the_cpu_lacks_is_refused(trainer_of, monkeypatch):
    monkeypatch.setattr(precision_module, "BFLOAT16", False)
    with pytest.raises(UserError, match="no instructions for it"):
        trainer_of("instant", precision="bfloat16")


def test_a_training_goes_on_in_single_precision_where_the_cpu_lacks_its_own(trainer_of, monkeypatch):
    begun = trained(trainer_of("instant", precision="float32", max_steps=5))
    config = dataclasses.replace(begun.config, precision="bfloat16")
    monkeypatch.setattr(precision_module, "BFLOAT16", False)
    gone_on = Trainer(config, begun.cameras, begun.scene, copy.deepcopy(begun.state))
    assert gone_on.config.precision == "bfloat16", "a run keeps what it began with"
    assert content(trained(gone_on, 9)) == content(trained(begun, 9))


# -- pictures of a grid that has learnt --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(trainer_of, scene):
    """A trained tiny model, its parameters, and the rays of a test view."""
    trainer = trained(trainer_of("instant", max_steps=150))
    return trainer.model, trainer.state.parameters["field"], scene.splits["test"].cameras.image_rays(0)


def test_a_view_is_what_the_differentiable_formula_gives(seen):
    model, parameters, rays = seen
    white = np.ones(3, np.float32)
    found = model.view(parameters, rays, white)
    sampler = model.sampler
    kept = sampler.steps, sampler.budget
    sampler.steps, sampler.budget = sampler.steps_for_pictures(), 10**6
    samples = sampler.visible(rays, np.full(len(rays), 0.5, np.float32), model.density(parameters))
    sampler.steps, sampler.budget = kept
    assert len(samples.counts) == len(rays)
    wanted = render(model.field, parameters, model.region, rays, samples, white)
    assert isinstance(found, Rendering)
    np.testing.assert_allclose(found.color, wanted.color, atol=0.03)
    np.testing.assert_allclose(found.opacity, wanted.opacity, atol=1e-3)
    hit = wanted.opacity > 0.5
    np.testing.assert_allclose(found.depth[hit], wanted.depth[hit], atol=0.02)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_a_picture_does_not_depend_on_which_rays_are_followed_together(seen, chunk):
    model, parameters, rays = seen
    white = np.ones((len(rays), 3), np.float32)
    whole = model.view(parameters, rays, white)
    assert 0.05 < whole.opacity.mean() < 0.95
    for first in range(0, len(rays), chunk):
        part = slice(first, first + chunk)
        piece = model.view(parameters, rays[part], white[part])
        for name in ("color", "depth", "opacity"):
            assert getattr(piece, name).tobytes() == getattr(whole, name)[part].tobytes()


def test_rays_that_meet_nothing_show_the_background(seen):
    model, parameters, rays = seen
    away = dataclasses.replace(rays[:5], directions=-rays.directions[:5])
    found = model.view(parameters, away, np.full((5, 3), 0.3, np.float32))
    np.testing.assert_array_equal(found.color, np.float32(0.3))
    assert not found.opacity.any() and not found.depth.any()
    nothing = model.view(parameters, rays[:0], np.ones((0, 3), np.float32))
    assert nothing.color.shape == (0, 3)


def test_thin_haze_keeps_its_colour(seen):
    """So thin that no sample alone would show: together they do, in their colour and not in black."""
    model, _, rays = seen
    hazy = copy.copy(model)
    hazy.sampler = copy.copy(model.sampler)
    hazy.sampler.grid = OccupancyGrid.full(model.region, 16)
    density = np.float32(1e-4 / hazy.sampler.steps_for_pictures().least)

    class Haze:
        def __call__(self, parameters, points, directions, ray_index):
            return np.full(len(points), density), np.ones((len(points), 3), np.float32)

    hazy.field = Haze()
    view = hazy.view(None, rays, np.zeros(3, np.float32))
    assert view.opacity.max() > 0.002
    np.testing.assert_allclose(view.color, np.repeat(view.opacity[:, None], 3, 1), atol=1e-6)

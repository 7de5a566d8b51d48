"""The instant method from scene to picture: learning, the same bits, and scenes with nothing to learn."""

import copy
import dataclasses
import json
from pathlib import Path

import numba
import numpy as np
import pytest

from autodiff import check_grads, value_and_grad
from nerf_mini.cli.program import main, parse_train
from nerf_mini.config import PRESETS, NetworkConfig, SamplingConfig
from nerf_mini.errors import UserError
from nerf_mini.fields import HashGridField
from nerf_mini.geometry.cameras import image_rays
from nerf_mini.models import OccupancyNeRF, draw_batch
from nerf_mini.ops import BFLOAT16, GridMLPShape, GridShape, truncated_exp
from nerf_mini.rendering.images import render_image
from nerf_mini.rendering.volume import Rendering, render
from nerf_mini.runs.checkpoint import checkpoint_files
from nerf_mini.runs.evaluation import evaluate_run
from nerf_mini.runs.folder import open_run
from nerf_mini.samplers.occupancy import OccupancyGrid
from nerf_mini.training.loop import Progress, final_evaluation, memory_needed, resume, start, train
from nerf_mini.training.optimiser import adam_init, adam_update


def longer(config, steps, **settings):
    training = dataclasses.replace(config.training, max_steps=steps)
    return dataclasses.replace(config, training=training, **settings)


def content(run):
    """Everything in the newest checkpoint but the seconds it took."""
    with np.load(checkpoint_files(run / "checkpoints")[-1]) as file:
        arrays = {name: file[name].tobytes() for name in file.files if name != "meta"}
        meta = json.loads(str(file["meta"]))
    meta.pop("seconds")
    return arrays, meta


def test_it_learns_the_scene(tmp_path, blobs, tiny):
    losses = []
    train(
        start(blobs, tmp_path / "run", longer(tiny, 300)), progress=Progress(step=lambda s, m: losses.append(m["loss"]))
    )
    assert np.mean(losses[-20:]) < 0.2 * np.mean(losses[:10])
    result = evaluate_run(open_run(tmp_path / "run"))
    assert result["psnr"] > 20


def test_a_resumed_training_has_the_same_bits(tmp_path, blobs, tiny):
    train(start(blobs, tmp_path / "straight", longer(tiny, 40)))
    train(start(blobs, tmp_path / "cut", longer(tiny, 21)))
    train(resume(tmp_path / "cut", longer(tiny, 40)))
    assert content(tmp_path / "cut") == content(tmp_path / "straight")


def test_the_number_of_threads_does_not_change_a_bit(tmp_path, blobs, tiny):
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            train(start(blobs, tmp_path / str(threads), longer(tiny, 20)))
    finally:
        numba.set_num_threads(before)
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_a_checkpoint_holds_the_occupancy_grid_and_rendering_uses_it(tmp_path, blobs, tiny):
    training = start(blobs, tmp_path / "run", longer(tiny, 40))
    train(training)
    run = open_run(tmp_path / "run")
    checkpoint, _ = run.latest()
    for name, array in training.method.state.items():
        np.testing.assert_array_equal(checkpoint.method[name], array)
    views = training.scene.splits["test"]
    images = [
        render_image(method, checkpoint.parameters, views.intrinsics, views.poses[0], "white").color
        for method in (training.method, run.method(checkpoint))
    ]
    np.testing.assert_array_equal(*images)


def test_a_view_is_what_the_differentiable_formula_gives(tmp_path, blobs, tiny):
    training = start(blobs, tmp_path / "run", longer(tiny, 150))
    train(training)
    method, parameters = training.method, training.state.parameters
    views = training.scene.splits["test"]
    from nerf_mini.geometry.cameras import image_rays

    origins, directions = image_rays(views.intrinsics, views.poses[0])
    white = np.ones((len(origins), 3), np.float32)
    seen = method.view(parameters, origins, directions, white)
    marched = method._march(origins, directions, np.full(len(origins), 0.5, np.float32), method._march_step(), 10**6)
    _, _, points, samples = marched.packed(origins, directions, method.cube, method.step, 10**6)

    def field(parameters, _, directions, ray_index, noise):
        return method.field(parameters, points, directions, ray_index, noise)

    wanted = render(field, parameters, origins, directions, samples, white)
    assert isinstance(seen, Rendering)
    np.testing.assert_allclose(seen.color, wanted.color, atol=0.03)
    np.testing.assert_allclose(seen.opacity, wanted.opacity, atol=1e-3)


PICTURES = {
    "empty": np.zeros(4, np.uint8),
    "opaque": np.array([200, 30, 90, 255], np.uint8),
    "half-transparent": np.array([200, 30, 90, 128], np.uint8),
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_pictures_of_one_colour_train_without_error(tmp_path, tiny, painted, picture, monkeypatch):
    monkeypatch.setattr("nerf_mini.training.loop.COLLAPSE_AFTER", 20)
    assert train(painted(tmp_path / "run", longer(tiny, 120), images=picture)) == "steps"


def test_a_single_view_trains_without_error(tmp_path, tiny, painted):
    assert train(painted(tmp_path / "run", longer(tiny, 60), views=1)) == "steps"


def test_rays_of_a_step_adapt_to_the_budget(tmp_path, blobs, tiny):
    rays = []
    train(
        start(blobs, tmp_path / "run", longer(tiny, 300)), progress=Progress(step=lambda s, m: rays.append(m["rays"]))
    )
    assert rays[-1] > 4 * rays[0]


# -- parts -------------------------------------------------------------------------------------------------------------


def test_truncated_exp_neither_overflows_nor_loses_its_gradient():
    x = np.array([-100.0, 0.0, 14.0, 16.0, 1e4])
    value, gradient = value_and_grad(lambda x: np.sum(truncated_exp(x)))(x)
    assert np.isfinite(value) and np.all(np.isfinite(gradient)) and gradient[-1] > 1e6
    check_grads(truncated_exp, (np.array([-2.0, 0.3, 1.5]),), order=2)
    assert truncated_exp(np.float32([1, 2])).dtype == np.float32


def test_the_field_has_derivatives_of_second_order():
    field = HashGridField(GridShape(2, 2, 5, 2, 3), GridMLPShape(inputs=4, width=6, bottleneck=3, color_depth=1))
    rng = np.random.default_rng(0)
    parameters = field.init(rng, np.float64)
    parameters["tables"] = rng.standard_normal(parameters["tables"].shape)
    points, directions, ray_index = rng.uniform(0.35, 0.45, (4, 3)), np.eye(3)[:2], np.array([0, 0, 1, 1])

    def total(parameters, points):
        density, color = field(parameters, points, directions, ray_index)
        return np.sum(np.sin(density)) + np.sum(color**2)

    check_grads(total, (parameters, points), order=2)


def test_lazy_adam_leaves_alone_what_has_no_gradient():
    rng = np.random.default_rng(0)
    start_at = {"tables": rng.random((50, 2)), "other": rng.random(9)}
    lazy, eager = ({k: v.copy() for k, v in start_at.items()} for _ in range(2))
    states = adam_init(lazy), adam_init(eager)
    config = PRESETS["default"].optimiser
    for _ in range(3):
        gradient = {"tables": rng.standard_normal((50, 2)), "other": rng.standard_normal(9)}
        gradient["tables"][10:] = 0
        adam_update(config, lazy, gradient, states[0], lazy=("tables",))
        adam_update(config, eager, gradient, states[1])
    np.testing.assert_allclose(lazy["tables"][:10], eager["tables"][:10], rtol=1e-12)
    np.testing.assert_array_equal(lazy["tables"][10:], start_at["tables"][10:])
    np.testing.assert_array_equal(lazy["other"], eager["other"])


# -- command line ------------------------------------------------------------------------------------------------------


def test_presets_by_method():
    assert parse_train(["data", "--method", "instant"]).config == PRESETS["default"]
    assert parse_train(["data", "--preset", "quick"]).config == PRESETS["quick"]
    assert parse_train(["data", "--method", "nerf"]).config == PRESETS["small"]
    with pytest.raises(UserError, match="--preset paper is one of the method nerf"):
        parse_train(["data", "--method", "instant", "--preset", "paper"])


@pytest.mark.parametrize(
    "options",
    [("--levels", "0"), ("--occupancy-resolution", "100"), ("--log2-entries", "30"), ("--samples-per-step", "5")],
)
def test_settings_that_make_no_sense_are_refused(options, tmp_path, blobs, capsys):
    assert main(["train", str(blobs), "--method", "instant", "--output", str(tmp_path / "run"), *options]) == 2
    assert options[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_train_evaluate_and_render_from_the_command_line(tmp_path, blobs, capsys):
    options = "--levels 2 --log2-entries 8 --finest-resolution 16 --hidden-width 16 --samples-per-step 1024"
    options += " --march-steps 64 --occupancy-resolution 16 --max-steps 20 --base-resolution 4"
    run = str(tmp_path / "run")
    assert main(["train", str(blobs), "--method", "instant", "--output", run, *options.split()]) == 0
    assert main(["eval", run]) == 0
    assert main(["render", run, "--views", "2", "--maps"]) == 0
    assert "training instant (default)" in capsys.readouterr().out
    assert len(list((tmp_path / "run" / "renders" / "orbit").iterdir())) == 6


def test_the_network_of_the_paper_learns_with_the_occupancy_sampler(blobs, tmp_path, tiny):
    """--method nerf --sampler occupancy: one network, samples where the grid says that something is."""
    config = dataclasses.replace(
        tiny,
        method="nerf",
        sampling=SamplingConfig(sampler="occupancy"),
        network=NetworkConfig(depth=2, width=32, position_frequencies=4),
        training=dataclasses.replace(tiny.training, max_steps=150),
    )
    training = start(blobs, tmp_path / "run", config)
    assert isinstance(training.method, OccupancyNeRF)
    train(training)
    assert final_evaluation(training)["psnr"] > 20
    assert training.method.occupancy.bits.mean() < 255  # some of the cube was found empty


@pytest.mark.parametrize("method", ["nerf", "instant"])
def test_the_distortion_loss_pulls_weights_together(blobs, tmp_path, method, tiny):
    """A heavy one thins out what lies along a ray: the mean distortion of rays falls."""
    spread = {}
    for weight in (0.0, 0.3):
        settings = dataclasses.replace(tiny.training, max_steps=60, distortion=weight, rays=64)
        sampling = SamplingConfig(coarse_samples=8, fine_samples=8)
        network = NetworkConfig(depth=2, width=16, position_frequencies=3)
        config = dataclasses.replace(tiny, method=method, training=settings, sampling=sampling, network=network)
        training = start(blobs, tmp_path / f"{weight}", config)
        train(training)
        spread[weight] = last_loss(training, 1.0) - last_loss(training, 0.0)
    assert 0 <= spread[0.3] < 0.5 * spread[0.0]


def last_loss(training, weight):
    """The loss of one fixed batch with that weight of the distortion."""
    training.method.distortion = weight
    rng = np.random.default_rng(5)
    batch = draw_batch(training.scene.splits["train"], 64, "white", 1.0, rng)
    return training.method.loss_and_gradient(training.state.parameters, batch, rng)[0]["loss"]


def test_the_forecast_of_memory_counts_pictures_tables_and_samples(blobs, tmp_path, tiny):
    def forecast(path, **changes):
        config = dataclasses.replace(tiny, **changes)
        return memory_needed(start(blobs, tmp_path / path, config))

    base = forecast("base")
    assert 2e8 < base < 4e8  # hardly more than the process itself
    larger = forecast("tables", instant=dataclasses.replace(tiny.instant, log2_entries=20, finest_resolution=512))
    assert larger - base > 4 * 4 * 2**20  # four numbers an entry, at least one more level of 2^20 entries
    fine = dataclasses.replace(tiny.occupancy, occupancy_resolution=512)
    assert forecast("cells", occupancy=fine) > 2 * 4 * 512**3
    assert forecast("samples", occupancy=dataclasses.replace(tiny.occupancy, samples_per_step=2**17)) > base + 5e7


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_seed_collapses(tmp_path, seed):
    """300 steps on the default scene: every seed learns it."""
    data = Path(__file__).parents[2] / "data" / "shapes"
    settings = dataclasses.replace(PRESETS["default"].training, max_steps=300)
    config = dataclasses.replace(PRESETS["default"], seed=seed, training=settings)
    training = start(data, tmp_path / "run", config)
    train(training)
    assert final_evaluation(training, 2)["psnr"] > 25


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(tmp_path_factory, blobs, tiny):
    """A trained tiny method, its parameters, and the rays of a test view."""
    training = start(blobs, tmp_path_factory.mktemp("seen") / "run", longer(tiny, 150))
    train(training)
    views = training.scene.splits["test"]
    return training.method, training.state.parameters, *image_rays(views.intrinsics, views.poses[0])


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_a_picture_does_not_depend_on_which_rays_are_followed_together(seen, chunk):
    method, parameters, origins, directions = seen
    white = np.ones_like(origins)
    whole = method.view(parameters, origins, directions, white)
    assert 0.05 < whole.opacity.mean() < 0.95
    for first in range(0, len(origins), chunk):
        part = slice(first, first + chunk)
        piece = method.view(parameters, origins[part], directions[part], white[part])
        for name in ("color", "depth", "opacity"):
            assert getattr(piece, name).tobytes() == getattr(whole, name)[part].tobytes()


def test_rays_that_meet_nothing_show_the_background(seen):
    method, parameters, origins, directions = seen
    away = method.view(parameters, origins[:5], -directions[:5], np.full((5, 3), 0.3, np.float32))
    np.testing.assert_array_equal(away.color, np.float32(0.3))
    assert not away.opacity.any() and not away.depth.any()
    nothing = method.view(parameters, origins[:0], directions[:0], origins[:0])
    assert nothing.color.shape == (0, 3)


def test_thin_haze_keeps_its_colour(seen):
    """So thin that no sample alone would show: together they do, in their colour and not in black."""
    method, _, origins, directions = seen

    class Haze:
        def density(self, parameters):
            return lambda points: np.full(len(points), 1e-4 * method.cube.side / method._march_step(), np.float32)

        def __call__(self, parameters, points, directions, ray_index, noise=None):
            return None, np.ones((len(points), 3), np.float32)

    grid = OccupancyGrid.full(method.cube, 16)
    hazy = copy.copy(method)
    hazy.field, hazy.occupancy = Haze(), grid
    view = hazy.view(None, origins, directions, np.zeros_like(origins))
    assert view.opacity.max() > 0.005
    np.testing.assert_allclose(view.color, np.repeat(view.opacity[:, None], 3, 1), atol=0.5 / 255 + 1e-6)


# -- precision ---------------------------------------------------------------------------------------------------------


def test_a_run_keeps_the_precision_it_began_with(tmp_path, blobs, tiny):
    run = start(blobs, tmp_path / "run", tiny).run
    assert open_run(run.path).config.precision == ("bfloat16" if BFLOAT16 else "float32")
    assert resume(run.path, tiny).run.config.precision == run.config.precision  # "auto" leaves it to the run


def test_a_precision_that_the_cpu_lacks_is_refused(tmp_path, blobs, tiny, monkeypatch):
    monkeypatch.setattr("nerf_mini.training.loop.BFLOAT16", False)
    with pytest.raises(UserError, match="no instructions for it"):
        start(blobs, tmp_path / "run", dataclasses.replace(tiny, precision="bfloat16"))
    assert not (tmp_path / "run").exists()

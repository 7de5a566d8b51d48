"""The gradient that training follows, for every parameter of tiny models, against central differences in float64."""

import dataclasses

import numpy as np
import pytest

import nerf_mini.models.nerf as nerf_module
import nerf_mini.training.step as step_module
from autodiff import FUSED, tree
from nerf_mini.config import LossConfig, with_settings
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.models import make_model
from nerf_mini.scenes import BLACK, PixelBatch, SceneCameras
from nerf_mini.training.step import Batch, loss_and_gradient

STEP = 2e-7  # so small that hardly any unit passes its kink on the way

SETTINGS = {
    "softplus-skip-view": {"depth": 3, "width": 6, "skip": 2},
    "relu-density": {"depth": 2, "width": 5, "density_activation": "relu"},
    "encoding-of-the-paper's-code": {"depth": 2, "width": 5, "identity": True, "factor_pi": False},
    "view-independent": {"depth": 1, "width": 7, "direction_frequencies": None},
    "density-noise": {"depth": 2, "width": 6, "density_noise": 1.0},
    "noise-on-relu-density": {"depth": 1, "width": 6, "density_noise": 0.5, "density_activation": "relu"},
    "distortion": {"depth": 2, "width": 6, "distortion": 0.3},
}  # fmt: skip


OCCUPANCY = {"march_steps": 32, "samples_per_step": 512, "occupancy_resolution": 8}
MARCHED = {
    "instant": {},
    "instant-noise-and-distortion": {"density_noise": 0.5, "distortion": 0.3},
    "nerf-occupancy": {
        "depth": 2, "width": 6, "position_frequencies": 2, "sampler": "occupancy", "distortion": 0.3
    },
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


def make_cameras():
    """Two cameras of different sizes and bounds."""
    poses = [look_at((0.3, -0.2, 4.0), (0.0, 0.0, 0.0)), look_at((3.0, 1.0, 2.0), (0.1, 0.0, 0.0))]
    return Cameras.make(poses, size=[(8, 6), (5, 9)], focal=[12.0, 9.0], near=[2.0, 1.5], far=[6.0, 5.5])


def make_batch(rng, count=6):
    """Pixels of both cameras, some of them transparent, on backgrounds of their own; arithmetic in float64."""
    view = np.arange(count) % 2
    column, row = rng.integers(1, 5, count), rng.integers(1, 6, count)
    values = rng.integers(0, 256, (count, 4), np.uint8)
    return Batch(PixelBatch(view, column, row, values), rng.random((count, 3)))


def in_double(parameters, rng):
    """Parameters large enough for densities and colours that vary, and biases off zero."""
    return tree.map_leaves(lambda p: 1.5 * p.astype(np.float64) + 0.2 * rng.standard_normal(p.shape), parameters)


class Problem:
    """A model, its parameters, its losses and a batch, all in float64."""

    def __init__(self, config):
        self.config = with_settings(config, precision="float32")
        rng = np.random.default_rng(7)
        self.cameras = make_cameras()
        self.model = make_model(self.config, SceneCameras({"train": self.cameras}, BLACK))
        self.parameters = {"field": in_double(self.model.init(rng), rng)}
        self.batch = make_batch(rng)

    def __call__(self, batch=None, weights=None, rng=True):
        """Loss and gradient, with the same random numbers at every call."""
        batch, weights = batch or self.batch, weights or self.config.losses
        rng = np.random.default_rng(3) if rng else None
        return loss_and_gradient(self.model, self.parameters, self.cameras, batch, weights, rng)

    def total(self):
        return self().terms.total


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS.keys())
def problem(request, tiny_config):
    """Coarse and fine networks."""
    return Problem(tiny_config(position_frequencies=2, coarse_samples=5, fine_samples=6, **request.param))


@pytest.fixture(params=MARCHED.values(), ids=MARCHED.keys())
def marched(request, tiny_config, tiny, monkeypatch):
    """One field, at the samples that the occupancy sampler found for the first call."""
    settings = dict(request.param)
    if "sampler" in settings:
        config = tiny_config(**OCCUPANCY, **settings)
    else:
        config = with_settings(
            tiny,
            **OCCUPANCY,
            levels=2,
            log2_entries=8,
            base_resolution=2,
            finest_resolution=4,
            hidden_width=6,
            **settings,
        )
    problem = Problem(config)
    single = tree.map_leaves(lambda p: p.astype(np.float32), problem.parameters["field"])
    rays = dataclasses.replace(problem.batch, background=np.zeros((6, 3), np.float32)).rays(problem.cameras)
    chosen, samples = problem.model.sample(single, rays, np.random.default_rng(0))
    assert len(chosen) == 6 and len(samples) > 20
    samples = dataclasses.replace(samples, t=samples.t.astype(np.float64), delta=samples.delta.astype(np.float64))
    monkeypatch.setattr(problem.model, "sample", lambda *_: (chosen, samples))
    return problem


@pytest.fixture
def frozen_positions(monkeypatch):
    """Fine samples stay where they were at the first call: to the gradient their positions are constants."""
    recorded = []
    original = nerf_module.fine_samples

    def frozen(*args):
        recorded.append(original(*args))  # draws its random numbers at every call
        return recorded[0]

    monkeypatch.setattr(nerf_module, "fine_samples", frozen)


def central_differences(f, parameters):
    """df/dp of every number of every parameter, in the form of the parameters."""

    def slopes(p):
        out = np.empty(p.shape)
        for i in np.ndindex(p.shape):
            kept = p[i]
            p[i] = kept + STEP
            ahead = f()
            p[i] = kept - STEP
            out[i] = (ahead - f()) / (2 * STEP)
            p[i] = kept
        return out

    return tree.map_leaves(slopes, parameters)


def assert_same_gradient(found, wanted):
    largest = max(np.abs(w).max() for w in tree.flatten(wanted)[0])
    assert largest > 1e-3, "the loss should depend on the parameters"
    for name, f, w in zip(tree.paths(wanted), tree.flatten(found)[0], tree.flatten(wanted)[0], strict=True):
        assert f.dtype == np.float64 and f.shape == w.shape
        np.testing.assert_allclose(f, w, rtol=0, atol=1e-8 * (1 + largest), err_msg=name)


def count_backward_kernels(monkeypatch, names=("mlp", "composite")):
    used = {}

    def counted(name, backward):
        def call(*args, **params):
            used[name] = used.get(name, 0) + 1
            return backward(*args, **params)

        return call

    for name in names:
        monkeypatch.setattr(FUSED[name], "backward", counted(name, FUSED[name].backward))
    return used


def test_gradient_of_the_coarse_and_fine_loss_for_every_parameter(problem, frozen_positions, monkeypatch):
    used = count_backward_kernels(monkeypatch)
    found = problem()
    assert used == {"mlp": 2, "composite": 2}, "the gradient should come from the kernels"
    assert found.pixels == 6
    assert_same_gradient(found.gradient, central_differences(problem.total, problem.parameters))


def test_gradient_of_the_loss_of_one_field_for_every_parameter(marched, monkeypatch):
    used = count_backward_kernels(monkeypatch, ("composite",))
    found = marched()
    assert used == {"composite": 1}, "the gradient should come from the kernels"
    assert found.pixels == 6 and found.terms.coarse == 0
    assert_same_gradient(found.gradient, central_differences(marched.total, marched.parameters))


def several_rays(batch, rng, count=4):
    """The batch with several rays through each pixel."""
    return dataclasses.replace(batch, places=rng.uniform(-0.5, 0.5, (len(batch), count, 2)))


def test_gradient_where_several_rays_go_through_each_pixel(problem, frozen_positions, rng):
    batch = several_rays(problem.batch[:3], rng)

    def total():
        return problem(batch).terms.total

    found = problem(batch)
    assert found.pixels == 3 and len(found.emitted()[0]) == 3
    assert_same_gradient(found.gradient, central_differences(total, problem.parameters))


def test_a_pixel_is_the_mean_of_its_rays(problem, rng):
    """Rays one by one, averaged: the colour whose error is the loss."""
    batch, many = problem.batch, several_rays(problem.batch, rng)
    model, field = problem.model, problem.parameters["field"]
    model.density_noise = 0.0
    shown = 0.0
    for k in range(4):
        rays = dataclasses.replace(batch, places=many.places[:, [k]]).rays(problem.cameras)
        _, samples = model.sample(field, rays, None)
        shown = shown + model.render(field, rays, samples, batch.background, None)[-1].color / 4
    found = problem(many, rng=False)
    assert found.terms.fine == pytest.approx(float(np.mean((shown - batch.target) ** 2)), rel=1e-9)
    np.testing.assert_allclose(
        found.emitted()[-1][:, :3], shown - (1 - found.emitted()[-1][:, 3:]) * batch.background, rtol=1e-9
    )


def test_several_rays_in_one_place_are_one_ray(problem):
    problem.model.density_noise = 0.0
    middle = dataclasses.replace(problem.batch, places=np.zeros((len(problem.batch), 4, 2)))
    one, same = problem(rng=False), problem(middle, rng=False)
    assert same.terms.total == pytest.approx(one.terms.total, rel=1e-12)
    assert_same_gradient(same.gradient, one.gradient)


def test_the_terms_are_those_of_the_renderings(problem):
    """mean |C_coarse - C|^2 and mean |C_fine - C|^2, on each ray's background; what was emitted is C less that."""
    found, batch = problem(), problem.batch
    rng = np.random.default_rng(3)
    rays = batch.rays(problem.cameras)
    _, samples = problem.model.sample(problem.parameters["field"], rays, rng)
    passes = problem.model.render(problem.parameters["field"], rays, samples, batch.background, rng)
    alpha = batch.pixels.values[:, 3:] / 255
    target = batch.pixels.values[:, :3] / 255 * alpha + (1 - alpha) * batch.background
    coarse, fine = (float(np.mean((rendering.color - target) ** 2)) for rendering in passes)
    assert found.terms.coarse == pytest.approx(coarse, rel=1e-6)  # pixels are composited in float32
    assert found.terms.fine == pytest.approx(fine, rel=1e-6)
    assert found.terms.total == found.terms.coarse + found.terms.fine + found.terms.distortion
    assert (found.terms.distortion > 0) == bool(problem.config.losses.distortion)
    for emitted, rendering in zip(found.emitted(), passes, strict=True):
        np.testing.assert_allclose(emitted[:, 3], rendering.opacity)
        seen = emitted[:, :3] + (1 - emitted[:, 3:]) * batch.background
        np.testing.assert_allclose(seen, rendering.color, rtol=1e-12)


@pytest.mark.parametrize("rays_together", [1, 2, 4])
def test_a_batch_in_parts_has_the_loss_and_the_gradient_of_the_whole(problem, rays_together, monkeypatch):
    problem.model.density_noise = 0.0
    whole = problem(rng=False)
    used = count_backward_kernels(monkeypatch)
    monkeypatch.setattr(step_module, "KEPT_BYTES", rays_together * problem.model.bytes_per_ray())
    in_parts = problem(rng=False)
    assert used["mlp"] == 2 * -(-len(problem.batch) // rays_together)
    assert in_parts.pixels == whole.pixels == 6
    for name in ("fine", "coarse", "distortion", "total"):
        assert getattr(in_parts.terms, name) == pytest.approx(getattr(whole.terms, name), rel=1e-12)
    for a, b in zip(in_parts.emitted(), whole.emitted(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert_same_gradient(in_parts.gradient, whole.gradient)


def test_no_gradient_flows_through_the_positions_of_fine_samples(tiny_config):
    """The fine loss depends on the coarse network through where the fine samples lie; the gradient leaves that out.

    So the coarse gradient is that of the coarse loss alone, and differs from the slope of the whole loss.
    """
    problem = Problem(tiny_config(depth=1, width=6, position_frequencies=2))
    coarse = problem.parameters["field"]["coarse"]
    gradient = problem().gradient["field"]["coarse"]
    coarse_alone = central_differences(lambda: problem().terms.coarse, coarse)
    assert_same_gradient(gradient, coarse_alone)
    whole = central_differences(problem.total, coarse)
    difference = tree.map_leaves(lambda a, b: np.abs(a - b).max(), whole, coarse_alone)
    assert max(tree.flatten(difference)[0]) > 1e-4


@pytest.mark.parametrize("method", ["nerf", "instant"])
def test_density_noise_changes_the_training_loss_and_no_rendering(tiny_config, tiny, method):
    config = tiny_config() if method == "nerf" else tiny
    cameras, rng = make_cameras(), np.random.default_rng(0)
    noisy, quiet = (
        make_model(with_settings(config, density_noise=noise), SceneCameras({"train": cameras}, BLACK))
        for noise in (1.0, 0.0)
    )
    parameters = {"field": quiet.init(rng)}
    batch = make_batch(rng)
    batch = Batch(batch.pixels, batch.background.astype(np.float32))
    by_noise = [
        loss_and_gradient(model, parameters, cameras, batch, LossConfig(), np.random.default_rng(5)).terms.total
        for model in (noisy, quiet)
    ]
    assert abs(by_noise[0] - by_noise[1]) > 1e-3
    rays = batch.rays(cameras)
    rendered = []
    for model in (noisy, quiet):
        _, samples = model.sample(parameters["field"], rays, None)
        rendered.append(model.render(parameters["field"], rays, samples, batch.background)[-1].color)
        rendered.append(model.view(parameters["field"], rays, batch.background).color)
    np.testing.assert_array_equal(rendered[0], rendered[2])
    np.testing.assert_array_equal(rendered[1], rendered[3])


def test_a_step_learns_from_the_rays_that_the_sampler_can_take(marched, monkeypatch):
    """Rays for which the budget has no room count neither in the loss nor in the gradient."""
    chosen, samples = marched.model.sample()
    last = samples.starts[4]
    fewer = dataclasses.replace(
        samples, t=samples.t[:last], delta=samples.delta[:last], ray_index=samples.ray_index[:last],
        starts=samples.starts[:4], counts=samples.counts[:4],
    )  # fmt: skip
    monkeypatch.setattr(marched.model, "sample", lambda *_: (chosen[:4], fewer))
    marched.model.density_noise = 0.0
    found, alone = marched(rng=False), marched(batch=marched.batch[:4], rng=False)
    assert found.pixels == 4 and len(found.emitted()[0]) == 4
    assert found.terms == alone.terms
    assert_same_gradient(found.gradient, alone.gradient)


def test_a_pixel_that_lacks_one_of_its_rays_is_left_out(marched, rng, monkeypatch):
    """The budget may end between the rays of a pixel, and a lens may let some of them out only."""
    marched.model.density_noise = 0.0
    batch = several_rays(marched.batch[:3], rng, 2)
    everything = marched.model.sample()[1]
    monkeypatch.setattr(marched.model, "sample", lambda *_: (np.arange(5), everything.of_first(5)))
    found = marched(batch, rng=False)
    monkeypatch.setattr(marched.model, "sample", lambda *_: (np.arange(4), everything.of_first(4)))
    assert found.pixels == 2 and found.terms == marched(batch[:2], rng=False).terms
    wanted, whole_rays = marched(batch[1:], rng=False).terms, Cameras.rays

    def without_the_second_ray(cameras, *places):
        rays = whole_rays(cameras, *places)
        rays.directions[1] = np.nan
        return rays

    monkeypatch.setattr(Cameras, "rays", without_the_second_ray)
    assert marched(batch, rng=False).terms == wanted

"""The gradient that training follows, for every parameter of a tiny network, against central differences in float64."""

import dataclasses

import numpy as np
import pytest

import nerf_mini.models.nerf as nerf_module
from autodiff import FUSED, tree
from nerf_mini.models import NeRF, RayBatch

NEAR, FAR, STEP = 2.0, 6.0, 2e-7  # a step so small that hardly any unit passes its kink on the way

SETTINGS = {
    "softplus-skip-view": {"depth": 3, "width": 6, "skip": 2},
    "relu-density": {"depth": 2, "width": 5, "density_activation": "relu"},
    "encoding-of-the-paper's-code": {"depth": 2, "width": 5, "identity": True, "factor_pi": False},
    "view-independent": {"depth": 1, "width": 7, "direction_frequencies": None},
    "density-noise": {"depth": 2, "width": 6, "density_noise": 1.0},
    "noise-on-relu-density": {"depth": 1, "width": 6, "density_noise": 0.5, "density_activation": "relu"},
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS.keys())
def problem(request, tiny_config):
    """A method, its parameters and a batch, all in float64."""
    config = tiny_config(position_frequencies=2, coarse_samples=5, fine_samples=6, **request.param)
    rng = np.random.default_rng(7)
    method = NeRF(config, NEAR, FAR)
    # large enough for densities and colours that vary, and biases off zero
    parameters = tree.map_leaves(
        lambda p: 1.5 * p.astype(np.float64) + 0.2 * rng.standard_normal(p.shape), method.init(rng)
    )
    rays = 6
    origins = rng.normal(0, 0.3, (rays, 3)) + [0, 0, 4]
    directions = rng.normal(0, 0.2, (rays, 3)) + [0, 0, -1]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return method, parameters, RayBatch(origins, directions, rng.random((rays, 3)), rng.random((rays, 3)))


@pytest.fixture
def frozen_positions(monkeypatch):
    """Fine samples stay where they were at the first call: to the gradient their positions are constants."""
    recorded = []
    original = nerf_module.fine_samples

    def frozen(*args):
        recorded.append(original(*args))  # draws its random numbers at every call
        return recorded[0]

    monkeypatch.setattr(nerf_module, "fine_samples", frozen)


def losses(method, parameters, batch):
    """(mean |C_coarse - C|^2, mean |C_fine - C|^2), with the same random numbers at every call."""
    passes = method.render(parameters, batch.origins, batch.directions, batch.background, np.random.default_rng(3))
    return [float(np.mean((rendering.color - batch.target) ** 2)) for rendering in passes]


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


def test_gradient_of_the_coarse_and_fine_loss_for_every_parameter(problem, frozen_positions, monkeypatch):
    method, parameters, batch = problem
    used = count_backward_kernels(monkeypatch)
    reported, gradient = method.loss_and_gradient(parameters, batch, np.random.default_rng(3))
    assert used == {"network": 2, "composite": 2}, "the gradient should come from the kernels"
    coarse, fine = losses(method, parameters, batch)
    assert reported["loss"] == pytest.approx(coarse + fine, rel=1e-12)
    assert reported["fine_loss"] == pytest.approx(fine, rel=1e-12)
    assert_same_gradient(gradient, central_differences(lambda: sum(losses(method, parameters, batch)), parameters))


@pytest.mark.parametrize("rays_together", [1, 2, 4])
def test_a_batch_in_parts_has_the_loss_and_the_gradient_of_the_whole(problem, rays_together, monkeypatch):
    method, parameters, batch = problem
    method.sampling = dataclasses.replace(method.sampling, density_noise=0.0)
    whole, gradient = method.loss_and_gradient(parameters, batch, None)
    used = count_backward_kernels(monkeypatch)
    monkeypatch.setattr(nerf_module, "KEPT_BYTES", rays_together * method._bytes_per_ray())
    in_parts, gradient_in_parts = method.loss_and_gradient(parameters, batch, None)
    assert used["network"] == 2 * -(-len(batch.origins) // rays_together)
    assert in_parts == pytest.approx(whole, rel=1e-12)
    assert_same_gradient(gradient_in_parts, gradient)


def count_backward_kernels(monkeypatch):
    used = {}

    def counted(name, backward):
        def call(*args, **params):
            used[name] = used.get(name, 0) + 1
            return backward(*args, **params)

        return call

    for name in ("network", "composite"):
        monkeypatch.setattr(FUSED[name], "backward", counted(name, FUSED[name].backward))
    return used


def test_no_gradient_flows_through_the_positions_of_fine_samples(tiny_config):
    """The fine loss depends on the coarse network through where the fine samples lie; the gradient leaves that out.

    So the coarse gradient is that of the coarse loss alone, and differs from the slope of the whole loss.
    """
    method = NeRF(tiny_config(depth=1, width=6, position_frequencies=2), NEAR, FAR)
    rng = np.random.default_rng(1)
    parameters = tree.map_leaves(lambda p: 2 * p.astype(np.float64), method.init(rng))
    origins, directions = np.tile([0.1, 0.2, 4.0], (3, 1)), np.tile([0.0, 0.0, -1.0], (3, 1))
    batch = RayBatch(origins, directions, rng.random((3, 3)), np.ones((3, 3)))
    gradient = method.loss_and_gradient(parameters, batch, np.random.default_rng(3))[1]["coarse"]
    coarse_alone = central_differences(lambda: losses(method, parameters, batch)[0], parameters["coarse"])
    assert_same_gradient(gradient, coarse_alone)
    whole = central_differences(lambda: sum(losses(method, parameters, batch)), parameters["coarse"])
    difference = tree.map_leaves(lambda a, b: np.abs(a - b).max(), whole, coarse_alone)
    assert max(tree.flatten(difference)[0]) > 1e-4


def test_density_noise_changes_the_training_loss_and_no_rendering(tiny_config):
    noisy, quiet = (NeRF(tiny_config(density_noise=noise), NEAR, FAR) for noise in (1.0, 0.0))
    parameters = quiet.init(np.random.default_rng(0))
    origins, directions = np.tile(np.float32([0, 0, 4]), (4, 1)), np.tile(np.float32([0, 0, -1]), (4, 1))
    white = np.ones((4, 3), np.float32)
    batch = RayBatch(origins, directions, 0 * white, white)
    by_noise = [m.loss_and_gradient(parameters, batch, np.random.default_rng(5))[0]["loss"] for m in (noisy, quiet)]
    assert abs(by_noise[0] - by_noise[1]) > 1e-3
    rendered = [m.render(parameters, origins, directions, white)[1].color for m in (noisy, quiet)]
    np.testing.assert_array_equal(*rendered)

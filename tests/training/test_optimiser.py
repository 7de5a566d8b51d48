"""Adam and its learning rate against the formulas of the papers."""

import numpy as np
import pytest

from nerf_mini.config import OptimiserConfig
from nerf_mini.training.optimiser import adam_init, adam_update, learning_rate

SCHEDULE = OptimiserConfig(learning_rate=5e-4, final_rate=5e-6, decay_steps=1000)


def test_the_learning_rate_decays_geometrically_and_then_stays():
    """M2: the first, the last, their geometric mean half way, and constant after the end."""
    assert learning_rate(SCHEDULE, 0) == 5e-4
    assert learning_rate(SCHEDULE, 500) == pytest.approx(np.sqrt(5e-4 * 5e-6))
    assert learning_rate(SCHEDULE, 1000) == pytest.approx(5e-6)
    assert learning_rate(SCHEDULE, 10**6) == learning_rate(SCHEDULE, 1000)
    rates = np.array([learning_rate(SCHEDULE, step) for step in range(1001)])
    np.testing.assert_allclose(rates[1:] / rates[:-1], 0.01 ** (1 / 1000))


def test_a_training_bound_by_time_decays_with_the_share_of_it_that_has_passed():
    """The same curve over progress from 0 to 1, whatever the step."""
    for progress in (0.0, 0.25, 0.5, 1.0):
        rates = [learning_rate(SCHEDULE, step, progress) for step in (0, 7, 10**6)]
        assert rates == pytest.approx(3 * [learning_rate(SCHEDULE, round(1000 * progress))])
    assert learning_rate(SCHEDULE, 0, 1.5) == learning_rate(SCHEDULE, 0, 1.0)


def adam_of_the_paper(theta, gradients, config):
    """Kingma and Ba 2015, algorithm 1, as printed, with a learning rate that changes."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = config.beta1 * m + (1 - config.beta1) * g
        v = config.beta2 * v + (1 - config.beta2) * g**2
        m_hat = m / (1 - config.beta1**t)
        v_hat = v / (1 - config.beta2**t)
        theta = theta - learning_rate(config, t - 1) * m_hat / (np.sqrt(v_hat) + config.epsilon)
    return theta, m, v


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)])
def test_adam_is_the_algorithm_of_the_paper(rng, dtype, tolerance):
    config = OptimiserConfig(learning_rate=3e-2, final_rate=1e-3, decay_steps=40, beta1=0.8, beta2=0.95, epsilon=1e-5)
    shapes = {"weight": (4, 3), "bias": (3,)}
    parameters = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    gradients = [{name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()} for _ in range(60)]
    wanted = {
        name: adam_of_the_paper(
            parameters[name].astype(np.float64), [g[name].astype(np.float64) for g in gradients], config
        )
        for name in shapes
    }
    state = adam_init(parameters)
    arrays = dict(parameters)
    for gradient in gradients:
        adam_update(config, parameters, gradient, state)
    assert state.step == 60
    for name in shapes:
        assert parameters[name] is arrays[name], "the update is in place"
        for found, exact in zip((parameters, state.mean, state.variance), wanted[name], strict=True):
            assert found[name].dtype == dtype
            np.testing.assert_allclose(found[name], exact, rtol=tolerance, atol=tolerance)


def test_gradients_in_any_layout_are_taken(rng):
    """A gradient may come transposed or with strides; the parameters keep their own layout."""
    g = rng.standard_normal((5, 4))
    wide = np.zeros((10, 4))
    wide[::2] = g
    results = []
    for gradient in (g, np.asfortranarray(g), wide[::2]):
        parameters = {"weight": np.ones((5, 4))}
        adam_update(SCHEDULE, parameters, {"weight": gradient}, adam_init(parameters))
        results.append(parameters["weight"])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert np.any(results[0] != 1)


def test_the_first_step_goes_downhill_by_the_learning_rate():
    """m_hat / sqrt(v_hat) = sign g at the first step, whatever the size of the gradient."""
    parameters = {"x": np.array([1.0, 1.0, 1.0])}
    adam_update(SCHEDULE, parameters, {"x": np.array([1e3, -2.0, 1e-1])}, adam_init(parameters))
    np.testing.assert_allclose(parameters["x"] - 1, [-5e-4, 5e-4, -5e-4], rtol=1e-5)


def test_adam_finds_the_minimum_of_a_badly_scaled_quadratic():
    """f(x) = sum a_i (x_i - b_i)^2 / 2 with a from 10^-2 to 10^2."""
    a, b = np.logspace(-2, 2, 5), np.arange(5.0)
    parameters = {"x": np.zeros(5)}
    state = adam_init(parameters)
    config = OptimiserConfig(learning_rate=0.1, final_rate=1e-4, decay_steps=2000)
    for _ in range(2500):
        adam_update(config, parameters, {"x": a * (parameters["x"] - b)}, state)
    np.testing.assert_allclose(parameters["x"], b, atol=1e-3)

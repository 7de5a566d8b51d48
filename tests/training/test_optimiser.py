"""Adam, its groups and its learning rate against the formulas of the papers."""

import numpy as np
import pytest

from autodiff import tree
from nerf_mini.config import OptimiserConfig
from nerf_mini.training.optimiser import ParameterGroup, Schedule, adam_init, adam_update

SCHEDULE = Schedule(5e-4, 5e-6)
ADAM = OptimiserConfig(beta1=0.8, beta2=0.95, epsilon=1e-5)


def update(parameters, gradient, state, schedule=SCHEDULE, progress=0.0, config=ADAM):
    """One step of one group for all."""
    adam_update(config, [ParameterGroup((), schedule)], parameters, gradient, state, progress)


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_the_learning_rate_decays_geometrically_and_then_stays():
    """M2: the first, the last, their geometric mean half way, and constant after the end."""
    assert SCHEDULE.at(0.0) == 5e-4
    assert SCHEDULE.at(0.5) == pytest.approx(np.sqrt(5e-4 * 5e-6))
    assert SCHEDULE.at(1.0) == pytest.approx(5e-6)
    assert SCHEDULE.at(1.5) == SCHEDULE.at(1e3) == SCHEDULE.at(1.0)
    rates = np.array([SCHEDULE.at(step / 1000) for step in range(1001)])
    np.testing.assert_allclose(rates[1:] / rates[:-1], 0.01 ** (1 / 1000))


def test_the_cosine_is_flat_at_both_ends_and_steepest_in_the_middle():
    schedule = Schedule(1e-2, 1e-4, "cosine")
    rates = np.array([schedule.at(step / 1000) for step in range(1001)])
    assert (rates[0], rates[-1]) == (1e-2, pytest.approx(1e-4)) and schedule.at(0.5) == pytest.approx(5.05e-3)
    assert schedule.at(1.5) == schedule.at(1.0)
    # r' = -(pi / 2) (r0 - r1) sin(pi p), and the sum of rates that are as far from the middle is that of both ends
    np.testing.assert_allclose(rates + rates[::-1], 1e-2 + 1e-4)
    slopes = np.gradient(rates, 1e-3)[1:-1]
    np.testing.assert_allclose(slopes, -0.5 * np.pi * 9.9e-3 * np.sin(np.linspace(0, np.pi, 1001)[1:-1]), atol=1e-7)


def test_a_schedule_may_rise_or_be_constant():
    assert Schedule(1e-3, 1e-3, "cosine").at(0.3) == 1e-3
    assert Schedule(1e-3, 1e-3).at(0.3) == 1e-3
    assert Schedule(1e-4, 1e-2).at(0.5) == pytest.approx(1e-3)


# -- Adam --------------------------------------------------------------------------------------------------------------


def adam_of_the_paper(theta, gradients, config, rates):
    """Kingma and Ba 2015, algorithm 1, as printed, with a learning rate that changes."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = config.beta1 * m + (1 - config.beta1) * g
        v = config.beta2 * v + (1 - config.beta2) * g**2
        m_hat = m / (1 - config.beta1**t)
        v_hat = v / (1 - config.beta2**t)
        theta = theta - rate * m_hat / (np.sqrt(v_hat) + config.epsilon)
    return theta, m, v


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)])
def test_adam_is_the_algorithm_of_the_paper(rng, dtype, tolerance):
    schedule = Schedule(3e-2, 1e-3)
    rates = [schedule.at(step / 40) for step in range(60)]
    shapes = {"weight": (4, 3), "bias": (3,)}
    parameters = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    gradients = [{name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()} for _ in range(60)]
    wanted = {
        name: adam_of_the_paper(
            parameters[name].astype(np.float64), [g[name].astype(np.float64) for g in gradients], ADAM, rates
        )
        for name in shapes
    }
    state = adam_init(parameters)
    arrays = dict(parameters)
    for step, gradient in enumerate(gradients):
        update(parameters, gradient, state, schedule, step / 40)
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
        update(parameters, {"weight": gradient}, adam_init(parameters))
        results.append(parameters["weight"])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert np.any(results[0] != 1)


def test_the_first_step_goes_downhill_by_the_learning_rate():
    """m_hat / sqrt(v_hat) = sign g at the first step, whatever the size of the gradient."""
    parameters = {"x": np.array([1.0, 1.0, 1.0])}
    gradient = {"x": np.array([1e3, -2.0, 1e-1])}
    update(parameters, gradient, adam_init(parameters), config=OptimiserConfig())
    np.testing.assert_allclose(parameters["x"] - 1, [-5e-4, 5e-4, -5e-4], rtol=1e-5)


def test_adam_finds_the_minimum_of_a_badly_scaled_quadratic():
    """f(x) = sum a_i (x_i - b_i)^2 / 2 with a from 10^-2 to 10^2."""
    a, b = np.logspace(-2, 2, 5), np.arange(5.0)
    parameters = {"x": np.zeros(5)}
    state, schedule = adam_init(parameters), Schedule(0.1, 1e-4)
    for step in range(2500):
        update(parameters, {"x": a * (parameters["x"] - b)}, state, schedule, step / 2000, OptimiserConfig())
    np.testing.assert_allclose(parameters["x"], b, atol=1e-3)


# -- groups ------------------------------------------------------------------------------------------------------------


def make_parameters(rng):
    """A tree with names that begin alike, and with a list."""
    return {
        "field": {
            "tables": rng.random((50, 2)),
            "tables2": rng.random(4),
            "network": [{"weight": rng.random((3, 2))}, {"weight": rng.random((2, 2))}],
        },
        "cameras": {"poses": rng.random((5, 6)), "focal": rng.random((5, 2))},
    }


def copied(values):
    return tree.map_leaves(np.copy, values)


def leaves(values):
    """The leaves by their paths, such as "['field']['tables']"."""
    return dict(zip(tree.paths(values), tree.flatten(values)[0], strict=True))


def test_each_group_has_its_own_rate_and_schedule(rng):
    """As if the groups were trained apart, each with a schedule of its own."""
    schedules = {"poses": Schedule(1e-3, 1e-5), "field": Schedule(1e-1, 1e-2), "all": Schedule(2e-2, 2e-2)}
    groups = [
        ParameterGroup(("cameras", "poses"), schedules["poses"]),
        ParameterGroup(("field",), schedules["field"]),
        ParameterGroup((), schedules["all"]),
    ]
    together = make_parameters(rng)
    apart = {name: copied(together) for name in schedules}
    states = {name: adam_init(together) for name in ("together", *schedules)}
    for step in range(20):
        gradient = copied(make_parameters(rng))
        adam_update(ADAM, groups, together, gradient, states["together"], step / 10)
        for name, schedule in schedules.items():
            update(apart[name], gradient, states[name], schedule, step / 10)
    for path, found in leaves(together).items():
        group = "poses" if "poses" in path else "field" if path.startswith("['field']") else "all"
        np.testing.assert_array_equal(found, leaves(apart[group])[path], err_msg=path)
    assert states["together"].step == 20


def test_a_leaf_belongs_to_the_first_group_that_leads_to_it(rng):
    parameters = make_parameters(rng)
    before, state = copied(parameters), adam_init(parameters)
    groups = [
        ParameterGroup(("field", "network"), Schedule(1e-2, 1e-2)),
        ParameterGroup(("field",), Schedule(1e-3, 1e-3)),
        ParameterGroup(("field", "tables"), Schedule(1.0, 1.0)),  # comes too late
    ]
    adam_update(OptimiserConfig(), groups, parameters, copied(before), state, 0.0)
    for path, found in leaves(parameters).items():
        moved = np.abs(found - leaves(before)[path])
        rate = 1e-2 if "network" in path else 1e-3 if path.startswith("['field']") else 0.0
        np.testing.assert_allclose(moved, rate, rtol=1e-6, err_msg=path)


def test_leaves_without_a_group_are_left_alone_with_their_means(rng):
    parameters = make_parameters(rng)
    before, state = copied(parameters), adam_init(parameters)
    for _ in range(3):
        adam_update(ADAM, [ParameterGroup(("field", "tables"), SCHEDULE)], parameters, copied(before), state, 0.0)
    for path in leaves(parameters):
        touched = path == "['field']['tables']"  # and not those whose name only begins like that
        for found, start in ((parameters, before), (state.mean, None), (state.variance, None)):
            wanted = 0 * leaves(found)[path] if start is None else leaves(start)[path]
            assert np.array_equal(leaves(found)[path], wanted) != touched, path


def test_a_sparse_group_leaves_alone_what_has_no_gradient(rng):
    """Rows with a gradient move as ever; the others stay, with their means, although these are not zero."""
    start_at = {"tables": rng.random((50, 2)), "other": rng.random(9)}
    sparse, dense = copied(start_at), copied(start_at)
    states = adam_init(sparse), adam_init(dense)
    groups = [ParameterGroup(("tables",), SCHEDULE, sparse=True), ParameterGroup((), SCHEDULE)]
    for step in range(4):
        gradient = {"tables": rng.standard_normal((50, 2)), "other": rng.standard_normal(9)}
        gradient["tables"][10:40] = 0  # never touched
        if step == 3:
            gradient["tables"][40:], kept = 0, (copied(sparse), copied(states[0].mean), copied(states[0].variance))
        adam_update(ADAM, groups, sparse, gradient, states[0], 0.0)
        update(dense, gradient, states[1])
    np.testing.assert_allclose(sparse["tables"][:10], dense["tables"][:10], rtol=1e-12)
    np.testing.assert_array_equal(sparse["tables"][10:40], start_at["tables"][10:40])
    for now, then in zip((sparse, states[0].mean, states[0].variance), kept, strict=True):
        np.testing.assert_array_equal(now["tables"][40:], then["tables"][40:])
    assert np.any(dense["tables"][40:] != kept[0]["tables"][40:]), "momentum would have moved them"
    np.testing.assert_array_equal(sparse["other"], dense["other"])

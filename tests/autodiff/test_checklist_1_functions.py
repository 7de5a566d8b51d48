"""Items 1 to 34 of the calculus checklist: one variable, partial derivatives, gradients."""

import numpy as np
import pytest
from checklist_helpers import agree, normal

from autodiff import grad, hessian, jacobian, jvp, linearize, vjp
from autodiff.calculus import D, difference_quotient, difference_table, draw, forward_table, graph, paths

# -- one variable ------------------------------------------------------------------------------------------------------


def test_item_01_difference_quotient():
    assert difference_quotient(lambda x: x**2, 3.0, 0.5) == 6.5  # 2x + h
    assert difference_quotient(np.sin, 0.0, np.pi) == pytest.approx(0.0)


def test_item_02_derivative_as_limit():
    rows = difference_table(np.exp, 1.0, [10.0**-k for k in range(1, 7)]).rows
    errors = np.array([row[2] for row in rows])
    np.testing.assert_allclose(errors[1:] / errors[:-1], 0.1, rtol=0.05)  # the secant's error falls like h ...
    central = np.array([row[4] for row in rows[:3]])
    np.testing.assert_allclose(central[1:] / central[:-1], 0.01, rtol=0.05)  # ... the central one's like h^2
    tiny = difference_table(np.exp, 1.0, [1e-8, 1e-12]).rows
    assert tiny[1][2] > tiny[0][2]  # and rounding turns both back


def test_item_03_the_derivative_points_uphill():
    for f, x in ((np.sin, 0.3), (np.cos, 0.3), (lambda x: -(x**3), 2.0)):
        assert f(x + 1e-3 * np.sign(D(f)(x))) > f(x)


@pytest.mark.parametrize("n", range(1, 7))
def test_item_04_power_rule(n):
    agree(lambda x: x**n, lambda x: n * x ** (n - 1), 1.7)


def test_item_05_product_rule():
    f, g, x = np.sin, np.exp, 0.7
    agree(lambda x: f(x) * g(x), D(f)(x) * g(x) + f(x) * D(g)(x), x)


def test_item_06_quotient_rule():
    f, g, x = np.sin, np.exp, 0.7
    agree(lambda x: f(x) / g(x), (D(f)(x) * g(x) - f(x) * D(g)(x)) / g(x) ** 2, x)


def test_item_07_sum_rule():
    agree(lambda x: np.sin(x) + np.exp(x), D(np.sin)(0.7) + D(np.exp)(0.7), 0.7)


def test_item_08_chain_rule():
    g, f, x = np.exp, np.sin, 0.7
    agree(lambda x: g(f(x)), D(g)(f(x)) * D(f)(x), x)


def test_item_09_worked_power_of_a_line():
    agree(lambda x: (2 * x + 1) ** 4, lambda x: 8 * (2 * x + 1) ** 3, 0.3)


def test_item_10_recipe_of_four_steps():
    rows = forward_table(lambda x: np.sin(x**2), 1.5).rows
    assert [row[0] for row in rows] == ["x", "u1 = x**2", "u2 = sin(u1)"]  # introduce intermediates
    assert [row[2] for row in rows] == ["seed", "2·x·x'", "cos(u1)·u1'"]  # differentiate each
    assert rows[-1][3] == pytest.approx(2 * 1.5 * np.cos(1.5**2))  # combine, substitute back


def test_item_11_forward_and_backward_order():
    x = 1.5
    du_dx, dy_du = D(lambda x: x**2)(x), D(np.sin)(x**2)
    assert jvp(lambda x: np.sin(x**2), (x,), (1.0,))[1] == pytest.approx(du_dx * dy_du)
    assert vjp(lambda x: np.sin(x**2), x)[1](1.0)[0] == pytest.approx(dy_du * du_dx)


def test_item_12_worked_sine_of_a_square():
    agree(lambda x: np.sin(x**2), lambda x: 2 * x * np.cos(x**2), 1.1)


def test_item_13_worked_logarithm_of_a_squared_sine():
    def y(x):
        u = x**3
        v = np.sin(u)
        w = v**2
        return np.log(w)

    agree(y, lambda x: 6 * x**2 * np.cos(x**3) / np.sin(x**3), 1.1)
    assert len(paths(y, 1.1).paths) == 1


def test_item_14_where_the_single_path_rule_fails():
    x = 3.0
    found = paths(lambda x: x + x**2, x)
    through_u1 = next(path for path in found.paths if "u1" in path.names)
    assert through_u1.product == 2 * x  # the naive answer
    assert found.total == 1 + 2 * x
    agree(lambda x: x + x**2, 1 + 2 * x, x)


def test_item_15_total_derivative_sums_over_all_paths():
    found = paths(lambda x: x + x**2, 3.0)
    assert len(found.paths) == 2
    assert found.total == sum(path.product for path in found.paths)
    for path in found.paths:
        assert path.product == np.prod(path.factors)


def test_item_16_worked_sine_of_a_sum():
    f = lambda x: np.sin(x + x**2)  # noqa: E731
    agree(f, lambda x: (1 + 2 * x) * np.cos(x + x**2), 0.7)
    assert [node.formula for node in graph(f, 0.7).nodes] == ["", "x**2", "x + u1", "sin(u2)"]
    assert paths(f, 0.7).total == pytest.approx((1 + 1.4) * np.cos(0.7 + 0.49))


def test_item_17_worked_product_by_total_derivative():
    found = paths(lambda x: x * x**2, 3.0)
    assert sorted(path.product for path in found.paths) == [9.0, 18.0]  # x^2 and 2x^2
    assert found.total == 27.0


def test_item_18_data_flow_diagram_and_single_path_test():
    f = lambda x: np.sin(x + x**2)  # noqa: E731
    assert draw(f, 0.7).splitlines()[2].startswith("u2 = x + u1")
    assert "n0 -> n1;" in draw(f, 0.7, form="dot")
    assert draw(f, 0.7, form="svg").startswith("<svg")
    assert len(paths(f, 0.7).paths) == 2 and len(paths(lambda x: np.sin(x**2), 0.7).paths) == 1


# -- several variables -------------------------------------------------------------------------------------------------


def test_item_19_partial_derivative_as_a_limit():
    f = lambda x, y: x**2 * y + np.sin(y)  # noqa: E731
    for argnum in (0, 1):
        partial = D(f, argnum)(1.2, 0.7)
        step = (1e-7, 0.0) if argnum == 0 else (0.0, 1e-7)
        quotient = (f(1.2 + step[0], 0.7 + step[1]) - f(1.2, 0.7)) / 1e-7
        assert partial == pytest.approx(quotient, rel=1e-6)


def test_item_20_the_gradient_is_a_row():
    f = lambda x: np.sum(x**3)  # noqa: E731
    x = normal(4)
    row = D(f)(x)
    assert row.shape == (1, 4)
    np.testing.assert_array_equal(row[0], grad(f)(x))


def test_item_21_worked_square_of_a_sum():
    def closed(v):
        x, y = v
        return np.array([[2 * (x + 2 * y**3), 12 * (x + 2 * y**3) * y**2]])

    agree(lambda v: (v[0] + 2 * v[1] ** 3) ** 2, closed, normal(2))


def test_item_22_worked_two_products():
    def closed(x):
        return np.array([[2 * x[0] * x[1] + x[1] ** 3, x[0] ** 2 + 3 * x[0] * x[1] ** 2]])

    agree(lambda x: x[0] ** 2 * x[1] + x[0] * x[1] ** 3, closed, normal(2))


def test_item_23_partial_product_sum_and_chain_rules():
    f, g, x = (lambda x: np.sum(x**2)), (lambda x: np.prod(np.sin(x))), normal(3)
    agree(lambda x: f(x) * g(x), D(f)(x) * g(x) + f(x) * D(g)(x), x)
    agree(lambda x: f(x) + g(x), D(f)(x) + D(g)(x), x)
    agree(lambda x: np.exp(f(x)), D(np.exp)(f(x)) * D(f)(x), x)


def test_item_24_along_a_curve():
    f, x, t = (lambda x: x[0] ** 2 * x[1]), (lambda t: np.stack([np.sin(t), np.exp(t)])), 0.4
    assert D(f)(x(t)).shape == (1, 2) and D(x)(t).shape == (2, 1)
    agree(lambda t: f(x(t)), (D(f)(x(t)) @ D(x)(t))[0, 0], t)


def test_item_25_worked_along_a_circle():
    def h(t):
        x1, x2 = np.sin(t), np.cos(t)
        return x1**2 + 2 * x2

    agree(h, lambda t: 2 * np.sin(t) * np.cos(t) - 2 * np.sin(t), 0.8)
    agree(h, lambda t: 2 * np.sin(t) * (np.cos(t) - 1), 0.8)


def test_item_26_along_a_surface():
    def f(x):
        return x[0] * np.exp(x[1])

    def x(st):
        return np.stack([st[0] * st[1], st[0] - st[1] ** 2])

    st = normal(2)
    assert D(x)(st).shape == (2, 2)
    agree(lambda st: f(x(st)), D(f)(x(st)) @ D(x)(st), st)


def test_item_27_worked_spiral():
    def x(t):
        return np.stack([t * np.cos(t), t * np.sin(t)])

    def f(x):
        return np.exp(x[0] * x[1] ** 2)

    def closed(t):
        (x1, x2), c, s = x(t), np.cos(t), np.sin(t)
        return np.exp(x1 * x2**2) * (x2**2 * (c - t * s) + 2 * x1 * x2 * (s + t * c))

    t = 0.9
    assert D(f)(x(t)).shape == (1, 2) and D(x)(t).shape == (2, 1)
    agree(lambda t: f(x(t)), closed, t)


def test_item_28_worked_gradient_of_a_monomial():
    agree(lambda v: 3 * v[0] ** 2 * v[1], lambda v: np.array([[6 * v[0] * v[1], 3 * v[0] ** 2]]), normal(2))


def test_item_29_worked_gradient_with_an_eighth_power():
    agree(lambda v: 2 * v[0] + v[1] ** 8, lambda v: np.array([[2, 8 * v[1] ** 7]]), normal(2))


def test_item_30_stacked_jacobian():
    def fg(v):
        x, y = v[0], v[1]
        return np.stack([3 * x**2 * y, 2 * x + y**8])

    agree(fg, lambda v: np.array([[6 * v[0] * v[1], 3 * v[0] ** 2], [2, 8 * v[1] ** 7]]), normal(2))


def test_item_31_neuron():
    w, x = normal(5), normal(5)
    agree(lambda x: np.sum(w * x), w[None], x)
    agree(lambda w: np.sum(w * x), x[None], w)


def test_item_32_scalar_function_of_a_matrix():
    W, x = normal(2, 3), normal(3)
    agree(lambda W: np.sum(np.sin(W @ x)), lambda W: np.outer(np.cos(W @ x), x), W)


def test_item_33_hessian_is_the_jacobian_of_the_gradient():
    f = lambda v: v[0] * v[1]  # noqa: E731
    v = normal(2)
    np.testing.assert_array_equal(grad(f)(v), v[::-1])
    np.testing.assert_array_equal(hessian(f)(v), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(hessian(f)(v), jacobian(grad(f))(v))
    g = lambda v: np.exp(v[0] * v[1]) * v[2]  # noqa: E731
    np.testing.assert_allclose(hessian(g)(np.ones(3)), hessian(g)(np.ones(3)).T)


def test_item_34_square_of_a_vector():
    x = normal(2)
    agree(lambda x: x @ x, 2 * x[None], x)
    assert linearize(lambda x: x @ x, x)[0] == pytest.approx(x[0] ** 2 + x[1] ** 2)

"""Items 82 to 98 of the calculus checklist: elementwise operations, chain rules, both modes, a first look at NeRF."""

import numpy as np
import pytest
from checklist_helpers import agree, normal

from autodiff import check_grads, grad, jacobian, jvp, vjp
from autodiff.calculus import D, forward_table, reverse_table

w, x = normal(4), normal(4)


def test_item_82_elementwise_functions_have_diagonal_jacobians():
    f = lambda w, x: np.sin(w) * np.exp(x)  # noqa: E731
    agree(f, np.diag(np.cos(w) * np.exp(x)), w, x)
    agree(f, np.diag(np.sin(w) * np.exp(x)), w, x, argnum=1)


@pytest.mark.parametrize(
    ("operation", "by_w", "by_x"),
    [
        (np.add, np.eye(4), np.eye(4)),
        (np.subtract, np.eye(4), -np.eye(4)),
        (np.multiply, np.diag(x), np.diag(w)),
        (np.divide, np.diag(1 / x), np.diag(-w / x**2)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_item_83_the_four_elementwise_operations(operation, by_w, by_x):
    agree(lambda w, x: operation(w, x), by_w, w, x)
    agree(lambda w, x: operation(w, x), by_x, w, x, argnum=1)


def test_item_84_scalar_plus_vector():
    agree(lambda x, z: x + z, np.eye(4), x, 0.3)
    agree(lambda x, z: x + z, np.ones((4, 1)), x, 0.3, argnum=1)


def test_item_85_scalar_times_vector():
    agree(lambda x, z: x * z, 0.3 * np.eye(4), x, 0.3)
    agree(lambda x, z: x * z, x[:, None], x, 0.3, argnum=1)


def test_item_86_the_reverse_of_broadcasting_is_a_sum():
    g = normal(3, 4)
    _, pullback = vjp(lambda z, row, column: z + row + column, 0.3, x, normal(3, 1))
    by_z, by_row, by_column = pullback(g)
    assert by_z == pytest.approx(np.sum(g))
    np.testing.assert_allclose(by_row, g.sum(0))
    np.testing.assert_allclose(by_column, g.sum(1, keepdims=True))


# -- chain rules -------------------------------------------------------------------------------------------------------


def test_item_87_vector_function_of_a_scalar():
    parts = [lambda t: t + t**2, lambda t: np.sin(t) * t]
    J = D(lambda t: np.stack([part(t) for part in parts]))(0.7)
    np.testing.assert_allclose(J, [[D(part)(0.7)] for part in parts])
    assert J.shape == (2, 1)


def test_item_88_worked_chain_of_two_vectors():
    def g(x):
        return np.stack([x**2, 3 * x])

    def f(g):
        return np.stack([np.log(g[0]), np.sin(g[1])])

    at = 0.7
    g1, g2 = g(at)
    np.testing.assert_allclose(D(f)(g(at)), [[1 / g1, 0], [0, np.cos(g2)]])
    np.testing.assert_allclose(D(g)(at), [[2 * at], [3]])
    agree(lambda x: f(g(x)), D(f)(g(at)) @ D(g)(at), at)
    agree(lambda x: f(g(x)), lambda x: np.array([[2 / x], [3 * np.cos(3 * x)]]), at)


def test_item_89_the_vector_chain_rule_multiplies_jacobians():
    n, k, m = 4, 3, 2
    G, F = normal(k, n), normal(m, k)
    g, f = (lambda x: np.tanh(G @ x)), (lambda u: np.exp(F @ u))
    Df, Dg = D(f)(g(x)), D(g)(x)
    assert Df.shape == (m, k) and Dg.shape == (k, n)
    agree(lambda x: f(g(x)), Df @ Dg, x)


SIZES = {"scalar": (), "vector": (3,)}


@pytest.mark.parametrize("f_kind", SIZES)
@pytest.mark.parametrize("u_kind", SIZES)
@pytest.mark.parametrize("x_kind", SIZES)
def test_item_90_shapes_of_the_product(f_kind, u_kind, x_kind):
    u = lambda x: np.sum(np.sin(x)) * np.ones(SIZES[u_kind])  # noqa: E731
    f = lambda u: np.sum(u**2) * np.ones(SIZES[f_kind])  # noqa: E731
    at = normal(*SIZES[x_kind])

    def as_matrix(J):
        return np.reshape(J, (1, 1)) if np.ndim(J) == 0 else J

    product = as_matrix(D(f)(u(at))) @ as_matrix(D(u)(at))
    np.testing.assert_allclose(as_matrix(D(lambda x: f(u(x)))(at)), product)


def test_item_90_elementwise_links_multiply_diagonals():
    f, g = np.sin, np.exp
    agree(lambda x: f(g(x)), np.diag(np.cos(np.exp(x)) * np.exp(x)), x)


# -- forward and reverse mode ------------------------------------------------------------------------------------------


def test_item_91_forward_table():
    at = 2.0
    table = forward_table(lambda x: np.log(x**2 + 1), at)
    assert [row[0] for row in table.rows] == ["x", "u1 = x**2", "u2 = u1 + 1", "u3 = log(u2)"]
    np.testing.assert_allclose([row[3] for row in table.rows], [1, 2 * at, 2 * at, 2 * at / (at**2 + 1)])
    assert "1/u2·u2'" in str(table)


def test_item_92_reverse_accumulation():
    """Each adjoint is the sum over the successors of adjoint times local derivative."""
    table = reverse_table(lambda x: x + x**2 + np.sin(x), 0.5)
    rules = {row[0].split(" ")[0]: row[2] for row in table.rows}
    assert rules["x"] == "ū1·2·x + ū2 + ū3·cos(x)"
    assert table.rows[-1][3] == pytest.approx(1 + 2 * 0.5 + np.cos(0.5))


def test_item_93_reverse_table():
    def f(x, y):
        return y * np.sin(x + y)

    at = (0.7, 1.3)
    table = reverse_table(f, *at)
    adjoints = {row[0].split(" ")[0]: row[3] for row in table.rows}
    assert adjoints["x"] == pytest.approx(1.3 * np.cos(2.0))
    assert adjoints["y"] == pytest.approx(np.sin(2.0) + 1.3 * np.cos(2.0))
    assert (adjoints["x"], adjoints["y"]) == pytest.approx(grad(f, argnums=(0, 1))(*at))


def test_item_94_one_reverse_pass_or_many_forward_passes():
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(np.sin(x) ** 2)

    D_inputs = 50
    at = normal(D_inputs)
    by_reverse = grad(f)(at)
    assert len(calls) == 1
    calls.clear()
    by_forward = [jvp(f, (at,), (unit,))[1] for unit in np.eye(D_inputs)]
    assert len(calls) == D_inputs
    np.testing.assert_allclose(by_forward, by_reverse)


# -- NeRF --------------------------------------------------------------------------------------------------------------


def test_item_95_positional_encoding():
    frequencies = 2.0 ** np.arange(4) * np.pi

    def encode(p):
        return np.reshape(np.stack([np.sin(frequencies * p), np.cos(frequencies * p)], axis=1), -1)

    closed = np.stack([frequencies * np.cos(frequencies * 0.3), -frequencies * np.sin(frequencies * 0.3)], axis=1)
    agree(encode, closed.reshape(8, 1), 0.3)
    np.testing.assert_allclose(
        encode(0.3)[:4], [np.sin(np.pi * 0.3), np.cos(np.pi * 0.3), np.sin(2 * np.pi * 0.3), np.cos(2 * np.pi * 0.3)]
    )


def render(sigma, colour, delta):
    """The quadrature C = sum_i T_i (1 - exp(-sigma_i delta_i)) c_i, with T_i = exp(-sum_{j<i} sigma_j delta_j)."""
    depth = np.cumsum(sigma * delta)
    transmittance = np.exp(-np.concatenate([np.zeros(1), depth[:-1]]))
    weights = transmittance * (1 - np.exp(-sigma * delta))
    return weights @ colour, weights, np.exp(-depth)


def test_item_96_volume_rendering():
    sigma, colour, delta = np.abs(normal(6)), normal(6, 3), np.abs(normal(6))
    C = lambda sigma, colour: render(sigma, colour, delta)[0]  # noqa: E731
    _, weights, after = render(sigma, colour, delta)
    by_colour = jacobian(C, argnums=1)(sigma, colour)
    np.testing.assert_allclose(by_colour, np.einsum("i,cd->cid", weights, np.eye(3)), atol=1e-14)  # dC/dc_i = w_i
    behind = np.array([weights[k + 1 :] @ colour[k + 1 :] for k in range(6)])
    closed = delta[:, None] * (after[:, None] * colour - behind)  # dC/dsigma_k = delta_k (T_{k+1} c_k - what is behind)
    np.testing.assert_allclose(jacobian(C)(sigma, colour), closed.T, rtol=1e-10)
    check_grads(C, (sigma, colour))
    fine = np.full(2000, 1 / 2000)  # the integral of T sigma over a slab of constant density
    assert render(np.full(2000, 3.0), np.ones(2000), fine)[0] == pytest.approx(1 - np.exp(-3.0))


def test_item_97_loss_of_the_coarse_and_the_fine_image():
    coarse, fine, truth = normal(5, 3), normal(5, 3), normal(5, 3)
    loss = lambda coarse, fine: np.sum((coarse - truth) ** 2) + np.sum((fine - truth) ** 2)  # noqa: E731
    by_coarse, by_fine = grad(loss, argnums=(0, 1))(coarse, fine)
    np.testing.assert_allclose(by_coarse, 2 * (coarse - truth))
    np.testing.assert_allclose(by_fine, 2 * (fine - truth))


def test_item_98_an_unseen_view():
    """The goal in one dimension: densities learnt from rays through one side predict the view from the other."""
    delta, truth = np.full(4, 0.5), np.array([0.5, 1.0, 1.5, 2.0])
    colour = np.array([0.1, 0.9, 0.4, 0.7])

    def seen(log_sigma):
        return np.stack([render(np.exp(log_sigma)[:k], colour[:k], delta[:k])[0] for k in (1, 2, 3, 4)])

    target, log_sigma = seen(np.log(truth)), np.zeros(4)
    for _ in range(30):  # Gauss-Newton
        residual, J = seen(log_sigma) - target, jacobian(seen)(log_sigma)
        log_sigma = log_sigma - np.linalg.solve(J, residual)
    np.testing.assert_allclose(np.exp(log_sigma), truth, rtol=1e-6)
    unseen = render(np.exp(log_sigma)[::-1], colour[::-1], delta)[0]  # the same scene from the other side
    assert unseen == pytest.approx(render(truth[::-1], colour[::-1], delta)[0])

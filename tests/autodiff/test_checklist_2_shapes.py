"""Items 35 to 55 of the calculus checklist: shapes, Jacobians, least squares, derivatives by a matrix."""

import numpy as np
import pytest
from checklist_helpers import agree, normal

from autodiff import grad, jacobian, linearize
from autodiff.calculus import D, differential, volume_scale

A, x, b = normal(4, 3), normal(3), normal(4)


@pytest.mark.parametrize(
    ("f", "at", "shape"),
    [
        (np.sin, 0.5, ()),
        (lambda x: x @ x, np.ones(3), (1, 3)),
        (lambda t: np.stack([t, t**2, t**3, t**4]), 0.5, (4, 1)),
        (lambda x: A @ x, np.ones(3), (4, 3)),
    ],
    ids=["scalar", "row", "column", "matrix"],
)
def test_item_35_the_four_shapes(f, at, shape):
    assert np.shape(D(f)(at)) == shape


def test_item_36_vector_valued_function_as_a_vector_of_functions():
    parts = [lambda x: x[0] * x[1], lambda x: np.sin(x[2]), lambda x: np.sum(x)]
    J = D(lambda x: np.stack([part(x) for part in parts]))(x)
    np.testing.assert_allclose(J, np.concatenate([D(part)(x) for part in parts]))
    column = D(lambda x1: np.stack([part(np.stack([x[0], x1, x[2]])) for part in parts]))(x[1])
    np.testing.assert_allclose(J[:, [1]], column)


def test_item_37_rows_are_outputs_and_columns_inputs():
    f = lambda x: np.sin(A @ x)  # noqa: E731
    J = D(f)(x)
    for i in range(4):
        for j in range(3):
            assert J[i, j] == pytest.approx(D(lambda xj, i=i, j=j: f(np.stack([*x[:j], xj, *x[j + 1 :]]))[i])(x[j]))


def test_item_38_one_output_gives_one_row():
    assert D(lambda x: np.sum(A @ x))(x).shape == (1, 3)
    assert D(lambda x: np.stack([np.sum(A @ x)]))(x).shape == (1, 3)


@pytest.mark.parametrize("out", [(), (2,), (2, 3)], ids=["scalar", "vector", "matrix"])
@pytest.mark.parametrize("arg", [(), (4,), (4, 5)], ids=["by scalar", "by vector", "by matrix"])
def test_item_39_table_of_the_kinds_of_derivatives(out, arg):
    f = lambda x: np.sum(np.sin(x)) * np.ones(out)  # noqa: E731
    assert np.shape(jacobian(f)(normal(*arg))) == out + arg


def test_item_40_derivative_by_a_scalar_has_the_shape_of_the_object():
    Y = lambda a: np.sin(a * A)  # noqa: E731
    agree(Y, lambda a: A * np.cos(a * A), 0.6)
    assert jacobian(Y)(0.6).shape == A.shape
    agree(lambda a: a**2 * x, lambda a: 2 * a * x[:, None], 0.6)


def test_item_41_derivative_of_a_matrix_by_a_matrix():
    B, C = normal(3, 2), normal(2, 4)
    J = jacobian(lambda C: B @ C)(C)
    assert J.shape == (3, 4, 2, 4)
    np.testing.assert_allclose(J, np.einsum("ik,jl->ijkl", B, np.eye(4)))  # dA_ij/dC_kl = B_ik delta_jl


def test_item_42_two_ways_to_a_tensor():
    basis = normal(3, 4, 2)
    f = lambda x: np.sin(np.einsum("kij,k->ij", basis, x))  # noqa: E731  R^3 -> R^{4x2}
    stacked = np.stack([jacobian(lambda xi, i=i: f(np.stack([*x[:i], xi, *x[i + 1 :]])))(x[i]) for i in range(3)], -1)
    assert stacked.shape == (4, 2, 3)
    flat = D(lambda x: np.reshape(f(x), -1))(x)
    assert flat.shape == (8, 3)
    np.testing.assert_allclose(flat.reshape(4, 2, 3), stacked)
    np.testing.assert_allclose(jacobian(f)(x), stacked)


def test_item_43_linear_map():
    agree(lambda x: A @ x, A, x)
    agree(lambda x: np.stack([sum(A[i, j] * x[j] for j in range(3)) for i in range(4)]), A, x)


def test_item_44_identity():
    agree(lambda x: x, np.eye(3), x)


def test_item_45_linearisation_is_the_tangent_hyperplane():
    y0, dy = linearize(lambda x: x @ x, x)
    dx = normal(3)
    assert dy(dx) == pytest.approx(2 * x @ dx)
    curvature = (x + dx) @ (x + dx) - y0 - dy(dx)
    assert curvature == pytest.approx(dx @ dx)  # what the hyperplane leaves out
    np.testing.assert_allclose(linearize(lambda x: np.sin(A @ x), x)[1](dx), D(lambda x: np.sin(A @ x))(x) @ dx)


def test_item_46_volumes_scale_by_the_jacobian_determinant():
    polar = lambda p: np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])])  # noqa: E731
    for r, angle in ((0.5, 0.3), (2.0, -1.0)):
        assert volume_scale(polar, np.array([r, angle])) == pytest.approx(r)
        d = 1e-5  # the area of the image of a small square, by the shoelace formula
        square = np.array([[0, 0], [d, 0], [d, d], [0, d]]) + [r, angle]
        px, py = np.array([polar(corner) for corner in square]).T
        area = 0.5 * abs(px @ np.roll(py, -1) - py @ np.roll(px, -1))
        assert area / d**2 == pytest.approx(r, rel=1e-4)


def test_item_47_layer():
    W = normal(4, 3)
    h = np.tanh
    agree(lambda x: h(W @ x - b), lambda x: np.diag(1 - h(W @ x - b) ** 2) @ W, x)


# -- least squares -----------------------------------------------------------------------------------------------------

Phi, theta, y = normal(6, 3), normal(3), normal(6)


def test_item_48_the_factors_of_least_squares():
    agree(lambda e: e @ e, lambda e: 2 * e[None], y - Phi @ theta)
    agree(lambda theta: y - Phi @ theta, -Phi, theta)


def test_item_49_least_squares_by_the_chain_rule():
    e = y - Phi @ theta
    closed = -2 * e[None] @ Phi
    agree(lambda theta: (y - Phi @ theta) @ (y - Phi @ theta), closed, theta)
    np.testing.assert_allclose(closed, -2 * (y[None] - theta[None] @ Phi.T) @ Phi)
    dL_de, de_dtheta = D(lambda e: e @ e)(e), D(lambda theta: y - Phi @ theta)(theta)
    assert dL_de.shape == (1, 6) and de_dtheta.shape == (6, 3)
    np.testing.assert_allclose(closed[0], [sum(dL_de[0, i] * de_dtheta[i, d] for i in range(6)) for d in range(3)])


def test_item_50_least_squares_without_the_chain_rule():
    by_chain = D(lambda e: e @ e)(y - Phi @ theta) @ D(lambda theta: y - Phi @ theta)(theta)
    expanded = lambda theta: y @ y - 2 * y @ Phi @ theta + theta @ Phi.T @ Phi @ theta  # noqa: E731
    np.testing.assert_allclose(D(expanded)(theta), by_chain)


def test_item_51_normal_equations():
    f = lambda x: np.sum((A @ x - b) ** 2)  # noqa: E731
    agree(f, lambda x: 2 * (A.T @ (A @ x - b))[None], x)
    best = np.linalg.solve(A.T @ A, A.T @ b)
    np.testing.assert_allclose(grad(f)(best), 0, atol=1e-12)


def test_item_52_linear_map_by_its_matrix():
    T = D(lambda A: A @ x)(A)
    assert T.shape == (4, 4, 3)
    np.testing.assert_allclose(T, np.einsum("ik,q->ikq", np.eye(4), x))
    for i in range(4):
        np.testing.assert_array_equal(T[i, i], x)
        np.testing.assert_array_equal(np.delete(T[i], i, axis=0), 0)
    agree(lambda A: A @ x, T, A)


def test_item_53_gram_matrix():
    R = normal(4, 3)
    J = jacobian(lambda R: R.T @ R)(R)
    assert J.shape == (3, 3, 4, 3)
    np.testing.assert_allclose((R.T @ R)[0, 2], R[:, 0] @ R[:, 2])


def test_item_54_gram_matrix_entry_by_entry():
    R = normal(4, 3)
    J = jacobian(lambda R: R.T @ R)(R)
    for p, q, i, j in np.ndindex(J.shape):
        if j == p == q:
            wanted = 2 * R[i, q]
        elif j == p:
            wanted = R[i, q]
        elif j == q:
            wanted = R[i, p]
        else:
            wanted = 0.0
        assert J[p, q, i, j] == pytest.approx(wanted)


def test_item_55_squared_residual_by_the_matrix():
    f = lambda A: (A @ x - b) @ (A @ x - b)  # noqa: E731
    agree(f, lambda A: 2 * np.outer(A @ x - b, x), A)
    U, df = differential(f, A)
    dA = normal(4, 3)
    assert df(dA) == pytest.approx(np.trace(U.T @ dA))

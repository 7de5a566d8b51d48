"""Items 56 to 81 of the calculus checklist: the identities of matrix calculus."""

import numpy as np
import pytest
from checklist_helpers import agree, normal

from autodiff import grad, jacobian
from autodiff.calculus import D, differential, holds, verify

x, y, a, b = normal(3), normal(3), normal(3), normal(3)
A, B, C = normal(3, 3), normal(3, 3), normal(3, 3)
X = normal(3, 3) + 3 * np.eye(3)
S = A + A.T


def f(X):
    """A matrix function of a matrix, invertible near X."""
    return X @ X + A


def test_item_56_scalar_product():
    agree(lambda x: x @ a, a[None], x)
    agree(lambda x: a @ x, a[None], x)


def test_item_57_bilinear_form_by_its_matrix():
    agree(lambda X: a @ X @ b, np.outer(a, b), X)


def test_item_58_quadratic_form():
    agree(lambda x: x @ B @ x, lambda x: (x @ (B + B.T))[None], x)
    agree(lambda x: x @ S @ x, lambda x: 2 * (x @ S)[None], x)


def test_item_59_weighted_residual():
    M, s = normal(3, 2), normal(2)
    agree(lambda s: (x - M @ s) @ S @ (x - M @ s), lambda s: -2 * ((x - M @ s) @ S @ M)[None], s)
    skew = lambda s: (x - M @ s) @ B @ (x - M @ s)  # noqa: E731  B is not symmetric: the printed formula fails ...
    assert not np.allclose(D(skew)(s), -2 * ((x - M @ s) @ B @ M)[None])
    agree(skew, lambda s: -((x - M @ s) @ (B + B.T) @ M)[None], s)  # ... and this one holds


def test_item_60_derivative_of_the_transpose():
    np.testing.assert_allclose(jacobian(lambda X: f(X).T)(X), np.swapaxes(jacobian(f)(X), 0, 1))


def test_item_61_derivative_of_the_trace():
    np.testing.assert_allclose(D(lambda X: np.trace(f(X)))(X), np.trace(jacobian(f)(X), axis1=0, axis2=1))


def test_item_62_derivative_of_the_determinant():
    closed = np.linalg.det(f(X)) * np.einsum("ij,jikl->kl", np.linalg.inv(f(X)), jacobian(f)(X))
    agree(lambda X: np.linalg.det(f(X)), closed, X)
    agree(np.linalg.det, lambda X: np.linalg.det(X) * np.linalg.inv(X).T, X)


def test_item_63_derivative_of_the_inverse():
    inverse = np.linalg.inv(f(X))
    closed = -np.einsum("ip,pqkl,qj->ijkl", inverse, jacobian(f)(X), inverse)
    agree(lambda X: np.linalg.inv(f(X)), closed, X)


def test_item_64_form_with_an_inverse():
    closed = -np.linalg.inv(X).T @ np.outer(a, b) @ np.linalg.inv(X).T
    agree(lambda X: a @ np.linalg.inv(X) @ b, closed, X)


def test_item_65_inverse_along_a_curve():
    M = lambda t: X + t * A + t**2 * B  # noqa: E731
    inverse = np.linalg.inv(M(0.3))
    agree(lambda t: np.linalg.inv(M(t)), -inverse @ jacobian(M)(0.3) @ inverse, 0.3)
    np.testing.assert_allclose(jacobian(lambda t: M(t) @ np.linalg.inv(M(t)))(0.3), 0, atol=1e-12)  # d(A A^-1) = dI = 0


def test_item_66_differential_of_the_inverse():
    dX = normal(3, 3)
    change = np.tensordot(jacobian(np.linalg.inv)(X), dX)
    np.testing.assert_allclose(change, -np.linalg.inv(X) @ dX @ np.linalg.inv(X))
    step = 1e-6
    np.testing.assert_allclose((np.linalg.inv(X + step * dX) - np.linalg.inv(X)) / step, change, rtol=1e-3, atol=1e-4)


def curve(z):
    return np.stack([np.sin(z[0]) * z[1], z[1] ** 2, z[0] - z[1]])


def other_curve(z):
    return np.stack([z[0] * z[1], np.exp(z[0]), np.cos(z[1])])


z = normal(2)


def test_item_67_linear_map_of_a_function():
    agree(lambda z: A @ curve(z), lambda z: A @ D(curve)(z), z)


def test_item_68_bilinear_form():
    agree(lambda x: y @ A @ x, (y @ A)[None], x)
    agree(lambda y: y @ A @ x, (x @ A.T)[None], y)


def test_item_69_scalar_product_of_functions():
    X_z, Y_z = curve(z)[None], other_curve(z)[None]
    agree(lambda z: other_curve(z) @ curve(z), X_z @ D(other_curve)(z) + Y_z @ D(curve)(z), z)
    agree(lambda z: curve(z) @ curve(z), 2 * X_z @ D(curve)(z), z)


def test_item_70_bilinear_form_of_functions():
    X_z, Y_z = curve(z)[None], other_curve(z)[None]
    closed = X_z @ A.T @ D(other_curve)(z) + Y_z @ A @ D(curve)(z)
    agree(lambda z: other_curve(z) @ A @ curve(z), closed, z)
    agree(lambda z: curve(z) @ A @ curve(z), X_z @ (A + A.T) @ D(curve)(z), z)


def test_item_71_differential_of_a_scalar_product():
    v, dv = curve(z), D(curve)(z)
    np.testing.assert_allclose(D(lambda z: curve(z) @ curve(z))(z), 2 * v[None] @ dv)
    verify(lambda du, v: du @ v, lambda du, v: v @ du, (3,), (3,))  # du'v = v'du, not u'dv


def test_item_72_differential_of_the_gram_matrix():
    M = lambda t: A + np.sin(t) * B  # noqa: E731
    dM = jacobian(M)(0.4)
    agree(lambda t: M(t).T @ M(t), M(0.4).T @ dM + dM.T @ M(0.4), 0.4)


def test_item_73_product_rule_for_matrices():
    M, N = (lambda t: A * np.sin(t)), (lambda t: B + t**2 * C)
    dM, dN = jacobian(M)(0.4), jacobian(N)(0.4)
    agree(lambda t: M(t) @ N(t), dM @ N(0.4) + M(0.4) @ dN, 0.4)
    assert not np.allclose(dM @ N(0.4) + M(0.4) @ dN, N(0.4) @ dM + dN @ M(0.4))  # the order matters


def test_item_74_the_trace_is_linear():
    verify(lambda A, B: np.trace(A + B), lambda A, B: np.trace(A) + np.trace(B), (3, 3), (3, 3))
    verify(lambda c, A: np.trace(c * A), lambda c, A: c * np.trace(A), (), (3, 3))
    verify(lambda A: np.trace(A), lambda A: np.trace(A.T), (3, 3))
    verify(lambda A, B: np.trace(A @ B), lambda A, B: np.trace(B @ A), (2, 4), (4, 2))


def test_item_75_the_trace_is_cyclic_and_no_more():
    shapes = (3, 3), (3, 3), (3, 3)
    verify(lambda A, B, C: np.trace(A @ B @ C), lambda A, B, C: np.trace(B @ C @ A), *shapes)
    verify(lambda A, B, C: np.trace(A @ B @ C), lambda A, B, C: np.trace(C @ A @ B), *shapes)
    assert not holds(lambda A, B, C: np.trace(A @ B @ C), lambda A, B, C: np.trace(A @ C @ B), *shapes)
    assert not holds(lambda A: np.trace(A.T @ A), lambda A: np.trace(A) ** 2, (3, 3))


def test_item_76_four_ways_to_write_a_bilinear_form():
    shapes = (3,), (3, 4), (4,)
    form = lambda x, A, y: x @ A @ y  # noqa: E731
    verify(form, lambda x, A, y: np.trace(x[None] @ A @ y[:, None]), *shapes)
    verify(form, lambda x, A, y: np.trace(np.outer(y, x) @ A), *shapes)
    verify(form, lambda x, A, y: np.sum(np.outer(x, y) * A), *shapes)


def test_item_77_inner_products():
    verify(lambda x, y: x @ y, lambda x, y: np.sum(x * y), (5,), (5,))
    verify(lambda X: np.trace(X.T @ X), lambda X: np.sum(X**2), (3, 4))


def test_item_78_frobenius_norm():
    verify(lambda A: np.linalg.norm(A) ** 2, lambda A: np.trace(A.T @ A), (3, 4))
    agree(lambda A: np.trace(A.T @ A), lambda A: 2 * A, A)
    agree(lambda A: np.linalg.norm(A), lambda A: A / np.linalg.norm(A), A)
    agree(lambda A: np.trace(A.T @ B), B, A)
    np.testing.assert_array_equal(grad(np.linalg.norm)(np.zeros((2, 2))), np.zeros((2, 2)))  # the convention at zero


def test_item_79_trace_of_a_square():
    agree(lambda A: np.trace(A @ A), lambda A: 2 * A.T, A)
    dA = normal(3, 3)
    assert differential(lambda A: np.trace(A @ A), A)[1](dA) == pytest.approx(np.trace(A @ dA + dA @ A))


def test_item_80_linear_function_of_a_matrix():
    U = normal(3, 4)
    verify(lambda A: np.sum(U * A), lambda A: np.trace(U.T @ A), (3, 4))
    found, df = differential(lambda A: np.trace(U.T @ A), normal(3, 4))
    np.testing.assert_allclose(found, U)
    dA = normal(3, 4)
    assert df(dA) == pytest.approx(np.trace(U.T @ dA))


def test_item_81_vector_by_itself_and_one_entry():
    agree(lambda x: x, np.eye(3), x)
    agree(lambda x: x[0], np.eye(3)[:1], x)

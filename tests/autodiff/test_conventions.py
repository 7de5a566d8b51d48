"""The conventions of docs/conventions.md: what is taken for the derivative where calculus leaves a choice."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from autodiff import DerivativeError, at, check_grads, grad, hessian, jacobian, jvp, linearize, vjp
from autodiff.rules.linalg import cofactors

L = np.linalg
inf, nan = np.inf, np.nan


def gradient(f, x):
    """The gradient at x, after making sure that both modes give it, without a warning and in the dtype of x."""
    x = np.asarray(x, float)
    reverse = grad(f)(x)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        np.testing.assert_allclose(jacobian(f, mode="forward")(x), reverse, atol=1e-14)
    single = grad(f)(x.astype(np.float32))
    assert np.asarray(single).dtype == np.float32
    np.testing.assert_allclose(single, reverse, rtol=1e-4, atol=1e-5)
    return reverse


CHOICES = [
    # ties are shared equally
    ("max", np.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
    ("min", np.min, [1.0, 1.0, 1.0], [1 / 3, 1 / 3, 1 / 3]),
    ("maximum", lambda x: np.maximum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    ("minimum", lambda x: np.minimum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    ("fmax", lambda x: np.fmax(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    ("relu", lambda x: np.sum(np.maximum(x, 0.0)), [-1.0, 0.0, 1.0], [0, 0.5, 1]),
    ("ptp", np.ptp, [1.0, 1.0], [0, 0]),
    ("norm inf", lambda x: L.norm(x, inf), [1.0, -1.0], [0.5, -0.5]),
    # equal entries keep their order in a sort
    ("sort", lambda x: np.sort(x) @ np.array([1.0, 10.0]), [2.0, 2.0], [1, 10]),
    ("median", np.median, [5.0, 5.0, 5.0], [0, 1, 0]),
    # a bound counts as inside
    ("clip", lambda x: np.sum(np.clip(x, 0.0, 1.0)), [-1.0, 0.0, 0.5, 1.0, 2.0], [0, 1, 1, 1, 0]),
    # corners and cusps have the slope 0
    ("abs", lambda x: np.sum(np.abs(x)), [-1.0, 0.0, 2.0], [-1, 0, 1]),
    ("norm", L.norm, [0.0, 0.0], [0, 0]),
    ("norm of order 3", lambda x: L.norm(x, 3), [0.0, 0.0], [0, 0]),
    ("norm of order 1", lambda x: L.norm(x, 1), [0.0, -2.0], [0, -1]),
    ("Frobenius norm", L.norm, [[0.0, 0.0], [0.0, 0.0]], np.zeros((2, 2))),
    ("nuclear norm", lambda x: L.norm(x, "nuc"), np.zeros((2, 2)), np.zeros((2, 2))),
    ("std", np.std, [4.0, 4.0, 4.0], [0, 0, 0]),
    ("hypot", lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0, 0]),
    ("arctan2", lambda x: np.arctan2(x[0], x[1]), [0.0, 0.0], [0, 0]),
    ("sinc", np.sinc, 0.0, 0),
    # powers
    ("x**0", lambda x: x**0, 0.0, 0),
    ("x**0.0", lambda x: x**0.0, 0.0, 0),
    ("x**1", lambda x: x**1, 0.0, 1),
    ("x**2 left of 0", lambda x: x**2, -3.0, -6),
    ("x**2 at 0", lambda x: x**2, 0.0, 0),
    ("x**y", lambda x: np.sum(x ** np.array([0, 1, 2, 3], x.dtype)), np.zeros(4), [0, 1, 0, 0]),
    ("0**y", lambda y: 0.0**y, 2.0, 0),
    ("exponent at base 0", lambda v: v[0] ** v[1], [0.0, 2.0], [0, 0]),
    # products with zeros
    ("prod, one zero", np.prod, [2.0, 0.0, 3.0], [0, 6, 0]),
    ("prod, two zeros", np.prod, [2.0, 0.0, 0.0], [0, 0, 0]),
    ("cumprod", lambda x: np.sum(np.cumprod(x)), [2.0, 0.0, 3.0], [1, 8, 0]),
    # logarithms of sums of exponentials
    ("logaddexp, equal", lambda x: np.logaddexp(x[0], x[1]), [1.0, 1.0], [0.5, 0.5]),
    ("logaddexp, far apart", lambda x: np.logaddexp(x[0], x[1]), [0.0, 1000.0], [0, 1]),
    ("logaddexp, -inf", lambda x: np.logaddexp(x[0], x[1]), [-inf, 1.0], [0, 1]),
    ("logaddexp, both -inf", lambda x: np.logaddexp(x[0], x[1]), [-inf, -inf], [0.5, 0.5]),
    ("logaddexp, inf", lambda x: np.logaddexp(x[0], x[1]), [inf, 1.0], [1, 0]),
    ("logaddexp.reduce", np.logaddexp.reduce, [-inf, 2.0, 2.0], [0, 0.5, 0.5]),
    # the branch of a choice not taken
    ("where", lambda x: np.sum(np.where(x > 0, x * x, -x)), [-1.0, 0.0, 2.0], [-1, -1, 4]),
    # steps
    ("floor", lambda x: np.floor(x) * x, 2.5, 2),
    ("sign", lambda x: np.sign(x) * x, 0.0, 0),
    ("mod", lambda x: x % 2.0, 5.5, 1),
    ("divisor", lambda x: 5.5 % x, 2.0, -2),
    # determinants of singular matrices
    ("det, rank 1", L.det, [[1.0, 2.0], [2.0, 4.0]], [[4, -2], [-2, 1]]),
    ("det, rank 2", L.det, np.arange(9.0).reshape(3, 3), [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]]),
    ("det, rank 0", L.det, np.zeros((3, 3)), np.zeros((3, 3))),
    ("det, 1 by 1", L.det, [[0.0]], [[1]]),
    # knots
    ("interp", lambda x: np.interp(x, np.arange(3.0), np.array([0.0, 1.0, 3.0])), 1.0, 2),
    # the last of several values set to one entry is the one
    ("at.set twice", lambda v: np.sum(at(np.zeros(3, v.dtype))[[1, 1]].set(v)), [1.0, 2.0], [0, 1]),
    ("at.add twice", lambda v: np.sum(at(np.zeros(3, v.dtype))[[1, 1]].add(v)), [1.0, 2.0], [1, 1]),
]


@pytest.mark.parametrize(("f", "x", "wanted"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES])
def test_choice(f, x, wanted):
    np.testing.assert_allclose(gradient(f, x), wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.where(x > 0, np.log(x), 0.0), -1.0),
        (lambda x: np.where(x > 0, np.log(x), 0.0), 0.0),
        (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0),
        (lambda x: np.where(x > 0, np.sqrt(x), 0.0), -1.0),
        (lambda x: np.where(x != 0, np.sin(x) / x, 1.0), 0.0),
        (lambda x: np.where(x > 0, x**0.5, 0.0), 0.0),
        (lambda x: np.where(abs(x) < 1, np.arcsin(x), 0.0), 1.0),
        (lambda x: np.where(x < 700, np.exp(x), 0.0), 1000.0),
        (lambda x: np.where(x != 0, 1 / x, 0.0), 0.0),
    ],
)
def test_branch_not_taken(f, x):
    """Not even an infinite or undefined derivative comes out of it, in any mode or order."""
    with np.errstate(all="ignore"):
        assert grad(f)(x) == 0
        assert jvp(f, (x,), (1.0,))[1] == 0
        assert hessian(f)(x) == 0
        assert grad(grad(f))(x) == 0


def test_poles_that_are_taken_show():
    """Infinite is infinite: only a branch not taken is silenced."""
    with np.errstate(all="ignore"):
        assert grad(np.sqrt)(0.0) == inf
        assert grad(np.log)(0.0) == inf
        assert np.isnan(grad(np.arcsin)(2.0))
        assert np.isnan(grad(lambda y: (-1.0) ** y)(2.0))


def test_second_derivatives_at_special_points():
    np.testing.assert_allclose(hessian(np.sinc)(0.0), -(np.pi**2) / 3)
    np.testing.assert_allclose(hessian(np.sinc)(1e-4), -(np.pi**2) / 3, rtol=1e-6)
    np.testing.assert_allclose(hessian(np.prod)(np.array([0.0, 0.0, 3.0])), [[0, 3, 0], [3, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(hessian(lambda x: np.logaddexp(x[0], x[1]))(np.zeros(2)), [[0.25, -0.25], [-0.25, 0.25]])
    np.testing.assert_allclose(hessian(lambda x: x**2)(0.0), 2)
    np.testing.assert_array_equal(hessian(L.norm)(np.zeros(2)), np.zeros((2, 2)))
    np.testing.assert_array_equal(hessian(np.std)(np.ones(2)), np.zeros((2, 2)))


@pytest.mark.parametrize("matrix", [np.arange(9.0).reshape(3, 3), np.ones((3, 3)), np.diag([1.0, 1.0, 0.0]), np.eye(3)])
def test_determinant_of_singular_matrices_is_a_polynomial(matrix):
    """The derivatives of all orders exist: they are minors, minors of minors, and in the end signs."""
    check_grads(L.det, (matrix,), order=3, directions=1)


def test_cofactors_of_a_batch_of_regular_and_singular_matrices():
    batch = np.stack([np.arange(9.0).reshape(3, 3), np.diag([1.0, 2.0, 3.0]), np.zeros((3, 3))])
    np.testing.assert_allclose(cofactors(batch)[1], np.diag([6.0, 3.0, 2.0]))
    check_grads(L.det, (batch,), directions=1)


def test_slogdet_of_a_singular_matrix():
    with pytest.raises(DerivativeError, match=r"singular matrix .* np\.linalg\.det has one"):
        grad(lambda a: L.slogdet(a).logabsdet)(np.ones((2, 2)))


def test_inverse_of_a_singular_matrix():
    with pytest.raises(L.LinAlgError, match="Singular"):
        grad(lambda a: np.sum(L.inv(a)))(np.ones((2, 2)))


@pytest.mark.parametrize("f", [L.eigvalsh, lambda a: L.eigh(a)[0], L.svdvals, lambda a: L.svd(a)[1]])
def test_equal_eigenvalues_and_singular_values(f):
    """Functions that treat equal ones alike have a derivative: the sum of squares is the sum of the squared entries."""
    np.testing.assert_allclose(grad(lambda a: np.sum(f(a) ** 2))(2 * np.eye(3)), 4 * np.eye(3), atol=1e-14)


@pytest.mark.parametrize(
    ("f", "matrix"),
    [
        (lambda a: L.eigh(a).eigenvectors, np.eye(2)),
        (lambda a: L.svd(a).U, np.eye(2)),
        (lambda a: L.svd(a, full_matrices=False).U, np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])),
    ],
)
def test_vectors_of_equal_values_have_no_derivative(f, matrix):
    for differentiate in (lambda: grad(lambda a: np.sum(f(a)))(matrix), lambda: jvp(f, (matrix,), (matrix + 1,))):
        with pytest.raises(DerivativeError, match="may be rotated at will"):
            differentiate()


def test_vectors_of_other_values_have_one():
    """The vector of an eigenvalue that stands alone can be differentiated though others are equal."""
    matrix = np.diag([1.0, 2.0, 2.0])
    gradient = grad(lambda a: L.eigh(a).eigenvectors[1, 0])(matrix)
    np.testing.assert_allclose(np.abs(gradient), np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("f", [L.cholesky, lambda a: L.eigh(a)[0], L.eigvalsh])
def test_factorisations_of_symmetric_matrices_have_symmetric_gradients(f):
    gradient = grad(lambda a: np.sum(f(a) * np.arange(2.0)))(np.array([[3.0, 1.0], [1.0, 2.0]]))
    np.testing.assert_allclose(gradient, gradient.T)


def test_arbitrary_vectors_are_refused():
    with pytest.raises(DerivativeError, match="full_matrices=False"):
        grad(lambda a: np.sum(L.svd(a)[0]))(np.ones((3, 2)))
    with pytest.raises(DerivativeError, match="mode='reduced'"):
        grad(lambda a: np.sum(L.qr(a, mode="complete")[0]))(np.ones((3, 2)))


@pytest.mark.parametrize("name", ["mean", "max", "trace", "diagonal", "std", "var", "prod", "cumsum", "ravel"])
def test_methods_keep_float32(name):
    x = np.ones((3, 3), np.float32) + np.eye(3, dtype=np.float32)
    assert grad(lambda x: np.sum(getattr(np.tanh(x), name)()))(x).dtype == np.float32


def test_mixed_dtypes():
    """Each gradient has the dtype of its own argument."""
    single, double = np.ones(3, np.float32), np.ones(3)
    gradients = grad(lambda x, y: np.sum(x * y + np.where(x > y, x, y)), (0, 1))(single, double)
    assert [g.dtype for g in gradients] == [np.float32, np.float64]


def test_every_convention_is_written_down():
    """docs/conventions.md names each function of the table above."""
    text = Path(__file__, "../../../docs/conventions.md").resolve().read_text()
    for name, *_ in CHOICES:
        assert re.split(r"[ ,*.]", name)[0] in text, name


# Division by zero is NumPy's, never Python's: function of a number, and its value and slope at 0.0 and at 1.0.
DIVISIONS = [
    ("x / 0.0", lambda x: x / 0.0, [(nan, inf), (inf, inf)]),
    ("x / 0", lambda x: x / 0, [(nan, inf), (inf, inf)]),
    ("np.divide(x, 0)", lambda x: np.divide(x, 0), [(nan, inf), (inf, inf)]),
    ("1 / x", lambda x: 1 / x, [(inf, -inf), (1, -1)]),
    ("np.divide(1, x)", lambda x: np.divide(1, x), [(inf, -inf), (1, -1)]),
    ("np.reciprocal(x)", np.reciprocal, [(inf, -inf), (1, -1)]),
    ("x ** 0", lambda x: x**0, [(1, 0), (1, 0)]),
    ("x ** -1", lambda x: x**-1, [(inf, -inf), (1, -1)]),
    ("0 ** x", lambda x: 0**x, [(1, 0), (0, 0)]),
    ("np.log(x)", np.log, [(-inf, inf), (0, 1)]),
]
# The kinds of numbers that a function may be called with: Python's, NumPy's, arrays without and with axes.
NUMBERS = [float, np.float64, np.float32, np.array, lambda x: np.array([x]), lambda x: np.array([x], np.float32)]


@pytest.mark.parametrize("number", NUMBERS, ids=["float", "float64", "float32", "0-d", "1-d", "1-d float32"])
@pytest.mark.parametrize(("f", "wanted"), [case[1:] for case in DIVISIONS], ids=[case[0] for case in DIVISIONS])
def test_division_by_zero_is_that_of_numpy(f, wanted, number):
    for at_x, (value, slope) in zip((0.0, 1.0), wanted, strict=True):
        x, one = number(at_x), number(1.0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forward = jvp(f, (x,), (one,))
            reverse = vjp(f, x)[1](one)[0]
            again = jvp(grad(lambda x: np.sum(f(x))), (x,), (one,))[0]
        for found in (forward[1], reverse, again, linearize_silently(f, x, one)):
            np.testing.assert_array_equal(np.ravel(found), [slope])
        np.testing.assert_array_equal(np.ravel(forward[0]), [value])
        assert all(issubclass(warning.category, RuntimeWarning) for warning in caught)
        assert bool(caught) or np.isfinite(value)


def linearize_silently(f, x, tangent):
    with np.errstate(all="ignore"):
        return linearize(f, x)[1](tangent)

"""Matrix equations: inverse, determinant, solving, least squares; batches of matrices as in NumPy.

The tangents are those of matrix calculus, such as d(A^-1) = -A^-1 dA A^-1. Where only the tangent is written down
(`by_tangent`), the reverse rule is its transpose.
"""

import numpy as np

from autodiff.core import DerivativeError, Traced, dtype_of, primal, shape_of
from autodiff.operands import as_operand
from autodiff.registry import implements
from autodiff.rules.families import by_tangent, constant, define
from autodiff.rules.reduction import count, products_of_others
from autodiff.transforms import rules_by_rerunning

H = np.matrix_transpose


# -- inverse and linear systems ----------------------------------------------------------------------------------------

_inv = define(
    "inv",
    np.linalg.inv,
    jvp=lambda tangents, p, a: -p @ tangents[0] @ p,  # d(A^-1) = -A^-1 dA A^-1
    vjp=lambda needs, g, p, a: (-H(p) @ g @ H(p),),
    reads=["out"],
)


@implements(np.linalg.inv)
def inv(a):
    return _inv(a)


def _solve_tangent(tangents, x, a, b):
    """A X = B, so A dX = dB - dA X."""
    ta, tb = tangents
    right = 0.0 if tb is None else tb
    return np.linalg.solve(a, right if ta is None else right - ta @ x)


def _solve_cotangents(needs, g, x, a, b):
    to_b = np.linalg.solve(H(a), g)
    return -to_b @ H(x) if needs[0] else None, to_b if needs[1] else None


_solve = define("solve", np.linalg.solve, jvp=_solve_tangent, vjp=_solve_cotangents)


@implements(np.linalg.solve)
def solve(a, b):
    a, b = as_operand(a), as_operand(b)
    return _solve(a, b[:, None])[..., 0] if len(shape_of(b)) == 1 else _solve(a, b)


@implements(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    shape = shape_of(a)
    rows = int(np.prod(shape[:ind]))
    return np.reshape(np.linalg.inv(np.reshape(a, (rows, -1))), shape[ind:] + shape[:ind])


@implements(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    a, b = as_operand(a), as_operand(b)
    ndim = len(shape_of(a))
    if axes is not None:
        a = np.moveaxis(a, axes, range(ndim - len(axes), ndim))
    shape = shape_of(a)[len(shape_of(b)) :]
    return np.reshape(np.linalg.solve(np.reshape(a, (-1, count(shape, None))), np.ravel(b)), shape)


# -- determinant -------------------------------------------------------------------------------------------------------


def cofactors(a):
    """The derivative of det A: det(A) A^-T, which is a polynomial in A and so exists where A has no inverse.

    Near singular matrices that product, or its derivative, loses all digits; see `_singular_cofactors`.
    """
    plain = primal(a)
    with np.errstate(all="ignore"):
        det = np.linalg.det(plain)
        safe = np.where((det == 0)[..., None, None], np.eye(shape_of(a)[-1]), plain)
        condition = np.linalg.norm(safe, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(safe), axis=(-2, -1))
        regular = (det != 0) & (condition < np.finfo(dtype_of(a)).eps ** -0.5)
    if np.all(regular):
        return np.linalg.det(a)[..., None, None] * H(np.linalg.inv(a))
    regular = regular[..., None, None]
    identity = np.eye(shape_of(a)[-1], dtype=dtype_of(a))
    inside, outside = np.where(regular, a, identity), np.where(regular, identity, a)
    product = np.linalg.det(inside)[..., None, None] * H(np.linalg.inv(inside))
    return np.where(regular, product, _singular_cofactors(outside))


def _cofactor_polynomial(a):
    """The transposed adjugate by the recurrence of Faddeev and LeVerrier: products of matrices and traces alone."""
    n = shape_of(a)[-1]
    identity = np.eye(n, dtype=dtype_of(a))
    scale = np.max(np.abs(primal(a)), axis=(-2, -1), keepdims=True)
    scale = np.where(scale == 0, scale.dtype.type(1), scale)  # so that powers of large entries do not overflow
    a = a / scale
    m = np.broadcast_to(identity, shape_of(a))
    for k in range(1, n):
        product = a @ m
        m = product - np.trace(product, axis1=-2, axis2=-1)[..., None, None] / k * identity
    return (-1) ** (n - 1) * H(m) * scale ** (n - 1)


def _cofactors_by_svd(a):
    """Of U S V' they are det(U V') U C V', where C has on its diagonal the products of the other singular values."""
    u, s, vh = np.linalg.svd(a)
    return np.linalg.det(u @ vh)[..., None, None] * (u * products_of_others(s)[..., None, :]) @ vh


# Accurate in value at any size by the SVD; differentiated further by the recurrence, which has derivatives everywhere.
_polynomial_jvp, _polynomial_vjp = rules_by_rerunning(_cofactor_polynomial)
_singular_cofactors = define("cofactors", _cofactors_by_svd, jvp=_polynomial_jvp, vjp=_polynomial_vjp, reads=["args"])


_det = define(
    "det",
    np.linalg.det,
    jvp=lambda tangents, out, a: np.sum(cofactors(a) * tangents[0], axis=(-2, -1)),
    vjp=lambda needs, g, out, a: (g[..., None, None] * cofactors(a),),
    reads=["args"],
)


@implements(np.linalg.det)
def det(a):
    return _det(a)


def _inverse_for(a, what):
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        raise DerivativeError(
            f"{what} of a singular matrix is minus infinity and has no derivative; np.linalg.det has one there"
        ) from None


_slogdet = define(
    "slogdet",
    lambda a: tuple(np.linalg.slogdet(a)),
    jvp=lambda tangents, out, a: (None, np.sum(H(_inverse_for(a, "np.linalg.slogdet")) * tangents[0], axis=(-2, -1))),
    vjp=lambda needs, g, out, a: (g[1][..., None, None] * H(_inverse_for(a, "np.linalg.slogdet")),),
    reads=["args"],
)
SlogdetResult = type(np.linalg.slogdet(np.eye(1)))


@implements(np.linalg.slogdet)
def slogdet(a):
    sign, logabsdet = _slogdet(a)
    return SlogdetResult(primal(sign), logabsdet)


# -- least squares -----------------------------------------------------------------------------------------------------


def _pinv_tangent(tangents, p, a, **options):
    """The formula of Golub and Pereyra, for matrices whose rank does not change."""
    (t,) = tangents
    rows, columns = (np.eye(n, dtype=dtype_of(a)) for n in shape_of(a)[-2:])
    return -p @ t @ p + p @ H(p) @ H(t) @ (rows - a @ p) + (columns - p @ a) @ H(t) @ H(p) @ p


_pinv = by_tangent("pinv", np.linalg.pinv, _pinv_tangent)


@implements(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, **options):
    options |= {} if rcond is None else {"rcond": rcond}
    return _pinv((a + H(a)) / 2 if hermitian else a, hermitian=hermitian, **options)


@implements(np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    a, b = as_operand(a), as_operand(b)
    dtype = np.result_type(dtype_of(a), dtype_of(b), np.float32)
    a, b = a.astype(dtype), b.astype(dtype)
    rows, columns = shape_of(a)
    cutoff = np.finfo(dtype_of(a)).eps * max(rows, columns) if rcond is None else max(rcond, 0.0)
    _, _, rank, singular_values = np.linalg.lstsq(primal(a), primal(b), rcond)
    x = np.linalg.pinv(a, rcond=cutoff) @ b
    if rank == columns < rows:
        residuals = np.sum((b - a @ x) ** 2, axis=0, keepdims=len(shape_of(b)) == 1)
    else:
        residuals = np.zeros(0, dtype_of(x))
    return x, residuals, rank, np.linalg.svdvals(a) if type(a) is Traced else singular_values


constant(np.linalg.matrix_rank)

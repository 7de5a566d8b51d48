"""Factorisations of matrices, by the tangents of their defining equations (Giles 2008; Walter and Lehmann 2012).

The eigenvectors of equal eigenvalues, and the singular vectors of equal singular values, may be rotated at will: no
derivative exists, and asking for it raises an error that says so. The eigenvalues and singular values themselves
are differentiated there all the same: functions that treat equal ones alike, such as sums, get the right answer.
"""

import numpy as np

from autodiff.core import DerivativeError, dtype_of, primal, shape_of
from autodiff.registry import implements
from autodiff.rules.families import by_tangent, define
from autodiff.rules.linalg import H

QRResult = type(np.linalg.qr(np.eye(1)))
EighResult = type(np.linalg.eigh(np.eye(1)))
SVDResult = type(np.linalg.svd(np.eye(1)))


def _symmetric(t):
    return (t + H(t)) / 2


def _diagonal(a):
    return np.diagonal(a, axis1=-2, axis2=-1)


def _right_divided(t, r):
    """t R^-1."""
    return H(np.linalg.solve(H(r), H(t)))


# -- Cholesky and QR ---------------------------------------------------------------------------------------------------


def _cholesky_tangent(tangents, factor, a):
    """A = L L', so L^-1 dA L^-T = S + S' with S = L^-1 dL lower triangular: its lower half, the diagonal halved."""
    half = np.tril(np.linalg.solve(factor, H(np.linalg.solve(factor, _symmetric(tangents[0])))))
    return factor @ (half - half * (np.eye(shape_of(a)[-1], dtype=dtype_of(a)) / 2))


_cholesky = by_tangent("cholesky", np.linalg.cholesky, _cholesky_tangent)


@implements(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    return H(_cholesky(H(a))) if upper else _cholesky(a)


def _qr_tangent(tangents, out, a):
    """dA R^-1 = dQ + Q dR R^-1; Q'dQ is antisymmetric and dR R^-1 upper triangular, so Q'dA R^-1 tells them apart."""
    (t,), (q, r) = tangents, out
    t_r = _right_divided(t, r)
    x = H(q) @ t_r
    lower = np.tril(x, -1)
    turn = lower - H(lower)
    return t_r - q @ (x - turn), (x - turn) @ r


_qr = by_tangent("qr", lambda a: tuple(np.linalg.qr(a)), _qr_tangent)


@implements(np.linalg.qr)
def qr(a, mode="reduced"):
    rows, columns = shape_of(a)[-2:]
    if mode == "r":
        return qr(a).R
    if mode not in ("reduced", "complete") or (mode == "complete" and rows > columns):
        raise DerivativeError(f"np.linalg.qr(mode={mode!r}) of a {rows} by {columns} matrix: use mode='reduced'")
    if rows < columns:  # a wide matrix: only its first square block decides on Q
        q, r = _qr(a[..., :rows])
        return QRResult(q, np.concatenate([r, H(q) @ a[..., rows:]], axis=-1))
    return QRResult(*_qr(a))


# -- equal values ------------------------------------------------------------------------------------------------------


def _inverse_gaps(values, closed):
    """F[i, j] = 1 / (values[j] - values[i]); 0 on the diagonal and where the two are equal."""
    gaps = values[..., None, :] - values[..., :, None]
    shut = closed | np.eye(shape_of(values)[-1], dtype=bool)
    return np.where(shut, 0.0, 1 / np.where(shut, 1.0, gaps))


def _closed(values):
    """Which pairs of eigenvalues or singular values are equal to rounding."""
    values = primal(values)
    n = values.shape[-1]
    scale = np.max(np.abs(values), axis=-1, initial=0.0)[..., None, None]
    close = np.abs(values[..., None, :] - values[..., :, None]) <= 10 * n * np.finfo(values.dtype).eps * scale
    return close & ~np.eye(n, dtype=bool)


def _refuse_if(undefined, name, instead):
    if np.any(undefined):
        raise DerivativeError(
            f"np.linalg.{name} at a matrix with equal or vanishing values: its vectors may be rotated at will there and"
            f" have no derivative. {instead} is differentiable, and so are the values alone"
        )


# -- eigenvalues of symmetric matrices ---------------------------------------------------------------------------------


def _eigh_tangent(tangents, out, a, **options):
    """A v_i = w_i v_i: in the basis V, dw is the diagonal of X = V'dA V, and dV = V (F * X)."""
    w, v = out
    x = H(v) @ _symmetric(tangents[0]) @ v
    return _diagonal(x), v @ (_inverse_gaps(w, _closed(w)) * x)


_eigh_any = by_tangent("eigh", lambda a, **options: tuple(np.linalg.eigh(a, **options)), _eigh_tangent)


def _eigh_forward(tangents, out, a, **options):
    x = H(out[1]) @ _symmetric(tangents[0]) @ out[1]
    _refuse_if(_closed(out[0]) & _mixes(x), "eigh", "np.linalg.eigvalsh")
    return _eigh_tangent(tangents, out, a, **options)


def _eigh_reverse(needs, g, out, a, **options):
    _refuse_if(_closed(out[0]) & _used(g[1]), "eigh", "np.linalg.eigvalsh")
    return _eigh_any.vjp(needs, g, out, a, **options)


_eigh = define("eigh", _eigh_any.impl, jvp=_eigh_forward, vjp=_eigh_reverse)


def _mixes(x):
    """Which pairs of vectors a perturbation mixes, beyond rounding."""
    size = np.abs(primal(x))
    return size > 100 * np.finfo(size.dtype).eps * np.max(size, axis=(-2, -1), keepdims=True, initial=0.0)


def _used(g):
    """Which columns have a cotangent, as a row to combine with a matrix of pairs."""
    return np.any(primal(g) != 0, axis=-2, keepdims=True)


@implements(np.linalg.eigh)
def eigh(a, UPLO="L"):
    return EighResult(*_eigh(a, UPLO=UPLO))


def _eigvalsh_tangent(tangents, w, a, UPLO):
    v = np.linalg.eigh(a, UPLO).eigenvectors
    return np.sum(v * (_symmetric(tangents[0]) @ v), axis=-2)


_eigvalsh = by_tangent("eigvalsh", lambda a, UPLO: np.linalg.eigvalsh(a, UPLO), _eigvalsh_tangent)


@implements(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    return _eigvalsh(a, UPLO=UPLO)


# -- singular values ---------------------------------------------------------------------------------------------------


def _svd_tangent(tangents, out, a):
    """A = U S V'. With P = U'dA V: dS = diag P, U'dU = F * (P S + S P'), V'dV = F * (S P + P'S), F over the squares.

    What lies outside the column space of U, or of V, comes straight from dA V S^-1, or from dA'U S^-1.
    """
    (t,), (u, s, vh) = tangents, out
    v, row = H(vh), s[..., None, :]
    p = H(u) @ t @ v
    f = _inverse_gaps(s * s, _closed(s))
    du = u @ (f * (p * row + H(p * row)))
    dv = v @ (f * (H(row) * p + H(H(row) * p)))
    safe = np.where(_vanishing(s)[..., None, :], 1.0, row)
    rows, columns = shape_of(a)[-2:]
    if rows > columns:
        du = du + (t @ v - u @ p) / safe
    if columns > rows:
        dv = dv + (H(t) @ u - v @ H(p)) / safe
    return du, _diagonal(p), H(dv)


_svd_any = by_tangent("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), _svd_tangent)


def _vanishing(s):
    s = primal(s)
    return s <= 10 * s.shape[-1] * np.finfo(s.dtype).eps * np.max(s, axis=-1, keepdims=True, initial=0.0)


def _undefined_vectors(s, shape):
    """Pairs of equal singular values; on the diagonal the vanishing ones, whose vector in the longer space is free."""
    alone = _vanishing(s)[..., None, :] & np.eye(shape_of(s)[-1], dtype=bool)
    return _closed(s) | (alone if shape[-1] != shape[-2] else False)


def _svd_forward(tangents, out, a):
    _refuse_if(_undefined_vectors(out[1], shape_of(a)), "svd", "np.linalg.svdvals")
    return _svd_tangent(tangents, out, a)


def _svd_reverse(needs, g, out, a):
    used = _used(g[0]) | _used(H(g[2]))
    _refuse_if(_undefined_vectors(out[1], shape_of(a)) & used, "svd", "np.linalg.svdvals")
    return _svd_any.vjp(needs, g, out, a)


_svd = define("svd", _svd_any.impl, jvp=_svd_forward, vjp=_svd_reverse)


@implements(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    if hermitian:
        return _svd_of_symmetric(a, compute_uv)
    if not compute_uv:
        return np.linalg.svdvals(a)
    rows, columns = shape_of(a)[-2:]
    if full_matrices and rows != columns:
        raise DerivativeError("np.linalg.svd: the extra vectors are arbitrary; use full_matrices=False")
    return SVDResult(*_svd(a))


def _svd_of_symmetric(a, compute_uv):
    """From the eigenvalues, as NumPy does it: of a it reads the lower triangle."""
    if not compute_uv:
        return np.flip(np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1), -1)
    w, v = np.linalg.eigh(a)
    order = np.flip(np.argsort(np.abs(primal(w)), axis=-1), -1)
    w, v = np.take_along_axis(w, order, -1), np.take_along_axis(v, order[..., None, :], -1)
    return SVDResult(v, np.abs(w), H(v * np.sign(w)[..., None, :]))


def _svdvals_tangent(tangents, s, a):
    """dS = diag(U'dA V), and 0 for a singular value that is 0: the smallest of its subgradients."""
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    slopes = np.sum(u * (tangents[0] @ H(vh)), axis=-2)
    return np.where(primal(s) == 0, 0.0, slopes)


_svdvals = by_tangent("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), _svdvals_tangent)


@implements(np.linalg.svdvals)
def svdvals(x, /):
    return _svdvals(x)

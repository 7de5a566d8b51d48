"""One table: for every function in the registry, calls that its derivatives are tested with.

A call is written with *kinds* of arrays in the place of arrays: `A(2, 3)` is any 2 by 3 array, `P` a positive one, and
so on. Everything else stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from calls import INC, A, Call, D, F, G, N, P, U, call, through

L = np.linalg


def _spd(function, **kwargs):
    """A function of symmetric positive definite matrices, as a function of any square ones."""

    def of_square(x):
        return function(x @ np.swapaxes(x, -1, -2) + np.eye(x.shape[-1], dtype=x.dtype), **kwargs)

    return of_square


def _symmetric(function, **kwargs):
    """A function of symmetric matrices, with eigenvalues of both signs, as a function of any square ones."""

    def of_square(x):
        return function(x + np.swapaxes(x, -1, -2), **kwargs)

    return of_square


def _with_nan(function, **kwargs):
    """A function of an array with some entries missing."""

    def of_array(x):
        missing = np.zeros(x.shape, bool)
        missing[..., 1] = True
        return function(np.where(missing, np.nan, x), **kwargs)

    return of_array


def one(kind=A) -> list:
    """Calls of an elementwise function of one argument."""
    return [call(kind()), call(kind(2, 3)), call(kind(0))]


def two(x=A, y=A) -> list:
    """Calls of an elementwise function of two arguments: broadcasting, and Python numbers on either side."""
    return [call(x(), y()), call(x(2, 3), y(3)), call(x(2, 1), y(1, 3)), call(x(3), 1.5), call(1.5, y(3))]


def reductions(kind=A, **more) -> list:
    """Calls of a reduction with all forms of axis."""
    return [
        call(kind(3), **more),
        call(kind(2, 3), **more),
        call(kind(2, 3), axis=0, **more),
        call(kind(2, 3, 2), axis=(0, -1), **more),
        call(kind(2, 3), axis=-1, keepdims=True, **more),
    ]


def running(kind=A) -> list:
    return [call(kind(4)), call(kind(2, 3)), call(kind(2, 3), axis=0), call(kind(2, 3), axis=-1)]


UNARY = {
    np.negative: A, np.positive: A, np.conjugate: A, np.reciprocal: N, np.square: A, np.sqrt: P, np.cbrt: N,
    np.absolute: N, np.fabs: N, np.exp: A, np.exp2: A, np.expm1: A, np.log: P, np.log2: P, np.log10: P, np.log1p: P,
    np.sin: A, np.cos: A, np.tan: U, np.arcsin: U, np.arccos: U, np.arctan: A, np.sinh: A, np.cosh: A, np.tanh: A,
    np.arcsinh: A, np.arccosh: G, np.arctanh: U, np.deg2rad: A, np.rad2deg: A, np.radians: A, np.degrees: A, np.sinc: A,
}  # fmt: skip
BINARY = {
    np.add: (A, A), np.subtract: (A, A), np.multiply: (A, A), np.divide: (A, N), np.arctan2: (N, N), np.hypot: (N, N),
    np.logaddexp: (A, A), np.logaddexp2: (A, A), np.power: (P, A), np.float_power: (P, A), np.maximum: (A, G),
    np.minimum: (U, G), np.fmax: (U, G), np.fmin: (U, G), np.remainder: (P, G), np.fmod: (P, G), np.copysign: (N, N),
    np.divmod: (P, G), np.heaviside: (N, A),
}  # fmt: skip
ELEMENTWISE = {
    np.ldexp: [call(A(3), np.array([1, 2, -1]))],
    np.modf: [call(G(3))],
    np.frexp: [call(N(2, 3))],
    np.clip: [call(A(2, 3), -0.5, 0.5), call(A(3), None, 0.2), call(D(3), U(), G(3))],
    np.where: [call(np.array([True, False, True]), A(3), A()), call(np.array([[True], [False]]), A(3), 2.0)],
    np.nan_to_num: [call(A(3)), through(_with_nan(np.nan_to_num), A(3))],
    np.real: one(),
    np.real_if_close: one(),
    np.unwrap: [call(D(5)), call(D(2, 3), axis=0)],
}
SHAPE = {
    np.copy: one(),
    np.reshape: [call(A(2, 3), (3, 2)), call(A(2, 3), -1), call(A(2, 3), (3, -1), order="F"), call(A(), (1, 1))],
    np.ravel: [call(A(2, 3)), call(A(2, 3), order="F")],
    np.transpose: [call(A(2, 3)), call(A(2, 3, 1), (2, 0, 1)), call(A(2, 3, 1), (-1, 0, 1))],
    np.matrix_transpose: [call(A(2, 3)), call(A(2, 3, 1))],
    L.matrix_transpose: [call(A(2, 3))],
    np.swapaxes: [call(A(2, 3, 2), 0, -1)],
    np.moveaxis: [call(A(2, 3, 1), 0, -1), call(A(2, 3, 1), (0, 1), (2, 0))],
    np.rollaxis: [call(A(2, 3, 1), 2), call(A(2, 3, 1), 1, start=3)],
    np.expand_dims: [call(A(2, 3), 1), call(A(2), (0, -1))],
    np.squeeze: [call(A(1, 2, 1)), call(A(1, 2, 1), axis=-1)],
    np.broadcast_to: [call(A(3), (2, 3)), call(A(2, 1), (2, 3)), call(A(), 3)],
    np.broadcast_arrays: [call(A(3), A(2, 1))],
    np.atleast_1d: [call(A()), call(A(), A(2))],
    np.atleast_2d: [call(A(3))],
    np.atleast_3d: [call(A(3)), call(A(2, 3))],
    np.ix_: [call(A(2), A(3)), call(np.array([0, 1]), A(2))],
    np.meshgrid: [call(A(2), A(3)), call(A(2), A(3), A(2), indexing="ij", sparse=True)],
    np.flip: [call(A(2, 3)), call(A(2, 3), axis=-1), call(A(2, 3), axis=(0, 1))],
    np.flipud: [call(A(2, 3))],
    np.fliplr: [call(A(2, 3))],
    np.rot90: [call(A(2, 3)), call(A(2, 3), 2), call(A(2, 3), -1), call(A(2, 3, 2), 1, axes=(1, 2)), call(A(2, 2), 4)],
    np.roll: [call(A(2, 3), 1), call(A(2, 3), 2, axis=1), call(A(2, 3), (1, -1), axis=(0, 1))],
    np.tril: [call(A(3, 3)), call(A(2, 3, 3), -1)],
    np.triu: [call(A(3, 3)), call(A(2, 3, 3), 1)],
    np.diag: [call(A(3)), call(A(3, 3), 1), call(A(2), -1)],
    np.diagflat: [call(A(2, 2)), call(A(3), 1)],
    np.diagonal: [call(A(2, 3)), call(A(2, 3, 3), 1, 1, 2)],
    L.diagonal: [call(A(2, 3, 3)), call(A(2, 3), offset=-1)],
    np.tile: [call(A(2, 3), 2), call(A(2, 3), (2, 1, 2))],
    np.repeat: [call(A(2, 3), 2), call(A(2, 3), [1, 2], axis=0), call(A(2, 3), 2, axis=-1)],
    np.resize: [call(A(2, 3), (3, 3))],
    np.delete: [call(A(2, 3), 1, axis=1), call(A(4), [0, 2])],
    np.insert: [call(A(4), 1, A()), call(A(2, 3), 1, A(2), axis=1), call(A(4), [1, 3], A(2))],
    np.pad: [
        call(A(2, 3), 1), call(A(3), (1, 2), "edge"), call(A(2, 3), ((1, 0), (0, 2)), "reflect"), call(A(3), 2, "wrap"),
        call(A(3), 2, mode="symmetric"), call(A(3), 1, constant_values=2.0), call(A(3), 1, constant_values=A()),
    ],
    np.full_like: [call(A(2, 3), A(3)), call(A(2, 3), 2.0)],
    np.concatenate: [call([A(2, 3), A(1, 3)]), call((A(2, 3), A(2, 1)), axis=-1), call([A(2), A(1, 3)], axis=None)],
    np.stack: [call([A(2, 3), A(2, 3)]), call([A(2), A(2)], axis=-1)],
    np.vstack: [call([A(3), A(2, 3)])],
    np.hstack: [call([A(3), A(2)]), call([A(2, 3), A(2, 1)])],
    np.dstack: [call([A(3), A(3)])],
    np.column_stack: [call([A(3), A(3, 2)])],
    np.append: [call(A(2, 3), A(2)), call(A(2, 3), A(1, 3), axis=0)],
    np.block: [call([[A(2, 2), A(2, 1)], [A(1, 2), A(1, 1)]]), call([A(2), A()])],
    np.split: [call(A(4), 2), call(A(2, 4), [1, 3], axis=-1), call(A(3), [3])],
    np.array_split: [call(A(5), 2), call(A(2, 3), 2, axis=1)],
    np.hsplit: [call(A(4), 2), call(A(2, 4), 2)],
    np.vsplit: [call(A(2, 3), 2)],
    np.dsplit: [call(A(2, 3, 2), 2)],
    np.apply_along_axis: [
        call(np.sum, 0, A(2, 3)),
        call(np.sin, -1, A(2, 3)),
        call(lambda v: v[:, None] * v, 1, A(2, 3, 2)),
    ],
}  # fmt: skip
INDEXING = {
    np.take: [
        call(A(4), [0, 2, 2]), call(A(2, 3), [[0, -1]], axis=1), call(A(3), 4, mode="wrap"),
        call(A(2, 3), [5], mode="clip"),
    ],
    np.take_along_axis: [
        call(A(2, 3), np.array([[0, 2], [1, 1]]), 1), call(A(2, 3), np.array([[0, 1, 0]]), axis=0),
        call(A(3), np.array([1, 1]), None),
        call(A(1, 3), np.array([[0], [2]]), 1),
    ],
    np.compress: [call([True, False, True], A(3)), call([False, True], A(2, 3), axis=0)],
    np.extract: [call(np.array([[True, False], [True, True]]), A(2, 2))],
    np.sort: [call(D(4)), call(D(2, 3), axis=0), call(D(2, 3), axis=None)],
    np.partition: [call(D(5), 2), call(D(2, 3), 1, axis=-1)],
    np.unique: [call(D(4)), call(D(4), return_inverse=True)],
    np.select: [call([np.array([True, False, False]), np.array([True, True, False])], [A(3), A(3)], A())],
    np.choose: [call(np.array([0, 1, 1]), [A(3), A(3)]), call(np.array([3, -1]), A(2, 2), mode="wrap")],
    np.piecewise: [
        call(A(4), [np.array([1, 0, 1, 0], bool)], [np.sin, np.exp]),
        call(A(3), [np.array([1, 0, 0], bool)], [np.exp, 2.0]),
    ],
    np.bincount: [call(np.array([0, 2, 2, 1]), A(4)), call(np.array([0, 1]), weights=A(2), minlength=4)],
}  # fmt: skip
REDUCTION = {
    np.sum: [*reductions(), call(A(2, 3), where=np.array([True, False, True])), call(A(3), initial=A())],
    np.add.reduce: [call(A(2, 3)), call(A(2, 3), axis=1)],
    np.mean: [*reductions(), call(A(2, 3), axis=1, where=np.array([True, False, True]))],
    np.var: [*reductions(), call(A(2, 3), ddof=1), call(A(2, 3), axis=0, correction=1)],
    np.std: [*reductions(), call(A(2, 3), ddof=1)],
    np.average: [call(A(2, 3)), call(A(2, 3), axis=0, weights=P(2)), call(A(2, 3), weights=P(2, 3), returned=True)],
    np.prod: [*reductions(), call(A(2, 3), initial=2.0), call(A(2, 3), where=np.array([True, False, True]))],
    np.multiply.reduce: [call(A(2, 3))],
    np.max: [*reductions(D), call(D(4), initial=-50.0)],
    np.amax: reductions(D),
    np.maximum.reduce: [call(D(2, 3))],
    np.min: [*reductions(D), call(D(2, 3), where=np.array([True, False, True]), initial=50.0)],
    np.amin: reductions(D),
    np.minimum.reduce: [call(D(2, 3))],
    np.ptp: reductions(D),
    np.logaddexp.reduce: [call(A(3)), call(A(2, 3), axis=None), call(A(2, 3), axis=1, keepdims=True)],
    np.cumsum: running(),
    np.add.accumulate: [call(A(2, 3)), call(A(2, 3), axis=1)],
    np.cumprod: running(),
    np.multiply.accumulate: [call(A(2, 3)), call(A(2, 3), axis=1)],
    np.median: [*reductions(D), call(D(4))],
    np.quantile: [
        call(D(5), 0.3), call(D(2, 3), 0.6, axis=1), call(D(4, 2), [0.2, 0.7], axis=0, keepdims=True), call(D(5), F()),
        call(D(5), 0.33, method="hazen"), call(D(2, 3), 0.4, axis=(0, 1), method="weibull"),
    ],
    np.percentile: [call(D(5), 30.0), call(D(2, 3), [20.0, 70.0], axis=1)],
    **{
        function: [through(_with_nan(function), A(3)), through(_with_nan(function, axis=1), A(2, 3))]
        for function in (np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanprod, np.nancumsum, np.nancumprod)
    },
    **{function: [through(_with_nan(function, axis=1), D(2, 3))] for function in (np.nanmax, np.nanmin)},
    np.cov: [call(A(2, 4)), call(A(4), A(4)), call(A(4, 2), rowvar=False, bias=True)],
    np.corrcoef: [call(A(2, 4))],
}  # fmt: skip
CONTRACTION = {
    np.matmul: [
        call(A(2, 3), A(3, 2)), call(A(3), A(3)), call(A(2, 3), A(3)), call(A(3), A(3, 2)), call(A(4, 2, 3), A(3, 2)),
        call(A(2, 3), A(4, 3, 2)), call(A(4, 2, 3), A(4, 3, 1)), call(A(4, 1, 2, 3), A(2, 3, 1)),
        call(A(2, 2, 3), A(3)), call(A(2), A(3, 2, 1)),
    ],
    L.matmul: [call(A(2, 3), A(3, 2))],
    np.dot: [
        call(A(3), A(3)), call(A(2, 3), A(3, 2)), call(A(2, 3), A(4, 3, 2)), call(A(2, 2, 3), A(3)), call(A(), A(3)),
        call(A(3), 2.0),
    ],
    np.inner: [call(A(3), A(3)), call(A(2, 3), A(4, 3)), call(A(2, 3), A()), call(A(2, 1, 3), A(3))],
    np.vdot: [call(A(2, 3), A(2, 3))],
    np.outer: [call(A(2), A(3)), call(A(2, 2), A(3))],
    L.outer: [call(A(2), A(3))],
    np.tensordot: [
        call(A(2, 3), A(3, 2), 1), call(A(2, 3, 2), A(2, 3), ([0, 1], [0, 1])), call(A(2), A(3), 0),
        call(A(2, 3), A(2, 3)),
    ],
    L.tensordot: [call(A(2, 3), A(3, 2), axes=1)],
    np.vecdot: [call(A(2, 3), A(3)), call(A(2, 3), A(2, 1), axis=0)],
    L.vecdot: [call(A(2, 3), A(2, 3))],
    np.einsum: [
        call("ij,jk->ik", A(2, 3), A(3, 2)), call("ii", A(3, 3)), call("ii->i", A(3, 3)), call("ij->j", A(2, 3)),
        call("i,j,k", A(2), A(2), A(2)),
        call("...ij,...j->...i", A(2, 2, 3), A(3)), call("b...,b->...", A(2, 3), A(2)),
        call("ij,ij,ij->", A(2, 2), A(2, 2), A(2, 2), optimize=True),
        call(A(2, 3), [0, 1], A(3, 2), [1, 2], [0, 2]), call("ijj->ij", A(2, 2, 2)), call("iii", A(2, 2, 2)),
        call("ab,b", A(2, 3), A(3)),
        call("ij,kj->ik", A(2, 3), A(2, 1)), call("...,...", A(2, 3), A(3)), call("i->", A(3)),
        call(",i->i", A(), A(3)),
    ],
    np.kron: [call(A(2, 2), A(2, 3)), call(A(2), A(2, 2)), call(A(2), A(3))],
    np.trace: [call(A(3, 3)), call(A(2, 3, 3), 1, 1, 2)],
    L.trace: [call(A(2, 3, 3)), call(A(3, 3), offset=-1)],
    np.cross: [call(A(3), A(3)), call(A(2, 3), A(3)), call(A(3, 2), A(3, 2), axis=0)],
    L.cross: [call(A(2, 3), A(2, 3))],
    L.multi_dot: [call([A(2, 3), A(3, 2), A(2, 4)]), call([A(2), A(2, 3), A(3, 2), A(2)])],
    L.matrix_power: [
        call(A(2, 2), 0), call(A(2, 2), 1), call(A(3, 2, 2), 5), through(_spd(L.matrix_power, n=-2), A(2, 2)),
    ],
    np.convolve: [call(A(4), A(2)), call(A(2), A(4), "same"), call(A(5), A(3), mode="valid")],
    np.correlate: [call(A(4), A(2)), call(A(4), A(3), "full"), call(A(2), A(4), "same")],
}  # fmt: skip
LINALG = {
    L.norm: [
        call(N(3)), call(N(2, 3)), call(N(2, 3), keepdims=True), call(N(2, 3), axis=0),
        call(N(2, 3), axis=-1, keepdims=True),
        *(call(D(4), order) for order in (1, 2, 3, -1, 0.5, np.inf, -np.inf)),
        *(call(A(2, 3), order) for order in ("fro", "nuc", 2, -2)),
        *(call(D(2, 3), order) for order in (1, -1, np.inf, -np.inf)),
        call(N(2, 3, 2), "fro", axis=(0, 2)), call(D(2, 3, 2), 1, axis=(-1, 0), keepdims=True),
        call(A(2, 2, 2), "nuc", axis=(1, 2)),
    ],
    L.vector_norm: [
        call(N(2, 3)), call(N(3), ord=G()), call(D(2, 3), ord=3, axis=1), call(D(2, 3), ord=np.inf, keepdims=True),
    ],
    L.matrix_norm: [call(N(2, 3)), call(A(2, 2, 2), ord=2, keepdims=True)],
    L.cond: [call(A(2, 2)), call(D(2, 2), 1)],
    L.det: [call(A(3, 3)), call(A(2, 2, 2))],
    L.slogdet: [call(A(3, 3)), call(A(2, 2, 2))],
    L.inv: [through(_spd(L.inv), A(3, 3)), through(_spd(L.inv), A(2, 2, 2))],
    L.pinv: [call(A(2, 3)), call(A(2, 3, 2))],
    L.solve: [
        through(lambda x, b: _spd(lambda a: L.solve(a, b))(x), A(3, 3), A(3)),
        through(lambda x, b: _spd(lambda a: L.solve(a, b))(x), A(2, 2, 2), A(2, 3)),
        through(lambda x, b: _spd(lambda a: L.solve(a, b))(x), A(2, 2), A(3, 2, 1)),
    ],
    L.tensorinv: [through(lambda x: L.tensorinv(np.reshape(_spd(np.positive)(x), (2, 2, 4)), 2), A(4, 4))],
    L.tensorsolve: [
        through(lambda x, b: L.tensorsolve(np.reshape(_spd(np.positive)(x), (2, 2, 4)), b), A(4, 4), A(2, 2)),
    ],
    L.lstsq: [call(A(4, 2), A(4)), call(A(2, 3), A(2, 2))],
    L.cholesky: [through(_spd(L.cholesky), A(3, 3)), through(_spd(L.cholesky, upper=True), A(2, 2, 2))],
    L.qr: [call(A(3, 2)), call(A(2, 3)), call(A(2, 2, 2)), call(A(3, 2), mode="r")],
    L.eigh: [through(_spd(L.eigh), A(3, 3)), through(_spd(L.eigh, UPLO="U"), A(2, 2, 2))],
    L.eigvalsh: [through(_spd(L.eigvalsh), A(3, 3)), through(_spd(L.eigvalsh), A(2, 2, 2))],
    L.svd: [
        call(A(2, 2)), call(A(3, 2), full_matrices=False), call(A(2, 2, 3), full_matrices=False),
        call(A(3, 2), compute_uv=False), through(_symmetric(L.svd, hermitian=True), A(3, 3)),
        through(_symmetric(L.svd, hermitian=True, compute_uv=False), A(2, 2, 2)),
    ],
    L.svdvals: [call(A(3, 2)), call(A(2, 2, 2))],
}  # fmt: skip
NUMERICAL = {
    np.diff: [call(A(4)), call(A(2, 4), n=2), call(A(2, 3), axis=0), call(A(3), prepend=A(), append=A(2))],
    np.ediff1d: [call(A(4)), call(A(2, 2), to_end=A(2), to_begin=A())],
    np.trapezoid: [call(A(4)), call(A(2, 3), axis=0, dx=0.5), call(A(2, 3), INC(3)), call(A(3, 2), INC(3), axis=0)],
    np.gradient: [
        call(A(4)), call(A(3, 4)), call(A(4), 0.5, edge_order=2), call(A(4), INC(4)),
        call(A(3, 4), 0.5, INC(4), edge_order=2),
        call(A(2, 3), axis=1),
    ],
    np.interp: [
        call(P(3), np.array([0.0, 1.1, 2.3]), A(3)), call(1.3, INC(4), A(4)),
        call(A(4), INC(3), A(3), left=A(), right=1.0),
        call(A(3), np.array([0.0, 1.0, 2.2]), A(3), period=3.0),
    ],
    np.linspace: [call(A(), A(), 4), call(A(2), A(2), 3, endpoint=False, axis=1), call(A(), 1.0, 3, retstep=True)],
    np.logspace: [call(A(), A(), 4)],
    np.geomspace: [call(P(), P(), 4)],
    np.polyval: [call(A(3), A(2)), call(A(4), A()), call([1.0, 2.0], A(3))],
    np.polyadd: [call(A(3), A(2))],
    np.polysub: [call(A(3), A(2))],
    np.polymul: [call(A(3), A(2))],
    np.polyder: [call(A(4)), call(A(4), 2)],
    np.polyint: [call(A(3)), call(A(2), 2)],
    np.vander: [call(A(3)), call(A(3), 2, increasing=True)],
    np.polyfit: [call(INC(5), A(5), 2), call(INC(4), A(4, 2), 1), call(INC(4), A(4), 1, w=P(4))],
}  # fmt: skip

# Functions that came with later versions of NumPy.
NEWER = {
    getattr(np, name): calls
    for name, calls in {
        "matvec": [call(A(4, 2, 3), A(3)), call(A(2, 3), A(4, 3))],
        "vecmat": [call(A(2), A(4, 2, 3))],
        "unstack": [call(A(2, 3)), call(A(2, 3), axis=1)],
        "astype": [call(A(3), np.float64), call(A(3), np.float32)],
        "cumulative_sum": [call(A(3)), call(A(2, 3), axis=1, include_initial=True)],
        "cumulative_prod": [call(A(3)), call(A(2, 3), axis=0, include_initial=True)],
    }.items()
    if hasattr(np, name)
}

EXAMPLES: dict[Callable, list] = {
    **{function: one(kind) for function, kind in UNARY.items()},
    **{function: two(*kinds) for function, kinds in BINARY.items()},
    **ELEMENTWISE, **SHAPE, **INDEXING, **REDUCTION, **CONTRACTION, **LINALG, **NUMERICAL, **NEWER,
}  # fmt: skip

# Calls of the functions that are constants: no derivative, a plain answer.
CONSTANTS: dict[Callable, Call] = {
    **{
        function: call(A(2, 3))
        for function in (
            np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argwhere, np.flatnonzero, np.all, np.any,
            np.nonzero, np.count_nonzero, np.sign, np.signbit, np.floor, np.ceil, np.trunc, np.fix, np.rint, np.round,
            np.around, np.spacing, np.isfinite, np.isnan, np.isinf, np.isneginf, np.isposinf, np.isreal, np.iscomplex,
            np.isrealobj, np.iscomplexobj, np.imag, np.angle, np.logical_not, np.shape, np.ndim, np.size,
            np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.min_scalar_type, np.common_type,
            np.array_repr, np.array_str, np.array2string, L.matrix_rank, np.tril_indices_from, np.triu_indices_from,
        )
    },
    **{
        function: call(A(3), A(3))
        for function in (
            np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
            np.logical_xor, np.isclose, np.allclose, np.array_equal, np.array_equiv, np.isin, np.shares_memory,
            np.may_share_memory,
        )
    },
    np.floor_divide: call(A(3), N(3)),
    np.argpartition: call(D(4), 2),
    np.lexsort: call((A(3), A(3))),
    np.searchsorted: call(INC(4), A(3)),
    np.digitize: call(A(3), INC(4)),
    np.einsum_path: call("ij,jk", A(2, 3), A(3, 2)),
    np.can_cast: call(np.float32, np.float64),
    np.diag_indices_from: call(A(3, 3)),
}  # fmt: skip

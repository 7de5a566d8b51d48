"""Numerical derivatives, and the check of every derivative against them.

Three independent references decide whether a derivative is right:

- *central differences* (f(x + hv) - f(x - hv)) / 2h, Richardson-extrapolated, the best of several h for each entry;
- the *complex step* Im f(x + ihv) / h with h = 1e-20, exact to rounding where f is analytic and takes complex arrays;
- the *adjoint identity* <u, Jv> = <J'u, v>, which ties forward and reverse mode together without any step at all.

Directions u and v are random, so one comparison tests all entries of an argument at once; only when it fails are the
entries tried one by one, to name the worst.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core import TRACES, ReverseTrace, dtype_of
from autodiff.transforms import jvp, linearize, vjp

MODES = ("forward", "reverse")

# By the bits of the coarsest float type involved: the relative error allowed, and the steps tried.
_TOLERANCES = {16: 5e-2, 32: 2e-3, 64: 1e-6}
_STEPS = {16: 2.0 ** -np.arange(0, 8, 2), 32: 2.0 ** -np.arange(3, 13, 2), 64: 2.0 ** -np.arange(4, 20, 3)}
_ADJOINT_TOLERANCES = {16: 5e-2, 32: 1e-3, 64: 1e-8}
_ENTRIES_SEARCHED = 500


def check_grads(
    f: Callable,
    args: Sequence,
    order: int = 2,
    modes: Sequence[str] = MODES,
    *,
    directions: int = 3,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Check the derivatives of f at `args`, orders 1 to `order`, against differences and against each other.

    f             any function of trees of arrays, returning a tree of arrays
    args          its arguments, a sequence; floating-point arrays in them are checked, other values held constant
    modes         "forward", "reverse" or both; order n checks all mixtures, such as reverse over forward
    directions    random directions per comparison, drawn from `seed`
    rtol, atol    relative and absolute error allowed; the defaults depend on the float type of arguments and output

    A float32 argument is differentiated in float32 and compared with differences of f in float64. Raises
    `AssertionError` naming the function, mode, order, argument, entry and both values.

    >>> check_grads(lambda x, y: np.sin(x) * y, (np.ones(3), 2.0))
    >>> check_grads(np.sin, (1.0,), order=4, modes=["reverse"])
    """
    if isinstance(modes, str) or not set(modes) <= set(MODES):
        raise ValueError(f'modes is a sequence of "forward" and "reverse", not {modes!r}')
    case = _case_of(f, tuple(args), rtol, atol)
    current = TRACES.get()
    token = TRACES.set((_FrugalTrace, current[1]) if current[0] is ReverseTrace else current)
    try:
        _check(case, order, modes, directions, seed)
    finally:
        TRACES.reset(token)


def _case_of(f: Callable, args: tuple, rtol: float | None, atol: float | None) -> _Case:
    """f as a function of the floating-point arrays among its arguments, returning those among its outputs."""
    leaves, rebuild = tree.flatten(args)
    floats = [i for i, leaf in enumerate(leaves) if _is_float(leaf)]
    if not floats:
        raise ValueError("check_grads needs at least one floating-point argument")
    kept = [i for i, leaf in enumerate(tree.flatten(f(*args))[0]) if _is_float(leaf)]

    def of_floats(*values):
        full = list(leaves)
        for i, value in zip(floats, values, strict=True):
            full[i] = value
        outputs = tree.flatten(f(*rebuild(full)))[0]
        return [outputs[i] for i in kept]

    xs = [leaves[i] if hasattr(leaves[i], "dtype") else np.float64(leaves[i]) for i in floats]
    names = [f"args{tree.paths(args)[i]}" for i in floats]
    title = getattr(f, "name", None) or getattr(f, "__name__", None) or repr(f)
    return _Case(of_floats, xs, names, title, rtol, atol)


class _FrugalTrace(ReverseTrace):
    """A tape that keeps no unread array, however small, so that a rule that reads more than it declares fails."""

    __slots__ = ()

    small = -1


class _Case(NamedTuple):
    """A function of arrays that returns a list of arrays, where it is checked, and how strictly."""

    g: Callable
    xs: list
    names: list[str]  # of the arguments, for messages
    title: str
    rtol: float | None
    atol: float | None


def _check(case: _Case, order: int, modes: Sequence[str], directions: int, seed: int) -> None:
    """One order of the check; then the same for the derivatives as functions of arguments and directions."""
    g, xs, names, title, rtol, atol = case
    outs = g(*xs)
    bits = _coarsest([*xs, *outs])
    strict = case._replace(rtol=_TOLERANCES[bits] if rtol is None else rtol)
    strict = strict._replace(atol=_TOLERANCES[bits] if atol is None else atol)
    for number in range(directions):
        rng = np.random.default_rng([seed, number])
        vs, us = _random(rng, xs), _random(rng, outs)
        context = strict._replace(title=f"{title}, direction {number} of seed {seed}")
        slope = _slope(g, xs, vs)
        tangents = _check_forward(context, outs, us, vs, slope) if "forward" in modes else None
        cotangents = _check_reverse(context, outs, us, vs, slope) if "reverse" in modes else None
        if tangents is not None and cotangents is not None:
            _check_adjoint(context.title, tangents, _vector(us), cotangents, _vector(vs), _ADJOINT_TOLERANCES[bits])
    if order > 1:
        n, rng = len(xs), np.random.default_rng(seed)
        if "forward" in modes:
            forward = _Case(
                lambda *both: jvp(g, both[:n], both[n:])[1],
                [*xs, *_random(rng, xs)],
                [*names, *(f"the tangent of {name}" for name in names)],
                f"the forward derivative of {title}",
                *(rtol, atol),
            )
            _check(forward, order - 1, modes, directions, seed + 1)
        if "reverse" in modes:
            reverse = _Case(
                lambda *both: list(vjp(g, *both[:n])[1](list(both[n:]))),
                [*xs, *_random(rng, outs)],
                [*names, *(f"the cotangent of output {k}" for k in range(len(outs)))],
                f"the reverse derivative of {title}",
                *(rtol, atol),
            )
            _check(reverse, order - 1, modes, directions, seed + 1)


def _check_forward(case: _Case, outs: list, us: list, vs: list, slope: np.ndarray) -> np.ndarray:
    """Jv against the slope along v, entry by entry; returns Jv."""
    values, tangents = jvp(case.g, case.xs, vs)
    outputs = [f"output {k}" for k in range(len(outs))]
    _same_form(f"forward mode of {case.title}: the value of", values, outs, outputs)
    _same_form(f"forward mode of {case.title}: the tangent of", tangents, outs, outputs)
    found, bits = _vector(tangents), _coarsest([*case.xs, *outs])
    exact = _complex_slope(case, vs, slope) if bits == 64 else None
    if not (_close(found, slope, case.rtol, case.atol) and (exact is None or _close(found, exact, 1e-8, 1e-8))):
        raise AssertionError(_diagnosis("forward", case, us))
    replayed = _vector(linearize(case.g, *case.xs)[1](*vs))
    if not _close(replayed, found, _ADJOINT_TOLERANCES[bits], _ADJOINT_TOLERANCES[bits]):
        worst = int(np.argmax(np.abs(replayed - found)))
        raise AssertionError(
            f"linearize and jvp differ for {case.title}: at flat index {worst} of the output {replayed[worst]:.9g}"
            f" and {found[worst]:.9g}"
        )
    return found


def _check_reverse(case: _Case, outs: list, us: list, vs: list, slope: np.ndarray) -> np.ndarray:
    """<J'u, v> against <u, slope along v>; returns J'u."""
    values, pullback = vjp(case.g, *case.xs)
    cotangents = pullback(us)
    _same_form(f"reverse mode of {case.title}: the value of", values, outs, [f"output {k}" for k in range(len(outs))])
    _same_form(f"reverse mode of {case.title}: the cotangent of", cotangents, case.xs, case.names)
    u, found = _vector(us), _vector(cotangents)
    if not abs(found @ _vector(vs) - u @ slope) <= case.atol + case.rtol * (np.abs(u) @ np.abs(slope)):
        raise AssertionError(_diagnosis("reverse", case, us))
    return found


def _check_adjoint(title, tangents, u, cotangents, v, tolerance) -> None:
    by_forward, by_reverse = u @ tangents, cotangents @ v
    scale = np.abs(u) @ np.abs(tangents) + np.abs(cotangents) @ np.abs(v)
    if not abs(by_forward - by_reverse) <= tolerance * (1 + scale):
        raise AssertionError(
            f"the adjoint identity <u, Jv> = <J'u, v> fails for {title}:"
            f" forward mode gives {by_forward:.9g}, reverse mode {by_reverse:.9g}"
        )


# -- numerical derivatives ---------------------------------------------------------------------------------------------


def numerical_jacobian(f: Callable, x: Any) -> np.ndarray:
    """All partial derivatives of f at the array x by central differences, in float64; shape `out.shape + x.shape`.

    >>> numerical_jacobian(lambda x: x**2, np.array([1.0, 3.0])).round(6)
    array([[2., 0.],
           [0., 6.]])
    """
    x = np.asarray(x, float)
    out_shape = np.shape(f(x))
    columns = [_slope(lambda x: [f(x)], [x], [unit]) for unit in np.eye(x.size).reshape(x.size, *x.shape)]
    return np.reshape(np.array(columns).T, out_shape + x.shape)


def _slope(g, xs, vs) -> np.ndarray:
    """d/dt g(x + tv) at t = 0, all outputs in one vector, by the best of several extrapolated central differences."""
    xs = [np.asarray(x, float) for x in xs]
    steps = _STEPS[_coarsest(g(*xs))]
    slopes = []
    with np.errstate(all="ignore"):
        for h in steps:
            ahead, behind = (_vector(g(*[x + t * v for x, v in zip(xs, vs, strict=True)])) for t in (h, -h))
            slopes.append((ahead - behind) / (2 * h))
        # The error of a central difference falls with h^2: from two steps, eliminate that term. Where two neighbours
        # among the results agree best, neither the next term of the error nor rounding dominates: the derivative.
        q = (steps[0] / steps[1]) ** 2
        refined = [(q * fine - coarse) / (q - 1) for coarse, fine in itertools.pairwise(slopes)]
        gaps = np.abs(np.diff(refined, axis=0))
    best = np.argmin(np.where(np.isfinite(gaps), gaps, np.inf), axis=0)
    return np.take_along_axis(np.array(refined), best[None] + 1, axis=0)[0]


def _complex_slope(case: _Case, vs: list, slope: np.ndarray) -> np.ndarray | None:
    """The complex step, or None where g does not take complex arrays or is not analytic (abs, max, comparisons...)."""
    h = 1e-20
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            outs = case.g(*[x + 1j * h * v for x, v in zip(case.xs, vs, strict=True)])
        exact = _vector([np.imag(out) / h for out in outs])
    except Exception:  # whatever a function does with arguments it was not written for
        return None
    # A function that is not analytic gives a wrong result rather than an error; the differences show it.
    return exact if exact.shape == slope.shape and _close(exact, slope, case.rtol, case.atol) else None


# -- comparisons -------------------------------------------------------------------------------------------------------


def _same_form(what, found, wanted, names) -> None:
    for name, a, b in zip(names, found, wanted, strict=True):
        if np.shape(a) != np.shape(b) or dtype_of(a) != dtype_of(b):
            raise AssertionError(
                f"{what} {name} has shape {np.shape(a)} and dtype {dtype_of(a)};"
                f" expected shape {np.shape(b)} and dtype {dtype_of(b)}"
            )


def _close(found, wanted, rtol, atol) -> bool:
    """Within tolerance of the largest entry: a small entry may be the difference of two large values."""
    scale = np.max(np.abs(wanted), initial=0.0)
    return bool(np.all(np.abs(found - wanted) <= atol + rtol * scale))


def _diagnosis(mode: str, case: _Case, us: list) -> str:
    """Find the worst entry of all arguments: the derivative of <u, g(x)> by each single entry of x."""
    g, xs = case.g, case.xs
    worst = (-1.0, "", 0, 0.0, 0.0)
    u = _vector(us)
    cotangents = vjp(g, *xs)[1](us)
    for k, x in enumerate(xs):
        for i in range(min(np.size(x), _ENTRIES_SEARCHED)):
            units = [np.zeros(np.shape(other), dtype_of(other)) for other in xs]
            units[k].flat[i] = 1
            wanted = u @ _slope(g, xs, units)
            found = np.ravel(cotangents[k])[i] if mode == "reverse" else u @ _vector(jvp(g, xs, units)[1])
            error = abs(found - wanted) / (1 + abs(wanted))
            if not error <= worst[0]:
                worst = (error, case.names[k], i, found, wanted)
    _, name, i, found, wanted = worst
    return (
        f"{mode} mode of {case.title}: the derivative of <u, f> by {name}, flat index {i}, is {found:.9g};"
        f" central differences give {wanted:.9g}"
    )


def _random(rng, likes) -> list:
    return [np.asarray(rng.standard_normal(np.shape(like)), dtype_of(like)) for like in likes]


def _coarsest(values) -> int:
    """Bits of the coarsest float type among the values, at most 64."""
    return min([64, *(np.finfo(dtype_of(value)).bits for value in values)])


def _vector(values) -> np.ndarray:
    """All entries of a list of arrays, concatenated, in float64."""
    return np.concatenate([np.ravel(np.asarray(value, float)) for value in values]) if len(values) else np.zeros(0)


def _is_float(leaf) -> bool:
    return np.dtype(dtype_of(leaf)).kind == "f"

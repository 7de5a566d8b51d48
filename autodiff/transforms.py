"""Transformations: functions in, derivatives out. They nest in any order and to any depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from autodiff import tree
from autodiff.arguments import (
    as_sequence,
    fresh,
    leaves_like,
    of_argnums,
    of_chosen_arguments,
    require_arrays,
    require_floats,
    require_scalar,
    split_aux,
    strip_trace,
)
from autodiff.core import (
    TRACES,
    DerivativeError,
    Primitive,
    ReverseTrace,
    Traced,
    dtype_of,
    match,
    primal,
    shape_of,
    size_of,
    zeros_like,
)
from autodiff.tree import Tree

Argnums = int | Sequence[int]


class Recorded(NamedTuple):
    """The result of running a function once under a reverse trace: all that its derivatives need."""

    trace: ReverseTrace
    inputs: list[Traced]
    rebuild: Callable  # leaves of the arguments -> tuple of arguments
    outputs: list  # leaves of the output; those that depend on no input are plain
    rebuild_out: Callable  # leaves of the output -> output
    aux: Tree

    @property
    def values(self) -> list:
        return [leaf.primal if self.trace.owns(leaf) else leaf for leaf in self.outputs]


def record(f: Callable, args: Sequence, name: str, has_aux: bool = False) -> Recorded:
    """Run f on traced arguments and keep the tape. `name` is the transformation, for messages."""
    args = tuple(args)
    leaves, rebuild = tree.flatten(args)
    require_floats(name, leaves, args)
    trace = TRACES.get()[0](name)
    inputs = [trace.new(leaf) for leaf in leaves]
    try:
        out = f(*rebuild(list(inputs)))
    finally:
        trace.closed = True
    out, aux = split_aux(out, has_aux, name)
    outputs, rebuild_out = tree.flatten(out)
    require_arrays(name, outputs)
    return Recorded(trace, inputs, rebuild, outputs, rebuild_out, strip_trace(aux, trace) if has_aux else None)


def pull_back(recorded: Recorded, gs: Sequence, release: bool = False) -> list:
    """The cotangents of the inputs, from one cotangent per output leaf."""
    trace = recorded.trace
    seeds = [(y.handle, match(g, y.primal)) for y, g in zip(recorded.outputs, gs, strict=True) if trace.owns(y)]
    found = trace.backward(seeds, release)
    cotangents = [found[x.handle] for x in recorded.inputs]
    return fresh(
        [zeros_like(x.primal) if c is None else c for c, x in zip(cotangents, recorded.inputs, strict=True)], gs
    )


def push_forward(recorded: Recorded, tangents: Sequence) -> list:
    """The tangents of the output leaves, from one tangent per input leaf."""
    found = recorded.trace.forward([(x.handle, t) for x, t in zip(recorded.inputs, tangents, strict=True)])
    arrived = [found[y.handle] if recorded.trace.owns(y) else None for y in recorded.outputs]
    return [zeros_like(y) if t is None else t for t, y in zip(arrived, recorded.values, strict=True)]


def vjp(f: Callable, *args: Tree, has_aux: bool = False) -> tuple:
    """The value of f and its pullback, which carries a cotangent of the output to cotangents of the arguments.

    Returns `(out, pullback)`, or `(out, pullback, aux)` with `has_aux=True` for an f that returns `(out, aux)`.
    Arguments and output are trees. `pullback(g)` takes a tree like the output and returns a tuple, one tree per
    argument; it may be called repeatedly.

    >>> y, pullback = vjp(np.sin, 0.0)
    >>> float(pullback(2.0)[0])
    2.0
    """
    recorded = record(f, args, "vjp", has_aux)
    values = recorded.values
    out = recorded.rebuild_out(values)

    def pullback(g: Tree) -> tuple:
        gs = leaves_like(g, out, values, "pullback", "a cotangent", "output")
        return recorded.rebuild(pull_back(recorded, gs))

    return (out, pullback, recorded.aux) if has_aux else (out, pullback)


def jvp(f: Callable, args: Sequence, tangents: Sequence, has_aux: bool = False) -> tuple:
    """The value of f and its directional derivative, the pushforward of the tangents.

    `args` and `tangents` are sequences of trees of the same structure. Returns `(out, tangent_out)`, or
    `(out, tangent_out, aux)` with `has_aux=True`.

    >>> y, tangent = jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
    >>> float(y), float(tangent)
    (12.0, 4.0)
    """
    args = as_sequence(args, "jvp", "args")
    leaves, rebuild = tree.flatten(args)
    require_floats("jvp", leaves, args)
    ts = leaves_like(as_sequence(tangents, "jvp", "tangents"), args, leaves, "jvp", "a tangent", "argument")
    trace = TRACES.get()[1]("jvp")
    inputs = [trace.new(leaf, match(t, leaf)) for leaf, t in zip(leaves, ts, strict=True)]
    try:
        out = f(*rebuild(inputs))
    finally:
        trace.closed = True
    out, aux = split_aux(out, has_aux, "jvp")
    outputs, rebuild_out = tree.flatten(out)
    require_arrays("jvp", outputs)
    value = rebuild_out([y.primal if trace.owns(y) else y for y in outputs])
    tangent = rebuild_out([y.handle if trace.owns(y) else zeros_like(y) for y in outputs])
    return (value, tangent, strip_trace(aux, trace)) if has_aux else (value, tangent)


def value_and_grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that returns `(f(...), gradient)`, or `((f(...), aux), gradient)` with `has_aux=True`.

    f returns a scalar. The gradient has the structure, shapes and dtypes of the argument at position `argnums`; for a
    sequence of positions it is a tuple. Keyword arguments of f are held constant. Raises `DerivativeError` if f does
    not return a scalar, if an argument is not floating-point, and if f does anything that would lose the derivative.

    >>> value, gradient = value_and_grad(lambda x: x**2)(3.0)
    >>> float(value), float(gradient)
    (9.0, 6.0)
    """

    def derivative(*args, **kwargs):
        chosen, function, single = of_argnums(f, args, kwargs, argnums, "grad")
        recorded = record(function, chosen, "grad", has_aux)
        value = recorded.rebuild_out(recorded.values)
        require_scalar(value)
        gradient = recorded.rebuild(pull_back(recorded, [dtype_of(value).type(1)], release=True))
        return ((value, recorded.aux) if has_aux else value), (gradient[0] if single else gradient)

    return derivative


def grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function, in reverse mode; see `value_and_grad`. With `has_aux=True`, `(gradient, aux)`.

    >>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient_of_f(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return gradient_of_f


def elementwise_grad(f: Callable, argnums: Argnums = 0) -> Callable:
    """dy_i/dx_i of a function that acts on each element alone: the gradient of the sum of its outputs.

    >>> elementwise_grad(np.sin)(np.zeros(2))
    array([1., 1.])
    """
    return grad(lambda *args, **kwargs: np.sum(f(*args, **kwargs)), argnums)


def linearize(f: Callable, *args: Tree) -> tuple:
    """The value of f at a point, and its linear map there: `(out, pushforward)`, with `pushforward(*tangents)`.

    out + pushforward(dx) is the tangent plane of f: for f(x) = x'x the hyperplane y - y0 = 2 x0'(x - x0). f runs only
    once, however often the pushforward is called.

    >>> y, pushforward = linearize(lambda x: x**2, 3.0)
    >>> float(y), float(pushforward(0.5))
    (9.0, 3.0)
    """
    recorded = record(f, args, "linearize")

    def pushforward(*tangents: Tree) -> Tree:
        leaves = [x.primal for x in recorded.inputs]
        ts = leaves_like(tangents, args, leaves, "pushforward", "a tangent", "argument")
        matched = [match(t, x) for t, x in zip(ts, leaves, strict=True)]
        return recorded.rebuild_out(push_forward(recorded, matched))

    return recorded.rebuild_out(recorded.values), pushforward


def jacobian(f: Callable, argnums: Argnums = 0, mode: str = "auto") -> Callable:
    """All first partial derivatives: for each output and argument an array of shape `out.shape + arg.shape`.

    For trees, the tree of the output with a tree of the argument in the place of each leaf. f runs once; then `mode`
    "reverse" makes one pass per output entry, "forward" one per input entry, and "auto" takes the fewer passes.

    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'mode is "auto", "forward" or "reverse", not {mode!r}')

    def jacobian_of_f(*args, **kwargs):
        chosen, function, single = of_argnums(f, args, kwargs, argnums, "jacobian")
        recorded = record(function, chosen, "jacobian")
        xs, ys = [x.primal for x in recorded.inputs], recorded.values
        fewer = "reverse" if sum(map(size_of, ys)) <= sum(map(size_of, xs)) else "forward"
        if (fewer if mode == "auto" else mode) == "reverse":
            blocks = [
                [_stack(part, y, x, x, 0) for part, x in zip(_passes(pull_back, recorded, ys, k, xs), xs, strict=True)]
                for k, y in enumerate(ys)
            ]
        else:
            columns = [
                [
                    _stack(part, y, x, y, -1)
                    for part, y in zip(_passes(push_forward, recorded, xs, k, ys), ys, strict=True)
                ]
                for k, x in enumerate(xs)
            ]
            blocks = [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in ys]
        rows = [recorded.rebuild(row) for row in blocks]
        return recorded.rebuild_out([row[0] if single else row for row in rows])

    return jacobian_of_f


def _passes(carry, recorded, starts, k, ends):
    """Carry every unit vector of `starts[k]`; for each end, the list of what arrived there."""
    seeds = [zeros_like(start) for start in starts]
    arrived: list[list] = [[] for _ in ends]
    size, shape, dtype = size_of(starts[k]), shape_of(starts[k]), dtype_of(starts[k])
    for i in range(size):
        unit = np.zeros(size, dtype)
        unit[i] = 1
        seeds[k] = unit.reshape(shape)
        for part, end in zip(arrived, carry(recorded, seeds), strict=True):
            part.append(end)
    return arrived


def _stack(parts, out, x, like, axis):
    """The block of partial derivatives of `out` by x, stacked from one part per pass."""
    shape = shape_of(out) + shape_of(x)
    return np.reshape(np.stack(parts, axis), shape) if parts else np.zeros(shape, dtype_of(like))


def hessian(f: Callable, argnums: Argnums = 0) -> Callable:
    """All second partial derivatives of a scalar function, forward over reverse; shape `arg.shape + arg.shape`.

    >>> hessian(lambda x: x[0] * x[1])(np.array([2.0, 5.0]))
    array([[0., 1.],
           [1., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


def hvp(f: Callable, x: Tree, v: Tree) -> Tree:
    """The product of the Hessian of a scalar function at x with v, at the cost of two gradients.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def stop_gradient(x: Tree) -> Tree:
    """The same value, as a constant to every differentiation in progress.

    >>> float(grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    return tree.map_leaves(primal, x)


def checkpoint(f: Callable) -> Callable:
    """f, with its intermediate values recomputed in the backward pass instead of kept: less memory, more time.

    Arguments, positional and by keyword, and output are trees; floating-point arguments are differentiated.

    >>> float(grad(checkpoint(lambda x: np.exp(np.sin(x))))(0.0))
    1.0
    """

    def checkpointed(*args, **kwargs):
        leaves, rebuild = tree.flatten((args, kwargs))
        rebuild_out: list[Callable] = []  # from the leaves of the output; the same in every run of f

        def of_leaves(*leaves):
            args, kwargs = rebuild(list(leaves))
            outputs, rebuild_out[:] = _leaves_and_rebuild(f(*args, **kwargs))
            if _innermost(outputs) > _innermost(leaves):
                raise DerivativeError(
                    "a function under checkpoint uses a value under differentiation that is not among its arguments;"
                    " pass it as an argument"
                )
            return tuple(outputs)

        primitive = Primitive(
            getattr(f, "__name__", "checkpoint"), of_leaves, *rules_by_rerunning(of_leaves), reads=["args"]
        )
        outputs = primitive(*leaves)
        return rebuild_out[0](list(outputs))

    return checkpointed


def rules_by_rerunning(f: Callable) -> tuple[Callable, Callable]:
    """Both derivative rules of a function in plain NumPy, by differentiating the function when a rule is called."""

    def forward_rule(tangents, out, *args, **params):
        chosen = [i for i, t in enumerate(tangents) if t is not None]
        return jvp(
            of_chosen_arguments(f, args, params, chosen), [args[i] for i in chosen], [tangents[i] for i in chosen]
        )[1]

    def reverse_rule(needs, g, saved, *args, **params):
        chosen = [i for i, need in enumerate(needs) if need]
        pullback = vjp(of_chosen_arguments(f, args, params, chosen), *[args[i] for i in chosen])[1]
        found = dict(zip(chosen, pullback(g), strict=True))
        return [found.get(i) for i in range(len(args))]

    return forward_rule, reverse_rule


def _leaves_and_rebuild(out):
    leaves, rebuild = tree.flatten(out)
    return leaves, [rebuild]


def _innermost(values) -> int:
    return max((value.owner.level for value in values if type(value) is Traced), default=-1)

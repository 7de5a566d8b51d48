"""Transformations: functions in, derivatives out. They nest in any order and to any depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tree
from .core import DerivativeError, ForwardTrace, Primitive, ReverseTrace, dtype_of, match, primal, shape_of, zeros_like

Argnums = int | Sequence[int]


def vjp(f: Callable, *args: Any, has_aux: bool = False) -> tuple:
    """The value of f and its pullback, which carries a cotangent of the output to cotangents of the arguments.

    Returns `(out, pullback)`, or `(out, pullback, aux)` with `has_aux=True` for an f that returns `(out, aux)`.
    Arguments and output are trees. `pullback(g)` takes a tree of the output's form and returns a tuple, one tree per
    argument; it may be called any number of times.

    >>> y, pullback = vjp(np.sin, 0.0)
    >>> float(pullback(2.0)[0])
    2.0
    """
    out, pullback, aux = _vjp(f, args, "vjp", has_aux)
    return (out, pullback, aux) if has_aux else (out, pullback)


def _vjp(f: Callable, args: Sequence, name: str, has_aux: bool, release: bool = False) -> tuple:
    leaves, rebuild = tree.flatten(tuple(args))
    _require_floats(name, leaves, tuple(args))
    trace = ReverseTrace(name)
    inputs = [trace.new(leaf) for leaf in leaves]
    try:
        out = f(*rebuild(list(inputs)))
    finally:
        trace.closed = True
    out, aux = _split_aux(out, has_aux, name)
    out_leaves, rebuild_out = tree.flatten(out)
    traced = [trace.owns(leaf) for leaf in out_leaves]
    values = [leaf.primal if mine else leaf for leaf, mine in zip(out_leaves, traced, strict=True)]

    def pullback(g: Any) -> tuple:
        gs, _ = tree.flatten(g)
        if len(gs) != len(out_leaves):
            raise DerivativeError(f"the pullback of {name} takes {len(out_leaves)} cotangents, one per output; got {len(gs)}")
        cotangents: dict[int, Any] = {}
        for leaf, value, mine, cotangent in zip(out_leaves, values, traced, gs, strict=True):
            if shape_of(cotangent) != shape_of(value):
                raise DerivativeError(
                    f"a cotangent has the shape of its output: expected {shape_of(value)}, got {shape_of(cotangent)}"
                )
            if mine:
                cotangent = match(cotangent, value)
                before = cotangents.get(leaf.handle)
                cotangents[leaf.handle] = cotangent if before is None else before + cotangent
        cotangents = trace.backward(cotangents, release)
        found = [cotangents.get(x.handle) for x in inputs]
        return rebuild([zeros_like(x.primal) if c is None else c for c, x in zip(found, inputs, strict=True)])

    return rebuild_out(values), pullback, _strip_trace(aux, trace)


def jvp(f: Callable, args: Sequence, tangents: Sequence, has_aux: bool = False) -> tuple:
    """The value of f and its directional derivative: the pushforward of the tangents.

    `args` and `tangents` are sequences of trees of the same form. Returns `(out, tangent_out)`, with `has_aux=True`
    `(out, tangent_out, aux)`.

    >>> y, tangent = jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
    >>> float(y), float(tangent)
    (12.0, 4.0)
    """
    leaves, rebuild = tree.flatten(tuple(args))
    tangent_leaves, _ = tree.flatten(tuple(tangents))
    _require_floats("jvp", leaves, tuple(args))
    if len(leaves) != len(tangent_leaves):
        raise DerivativeError(f"jvp takes one tangent per argument: {len(leaves)} arguments, {len(tangent_leaves)} tangents")
    trace = ForwardTrace("jvp")
    inputs = []
    for path, leaf, tangent in zip(tree.paths(tuple(args)), leaves, tangent_leaves, strict=True):
        if shape_of(leaf) != shape_of(tangent):
            raise DerivativeError(
                f"a tangent has the shape of its argument: args{path} is {shape_of(leaf)}, its tangent {shape_of(tangent)}"
            )
        inputs.append(trace.new(leaf, match(tangent, leaf)))
    try:
        out = f(*rebuild(inputs))
    finally:
        trace.closed = True
    out, aux = _split_aux(out, has_aux, "jvp")
    out_leaves, rebuild_out = tree.flatten(out)
    mine = [trace.owns(leaf) for leaf in out_leaves]
    values = rebuild_out([leaf.primal if m else leaf for leaf, m in zip(out_leaves, mine, strict=True)])
    tangent = rebuild_out([leaf.handle if m else zeros_like(leaf) for leaf, m in zip(out_leaves, mine, strict=True)])
    return (values, tangent, _strip_trace(aux, trace)) if has_aux else (values, tangent)


def value_and_grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that returns `(f(...), gradient)`, or `((f(...), aux), gradient)` with `has_aux=True`.

    f returns one number. The gradient has the form, shapes and dtypes of the argument number `argnums`; for a sequence of
    argument numbers it is a tuple. Keyword arguments of f are held constant.

    >>> value, gradient = value_and_grad(lambda x: x**2)(3.0)
    >>> float(value), float(gradient)
    (9.0, 6.0)
    """

    def derivative(*args, **kwargs):
        chosen, function = _of_argnums(f, args, kwargs, argnums, "grad")
        value, pullback, aux = _vjp(function, chosen, "grad", has_aux, release=True)
        _require_scalar(value)
        gradient = pullback(np.ones((), dtype_of(value)))
        gradient = gradient[0] if isinstance(argnums, int) else gradient
        return ((value, aux) if has_aux else value), gradient

    return derivative


def grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function, in reverse mode; see `value_and_grad`. With `has_aux=True`, `(gradient, aux)`.

    >>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """

    def gradient_of_f(*args, **kwargs):
        value, gradient = value_and_grad(f, argnums, has_aux)(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return gradient_of_f


def elementwise_grad(f: Callable, argnums: Argnums = 0) -> Callable:
    """dy_i/dx_i of a function that acts on each element alone: the gradient of the sum of its outputs.

    >>> elementwise_grad(np.sin)(np.zeros(2))
    array([1., 1.])
    """
    return grad(lambda *args, **kwargs: np.sum(f(*args, **kwargs)), argnums)


def linearize(f: Callable, *args: Any) -> tuple:
    """The value of f at a point, and its linear map there: `(out, pushforward)`, with `pushforward(*tangents)`.

    out + pushforward(dx) is the tangent plane of f: for f(x) = x'x the hyperplane y - y0 = 2 x0'(x - x0).

    >>> y, pushforward = linearize(lambda x: x**2, 3.0)
    >>> float(y), float(pushforward(0.5))
    (9.0, 3.0)
    """
    out = f(*args)
    return out, lambda *tangents: jvp(f, args, tangents)[1]


def jacobian(f: Callable, argnums: Argnums = 0, mode: str = "auto") -> Callable:
    """All first partial derivatives: for each output and argument an array of shape `out.shape + arg.shape`.

    For trees, the tree of the output with a tree of the argument in the place of each leaf. `mode` is "reverse" (one pass per
    output number), "forward" (one pass per input number) or "auto" (the fewer passes).

    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'mode is "auto", "forward" or "reverse", not {mode!r}')

    def jacobian_of_f(*args, **kwargs):
        chosen, function = _of_argnums(f, args, kwargs, argnums, "jacobian")
        single = isinstance(argnums, int)
        leaves, rebuild = tree.flatten(tuple(chosen))
        out, pullback, _ = _vjp(function, chosen, "jacobian", False)
        outs, rebuild_out = tree.flatten(out)
        inputs, outputs = sum(_size(x) for x in leaves), sum(_size(y) for y in outs)
        if mode == "reverse" or (mode == "auto" and outputs <= inputs):
            blocks = _jacobian_by_rows(pullback, outs, rebuild_out, leaves)
        else:
            blocks = _jacobian_by_columns(function, chosen, outs, leaves, rebuild)
        rows = [rebuild(row) for row in blocks]
        return rebuild_out([row[0] if single else row for row in rows])

    return jacobian_of_f


def _jacobian_by_rows(pullback, outs, rebuild_out, leaves):
    blocks = []
    for k, out in enumerate(outs):
        rows = []
        for basis in _basis(out):
            gs = [basis if i == k else zeros_like(o) for i, o in enumerate(outs)]
            rows.append(tree.flatten(pullback(rebuild_out(gs)))[0])
        blocks.append([_stack([row[j] for row in rows], shape_of(out) + shape_of(x), x, 0) for j, x in enumerate(leaves)])
    return blocks


def _jacobian_by_columns(function, chosen, outs, leaves, rebuild):
    blocks: list[list] = [[] for _ in outs]
    for k, leaf in enumerate(leaves):
        columns = []
        for basis in _basis(leaf):
            tangents = rebuild([basis if i == k else zeros_like(x) for i, x in enumerate(leaves)])
            columns.append(tree.flatten(jvp(function, chosen, tangents)[1])[0])
        for j, out in enumerate(outs):
            shape = shape_of(out) + shape_of(leaf)
            blocks[j].append(_stack([column[j] for column in columns], shape, out, -1))
    return blocks


def _basis(value):
    """The unit tangents or cotangents of a value, one after the other."""
    for i in range(_size(value)):
        unit = np.zeros(_size(value), dtype_of(value))
        unit[i] = 1
        yield unit.reshape(shape_of(value))


def _stack(parts, shape, like, axis):
    if not parts:
        return np.zeros(shape, dtype_of(like))
    return np.reshape(np.stack(parts, axis), shape)


def _size(value) -> int:
    return int(np.prod(shape_of(value), dtype=int))


def hessian(f: Callable, argnums: Argnums = 0) -> Callable:
    """All second partial derivatives of a scalar function, forward over reverse; shape `arg.shape + arg.shape`.

    >>> hessian(lambda x: x[0] * x[1])(np.array([2.0, 5.0]))
    array([[0., 1.],
           [1., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


def hvp(f: Callable, x: Any, v: Any) -> Any:
    """The product of the Hessian of a scalar function at x with v, at the cost of two gradients.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def stop_gradient(x: Any) -> Any:
    """The same value, taken for a constant by every differentiation in progress.

    >>> float(grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    return tree.map_leaves(primal, x)


def checkpoint(f: Callable) -> Callable:
    """f, with its intermediate values recomputed in the backward pass instead of kept: less memory, more time."""

    def value(*leaves, rebuild):
        return f(*rebuild(list(leaves)))

    def forward_rule(tangents, out, *leaves, rebuild):
        chosen = [i for i, t in enumerate(tangents) if t is not None]
        return jvp(_chosen(leaves, rebuild, chosen), [leaves[i] for i in chosen], [tangents[i] for i in chosen])[1]

    def reverse_rule(needs, g, out, *leaves, rebuild):
        chosen = [i for i, need in enumerate(needs) if need]
        _, pullback = vjp(_chosen(leaves, rebuild, chosen), *[leaves[i] for i in chosen])
        found = dict(zip(chosen, pullback(g), strict=True))
        return [found.get(i) for i in range(len(leaves))]

    def _chosen(leaves, rebuild, chosen):
        def of_chosen(*values):
            full = list(leaves)
            for i, new in zip(chosen, values, strict=True):
                full[i] = new
            return f(*rebuild(full))

        return of_chosen

    primitive = Primitive(getattr(f, "__name__", "checkpoint"), value, forward_rule, reverse_rule)

    def checkpointed(*args):
        leaves, rebuild = tree.flatten(args)
        return primitive(*leaves, rebuild=rebuild)

    return checkpointed


# -- arguments and messages --------------------------------------------------------------------------------------------


def _of_argnums(f, args, kwargs, argnums, name):
    """The chosen arguments, and f as a function of those alone."""
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    for number in numbers:
        if not -len(args) <= number < len(args):
            raise DerivativeError(f"{name} with respect to argument {number}, but only {len(args)} positional arguments")
    numbers = [number % len(args) for number in numbers]

    def function(*chosen):
        full = list(args)
        for number, value in zip(numbers, chosen, strict=True):
            full[number] = value
        return f(*full, **kwargs)

    return [args[number] for number in numbers], function


def _split_aux(out, has_aux, name):
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        raise DerivativeError(f"{name} with has_aux=True takes a function that returns (value, aux), got {type(out).__name__}")
    return out


def _strip_trace(aux, trace):
    """Auxiliary values as constants of this trace; those of outer traces stay traced."""
    return tree.map_leaves(lambda leaf: leaf.primal if trace.owns(leaf) else leaf, aux)


def _require_floats(name, leaves, args):
    for leaf, path in zip(leaves, tree.paths(args), strict=True):
        kind = np.dtype(dtype_of(leaf)).kind
        if kind != "f":
            hint = "convert it with float() or .astype(float)" if kind in "iub" else "only floating-point values have derivatives"
            raise DerivativeError(f"{name}: argument{path} is {dtype_of(leaf)}; {hint}")


def _require_scalar(value):
    if tree.children(value) is not None or shape_of(value) != ():
        what = f"an array of shape {shape_of(value)}" if tree.children(value) is None else f"a {type(value).__name__}"
        raise DerivativeError(
            f"grad takes a function that returns one number; it returned {what}. Reduce it (np.sum, np.mean), ask for"
            " jacobian, or pass has_aux=True if the function returns (value, extra)."
        )

"""The whole mechanism: primitives, traced values, the reverse tape and forward pairs.

A *primitive* is a function with a derivative rule for both modes. While a derivative is being taken, the
arguments of the user's function are `Traced` values: each carries its *primal* (the value itself) and belongs
to one *trace*. Calling a primitive on traced values hands the call to the innermost trace among them:

- a `ReverseTrace` computes the output and appends one entry to its tape. Append order is a topological order,
  so the backward pass is a plain loop over the reversed tape: no recursion, no sorting;
- a `ForwardTrace` computes the output and its tangent at once.

Nesting needs no stack. Every trace draws its level from a counter, an inner trace starts later, so the larger
level is the inner one, and to it the values of outer traces are constants. The rules themselves call ordinary
functions on values that may belong to outer traces; that is all it takes for derivatives of any order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

_levels = itertools.count()


class DerivativeError(TypeError):
    """A function was written in a way that cannot be differentiated; the message says what to write instead."""


class Traced:
    """A value under differentiation: what an array is replaced by inside a differentiated function.

    It behaves as its primal does in NumPy calls, operators and methods (see `numpy_protocol`).
    `handle` belongs to its trace, the `owner`: the slot on a reverse tape, or the tangent in forward mode.
    """

    __slots__ = ("handle", "owner", "primal")

    def __init__(self, primal: Any, owner: Trace, handle: Any):
        self.primal = primal
        self.owner = owner
        self.handle = handle


class Primitive:
    """A function with derivative rules in both modes.

    impl(*args, **params)                       the value; array arguments are positional, options are keywords
    jvp(tangents, out, *args, **params)         tangent of the output; `None` stands for the tangent of a constant
    vjp(needs, g, saved, *args, **params)       one cotangent per argument, or `None` where `needs` is false

    `saved` is the output, unless `record` is overridden to save something else. Rules may be sloppy about
    broadcasting and dtype: the traces sum, broadcast and cast so that a cotangent has the shape and dtype of its
    argument, and a tangent those of its output.
    """

    def __init__(self, name: str, impl: Callable, jvp: Callable, vjp: Callable):
        if not (callable(jvp) and callable(vjp)):
            raise TypeError(f"primitive {name!r} needs a rule for both modes: jvp={jvp!r}, vjp={vjp!r}")
        self.name, self.impl, self.jvp, self.vjp = name, impl, jvp, vjp
        self.__doc__ = getattr(impl, "__doc__", None)

    def __call__(self, *args: Any, **params: Any) -> Any:
        return apply(self, args, params)

    def record(self, args: Sequence, params: dict) -> tuple[Any, Any]:
        """The output, and what the reverse rule will want of this call."""
        out = apply(self, args, params)
        return out, out

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def apply(primitive: Primitive, args: Sequence, params: dict) -> Any:
    """Call a primitive: on the innermost trace among the arguments, or plainly when none is traced."""
    trace = None
    for arg in args:
        if type(arg) is Traced and (trace is None or arg.owner.level > trace.level):
            trace = arg.owner
    if trace is None:
        return primitive.impl(*args, **params)
    if trace.closed:
        raise DerivativeError(
            f"a value traced by {trace.name} was used in {primitive.name!r} after {trace.name} had returned. Return what"
            " you need from the differentiated function (has_aux=True for values that are not differentiated)"
            " instead of storing it outside."
        )
    return trace.process(primitive, args, params)


class Trace:
    """One differentiation in progress. Closed when the differentiated function has returned."""

    __slots__ = ("closed", "level", "name")

    def __init__(self, name: str):
        self.name = name
        self.level = next(_levels)
        self.closed = False

    def owns(self, value: Any) -> bool:
        return type(value) is Traced and value.owner is self

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        raise NotImplementedError


class ReverseTrace(Trace):
    """A tape: one entry per primitive call, replayed backwards to carry cotangents from output to inputs."""

    __slots__ = ("slots", "tape")

    def __init__(self, name: str):
        super().__init__(name)
        self.tape: list[tuple] = []
        self.slots = 0

    def new(self, primal: Any) -> Traced:
        """A traced value with the next free slot."""
        value = Traced(primal, self, self.slots)
        self.slots += 1
        return value

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        parents = [arg.handle if type(arg) is Traced and arg.owner is self else -1 for arg in args]
        values = [arg.primal if parent >= 0 else arg for arg, parent in zip(args, parents, strict=True)]
        out, saved = primitive.record(values, params)
        self.tape.append((primitive, parents, values, params, saved, self.slots, out))
        if type(out) is tuple:
            return tuple(self.new(o) for o in out)
        return self.new(out)

    def backward(self, cotangents: dict[int, Any], release: bool = False) -> dict[int, Any]:
        """Carry cotangents (by slot) back to the values that have no entry, the inputs.

        `release=True` drops each entry once passed, so that memory falls as the pass goes; the tape is then spent.
        """
        tape = self.tape
        for position in range(len(tape) - 1, -1, -1):
            primitive, parents, values, params, saved, slot, out = tape[position]
            if release:
                tape.pop()
            g = _take(cotangents, slot, out)
            if g is None:
                continue
            needs = [parent >= 0 for parent in parents]
            for parent, value, contribution in zip(
                parents, values, primitive.vjp(needs, g, saved, *values, **params), strict=True
            ):
                if parent >= 0 and contribution is not None:
                    contribution = match(contribution, value)
                    before = cotangents.get(parent)
                    cotangents[parent] = contribution if before is None else before + contribution
        return cotangents


def _take(cotangents: dict[int, Any], slot: int, out: Any) -> Any:
    """Remove and return the cotangent of an output; for several outputs a tuple, with zeros for the unused ones."""
    if type(out) is not tuple:
        return cotangents.pop(slot, None)
    gs = [cotangents.pop(slot + i, None) for i in range(len(out))]
    if all(g is None for g in gs):
        return None
    return tuple(zeros_like(o) if g is None else g for g, o in zip(gs, out, strict=True))


class ForwardTrace(Trace):
    """Pairs of primal and tangent, pushed forward side by side."""

    __slots__ = ()

    def new(self, primal: Any, tangent: Any) -> Traced:
        return Traced(primal, self, tangent)

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        mine = [type(arg) is Traced and arg.owner is self for arg in args]
        values = [arg.primal if m else arg for arg, m in zip(args, mine, strict=True)]
        tangents = [arg.handle if m else None for arg, m in zip(args, mine, strict=True)]
        out = apply(primitive, values, params)
        tangent = primitive.jvp(tangents, out, *values, **params)
        if type(out) is tuple:
            return tuple(self.new(o, _spread(t, o)) for o, t in zip(out, tangent, strict=True))
        return self.new(out, _spread(tangent, out))


# -- shapes and dtypes -----------------------------------------------------------------------------------------------


def primal(value: Any) -> Any:
    """The plain value under any number of traces; constants pass through."""
    while type(value) is Traced:
        value = value.primal
    return value


def is_traced(values: Iterable) -> bool:
    return any(type(value) is Traced for value in values)


def shape_of(value: Any) -> tuple[int, ...]:
    return np.shape(primal(value))


def dtype_of(value: Any) -> np.dtype:
    value = primal(value)
    return value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype


def zeros_like(value: Any) -> Any:
    """Zeros of the shape and dtype of a value, never traced."""
    return np.zeros(shape_of(value), dtype_of(value))


def match(g: Any, value: Any) -> Any:
    """A cotangent brought to the shape and dtype of its value: summed over broadcast axes, then cast.

    Summing is the transpose of broadcasting; doing it here once keeps it out of every rule, and casting here is
    what keeps a float32 gradient float32.
    """
    shape, g_shape = shape_of(value), shape_of(g)
    if g_shape != shape:
        extra = len(g_shape) - len(shape)
        if extra > 0:
            g = np.sum(g, axis=tuple(range(extra)))
            g_shape = g_shape[extra:]
        axes = tuple(i for i, (n, m) in enumerate(zip(shape[-len(g_shape) :], g_shape, strict=False)) if n == 1 and m != 1)
        if axes:
            g = np.sum(g, axis=axes, keepdims=True)
        if shape_of(g) != shape:  # a rule returned less than the full array, e.g. one number for all entries
            g = np.broadcast_to(g, shape)
    return _cast(g, value)


def _spread(tangent: Any, out: Any) -> Any:
    """A tangent brought to the shape and dtype of its output; `None` means zero."""
    if tangent is None:
        return zeros_like(out)
    shape = shape_of(out)
    if shape_of(tangent) != shape:
        tangent = np.broadcast_to(tangent, shape)
    return _cast(tangent, out)


def _cast(t: Any, value: Any) -> Any:
    dtype = dtype_of(value)
    if dtype_of(t) == dtype:
        return t
    return t.astype(dtype) if hasattr(t, "astype") else np.asarray(t, dtype)

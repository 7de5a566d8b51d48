"""The whole mechanism: primitives, traced values, the reverse tape and forward pairs.

A *primitive* is a function with a derivative rule for both modes. While a derivative is being taken, the arguments of
the user's function are `Traced` values: each carries its *primal* (the value itself) and belongs to one *trace*.
Calling a primitive on traced values hands the call to the innermost trace among them:

- a `ReverseTrace` computes the output and appends one entry to its tape. Append order is a topological order, so the
  backward pass is a plain loop over the reversed tape: no recursion, no sorting;
- a `ForwardTrace` computes the output and its tangent at once.

Nesting needs no stack. Every trace draws its level from a counter, an inner trace starts later, so the larger level is
the inner one, and to it the values of outer traces are constants. The rules themselves call ordinary functions on
values that may belong to outer traces; nothing more is needed for derivatives of any order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy import float64, ndarray

from autodiff.values import (
    AbstractArray,
    DerivativeError,
    Traced,
    dtype_of,
    is_traced,
    primal,
    shape_of,
    size_of,
    zeros_like,
)

__all__ = [
    "CONSTANT",
    "TRACES",
    "AbstractArray",
    "DerivativeError",
    "ForwardTrace",
    "Primitive",
    "ReverseTrace",
    "Trace",
    "Traced",
    "dtype_of",
    "is_traced",
    "match",
    "primal",
    "shape_of",
    "size_of",
    "zeros_like",
]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(float64)

_levels = itertools.count()

CONSTANT = -1  # instead of a slot, for an argument that the trace does not own
_ONE_NEEDED = (True,)
_new_traced = object.__new__  # twice as fast as Traced(...), where that counts


class Primitive:
    """A function with derivative rules in both modes.

    impl(*args, **params)                       the value; array arguments are positional, options are keywords
    jvp(tangents, out, *args, **params)         the tangent of the output; the tangent of a constant is `None`
    vjp(needs, g, saved, *args, **params)       one cotangent per argument, or `None` where `needs` is false

    `saved` is the output, unless `record` is overridden to save something else. A function with several outputs returns
    a tuple of them; its tangent and `g` are then tuples too. Rules need not take care of broadcasting and dtype: the
    traces sum, broadcast and cast, so that a cotangent has the shape and dtype of its argument, and a tangent those of
    its output.

    `reads` names the values that the two rules use. The tape does not keep the others alive: if "args" or "out" is
    missing, the rules find an `AbstractArray` in its place, which has a shape and a dtype and no values.
    """

    def __init__(
        self, name: str, impl: Callable, jvp: Callable, vjp: Callable, reads: Container[str] = ("args", "out")
    ):
        if not (callable(jvp) and callable(vjp)):
            raise TypeError(f"primitive {name!r} needs a rule for both modes: jvp={jvp!r}, vjp={vjp!r}")
        self.name, self.impl, self.jvp, self.vjp = name, impl, jvp, vjp
        self.reads = reads
        self.reads_args, self.reads_out = "args" in reads, "out" in reads
        self.reads_all = self.reads_args and self.reads_out
        self.__doc__ = getattr(impl, "__doc__", None)

    def __call__(self, *args: Any, **params: Any) -> Any:
        for value in params.values():
            if type(value) is Traced:
                raise DerivativeError(
                    f"{self.name!r} got a value under differentiation by keyword; pass it by position"
                )
        return self.apply(args, params)

    def apply(self, args: Sequence, params: dict) -> Any:
        """Call this primitive: on the innermost trace among the arguments, or plainly when none is traced."""
        trace = None
        for arg in args:
            if type(arg) is Traced:
                owner = arg.owner
                if trace is None or (owner is not trace and owner.level > trace.level):
                    trace = owner
        if trace is None:
            return self.impl(*args, **params)
        if trace.closed:
            raise DerivativeError(
                f"a value traced by {trace.name} was used in {self.name!r} after {trace.name} had returned. Return what"
                " you need from the differentiated function (has_aux=True for values that are not differentiated)"
                " instead of storing it outside."
            )
        return trace.process(self, args, params)

    def record(self, args: Sequence, params: dict) -> tuple[Any, Any]:
        """The output, and what the reverse rule will need."""
        out = self.apply(args, params)
        return out, out

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


class Trace:
    """One differentiation in progress. Closed when the differentiated function has returned."""

    __slots__ = ("closed", "has_python_floats", "level", "name")

    def __init__(self, name: str):
        self.name = name
        self.level = next(_levels)
        self.closed = False
        self.has_python_floats = False  # among its inputs

    def owns(self, value: Any) -> bool:
        return type(value) is Traced and value.owner is self

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        raise NotImplementedError

    def check_output(self, primitive: Primitive, out: Any) -> None:
        """Refuse what would make a derivative silently wrong: complex values, and traced ones let in by a back door."""
        for o in out if type(out) is tuple else (out,):
            if type(o) is Traced:  # complex ones were refused by the outer trace that it belongs to
                if o.owner.level >= self.level:  # an implementation is given no value of this trace or an inner one
                    raise DerivativeError(
                        f"{primitive.name!r} uses a value under differentiation that is not among its arguments; pass"
                        " it as one"
                    )
            elif dtype_of(o).kind == "c":
                raise DerivativeError(
                    f"{primitive.name!r} gave a complex value; only real ones are differentiated. Write real and"
                    " imaginary part as two real values: x * np.cos(t) and x * np.sin(t) for x * np.exp(1j * t)"
                )


class ReverseTrace(Trace):
    """A tape: one entry per primitive call, replayed backwards to carry cotangents from output to inputs.

    Every traced value has a slot. An entry says: this primitive, applied to the values of these parent slots, filled
    the slots from this one on. Replayed forwards, the same tape carries tangents.
    """

    __slots__ = ("slots", "tape")

    small = (
        1024  # bytes: arrays up to this size are kept even if no rule reads them, which is cheaper than replacing them
    )

    def __init__(self, name: str):
        super().__init__(name)
        self.tape: list[tuple] = []
        self.slots = 0

    def new(self, primal: Any) -> Traced:
        """A traced value with the next free slot."""
        self.has_python_floats = self.has_python_floats or type(primal) is float
        slot = self.slots
        self.slots = slot + 1
        return Traced(primal, self, slot)

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        # This runs once per operation of the user's function, and is written for speed: no closures, few calls.
        values, parents, nested = [], [], False
        for arg in args:
            parent = CONSTANT
            if type(arg) is Traced:
                if arg.owner is self:
                    parent, arg = arg.handle, arg.primal
                if type(arg) is Traced:
                    nested = True
            parents.append(parent)
            values.append(arg)
        if nested or type(primitive) is not Primitive:
            out, saved = primitive.record(values, params)
        else:  # what the default `record` comes to when no outer trace is involved
            out = saved = primitive.impl(*values, **params)
        kind = type(out)
        if (out.dtype is not FLOAT64 and out.dtype is not FLOAT32) if kind is ndarray else kind is not float64:
            self.check_output(primitive, out)
        slot = self.slots
        result: Any
        if kind is tuple:
            result = tuple(map(self.new, out))
        else:
            self.slots = slot + 1
            result = _new_traced(Traced)
            result.primal, result.owner, result.handle = out, self, slot
        if not primitive.reads_all:
            if not primitive.reads_out:
                unread = tuple(map(self.unread, out)) if kind is tuple else self.unread(out)
                saved, out = (unread if saved is out else saved), unread
            if not primitive.reads_args:
                for i, value in enumerate(values):
                    if type(value) is ndarray and (value.nbytes > self.small or value.base is not None):
                        values[i] = AbstractArray(value)
        if self.has_python_floats:
            values = _as_numpy_floats(values, parents)
        self.tape.append((primitive, parents, values, params, saved, out, slot))
        return result

    def unread(self, value: Any) -> Any:
        """What the tape keeps of a value that no rule reads: its shape and dtype, or a small array that is no view."""
        if type(value) is not ndarray or (value.nbytes <= self.small and value.base is None):
            return value
        return AbstractArray(value)

    def backward(self, seeds: Iterable[tuple[int, Any]], release: bool = False) -> list:
        """Carry cotangents, given as pairs (slot, value), back to the inputs.

        Returns a list indexed by slot, `None` where nothing arrived. `release=True` drops each entry once it has been
        used, so that memory falls during the pass; the tape cannot be used again.
        """
        cotangents: list[Any] = [None] * self.slots
        owned: set[int] = set()
        for slot, g in seeds:
            _accumulate(cotangents, owned, slot, g)
        tape = self.tape
        for position in range(len(tape) - 1, -1, -1):
            primitive, parents, values, params, saved, out, slot = tape.pop() if release else tape[position]
            if type(out) is tuple:
                g = _gather(cotangents, slot, out)
            else:
                g, cotangents[slot] = cotangents[slot], None
            if g is None:
                continue
            needs = _ONE_NEEDED if len(parents) == 1 else [parent >= 0 for parent in parents]
            contributions = primitive.vjp(needs, g, saved, *values, **params)
            if len(contributions) != len(parents):
                raise DerivativeError(
                    f"the reverse rule of {primitive.name!r} returned {len(contributions)} cotangents for"
                    f" {len(parents)} arguments; it returns one each, None where none is needed"
                )
            for parent, value, contribution in zip(parents, values, contributions):  # noqa: B905 (checked above)
                if parent >= 0 and contribution is not None:
                    contribution = match(contribution, value)
                    if cotangents[parent] is None:
                        cotangents[parent] = contribution
                    else:
                        _accumulate(cotangents, owned, parent, contribution)
        return cotangents

    def forward(self, tangents: Sequence[tuple[int, Any]]) -> list:
        """Carry tangents, given as pairs (slot, value), through the tape. Returns a list indexed by slot."""
        found: list[Any] = [None] * self.slots
        for slot, tangent in tangents:
            found[slot] = tangent
        for primitive, parents, values, params, _, out, slot in self.tape:
            arriving, some = [], False
            for parent in parents:
                tangent = found[parent] if parent >= 0 else None
                some = some or tangent is not None
                arriving.append(tangent)
            if not some:
                continue
            tangent = primitive.jvp(arriving, out, *values, **params)
            if type(out) is tuple:
                for i, (t, o) in enumerate(zip(tangent, out, strict=True)):
                    found[slot + i] = match_tangent(t, o)
            else:
                found[slot] = match_tangent(tangent, out)
        return found


def _accumulate(cotangents: list, owned: set[int], slot: int, g: Any) -> None:
    """Add a cotangent to a slot: the first is borrowed, the second allocates a sum, later ones add in place."""
    before = cotangents[slot]
    if before is None:
        cotangents[slot] = g
    elif slot in owned and type(before) is np.ndarray and type(g) is np.ndarray:
        before += g
    else:
        cotangents[slot] = before + g
        owned.add(slot)


def _as_numpy_floats(values: list, handles: list) -> list:
    """The Python floats of a trace as NumPy's, for the rules: 1 / 0.0 is infinite there, and an error in Python.

    The function itself keeps the Python float, which does not widen a float32 array that it meets.
    """
    mine = [h is not None and h is not CONSTANT for h in handles]
    return [np.float64(v) if m and type(v) is float else v for v, m in zip(values, mine, strict=True)]


def _gather(cotangents: list, slot: int, out: tuple) -> tuple | None:
    """Remove and return the cotangents of several outputs, with zeros for unused ones; `None` if all are unused."""
    gs = cotangents[slot : slot + len(out)]
    cotangents[slot : slot + len(out)] = [None] * len(out)
    if all(g is None for g in gs):
        return None
    return tuple(zeros_like(o) if g is None else g for g, o in zip(gs, out, strict=True))


class ForwardTrace(Trace):
    """Computes the value and the tangent of each operation side by side, and keeps nothing."""

    __slots__ = ()

    def new(self, primal: Any, tangent: Any) -> Traced:
        self.has_python_floats = self.has_python_floats or type(primal) is float
        return Traced(primal, self, tangent)

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        values, tangents, nested = [], [], False
        for arg in args:
            tangent = None
            if type(arg) is Traced:
                if arg.owner is self:
                    tangent, arg = arg.handle, arg.primal
                if type(arg) is Traced:
                    nested = True
            values.append(arg)
            tangents.append(tangent)
        out = primitive.apply(values, params) if nested else primitive.impl(*values, **params)
        kind = type(out)
        if (out.dtype is not FLOAT64 and out.dtype is not FLOAT32) if kind is ndarray else kind is not float64:
            self.check_output(primitive, out)
        if self.has_python_floats:
            values = _as_numpy_floats(values, tangents)
        tangent = primitive.jvp(tangents, out, *values, **params)
        if kind is tuple:
            if len(tangent) != len(out):
                raise DerivativeError(
                    f"the forward rule of {primitive.name!r} returned {len(tangent)} tangents for {len(out)} outputs"
                )
            return tuple(map(self.new, out, map(match_tangent, tangent, out)))
        result: Any = _new_traced(Traced)
        result.primal, result.owner, result.handle = out, self, match_tangent(tangent, out)
        return result


# The classes of trace that a transformation starts; `debug_nans` puts its own in their place.
TRACES: ContextVar[tuple[type[ReverseTrace], type[ForwardTrace]]] = ContextVar(
    "traces", default=(ReverseTrace, ForwardTrace)
)


# -- broadcasting and dtypes -------------------------------------------------------------------------------------------
# `match` for cotangents and `match_tangent` for tangents relieve the rules of both.


def match(g: Any, value: Any) -> Any:
    """Bring a cotangent to the shape and dtype of its value: sum over broadcast axes, then cast.

    Summing is the transpose of broadcasting; doing it once, here, keeps it out of every rule. Casting keeps the
    gradient of a float32 array float32.
    """
    try:
        if g.dtype is value.dtype and g.shape == value.shape:  # the usual case: nothing to do
            return g
    except AttributeError:  # a Python float
        pass
    shape, g_shape = shape_of(value), shape_of(g)
    if g_shape != shape:
        extra = len(g_shape) - len(shape)
        if extra > 0:
            g = np.add.reduce(g, axis=tuple(range(extra)))  # np.sum, in half the time
            g_shape = g_shape[extra:]
        ending = shape[len(shape) - len(g_shape) :]
        axes = tuple(i for i, (n, m) in enumerate(zip(ending, g_shape, strict=True)) if n == 1 and m != 1)
        if axes:
            g = np.add.reduce(g, axis=axes, keepdims=True)
        if shape_of(g) != shape:  # a rule may return a scalar for all entries
            g = np.broadcast_to(g, shape)
    return _cast(g, value)


def match_tangent(tangent: Any, out: Any) -> Any:
    """Bring a tangent to the shape and dtype of its output; `None` means zero."""
    try:
        if tangent.dtype is out.dtype and tangent.shape == out.shape:
            return tangent
    except AttributeError:  # None, or a Python float
        if tangent is None:
            return zeros_like(out)
    shape = shape_of(out)
    if shape_of(tangent) != shape:
        tangent = np.broadcast_to(tangent, shape)
    return _cast(tangent, out)


def _cast(t: Any, value: Any) -> Any:
    dtype, before = dtype_of(value), dtype_of(t)
    if before == dtype and hasattr(t, "dtype"):  # a Python number lacks what the rules use: shape, indexing
        return t
    if before.kind == "c" and dtype.kind != "c":
        raise DerivativeError("a tangent or cotangent is complex; only real values are differentiated")
    return t.astype(dtype) if hasattr(t, "astype") else dtype.type(t)

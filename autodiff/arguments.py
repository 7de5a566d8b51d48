"""The arguments and results of the transformations: choosing them, checking their structure, explaining mistakes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff import tree
from autodiff.core import DerivativeError, Trace, dtype_of, primal, shape_of
from autodiff.tree import Tree


def of_chosen_arguments(f: Callable, args: Sequence, params: dict, chosen: Sequence[int]) -> Callable:
    """The function of the chosen arguments alone, the others held fixed."""

    def of_chosen(*values):
        full = list(args)
        for i, value in zip(chosen, values, strict=True):
            full[i] = value
        return f(*full, **params)

    return of_chosen


def of_argnums(
    f: Callable, args: Sequence[Tree], kwargs: dict[str, Any], argnums: int | Sequence[int], name: str
) -> tuple[Sequence[Tree], Callable, bool]:
    """The chosen arguments, f as a function of those alone, and whether `argnums` was a single position."""
    if type(argnums) is int and argnums == 0 and len(args) == 1 and not kwargs:  # the common case, made fast
        return args, f, True
    several = isinstance(argnums, list | tuple)
    given: Sequence[Any] = argnums if isinstance(argnums, list | tuple) else [argnums]
    try:
        positions = [operator.index(position) for position in given]
    except TypeError:
        raise DerivativeError(
            f"argnums of {name} is the position of an argument or a tuple of positions, not {argnums!r}"
        ) from None
    for position in positions:
        if not -len(args) <= position < len(args):
            raise DerivativeError(
                f"{name} with respect to argument {position}, but the function was called with {len(args)}"
                " positional arguments; arguments given by keyword are held constant"
            )
    positions = [position % len(args) for position in positions]
    if len(set(positions)) < len(positions):
        raise DerivativeError(f"argnums of {name} names an argument twice: {argnums!r}")
    return [args[position] for position in positions], of_chosen_arguments(f, args, kwargs, positions), not several


def leaves_like(given: Tree, like: Tree, leaves: Sequence, name: str, thing: str, counterpart: str) -> list:
    """The leaves of tangents or cotangents, in the order of the values they belong to, each of the right shape."""
    try:
        found = tree.leaves_like(given, like)
    except ValueError as error:
        raise DerivativeError(f"{name} takes {thing} of the same structure as the {counterpart}: {error}") from None
    for i, (t, leaf) in enumerate(zip(found, leaves, strict=True)):
        if shape_of(t) != shape_of(leaf):
            raise DerivativeError(
                f"{thing} has the shape of its {counterpart}: {counterpart}{tree.paths(like)[i]} has shape"
                f" {shape_of(leaf)}, got {shape_of(t)}"
            )
    return found


def as_sequence(args: Sequence[Tree], name: str, what: str) -> tuple[Tree, ...]:
    if not isinstance(args, list | tuple):
        raise DerivativeError(
            f"{name} takes its {what} as a tuple, one entry per argument of the function: {name}(f, (x,), (v,));"
            f" got {type(args).__name__}"
        )
    return tuple(args)


def split_aux(out: Tree, has_aux: bool, name: str) -> tuple[Tree, Tree]:
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        raise DerivativeError(
            f"{name} with has_aux=True takes a function that returns (value, aux); it returned {_describe(out)}"
        )
    return out


def strip_trace(aux: Tree, trace: Trace) -> Tree:
    """Auxiliary values as constants of this trace; those of outer traces stay traced."""
    return tree.map_leaves(lambda leaf: leaf.primal if trace.owns(leaf) else leaf, aux)


def require_floats(name: str, leaves: Sequence, args: Sequence[Tree]) -> None:
    for i, leaf in enumerate(leaves):
        dtype = dtype_of(leaf)
        if dtype.kind != "f":
            hint = (
                "convert it with float(...) or .astype(float), or leave it out of argnums"
                if dtype.kind in "iub"
                else "only real floating-point values have derivatives here"
            )
            raise DerivativeError(f"{name}: argument{tree.paths(args)[i]} is {dtype}; {hint}")


def require_arrays(name: str, outputs: Sequence) -> None:
    """Refuse outputs that hide traced values in Python objects: their derivative would silently be zero."""
    for leaf in outputs:
        if dtype_of(leaf).kind == "O":
            thing = "an object array" if isinstance(primal(leaf), np.ndarray) else f"a {type(primal(leaf)).__name__}"
            raise DerivativeError(
                f"{name}: the function returned {thing}, whose contents are not differentiated. Return"
                " floating-point numbers or arrays, or dicts, lists, tuples and dataclasses of them:"
                " autodiff.array([x, y]) makes an array of traced values, autodiff.at(a)[i].set(x) puts one into an"
                " array, and has_aux=True is for results that are not differentiated."
            )


def require_scalar(value: Tree) -> None:
    if not tree.is_leaf(value) or shape_of(value) != ():
        raise DerivativeError(
            f"grad takes a function that returns a scalar; it returned {_describe(value)}. Reduce it (np.sum,"
            " np.mean), ask for jacobian or elementwise_grad, or pass has_aux=True if the function returns"
            " (value, extra)."
        )


def _describe(value: Tree) -> str:
    if value is None:
        return "None (is a return statement missing?)"
    return f"an array of shape {shape_of(value)}" if tree.is_leaf(value) else f"a {type(value).__name__}"


def fresh(results: Sequence, given: Sequence) -> list:
    """Make results the caller's own: writable, and sharing memory neither with each other nor with a given array."""
    seen: dict[int, list[np.ndarray]] = {}
    for g in given:
        if type(g) is np.ndarray:
            seen.setdefault(_owner_of_memory(g), []).append(g)
    fresh = []
    for result in results:
        if type(result) is np.ndarray:
            earlier = seen.setdefault(_owner_of_memory(result), [])
            if not result.flags.writeable or any(np.may_share_memory(result, other) for other in earlier):
                result = result.copy()
            else:
                earlier.append(result)
        fresh.append(result)
    return fresh


def _owner_of_memory(array: np.ndarray) -> int:
    return id(array if array.base is None else array.base)

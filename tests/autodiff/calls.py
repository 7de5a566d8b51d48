"""Calls of functions, written with kinds of random arrays in the place of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Kind(NamedTuple):
    """A random array to be: how to draw it, and its shape."""

    sample: Callable
    shape: tuple[int, ...]


def _kind(sample):
    return lambda *shape: Kind(sample, shape)


A = _kind(lambda rng, n: rng.standard_normal(n))  # any numbers
P = _kind(lambda rng, n: rng.uniform(0.5, 2.0, n))  # positive
U = _kind(lambda rng, n: rng.uniform(-0.7, 0.7, n))  # inside the unit interval
G = _kind(lambda rng, n: rng.uniform(1.5, 3.0, n))  # greater than 1
F = _kind(lambda rng, n: rng.uniform(0.55, 0.7, n))  # a fraction, between neighbouring quarters
N = _kind(lambda rng, n: rng.uniform(0.5, 2.0, n) * rng.choice([-1.0, 1.0], n))  # away from 0
D = _kind(
    lambda rng, n: rng.permutation(np.arange(n) - n // 2 + 0.25) + rng.uniform(-0.1, 0.1, n)
)  # far from each other
INC = _kind(lambda rng, n: np.arange(n) + rng.uniform(0.0, 0.3, n))  # increasing


class Call(NamedTuple):
    """One call of a function, `function(*args, **kwargs)`."""

    args: tuple
    kwargs: dict[str, Any]

    def draw(self, function, dtype=np.float64, seed=0):
        """The call as a function of its arrays alone, and random arrays for it."""
        rng = np.random.default_rng(seed)
        leaves, rebuild = flatten((self.args, self.kwargs))
        places = [i for i, leaf in enumerate(leaves) if type(leaf) is Kind]
        arrays = [_array(leaves[i], rng, dtype) for i in places]

        def of_arrays(*values):
            full = list(leaves)
            for i, value in zip(places, values, strict=True):
                full[i] = value
            args, kwargs = rebuild(full)
            return function(*args, **kwargs)

        return of_arrays, arrays


def _array(kind, rng, dtype):
    size = int(np.prod(kind.shape, dtype=int))
    return np.asarray(kind.sample(rng, size), dtype).reshape(kind.shape)


def flatten(value):
    """Leaves of nested lists, tuples and dicts; a Kind is one, though it is a named tuple."""
    if isinstance(value, dict):
        leaves, rebuild = flatten(list(value.values()))
        return leaves, lambda new: dict(zip(value, rebuild(new), strict=True))
    if type(value) not in (list, tuple):
        return [value], lambda new: new[0]
    parts = [flatten(member) for member in value]
    ends = np.cumsum([0] + [len(leaves) for leaves, _ in parts])

    def rebuild(new):
        return type(value)(b(new[i:j]) for (_, b), i, j in zip(parts, ends[:-1], ends[1:], strict=True))

    return [leaf for leaves, _ in parts for leaf in leaves], rebuild


def call(*args, **kwargs) -> Call:
    return Call(args, kwargs)


class Through(NamedTuple):
    """A call that goes through a preparation first: `function` is called inside `prepared(*args)`."""

    prepared: Callable
    call: Call

    def draw(self, function, dtype=np.float64, seed=0):
        return self.call.draw(self.prepared, dtype, seed)


def through(prepared, *args) -> Through:
    return Through(prepared, call(*args))

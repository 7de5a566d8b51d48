"""Operators, and what it takes to run their kernels once outside of training: for tests and for the warm-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from autodiff import FUSED, fused

# (*args, **params) -> (out, saved): zeros in the form of what the operator's `forward` returns, without its kernel
SKELETONS: dict[str, Callable] = {}
# (**params) -> None: calls of operators that are not fused, on small arrays of the types that training has
REHEARSALS: dict[str, Callable[..., None]] = {}


def fused_operator(name: str, *, skeleton: Callable, **parts: Any):
    """`autodiff.fused` with example arguments and a skeleton; for the other arguments see there."""
    SKELETONS[name] = skeleton
    return fused(name, **parts)


def rehearsal(function: Callable[..., None]) -> Callable[..., None]:
    """Register a function that calls operators without derivatives, to have their kernels compiled, by its name."""
    REHEARSALS[function.__name__] = function
    return function


@dataclass(frozen=True)
class OperatorUse:
    """How a training uses an operator: its name, parameters that differ from those of the example, and constants.

    `constants` are the positions of float arguments that are never differentiated: there may be kernels for those. The
    name may be that of a rehearsal too.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[int, ...] = ()

    @property
    def runs(self) -> tuple[Callable[[], None], ...]:
        """Calls that between them compile all of its kernels; no two compile the same one."""
        if self.name in REHEARSALS:
            return (partial(REHEARSALS[self.name], **self.params),)
        return self.run_forward, self.run_backward

    def _example(self, dtype) -> tuple[list, dict[str, Any]]:
        args, params = FUSED[self.name].example()
        cast = [np.asarray(arg, dtype) if np.asarray(arg).dtype.kind == "f" else arg for arg in args]
        return cast, {**params, **self.params}

    def run_forward(self, dtype=np.float32) -> None:
        """Call the forward kernels, as training does."""
        args, params = self._example(dtype)
        FUSED[self.name].forward(*args, **params)

    def run_backward(self, dtype=np.float32) -> None:
        """Call the backward kernels, and no forward kernel; the result means nothing."""
        args, params = self._example(dtype)
        needs = [np.asarray(arg).dtype.kind == "f" and i not in self.constants for i, arg in enumerate(args)]
        if any(needs):
            out, saved = SKELETONS[self.name](*args, **params)
            FUSED[self.name].backward(tuple(needs), out, saved, *args, **params)

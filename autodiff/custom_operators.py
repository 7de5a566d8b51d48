"""Fused operators: hand-written kernels with a plain-NumPy reference beside them.

The kernels give the value and the first derivative in reverse mode, fast. The reference, the same function in plain
NumPy, gives everything else: forward mode, all derivatives of order two and up, the value where the kernels do not
apply, and the oracle the kernels are tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff.core import Primitive, is_traced
from autodiff.transforms import rules_by_rerunning

FUSED: dict[str, Fused] = {}

Example = Callable[[], tuple[Sequence, dict[str, Any]]]  # () -> (args, params)


class Fused(Primitive):
    """An operator backed by kernels; made by `fused`."""

    def __init__(
        self,
        name: str,
        reference: Callable,
        forward: Callable,
        backward: Callable,
        value: Callable | None = None,
        example: Example | None = None,
    ):
        reference_jvp, self.reference_vjp = rules_by_rerunning(reference)
        super().__init__(name, self._value, reference_jvp, self._vjp, reads=["args"])
        self.reference, self.forward, self.backward, self.value = reference, forward, backward, value
        self._example = example
        self.__doc__ = reference.__doc__

    def example(self) -> tuple[tuple, dict[str, Any]]:
        """Small example arguments `(args, params)`, such that `operator(*args, **params)` runs the kernels.

        Tests and the warm-up of compiled kernels use them. Raises `LookupError` if the operator was defined without.
        """
        if self._example is None:
            raise LookupError(
                f"the fused operator {self.name!r} has no example arguments; give it some:"
                " fused(..., example=lambda: ((x, y), {}))"
            )
        args, params = self._example()
        return tuple(args), dict(params)

    def _value(self, *args, **params):
        if not kernels_apply(args):
            return self.reference(*args, **params)
        return self.forward(*args, **params)[0] if self.value is None else self.value(*args, **params)

    def record(self, args: Sequence, params: dict) -> tuple[Any, Any]:
        # With outer traces among the arguments, or where the kernels do not apply, nothing is saved, and the reverse
        # rule goes through the reference.
        if is_traced(args) or not kernels_apply(args):
            return self.apply(args, params), None
        return self.forward(*args, **params)

    def _vjp(self, needs, g, saved, *args, **params):
        gs = g if type(g) is tuple else (g,)
        if saved is not None and not is_traced(gs):
            return self.backward(needs, g, saved, *args, **params)
        return self.reference_vjp(needs, g, saved, *args, **params)


def kernels_apply(args: Sequence) -> bool:
    """Kernels are compiled for float32 and for float64, one dtype at a time; integer arguments may stand beside."""
    dtypes = {a.dtype for a in args if isinstance(a, np.ndarray) and a.dtype.kind != "i"}
    return len(dtypes) == 1 and dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}


def fused(
    name: str,
    *,
    reference: Callable,
    forward: Callable,
    backward: Callable,
    value: Callable | None = None,
    example: Example | None = None,
) -> Fused:
    """Register an operator that runs on kernels.

    reference(*args, **params) -> out                               plain NumPy; out is an array or a tuple of arrays
    forward(*args, **params) -> (out, saved)                        saved goes to `backward`; anything but None
    backward(needs, g, saved, *args, **params) -> cotangents        one per argument, None where `needs` is false
    value(*args, **params) -> out                                   without derivatives; that of `forward` if None
    example() -> (args, params)                                     small arguments, for tests and for kernel warm-up

    All float arrays among the arguments must share one dtype, float32 or float64, for the kernels to be used. What
    forward and backward return must not alias buffers that a later call writes to.
    """
    if name in FUSED:
        raise ValueError(f"a fused operator named {name!r} exists already")
    FUSED[name] = operator = Fused(name, reference, forward, backward, value, example)
    return operator

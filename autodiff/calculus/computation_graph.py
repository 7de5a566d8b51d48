"""The computation graph of a function: which value was computed from which, with the formula and the value of each.

`graph(f, *args)` runs f once and returns the graph as data; `drawing` turns it into text, DOT or a picture, and
`calculus` reads tables of derivatives off it. Nodes carry the names of the lectures: the arguments keep theirs, the
intermediate values are called u1, u2, ... in the order in which they were computed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.core import CONSTANT, TRACES, ForwardTrace, Primitive, ReverseTrace
from autodiff.transforms import jacobian, record


class Call(NamedTuple):
    """One call of a primitive, with all its arguments."""

    primitive: Primitive
    args: list  # their values
    params: dict
    parents: list[int]  # node of each argument, or CONSTANT
    output: int | None  # which of several outputs, or None for a single one


class Node(NamedTuple):
    """One value: an argument of the function (`call` is None) or the result of a primitive."""

    name: str
    formula: str
    value: Any
    call: Call | None

    @property
    def parents(self) -> list[int]:
        """The nodes it was computed from, one per argument that is not a constant; a node may occur twice."""
        return [] if self.call is None else [parent for parent in self.call.parents if parent != CONSTANT]

    def partial(self, position: int) -> Any:
        """The local partial derivative by the argument at `position`, an array of shape `value.shape + arg.shape`."""
        assert self.call is not None
        primitive, args, params, _, output = self.call

        def of_argument(x):
            out = primitive(*args[:position], x, *args[position + 1 :], **params)
            return out if output is None else out[output]

        return jacobian(of_argument, mode="forward")(np.asarray(args[position], float)[()])


class Graph(NamedTuple):
    """The nodes in the order of computation, and the indices of the inputs and outputs among them."""

    nodes: list[Node]
    inputs: list[int]
    outputs: list[int]

    def edges(self) -> list[tuple[int, int, int]]:
        """(parent, child, argument position) for every argument that is not a constant."""
        return [
            (parent, child, position)
            for child, node in enumerate(self.nodes)
            if node.call is not None
            for position, parent in enumerate(node.call.parents)
            if parent != CONSTANT
        ]


def graph(f: Callable, *args: Any) -> Graph:
    """Run f and return its computation graph, without the values that the output does not depend on.

    >>> for node in graph(lambda x: np.sin(x + x**2), 2.0).nodes:
    ...     print(node.name, "=", node.formula or node.value)
    x = 2.0
    u1 = x**2
    u2 = x + u1
    u3 = sin(u2)
    """
    token = TRACES.set((_KeepingTrace, ForwardTrace))
    try:
        recorded = record(f, args, "graph")
    finally:
        TRACES.reset(token)
    trace = recorded.trace
    assert isinstance(trace, _KeepingTrace)
    calls: list[Call | None] = [None] * len(recorded.inputs)
    values = [x.primal for x in recorded.inputs]
    for call, out in trace.calls:
        several = isinstance(out, tuple)
        for k, value in enumerate(out if several else (out,)):
            calls.append(call._replace(output=k if several else None))
            values.append(value)
    ends = [y.handle for y in recorded.outputs if trace.owns(y)]
    wanted = _ancestors(calls, ends) | set(range(len(recorded.inputs)))
    index = {slot: i for i, slot in enumerate(sorted(wanted))}
    names = _argument_names(f, args)
    names += [f"u{i + 1}" for i in range(len(wanted) - len(names))]
    nodes: list[Node] = []
    for slot, name in zip(sorted(wanted), names, strict=True):
        made_by = calls[slot]
        if made_by is None:
            nodes.append(Node(name, "", values[slot], None))
        else:
            made_by = made_by._replace(parents=[index.get(parent, CONSTANT) for parent in made_by.parents])
            nodes.append(Node(name, formula(made_by, names), values[slot], made_by))
    return Graph(nodes, list(range(len(recorded.inputs))), [index[slot] for slot in ends])


class _KeepingTrace(ReverseTrace):
    """A tape that keeps every value, also those that no rule reads."""

    __slots__ = ("calls",)

    def __init__(self, name: str):
        super().__init__(name)
        self.calls: list[tuple[Call, Any]] = []

    def process(self, primitive: Primitive, args: Sequence, params: dict) -> Any:
        result = super().process(primitive, args, params)
        parents = [arg.handle if self.owns(arg) else CONSTANT for arg in args]
        values = [arg.primal if self.owns(arg) else arg for arg in args]
        out = tuple(r.primal for r in result) if isinstance(result, tuple) else result.primal
        self.calls.append((Call(primitive, values, params, parents, None), out))
        return result


def _ancestors(calls: Sequence[Call | None], ends: Sequence[int]) -> set[int]:
    found: set[int] = set()
    waiting = list(ends)
    while waiting:
        slot = waiting.pop()
        if slot not in found:
            found.add(slot)
            call = calls[slot]
            waiting += [parent for parent in (call.parents if call else []) if parent != CONSTANT]
    return found


def _argument_names(f: Callable, args: Sequence) -> list[str]:
    try:
        parameters = list(inspect.signature(f).parameters.values())
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):  # ufuncs and other built-in functions do not tell
        names = []
    names += [f"x{i}" for i in range(len(names), len(args))]
    return [name + path for name, arg in zip(names, args, strict=False) for path in tree.paths(arg)]


# -- formulas ----------------------------------------------------------------------------------------------------------

_INFIX = {"add": " + ", "subtract": " - ", "multiply": " * ", "divide": " / ", "matmul": " @ ", "power": "**"}


def formula(call: Call, names: Sequence[str]) -> str:
    """The call as one would write it, with the names of its arguments."""
    operands = operand_names(call, names)
    name, params = call.primitive.name, call.params
    if name in _INFIX:
        return _INFIX[name].join(operands)
    if name == "negative":
        return f"-{operands[0]}"
    if name == "getitem":
        return f"{operands[0]}[{_index(params['index'])}]"
    options = [f"{key}={value}" for key, value in params.items() if value is not None and value is not False]
    output = "" if call.output is None else f"[{call.output}]"
    return f"{name}({', '.join(operands + options)}){output}"


def operand_names(call: Call, names: Sequence[str]) -> list[str]:
    """Names of the arguments; a constant is shown by its value, or by its shape if it is large."""
    return [
        show(arg) if parent == CONSTANT else names[parent] for arg, parent in zip(call.args, call.parents, strict=True)
    ]


def show(value: Any, digits: int = 6) -> str:
    """A scalar or small array on one line; of a large array the shape."""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array[()]:.{digits}g}" if array.dtype.kind == "f" else str(array[()])
    if array.size > 12:
        return f"array{array.shape}"
    text = np.array2string(array, formatter={"float_kind": lambda v: f"{v:.{digits}g}"}, separator=", ")
    return " ".join(text.split())


def _index(index: Any) -> str:
    if isinstance(index, tuple):
        return ", ".join(map(_index, index))
    if isinstance(index, slice):
        ends = ["" if end is None else str(end) for end in (index.start, index.stop)]
        return ":".join(ends) + ("" if index.step is None else f":{index.step}")
    return {"None": "None", "Ellipsis": "..."}.get(str(index), show(index))

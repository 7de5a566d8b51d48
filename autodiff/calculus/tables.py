"""Derivatives by hand, line by line: the tables of forward and reverse mode, and the paths of the total derivative."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autodiff import tree
from autodiff.calculus.computation_graph import Call, Graph, graph, operand_names, show
from autodiff.core import DerivativeError, zeros_like

MACRON = "\u0304"  # turns x into x-bar, the adjoint of x


class Table(NamedTuple):
    """Rows of values and text, which print as aligned columns."""

    header: tuple[str, ...]
    rows: list[tuple]

    def __str__(self) -> str:
        lines = [self.header, *(tuple(c if isinstance(c, str) else show(c) for c in row) for row in self.rows)]
        widths = [max(_width(line[i]) for line in lines) for i in range(len(self.header))]
        return "\n".join(
            "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def _width(text: str) -> int:
    return sum(not unicodedata.combining(letter) for letter in text)


def forward_table(f: Callable, *args: Any, direction: Sequence | None = None) -> Table:
    """The table of forward mode: each value with its tangent, computed side by side from the inputs on.

    `direction` gives the tangents of the arguments; without it the first argument has 1 and the others 0. The
    tangents are then the derivatives by the first argument.

    >>> print(forward_table(lambda x: np.log(x**2 + 1), 2.0))
    variable      value    rule      tangent
    x             2        seed      1
    u1 = x**2     4        2·x·x'    4
    u2 = u1 + 1   5        u1'       4
    u3 = log(u2)  1.60944  1/u2·u2'  0.8
    """
    g = graph(f, *args)
    if direction is None:
        first, *others = args
        direction = (tree.map_leaves(lambda leaf: zeros_like(leaf) + 1, first), *tree.map_leaves(zeros_like, others))
    seeds = tree.leaves_like(tuple(direction), tuple(args))
    tangents: list[Any] = [np.asarray(seed, float)[()] for seed in seeds]
    rows: list[tuple] = [(node.name, node.value, "seed", t) for node, t in zip(g.nodes, tangents, strict=False)]
    names = [node.name for node in g.nodes]
    for node in g.nodes[len(seeds) :]:
        assert node.call is not None
        terms, total = [], zeros_like(node.value)
        for position, parent in enumerate(node.call.parents):
            if parent >= 0:
                terms.append(_term(_symbol(node.call, position, node.name, names), f"{names[parent]}'"))
                total = total + np.tensordot(node.partial(position), tangents[parent], np.ndim(tangents[parent]))[()]
        tangents.append(total)
        rows.append((f"{node.name} = {node.formula}", node.value, _sum(terms), total))
    return Table(("variable", "value", "rule", "tangent"), rows)


def reverse_table(f: Callable, *args: Any) -> Table:
    """The table of reverse mode for a scalar function: each value's adjoint, from the output back to the inputs.

    The adjoint of a value sums over its successors: w̄_i = sum over j of w̄_j ∂w_j/∂w_i.

    >>> print(reverse_table(lambda x, y: y * np.sin(x + y), 0.0, 2.0))
    variable      value     rule        adjoint
    u3 = y * u2   1.81859   seed        1
    u2 = sin(u1)  0.909297  ū3·y        2
    u1 = x + y    2         ū2·cos(u1)  -0.832294
    y             2         ū1 + ū3·u2  0.0770038
    x             0         ū1          -0.832294
    """
    g = graph(f, *args)
    output = _single_output(g)
    names = [node.name for node in g.nodes]
    adjoints = [zeros_like(node.value) for node in g.nodes]
    adjoints[output] = np.ones(())[()]
    terms: list[list[str]] = [[] for _ in g.nodes]
    rows: list[tuple] = []
    for i in reversed(range(len(g.nodes))):
        node = g.nodes[i]
        label = f"{node.name} = {node.formula}" if node.formula else node.name
        rows.append((label, node.value, "seed" if i == output else _sum(terms[i][::-1]) or "0", adjoints[i]))
        for position, parent in enumerate(node.call.parents if node.call else []):
            if parent >= 0:
                assert node.call is not None
                terms[parent].append(_term(_symbol(node.call, position, node.name, names), _bar(node.name), after=True))
                share = np.tensordot(adjoints[i], node.partial(position), np.ndim(node.value))
                adjoints[parent] = adjoints[parent] + share[()]
    return Table(("variable", "value", "rule", "adjoint"), rows)


class Path(NamedTuple):
    """One way through the graph from an input to the output, and the local derivatives along it."""

    names: list[str]
    factors: list
    product: Any


class Paths(NamedTuple):
    """All paths of the total derivative; `total` is the sum of their products."""

    paths: list[Path]
    total: Any

    def __str__(self) -> str:
        rows: list[tuple] = []
        for path in self.paths:
            product = f" = {show(path.product)}" if len(path.factors) > 1 else ""
            rows.append((" → ".join(path.names), " · ".join(map(show, path.factors)) + product))
        count = f"sum over {len(self.paths)} path{'s' if len(self.paths) != 1 else ''}"
        return str(Table(("path", "product of local derivatives"), [*rows, (count, show(self.total))]))


def paths(f: Callable, *args: Any, argnum: int = 0, most: int = 1000) -> Paths:
    """The law of the total derivative: df/dx is the sum, over all paths from x to f, of the product along the path.

    With a single path this is the chain rule of one variable; where an intermediate value has two parents that both
    depend on x, that rule alone gives a wrong answer.

    >>> print(paths(lambda x: x + x**2, 3.0))
    path              product of local derivatives
    x → u2            1
    x → u1 → u2       6 · 1 = 6
    sum over 2 paths  7
    """
    g = graph(f, *args)
    start, output = _node_of_argument(g, args, argnum), _single_output(g)
    successors: dict[int, list[tuple[int, int]]] = {}
    for parent, child, position in g.edges():
        successors.setdefault(parent, []).append((child, position))
    found: list[Path] = []

    def walk(i, names, factors, product):
        if len(found) > most:
            raise DerivativeError(f"more than {most} paths; that their number explodes is why reverse mode exists")
        if i == output:
            found.append(Path(names, factors, product))
            return
        for child, position in successors.get(i, []):
            local = g.nodes[child].partial(position)
            ahead = local if product is None else np.tensordot(local, product, np.ndim(g.nodes[i].value))[()]
            walk(child, [*names, g.nodes[child].name], [*factors, local], ahead)

    walk(start, [g.nodes[start].name], [], None)
    found.sort(key=lambda path: len(path.names))
    total = sum(
        (path.product for path in found), start=np.zeros(np.shape(g.nodes[output].value) + np.shape(args[argnum]))
    )
    return Paths(found, total[()])


def _node_of_argument(g: Graph, args: Sequence, argnum: int) -> int:
    before = sum(len(tree.flatten(arg)[0]) for arg in args[:argnum])
    if len(tree.flatten(args[argnum])[0]) != 1:
        raise DerivativeError("paths starts from one array or scalar")
    return g.inputs[before]


def _single_output(g: Graph) -> int:
    if len(g.outputs) != 1:
        raise DerivativeError(
            f"a function with one output that depends on its arguments is needed; it has {len(g.outputs)}"
        )
    return g.outputs[0]


# -- local derivatives as text -----------------------------------------------------------------------------------------

# By primitive, the partial derivative by each argument; {0} and {1} are the arguments, {out} is the result.
_PARTIALS = {
    "add": ("1", "1"),
    "subtract": ("1", "-1"),
    "multiply": ("{1}", "{0}"),
    "divide": ("1/{1}", "-{0}/{1}²"),
    "power": ("{1}·{0}^({1}-1)", "{out}·log({0})"),
    "negative": ("-1",),
    "square": ("2·{0}",),
    "sqrt": ("1/(2·{out})",),
    "exp": ("{out}",),
    "log": ("1/{0}",),
    "sin": ("cos({0})",),
    "cos": ("-sin({0})",),
    "tanh": ("(1-{out}²)",),
}


def _symbol(call: Call, position: int, name: str, names: Sequence[str]) -> str:
    operands = operand_names(call, names)
    if call.primitive.name == "power" and position == 0 and call.parents[1] < 0 and np.ndim(call.args[1]) == 0:
        n = call.args[1]
        return f"{show(n)}·{operands[0]}" if n == 2 else f"{show(n)}·{operands[0]}^{show(n - 1)}"
    partials = _PARTIALS.get(call.primitive.name)
    if partials is None:
        return f"∂{name}/∂{operands[position]}"
    return partials[position].format(*operands, out=name)


def _term(factor: str, other: str, after: bool = False) -> str:
    """The product of a local derivative and a tangent, or of an adjoint and a local derivative."""
    if factor in ("1", "-1"):
        return factor[:-1] + other
    return f"{other}·{factor}" if after else f"{factor}·{other}"


def _sum(terms: Sequence[str]) -> str:
    return " + ".join(terms).replace("+ -", "- ")


def _bar(name: str) -> str:
    return unicodedata.normalize("NFC", name[0] + MACRON) + name[1:]

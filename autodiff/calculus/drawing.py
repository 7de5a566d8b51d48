"""Pictures of the computation graph: text for the terminal, DOT for Graphviz, and SVG that needs no program at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from html import escape

from autodiff.calculus.computation_graph import Graph, graph, show

FORMATS = ("text", "dot", "svg")


def draw(f: Callable, *args: object, form: str = "text") -> str:
    """The computation graph of f at `args` as a string: "text", "dot" or "svg".

    >>> import numpy as np
    >>> print(draw(lambda x, y: y * np.sin(x + y), 1.0, 2.0))
    x                    1
    y                    2
    u1 = x + y           3
    u2 = sin(u1)         0.14112
    u3 = y * u2          0.28224    output
    """
    if form not in FORMATS:
        raise ValueError(f"form is one of {', '.join(FORMATS)}, not {form!r}")
    return {"text": as_text, "dot": as_dot, "svg": as_svg}[form](graph(f, *args))


def as_text(g: Graph) -> str:
    """One line per value, in the order of computation."""
    lines = []
    for i, node in enumerate(g.nodes):
        left = f"{node.name} = {node.formula}" if node.formula else node.name
        lines.append(f"{left:<20} {show(node.value):<10}{' output' if i in g.outputs else ''}".rstrip())
    return "\n".join(lines)


def as_dot(g: Graph) -> str:
    """A digraph for Graphviz, drawn from left to right."""
    lines = ["digraph {", "  rankdir=LR;", '  node [shape=box, style="rounded,filled", fontname="Helvetica"];']
    for i, node in enumerate(g.nodes):
        label = f"{node.name} = {node.formula}" if node.formula else node.name
        text = f"{label}\\n{show(node.value, 4)}".replace('"', '\\"')
        lines.append(f'  n{i} [label="{text}", fillcolor="{_FILL[_kind(g, i)]}"];')
    lines += [f"  n{parent} -> n{child};" for parent, child, _ in g.edges()]
    return "\n".join([*lines, "}"])


def _kind(g: Graph, i: int) -> str:
    return "input" if i in g.inputs else "output" if i in g.outputs else "inner"


# -- SVG ---------------------------------------------------------------------------------------------------------------
# The layout is the classical one for layered graphs: every node one column to the right of its last parent, long edges
# broken by invisible nodes that keep a lane free for them, rows ordered so that neighbours are near each other.

_FILL = {"input": "#dbeafe", "inner": "#f8fafc", "output": "#dcfce7"}
_STROKE = {"input": "#3b82f6", "inner": "#94a3b8", "output": "#22c55e"}
_ROW, _GAP, _HEIGHT, _MARGIN = 64, 56, 44, 20


def as_svg(g: Graph) -> str:
    """A picture: inputs blue, at the left; outputs green, at the right; below each formula its value."""
    columns, hops = _layout(g)
    place: dict[int, tuple[float, float]] = {}
    width_of = {i: _width(g, i) for column in columns for i in column}
    tallest = max(map(len, columns))
    left = float(_MARGIN)
    for column in columns:
        width = max(width_of[i] for i in column)
        top = _MARGIN + (tallest - len(column)) * _ROW / 2
        for row, i in enumerate(column):
            place[i] = (left + width / 2, top + row * _ROW + _HEIGHT / 2)
        left += width + _GAP
    width, height = left - _GAP + _MARGIN, 2 * _MARGIN + (tallest - 1) * _ROW + _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        f' height="{height:.0f}" font-family="ui-monospace, Menlo, Consolas, monospace" text-anchor="middle">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#64748b"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    parts += [_curve([(*place[i], width_of[i]) for i in hop]) for hop in hops]
    parts += [_box(g, i, *place[i], width_of[i]) for i in range(len(g.nodes))]
    return "\n".join([*parts, "</svg>"])


def _layout(g: Graph) -> tuple[list[list[int]], list[list[int]]]:
    """Columns of node indices, with invisible nodes past the last one, and every edge as a chain of indices."""
    depth: dict[int, int] = {}
    for i, node in enumerate(g.nodes):
        depth[i] = 1 + max((depth[parent] for parent in node.parents), default=-1)
    hops = []
    for parent, child, _ in g.edges():
        hop = [parent]
        for level in range(depth[parent] + 1, depth[child]):
            hop.append(len(depth))
            depth[len(depth)] = level
        hops.append([*hop, child])
    columns = [[i for i in depth if depth[i] == level] for level in range(1 + max(depth.values()))]
    links = [link for hop in hops for link in itertools.pairwise(hop)]
    for sweep in range(8):  # to the right, to the left, ...: each node moves to the mean row of its neighbours
        rightwards = sweep % 2 == 0
        for column, before in zip(
            *((columns[1:], columns) if rightwards else (columns[-2::-1], columns[::-1])), strict=False
        ):
            row = {i: r for r, i in enumerate(before)}
            own = {i: r for r, i in enumerate(column)}

            def mean_row(i, row=row, own=own, rightwards=rightwards):
                rows = [row[a if rightwards else b] for a, b in links if (b if rightwards else a) == i]
                return (sum(rows) / len(rows) if rows else own[i], own[i])

            column.sort(key=mean_row)
    return columns, hops


def _width(g: Graph, i: int) -> float:
    if i >= len(g.nodes):
        return 0.0
    node = g.nodes[i]
    label = f"{node.name} = {node.formula}" if node.formula else node.name
    return max(48.0, 7.9 * max(len(label), len(show(node.value, 4))) + 18)


def _box(g: Graph, i: int, x: float, y: float, width: float) -> str:
    node, kind = g.nodes[i], _kind(g, i)
    label = f"{node.name} = {node.formula}" if node.formula else node.name
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="9"'
        f' fill="{_FILL[kind]}" stroke="{_STROKE[kind]}" stroke-width="1.5"/>'
        f'<text x="{x:.1f}" y="{y - 3:.1f}" font-size="13" fill="#0f172a">{escape(label)}</text>'
        f'<text x="{x:.1f}" y="{y + 14:.1f}" font-size="11" fill="#64748b">{escape(show(node.value, 4))}</text>'
    )


def _curve(chain: list[tuple[float, float, float]]) -> str:
    """A smooth line from the right side of the first box through the lanes to the left side of the last."""
    (x, y, width), *rest = chain
    x += width / 2
    d = f"M{x:.1f},{y:.1f}"
    for next_x, next_y, next_width in rest:
        end = next_x - next_width / 2
        middle = (x + end) / 2
        d += f" C{middle:.1f},{y:.1f} {middle:.1f},{next_y:.1f} {end:.1f},{next_y:.1f}"
        x, y = end, next_y
    return f'<path d="{d}" fill="none" stroke="#64748b" stroke-width="1.4" marker-end="url(#tip)"/>'

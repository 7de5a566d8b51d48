"""Draw which part of nerf_mini imports which, from the imports themselves: docs/pictures/architecture.svg.

    python scripts/draw_architecture.py            # write the picture
    python scripts/draw_architecture.py --check    # fail if it is out of date

A part is a package or a module right under nerf_mini, or autodiff. It stands one floor above the highest part that it
imports. An arrow that others imply is left out: where training imports models and models import ops, none is drawn from
training to ops. Plain Python, no dependencies.
"""

from __future__ import annotations

import argparse
import ast
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import combinations, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"

# Fill and line of each group, its name in the legend, and its parts with what they do.
GROUPS: dict[str, tuple[str, str, dict[str, str]]] = {
    "what people use": ("#eef1f6", "#64748b", {
        "cli": "the command line",
        "api": "import nerf_mini as nm",
        "benchmark": "how fast this machine is",
        "integrations": "other people's tools",
        "outputs": "pictures and videos of a run",
        "sweeps": "many runs from one file",
    }),
    "running": ("#fff3dc", "#c2841c", {
        "runs": "a run is a folder",
        "training": "loss, gradient, optimiser, steps",
        "runtime": "threads, compiling ahead",
        "pool": "tasks on other processes",
        "ranks": "one step on several processes",
    }),
    "the radiance field": ("#e4effc", "#3273c4", {
        "models": "region + sampler + field",
        "rendering": "samples become colour",
        "samplers": "where along a ray to look",
        "fields": "density and colour of a point",
    }),
    "the world": ("#e3f5ea", "#2f8f5b", {
        "scenes": "images, cameras, readers",
        "geometry": "cameras, lenses, poses, regions",
    }),
    "arithmetic": ("#f0e8fb", "#7c4dbd", {
        "ops": "operators, with references",
        "kernels": "Numba: arrays in, arrays out",
    }),
    "the ground": ("#f4f4f2", "#8a8a80", {
        "config": "settings and their limits",
        "io": "files, written atomically",
        "errors": "what users can mend",
    }),
    "autodiff": ("#fde8ec", "#c43c5c", {"autodiff": "derivatives of plain NumPy"}),
}  # fmt: skip
ALWAYS = {("training", "autodiff"): "differentiates"}  # worth an arrow even if others imply it
ATTEMPTS = 300  # orders of the parts on their floors to choose from

WIDTH, MARGIN, BOX, HEIGHT, FLOOR, GAP, LANE = 940, 36, 214, 50, 92, 26, 22
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

Graph = dict[str, set[str]]


def part_of(module: str) -> str | None:
    """The part that a module belongs to, "" for nerf_mini itself; None for other packages, and what is no part."""
    first, *rest = module.split(".")
    if first == "autodiff":
        return "autodiff"
    if first != "nerf_mini":
        return None
    return "" if not rest else None if rest[0].startswith("__") else rest[0]


def imports_of(file: Path, module: str) -> Iterator[str]:
    """The modules, or names in modules, that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*package, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def read_imports(root: Path = ROOT) -> Graph:
    """Each part, and the parts that it imports."""
    graph: Graph = {"autodiff": set()}
    found: list[tuple[str, str]] = []
    for file in sorted((root / "nerf_mini").rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts)
        part = part_of(module)
        if part:
            graph.setdefault(part, set())
            found += [(part, other) for other in map(part_of, imports_of(file, module)) if other is not None]
    for part, other in found:
        other = other or "api"  # whose names `import nerf_mini` offers
        if other in graph and other != part:
            graph[part].add(other)
    return graph


def floors(graph: Graph) -> dict[str, int]:
    """How high each part stands: 0 if it imports nothing."""
    heights: dict[str, int] = {}

    def height(part: str, below: tuple[str, ...] = ()) -> int:
        if part in below:
            raise SystemExit("a circle of imports: " + " -> ".join([*below[below.index(part) :], part]))
        if part not in heights:
            heights[part] = max((1 + height(other, (*below, part)) for other in sorted(graph[part])), default=0)
        return heights[part]

    for part in sorted(graph):
        height(part)
    return heights


def arrows(graph: Graph) -> list[tuple[str, str]]:
    """The imports that no others imply."""

    def reachable(part: str) -> set[str]:
        return set().union(*({other} | reachable(other) for other in graph[part])) if graph[part] else set()

    implied = {part: set().union(*(reachable(other) for other in graph[part])) for part in graph if graph[part]}
    return [
        (part, other)
        for part in sorted(graph)
        for other in sorted(graph[part])
        if other not in implied[part] or (part, other) in ALWAYS
    ]


@dataclass(eq=False)
class Node:
    """A part, or a place on a floor where an arrow passes; `x` is its middle."""

    name: str
    floor: int
    width: float
    x: float = 0.0
    above: list[Node] = field(default_factory=list, repr=False)
    below: list[Node] = field(default_factory=list, repr=False)


class Layout:
    """Parts on their floors, and arrows as chains of nodes from floor to floor."""

    def __init__(self, graph: Graph):
        heights = floors(graph)
        self.rows: list[list[Node]] = [[] for _ in range(max(heights.values()) + 1)]
        self.parts = {name: self._add(name, heights[name], BOX) for name in sorted(graph)}
        self.chains: list[list[Node]] = []
        for upper, lower in arrows(graph):
            between = range(heights[upper] - 1, heights[lower], -1)
            passing = [self._add(f"{upper}>{lower}", floor, LANE) for floor in between]
            self.chains.append([self.parts[upper], *passing, self.parts[lower]])
        widest = max(sum(node.width for node in row) + GAP * (len(row) - 1) for row in self.rows)
        self.width = max(WIDTH, round(widest) + 2 * MARGIN)
        self._arrange()

    def _add(self, name: str, floor: int, width: float) -> Node:
        node = Node(name, floor, width)
        self.rows[floor].append(node)
        return node

    def _arrange(self) -> None:
        """Choose the order on each floor with the fewest crossings and the shortest ways; then place the parts."""
        for chain in self.chains:
            for upper, lower in pairwise(chain):
                upper.below.append(lower)
                lower.above.append(upper)
        best, least = self.rows, (sys.maxsize, 0.0)
        for attempt in range(ATTEMPTS):
            self._order(random.Random(attempt))
            cost = self._crossings(), self._length()
            if cost < least:
                best, least = [list(row) for row in self.rows], cost
        self.rows = best
        for row in self.rows:
            self._spread(row)
        for _ in range(60):
            for row in self.rows:
                self._place(row, [self._wish(node, True, True) for node in row])
        nodes = [node for row in self.rows for node in row]
        left, right = min(n.x - n.width / 2 for n in nodes), max(n.x + n.width / 2 for n in nodes)
        for node in nodes:
            node.x += (self.width - left - right) / 2

    def _order(self, rng: random.Random) -> None:
        """Sort each floor by where its arrows come from and lead to, beginning with chance."""
        for row in self.rows:
            rng.shuffle(row)
            self._spread(row)
        for sweep in range(12):
            up = sweep % 2 == 0
            for row in reversed(self.rows) if up else self.rows:
                row.sort(key=lambda node: self._wish(node, up, not up))
                self._spread(row)

    def _crossings(self) -> int:
        """How many pairs of arrows cross."""
        count = 0
        for row in self.rows:
            for left, right in combinations(row, 2):
                count += sum(a.x > b.x for a in left.below for b in right.below)
        return count

    def _length(self) -> float:
        """How far arrows go sideways in all."""
        return sum(abs(node.x - other.x) for row in self.rows for node in row for other in node.below)

    def _wish(self, node: Node, up: bool, down: bool) -> float:
        ends = (node.above if up else []) + (node.below if down else [])
        return sum(other.x for other in ends) / len(ends) if ends else node.x

    def _spread(self, row: list[Node]) -> None:
        """Side by side, the row in the middle of the picture."""
        left = self.width / 2 - (sum(node.width for node in row) + GAP * (len(row) - 1)) / 2
        for node in row:
            node.x = left + node.width / 2
            left += node.width + GAP

    def _place(self, row: list[Node], wishes: list[float]) -> None:
        """As near to their wishes as the order and the distances between them allow."""
        xs = list(wishes)
        for _ in range(40):
            xs = [0.8 * x + 0.2 * wish for x, wish in zip(xs, wishes, strict=True)]
            for i in range(len(row) - 1):
                least = (row[i].width + row[i + 1].width) / 2 + GAP
                lack = least - (xs[i + 1] - xs[i])
                if lack > 0:
                    xs[i], xs[i + 1] = xs[i] - lack / 2, xs[i + 1] + lack / 2
        low = MARGIN
        for node, x in zip(row, xs, strict=True):
            node.x = max(x, low + node.width / 2)
            low = node.x + node.width / 2 + GAP
        high = self.width - MARGIN
        for node in reversed(row):
            node.x = min(node.x, high - node.width / 2)
            high = node.x - node.width / 2 - GAP


def group_of(part: str) -> tuple[str, str, str]:
    """Fill, line and role of a part."""
    for fill, line, parts in GROUPS.values():
        if part in parts:
            return fill, line, parts[part]
    raise SystemExit(f"{Path(__file__).name}: say in GROUPS what nerf_mini.{part} is for")


def curve(points: list[tuple[float, float]]) -> str:
    """A smooth path down through points."""
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = 0.5 * (y1 - y0)
        path += f" C{x0:.1f},{y0 + bend:.1f} {x1:.1f},{y1 - bend:.1f} {x1:.1f},{y1:.1f}"
    return path


def ports(layout: Layout) -> dict[tuple[int, str], float]:
    """Where each arrow leaves its part and reaches the next: spread along the sides, in the order of the other ends."""
    place: dict[tuple[int, str], float] = {}
    for part in layout.parts.values():
        for end, ends in (("out", [c for c in layout.chains if c[0] is part]),
                          ("in", [c for c in layout.chains if c[-1] is part])):  # fmt: skip
            ends.sort(key=lambda chain: (chain[1] if end == "out" else chain[-2]).x)
            step = min(34.0, (part.width - 40) / max(1, len(ends)))
            for i, chain in enumerate(ends):
                place[id(chain), end] = part.x + (i - (len(ends) - 1) / 2) * step
    return place


def svg(layout: Layout) -> str:
    """The picture."""
    top = len(layout.rows) - 1
    width, height = layout.width, 2 * MARGIN + top * FLOOR + HEIGHT + 46
    place = ports(layout)

    def y_of(node: Node) -> float:
        return MARGIN + (top - node.floor) * FLOOR

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="{FONT}" role="img" aria-label="Which part of nerf_mini imports which">',
        "<!-- made by scripts/draw_architecture.py -->",
        f'<rect width="{width}" height="{height}" rx="14" fill="#ffffff"/>',
    ]
    for chain in layout.chains:
        special = (chain[0].name, chain[-1].name) in ALWAYS
        color = group_of("autodiff")[1] if special else "#9aa3af"
        points = [(place[id(chain), "out"], y_of(chain[0]) + HEIGHT)]
        for node in chain[1:-1]:
            points += [(node.x, y_of(node)), (node.x, y_of(node) + HEIGHT)]
        x, y = place[id(chain), "in"], y_of(chain[-1])
        dash = ' stroke-dasharray="5 4"' if special else ""
        head = f"M{x - 4.5:.1f},{y - 8.5:.1f} L{x + 4.5:.1f},{y - 8.5:.1f} L{x:.1f},{y - 0.5:.1f} Z"
        lines.append(
            f'<path d="{curve([*points, (x, y - 7)])}" fill="none" stroke="{color}" stroke-width="1.6"{dash}/>'
            f'<path d="{head}" fill="{color}"/>'
        )
        if special and len(chain) > 2:
            label, at = ALWAYS[chain[0].name, chain[-1].name], chain[1]
            away = 1 if at.x > width / 2 else -1  # from the middle, where there is more
            lines.append(
                f'<text x="{at.x + 9 * away:.1f}" y="{y_of(at) + HEIGHT / 2 + 4}" font-size="12" font-style="italic"'
                f' text-anchor="{"start" if away > 0 else "end"}" fill="{color}">{label}</text>'
            )
    for part in layout.parts.values():
        fill, line, role = group_of(part.name)
        x, y = part.x - part.width / 2, y_of(part)
        lines.append(
            f'<rect x="{x:.1f}" y="{y}" width="{part.width}" height="{HEIGHT}" rx="8" fill="{fill}" stroke="{line}"'
            f' stroke-width="1.4"/><text x="{part.x:.1f}" y="{y + 21}" text-anchor="middle" font-size="15"'
            f' font-weight="600" fill="#1f2937">{escape(part.name)}</text><text x="{part.x:.1f}" y="{y + 39}"'
            f' text-anchor="middle" font-size="12" fill="#4b5563">{escape(role)}</text>'
        )
    return "\n".join([*lines, *legend(layout.parts, width / 2, height - MARGIN), "</svg>"]) + "\n"


def legend(parts: Iterable[str], middle: float, y: float) -> Iterator[str]:
    """One line: the colours and their names."""
    there = [(name, fill, line) for name, (fill, line, own) in GROUPS.items() if set(own) & set(parts)]
    widths = [30 + 7.0 * len(name) for name, *_ in there]
    x = middle - sum(widths) / 2
    for (name, fill, line), width in zip(there, widths, strict=True):
        yield (
            f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" rx="3" fill="{fill}" stroke="{line}"/>'
            f'<text x="{x + 18:.1f}" y="{y:.1f}" font-size="12" fill="#4b5563">{escape(name)}</text>'
        )
        x += width


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the picture is out of date")
    options = parser.parse_args(arguments)
    picture = svg(Layout(read_imports()))
    if options.check:
        current = PICTURE.read_text(encoding="utf-8") if PICTURE.exists() else ""
        if current != picture:
            print(f"{PICTURE.relative_to(ROOT)} is out of date: python scripts/draw_architecture.py")
            return 1
        return 0
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

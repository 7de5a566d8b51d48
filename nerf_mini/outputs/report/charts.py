"""Curves as SVG that needs no script: axes with ticks at 1, 2 and 5 times powers of ten, points that say their values.

Colours are classes of the page's style sheet, so that a chart follows the page into the dark and onto paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from nerf_mini.outputs.report.markup import Markup, joined, tag
from nerf_mini.outputs.report.wording import short
from nerf_mini.runs.evaluation import spread_indices

WIDTH, HEIGHT = 460, 250  # of a chart, in units of its own
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 18, 40  # margins for labels
MOST_POINTS = 240  # of a curve: two units apart
_MOST = 1e100  # values beyond are an accident, and would overflow
_SOFTLY = 0.04  # of an axis's length, left free beyond the values


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` along units from `start` to `end`, evenly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"an axis cannot go from {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic axis cannot begin at {self.low}")

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, log: bool = False) -> Axis:
        """An axis a little longer than the values need; those beyond all measure, and those that a logarithm lacks, do
        not count."""
        shown = [v for v in values if abs(v) <= _MOST and (v >= 1.0 / _MOST or not log)]
        low, high = (min(shown), max(shown)) if shown else (1.0, 2.0) if log else (0.0, 1.0)
        if log:
            span = max(math.log10(high) - math.log10(low), 0.1)
            return cls(low * 10 ** (-_SOFTLY * span), high * 10 ** (_SOFTLY * span), start, end, True)
        span = high - low if high > low else max(abs(high), 1.0) * 0.1
        return cls(low - _SOFTLY * span, high + _SOFTLY * span, start, end)

    def place(self, value: float) -> float:
        """Where a value is along the axis."""
        f = math.log10 if self.log else float
        share = (f(value) - f(self.low)) / (f(self.high) - f(self.low))
        return self.start + share * (self.end - self.start)

    def shows(self, value: float) -> bool:
        """Whether a value has a place on the axis."""
        return math.isfinite(value) and self.low <= value <= self.high

    def ticks(self, most: int = 6) -> list[float]:
        """At most n round values on the axis."""
        return log_ticks(self.low, self.high, most) if self.log else linear_ticks(self.low, self.high, most)


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """The multiples of a step between two values, at most `most`; the step is the least of 1, 2 and 5 times powers of
    ten that gives so few."""
    power = math.floor(math.log10((high - low) / most)) - 1
    for exponent in range(power, power + 4):
        for factor in (1, 2, 5):
            # multiples of whole numbers, so that 0.3 is not 0.30000000000000004
            step = factor * 10.0**exponent
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < most:
                return [_rounded(number * factor, exponent) for number in range(first, last + 1)]
    raise AssertionError("four powers of ten are enough")


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten between two values, at most `most` of them, with 2 and 5 times these where there is room; round
    values of a linear axis where not even two of them lie between."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 5), (1,)):
        found = [_rounded(factor, power) for power in range(first, last + 1) for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) <= most:
            return found if len(found) > 1 else linear_ticks(low, high, most)
    stride = math.ceil(len(found) / most)
    return found[::stride]


def _rounded(factor: int, exponent: int) -> float:
    """factor times a power of ten, to the last bit."""
    return float(f"{factor}e{exponent}")


@dataclass(frozen=True)
class Series:
    """What a chart shows: x and y of equal length.

    look: a line; points; or a level, across the chart at its y. style: a class of the style sheet. says: the tooltip of
    a point, from its index.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    look: Literal["line", "points", "level"] = "line"
    style: str = "a"
    says: Callable[[int], str] | None = None


def chart(title: str, across: str, up: str, series: Sequence[Series], log: bool = False) -> Markup:
    """An SVG of some series; `across` and `up` name the axes with their units, `log` is for the latter."""
    x = Axis.around([v for one in series for v in one.x], LEFT, WIDTH - RIGHT)
    y = Axis.around([v for one in series for v in one.y], HEIGHT - BOTTOM, TOP, log)
    drawn = [_drawn(one, x, y) for one in series]
    words = f"{title}: {', '.join(one.name for one in series)}"
    return tag(
        "svg", tag("title", words), _grid(x, y), drawn, _labels(x, y, across, up),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart",
    )  # fmt: skip


def _grid(x: Axis, y: Axis) -> Markup:
    lines = [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_at(y, v), y2=_at(y, v), class_="grid") for v in y.ticks()]
    ends = [
        tag("line", x1=_at(x, v), x2=_at(x, v), y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM + 4, class_="tick")
        for v in x.ticks()
    ]
    floor = HEIGHT - BOTTOM
    return joined(lines, ends, tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="axis"))


def _labels(x: Axis, y: Axis, across: str, up: str) -> Markup:
    columns = [tag("text", short(v), x=_at(x, v), y=HEIGHT - BOTTOM + 18, class_="middle") for v in x.ticks()]
    rows = [tag("text", short(v), x=LEFT - 7, y=_at(y, v), dy="0.32em", class_="end") for v in y.ticks()]
    names = (
        tag("text", across, x=WIDTH - RIGHT, y=HEIGHT - 3, class_="end name"),
        tag("text", up, x=LEFT - 7, y=TOP - 3, class_="end name"),
    )
    return joined(columns, rows, names)


def _drawn(series: Series, x: Axis, y: Axis) -> Markup:
    places = [(i, a, b) for i, (a, b) in enumerate(zip(series.x, series.y, strict=True)) if x.shows(a) and y.shows(b)]
    if series.look == "level":
        return joined(
            tag(
                "line", _tooltip(series, i), x1=LEFT, x2=WIDTH - RIGHT, y1=_at(y, b), y2=_at(y, b),
                class_=f"level {series.style}",
            )
            for i, _, b in places
        )  # fmt: skip
    kept = [places[i] for i in spread_indices(len(places), MOST_POINTS)]
    points = [(_at(x, a), _at(y, b)) for _, a, b in kept]
    line = " ".join(f"{a},{b}" for a, b in points)
    # a line's points are not seen, but answer to the pointer
    kind, radius = ("dot", 3.2) if series.look == "points" else ("hover", 5)
    dots = [
        tag("circle", _tooltip(series, i), cx=a, cy=b, r=radius, class_=f"{kind} {series.style}")
        for (i, _, _), (a, b) in zip(kept, points, strict=True)
        if kind == "dot" or series.says is not None
    ]
    curve = tag("polyline", points=line, class_=f"curve {series.style}") if series.look == "line" and line else None
    return joined(curve, dots)


def _tooltip(series: Series, index: int) -> Markup | None:
    return None if series.says is None else tag("title", series.says(index))


def _at(axis: Axis, value: float) -> str:
    """Where a value is, to a tenth of a unit."""
    return f"{axis.place(value):.1f}".removesuffix(".0")

"""Charts: values are where the axes say, ticks are round, and the SVG holds what was asked for."""

import math
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.outputs.report import charts
from nerf_mini.outputs.report.charts import Axis, Series, chart, linear_ticks, log_ticks
from nerf_mini.runs.evaluation import spread_indices

finite = st.floats(-1e9, 1e9, allow_nan=False)
positive = st.floats(1e-9, 1e9)


def mantissa(value: float) -> float:
    """What stands before the power of ten."""
    return float(f"{value:e}".partition("e")[0])


def test_an_axis_is_linear_or_logarithmic():
    axis = Axis(0.0, 10.0, 100.0, 300.0)
    assert [axis.place(v) for v in (0, 2.5, 10)] == [100, 150, 300]
    falling = Axis(0.0, 1.0, 200.0, 0.0)
    assert falling.place(0.25) == 150
    log = Axis(1e-4, 1.0, 0.0, 400.0, log=True)
    assert [log.place(10.0**-n) for n in (4, 3, 0)] == pytest.approx([0, 100, 400])
    for low, high, is_log in ((1.0, 1.0, False), (0.0, 1.0, True), (math.nan, 1.0, False), (0.0, math.inf, False)):
        with pytest.raises(ValueError, match="axis"):
            Axis(low, high, 0.0, 1.0, is_log)


@given(st.lists(finite, max_size=5), st.booleans())
def test_an_axis_has_room_for_its_values(values, log):
    """Whatever they are: a file may say anything."""
    axis = Axis.around([*values, math.nan, math.inf, 1e308], 0.0, 100.0, log)
    assert len(axis.ticks()) <= 6
    for value in values:
        if value > 1e-99 or not log:
            assert axis.shows(value) and 0 <= axis.place(value) <= 100


@given(finite, st.floats(1e-3, 1e9), st.integers(2, 9))
def test_linear_ticks_are_few_even_and_round(low, span, most):
    high = low + span
    ticks = linear_ticks(low, high, most)
    assert 1 <= len(ticks) <= most
    assert all(low - 1e-6 * span <= tick <= high + 1e-6 * span for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    for step in steps:
        rounding = 4e-16 * max(abs(low), abs(high))
        assert step == pytest.approx(steps[0], rel=1e-9, abs=rounding)
        assert min(abs(mantissa(step) - m) for m in (1, 2, 5, 10)) < 1e-9 + 20 * rounding / step


@given(positive, st.floats(1.3, 1e12))
def test_logarithmic_ticks_are_1_2_or_5_times_powers_of_ten(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert len(ticks) <= 6 and ticks == sorted(ticks)
    assert all(low * (1 - 1e-9) <= tick <= low * ratio * (1 + 1e-9) for tick in ticks)
    if ratio > 10:
        assert len(ticks) > 1 and all(mantissa(tick) in (1, 2, 5) for tick in ticks)


def test_ticks_of_known_ranges():
    assert linear_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert linear_ticks(16.9, 38.2) == [20, 25, 30, 35]
    assert linear_ticks(-0.05, 0.2) == [-0.05, 0, 0.05, 0.1, 0.15, 0.2]
    assert log_ticks(9e-5, 7e-3) == [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3]
    assert log_ticks(1e-6, 1.0) == [1e-6, 1e-4, 1e-2, 1]


def points_of(svg: str) -> list[tuple[float, float]]:
    (line,) = re.findall(r'<polyline points="([^"]*)"', svg)
    return [tuple(map(float, pair.split(","))) for pair in line.split()]


def test_points_are_where_the_axes_say():
    x, y = [0.0, 50.0, 100.0], [10.0, 30.0, 20.0]
    svg = chart("PSNR", "steps", "dB", [Series("training", x, y, says=lambda i: f"step {x[i]:.0f}")])
    left, right = charts.LEFT, charts.WIDTH - charts.RIGHT
    top, bottom = charts.TOP, charts.HEIGHT - charts.BOTTOM
    axes = Axis.around(x, left, right), Axis.around(y, bottom, top)
    wanted = [(axes[0].place(a), axes[1].place(b)) for a, b in zip(x, y, strict=True)]
    assert points_of(svg) == [pytest.approx(pair, abs=0.051) for pair in wanted]
    assert left < wanted[0][0] < wanted[2][0] < right and top < wanted[1][1] < wanted[0][1] < bottom
    circles = [node for node in ElementTree.fromstring(svg) if node.tag == "circle"]
    assert [node.find("title").text for node in circles] == ["step 0", "step 50", "step 100"]
    assert [float(node.get("cx")) for node in circles] == [pytest.approx(a, abs=0.051) for a, _ in wanted]


def test_what_is_not_finite_is_not_drawn_and_names_are_escaped():
    y = [1.0, math.nan, -3.0, math.inf, 0.1]
    svg = chart('<b>"', "x", "y", [Series("a & b", range(5), y, says=lambda i: "<i>")], log=True)
    ElementTree.fromstring(svg)
    assert len(points_of(svg)) == 2 and "nan" not in svg and "<b>" not in svg and "<i>" not in svg
    empty = chart("nothing", "x", "y", [Series("none", [], [])])
    assert "polyline" not in empty and ElementTree.fromstring(empty).get("viewBox")


def test_levels_cross_the_chart_and_long_curves_are_thinned():
    svg = chart("t", "x", "y", [Series("line", range(5000), range(5000)), Series("end", [10], [7], "level")])
    assert len(points_of(svg)) == charts.MOST_POINTS
    assert spread_indices(3, 9) == [0, 1, 2] and not spread_indices(0, 9)
    assert spread_indices(1000, 4) == [0, 333, 666, 999]
    level = next(node for node in ElementTree.fromstring(svg) if node.get("class") == "level a")
    assert (float(level.get("x1")), float(level.get("x2"))) == (charts.LEFT, charts.WIDTH - charts.RIGHT)

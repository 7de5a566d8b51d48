"""The curves of a run, or of two in the same charts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nerf_mini.outputs.report.charts import Series, chart
from nerf_mini.outputs.report.facts import Facts
from nerf_mini.outputs.report.markup import Markup, tag
from nerf_mini.outputs.report.sections import section
from nerf_mini.outputs.report.wording import count, duration, figure, short, time_unit
from nerf_mini.runs.history import History

STYLES = ("a", "b")  # of the first and of the second run


def curve_section(runs: Sequence[tuple[Facts, History]]) -> Markup | None:
    """PSNR over steps and over time, loss and learning rate, of one run or of two in the same charts."""
    if not any(history.steps for _, history in runs):
        return None
    unit, seconds = time_unit(max((e.seconds for _, history in runs for e in history.steps), default=0.0))
    styles = [("a", "b")] if len(runs) == 1 else [(style, style) for style in STYLES]  # of rays, and of views
    over_steps = [one for run, style in zip(runs, styles, strict=True) for one in _psnr_series(*run, style)]
    over_time = [one for run, style in zip(runs, styles, strict=True) for one in _psnr_series(*run, style, seconds)]
    loss = [_step_series("loss", "loss", history, STYLES[i]) for i, (_, history) in enumerate(runs)]
    rate = [_step_series("learning rate", "learning_rate", history, STYLES[i]) for i, (_, history) in enumerate(runs)]
    charts = [
        ("PSNR over steps", chart("PSNR over steps", "steps", "dB", over_steps)),
        ("PSNR over time", chart("PSNR over time", unit, "dB", over_time)),
        ("Loss", chart("Loss", "steps", "", loss, log=True)),
        ("Learning rate", chart("Learning rate", "steps", "", rate, log=True)),
    ]
    figures = [tag("figure", tag("figcaption", title), drawn) for title, drawn in charts]
    return section("Curves", _legend(runs), tag("div", figures, class_="charts"))


def _legend(runs: Sequence[tuple[Facts, History]]) -> Markup:
    """What the looks of curves mean."""
    entries = []
    for (facts, history), style in zip(runs, STYLES, strict=False):
        whose = f"{facts.name}: " if len(runs) > 1 else ""
        other = style if len(runs) > 1 else "b"
        entries.append(tag("span", f"{whose}training rays", style=f"--c: var(--{style})"))
        if history.validations:
            entries.append(tag("span", f"{whose}one held-out view", style=f"--c: var(--{other})", class_="point"))
        if facts.psnr is not None:
            entries.append(tag("span", f"{whose}test views", style=f"--c: var(--{other})", class_="dashed"))
    return tag("div", entries, class_="legend")


def _psnr_series(facts: Facts, history: History, style: tuple[str, str], unit: float | None = None) -> list[Series]:
    """Training, validation and test of a run, over steps or over units of that many seconds."""
    steps, views, (own, other) = history.steps, history.validations, style
    x = [e.step if unit is None else e.seconds / unit for e in steps]
    at = [v.step if unit is None else seconds_at(v.step, history) / unit for v in views]

    def of_step(index: int) -> str:
        entry = steps[index]
        return f"{facts.name}, step {count(entry.step)}, {duration(entry.seconds)}: {figure(entry.psnr)} dB"

    def of_view(index: int) -> str:
        entry = views[index]
        return f"{facts.name}, step {count(entry.step)}, view {entry.view}: {figure(entry.validation_psnr)} dB"

    found = [
        Series("training rays", x, [e.psnr for e in steps], "line", own, of_step),
        Series("one held-out view", at, [v.validation_psnr for v in views], "points", other, of_view),
    ]
    if facts.psnr is not None and x:
        says = f"{facts.name}, test views: {figure(facts.psnr)} dB"
        found.append(Series("test views", x[-1:], [facts.psnr], "level", other, lambda _: says))
    return found


def seconds_at(step: int, history: History) -> float:
    """When a step was taken, between those that the run has logged."""
    before = [(0, 0.0), *((e.step, e.seconds) for e in history.steps)]
    for (first, start), (last, end) in pairwise(before):
        if first <= step <= last and last > first:
            return start + (end - start) * (step - first) / (last - first)
    return before[-1][1]


def _step_series(name: str, key: str, history: History, style: str) -> Series:
    values = [getattr(entry, key) for entry in history.steps]

    def says(index: int) -> str:
        return f"step {count(history.steps[index].step)}: {name} {short(values[index])}"

    return Series(name, [e.step for e in history.steps], values, "line", style, says)

"""The parts of a page about a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nerf_mini.outputs.report.facts import Facts, SplitFacts
from nerf_mini.outputs.report.machine import Machine
from nerf_mini.outputs.report.markup import Content, Markup, joined, tag
from nerf_mini.outputs.report.wording import count, counted, duration, figure, setting
from nerf_mini.runs.records import Evaluation, ViewScore

FOLDED_ROWS = 25  # of a table that is longer, the rest is folded away
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


def section(title: str, *content: Content, caption: str | None = None) -> Markup:
    """A heading, perhaps a line below it, and what follows."""
    return tag("section", tag("h2", title), None if caption is None else tag("p", caption, class_="caption"), *content)


def views_line(splits: Mapping[str, SplitFacts]) -> str:
    """60 training, 6 validation and 12 test views of 100 × 100."""
    counts = [f"{count(split.views)} {SPLIT_NAMES[name]}" for name, split in splits.items()]
    words = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    low, high = (
        f"{edge(s.width[i] for s in splits.values())} × {edge(s.height[i] for s in splits.values())}"
        for i, edge in ((0, min), (1, max))
    )
    return f"{words} views of {low if low == high else f'{low} to {high}'}"


# -- facts -------------------------------------------------------------------------------------------------------------


def about(facts: Facts) -> Markup:
    """The facts."""
    rows = [row for row in fact_rows(facts) if row[1] is not None]
    return section("The run", tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in rows], class_="facts"))


def fact_rows(facts: Facts) -> list[tuple[str, Content]]:
    """Names and values; None for what is not known."""
    scores = facts.scores
    changed = f", {counted(len(facts.changed), 'setting')} changed" if facts.changed else ""
    trained = None if facts.trained_on is None else machine_line(facts.trained_on)
    here = machine_line(facts.made_on)
    return [
        ("Method", f"{facts.method}, preset {facts.preset}{changed}"),
        ("Data", "made from arrays" if facts.data is None else facts.data),
        ("Views", views_line(facts.splits)),
        ("Space", f"{facts.space}; {count(facts.parameters)} values learnt"),
        ("Training", f"{counted(facts.step, 'step')} in {duration(facts.seconds)}, seed {facts.settings['seed']}"),
        ("Test", None if scores is None else score_line(scores)),
        ("Trained on", trained),
        ("Report made on", None if trained == here else here),
        ("Versions", versions_line(facts.trained_on or facts.made_on)),
        ("Fingerprint", tag("code", facts.fingerprint)),
        ("Repeat with", None if facts.command is None else tag("pre", facts.command)),
    ]


def score_line(scores: Evaluation) -> str:
    """Scores, and how they were taken."""
    similarity = "" if math.isnan(scores.ssim) else f", SSIM {figure(scores.ssim, 4)}"
    views, seconds = counted(len(scores.views), "view"), duration(scores.seconds_per_view)
    colours = f"{figure(scores.cc_psnr)} dB with colours corrected"
    return f"PSNR {figure(scores.psnr)} dB{similarity}, mean of {views}; {colours}; {seconds} a view"


def machine_line(machine: Machine) -> str:
    """A machine in words."""
    factors = "bfloat16" if machine.bfloat16 else "no bfloat16"
    return f"{machine.cpu}, {counted(machine.threads, 'thread')}, {factors}, {machine.system}"


def versions_line(machine: Machine) -> str:
    """The versions of what ran."""
    return f"nerf-mini {machine.nerf_mini}, Python {machine.python}, NumPy {machine.numpy}, Numba {machine.numba}"


# -- tables ------------------------------------------------------------------------------------------------------------


def score_table(facts: Facts) -> Markup | None:
    """All views that were scored, the worst first."""
    if facts.scores is None:
        return None
    ranked = sorted(facts.scores.views, key=lambda view: view.psnr)
    finite = [view.psnr for view in ranked if math.isfinite(view.psnr)]
    top = max(finite, default=1.0)
    rows = [_score_row(view, top) for view in ranked]
    names = ("View", "PSNR, dB", "SSIM", "Mean error", "")
    return section("Scores", folded_table(names, rows), caption="Every view that was scored, the worst first.")


def _score_row(view: ViewScore, top: float) -> Markup:
    share = 100.0 * min(max(view.psnr / top, 0.0), 1.0) if top > 0 and math.isfinite(view.psnr) else 100.0
    bar = tag("td", tag("i", style=f"--w: {share:.1f}%"), class_="bar")
    return tag(
        "tr", tag("td", view.name), number(figure(view.psnr)), number(figure(view.ssim, 4)),
        number(figure(view.mean_error, 4)), bar,
    )  # fmt: skip


def number(text: str, style: str = "") -> Markup:
    """A cell of a table with a number."""
    return tag("td", text, class_=f"n {style}".strip())


def table(names: Sequence[str], rows: Sequence[Markup]) -> Markup:
    """A table; the first column is text, the others are numbers."""
    heads = [tag("th", name, scope="col", class_="n" if i and name else None) for i, name in enumerate(names)]
    return tag("div", tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows)), class_="scroll")


def folded_table(names: Sequence[str], rows: Sequence[Markup]) -> Markup:
    """A table, of which only the first rows are seen where it is long."""
    first = table(names, rows[:FOLDED_ROWS])
    if len(rows) <= FOLDED_ROWS:
        return first
    more = tag("summary", f"The other {len(rows) - FOLDED_ROWS} views")
    return joined(first, tag("details", more, table(names, rows[FOLDED_ROWS:])))


def cameras(drawing: str) -> Markup:
    """The drawing of the cameras."""
    return section("Cameras", tag("img", src=drawing, alt="cameras from above and from the side", class_="drawing"))


def settings(facts: Facts) -> Markup:
    """Settings that differ from the preset, and all of them."""
    changed = [
        tag("tr", tag("td", tag("code", c.name)), number(setting(c.value)), number(setting(c.preset)))
        for c in facts.changed
    ]
    names = "Setting", "This run", f"Preset {facts.preset}"
    shown = table(names, changed) if changed else None
    caption = f"Those that differ from the preset {facts.preset}, to which the run is nearest."
    every = [tag("tr", tag("td", tag("code", name)), number(setting(value))) for name, value in facts.settings.items()]
    folded = tag("details", tag("summary", f"All {len(every)} settings"), table(("Setting", "Value"), every))
    same = f"Those of the preset {facts.preset}, but for the number of steps."
    return section("Settings", shown, folded, caption=caption if changed else same)

"""Two runs of the same data side by side: one page, the same slider."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nerf_mini.outputs.report import curves, head, sections, views
from nerf_mini.outputs.report.album import ShownView
from nerf_mini.outputs.report.doubts import Doubt
from nerf_mini.outputs.report.facts import Facts
from nerf_mini.outputs.report.markup import Markup, tag
from nerf_mini.outputs.report.page import RunReport, document
from nerf_mini.outputs.report.pictures import WORST_SHOWN
from nerf_mini.outputs.report.wording import count, duration, figure, setting, signed
from nerf_mini.runs.records import ViewScore


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    report: RunReport

    @property
    def facts(self) -> Facts:
        """What is said of it."""
        return self.report.facts

    @property
    def name(self) -> str:
        """What it is called."""
        return self.facts.name

    def called(self, name: str) -> Side:
        """The same under another name."""
        return Side(replace(self.report, facts=replace(self.facts, name=name)))

    def score(self, name: str) -> ViewScore:
        """That of a view."""
        return {view.name: view for view in (self.facts.scores.views if self.facts.scores else ())}[name]


def comparison_page(left: Side, right: Side) -> bytes:
    """The page of two runs."""
    title = f"{left.name} and {right.name}"
    return document(
        f"{title} – nerf-mini",
        tag("p", "nerf-mini report", class_="eyebrow"),
        tag("h1", tag("span", left.name, class_="a"), " and ", tag("span", right.name, class_="b")),
        head.doubt_list(_doubts(left, right)),
        _figures(left, right),
        curves.curve_section([(side.facts, side.report.history) for side in (left, right)]),
        _views(left, right),
        _scores(left, right),
        _settings(left.facts, right.facts),
        _runs(left.facts, right.facts),
    )


def _doubts(left: Side, right: Side) -> list[Doubt]:
    """Those of each run, once where they are the same, and what keeps the two from being compared."""
    found = []
    sizes = [side.facts.splits.get("test", side.facts.splits["train"]) for side in (left, right)]
    if sizes[0] != sizes[1]:
        text = "The pictures of the two runs differ in size, and so their scores are of different pixels."
        found.append(Doubt("warning", text))
    behind = left.facts.behind, right.facts.behind
    if None not in behind and behind[0] != behind[1]:
        found.append(Doubt("warning", "The runs have different backgrounds, and so different truths."))
    if left.facts.fingerprint == right.facts.fingerprint:
        found.append(Doubt("note", "The two runs are the same to the bit."))
    own = [{doubt.text: doubt for doubt in side.report.doubts} for side in (left, right)]
    found += [doubt for text, doubt in own[0].items() if text in own[1]]
    for side, mine, others in ((left, own[0], own[1]), (right, own[1], own[0])):
        found += [Doubt(d.severity, f"{side.name}: {text}") for text, d in mine.items() if text not in others]
    return sorted(found, key=lambda doubt: doubt.severity != "warning")


def _figures(left: Side, right: Side) -> Markup:
    """The first figures, and by how much they differ."""
    a, b = left.facts, right.facts
    seconds = [None if facts.scores is None else facts.scores.seconds_per_view for facts in (a, b)]
    rows = [
        _row("PSNR, dB", figure(a.psnr), figure(b.psnr), _difference(a.psnr, b.psnr), 2),
        _row("SSIM", figure(a.ssim, 4), figure(b.ssim, 4), _difference(a.ssim, b.ssim), 4),
        _row("Training", duration(a.seconds), duration(b.seconds), None),
        _row("Steps", count(a.step), count(b.step), None),
        _row("Per view", duration(seconds[0]), duration(seconds[1]), None),
        _row("Values learnt", count(a.parameters), count(b.parameters), None),
    ]
    views = 0 if a.scores is None else len(a.scores.views)
    caption = f"Scores are means of the {views} test views that both have." if views else None
    return sections.section("Figures", sections.table(("", left.name, right.name, "Difference"), rows), caption=caption)


def _difference(first: float | None, second: float | None) -> float | None:
    """How much greater the second is; None where that means nothing."""
    if first is None or second is None or not (math.isfinite(first) and math.isfinite(second)):
        return None
    return second - first


def _row(name: str, first: str, second: str, difference: float | None, digits: int = 2) -> Markup:
    """A line of a table; the better of two values stands out where greater is better."""
    better = ["", ""] if not difference else (["", "better"] if difference > 0 else ["better", ""])
    change = "" if difference is None else signed(difference, digits)
    style = "" if not difference else "up" if difference > 0 else "down"
    cells = sections.number(first, better[0]), sections.number(second, better[1]), sections.number(change, style)
    return tag("tr", tag("td", name), *cells)


def _views(left: Side, right: Side) -> Markup | None:
    """Both renderings under a slider, the truth, and both errors."""
    others = {view.index: view for view in right.report.views}
    pairs = [(view, others[view.index]) for view in left.report.views if view.index in others]
    if not pairs:
        return None
    blocks = [_view_block(one, other, (left.name, right.name)) for one, other in pairs]
    caption = f"Error is the mean absolute difference of the channels from the truth; white is {WORST_SHOWN:g}."
    return sections.section("Held-out views", blocks, caption=caption)


def _view_block(one: ShownView, other: ShownView, names: tuple[str, str]) -> Markup:
    both = views.slider(one, one.pictures.rendering, other.pictures.rendering, names)
    panels = [both]
    if one.pictures.truth is not None:
        panels.append(views.panel(views.picture(one.pictures.truth, f"truth of {one.name}", one), "truth"))
    for view, name in ((one, names[0]), (other, names[1])):
        if view.pictures.error is not None:
            image = views.picture(view.pictures.error, f"error of {name} in {view.name}", view)
            panels.append(views.panel(image, f"{name}: {views.error_caption(view)}"))
    scores = None
    if one.score is not None and other.score is not None:
        change = signed(_difference(one.score.psnr, other.score.psnr))
        scores = tag("span", f"{figure(one.score.psnr)} and {figure(other.score.psnr)} dB ({change})")
    style = "panels four" if len(panels) == 4 else "panels two"
    title = tag("header", tag("h3", one.name), scores)
    return tag("article", title, tag("div", panels, class_=style), class_="view")


def _scores(left: Side, right: Side) -> Markup | None:
    """PSNR of each view in both, from where the second loses most to where it wins most."""
    if left.facts.scores is None:
        return None
    names = [view.name for view in left.facts.scores.views]
    values = [(name, left.score(name).psnr, right.score(name).psnr) for name in names]
    values.sort(key=lambda row: _difference(row[1], row[2]) or 0.0)
    rows = [_row(name, figure(a), figure(b), _difference(a, b)) for name, a, b in values]
    heads = ("View", f"{left.name}, dB", f"{right.name}, dB", "Difference")
    return sections.section("Scores", sections.folded_table(heads, rows))


def _settings(left: Facts, right: Facts) -> Markup:
    """The settings in which the runs differ."""
    names = list(dict.fromkeys([*left.settings, *right.settings]))
    changed = [name for name in names if _told(left, name) != _told(right, name)]
    rows = [
        tag("tr", tag("td", tag("code", n)), sections.number(_told(left, n)), sections.number(_told(right, n)))
        for n in changed
    ]
    if not rows:
        return sections.section("Settings", tag("p", "The settings are the same."))
    return sections.section("Settings that differ", sections.table(("Setting", left.name, right.name), rows))


def _told(facts: Facts, name: str) -> str:
    return setting(facts.settings[name]) if name in facts.settings else "–"


def _runs(left: Facts, right: Facts) -> Markup:
    """The facts of both."""
    other = dict(sections.fact_rows(right))
    rows: list[tuple[str, Sequence]] = [(name, (value, other.get(name))) for name, value in sections.fact_rows(left)]
    shown = [tag("tr", tag("td", name), [tag("td", value) for value in values]) for name, values in rows if any(values)]
    heads = tag("tr", [tag("th", text, scope="col") for text in ("", left.name, right.name)])
    both = tag("table", tag("thead", heads), tag("tbody", shown), class_="pairs")
    return sections.section("The runs", tag("div", both, class_="scroll"))

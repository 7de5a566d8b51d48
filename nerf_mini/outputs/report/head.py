"""The top of a page about a run: its name, its figures, a picture, and what to know before one believes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nerf_mini.outputs.report.album import ShownView
from nerf_mini.outputs.report.doubts import Doubt
from nerf_mini.outputs.report.facts import Facts
from nerf_mini.outputs.report.markup import Markup, tag
from nerf_mini.outputs.report.sections import views_line
from nerf_mini.outputs.report.views import picture
from nerf_mini.outputs.report.wording import count, counted, duration, figure


def head_of(facts: Facts, views: Sequence[ShownView]) -> Markup:
    """Name, figures, and a picture."""
    shown = _typical(views)
    name = tag("p", "nerf-mini report", class_="eyebrow"), tag("h1", facts.name), tag("p", lead(facts), class_="lead")
    figures = tag("dl", [_figure_of(*each) for each in headline(facts)], class_="figures")
    image = None if shown is None else picture(shown.pictures.rendering, f"rendering of {shown.name}", shown)
    return tag("header", tag("div", name, figures), image, class_="top" if shown else "top bare")


def headline(facts: Facts) -> list[tuple[str, str, str]]:
    """The first line: value, unit and name of each figure."""
    scores = facts.scores
    found = []
    if scores is not None:
        views = counted(len(scores.views), "test view")
        found += [(figure(facts.psnr), "dB", f"PSNR, {views}"), (figure(facts.ssim, 3), "", "SSIM")]
    found += [(*_split_unit(duration(facts.seconds)), "training"), (count(facts.step), "", "steps")]
    if scores is not None:
        found.append((*_split_unit(duration(scores.seconds_per_view)), "per view"))
    return found


def _split_unit(text: str) -> tuple[str, str]:
    """A duration of one unit as value and unit; of two, as it is."""
    parts = text.split(" ")
    return (parts[0], parts[1]) if len(parts) == 2 else (text, "")


def _figure_of(value: str, unit: str, name: str) -> Markup:
    first = name.startswith("PSNR")
    shown = tag("dd", value, tag("small", unit) if unit else None)
    return tag("div", tag("dt", name), shown, class_="first" if first else None)


def lead(facts: Facts) -> str:
    """In a line: method, data, views."""
    return f"{facts.method} on {'arrays' if facts.data is None else facts.data}: {views_line(facts.splits)}"


def _typical(views: Sequence[ShownView]) -> ShownView | None:
    """The view in the middle by its PSNR."""
    ranked = sorted(views, key=lambda view: math.inf if view.score is None else view.score.psnr)
    return ranked[len(ranked) // 2] if ranked else None


def doubt_list(doubts: Sequence[Doubt]) -> Markup | None:
    """What to know before one believes the figures."""
    words = {"warning": "Warning", "note": "Note"}
    items = [tag("li", tag("b", words[d.severity]), d.text, class_=d.severity) for d in doubts]
    return tag("ul", items, class_="doubts") if items else None

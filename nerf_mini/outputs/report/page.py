"""The report of one run, and the shell that all pages share."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from string import Template

from nerf_mini import __version__
from nerf_mini.outputs.report import curves, head, sections, views
from nerf_mini.outputs.report.album import ShownView
from nerf_mini.outputs.report.doubts import Doubt
from nerf_mini.outputs.report.facts import Facts
from nerf_mini.outputs.report.markup import Markup, joined, tag
from nerf_mini.runs.history import History


@dataclass(frozen=True)
class RunReport:
    """All that a page says of a run; `drawing` is that of its cameras, as a data URI."""

    facts: Facts
    doubts: tuple[Doubt, ...]
    history: History
    views: tuple[ShownView, ...]
    drawing: str


def document(title: str, *body: Markup | None) -> bytes:
    """A whole page: one file that holds its style, its script and its pictures, and is allowed no others."""
    script = _asset("page.js")
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    text = Template(_asset("page.html")).substitute(
        title=escape(title), style=_asset("page.css"), script=script, script_hash=mark,
        generator=f"nerf-mini {__version__}", body=joined(*body, _footer()),
    )  # fmt: skip
    return text.encode(errors="backslashreplace")  # names of files need not be text


@cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _footer() -> Markup:
    return tag("footer", f"Made by nerf-mini {__version__}. This page is one file and needs no network.")


def report_page(report: RunReport) -> bytes:
    """The report of one run."""
    facts = report.facts
    return document(
        f"{facts.name} – nerf-mini",
        head.head_of(facts, report.views),
        head.doubt_list(report.doubts),
        sections.about(facts),
        curves.curve_section([(facts, report.history)]),
        views.held_out(report.views),
        sections.score_table(facts),
        sections.cameras(report.drawing),
        sections.settings(facts),
    )


__all__ = ["RunReport", "document", "report_page"]

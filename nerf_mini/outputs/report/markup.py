"""HTML and SVG as nested calls: what is not markup already is text, and is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

EMPTY = ("img", "input", "link", "meta", "br", "source")  # elements of HTML without an end tag
SHAPES = ("circle", "line", "polyline", "rect", "path")  # of SVG


class Markup(str):
    """Text that is markup, not to be escaped."""

    __slots__ = ()


Content: TypeAlias = "Markup | str | float | Iterable[Content] | None"


def joined(*content: Content) -> Markup:
    """Contents one after the other: markup as it is, other text and numbers escaped, None left out."""
    return Markup("".join(_pieces(content)))


def _pieces(content: Iterable[Content]) -> Iterable[str]:
    for piece in content:
        if isinstance(piece, Markup):
            yield piece
        elif isinstance(piece, str | int | float):
            yield escape(str(piece))
        elif piece is not None:
            yield from _pieces(piece)


def tag(name: str, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """An element: tag("p", "a < b", class_="x") gives <p class="x">a &lt; b</p>.

    Underscores in names of attributes become hyphens, but for one at the end, which is dropped. An attribute that is
    None or False is left out; one that is True has no value.
    """
    opened = name
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        spelt = key.rstrip("_").replace("_", "-")
        opened += f" {spelt}" if value is True else f' {spelt}="{escape(str(value))}"'
    if name in EMPTY:
        return Markup(f"<{opened}>")
    inside = joined(*content)
    return Markup(f"<{opened}/>" if name in SHAPES and not inside else f"<{opened}>{inside}</{name}>")

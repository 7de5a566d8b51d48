"""Pictures and facts as HTML, for the cells of notebooks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from nerf_mini.io.images import downscale, to_png

LONGEST = 120  # pixels of the longer side of a small picture


def small(image: np.ndarray, longest: int = LONGEST) -> np.ndarray:
    """An image (height, width, 3 or 4) uint8 shrunk until its longer side has at most `longest` pixels."""
    return downscale(image, max(1.0, max(image.shape[:2]) / longest))


def picture(image: np.ndarray, title: str = "") -> str:
    """An image as an element that needs no file."""
    data = base64.b64encode(to_png(image)).decode()
    return f'<img src="data:image/png;base64,{data}" title="{escape(title)}" alt="{escape(title)}" style="margin:1px">'


def strip(images: Iterable[tuple[str, np.ndarray]]) -> str:
    """Named images beside each other."""
    return '<div style="line-height:0">' + "".join(picture(image, name) for name, image in images) + "</div>"


def facts(values: Mapping[str, object]) -> str:
    """Names and values, a row each."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in values.items()
    )
    return f"<table>{rows}</table>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a line of names above it."""
    names = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in head)
    cells = ("".join(f'<td style="text-align:left">{escape(str(value))}</td>' for value in row) for row in rows)
    return f"<table><tr>{names}</tr>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"

"""Views of a run: two pictures under a slider, maps of errors and depths."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nerf_mini.outputs.report.album import ShownView
from nerf_mini.outputs.report.markup import Content, Markup, tag
from nerf_mini.outputs.report.pictures import WORST_SHOWN
from nerf_mini.outputs.report.sections import section
from nerf_mini.outputs.report.wording import figure
from nerf_mini.runs.records import ViewScore

COARSE = 400  # pixels: smaller pictures are shown with their pixels as squares


def picture(uri: str, alt: str, view: ShownView, style: str | None = None) -> Markup:
    """An image, with visible pixels where it has few."""
    coarse = "pixels" if max(view.pictures.size) < COARSE else None
    width, height = view.pictures.size
    classes = " ".join(name for name in (style, coarse) if name)
    return tag("img", src=uri, alt=alt, width=width, height=height, class_=classes or None)


def panel(content: Markup, caption: Content, wide: bool = False) -> Markup:
    """A picture and what it is."""
    return tag("figure", content, tag("figcaption", caption), class_="wide" if wide else None)


def slider(view: ShownView, left: str, right: str, names: tuple[str, str]) -> Markup:
    """Two pictures in one place, and how much of the left one is seen: by pointer, touch or arrow keys."""
    handle = tag(
        "input", type="range", min=0, max=100, step=1, value=50,
        aria_label=f"{view.name}: {names[0]} on the left, {names[1]} on the right",
    )  # fmt: skip
    under = picture(right, f"{names[1]} of {view.name}", view)
    over = picture(left, f"{names[0]} of {view.name}", view, "over")
    return panel(
        tag("div", under, over, handle, class_="slider"),
        tag("span", tag("span", names[0]), tag("span", names[1]), class_="sides"),
        wide=True,
    )


def error_caption(view: ShownView) -> str:
    """What the map of errors shows."""
    return "error, hatched where masked out" if view.pictures.masked > 0 else "error"


def held_out(views: Sequence[ShownView]) -> Markup | None:
    """Truth and rendering under a slider, error and depth."""
    if not views:
        return None
    worst = _worst(views)
    known = any(view.pictures.truth is not None for view in views)
    shown = [_view_block(view, view is worst and len(views) > 1) for view in views]
    error = f"Error is the mean absolute difference of the channels; white is {WORST_SHOWN:g} in every report. "
    text = (error if known else "") + "In depth, light is near."
    return section("Held-out views", shown, caption=text)


def _worst(views: Sequence[ShownView]) -> ShownView | None:
    scored = [view for view in views if view.score is not None]
    return min(scored, key=lambda view: view.score.psnr if view.score else math.inf, default=None)


def _view_block(view: ShownView, worst: bool) -> Markup:
    pictures = view.pictures
    width, height = pictures.size
    title = tag("h3", view.name), _scores_of(view.score), tag("span", f"{width} × {height}")
    mark = tag("span", "the worst", class_="worst") if worst else None
    depth = panel(picture(pictures.depth, f"depth of {view.name}", view), "depth")
    if pictures.truth is None or pictures.error is None:
        alone = panel(picture(pictures.rendering, f"rendering of {view.name}", view), "rendering", wide=True)
        panels = tag("div", alone, depth, class_="panels two")
    else:
        error = panel(picture(pictures.error, f"error of {view.name}", view), error_caption(view))
        both = slider(view, pictures.truth, pictures.rendering, ("truth", "rendering"))
        panels = tag("div", both, error, depth, class_="panels")
    return tag("article", tag("header", title, mark), panels, class_="view")


def _scores_of(score: ViewScore | None) -> Markup | None:
    if score is None:
        return None
    similarity = "" if score.ssim is None else f", SSIM {figure(score.ssim, 3)}"
    return tag("span", f"{figure(score.psnr)} dB{similarity}")

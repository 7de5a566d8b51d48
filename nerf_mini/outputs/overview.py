"""A drawing of a data set: its cameras and sparse points from above and from the side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nerf_mini.scenes import Scene
from nerf_mini.scenes.checks import Survey

PANEL, MARGIN, HEADER, FOOTER = 560, 28, 44, 44  # pixels of the finished picture
_FINER = 3  # times as large while it is drawn: what is then shrunk has smooth edges
_PAPER, _INK, _FAINT, _POINTS = "#ffffff", "#1f2937", "#d5dae1", "#8a93a1"
_COLORS = {"train": "#2563c9", "val": "#c98a1b", "test": "#d0392e"}
_MOST_POINTS = 20000
_LARGEST = 4.0  # times the distance of the farthest camera that points may widen the view
_FRUSTUM = 0.11  # of the drawing's half side, how far a camera's pyramid reaches


@dataclass(frozen=True)
class _Panel:
    """A view of the world along an axis: which axes point right and up, and the cube that is shown."""

    right: int
    up: int
    center: np.ndarray
    half: float

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (n, 3) are in the square, (n, 2), before it is shrunk."""
        scale = (PANEL / 2 - MARGIN) / self.half
        offset = (points - self.center)[:, [self.right, self.up]] * (scale, -scale)
        return _FINER * (offset + PANEL / 2)


def scene_overview(scene: Scene) -> np.ndarray:
    """Cameras and points of a scene from above and from the side: uint8 (height, width, 3)."""
    survey = Survey(scene)
    width, height = 2 * PANEL + MARGIN, HEADER + PANEL + FOOTER
    paper = Image.new("RGB", (_FINER * width, _FINER * height), _PAPER)
    draw = ImageDraw.Draw(paper)
    center, half = _framed(survey)
    for title, up, left in (("from above", 1, 0), ("from the side", 2, PANEL + MARGIN)):
        draw.text((_FINER * (left + 4), _FINER * 12), title, fill=_INK, font=_font(18))
        paper.paste(_drawn(_Panel(0, up, center, half), survey), (_FINER * left, _FINER * HEADER))
    _draw_legend(draw, survey, height)
    return np.asarray(paper.resize((width, height), Image.Resampling.LANCZOS))


def _drawn(panel: _Panel, survey: Survey) -> Image.Image:
    """The square of a panel."""
    square = Image.new("RGB", (_FINER * PANEL, _FINER * PANEL), _PAPER)
    draw = ImageDraw.Draw(square)
    _draw_middle(draw, panel, survey)
    _draw_points(draw, panel, survey)
    _draw_cameras(draw, panel, survey)
    _draw_frame(draw, panel)
    return square


def _framed(survey: Survey) -> tuple[np.ndarray, float]:
    """The middle and half the side of a cube that holds the cameras, and most of the points."""
    shown = survey.positions
    points = survey.scene.points
    center = 0.5 * (shown.min(axis=0) + shown.max(axis=0))
    half = max(float(np.abs(shown - center).max()), 1e-6 * survey.distance)
    if points is not None and len(points.positions):
        near = points.positions[np.abs(points.positions - center).max(axis=1) < _LARGEST * half]
        if len(near):
            low, high = np.quantile(near, 0.02, axis=0), np.quantile(near, 0.98, axis=0)
            low, high = np.minimum(low, shown.min(axis=0)), np.maximum(high, shown.max(axis=0))
            center, half = 0.5 * (low + high), 0.5 * float((high - low).max())
    elif survey.front > 0.5:
        low, high = np.minimum(shown.min(axis=0), survey.target), np.maximum(shown.max(axis=0), survey.target)
        center, half = 0.5 * (low + high), 0.5 * float((high - low).max())
    return center, 1.1 * half


def _draw_frame(draw: ImageDraw.ImageDraw, panel: _Panel) -> None:
    size = _FINER * (PANEL - 2)
    draw.rectangle((_FINER, _FINER, size, size), outline=_FAINT, width=_FINER)
    axes, length, start = "xyz", 30 * _FINER, np.array([16 * _FINER, size - 16 * _FINER])
    for axis, way in ((panel.right, np.array([1, 0])), (panel.up, np.array([0, -1]))):
        end = start + length * way
        draw.line((*start, *end), fill=_INK, width=_FINER + 1)
        draw.text(tuple(end + 10 * _FINER * way), axes[axis], fill=_INK, font=_font(13), anchor="mm")


def _draw_points(draw: ImageDraw.ImageDraw, panel: _Panel, survey: Survey) -> None:
    points = survey.scene.points
    if points is None or not len(points.positions):
        return
    some = points.positions[:: math.ceil(len(points.positions) / _MOST_POINTS)]
    some = some[np.abs(some - panel.center).max(axis=1) < panel.half]
    for x, y in panel.place(some).tolist():
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_POINTS)


def _draw_middle(draw: ImageDraw.ImageDraw, panel: _Panel, survey: Survey) -> None:
    """The box of a bounded scene, the middle of an unbounded one, and a cross at what the cameras look at."""
    space = survey.scene.space
    if space is not None and space.kind != "forward" and np.isfinite(space.radius):
        corner = np.full(3, space.radius)
        ends = panel.place(np.stack([np.asarray(space.center) - corner, np.asarray(space.center) + corner]))
        (left, bottom), (right, top) = ends.tolist()
        shape = draw.ellipse if space.kind == "unbounded" else draw.rectangle
        if right - left < 4 * _FINER * PANEL:
            shape((left, top, right, bottom), outline=_FAINT, width=_FINER)
    if survey.front > 0.5:
        (x, y), arm = panel.place(survey.target[None])[0].tolist(), 6 * _FINER
        draw.line((x - arm, y, x + arm, y), fill=_INK, width=_FINER)
        draw.line((x, y - arm, x, y + arm), fill=_INK, width=_FINER)


def _draw_cameras(draw: ImageDraw.ImageDraw, panel: _Panel, survey: Survey) -> None:
    """Each camera as a pyramid that opens to what it sees."""
    cameras = survey.cameras
    reach = _FRUSTUM * panel.half * min(1.0, math.sqrt(30 / len(survey)) + 0.3)
    tangents = np.minimum(0.5 * cameras.size / cameras.focal, 2.0)
    for view, (split, _) in enumerate(survey.places):
        x, y = tangents[view].tolist()
        base = np.array([[-x, y, -1], [x, y, -1], [x, -y, -1], [-x, -y, -1]])
        base *= reach / np.linalg.norm(base[0])
        pose = cameras.poses[view]
        corners = panel.place(pose[:3, 3] + np.concatenate([np.zeros((1, 3)), base]) @ pose[:3, :3].T)
        apex, color = tuple(corners[0].tolist()), _COLORS[split]
        ring = [tuple(corner) for corner in corners[[1, 2, 3, 4, 1]].tolist()]
        for corner in ring[:4]:
            draw.line((apex, corner), fill=color, width=_FINER)
        draw.line(ring, fill=color, width=_FINER)
        draw.ellipse((apex[0] - 5, apex[1] - 5, apex[0] + 5, apex[1] + 5), fill=color)


def _draw_legend(draw: ImageDraw.ImageDraw, survey: Survey, height: int) -> None:
    x, y = _FINER * MARGIN / 2, _FINER * (height - FOOTER / 2)
    entries = [(f"{len(views)} {split}", _COLORS[split]) for split, views in survey.scene.splits.items()]
    points = survey.scene.points
    if points is not None and len(points.positions):
        entries.append((f"{len(points.positions)} sparse points", _POINTS))
    font, radius = _font(15), 5 * _FINER
    for text, color in entries:
        draw.ellipse((x, y - radius, x + 2 * radius, y + radius), fill=color)
        draw.text((x + 3 * radius, y), text, fill=_INK, font=font, anchor="lm")
        x += 3 * radius + draw.textlength(text, font=font) + 8 * radius
    draw.text((x, y), "+ what the cameras look at", fill=_INK, font=font, anchor="lm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FINER * size)

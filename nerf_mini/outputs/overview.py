"""A drawing of cameras, and of sparse points, from above and from the side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nerf_mini.geometry.aim import Aim
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.scenes import Scene, SceneCameras

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


@dataclass(frozen=True)
class _Subject:
    """What is drawn: cameras in what they stand in, and points (n, 3)."""

    cameras: SceneCameras
    points: np.ndarray

    @cached_property
    def aim(self) -> Aim:
        """What all the cameras look at."""
        return Aim(np.concatenate([cameras.poses for cameras in self.cameras.splits.values()]))

    def views(self) -> Iterator[tuple[str, Cameras, int]]:
        """Each camera: its split, those of the split, and which of them it is."""
        for split, cameras in self.cameras.splits.items():
            for view in range(len(cameras)):
                yield split, cameras, view


def scene_overview(scene: Scene) -> np.ndarray:
    """Cameras and points of a scene from above and from the side: uint8 (height, width, 3)."""
    return cameras_overview(scene.cameras, None if scene.points is None else scene.points.positions)


def cameras_overview(cameras: SceneCameras, points: np.ndarray | None = None) -> np.ndarray:
    """Cameras, and points (n, 3) if there are any, from above and from the side: uint8 (height, width, 3)."""
    subject = _Subject(cameras, np.zeros((0, 3)) if points is None else points)
    width, height = 2 * PANEL + MARGIN, HEADER + PANEL + FOOTER
    paper = Image.new("RGB", (_FINER * width, _FINER * height), _PAPER)
    draw = ImageDraw.Draw(paper)
    center, half = _framed(subject)
    for title, up, left in (("from above", 1, 0), ("from the side", 2, PANEL + MARGIN)):
        draw.text((_FINER * (left + 4), _FINER * 12), title, fill=_INK, font=_font(18))
        paper.paste(_drawn(_Panel(0, up, center, half), subject), (_FINER * left, _FINER * HEADER))
    _draw_legend(draw, subject, height)
    return np.asarray(paper.resize((width, height), Image.Resampling.LANCZOS))


def _drawn(panel: _Panel, subject: _Subject) -> Image.Image:
    """The square of a panel."""
    square = Image.new("RGB", (_FINER * PANEL, _FINER * PANEL), _PAPER)
    draw = ImageDraw.Draw(square)
    _draw_middle(draw, panel, subject)
    _draw_points(draw, panel, subject.points)
    _draw_cameras(draw, panel, subject)
    _draw_frame(draw, panel)
    return square


def _framed(subject: _Subject) -> tuple[np.ndarray, float]:
    """The middle and half the side of a cube that holds the cameras, and most of the points."""
    aim, points = subject.aim, subject.points
    lowest, highest = aim.positions.min(axis=0), aim.positions.max(axis=0)
    center = 0.5 * (lowest + highest)
    half = max(float(np.abs(aim.positions - center).max()), 1e-6 * aim.distance)
    if len(points):
        near = points[np.abs(points - center).max(axis=1) < _LARGEST * half]
        if len(near):
            low, high = np.quantile(near, 0.02, axis=0), np.quantile(near, 0.98, axis=0)
            low, high = np.minimum(low, lowest), np.maximum(high, highest)
            center, half = 0.5 * (low + high), 0.5 * float((high - low).max())
    elif aim.front > 0.5:
        low, high = np.minimum(lowest, aim.target), np.maximum(highest, aim.target)
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


def _draw_points(draw: ImageDraw.ImageDraw, panel: _Panel, points: np.ndarray) -> None:
    if not len(points):
        return
    some = points[:: math.ceil(len(points) / _MOST_POINTS)]
    some = some[np.abs(some - panel.center).max(axis=1) < panel.half]
    for x, y in panel.place(some).tolist():
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_POINTS)


def _draw_middle(draw: ImageDraw.ImageDraw, panel: _Panel, subject: _Subject) -> None:
    """The box of a bounded scene, the middle of an unbounded one, and a cross at what the cameras look at."""
    space = subject.cameras.space
    if space is not None and space.kind != "forward" and np.isfinite(space.radius):
        corner = np.full(3, space.radius)
        ends = panel.place(np.stack([np.asarray(space.center) - corner, np.asarray(space.center) + corner]))
        (left, bottom), (right, top) = ends.tolist()
        shape = draw.ellipse if space.kind == "unbounded" else draw.rectangle
        if right - left < 4 * _FINER * PANEL:
            shape((left, top, right, bottom), outline=_FAINT, width=_FINER)
    if subject.aim.front > 0.5:
        (x, y), arm = panel.place(subject.aim.target[None])[0].tolist(), 6 * _FINER
        draw.line((x - arm, y, x + arm, y), fill=_INK, width=_FINER)
        draw.line((x, y - arm, x, y + arm), fill=_INK, width=_FINER)


def _draw_cameras(draw: ImageDraw.ImageDraw, panel: _Panel, subject: _Subject) -> None:
    """Each camera as a pyramid that opens to what it sees."""
    reach = _FRUSTUM * panel.half * min(1.0, math.sqrt(30 / len(subject.aim.poses)) + 0.3)
    for split, cameras, view in subject.views():
        x, y = np.minimum(0.5 * cameras.size[view] / cameras.focal[view], 2.0).tolist()
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


def _draw_legend(draw: ImageDraw.ImageDraw, subject: _Subject, height: int) -> None:
    x, y = _FINER * MARGIN / 2, _FINER * (height - FOOTER / 2)
    entries = [(f"{len(cameras)} {split}", _COLORS[split]) for split, cameras in subject.cameras.splits.items()]
    if len(subject.points):
        entries.append((f"{len(subject.points)} sparse points", _POINTS))
    font, radius = _font(15), 5 * _FINER
    for text, color in entries:
        draw.ellipse((x, y - radius, x + 2 * radius, y + radius), fill=color)
        draw.text((x + 3 * radius, y), text, fill=_INK, font=font, anchor="lm")
        x += 3 * radius + draw.textlength(text, font=font) + 8 * radius
    draw.text((x, y), "+ what the cameras look at", fill=_INK, font=font, anchor="lm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FINER * size)

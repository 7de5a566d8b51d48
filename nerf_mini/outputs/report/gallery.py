"""Several runs on one page, each as an orbit with its figures and a link to its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nerf_mini.errors import UserError
from nerf_mini.geometry.paths import orbit_like
from nerf_mini.io.files import is_number, real_path
from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.report.markup import Markup, joined, tag
from nerf_mini.outputs.report.page import document
from nerf_mini.outputs.report.pictures import data_uri, webp, webp_uri
from nerf_mini.outputs.report.wording import counted, duration, figure
from nerf_mini.runs.sealing import read_sealed
from nerf_mini.training import Trainer

FRAMES, MILLISECONDS = 24, 110
LONGEST = 240  # pixels of a frame's longer side
_QUALITY = 72
_MOST = 1e9  # decibels or seconds in a file: what lies beyond was never measured


@dataclass(frozen=True)
class Told:
    """What a report says: PSNR in dB of some test views, if any, steps, seconds, method."""

    psnr: float | None
    views: int
    step: int
    seconds: float
    method: str


@dataclass(frozen=True)
class Card:
    """A run of the gallery: a picture and a film of it as data URIs, and where its report is."""

    name: str
    still: str
    moving: str
    told: Told | None
    link: str


def animated(trainer: Trainer) -> tuple[str, str]:
    """A picture and a short film of a run, on an orbit around what the training cameras look at."""
    train = trainer.cameras.train
    cameras = train.at(orbit_like(train.poses, FRAMES))
    small = cameras.scaled(LONGEST / int(cameras.size[0].max()))
    frames = [to_uint8(trainer.render(small, view).color) for view in range(FRAMES)]
    return data_uri(frames[0]), webp_uri(webp(frames, MILLISECONDS, _QUALITY))


def reported(file: Path, step: int) -> Told | None:
    """What a report.json says, if it is of this step."""
    if not file.is_file():
        return None
    try:
        found = read_sealed(file)
        told = Told(
            found["psnr"], len(found["scores"]["views"]) if found["scores"] else 0, found["step"], found["seconds"],
            found["method"],
        )  # fmt: skip
    except (UserError, KeyError, TypeError):
        return None
    return told if told.step == step and _sound(told) else None


def _sound(told: Told) -> bool:
    def within(value: object) -> bool:
        return is_number(value) and abs(value) <= _MOST  # type: ignore[arg-type]

    return (told.psnr is None or within(told.psnr)) and within(told.seconds) and isinstance(told.method, str)


def link_from(page: Path, target: Path) -> str:
    """The address of a file as seen from a page; an absolute one where no relative path leads there."""
    try:
        relative = Path(os.path.relpath(real_path(target), real_path(page).parent))
        return quote(os.fsencode(relative.as_posix()))
    except ValueError:  # another drive
        return real_path(target).as_uri()


def gallery_page(cards: Sequence[Card]) -> bytes:
    """The page of some runs."""
    head = tag("p", "nerf-mini", class_="eyebrow"), tag("h1", "Gallery")
    text = tag("p", f"{counted(len(cards), 'radiance field')}, each with its report.", class_="lead")
    body = tag("div", [_card(card) for card in cards], class_="gallery")
    return document("Gallery – nerf-mini", joined(head, text, body))


def _card(card: Card) -> Markup:
    still = tag("source", srcset=card.still, media="(prefers-reduced-motion: reduce), print")
    moving = tag("img", src=card.moving, alt=f"orbit around {card.name}", class_="still")
    told = card.told
    words = []
    if told is not None:
        if told.psnr is not None:
            words += [tag("strong", f"{figure(told.psnr)} dB"), f" on {counted(told.views, 'test view')} · "]
        words += [f"{told.method}, {counted(told.step, 'step')} in {duration(told.seconds)}"]
    link = tag("a", card.name, href=card.link)
    return tag("article", tag("picture", still, moving), tag("h2", link), tag("p", words), class_="card")

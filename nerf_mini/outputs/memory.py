"""Whether pictures and points fit into memory: said before the work, instead of dying on the way."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.scenes.checks import memory_of_machine

BASE, BYTES_PER_PIXEL = (
    400 << 20,
    300,
)  # of the process with its kernels, and of a picture on its way from rays to a file
BYTES_PER_POINT = 200  # found, joined, turned and written
MOST = 0.75  # of the machine's memory


def require_memory_for_pictures(cameras: Cameras, kept: int = 0, there: int | None = None) -> None:
    """Raise a UserError where pictures of these cameras, one after the other, do not fit into memory.

    Args:
        kept: bytes for each pixel that stay until the last picture is done.
        there: bytes of memory; None: those of this machine, and no limit where they are unknown.
    """
    there = memory_of_machine() if there is None else there
    pixels = [width * height for width, height in cameras.size.tolist()]  # of Python, which do not overflow
    needed = BASE + BYTES_PER_PIXEL * max(pixels, default=0) + kept * sum(pixels)
    if there is None or needed <= MOST * there:
        return
    width, height = cameras.size[int(np.argmax(pixels))].tolist()
    many = f"{len(pixels)} pictures" if kept and len(pixels) > 1 else "a picture"
    remedy = "choose a lower --scale" + (", fewer --views, or a folder of PNG files" if kept else "")
    _refuse(f"{many} of {width} x {height} pixels", needed, there, remedy)


def require_memory_for_points(count: int, there: int | None = None) -> None:
    """Raise a UserError where n points do not fit into `there` bytes, by default those of this machine."""
    there = memory_of_machine() if there is None else there
    needed = BASE + BYTES_PER_POINT * count
    if there is not None and needed > MOST * there:
        _refuse(f"{count} points", needed, there, "choose fewer --points")


def _refuse(what: str, needed: int, there: int, remedy: str) -> NoReturn:
    raise UserError(f"{what} may need {needed / 1e9:.1f} GB of memory, of {there / 1e9:.1f} GB here: {remedy}.")

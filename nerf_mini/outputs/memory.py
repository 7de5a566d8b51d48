"""Whether pictures, points and meshes fit into memory: said before the work, instead of dying on the way."""

from __future__ import annotations

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.scenes.checks import memory_of_machine

BASE = 400 << 20  # bytes of the process with its kernels
BYTES_PER_PIXEL = 300  # of a picture on its way from rays to a file
BYTES_PER_POINT = 200  # found, joined, turned and written
SLABS, BYTES_PER_VERTEX = 200 << 20, 450  # of a mesh; vertices are at most as many as cells on the six sides of its box
MOST = 0.75  # of the machine's memory

# `there`, below: bytes of memory; None: those of this machine, and no limit where they are unknown.


def require_memory_for_pictures(cameras: Cameras, kept: int = 0, there: int | None = None, at_once: int = 1) -> None:
    """Raise a UserError where pictures of these cameras do not fit into memory.

    Args:
        kept: bytes for each pixel that stay until the last picture is done.
        at_once: how many processes make one picture after the other.
    """
    pixels = [width * height for width, height in cameras.size.tolist()]  # of Python, which do not overflow
    needed = (at_once - 1) * BASE + at_once * BYTES_PER_PIXEL * max(pixels, default=0) + kept * sum(pixels)
    width, height = cameras.size[int(np.argmax(pixels))].tolist() if pixels else (0, 0)
    many = f"{len(pixels)} pictures" if kept and len(pixels) > 1 else "a picture"
    each = f" in each of {at_once} processes" if at_once > 1 else ""
    remedy = "choose " + ("fewer processes, --cluster local:N, or " if at_once > 1 else "") + "a lower --scale"
    remedy += ", fewer --views, or a folder of PNG files" if kept else ""
    _require(f"{many} of {width} x {height} pixels{each}", needed, remedy, there)


def require_memory_for_points(count: int, there: int | None = None) -> None:
    """Raise a UserError where n points do not fit into memory."""
    _require(f"{count} points", BYTES_PER_POINT * count, "choose fewer --points", there)


def require_memory_for_mesh(cells: tuple[int, int, int], there: int | None = None) -> None:
    """Raise a UserError where the surface in a box of so many cells does not fit into memory."""
    x, y, z = cells
    needed = SLABS + BYTES_PER_VERTEX * 2 * (x * y + y * z + z * x)
    _require(f"a mesh of {x} x {y} x {z} cells", needed, "choose a lower --resolution or a smaller --box", there)


def _require(what: str, needed: int, remedy: str, there: int | None) -> None:
    there, needed = memory_of_machine() if there is None else there, BASE + needed
    if there is not None and needed > MOST * there:
        raise UserError(f"{what} may need {needed / 1e9:.1f} GB of memory, of {there / 1e9:.1f} GB here: {remedy}.")

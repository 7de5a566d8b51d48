"""Lenses by name. A new lens is a module with a `LENS`, and one entry here."""

from nerf_mini.geometry.lenses import (
    equirectangular,
    fisheye,
    fov,
    pinhole,
    radial_polynomial,
    radial_tangential,
)
from nerf_mini.geometry.lenses.base import Lens

LENSES: dict[str, Lens] = {
    lens.name: lens
    for lens in (
        pinhole.LENS,
        radial_tangential.LENS,
        radial_polynomial.LENS,
        fisheye.LENS,
        fov.LENS,
        equirectangular.LENS,
    )
}

__all__ = ["LENSES", "Lens"]

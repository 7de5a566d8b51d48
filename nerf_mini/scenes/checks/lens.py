"""Checks of intrinsics: focal lengths, principal points, lenses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nerf_mini.geometry.cameras import Cameras
from nerf_mini.io.images import open_picture
from nerf_mini.scenes.checks.base import Finding, Survey

NARROWEST, WIDEST = 15.0, 130.0  # degrees across, of photographs without a fisheye
SQUARE, CENTERED = 0.02, 0.1  # |fx / fy - 1|, |2 cx / width - 1|
EXIF_TOLERANCE = 0.15
BENT_BEYOND = 0.02  # share of pixels that no light reaches
FILM_DIAGONAL = 43.27  # mm, of the 36 x 24 mm to which "equivalent" focal lengths refer
FLAT = (
    "pinhole",
    "radial-tangential",
    "radial-polynomial",
)  # lenses for which the field of view is less than half the world
_SUFFIXES = ("", ".jpg", ".jpeg", ".JPG", ".JPEG", ".png", ".PNG")
_FOLDERS = ("", "images", "train", "..", "../images")
_LOOKED_AT = 8  # pictures whose EXIF is read
_EXIF, _FOCAL_35 = 0x8769, 0xA405


def fields_of_view(cameras: Cameras) -> np.ndarray:
    """Degrees across and down, (V, 2), that a camera without a lens would see."""
    return np.degrees(2.0 * np.arctan(0.5 * cameras.size / cameras.focal))


def focal(survey: Survey) -> Iterator[Finding]:
    """Focal lengths that a photograph can have, square pixels, the principal point in the middle."""
    cameras = survey.cameras
    flat = np.isin(cameras.lens, FLAT)
    if not flat.any():
        return
    across = fields_of_view(cameras)[flat].max(axis=1)
    if across.min() < NARROWEST or across.max() > WIDEST:
        text = f"The field of view is {_range(across)} degrees, which few cameras have."
        advice = (
            "Is an angle in degrees where radians belong, the focal length in mm, or for pictures of another size? "
            "It must be in pixels."
        )
        yield Finding("focal", "warning", text, advice)
    ratio = cameras.focal[flat, 0] / cameras.focal[flat, 1]
    if np.abs(ratio - 1).max() > SQUARE:
        worst = float(ratio[np.abs(ratio - 1).argmax()])
        text = f"Pixels are not square: fx / fy is {worst:.3f}."
        yield Finding("pixels", "warning", text, "Check that width and height, and fx and fy, are not mixed up.")
    offset = np.abs(2 * cameras.center[flat] / cameras.size[flat] - 1)
    if offset.max() > CENTERED:
        view = int(np.flatnonzero(flat)[offset.max(axis=1).argmax()])
        (x, y), (width, height) = cameras.center[view].tolist(), cameras.size[view].tolist()
        text = f"The principal point of {survey.listed([view])} is ({x:.1f}, {y:.1f}) in {width} x {height} pixels."
        advice = "Were cx and cy measured in pictures of this size? Crops may look like this too."
        yield Finding("center", "warning", text, advice)


def against_exif(survey: Survey) -> Iterator[Finding]:
    """f = f35 sqrt(w^2 + h^2) / 43.27 mm, with the focal length f35 that the files' EXIF states."""
    path = survey.scene.path
    if path is None:
        return
    told, used = [], []
    for view in np.linspace(0, len(survey) - 1, min(len(survey), _LOOKED_AT)).astype(int):
        equivalent = _focal_35(path, survey.names[view])
        if equivalent and survey.cameras.lens[view] in FLAT:
            told.append(equivalent * np.linalg.norm(survey.cameras.size[view]) / FILM_DIAGONAL)
            used.append(survey.cameras.focal[view].mean())
    if not told:
        return
    ratio = float(np.median(np.array(used) / np.array(told)))
    if abs(ratio - 1) > EXIF_TOLERANCE:
        text = f"The focal length is {np.median(used):.0f} pixels, {ratio:.2f} times what the pictures' EXIF says."
        yield Finding("focal-exif", "warning", text, "Check that it is for pictures of this size, and not cropped.")


def bent(survey: Survey) -> Iterator[Finding]:
    """Pixels that the lens cannot have lit."""
    share = max((beyond for _, beyond in lens_effects(survey.cameras)), default=0.0)
    if share > BENT_BEYOND:
        text = f"The lens parameters leave {share:.0%} of a picture without any light: its distortion folds over there."
        advice = "These pixels are not trained on. Where that is much, calibrate again, with fewer lens parameters."
        yield Finding("lens", "warning", text, advice)


def lens_effects(cameras: Cameras, grid: int = 25) -> list[tuple[float, float]]:
    """Of each distinct lens: how far it moves a pixel at most, in pixels, and the share of pixels it does not light.

    The former is NaN for lenses that see sideways.
    """
    keys = [
        (name, *parameters, *focal, *size)
        for name, parameters, focal, size in zip(
            cameras.lens.tolist(), cameras.lens_parameters.tolist(), cameras.focal.tolist(), cameras.size.tolist(),
            strict=True,
        )
    ]  # fmt: skip
    found = []
    for view in list({key: view for view, key in enumerate(keys)}.values())[:8]:
        width, height = cameras.size[view].tolist()
        column, row = (
            a.ravel() for a in np.meshgrid(np.linspace(0, width - 1, grid), np.linspace(0, height - 1, grid))
        )
        here = cameras.rays(view, column, row, np.float64).directions @ cameras.poses[view][:3, :3]
        lit = np.isfinite(here).all(axis=1)
        ahead = lit & (here[:, 2] < -1e-6)
        straight = cameras.center[view] + cameras.focal[view] * here[ahead][:, :2] / -here[ahead][:, 2:] * (1, -1)
        moved = np.linalg.norm(straight - np.stack([column + 0.5, row + 0.5], axis=1)[ahead], axis=1)
        whole = bool((ahead == lit).all()) and cameras.lens[view] in FLAT
        found.append((float(moved.max(initial=0.0)) if whole else float("nan"), float(1 - lit.mean())))
    return found


def _focal_35(path: Path, name: str) -> float | None:
    """The focal length in mm, on 35 mm film, that a picture's file states; None where it or the file is missing."""
    root = path if path.is_dir() else path.parent
    for folder in _FOLDERS:
        for suffix in _SUFFIXES:
            file = root / folder / (name + suffix)
            try:
                if not file.is_file():
                    continue
                with open_picture(file) as image:
                    value = image.getexif().get_ifd(_EXIF).get(_FOCAL_35)
                    return float(value) if value else None
            except Exception:  # whatever is wrong with the file, its reader will say
                return None
    return None


def _range(values: np.ndarray) -> str:
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


CHECKS = (focal, against_exif, bent)

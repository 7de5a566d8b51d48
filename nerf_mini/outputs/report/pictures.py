"""Pictures for pages: error maps on one scale, marks where a mask hides pixels, and files inside of an address."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nerf_mini.io.images import shrunk_mask, to_uint8
from nerf_mini.rendering.images import RenderedImage
from nerf_mini.rendering.shading import DepthScale, depth_colors

LONGEST = 800  # pixels of the longer side
WORST_SHOWN = 0.1  # the mean absolute error of a pixel's channels that is white, the same in all reports
QUALITY, EFFORT = 90, 3  # of WebP
_LOSSLESS = 1 << 14  # pixels up to which pictures stay as they are: each is seen, and they are small
_HATCH = 8  # pixels from one stripe to the next
_STRIPES = np.array([[64, 84, 128], [34, 44, 70]], np.uint8)


def error_map(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mean over channels of the absolute difference of two pictures (height, width, 3): (height, width)."""
    return np.abs(np.asarray(image, np.float32) - target).mean(axis=2)


def shown_errors(errors: np.ndarray) -> np.ndarray:
    """Errors (height, width) as grey in [0, 1], on a fixed scale: white from 0.1 on."""
    return np.clip(errors / WORST_SHOWN, 0.0, 1.0)


def hatched(pixels: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Pixels (height, width, 3) uint8 with stripes over those that are not valid; the same array where all are."""
    if valid is None or valid.all():
        return pixels
    row, column = np.indices(valid.shape)
    stripes = _STRIPES[((row + column) % _HATCH < _HATCH // 2).astype(np.int64)]
    return np.where(valid[..., None], pixels, stripes)


def small_size(width: int, height: int, longest: int = LONGEST) -> tuple[int, int]:
    """Width and height with the longer side at most `longest`, in the same proportion."""
    factor = min(1.0, longest / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def shrunk(pixels: np.ndarray, longest: int = LONGEST) -> np.ndarray:
    """A picture, uint8 (height, width) or (height, width, 3), area-averaged to the size that `small_size` gives."""
    size = small_size(pixels.shape[1], pixels.shape[0], longest)
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def data_uri(pixels: np.ndarray) -> str:
    """A picture, uint8 (height, width) or (height, width, 3), as the address of a WebP file that it holds itself."""
    return webp_uri(webp([pixels]))


def webp(frames: list[np.ndarray], milliseconds: int = 80, quality: int = QUALITY) -> bytes:
    """A WebP file of one picture, or of several that follow each other without end; uint8, (height, width[, 3])."""
    first, *rest = [Image.fromarray(frame).convert("RGB") for frame in frames]
    file = io.BytesIO()
    if rest:
        first.save(
            file, "WEBP", save_all=True, append_images=rest, duration=milliseconds, loop=0, quality=quality,
            method=EFFORT,
        )  # fmt: skip
    else:
        exact = first.width * first.height <= _LOSSLESS
        first.save(file, "WEBP", quality=quality, method=EFFORT, lossless=exact)
    return file.getvalue()


def webp_uri(file: bytes) -> str:
    """The address that holds a WebP file."""
    return "data:image/webp;base64," + base64.b64encode(file).decode("ascii")


@dataclass(frozen=True)
class ViewPictures:
    """The pictures of a view as data URIs, and its size; truth and error are None where there is no truth.

    masked: the share of the pixels that are not scored, which are hatched in the map of errors.
    """

    size: tuple[int, int]
    rendering: str
    depth: str
    truth: str | None = None
    error: str | None = None
    masked: float = 0.0


def view_pictures(
    image: RenderedImage, scale: DepthScale, target: np.ndarray | None = None, scored: np.ndarray | None = None
) -> ViewPictures:
    """The pictures of one view: `target` (height, width, 3) is the truth, `scored` (height, width) bool what counts."""
    height, width = image.depth.shape
    rendering = data_uri(shrunk(to_uint8(image.color)))
    depth = data_uri(shrunk(to_uint8(depth_colors(image, scale))))
    if target is None:
        return ViewPictures((width, height), rendering, depth)
    grey = shrunk(to_uint8(shown_errors(error_map(image.color, target))))
    valid = None if scored is None else shrunk_mask(scored, small_size(width, height))
    error = hatched(np.repeat(grey[..., None], 3, axis=2), valid)
    masked = 0.0 if scored is None else 1.0 - float(scored.mean())
    return ViewPictures((width, height), rendering, depth, data_uri(shrunk(to_uint8(target))), data_uri(error), masked)

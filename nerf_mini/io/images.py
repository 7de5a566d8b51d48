"""Image files and the arithmetic of pixels: reading, writing, downscaling, compositing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.errors import UserError, quoted, reason_of
from nerf_mini.io.files import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

_EXIF_ORIENTATION = 0x0112
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")  # that are read; others may run programs, as PostScript does
MOST_PIXELS = 1 << 30  # of a picture; more is a lie, or cannot be worked with
_UPRIGHT = 1  # of the eight ways in which a camera can be held; from the fifth on, width and height change places


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself before its pixels.

    size: width and height as they are stored. orientation: EXIF's, 1 where it is shown as it is stored.
    """

    size: tuple[int, int]
    has_alpha: bool
    orientation: int = _UPRIGHT

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as programs show it that obey EXIF's orientation."""
        return self.size if self.orientation < 5 else (self.size[1], self.size[0])


@contextmanager
def open_picture(path: Path | str) -> Iterator[Image]:
    """A picture file as Pillow's image, whose pixels are read when they are first asked for.

    What the file is, its first bytes say, not its name; it must be one of `FORMATS`. Raises OSError and whatever else
    Pillow raises where it is not.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of our own
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are too many")
            yield image


def _complaint(path: Path, error: Exception) -> UserError:
    """What to say of a file that cannot be read."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return UserError(f"{path}: cannot be read as an image. Is the file complete, and one of {', '.join(FORMATS)}?")
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"{path}: cannot be read ({reason_of(error)}).")
    return UserError(f"{path}: cannot be read as an image ({reason_of(error)}). Is the file complete?")


def read_header(path: Path) -> ImageHeader:
    """The header of an image file. Raises UserError where it is missing or no image that can be read."""
    if not path.is_file():
        raise UserError(f"{path}: no such image file.")
    try:
        with open_picture(path) as image:
            orientation = image.getexif().get(_EXIF_ORIENTATION, _UPRIGHT)
            known = isinstance(orientation, int) and 1 <= orientation <= 8
            return ImageHeader(image.size, _is_transparent(image), orientation if known else _UPRIGHT)
    except Exception as error:  # see `read_image`
        raise _complaint(path, error) from error


def read_image(path: Path | str, upright: bool = False) -> np.ndarray:
    """An image file as uint8 (height, width, 3), or (height, width, 4) with straight alpha.

    Grey and palette images become RGB (RGBA where they carry transparency); 16-bit channels are scaled to 8 bits.

    Args:
        upright: turned as EXIF's orientation says, instead of as it is stored.

    Raises:
        UserError: the file is missing or no image that can be read.
    """
    from PIL import ImageOps

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such image file.")
    try:
        with open_picture(path) as image:
            image.load()
            return _to_channels(ImageOps.exif_transpose(image) if upright else image)
    # Pillow's decoders raise more kinds than they document (SyntaxError for a broken PNG, struct.error, ...).
    except Exception as error:
        raise _complaint(path, error) from error


def _is_transparent(image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _to_channels(image) -> np.ndarray:
    """A loaded Pillow image of any mode as a uint8 array of 3 or 4 channels."""
    if image.mode.startswith("I"):  # 16-bit grey
        grey = (np.clip(np.asarray(image, np.int64), 0, 65535) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a known range")
    return np.array(image.convert("RGBA" if _is_transparent(image) else "RGB"))


def write_image(path: Path | str, array: np.ndarray) -> None:
    """Write uint8, or float in [0, 1] (clipped, then rounded to 8 bits), in the format named by the suffix.

    The file appears whole or not at all.

    Args:
        array: (height, width) grey, (height, width, 3) RGB or (height, width, 4) RGBA with straight alpha.

    Raises:
        UserError: the suffix names no image format, or the place cannot be written to.
        ValueError: the array has another shape or dtype, or holds values that are not finite.
    """
    from PIL import Image

    path = Path(path)
    array = np.asarray(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"an image is (height, width), (height, width, 3) or (height, width, 4), not {array.shape}")
    pixels = array if array.dtype == np.uint8 else to_uint8(array)
    image_format = Image.registered_extensions().get(path.suffix.lower())
    if image_format is None:
        raise UserError(f"{path}: the suffix {quoted(path.suffix)} names no image format; use .png or .jpg.")
    write_atomically(path, lambda file: Image.fromarray(pixels).save(file, format=image_format))


def to_png(array: np.ndarray) -> bytes:
    """The bytes of a PNG file: uint8, or float in [0, 1], (height, width) or (height, width, 3 or 4)."""
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(array if array.dtype == np.uint8 else to_uint8(array)).save(stream, format="PNG")
    return stream.getvalue()


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Quantise float values in [0, 1] to the nearest of 256 levels; values outside are clipped.

    Raises ValueError for other dtypes and for values that are not finite.
    """
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"image values must be uint8 or floating point, not {image.dtype}")
    if not np.isfinite(image).all():
        raise ValueError("the image holds values that are not finite")
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def downscaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Width and height divided by a factor of at least 1, in whole pixels. Raises UserError where none is left."""
    small = round(size[0] / factor), round(size[1] / factor)
    if not factor >= 1 or min(small) < 1:
        raise UserError(f"an image of {size[0]}x{size[1]} pixels cannot be downscaled by {factor:g}.")
    return small


def downscale(image: np.ndarray, factor: float) -> np.ndarray:
    """An image shrunk by a factor of at least 1: uint8 (H, W, 3|4) -> uint8 (H / factor, W / factor, 3|4), rounded.

    Raises UserError where the factor is less than 1 or leaves no pixel.
    """
    return area_average(image, downscaled_size((image.shape[1], image.shape[0]), factor))


def area_average(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink an image: each new pixel is the mean over the area that it covers. uint8 (H, W, 3|4) -> (h, w, 3|4).

    Pixels that are covered in part count in part. Colours are averaged weighted by their alpha (that is,
    premultiplied), so that whatever colour is stored in transparent pixels does not bleed into the edges of objects.

    Args:
        size: width and height of the result, not larger than those of the image.
    """
    (height, width), (small_width, small_height) = image.shape[:2], size
    if (width, height) == size:
        return image
    if width % small_width == 0 and height % small_height == 0:
        return _block_average(image, height // small_height, width // small_width)
    values = image.astype(np.float32)
    values[..., :3] *= values[..., 3:] if image.shape[2] == 4 else 1
    rows = _row_average(values, small_height)
    mean = _row_average(rows.swapaxes(0, 1), small_width).swapaxes(0, 1)
    if image.shape[2] == 4:
        mean[..., :3] /= np.maximum(mean[..., 3:], 1e-3)
    return (np.minimum(mean, 255) + np.float32(0.5)).astype(np.uint8)


def _row_average(values: np.ndarray, count: int) -> np.ndarray:
    """Means over `count` bands of equal height: (rows, ...) float32 -> (count, ...)."""
    rows, step = len(values), len(values) / count
    flat = values.reshape(rows, -1)
    result = np.empty((count, flat.shape[1]), np.float32)
    for band in range(count):
        first, end = band * rows // count, -(-(band + 1) * rows // count)
        row = np.arange(first, end)
        share = np.minimum(row + 1, (band + 1) * step) - np.maximum(row, band * step)
        result[band] = (share / step).astype(np.float32) @ flat[first:end]
    return result.reshape(count, *values.shape[1:])


def shrunk_mask(valid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask of another size, in which a pixel is valid if all that it covers is: bool (H, W) -> bool (h, w)."""
    for axis, count in ((1, size[0]), (0, size[1])):
        length = valid.shape[axis]
        if length != count:
            edge = np.arange(count + 1) * length
            wrong = np.insert(np.cumsum(~valid, axis=axis), 0, 0, axis=axis)
            valid = np.take(wrong, -(-edge[1:] // count), axis) == np.take(wrong, edge[:-1] // count, axis)
    return valid


def _block_average(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means over blocks of rows x columns pixels, in whole numbers."""
    area = rows * columns
    if image.shape[2] == 3:
        return _rounded_quotient(_block_sum(image, rows, columns), area)
    alpha = image[..., 3:]
    alpha_sum = _block_sum(alpha, rows, columns)  # (H / rows, W / columns, 1)
    color_sum = _block_sum(image[..., :3] * alpha.astype(np.uint16), rows, columns)
    color = _rounded_quotient(color_sum, np.maximum(alpha_sum, 1))
    return np.concatenate([color, _rounded_quotient(alpha_sum, area)], axis=2)


def _block_sum(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Sums over blocks of rows x columns pixels: (H, W, c) -> (H / rows, W / columns, c) uint32."""
    height, width, channels = values.shape
    bands = values.reshape(height // rows, rows, width * channels).sum(axis=1, dtype=np.uint32)
    blocks = bands.reshape(height // rows, width // columns, columns, channels)
    total = blocks[:, :, 0].copy()
    for column in range(1, columns):
        total += blocks[:, :, column]
    return total


def _rounded_quotient(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """Non-negative integer division rounded to nearest, as uint8."""
    return ((numerator + denominator // 2) // denominator).astype(np.uint8)


def composite(rgba: np.ndarray, background: ArrayLike) -> np.ndarray:
    """Lay an image over a background: rgb * alpha + background * (1 - alpha).

    Args:
        rgba: uint8 (..., 4) with straight alpha, or (..., 3), which is opaque.
        background: colours in [0, 1], (3,) or (..., 3).

    Returns:
        float32 (..., 3).
    """
    color = rgba[..., :3].astype(np.float32) * np.float32(1.0 / 255.0)
    if rgba.shape[-1] == 3:
        return color
    alpha = rgba[..., 3:].astype(np.float32) * np.float32(1.0 / 255.0)  # (..., 1)
    return color * alpha + np.asarray(background, np.float32) * (np.float32(1.0) - alpha)

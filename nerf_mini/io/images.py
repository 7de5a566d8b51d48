"""Image files and the arithmetic of pixels: reading, writing, downscaling, compositing."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_atomically


def read_image(path: Path | str) -> np.ndarray:
    """An image file as uint8 (height, width, 3), or (height, width, 4) with straight alpha.

    Grey and palette images become RGB (RGBA where they carry transparency); 16-bit channels are scaled to 8 bits.

    Raises:
        UserError: the file is missing or no image that can be read.
    """
    from PIL import Image

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such image file.")
    try:
        with Image.open(path) as image:
            image.load()
            return _to_channels(image)
    # Pillow's decoders raise more kinds than they document (SyntaxError for a broken PNG, struct.error, ...).
    except Exception as error:
        raise UserError(f"{path}: cannot be read as an image ({error}). Is the file complete?") from error


def _to_channels(image) -> np.ndarray:
    """A loaded Pillow image of any mode as a uint8 array of 3 or 4 channels."""
    if image.mode.startswith("I"):  # 16-bit grey
        grey = (np.clip(np.asarray(image, np.int64), 0, 65535) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a known range")
    transparent = image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    return np.array(image.convert("RGBA" if transparent else "RGB"))


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
        raise UserError(f"{path}: the suffix {path.suffix!r} names no image format; use .png or .jpg.")
    write_atomically(path, lambda file: Image.fromarray(pixels).save(file, format=image_format))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Quantise float values in [0, 1] to the nearest of 256 levels; values outside are clipped.

    Raises ValueError for other dtypes and for values that are not finite.
    """
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"image values must be uint8 or floating point, not {image.dtype}")
    if not np.isfinite(image).all():
        raise ValueError("the image holds values that are not finite")
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def downscale(image: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of factor x factor pixels: uint8 (H, W, 3|4) -> uint8 (H / factor, W / factor, 3|4).

    Colours are averaged weighted by their alpha (that is, premultiplied), so that whatever colour is stored in
    transparent pixels does not bleed into the edges of objects.

    Raises:
        UserError: the factor is not positive or does not divide both sides; the message lists those that do.
    """
    height, width, channels = image.shape
    if factor < 1 or height % factor or width % factor:
        fitting = [str(f) for f in range(1, min(height, width) + 1) if height % f == 0 and width % f == 0]
        raise UserError(
            f"an image of {width}x{height} pixels cannot be downscaled by {factor}; "
            f"factors that divide both sides: {', '.join(fitting)}."
        )
    if factor == 1:
        return image
    blocks = image.reshape(height // factor, factor, width // factor, factor, channels).astype(np.uint32)
    area = factor * factor
    if channels == 3:
        return _rounded_quotient(blocks.sum(axis=(1, 3)), area)
    alpha = blocks[..., 3:]
    alpha_sum = alpha.sum(axis=(1, 3))  # (H / factor, W / factor, 1)
    color = _rounded_quotient((blocks[..., :3] * alpha).sum(axis=(1, 3)), np.maximum(alpha_sum, 1))
    return np.concatenate([color, _rounded_quotient(alpha_sum, area)], axis=2)


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

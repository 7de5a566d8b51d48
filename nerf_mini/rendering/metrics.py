"""How close a render is to a photograph: PSNR and SSIM, of all pixels or of those in a mask."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_CORRECTION_ROUNDS, _SATURATED = 5, 0.5 / 255


def mse_to_psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of values in [0, 1]: -10 log10(mse), infinite for mse = 0."""
    return -10.0 * math.log10(mse) if mse > 0.0 else math.inf


def decibels(value: float) -> str:
    """A PSNR in dB for people: pictures that are equal to the last bit, whose PSNR is infinite, are "over 99"."""
    if math.isnan(value):
        return "unknown"
    return f"{value:.2f}" if abs(value) <= 99 else "over 99"


def psnr(image: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB of two float arrays of one shape, clipped to [0, 1]; infinite where equal.

    With a mask (H, W) bool, of the pixels where it is true. Raises ValueError where that is nowhere.
    """
    x, y = _clipped(image, target)
    if mask is not None:
        x, y = x[mask], y[mask]
        if not len(x):
            raise ValueError("the mask leaves no pixel to compare")
    return mse_to_psnr(float(np.mean((x - y) ** 2)))


def color_corrected_psnr(image: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    """PSNR after the colours of the image were mapped to those of the target: what is left are errors of structure.

    Both (H, W, 3). Each channel of the target is fitted, by least squares, by a quadratic polynomial of the image's
    three, a few times over, as is usual for pictures whose exposure and white balance are unknown (Barron et al. 2022,
    their published code). Pixels of which one is saturated and the other is not do not count in the fit.
    """
    x, y = (values.reshape(-1, 3) for values in _clipped(image, target))
    if mask is not None:
        x, y = x[mask.reshape(-1)], y[mask.reshape(-1)]

    def end(values):
        """-1, 0 and 1 for dark, usable and bright."""
        return (values > 1 - _SATURATED).astype(np.int8) - (values < _SATURATED)

    for _ in range(_CORRECTION_ROUNDS):
        r, g, b = x.T
        terms = np.column_stack([x, r * r, r * g, r * b, g * g, g * b, b * b, np.ones(len(x))])
        corrected, usable = x.copy(), end(x) == end(y)
        for channel in range(3):
            chosen = terms[usable[:, channel]]
            if len(chosen) >= terms.shape[1]:
                normal, right = chosen.T @ chosen, chosen.T @ y[usable[:, channel], channel]
                corrected[:, channel] = terms @ np.linalg.lstsq(normal, right, rcond=1e-12)[0]
        x = np.clip(corrected, 0.0, 1.0)
    return psnr(x, y)


def ssim(image: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Structural similarity of two float images, 1 where equal (Wang, Bovik, Sheikh and Simoncelli 2004).

    ((2 mu_x mu_y + C1) (2 s_xy + C2)) / ((mu_x^2 + mu_y^2 + C1) (s_x^2 + s_y^2 + C2)), with the means mu, variances s^2
    and covariance s_xy in a Gaussian window (11 pixels, standard deviation 1.5), C1 = 0.01^2 and C2 = 0.03^2 for values
    in [0, 1]; the mean over all windows that lie inside the image and over the channels. Where a side of the image is
    shorter than the window, the window shrinks to the largest odd size that fits.

    Args:
        image, target: (H, W) or (H, W, channels), of one shape, clipped to [0, 1].
        mask: (H, W) bool; only windows in which it is true everywhere count. NaN where there is none.
    """
    x, y = _clipped(image, target)
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x * mean_x
    variance_y = _local_mean(y * y) - mean_y * mean_y
    covariance = _local_mean(x * y) - mean_x * mean_y
    similarity = ((2.0 * mean_x * mean_y + _C1) * (2.0 * covariance + _C2)) / (
        (mean_x * mean_x + mean_y * mean_y + _C1) * (variance_x + variance_y + _C2)
    )
    if mask is not None:
        similarity = similarity[_whole_windows(mask)]
    return float(np.mean(similarity)) if similarity.size else math.nan


def _clipped(image: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 in [0, 1]. Raises ValueError where the shapes differ or the values are integers."""
    image, target = np.asarray(image), np.asarray(target)
    if image.shape != target.shape:
        raise ValueError(f"images of different shapes cannot be compared: {image.shape} and {target.shape}")
    if image.dtype.kind != "f" or target.dtype.kind != "f":
        raise ValueError(f"metrics take floats in [0, 1], not {image.dtype} and {target.dtype}")
    return np.clip(image.astype(np.float64), 0.0, 1.0), np.clip(target.astype(np.float64), 0.0, 1.0)


def _local_mean(values: np.ndarray) -> np.ndarray:
    """Gaussian-weighted mean around the pixels whose window lies inside: (H, W, ...) -> (H - n + 1, W - m + 1, ...)."""
    for axis in (0, 1):
        window = _gaussian_window(values.shape[axis])
        values = sliding_window_view(values, len(window), axis=axis) @ window
    return values


def _whole_windows(mask: np.ndarray) -> np.ndarray:
    """In which windows of `_local_mean` a mask is true everywhere: (H, W) -> (H - n + 1, W - m + 1)."""
    for axis in (0, 1):
        size = len(_gaussian_window(mask.shape[axis]))
        mask = np.all(sliding_window_view(mask, size, axis=axis), axis=-1)
    return mask


def _gaussian_window(side: int) -> np.ndarray:
    """The weights of the window along a side of that many pixels; they sum to 1."""
    size = min(_WINDOW, side - (side + 1) % 2)
    offsets = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    return weights / weights.sum()

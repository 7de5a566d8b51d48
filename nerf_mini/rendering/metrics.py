"""How close a render is to a photograph: PSNR and SSIM."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def mse_to_psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of values in [0, 1]: -10 log10(mse), infinite for mse = 0."""
    return -10.0 * math.log10(mse) if mse > 0.0 else math.inf


def psnr(image: np.ndarray, target: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two float arrays of one shape, clipped to [0, 1]; infinite where equal."""
    x, y = _clipped(image, target)
    return mse_to_psnr(float(np.mean((x - y) ** 2)))


def ssim(image: np.ndarray, target: np.ndarray) -> float:
    """Structural similarity of two float images, 1 where equal (Wang, Bovik, Sheikh and Simoncelli 2004).

    ((2 mu_x mu_y + C1) (2 s_xy + C2)) / ((mu_x^2 + mu_y^2 + C1) (s_x^2 + s_y^2 + C2)), with the means mu, variances s^2
    and covariance s_xy in a Gaussian window (11 pixels, standard deviation 1.5), C1 = 0.01^2 and C2 = 0.03^2 for values
    in [0, 1]; the mean over all windows that lie inside the image and over the channels. Where a side of the image is
    shorter than the window, the window shrinks to the largest odd size that fits.

    Args:
        image, target: (H, W) or (H, W, channels), of one shape, clipped to [0, 1].
    """
    x, y = _clipped(image, target)
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x * mean_x
    variance_y = _local_mean(y * y) - mean_y * mean_y
    covariance = _local_mean(x * y) - mean_x * mean_y
    similarity = ((2.0 * mean_x * mean_y + _C1) * (2.0 * covariance + _C2)) / (
        (mean_x * mean_x + mean_y * mean_y + _C1) * (variance_x + variance_y + _C2)
    )
    return float(np.mean(similarity))


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


def _gaussian_window(side: int) -> np.ndarray:
    """The weights of the window along a side of that many pixels; they sum to 1."""
    size = min(_WINDOW, side - (side + 1) % 2)
    offsets = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    return weights / weights.sum()

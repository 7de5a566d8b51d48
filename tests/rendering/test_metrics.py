"""PSNR and SSIM against closed forms and a direct evaluation of their definitions."""

import math

import numpy as np
import pytest

from nerf_mini.rendering.metrics import color_corrected_psnr, mse_to_psnr, psnr, ssim


def _ssim_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. (2004), window by window, with centred moments and an explicit two-dimensional Gaussian."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2.0 * 1.5**2))
    window /= window.sum()
    values = []
    for channel in range(x.shape[2]):
        for row in range(x.shape[0] - 10):
            for column in range(x.shape[1] - 10):
                a = x[row : row + 11, column : column + 11, channel]
                b = y[row : row + 11, column : column + 11, channel]
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
                covariance = (window * (a - mean_a) * (b - mean_b)).sum()
                luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
                values.append(luminance * (2 * covariance + 9e-4) / (variance_a + variance_b + 9e-4))
    return float(np.mean(values))


def test_psnr_golden_values():
    mse = np.exp(np.linspace(-10.0, 0.0, 64))
    values = [mse_to_psnr(float(value)) for value in mse]
    np.testing.assert_allclose(values, np.linspace(43.42944819032518, 0.0, 64), atol=1e-9)
    np.testing.assert_allclose(10.0 ** (-np.array(values) / 10.0), mse)


def test_psnr_of_images():
    target = np.full((4, 5, 3), 0.5, np.float32)
    assert psnr(target + np.float32(0.25), target) == pytest.approx(-20.0 * math.log10(0.25))
    assert psnr(target, target) == math.inf
    assert psnr(target + 2.0, target) == pytest.approx(-20.0 * math.log10(0.5))  # clipped to 1


@pytest.mark.parametrize("seed", range(3))
def test_ssim_equals_its_definition(seed):
    rng = np.random.default_rng(seed)
    x, noise = rng.random((47, 41, 3)), rng.random((47, 41, 3))
    y = np.clip(0.7 * x + 0.3 * noise, 0.0, 1.0)
    assert ssim(x, y) == pytest.approx(_ssim_by_definition(x, y), abs=1e-10)


def test_ssim_properties():
    rng = np.random.default_rng(7)
    x, y = rng.random((30, 20, 3)), rng.random((30, 20, 3))
    assert ssim(x, x) == pytest.approx(1.0, abs=1e-12)
    assert ssim(x, y) == pytest.approx(ssim(y, x))
    assert ssim(x, y) < ssim(x, 0.5 * x + 0.5 * y) < 1.0
    assert ssim(x[..., 0], y[..., 0]) == pytest.approx(ssim(x[..., :1], y[..., :1]))
    bright, dark = np.full((12, 12, 1), 0.8), np.full((12, 12, 1), 0.4)
    assert ssim(bright, dark) == pytest.approx((2 * 0.32 + 1e-4) / (0.64 + 0.16 + 1e-4))  # constant: luminance alone


def test_ssim_of_images_smaller_than_its_window():
    rng = np.random.default_rng(3)
    for height, width in ((4, 9), (1, 1), (2, 30)):
        x = rng.random((height, width, 3))
        assert ssim(x, x) == pytest.approx(1.0)
        assert -1.0 <= ssim(x, rng.random((height, width, 3))) < 1.0


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_images_that_cannot_be_compared_are_refused(metric):
    with pytest.raises(ValueError, match="different shapes"):
        metric(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match="floats in"):
        metric(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3)))


# -- masks -------------------------------------------------------------------------------------------------------------


def test_a_full_mask_is_none():
    rng = np.random.default_rng(1)
    x, y = rng.random((30, 24, 3)), rng.random((30, 24, 3))
    for metric in (psnr, ssim, color_corrected_psnr):
        assert metric(x, y, np.ones((30, 24), bool)) == pytest.approx(metric(x, y), rel=1e-12)


def test_masked_pixels_do_not_count():
    """Whatever they hold, NaN included."""
    rng = np.random.default_rng(2)
    x, y = rng.random((30, 24, 3)), rng.random((30, 24, 3))
    mask = np.ones((30, 24), bool)
    mask[3:6, 18:] = False
    for metric in (psnr, ssim, color_corrected_psnr):
        found = metric(x, y, mask)
        assert found != pytest.approx(metric(x, y), rel=1e-6)
        for value in (0.0, 1.0, np.nan):
            changed = x.copy()
            changed[~mask] = value
            assert metric(changed, y, mask) == found


def test_ssim_counts_windows_that_lie_in_the_mask():
    """A mask that leaves a rectangle leaves the SSIM of that rectangle; one smaller than a window leaves none."""
    rng = np.random.default_rng(3)
    x, y = rng.random((30, 24, 3)), rng.random((30, 24, 3))
    mask = np.zeros((30, 24), bool)
    mask[4:20, 5:22] = True
    assert ssim(x, y, mask) == pytest.approx(ssim(x[4:20, 5:22], y[4:20, 5:22]), rel=1e-12)
    mask[9] = False
    assert math.isnan(ssim(x, y, mask & (np.arange(24) < 15)))
    with pytest.raises(ValueError, match="no pixel"):
        psnr(x, y, np.zeros((30, 24), bool))


def test_colours_that_differ_by_a_quadratic_map_are_corrected():
    rng = np.random.default_rng(4)
    x = rng.uniform(0.1, 0.9, (20, 20, 3))
    y = np.stack([0.1 + 0.7 * x[..., 0], 0.2 * x[..., 1] + 0.5 * x[..., 2] ** 2, 0.3 + 0.4 * x[..., 0] * x[..., 1]], -1)
    assert color_corrected_psnr(x, y) > 100 > 30 > psnr(x, y)
    assert color_corrected_psnr(x, x) > 100

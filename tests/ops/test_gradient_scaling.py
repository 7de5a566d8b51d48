"""Scaled gradients: values stay as they are, to the bit, and derivatives are multiplied."""

import numpy as np
import pytest

from autodiff import vjp
from nerf_mini.ops import near_camera_factor, scale_gradient


@pytest.mark.parametrize("shape", [(7,), (7, 3), (0,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_value_stays_and_the_derivative_is_scaled(rng, shape, dtype):
    values, factor, g = (rng.standard_normal(s).astype(dtype) for s in (shape, shape[:1], shape))
    found, pullback = vjp(lambda values: scale_gradient(values, factor), values)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == dtype
    np.testing.assert_allclose(pullback(g)[0], (g.T * factor).T, rtol=1e-6)


def test_the_factor_is_one_beyond_the_length_and_quadratic_before():
    t = np.array([0.0, 0.5, 2.0, 9.0], np.float32)
    np.testing.assert_allclose(near_camera_factor(t, 2.0), [0, 1 / 16, 1, 1])
    assert near_camera_factor(t, 2.0).dtype == np.float32
    with pytest.raises(ValueError, match="factor"):
        scale_gradient(np.ones(3), np.ones((3, 1)))

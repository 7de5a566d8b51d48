"""What both fields promise: units, the density alone, and derivatives in every float argument."""

import numpy as np
import pytest

from autodiff import tree, vjp
from nerf_mini.fields import HashGridField, MLPField
from nerf_mini.ops import GridMLPShape, GridShape, MLPShape

GRID = GridShape(levels=2, features=2, log2_entries=6, base=3, finest=5)
FIELDS = [
    MLPField(MLPShape(depth=2, width=6, skip=1, position_frequencies=2, direction_frequencies=1), "softplus"),
    MLPField(MLPShape(depth=1, width=4, skip=None, position_frequencies=1, direction_frequencies=None), "softplus"),
    HashGridField(GRID, GridMLPShape(GRID.width, width=6, bottleneck=3, color_depth=1), unit_length=2.5),
]
fields = pytest.mark.parametrize("field", FIELDS, ids=["mlp", "mlp-without-view", "hash-grid"])


def arguments(field, dtype=np.float64):
    """Parameters, points clear of the grid's faces, directions, and the ray of each sample."""
    rng = np.random.default_rng(5)
    parameters = field.init(rng, dtype)
    if "tables" in parameters:
        parameters["tables"] = rng.standard_normal(parameters["tables"].shape).astype(dtype)
    pool = rng.uniform(0.02, 0.98, 400)
    points = pool[np.all(np.abs(np.outer([3, 5], pool) % 1 - 0.5) < 0.48, axis=0)][:21].reshape(7, 3)
    directions = rng.standard_normal((2, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return parameters, points.astype(dtype), directions.astype(dtype), np.array([0, 0, 0, 1, 1, 1, 1])


@fields
def test_gradients_of_parameters_points_directions_and_noise(field, one_thread):
    parameters, points, directions, ray_index = arguments(field)
    noise = np.linspace(-0.5, 0.5, len(points))

    def call(parameters, points, directions, noise):
        density, color = field(parameters, points, directions, ray_index, noise)
        return np.concatenate([density[:, None], color], axis=1)

    at = parameters, points, directions, noise
    out, pullback = vjp(call, *at)
    rng, h = np.random.default_rng(1), 1e-6
    u, along = rng.standard_normal(out.shape), tree.map_leaves(lambda x: rng.standard_normal(x.shape), at)
    ahead, behind = (call(*tree.map_leaves(lambda x, v, s=s: x + s * h * v, at, along)) for s in (1, -1))
    products = tree.map_leaves(lambda g, v: np.sum(g * v), pullback(u), along)
    slopes = [float(np.sum(u * (ahead - behind))) / (2 * h), float(sum(tree.flatten(products)[0]))]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-6)
    for g in pullback(u)[1:]:
        assert np.any(g) or field.shape.ray_features == 0, "a gradient is missing"


@fields
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_density_alone_is_that_of_the_whole_field(field, dtype):
    parameters, points, directions, ray_index = arguments(field, dtype)
    whole, _ = field(parameters, points, directions, ray_index)
    alone = field.density(parameters)(points)
    assert alone.dtype == whole.dtype == dtype
    np.testing.assert_allclose(alone, whole, rtol=2e-6 if dtype == np.float32 else 1e-13)


def test_density_is_per_scene_unit():
    """The optical depth of a side of the cube does not depend on how long the scene says that it is."""
    short, long = (HashGridField(GRID, GridMLPShape(GRID.width, 6, 3, 1), unit_length=x) for x in (1.0, 10.0))
    args = arguments(short)
    np.testing.assert_allclose(short(*args)[0], 10.0 * long(*args)[0], rtol=1e-12)

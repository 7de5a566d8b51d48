"""The hash encoding and the harmonics, beyond agreement with their references (see tests/nerf/test_fused.py)."""

import numba
import numpy as np
import pytest

from autodiff import vjp
from nerf_mini.ops import GridShape, harmonics_width, hash_grid, spherical_harmonics

SHAPES = [
    GridShape(levels=4, features=2, log2_entries=9, base=4, finest=50),
    GridShape(levels=3, features=4, log2_entries=14, base=3, finest=24),
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=["hashed", "dense"])


def points(count, seed=0):
    return np.random.default_rng(seed).random((count, 3))


def test_a_level_is_dense_while_its_vertices_fit():
    """9^3 = 729 vertices fit in 2^10 entries; 11^3 = 1331 do not."""
    assert GridShape(1, 2, 10, 8, 8).table.tolist() == [[0, 729, 8, 0]]
    assert GridShape(1, 2, 10, 10, 10).table.tolist() == [[0, 1024, 10, 1]]
    assert GridShape(1, 2, 9, 7, 7).table.tolist() == [[0, 512, 7, 0]], "8^3 = 512 fits exactly"


def test_resolutions_grow_geometrically_from_base_to_finest():
    resolutions = GridShape(levels=7, base=16, finest=1024).table[:, 2]
    np.testing.assert_array_equal(resolutions, [16, 32, 64, 128, 256, 512, 1024])


@shapes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_tables_interpolate_to_the_constant(shape, dtype):
    tables = np.full((shape.entries, shape.features), 0.75, dtype)
    corners = np.stack(np.meshgrid([0.0, 0.5, 1.0], [0.0, 1.0], [0.0, 1.0]), -1).reshape(-1, 3)
    found = hash_grid(np.concatenate([points(300), corners]).astype(dtype), tables, shape)
    np.testing.assert_allclose(found, 0.75, rtol=2e-6 if dtype == np.float32 else 1e-14)


def test_a_dense_level_reproduces_a_linear_function_and_its_vertices():
    shape = GridShape(1, 2, 12, 9, 9)
    z, y, x = np.meshgrid(*[np.arange(10) / 9] * 3, indexing="ij")
    tables = np.stack([(1 + 2 * x - y + 3 * z).ravel(), (x * y * z).ravel()], axis=1)
    p = points(200)
    np.testing.assert_allclose(hash_grid(p, tables, shape)[:, 0], 1 + 2 * p[:, 0] - p[:, 1] + 3 * p[:, 2], rtol=1e-12)
    vertices = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    np.testing.assert_allclose(hash_grid(vertices, tables, shape), tables, atol=1e-13)


@shapes
def test_continuous_across_the_faces_of_cells(shape):
    rng = np.random.default_rng(1)
    tables = rng.standard_normal((shape.entries, shape.features))
    for resolution in shape.table[:, 2]:
        p = points(60, seed=resolution)
        axis = np.arange(60) % 3
        p[np.arange(60), axis] = rng.integers(1, resolution, 60) / resolution
        step = np.zeros_like(p)
        step[np.arange(60), axis] = 1e-9
        np.testing.assert_allclose(hash_grid(p - step, tables, shape), hash_grid(p + step, tables, shape), atol=1e-6)


def test_vertices_that_collide_add_their_gradients():
    shape = GridShape(levels=1, features=2, log2_entries=1, base=4, finest=4)
    p = points(50)
    tables = np.zeros((2, 2))
    out, pullback = vjp(lambda tables: hash_grid(p, tables, shape), tables)
    (gradient,) = pullback(np.ones_like(out))
    np.testing.assert_allclose(gradient.sum(axis=0), 50, rtol=1e-12)
    assert np.all(gradient > 0)


@shapes
def test_the_same_bits_for_one_and_two_threads(shape):
    rng = np.random.default_rng(3)
    p, tables = points(3001).astype(np.float32), rng.random((shape.entries, shape.features), np.float32)
    g = rng.random((3001, shape.width), np.float32)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            out, pullback = vjp(lambda tables: hash_grid(p, tables, shape), tables)
            found.append(out.tobytes() + pullback(g)[0].tobytes())
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="hash_grid takes points"):
        hash_grid(np.zeros((3, 2)), np.zeros((SHAPES[0].entries, 2)), SHAPES[0])
    for wrong in ({"features": 3}, {"levels": 0}, {"base": 0}, {"base": 9, "finest": 8}, {"log2_entries": 40}):
        with pytest.raises(ValueError):
            GridShape(**wrong)


def test_harmonics_are_orthonormal():
    """Gauss-Legendre in z and equal steps in the angle integrate products of degree 3 exactly."""
    z, weight = np.polynomial.legendre.leggauss(8)
    angle = 2 * np.pi * np.arange(16) / 16
    radius = np.sqrt(1 - z * z)
    directions = np.stack(
        [radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle), np.broadcast_to(z[:, None], (8, 16))], -1
    )
    h = spherical_harmonics(directions)
    assert h.shape == (8, 16, 16)
    gram = np.einsum("z,zai,zaj->ij", weight * 2 * np.pi / 16, h, h)
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_harmonics_of_lower_degrees_are_the_first_columns(degree):
    directions = np.random.default_rng(0).standard_normal((5, 3))
    few, all_ = spherical_harmonics(directions, degree), spherical_harmonics(directions)
    np.testing.assert_array_equal(few, all_[:, : harmonics_width(degree)])
    with pytest.raises(ValueError, match="degrees"):
        spherical_harmonics(directions, 4)

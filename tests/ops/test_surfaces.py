"""Surface nets: the kernel beside its reference, and surfaces whose area, volume and topology are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.ops.surfaces import Surface, surface_nets, surface_nets_reference


def cut(values: np.ndarray, *places: int) -> list[np.ndarray]:
    return np.split(values, list(places))


def in_one_order(faces: np.ndarray) -> np.ndarray:
    """Faces with their smallest index first, sorted."""
    turned = np.take_along_axis(faces, (np.argmin(faces, axis=1)[:, None] + np.arange(3)) % 3, axis=1)
    return turned[np.lexsort(turned.T)]


def distance_to_ball(n: int, center, radius: float) -> np.ndarray:
    """Positive inside, in units of the lattice."""
    place = np.stack(np.meshgrid(*(np.arange(n),) * 3, indexing="ij"), axis=-1)
    return (radius - np.linalg.norm(place - np.asarray(center), axis=-1)).astype(np.float32)


def area_and_volume(surface: Surface) -> tuple[float, float]:
    a, b, c = (surface.vertices[surface.faces[:, i]].astype(np.float64) for i in range(3))
    doubled = np.cross(b - a, c - a)
    return 0.5 * float(np.linalg.norm(doubled, axis=1).sum()), float((a * doubled).sum() / 6)


def euler_characteristic(surface: Surface) -> int:
    faces = surface.faces
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    return len(np.unique(faces)) - len(edges) + len(faces)


def is_closed(surface: Surface) -> bool:
    """Each edge is gone along as often one way as the other."""
    faces = surface.faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, back = (edges[:, order] @ [len(surface.vertices), 1] for order in ([0, 1], [1, 0]))
    return np.array_equal(np.sort(there), np.sort(back))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(*(st.integers(1, 9),) * 3), st.lists(st.integers(0, 9), max_size=3))
def test_the_kernel_gives_what_the_reference_gives_however_the_lattice_is_cut(seed, shape, places):
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    expected = surface_nets_reference(values, 0.2)
    found = surface_nets(cut(values, *sorted(places)), 0.2)
    np.testing.assert_allclose(found.vertices, expected.vertices, atol=1e-5)
    quads = (len(expected.faces) // 2, 4)  # which diagonal is shorter may differ by rounding, corners may not
    assert quads[0] * 2 == len(found.faces)
    if quads[0]:
        np.testing.assert_array_equal(np.bincount(found.faces.ravel()) > 0, np.bincount(expected.faces.ravel()) > 0)
    np.testing.assert_allclose(area_and_volume(found), area_and_volume(expected), rtol=1e-4, atol=1e-3)


def test_faces_are_those_of_the_reference():
    values = distance_to_ball(20, (9.3, 9.7, 10.1), 6.4)
    found, expected = surface_nets(cut(values, 3, 4, 11), 0.0), surface_nets_reference(values, 0.0)
    np.testing.assert_array_equal(in_one_order(found.faces), in_one_order(expected.faces))


def test_a_ball_is_closed_and_as_large_as_it_is():
    radius = 19.0
    surface = surface_nets([distance_to_ball(48, (23.2, 23.7, 23.5), radius)], 0.0)
    area, volume = area_and_volume(surface)
    assert is_closed(surface) and euler_characteristic(surface) == 2
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)  # positive: faces look outward
    away = np.linalg.norm(surface.vertices - np.array([23.2, 23.7, 23.5]), axis=1)
    assert np.abs(away - radius).max() < 0.05


def test_two_balls_and_a_torus_have_their_topology():
    pair = np.maximum(distance_to_ball(40, (9, 9, 9), 6.5), distance_to_ball(40, (28, 28, 28), 7.5))
    assert euler_characteristic(surface_nets([pair], 0.0)) == 4
    x, y, z = np.meshgrid(*(np.arange(40) - 19.6,) * 3, indexing="ij")
    torus = (5.0 - np.hypot(np.hypot(x, y) - 12.0, z)).astype(np.float32)
    surface = surface_nets([torus], 0.0)
    assert euler_characteristic(surface) == 0 and is_closed(surface)
    assert area_and_volume(surface)[1] == pytest.approx(2 * np.pi**2 * 12 * 25, rel=0.02)


def test_a_plane_is_where_linear_values_reach_the_level_and_open_at_the_border():
    values = np.broadcast_to(np.arange(6, dtype=np.float32)[::-1, None, None], (6, 5, 4)).copy()
    surface = surface_nets([values], 2.25)
    np.testing.assert_allclose(surface.vertices[:, 0], 2.75)
    assert not is_closed(surface)
    normals = np.cross(*(surface.vertices[surface.faces[:, i]] - surface.vertices[surface.faces[:, 0]] for i in (1, 2)))
    assert (normals[:, 0] > 0).all()


@pytest.mark.parametrize("values", [np.zeros((4, 4, 4), np.float32), np.ones((1, 5, 5), np.float32)])
def test_nothing_that_crosses_is_no_surface(values):
    surface = surface_nets([values], 0.5)
    assert surface.vertices.shape == (0, 3) and surface.faces.shape == (0, 3)


def test_no_slab_is_no_surface():
    assert len(surface_nets([], 0.5).faces) == 0

"""Parts, border and normals of triangle meshes."""

import numpy as np
import pytest

from nerf_mini import ops
from nerf_mini.outputs.export.triangle_meshes import TriangleMesh


def ball(n: int, center, radius: float) -> np.ndarray:
    place = np.stack(np.meshgrid(*(np.arange(n),) * 3, indexing="ij"), axis=-1)
    return (radius - np.linalg.norm(place - np.asarray(center), axis=-1)).astype(np.float32)


def two_balls() -> TriangleMesh:
    return TriangleMesh(*ops.surface_nets([np.maximum(ball(40, (9, 9, 9), 3.5), ball(40, (26, 26, 26), 10.2))], 0.0))


def test_two_balls_are_two_parts():
    mesh = two_balls()
    assert len(np.unique(mesh.parts())) == 2
    assert len(np.unique(mesh.large_parts(0.01).parts())) == 2
    large = mesh.large_parts(0.5)
    assert len(np.unique(large.parts())) == 1 and len(large.faces) == len(mesh.large_parts(1.0).faces)
    np.testing.assert_allclose(np.linalg.norm(large.vertices - 26, axis=1), 10.2, atol=0.1)


def test_parts_of_a_long_strip_in_any_order(rng):
    steps = np.arange(2000)
    faces = np.stack([steps, steps + 1, steps + 2], axis=1)
    order = rng.permutation(2002)
    mesh = TriangleMesh(np.zeros((2002, 3)), order[rng.permutation(faces)])
    assert (mesh.parts() == 0).all()
    apart = TriangleMesh(
        mesh.vertices, np.delete(mesh.faces, np.flatnonzero((mesh.faces == order[1000]).any(axis=1)), 0)
    )
    assert len(np.unique(apart.parts())) == 2


def test_of_parts_of_the_same_size_one_is_the_largest():
    mesh = TriangleMesh(np.zeros((6, 3)), np.arange(6).reshape(2, 3))
    assert len(mesh.large_parts(1.0).faces) == 1 and len(mesh.large_parts(0.01).faces) == 2


def test_values_are_carried_on_ring_by_ring():
    strip = TriangleMesh(np.zeros((8, 3)), np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4], [5, 6, 7]]))
    known = np.array([True, True, False, False, False, False, False, False])
    values, found = strip.spread(np.array([[2.0], [4.0], [9], [9], [9], [9], [9], [9]]), known)
    # 2 touches 0 once and 1 twice; 3 touches 1 alone, once; 4 both of these in the next ring
    assert found.tolist() == [True] * 5 + [False] * 3
    np.testing.assert_allclose(values[:2, 0], [2, 4])
    np.testing.assert_allclose(values[2:5, 0], [10 / 3, 4.0, (10 / 3 + 4) / 2])
    assert (values[5:] == 9).all() and not known[2:].any()


def test_a_closed_mesh_has_no_open_edge_and_one_with_a_hole_has_three():
    mesh = two_balls()
    assert mesh.odd_edges() == (0, 0)
    assert mesh.with_faces(np.arange(1, len(mesh.faces))).odd_edges() == (3, 0)


def test_edges_where_surfaces_touch_are_told_as_another_library_tells_them():
    """Surface nets of noise: closed, but with edges that four faces share."""
    trimesh = pytest.importorskip("trimesh")
    values = np.random.default_rng(4).normal(size=(14, 14, 14)).astype(np.float32)
    values[[0, -1]] = values[:, [0, -1]] = values[:, :, [0, -1]] = -1.0
    mesh = TriangleMesh(*ops.surface_nets([values], 0.0))
    open_edges, shared_edges = mesh.odd_edges()
    assert open_edges == 0 and shared_edges > 0
    assert not trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).is_watertight


def test_normals_of_a_ball_point_outward():
    mesh = two_balls().large_parts(1.0)
    outward = (mesh.vertices - 26) / np.linalg.norm(mesh.vertices - 26, axis=1, keepdims=True)
    assert np.sum(mesh.normals() * outward, axis=1).min() > 0.97


def test_no_face_is_no_trouble():
    mesh = TriangleMesh(np.zeros((3, 3)), np.zeros((0, 3), np.int64))
    assert mesh.odd_edges() == (0, 0) and len(mesh.large_parts(0.01).faces) == 0
    assert (mesh.normals() == 0).all() and len(mesh.with_faces(np.zeros(0, bool)).vertices) == 0

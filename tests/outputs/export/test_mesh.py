"""Meshes of fields that are known: their place, their border, their colours, and their files."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from fog import SCALE, TO_CAPTURE, around, soft_ball

from nerf_mini.errors import UserError
from nerf_mini.geometry.crop import Crop
from nerf_mini.outputs.export import ExportRequest, write_export
from nerf_mini.outputs.export.base import CaptureWorld
from nerf_mini.outputs.export.boxes import chosen_box, surface_level
from nerf_mini.outputs.export.lattices import Lattice
from nerf_mini.outputs.export.mesh import ExportTask, surface
from nerf_mini.outputs.export.mesh_files import to_linear, upright_rotation, write_mesh
from nerf_mini.outputs.export.triangle_meshes import TriangleMesh

BALL = (np.array([[0, 0, 0]]) @ TO_CAPTURE[:3, :3].T + TO_CAPTURE[:3, 3])[0]  # its middle in the capture


def hollow(place):
    """A shell around nothing: its inner wall is never seen."""
    away = np.linalg.norm(place, axis=-1)
    return np.where(away > 0.45, soft_ball(0.9)(place), 0.0)


def halves(place):
    """Red above, blue below."""
    return np.where(place[:, 2:] > 0, (0.9, 0.1, 0.1), (0.1, 0.1, 0.9))


@pytest.fixture
def trimesh():
    return pytest.importorskip("trimesh", reason="needs the extra mesh")


def test_a_ball_is_where_it_is_in_its_capture(foggy, trimesh, tmp_path):
    done = write_export(foggy(soft_ball(0.9)), "mesh", ExportRequest(tmp_path / "ball.ply", resolution=48))
    mesh = trimesh.load(tmp_path / "ball.ply", process=False)
    away = np.linalg.norm(mesh.vertices - BALL, axis=1) / SCALE
    record = json.loads((tmp_path / "ball.ply.json").read_text())
    expected = 0.9 - record["level"] * SCALE / 400
    assert abs(np.median(away) - expected) < 0.015 and np.ptp(away) < 0.03
    assert (record["vertices"], record["faces"]) == (len(mesh.vertices), len(mesh.faces))
    assert record["watertight"] and mesh.is_watertight and mesh.volume > 0 and record["parts"] == 1
    assert record["spacing"] == pytest.approx(3 * SCALE / 48) and done.record["bytes"] == done.files[0].stat().st_size
    np.testing.assert_allclose(record["box"]["center"], BALL, atol=1e-6)
    outward = (mesh.vertices - BALL) / np.linalg.norm(mesh.vertices - BALL, axis=1, keepdims=True)
    assert np.sum(mesh.vertex_normals * outward, axis=1).min() > 0.95
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] - np.array([204, 102, 25.5]), 0, atol=2)


def test_the_level_is_the_density_where_light_begins_to_be_lost(foggy):
    """Where density rises by k per length into a ball seen from afar, a ray at the angle a to the normal has lost
    8 % at the depth d of the density k d, when k d^2 / (2 cos a) = -log 0.92; half of the rays have cos a >
    sqrt(1/2)."""
    slope = 20.0
    trainer = foggy(soft_ball(0.9, slope), views=4, samples=600)
    level = surface_level(trainer, Crop.between(np.full(3, -1.5), np.full(3, 1.5)), CaptureWorld(TO_CAPTURE))
    assert level == pytest.approx(np.sqrt(2 * slope * -np.log(0.92) * np.sqrt(0.5)), rel=0.1)


def test_what_no_camera_sees_is_removed_unless_it_is_wanted(foggy, tmp_path):
    pytest.importorskip("trimesh", reason="needs the extra mesh")
    whole = write_export(
        foggy(hollow), "mesh", ExportRequest(tmp_path / "a.stl", resolution=40, keep_unseen=True)
    ).record
    seen = write_export(foggy(hollow), "mesh", ExportRequest(tmp_path / "b.stl", resolution=40)).record
    largest = write_export(
        foggy(hollow), "mesh", ExportRequest(tmp_path / "c.stl", resolution=40, keep_unseen=True, largest=True)
    ).record
    assert whole["parts"] == 2 and whole["watertight"]
    assert seen["parts"] == 1 and seen["faces"] == largest["faces"] < whole["faces"]


def test_colors_are_those_that_cameras_see(foggy, trimesh, tmp_path):
    trainer = foggy(soft_ball(0.9), halves, np.eye(4))
    write_export(trainer, "mesh", ExportRequest(tmp_path / "ball.obj", resolution=40))
    mesh = trimesh.load(tmp_path / "ball.obj", process=False)
    clear = np.abs(mesh.vertices[:, 2]) > 0.25
    expected = 255 * halves(mesh.vertices[clear])
    assert np.abs(mesh.visual.vertex_colors[clear, :3] - expected).mean() < 5


def test_what_lies_behind_forward_facing_cameras_sees_has_the_colours_around(foggy, trimesh, tmp_path, monkeypatch):
    def colors(place):
        """Red where the one camera looks; noise behind, where no picture says what the field is to be."""
        noise = np.random.default_rng(0).random((len(place), 3))
        return np.where((place @ camera > 0)[:, None], (0.9, 0.1, 0.1), noise)

    camera = around(1).poses[0, :3, 3]
    trainer = foggy(soft_ball(0.9), colors, np.eye(4), views=1)
    monkeypatch.setattr(type(trainer.model.region), "croppable", False)
    request = ExportRequest(tmp_path / "ball.ply", resolution=32, keep_unseen=True)
    write_export(trainer, "mesh", request)
    mesh = trimesh.load(tmp_path / "ball.ply", process=False)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3].mean(axis=0), 255 * np.array([0.9, 0.1, 0.1]), atol=8)


def test_a_box_is_given_along_the_axes_of_the_capture(foggy, trimesh, tmp_path):
    low, high = BALL - (3.0, 3.0, 0.0), BALL + (3.0, 3.0, 4.0)  # the upper half
    write_export(foggy(soft_ball(0.9)), "mesh", ExportRequest(tmp_path / "half.ply", resolution=48, box=(*low, *high)))
    mesh = trimesh.load(tmp_path / "half.ply", process=False)
    assert mesh.bounds[0][2] > BALL[2] - 0.2 and not mesh.is_watertight
    np.testing.assert_allclose(mesh.bounds[1] - BALL, 0.89 * SCALE, atol=0.06)


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".obj", ".stl"])
def test_files_hold_what_was_written(suffix, trimesh, tmp_path):
    rng = np.random.default_rng(0)
    sheet = TriangleMesh(rng.normal(size=(40, 3)), np.arange(39).reshape(13, 3), rng.random((40, 3)).astype(np.float32))
    sheet = sheet.with_faces(np.ones(13, bool))
    file = tmp_path / f"sheet{suffix}"
    turn = upright_rotation(np.array([0.0, 0.6, 0.8]))
    write_mesh(file, sheet, turn)
    read = trimesh.load(file, process=False)
    if suffix == ".glb":
        shown, read = read.to_geometry(), next(iter(read.geometry.values()))
        np.testing.assert_allclose(shown.triangles, (sheet.vertices @ turn.T)[sheet.faces], atol=1e-5)
    np.testing.assert_allclose(read.triangles, sheet.vertices[sheet.faces], atol=1e-5)
    if suffix == ".glb":
        colors = read.visual.vertex_attributes["color"][:, :3] / 65535
        np.testing.assert_allclose(colors, to_linear(sheet.colors), atol=1e-4)
    elif suffix != ".stl":
        np.testing.assert_allclose(read.visual.vertex_colors[:, :3], 255 * sheet.colors, atol=1)


def test_gltf_asks_for_no_light(trimesh, tmp_path):
    mesh = TriangleMesh(np.eye(3), np.array([[0, 1, 2]]), np.full((3, 3), 0.5, np.float32))
    write_mesh(tmp_path / "a.glb", mesh, np.eye(3))
    data = (tmp_path / "a.glb").read_bytes()
    tree = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert tree["extensionsUsed"] == ["KHR_materials_unlit"]
    (primitive,) = tree["meshes"][0]["primitives"]
    assert set(primitive["attributes"]) == {"POSITION", "COLOR_0"}
    color = tree["accessors"][primitive["attributes"]["COLOR_0"]]
    assert (color["componentType"], color["type"], color["normalized"]) == (5123, "VEC4", True)
    assert "KHR_materials_unlit" in tree["materials"][primitive["material"]]["extensions"]


def test_whatever_is_up_is_up_in_gltf(rng):
    np.testing.assert_array_equal(upright_rotation(np.array([0, 0.1, 0.995])) @ [1, 2, 3], [1, 3, -2])
    for up in [*rng.normal(size=(20, 3)), (0, 0, -1.0), (0, 1.0, 0), (1.0, 0, 0)]:
        up = np.array(up) / np.linalg.norm(up)
        turn = upright_rotation(up)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
        assert up[2] > 0.95 or turn @ up == pytest.approx(np.array([0, 1, 0]), abs=1e-9)


def test_linear_light_undoes_srgb():
    linear = np.linspace(0, 1, 1001)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(to_linear(srgb), linear, atol=1e-4)


def failing(trainer, tmp_path: Path, **options) -> str:
    pytest.importorskip("trimesh", reason="needs the extra mesh")
    with pytest.raises(UserError) as error:
        write_export(trainer, "mesh", ExportRequest(tmp_path / "out" / "mesh.glb", resolution=24, **options))
    assert not (tmp_path / "out").exists()
    return str(error.value)


def test_an_empty_field_has_no_surface(foggy, tmp_path):
    trainer = foggy(lambda place: np.zeros(len(place)))
    assert "no surface yet" in failing(trainer, tmp_path)
    assert "highest density in it is 0" in failing(trainer, tmp_path, level=5.0)


def test_a_box_without_anything_says_where_there_is_something(foggy, tmp_path):
    message = failing(foggy(soft_ball(0.9), to_capture=np.eye(4)), tmp_path, box=(1.2, 1.2, 1.2, 1.4, 1.4, 1.4))
    assert "between (-0.8" in message and "choose another --box" in message


def test_a_level_above_all_densities_is_refused(foggy, tmp_path):
    message = failing(foggy(soft_ball(0.9)), tmp_path, level=1e4)
    assert "surface of density 1e+04" in message and "highest density in it is 24" in message  # 60 / 2.5


def test_without_the_library_the_extra_is_named(foggy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(UserError, match=r'pip install "nerf-mini\[mesh\]"'):
        write_export(foggy(soft_ball(0.9)), "mesh", ExportRequest(tmp_path / "a.ply"))


def test_a_surface_does_not_depend_on_how_its_lattice_is_cut(foggy, monkeypatch, tmp_path):
    task = ExportTask(foggy(soft_ball(0.9)), ExportRequest(), tmp_path / "a.ply")
    lattice = Lattice.filling(chosen_box(task), 24)
    whole = surface(task, lattice, 20.0)
    monkeypatch.setattr("nerf_mini.outputs.export.lattices.SLAB_BYTES", 1)
    thin = surface(task, lattice, 20.0)
    np.testing.assert_array_equal(whole.vertices, thin.vertices)
    np.testing.assert_array_equal(whole.faces, thin.faces)

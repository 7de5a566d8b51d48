"""Points, cameras and maps of known fields; and what every exporter refuses."""

import json
import re
from os import walk
from pathlib import Path

import numpy as np
import pytest
from fog import SCALE, TO_CAPTURE, around, soft_ball
from PIL import Image

from nerf_mini.errors import UserError
from nerf_mini.geometry.alignment import in_world
from nerf_mini.io.ply import write_ply_points
from nerf_mini.outputs.export import EXPORTERS, ExportRequest, cameras, write_export
from nerf_mini.runs.restoring import load_trainer
from nerf_mini.scenes.readers.ply import read_ply_points

BALL = TO_CAPTURE[:3, 3]


def vertices_of(file: Path) -> np.ndarray:
    """The records of a PLY file with normals and colours."""
    data = file.read_bytes()
    kinds = [*((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")), ("color", "u1", 3)]
    return np.frombuffer(data[data.index(b"end_header\n") + 11 :], kinds)


def test_points_lie_on_the_surface_in_the_capture(foggy, tmp_path):
    done = write_export(foggy(soft_ball(0.9)), "points", ExportRequest(tmp_path / "p.ply", points=1000))
    found = vertices_of(tmp_path / "p.ply")
    places = read_ply_points(tmp_path / "p.ply")
    assert len(found) == len(places) == 1000 == done.record["points"]
    away = np.linalg.norm(places - BALL, axis=1) / SCALE
    assert abs(np.median(away) - 0.88) < 0.01 and away.max() < 0.9
    outward = (places - BALL) / (SCALE * away[:, None])
    normals = np.stack([found[name] for name in ("nx", "ny", "nz")], axis=1)
    assert np.sum(outward * normals, axis=1).min() > 0.99
    np.testing.assert_allclose(found["color"].astype(float), np.tile([204, 102, 25.5], (1000, 1)), atol=2)
    np.testing.assert_allclose(done.record["bounds"], [places.min(axis=0), places.max(axis=0)], atol=1e-5)


def test_points_keep_to_a_box_and_are_the_same_every_time(foggy, tmp_path):
    box = (*(BALL - (3, 3, 0)), *(BALL + 3.0))
    for name in ("a.ply", "b.ply"):
        write_export(foggy(soft_ball(0.9)), "points", ExportRequest(tmp_path / name, points=500, box=box))
    assert read_ply_points(tmp_path / "a.ply")[:, 2].min() >= BALL[2] - 1e-5
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_points_that_cannot_be_had(foggy, tmp_path):
    request = ExportRequest(tmp_path / "p.ply", points=50)
    with pytest.raises(UserError, match="meets anything in the box"):
        write_export(foggy(lambda place: np.zeros(len(place))), "points", request)
    warnings: list[str] = []
    few = foggy(lambda place: np.where(np.linalg.norm(place - [0, 0, 0.9], axis=-1) < 0.07, 200.0, 0.0))
    write_export(few, "points", ExportRequest(tmp_path / "few.ply", points=2000), warn=warnings.append)
    assert len(warnings) == 1 and "points instead of 2000" in warnings[0]
    assert not (tmp_path / "p.ply").exists()


def test_a_ply_file_without_normals(tmp_path, rng):
    places, colors = rng.normal(size=(7, 3)), rng.integers(0, 255, (7, 3)).astype(np.uint8)
    write_ply_points(tmp_path / "a.ply", places, colors)
    np.testing.assert_allclose(read_ply_points(tmp_path / "a.ply"), places, atol=1e-6)
    write_ply_points(tmp_path / "none.ply", places[:0], colors[:0])
    assert read_ply_points(tmp_path / "none.ply").shape == (0, 3)


def test_cameras_stand_in_the_capture(foggy, tmp_path):
    trainer = foggy(soft_ball(0.9), views=5, test=around(2))
    write_export(trainer, "cameras", ExportRequest(tmp_path / "cams"))
    content = json.loads((tmp_path / "cams" / "transforms.json").read_text())
    poses = np.array([frame["transform_matrix"] for frame in content["frames"]])
    expected = [in_world(trainer.cameras.splits[split], TO_CAPTURE).poses for split in ("train", "test")]
    np.testing.assert_allclose(poses, np.concatenate(expected), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1.0)
    assert content["test_filenames"] == ["images/test/0000.png", "images/test/0001.png"]
    lines = (tmp_path / "cams" / "sparse/0/images.txt").read_text().splitlines()
    w, x, y, z, *t = map(float, lines[2].split()[1:8])
    turn = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    np.testing.assert_allclose(-turn.T @ t, poses[0, :3, 3], atol=1e-9)
    assert json.loads((tmp_path / "cams" / "export.json").read_text())["cameras"] == {"train": 5, "test": 2}


def test_cameras_have_the_names_of_their_pictures_where_the_data_is(own_run, blobs, tmp_path):
    write_export(load_trainer(own_run), "cameras", ExportRequest(tmp_path / "cams"))
    content = json.loads((tmp_path / "cams" / "transforms.json").read_text())
    names = [frame["file_path"].removeprefix("images/") for frame in content["frames"]]
    assert len(names) == 13 and all((blobs / name).is_file() for name in names)


def test_pictures_are_looked_for_once_and_not_without_end(own_run, own_blobs, tmp_path, monkeypatch):
    walks = []
    monkeypatch.setattr(cameras.os, "walk", lambda folder: walks.append(folder) or walk(folder))
    (own_blobs / ".cache").mkdir()
    (own_blobs / ".cache" / "r_000.png").write_bytes(b"")
    trainer = load_trainer(own_run, data=own_blobs)
    walks.clear()
    names = cameras.picture_names(trainer.scene, trainer.cameras.splits)
    assert walks == [own_blobs] and all((own_blobs / name).is_file() for split in names.values() for name in split)
    monkeypatch.setattr(cameras, "MOST_FILES", 0)
    assert len(cameras._pictures_in(own_blobs)) <= 1, "one folder, and no more"


def test_files_of_an_earlier_export_are_not_counted(foggy, tmp_path):
    first = write_export(foggy(soft_ball(0.9), views=3), "cameras", ExportRequest(tmp_path / "cams"))
    assert [file.name for file in first.files] == [
        "transforms.json", "cameras.txt", "images.txt", "points3D.txt", "export.json",
    ]  # fmt: skip
    (tmp_path / "cams" / "sparse_pc.ply").write_bytes(b"of another run")
    again = write_export(foggy(soft_ball(0.9), views=3), "cameras", ExportRequest(tmp_path / "cams"))
    assert again.files == first.files and again.record["bytes"] == first.record["bytes"]


def test_a_lens_that_one_format_lacks_is_left_to_the_other(foggy, tmp_path):
    trainer = foggy(soft_ball(0.9), views=3)
    trainer.cameras.train.lens[:] = "fov"
    trainer.cameras.train.lens_parameters[:, 0] = 0.9
    warnings: list[str] = []
    done = write_export(trainer, "cameras", ExportRequest(tmp_path / "cams"), warn=warnings.append)
    assert done.record["formats"] == ["colmap-text"] and "cannot hold the lens 'fov'" in warnings[0]


def test_maps_are_of_the_surface(foggy, tmp_path):
    trainer = foggy(soft_ball(0.9), test=around(2, 48))
    done = write_export(trainer, "maps", ExportRequest(tmp_path / "maps"))
    cameras = in_world(trainer.cameras.splits["test"], TO_CAPTURE)
    for view, entry in enumerate(done.record["views"]):
        steps = np.asarray(Image.open(tmp_path / "maps" / entry["depth"])).astype(np.float64)
        normals = np.asarray(Image.open(tmp_path / "maps" / entry["normal"])) / 127.5 - 1
        rays = cameras.image_rays(view, np.float64)
        offset = rays.origins - BALL
        across = np.sum(offset * rays.directions, axis=1)
        root = across**2 - np.sum(offset**2, axis=1) + (0.885 * SCALE) ** 2
        hit = root > 0.3  # not at the silhouette
        distance = -across - np.sqrt(np.maximum(root, 0))
        places = rays.origins + distance[:, None] * rays.directions
        along = -(rays.directions @ cameras.poses[view, :3, 2]) * distance
        np.testing.assert_allclose(steps.reshape(-1)[hit] * done.record["depth_unit"], along[hit], atol=0.04)
        outward = (places - BALL) / np.linalg.norm(places - BALL, axis=1, keepdims=True)
        assert np.sum(normals.reshape(-1, 3) * outward, axis=1)[root > 1.5].min() > 0.95
        assert (steps.reshape(-1)[root < -0.3] == 0).all() and steps.max() < 65535


def test_maps_of_training_views_at_another_size(foggy, tmp_path):
    done = write_export(
        foggy(soft_ball(0.9), views=2), "maps", ExportRequest(tmp_path / "maps", split="train", scale=0.5)
    )
    assert [entry["size"] for entry in done.record["views"]] == [[16, 16], [16, 16]]
    assert done.files[0].name == "train_000.png"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("meshes", {}, "there is no export 'meshes'; there are mesh, points, cameras, maps"),
        ("points", {"resolution": 64}, "--resolution is for the export of mesh, not for points"),
        ("mesh", {"split": "test"}, "--split is for the export of maps"),
        ("mesh", {"output": Path("a.fbx")}, "can be written as .glb or .ply or .obj or .stl"),
        ("points", {"output": Path("points")}, "can be written as .ply"),
        ("cameras", {"output": Path("transforms.json")}, "name a folder"),
        ("maps", {"split": "val"}, "this run has only train"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, options, message, foggy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        write_export(foggy(soft_ball(0.9), views=2), kind, ExportRequest(**options))
    assert message in str(error.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 4}, "--resolution 4: must be at least 8 and at most 2048"),
        ({"resolution": 10**9}, "at most 2048"),
        ({"level": float("nan")}, "--level nan: must be positive"),
        ({"level": -1.0}, "must be positive"),
        ({"points": 0}, "--points 0: must be at least 1"),
        ({"scale": float("inf")}, "--scale inf"),
        ({"box": (0, 0, 0, 1, 0, 1)}, "x0 < x1"),
        ({"box": (0, 0, 0, 1, float("inf"), 1)}, "must be x0 y0 z0 x1 y1 z1"),
        ({"box": (-1e308, 0, 0, 1e308, 1, 1)}, "from -1e+09 to 1e+09"),
        ({"box": (0, 0, 0, 1, 1, 1e-320)}, "at least 1e-09 wide"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        ExportRequest(**options)


def test_a_folder_in_the_place_of_a_file_and_the_reverse(foggy, tmp_path):
    (tmp_path / "a.ply").mkdir()
    (tmp_path / "b").write_text("")
    trainer = foggy(soft_ball(0.9), views=2)
    with pytest.raises(UserError, match="is a folder; name a file"):
        write_export(trainer, "points", ExportRequest(tmp_path / "a.ply"))
    with pytest.raises(UserError, match="name a folder"):
        write_export(trainer, "maps", ExportRequest(tmp_path / "b"))
    with pytest.raises(UserError, match="cannot be written"):
        write_export(trainer, "points", ExportRequest(tmp_path / "b" / "p.ply", points=10))


def test_exporters_are_named_and_described():
    for kind, exporter in EXPORTERS.items():
        assert exporter.kind == kind and exporter.describes
        assert set(exporter.options) <= set(ExportRequest.__dataclass_fields__)

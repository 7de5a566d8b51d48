"""Polycam's raw data, written here from its description."""

import json
from pathlib import Path

import numpy as np
import pytest
from captures import Capture, make_capture, write_transforms

from nerf_mini.errors import UserError
from nerf_mini.io.images import write_image
from nerf_mini.scenes import load_scene


def write_polycam(folder: Path, capture: Capture, prefix: str = "") -> Path:
    root, (width, height) = folder / "keyframes", capture.size
    for name, image, pose, (fx, fy), (cx, cy) in zip(
        capture.names, capture.images(), capture.poses, capture.focal, capture.center, strict=True
    ):
        values = {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": width, "height": height, "blur_score": 123.4}
        values |= {f"t_{i}{j}": float(np.float32(pose[i, j])) for i in range(3) for j in range(4)}
        cameras, pictures = root / f"{prefix}cameras", root / f"{prefix}images"
        for made in (cameras, pictures):
            made.mkdir(parents=True, exist_ok=True)
        (cameras / f"{Path(name).stem}.json").write_text(json.dumps(values))
        write_image(pictures / name, image)
    return folder


def edit(folder: Path, **changes: object) -> Path:
    file = folder / "keyframes" / "cameras" / "p03.json"
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return file


@pytest.mark.parametrize("shared", [True, False], ids=["one camera", "own cameras"])
def test_the_scene_is_that_of_the_same_cameras_in_transforms(tmp_path, shared):
    capture = make_capture(shared=shared)
    found = load_scene(write_polycam(tmp_path / "polycam", capture))
    wanted = load_scene(write_transforms(tmp_path / "transforms", capture))
    assert found.kind == "polycam" and found.splits["test"].names == ("p00", "p08")
    np.testing.assert_allclose(found.to_capture, wanted.to_capture, atol=1e-5)
    for split in ("train", "test"):
        ours, theirs = found.splits[split], wanted.splits[split]
        assert np.array_equal(ours.pixels, theirs.pixels) and np.array_equal(ours.cameras.size, theirs.cameras.size)
        np.testing.assert_allclose(ours.cameras.poses, theirs.cameras.poses, atol=1e-5)
        np.testing.assert_allclose(ours.cameras.focal, theirs.cameras.focal)
        np.testing.assert_allclose(ours.cameras.center, theirs.cameras.center)


def test_corrected_cameras_come_first_if_they_are_complete(tmp_path):
    write_polycam(tmp_path, make_capture(9))
    write_polycam(tmp_path, make_capture(5), prefix="corrected_")
    assert len(load_scene(tmp_path).splits["train"]) == 4
    (tmp_path / "keyframes" / "corrected_images").rename(tmp_path / "keyframes" / "moved")
    assert len(load_scene(tmp_path).splits["train"]) == 7


def test_cameras_and_pictures_without_the_other_are_named(tmp_path, caplog):
    root = write_polycam(tmp_path, make_capture(9)) / "keyframes"
    (root / "images" / "p01.png").unlink()
    (root / "cameras" / "p02.json").unlink()
    scene = load_scene(tmp_path, test_every=4)
    assert sum(len(views) for views in scene.splits.values()) == 7
    assert "p01.json" in caplog.text and "p02.png" in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fx": None}, "p03.json: the key 'fx' is missing"),
        ({"fx": -1.0}, "p03.json: the focal length along x"),
        ({"t_12": "a"}, "p03.json: 't_12' must be a number"),
        ({"t_00": 7.0}, "p03.json: the 3x3 part of the pose is no rotation"),
        ({"width": 0}, "p03.json: no picture has a width of 0"),
        ({"width": 16, "height": 24}, "p03.json: the picture p03.png has 24x16 pixels"),
        ({"cx": 1e12}, "p03.json: the principal point"),
        ({"t_03": 1e300}, "p03.json: the camera stands at"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, said):
    edit(write_polycam(tmp_path, make_capture()), **changes)
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        load_scene(tmp_path)


def test_files_that_are_no_json_and_folders_that_are_empty(tmp_path):
    root = write_polycam(tmp_path, make_capture()) / "keyframes"
    (root / "cameras" / "p03.json").write_text('{"fx": 1')
    with pytest.raises(UserError, match=r"p03.json: not valid JSON at line 1.*cut off"):
        load_scene(tmp_path)
    for file in (root / "images").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="no picture in images has a camera of the same name in cameras"):
        load_scene(tmp_path)

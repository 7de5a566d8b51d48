"""Damaged captures: every one ends in a sentence that says where, and none in a traceback or a gigabyte."""

import copy
import json
import math
import shutil
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from captures import (
    Capture,
    colmap_bytes,
    colmap_text,
    llff_rows,
    make_capture,
    write_colmap,
    write_llff,
    write_transforms,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.io.images import write_image
from nerf_mini.scenes import load_scene, loading
from nerf_mini.scenes.readers.base import Reader
from nerf_mini.scenes.readers.colmap_files import read_cameras, read_images, read_points
from nerf_mini.scenes.readers.ply import read_ply_points
from nerf_mini.scenes.synthetic import CaptureSettings
from nerf_mini.scenes.synthetic import make_capture as make_synthetic_capture

READ = {"cameras": read_cameras, "images": read_images, "points3D": read_points}
HUGE = struct.pack("<Q", 2**60)
SLOW_FILES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_transforms(tmp_path, make_capture(3))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with three pictures."""
    return write_colmap(tmp_path, _small())


def _small() -> Capture:
    """A model of it has every kind of record, and few bytes."""
    capture = make_capture(3, "radial-tangential", k1=0.05)
    return replace(capture, points=capture.points[:2])


def edit(folder: Path, change) -> None:
    file = folder / "transforms.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_scene(path)
    assert len(str(caught.value)) < 1500
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------------------------
# COLMAP


@pytest.mark.parametrize("part", READ)
def test_binary_files_cut_off_anywhere(model, part):
    file = model / "sparse" / "0" / f"{part}.bin"
    whole = file.read_bytes()
    for kept in range(len(whole)):
        file.write_bytes(whole[:kept])
        with pytest.raises(UserError, match=rf"{part}\.bin"):
            READ[part](file.parent)
    file.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match=f"1 bytes follow the last record, at byte {len(whole)}"):
        READ[part](file.parent)


@pytest.mark.parametrize("part", READ)
def test_numbers_that_lie_allocate_nothing(model, part):
    """2^60 written over every place of a file: refused, or harmless where it is a coordinate; never believed."""
    file = model / "sparse" / "0" / f"{part}.bin"
    whole = file.read_bytes()
    tracemalloc.start()
    for place in range(0, len(whole) - 8):
        file.write_bytes(whole[:place] + HUGE + whole[place + 8 :])
        try:
            READ[part](file.parent)
        except UserError as error:
            assert f"{part}.bin" in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


@pytest.mark.parametrize(("part", "what"), [("cameras", "cameras"), ("images", "images"), ("points3D", "points")])
def test_a_count_beyond_the_end_of_the_file(model, part, what):
    file = model / "sparse" / "0" / f"{part}.bin"
    file.write_bytes(HUGE + file.read_bytes()[8:])
    assert f"{part}.bin: at byte 8: {2**60} {what} of" in refusal(model)


@pytest.mark.parametrize("part", READ)
def test_text_files_cut_off_anywhere(tmp_path, part):
    """A cut within the last number leaves another number: only what is missing can be seen."""
    capture = make_capture(3)
    folder = write_colmap(tmp_path, capture, text=True) / "sparse" / "0"
    whole = colmap_text(capture)[part]
    for kept in range(0, len(whole), 11):
        (folder / f"{part}.txt").write_text(whole[:kept])
        try:
            READ[part](folder)
        except UserError as error:
            assert f"{part}.txt: line " in str(error)


@SLOW_FILES
@given(st.data())
def test_text_files_with_anything_in_them(tmp_path, data):
    part = data.draw(st.sampled_from(list(READ)))
    fields = colmap_text(make_capture(2))[part].split(" ")
    place = data.draw(st.integers(0, len(fields) - 1))
    fields[place] = data.draw(st.sampled_from(["", "nan", "x", "1e999", "-1", str(10**30), "#", "\n", "2.5", "\0"]))
    folder = tmp_path / "text"
    folder.mkdir(exist_ok=True)
    for name, content in colmap_text(make_capture(2)).items():
        (folder / f"{name}.txt").write_text(content)
    (folder / f"{part}.txt").write_text(" ".join(fields))
    try:
        READ[part](folder)
    except UserError as error:
        assert f"{part}.txt" in str(error)


def _with_model(folder: Path, number: int, count: int) -> None:
    cameras = struct.pack("<QIiQQ", 1, 10, number, 24, 16) + struct.pack(f"<{count}d", *[20.0] * count)
    (folder / "sparse" / "0" / "cameras.bin").write_bytes(cameras)


def test_camera_models_without_a_lens_are_refused_by_name(model):
    for number, count, name in ((10, 12, "THIN_PRISM_FISHEYE"), (16, 6, "EUCM"), (12, 4, "DIVISION")):
        _with_model(model, number, count)
        message = refusal(model)
        assert name in message and "colmap image_undistorter" in message and "camera 10" in message
    _with_model(model, 99, 4)
    assert "unknown model 99" in refusal(model)


MODEL_CASES = {
    "no such camera": (lambda t: t[1].__setitem__(0, (*t[1][0][:3], 77, *t[1][0][4:])), "its camera 77 is not"),
    "quaternion zero": (lambda t: t[1][0][1].__imul__(0), "no pose of a camera"),
    "translation nan": (lambda t: t[1][0][2].__imul__(np.nan), "no pose of a camera"),
    "far away": (lambda t: t[1][0][2].__imul__(1e200), "which cannot be"),
    "focal negative": (lambda t: t[0][0][5].__setitem__(0, -1.0), "focal length along x must be positive"),
    "centre nan": (lambda t: t[0][0][5].__setitem__(2, np.nan), "principal point must be finite"),
    "coefficient nan": (lambda t: t[0][0][5].__setitem__(4, np.nan), "coefficient k1 must be finite"),
    "no width": (lambda t: t[0].__setitem__(0, (*t[0][0][:3], 0, 16, t[0][0][5])), "no picture has a width of 0"),
    "name above": (lambda t: t[1].__setitem__(0, (*t[1][0][:4], "../p00.png", [])), "path within the folder"),
    "name absolute": (lambda t: t[1].__setitem__(0, (*t[1][0][:4], "/p00.png", [])), "path within the folder"),
    "no name": (lambda t: t[1].__setitem__(0, (*t[1][0][:4], "", [])), "has no name"),
    "name twice": (lambda t: t[1].__setitem__(0, (*t[1][0][:4], "p00.png", [])), "'p00.png' is there twice"),
    "camera twice": (lambda t: t[0].append(t[0][0]), "camera 10 is there twice"),
    "point nan": (lambda t: t[2][1][1].__imul__(np.nan), "point 107 is at"),
    "no picture": (lambda t: t[1].clear(), "holds none of the 0 pictures"),
}


@pytest.mark.parametrize("case", MODEL_CASES)
def test_bad_models(model, monkeypatch, case):
    import captures

    change, message = MODEL_CASES[case]
    tables = captures.colmap_tables(_small())
    change(tables)
    monkeypatch.setattr(captures, "colmap_tables", lambda capture: tables)
    for part, content in colmap_bytes(None).items():
        (model / "sparse" / "0" / f"{part}.bin").write_bytes(content)
    found = refusal(model)
    assert message in found and str(model) in found


def test_pictures_without_a_pose_and_poses_without_a_picture(model, caplog):
    write_image(model / "images" / "extra.png", np.zeros((16, 24, 3), np.uint8))
    (model / "images" / "p01.png").unlink()
    scene = load_scene(model)
    assert sum(map(len, scene.splits.values())) == 2
    assert "1 pictures of the model are not there: p01.png" in caplog.text
    assert "1 of 3 pictures have no pose" in caplog.text and "extra.png" in caplog.text
    shutil.rmtree(model / "images")
    (model / "images").mkdir()
    assert "holds none of the 3 pictures of the model" in refusal(model)


# ----------------------------------------------------------------------------------------------------------------------
# transforms.json

POSE = np.eye(4)
JSON_CASES = {
    "no frames": (lambda c: c.pop("frames"), "'frames' must hold"),
    "frame of text": (lambda c: c["frames"].append("x"), "frame 3 lacks the key 'file_path'"),
    "no pose": (lambda c: c["frames"][1].pop("transform_matrix"), "frame 1 lacks the key 'transform_matrix'"),
    "pose scaled": (lambda c: c["frames"][1].update(transform_matrix=(2 * POSE).tolist()), r"frame 1 \(images/p01"),
    "pose huge": (
        lambda c: c["frames"][1].update(transform_matrix=[[1, 0, 0, 10**400], *POSE[1:].tolist()]), "frame 1 .*numbers",
    ),
    "pose far": (lambda c: c["frames"][1]["transform_matrix"][0].__setitem__(3, 1e300), "frame 1 .*which cannot be"),
    "picture missing": (lambda c: c["frames"][1].update(file_path="images/x.png"), "frame 1: there is no image .*x"),
    "picture of nothing": (lambda c: c["frames"][1].update(file_path="\0"), "frame 1: there is no image"),
    "picture is a folder": (lambda c: c["frames"][1].update(file_path="images"), "frame 1: there is no image"),
    "picture elsewhere": (lambda c: c["frames"][1].update(file_path="/no/where.png"), "frame 1: there is no image"),
    "picture above": (lambda c: c["frames"][1].update(file_path="../../no.png"), "frame 1: there is no image"),
    "picture twice": (lambda c: c["frames"][1].update(file_path="images/p00.png"), "same picture: images/p00.png"),
    "mask missing": (lambda c: c["frames"][1].update(mask_path="m.png"), "frame 1 .*there is no mask 'm.png'"),
    "mask of number": (lambda c: c["frames"][1].update(mask_path=3), "frame 1 .*'mask_path' must be text"),
    "other model": (lambda c: c.update(camera_model="FISHEYE624"), "'camera_model' 'FISHEYE624' is not supported"),
    "model of list": (lambda c: c.update(camera_model=["OPENCV"]), "'camera_model' .* is not supported"),
    "rolling shutter": (lambda c: c.update(rolling_shutter=[0, 0, 1, 0]), "'rolling_shutter' is not supported"),
    "ftheta": (lambda c: c.update(ftheta_p0=0.1), "'ftheta_p0' is not supported"),
    "latlong": (lambda c: c.update(latlong=True), "'latlong' is not supported"),
    "two poses": (lambda c: c["frames"][1].update(transform_matrix_start=POSE.tolist()), "'transform_matrix_start'"),
    "k1 of text": (lambda c: c.update(k1="0.1"), "'k1' must be a number"),
    "coefficients short": (lambda c: c.update(distortion_params=[1, 2]), "list of 6 numbers"),
    "coefficients odd": (lambda c: c.update(distortion_params=[0, 0, None, 0, 0, 0]), "'distortion_params': k3 must"),
    "width zero": (lambda c: c.update(w=0), "no picture has a width of 0"),
    "width negative": (lambda c: c.update(w=-24), "no picture has a width of -24"),
    "width huge": (lambda c: c.update(w=1e300), "no picture has a width of 1e"),
    "other size": (lambda c: c.update(w=48), "p0..png has 24x16 pixels, but its camera is for 48x16"),
    "focal zero": (lambda c: c.update(fl_x=0), "'fl_x' must be positive, not 0"),
    "focal nan": (lambda c: c.update(fl_y=math.nan), "'fl_y' must be a number, not nan"),
    "x_fov wide": (lambda c: c.update(x_fov=180), "'x_fov' is 180; a field of view lies between 0 and 180 degrees"),
    "aabb_scale": (lambda c: c.update(aabb_scale=3), "power of two from 1 to 128, not 3"),
    "near far": (lambda c: c.update(near=3, far=2), "near 3.0 and far 2.0"),
    "near below": (lambda c: c.update(near=-3), "'near' must not be negative"),
    "crop radius": (lambda c: c.update(fisheye_crop_radius=-1), "'fisheye_crop_radius' must be positive"),
    "ply of number": (lambda c: c.update(ply_file_path=1), "'ply_file_path' must be text"),
    "lists of text": (lambda c: c.update(train_filenames="all"), "'train_filenames' must be a list of file paths"),
    "lists empty": (lambda c: c.update(train_filenames=[]), "leaves no picture to train on"),
}  # fmt: skip


@pytest.mark.parametrize("case", JSON_CASES)
def test_bad_transforms(folder, case):
    change, message = JSON_CASES[case]
    edit(folder, change)
    with pytest.raises(UserError, match=message) as caught:
        load_scene(folder)
    assert str(folder / "transforms.json") in str(caught.value)


def test_a_bad_applied_transform(folder, model):
    for value in ("x", [1, 2], [[1, 0, 0, 0]] * 3, np.eye(4).tolist() * 2, {"a": 1}):
        edit(folder, lambda content, value=value: content.update(applied_transform=value))
        assert "transforms.json: 'applied_transform'" in refusal(folder)


JUNK = st.sampled_from(
    [
        None,
        True,
        False,
        "",
        "x",
        "../..",
        [],
        [[]],
        {},
        {"a": 1},
        -1,
        0,
        3,
        2**70,
        10**400,
        0.5,
        1e308,
        math.nan,
        math.inf,
    ]
)


def _leaves(value: object, path: tuple = ()) -> list[tuple]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, child in children for leaf in _leaves(child, (*path, key)))]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_anything_anywhere_in_transforms(folder, data):
    """A value of the file is replaced: what comes is a scene without NaN, or a sentence that names the file."""
    file = folder / "transforms.json"
    good = json.loads((folder / "good.json").read_text()) if (folder / "good.json").exists() else None
    if good is None:
        good = json.loads(file.read_text())
        good |= {"k1": 0.01, "aabb_scale": 4, "applied_scale": 1.0, "train_filenames": ["images/p00.png"], "near": 0.5}
        good["frames"][0] |= {"mask_path": "images/p00.png", "fl_x": 20.0}
        (folder / "good.json").write_text(json.dumps(good))
    bad = copy.deepcopy(good)
    path = data.draw(st.sampled_from(_leaves(bad)[1:]))
    target = bad
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(JUNK)
    file.write_text(json.dumps(bad))
    try:
        scene = load_scene(folder)
    except UserError as error:
        named = folder if "nothing to train on" in str(error) else file  # masks and lens are of all files together
        assert str(named) in str(error) and len(str(error)) < 1500
        return
    for cameras in scene.cameras.splits.values():
        assert all(np.isfinite(a).all() for a in (cameras.poses, cameras.focal, cameras.center, cameras.near))


def test_nesting_without_end(folder):
    (folder / "transforms.json").write_text('{"frames": ' + "[" * 100_000)
    assert "transforms.json" in refusal(folder)
    (folder / "transforms.json").write_text('{"frames": ' + "[" * 500 + "]" * 500 + "}")
    assert "transforms.json" in refusal(folder)


# ----------------------------------------------------------------------------------------------------------------------
# LLFF, PLY, pictures


@pytest.mark.parametrize("kept", [0, 5, 9, 60, 127, 128, 300, -1])
def test_poses_that_were_cut_off(tmp_path, kept):
    folder = write_llff(tmp_path, make_capture(3))
    file = folder / "poses_bounds.npy"
    file.write_bytes(file.read_bytes()[:kept])
    assert "poses_bounds.npy" in refusal(folder)


def test_poses_that_are_none(tmp_path):
    folder = write_llff(tmp_path, make_capture(3))
    file, good = folder / "poses_bounds.npy", llff_rows(make_capture(3))

    def changed(column: int, value: float) -> np.ndarray:
        rows = good.copy()
        rows[1, column] = value
        return rows

    for rows, message in (
        (good[:, :15], r"array of numbers of \(views, 17\), not \(3, 15\)"),
        (good[:0], "views, 17"),
        (good.astype(str), "views, 17"),
        (good.astype(complex), "views, 17"),
        (good[:2], r"has 2 rows, but .*images holds 3 pictures: p00.png, p01.png, p02.png"),
        (changed(3, np.nan), "row 1 holds values that are not finite"),
        (changed(15, -1.0), r"row 1 \(p01.png\): near -1"),
        (changed(16, 0.1), r"row 1 \(p01.png\): near 1.5 and far 0.1"),
        (changed(0, 3.0), r"row 1 \(p01.png\): the 3x3 part of the pose is no rotation"),
        (changed(14, 0.0), r"row 1 \(p01.png\): the focal length along x"),
        (changed(4, -16.0), r"row 1 \(p01.png\): no picture has a height"),
        (changed(9, 70.0), r"row 1 \(p01.png\): the picture p01.png has 24x16 pixels, but its camera is for 70x16"),
    ):
        np.save(file, rows)
        with pytest.raises(UserError, match=message):
            load_scene(folder)
    np.save(file, np.array([[None] * 17], object), allow_pickle=True)
    assert "poses_bounds.npy" in refusal(folder)
    shutil.rmtree(folder / "images")
    np.save(file, good)
    assert "there are no pictures in images" in refusal(folder)


def test_a_header_that_lies_about_its_array(tmp_path):
    folder = write_llff(tmp_path, make_capture(3))
    file = folder / "poses_bounds.npy"
    file.write_bytes(file.read_bytes().replace(b"(3, 17), }         ", b"(2000000000000, 17), }"[:19]))
    assert "poses_bounds.npy" in refusal(folder)


BAD_PLY = [
    b"", b"ply", b"ply\nend_header", b"ply\nformat ascii 1.0\nend_header\n",
    b"ply\nformat ascii 1.0\nelement face 1\nproperty float x\nend_header\n",
    b"ply\nformat ascii 1.0\nelement vertex -1\nend_header\n",
    b"ply\nformat ascii 1.0\nelement vertex 2\nproperty list uchar int x\nend_header\n",
    b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nend_header\n1 2\n1 2\n",
    b"ply\nformat ascii 1.0\nelement vertex 999999999999999\n" + b"".join(b"property float %c\n" % c for c in b"xyz")
    + b"end_header\n1 2 3\n",
    b"ply\nformat ascii 1.0\nelement vertex 1\n" + b"".join(b"property float %c\n" % c for c in b"xyz")
    + b"end_header\n1 nan 3\n",
    b"ply\nformat odd 1.0\nelement vertex 1\n" + b"".join(b"property float %c\n" % c for c in b"xyz")
    + b"end_header\n1 2 3\n",
    b"ply\nformat ascii 1.0\nelement vertex 1\n" + b"".join(b"property float %c\n" % c for c in b"xyz")
    + b"end_header\n1 x 3\n",
    b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999999999999\n"
    + b"".join(b"property double %c\n" % c for c in b"xyz") + b"end_header\n" + b"\0" * 24,
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_PLY)
def test_bad_ply_files(tmp_path, content):
    (tmp_path / "points.ply").write_bytes(content)
    with pytest.raises(UserError, match=r"points\.ply"):
        read_ply_points(tmp_path / "points.ply")


def test_pictures_that_are_none(folder):
    file = folder / "images" / "p01.png"
    whole = file.read_bytes()
    for content in (b"", whole[:20], whole[: len(whole) // 2], b"GIF89a"):
        file.write_bytes(content)
        message = refusal(folder)
        assert "frame 1 (images/p01.png)" in message and "cannot be read as an image" in message


# ----------------------------------------------------------------------------------------------------------------------
# Readers of other packages


class Point:
    """An entry point."""

    def __init__(self, name: str, value: object) -> None:
        self.name, self.value, self.loaded = name, f"somewhere:{name}", value

    def load(self) -> object:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def _plug_in(monkeypatch, *points: Point) -> None:
    monkeypatch.setattr(loading, "entry_points", lambda group: points if group == "nerf_mini.readers" else ())


def _fails(request):
    raise ZeroDivisionError("one by zero")


def test_other_packages_may_add_readers(monkeypatch, tmp_path, folder, caplog):
    scene = load_scene(folder)
    mine = Reader("mine", "a file mine.txt", lambda path: (path / "mine.txt").is_file(), lambda request: scene)
    _plug_in(
        monkeypatch, Point("broken", ImportError("no such module")), Point("text", "no reader"), Point("mine", mine)
    )
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").touch()
    assert load_scene(other) is scene
    assert "the reader 'broken' (somewhere:broken) cannot be loaded: ImportError: no such module" in caplog.text
    assert "the reader 'text' (somewhere:text) is no nerf_mini.scenes.readers.base.Reader, but str" in caplog.text
    (other / "mine.txt").unlink()
    assert "; a file mine.txt." in refusal(other)


def test_readers_that_are_built_in_come_first(monkeypatch, folder):
    _plug_in(monkeypatch, Point("greedy", Reader("greedy", "anything", lambda path: True, _fails)))
    assert load_scene(folder).kind == "transforms"


def test_a_reader_that_fails_is_named(monkeypatch, tmp_path):
    for reader in (
        Reader("bad", "anything", lambda path: True, _fails),
        Reader("bad", "anything", _fails, _fails),
        Reader("bad", "anything", lambda path: True, lambda request: None),
    ):
        _plug_in(monkeypatch, Point("bad", reader))
        message = refusal(tmp_path)
        assert "the reader 'bad' (somewhere:bad)" in message
        assert "ZeroDivisionError: one by zero" in message or "gave no scene, but NoneType" in message


@pytest.mark.parametrize("instead", ["circle", "folder", "device"])
def test_a_picture_of_an_llff_capture_that_is_no_file_is_missed(tmp_path, instead):
    folder = make_synthetic_capture("garden", tmp_path / "llff", CaptureSettings(size=16, views=4, format="llff"))
    picture = folder / "images" / "IMG_0002.png"
    picture.unlink()
    if instead == "folder":
        picture.mkdir()
    else:
        picture.symlink_to(picture if instead == "circle" else "/dev/zero")
    with pytest.raises(UserError, match=r"has 4 rows, but .* holds 3 pictures"):
        load_scene(folder)


@pytest.mark.parametrize("place", ["nan", "1e308", "-1e10"])
def test_a_feature_beyond_any_picture_is_refused(tmp_path, place):
    file = write_colmap(tmp_path, make_capture(2), text=True) / "sparse" / "0" / "images.txt"
    lines = file.read_text().split("\n")
    lines[2] = f"{place} {lines[2].partition(' ')[2]}"  # the features of the first picture
    file.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"images.txt: line 2: a feature is at \[.*\], which is beyond any picture"):
        load_scene(tmp_path)

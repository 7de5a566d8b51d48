"""Writers of captures. Files are read here by a few lines of their own: a known point must land on its known pixel."""

import json
import struct

import numpy as np
import pytest

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.unit_quaternions import quaternions
from nerf_mini.scenes.scene import Observations, SparsePoints
from nerf_mini.scenes.writers import WRITERS, Capture
from nerf_mini.scenes.writers.colmap import write_colmap

K = (0.11, -0.06, 0.004, -0.003)  # k1, k2, p1, p2
NAMES = ("a 1.png", "b.jpg", "sub/c.png")
POINTS = np.array([[0.1, -0.2, 0.3], [-0.5, 0.4, 0.1], [0.2, 0.6, -0.4], [0.0, 0.0, 0.0]])


def cameras(lens: str = "radial-tangential", parameters=K, one: bool = False) -> Cameras:
    """Three cameras that turn about all axes; they share their intrinsics, or do not."""
    poses = np.stack(
        [
            look_at((3.0, 1.0, 2.0), (0.0, 0.1, 0.0), (0.2, 0.3, 0.9)),
            look_at((-1.0, 3.2, 1.0), (0.2, 0.0, 0.0), (-1.0, 0.1, 0.4)),
            look_at((0.5, -3.0, -2.5), (0.0, 0.0, 0.2), (0.0, 0.9, -0.5)),
        ]
    )
    if one:
        return Cameras.make(poses, (60, 40), 50.0, lens=lens, lens_parameters=parameters)
    return Cameras.make(
        poses, [(60, 40), (60, 40), (30, 50)], [(50.0, 52.0), (50.0, 52.0), (44.0, 45.0)],
        [(31.0, 19.0), (31.0, 19.0), (14.0, 27.0)], lens=lens, lens_parameters=parameters,
    )  # fmt: skip


def capture(of: Cameras, **settings) -> Capture:
    """With points, all but the last of which every camera sees, exactly where they are."""
    view, point = (grid.ravel() for grid in np.meshgrid(np.arange(3), np.arange(3), indexing="ij"))
    place = of.project(POINTS[point], view)
    seen = Observations(point, view[::-1].copy(), place, NAMES[::-1], of.size[::-1])
    return Capture(of, NAMES, SparsePoints(POINTS, np.array([3, 3, 3, 0]), seen), **settings)


def landed(right: float, down: float, ahead: float, values: dict, lens: str = "perspective") -> list[float]:
    """By hand: the pixel of a place in a camera's coordinates."""
    x, y = right / ahead, down / ahead
    k1, k2, p1, p2 = (values.get(key, 0.0) for key in ("k1", "k2", "p1", "p2"))
    r2 = x * x + y * y
    if lens == "fisheye":
        theta = np.arctan2(np.hypot(right, down), ahead)
        radial = theta / np.hypot(right, down) * (1 + values["k1"] * theta**2 + values["k2"] * theta**4)
        x, y = right * radial, down * radial
    else:
        radial = 1 + k1 * r2 + k2 * r2 * r2
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
        )
    return [values["fl_x"] * x + values["cx"], values["fl_y"] * y + values["cy"]]


def assert_lands(folder_pixel, of: Cameras) -> None:
    """A function of view and point, from a file alone, against the cameras."""
    for view in range(3):
        for point in POINTS:
            np.testing.assert_allclose(folder_pixel(view, point), of.project(point[None], [view])[0], atol=1e-9)


def in_opengl_camera(pose, point) -> tuple[float, float, float]:
    """Right, down and ahead of a camera-to-world matrix with OpenGL axes."""
    matrix = np.array(pose)
    right, up, back = matrix[:3, :3].T @ (point - matrix[:3, 3])
    return right, -up, -back


# ----------------------------------------------------------------------------------------------------------------------
# Where points land


@pytest.mark.parametrize("kind", ["nerfstudio", "instant-ngp"])
@pytest.mark.parametrize("lens", ["pinhole", "radial-tangential", "fisheye"])
def test_transforms_files(kind, lens, tmp_path):
    of = cameras(lens, () if lens == "pinhole" else K if lens == "radial-tangential" else (0.1, -0.05))
    WRITERS[kind].write(tmp_path, capture(of))
    content = json.loads((tmp_path / "transforms.json").read_text())
    assert [frame["file_path"] for frame in content["frames"]] == [f"images/{name}" for name in NAMES]

    def pixel(view, point):
        values = {**content, **content["frames"][view]}
        place = in_opengl_camera(values["transform_matrix"], point)
        fisheye = values.get("is_fisheye") or values.get("camera_model") == "OPENCV_FISHEYE"
        return landed(*place, values, "fisheye" if fisheye else "perspective")

    assert_lands(pixel, of)
    assert [({**content, **frame})["w"] for frame in content["frames"]] == [60, 60, 30]


def test_cameras_that_are_the_same_are_said_once(tmp_path):
    WRITERS["nerfstudio"].write(tmp_path, capture(cameras(one=True), held_out=(NAMES[1],), masked=True))
    content = json.loads((tmp_path / "transforms.json").read_text())
    assert content["camera_model"] == "OPENCV" and content["fl_x"] == 50.0 and content["k2"] == K[1]
    assert set(content["frames"][0]) == {"file_path", "transform_matrix", "mask_path"}
    assert content["frames"][2]["mask_path"] == "masks/sub/c.png.png"
    assert content["train_filenames"] == ["images/a 1.png", "images/sub/c.png"]
    assert content["val_filenames"] == content["test_filenames"] == ["images/b.jpg"]


def test_sparse_points_as_a_ply_file(tmp_path):
    WRITERS["nerfstudio"].write(tmp_path, capture(cameras()))
    content = json.loads((tmp_path / "transforms.json").read_text())
    head, _, body = (tmp_path / content["ply_file_path"]).read_bytes().partition(b"end_header\n")
    assert b"element vertex 4" in head
    found = [struct.unpack_from("<3f3B", body, 15 * index) for index in range(4)]
    assert len(body) == 60
    np.testing.assert_allclose([values[:3] for values in found], POINTS, atol=1e-7)


def test_the_unit_cube_of_instant_ngp(tmp_path):
    """scale p + offset: what the cameras look at in its middle, half of the cameras within half a unit."""
    WRITERS["instant-ngp"].write(tmp_path, capture(cameras()))
    content = json.loads((tmp_path / "transforms.json").read_text())
    places = [np.array(f["transform_matrix"])[:3, 3] * content["scale"] + content["offset"] for f in content["frames"]]
    assert np.median(np.linalg.norm(np.array(places) - 0.5, axis=1)) == pytest.approx(0.5)
    assert content["aabb_scale"] in [2**k for k in range(8)]


def test_poses_bounds(tmp_path):
    of = cameras("pinhole", (), one=True)
    points = SparsePoints(POINTS, np.zeros(4, np.int64))
    WRITERS["llff"].write(tmp_path, Capture(of, ("b.png", "c.png", "a.png"), points))
    rows = np.load(tmp_path / "poses_bounds.npy")
    assert rows.shape == (3, 17) and rows.dtype == np.float64
    for row, view in zip(rows, (2, 0, 1), strict=True):  # in the order of the names
        down, right, back, position, (height, width, focal) = row[:15].reshape(3, 5).T
        assert (height, width, focal) == (40, 60, 50.0)
        for point in POINTS:
            offset = point - position
            ahead = -back @ offset
            pixel = [width / 2 + focal * (right @ offset) / ahead, height / 2 + focal * (down @ offset) / ahead]
            np.testing.assert_allclose(pixel, of.project(point[None], [view])[0], atol=1e-9)
            assert row[15] <= ahead * 1.01 and ahead <= row[16] * 1.01


def _rotation(w, x, y, z):
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


OPENCV = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")


def test_a_colmap_model_as_text(tmp_path):
    of = cameras()
    WRITERS["colmap-text"].write(tmp_path, capture(of))
    lines = {
        part: [line for line in (tmp_path / f"sparse/0/{part}.txt").read_text().split("\n") if not line.startswith("#")]
        for part in ("cameras", "images", "points3D")
    }
    models = {line.split()[0]: line.split()[1:] for line in lines["cameras"] if line}
    assert len(models) == 2  # two pictures share one
    heads = [line.split(" ", 9) for line in lines["images"][0:6:2]]
    assert [head[9] for head in heads] == list(NAMES)

    def pixel(view, point):
        numbers = list(map(float, heads[view][1:8]))
        model, *values = models[heads[view][8]]
        assert model == "OPENCV"
        place = _rotation(*numbers[:4]) @ point + numbers[4:]
        return landed(*place, dict(zip(OPENCV, map(float, values[2:]), strict=True)))

    assert_lands(pixel, of)
    for view, line in enumerate(lines["images"][1:6:2]):
        numbers = list(map(float, line.split()))
        for x, y, point in zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True):
            np.testing.assert_allclose([x, y], of.project(POINTS[None, int(point) - 1], [view])[0], atol=1e-9)
    for number, line in enumerate(line for line in lines["points3D"] if line):
        values = line.split()
        assert int(values[0]) == number + 1
        np.testing.assert_array_equal([float(v) for v in values[1:4]], POINTS[number])
        track = list(map(int, values[8:]))
        assert sorted(track[0::2]) == ([1, 2, 3] if number < 3 else [])
        for image, feature in zip(track[0::2], track[1::2], strict=True):
            assert int(lines["images"][2 * image - 1].split()[3 * feature + 2]) == number + 1
        assert float(values[7]) == pytest.approx(0.0 if number < 3 else -1.0, abs=1e-9)


def test_a_binary_colmap_model_says_the_same_as_text(tmp_path):
    of = capture(cameras())
    write_colmap(tmp_path / "t", of, text=True)
    write_colmap(tmp_path / "b", of)
    text = {part: (tmp_path / f"t/sparse/0/{part}.txt").read_text() for part in ("cameras", "images", "points3D")}
    data = (tmp_path / "b/sparse/0/cameras.bin").read_bytes()
    assert struct.unpack_from("<Q", data) == (2,) and len(data) == 8 + 2 * (24 + 8 * 8)
    first = struct.unpack_from("<IiQQ8d", data, 8)
    assert first[:4] == (1, 4, 60, 40)
    assert list(first[4:]) == [float(value) for value in text["cameras"].split("\n")[1].split()[4:]]
    data, offset = (tmp_path / "b/sparse/0/images.bin").read_bytes(), 8
    lines = [line for line in text["images"].split("\n") if not line.startswith("#")]
    for view in range(3):
        values = struct.unpack_from("<I7dI", data, offset)
        end = data.index(b"\0", offset + 64)
        assert data[offset + 64 : end].decode() == NAMES[view]
        assert [float(v) for v in lines[2 * view].split(" ", 9)[:9]] == list(values)
        (count,) = struct.unpack_from("<Q", data, end + 1)
        features = [struct.unpack_from("<ddQ", data, end + 9 + 24 * i) for i in range(count)]
        assert [float(v) for v in lines[2 * view + 1].split()] == [v for feature in features for v in feature]
        offset = end + 9 + 24 * count
    assert offset == len(data)
    data, offset = (tmp_path / "b/sparse/0/points3D.bin").read_bytes(), 8
    for line in text["points3D"].split("\n")[1:5]:
        *values, count = struct.unpack_from("<Q3d3BdQ", data, offset)
        track = struct.unpack_from(f"<{2 * count}I", data, offset + 51)
        assert [float(v) for v in line.split()] == [*values, *track]
        offset += 51 + 8 * count
    assert offset == len(data)


def test_other_lenses_in_a_colmap_model(tmp_path):
    for index, (lens, parameters, line) in enumerate(
        [
            ("pinhole", (), "1 PINHOLE 60 40 50.0 50.0 30.0 20.0"),
            ("fov", (0.7,), "1 FOV 60 40 50.0 50.0 30.0 20.0 0.7"),
            ("fisheye", (0.1, 0.2, 0.3, 0.4), "1 OPENCV_FISHEYE 60 40 50.0 50.0 30.0 20.0 0.1 0.2 0.3 0.4"),
            (
                "radial-tangential",
                (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
                "1 FULL_OPENCV 60 40 50.0 50.0 30.0 20.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8",
            ),
        ]
    ):
        WRITERS["colmap-text"].write(tmp_path / str(index), Capture(cameras(lens, parameters, one=True), NAMES))
        assert (tmp_path / str(index) / "sparse/0/cameras.txt").read_text().split("\n")[1] == line
    panorama = Cameras.make(np.eye(4), (60, 30), (60 / (2 * np.pi), 30 / np.pi), lens="equirectangular")
    WRITERS["colmap-text"].write(tmp_path, Capture(panorama, NAMES[:1]))
    assert "1 EQUIRECTANGULAR 60 30 60.0 30.0" in (tmp_path / "sparse/0/cameras.txt").read_text()


def test_quaternions_of_half_turns_and_of_none():
    turns = np.array([np.diag(signs) for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))], float)
    np.testing.assert_allclose(np.abs(quaternions(turns)), np.eye(4), atol=1e-12)
    rng = np.random.default_rng(0)
    given = rng.normal(size=(50, 4))
    given /= np.linalg.norm(given, axis=1, keepdims=True) * np.sign(given[:, :1])
    np.testing.assert_allclose(quaternions(np.array([_rotation(*q) for q in given])), given, atol=1e-12)


# ----------------------------------------------------------------------------------------------------------------------
# What a format cannot hold


@pytest.mark.parametrize(
    ("kind", "of", "message"),
    [
        ("llff", cameras(), "cannot hold the lens 'radial-tangential', only pinhole"),
        ("llff", cameras("pinhole", ()), "square pixels and a centred principal point"),
        ("llff", cameras("pinhole", (), one=True), "needs sparse points, or near and far"),
        ("nerfstudio", cameras("radial-tangential", (0.1, 0, 0, 0, 0, 0.2)), "k4, k5 or k6"),
        ("instant-ngp", cameras("radial-tangential", (0.1, 0, 0, 0, 0.3)), "lens parameter k3"),
        ("instant-ngp", cameras("equirectangular", ()), "cannot hold the lens 'equirectangular'"),
        ("nerfstudio", cameras(["pinhole", "fisheye", "pinhole"], ()), "one kind of lens"),
        ("colmap", cameras("radial-polynomial", ()), "cannot hold the lens 'radial-polynomial'"),
        ("colmap", cameras("equirectangular", ()), "cannot hold the lens 'equirectangular'"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(kind, of, message, tmp_path):
    with pytest.raises(UserError, match=message):
        WRITERS[kind].write(tmp_path, Capture(of, NAMES))
    assert not any(tmp_path.iterdir())


def test_names_must_be_those_of_pictures():
    with pytest.raises(ValueError, match="cannot have 2 names"):
        Capture(cameras(), NAMES[:2])
    with pytest.raises(ValueError, match="unknown, or there twice: \\['x'\\]"):
        Capture(cameras(), NAMES, held_out=("x",))
    with pytest.raises(ValueError, match="there twice"):
        Capture(cameras(), (NAMES[0],) * 3)

"""Camera paths: files read and written, and what is said of bad ones."""

import json

import numpy as np
import pytest

from nerf_mini.errors import UserError
from nerf_mini.geometry.crop import Crop
from nerf_mini.geometry.keyframes import Keyframes
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.outputs.camera_paths import CameraPath, read_camera_path, read_transform, write_camera_path


def _path(crop=None):
    poses = np.stack([look_at((3 * np.cos(a), 3 * np.sin(a), 1), (0, 0, 0)) for a in (0.0, 1.0, 2.0)])
    path = CameraPath.through(Keyframes(poses, np.array([0.6, 0.7, 0.8]), True), (64, 48), 2.0, 5.0)
    return CameraPath(path.poses, path.fields_of_view, (64, 48), 2.0, crop, (1.0, 0.2, 0.4), path.keyframes)


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.4, -0.3, 2.0), (0.0, np.pi / 2, 0.0), (0.5, -np.pi / 2, 0.3)])
def test_what_is_written_is_read(tmp_path, turn):
    rotation = np.linalg.multi_dot([rigid_motion(np.eye(6)[axis] * turn[axis])[:3, :3] for axis in (2, 1, 0)])
    path = _path(Crop(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]), rotation))
    write_camera_path(tmp_path / "film.json", path)
    read = read_camera_path(tmp_path / "film.json")
    np.testing.assert_allclose(read.poses, path.poses)
    np.testing.assert_allclose(read.fields_of_view, path.fields_of_view)
    np.testing.assert_allclose(read.keyframes.poses, path.keyframes.poses)
    np.testing.assert_allclose(read.crop.turn, rotation, atol=1e-9)
    assert (read.size, read.seconds, read.keyframes.loop, read.background) == ((64, 48), 2.0, True, (1.0, 0.2, 0.4))
    assert read.frames_per_second == 5.0


def test_a_file_of_the_field_is_read(tmp_path):
    """Keys as nerfstudio's viewer writes them; keyframes of the add-on of Blender are text, and passed over."""
    pose = look_at((0.0, -1.0, 0.5), (0.0, 0.0, 0.0))
    frame = {"camera_to_world": pose.reshape(-1).tolist(), "fov": 50, "aspect": 1.0, "render_time": 0.5}
    content = {
        "default_fov": 50, "default_transition_sec": 2.0, "camera_type": "perspective", "render_height": 1080,
        "render_width": 1920, "fps": 30, "seconds": 0.1, "is_cycle": False, "smoothness_value": 0.5,
        "keyframes": [{"matrix": "[1,0,0,0]", "fov": 50}], "camera_path": [frame, frame, frame], "crop": None,
    }  # fmt: skip
    (tmp_path / "film.json").write_text(json.dumps(content))
    path = read_camera_path(tmp_path / "film.json")
    assert path.size == (1920, 1080) and len(path.poses) == 3 and path.keyframes is None and path.crop is None
    np.testing.assert_allclose(path.poses[1], pose)
    np.testing.assert_allclose(np.degrees(path.fields_of_view), 50)


def test_a_path_goes_to_another_world_and_back():
    similarity = 2.5 * rigid_motion(np.array([0.3, -0.2, 0.7, 1.0, 2.0, 3.0]))
    similarity[3] = 0, 0, 0, 1
    path = _path(Crop(np.zeros(3), np.ones(3)))
    there = path.in_world(similarity)
    turns = there.poses[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.tile(np.eye(3), (10, 1, 1)), atol=1e-12)
    expected = path.poses[:, :3, 3] @ similarity[:3, :3].T + similarity[:3, 3]
    np.testing.assert_allclose(there.poses[:, :3, 3], expected, atol=1e-12)
    back = there.in_world(np.linalg.inv(similarity))
    np.testing.assert_allclose(back.poses, path.poses, atol=1e-12)
    np.testing.assert_allclose(back.keyframes.poses, path.keyframes.poses, atol=1e-12)
    np.testing.assert_allclose(back.crop.sides, 1.0)


def test_the_transform_of_nerfstudio_is_a_similarity(tmp_path):
    file, motion = tmp_path / "dataparser_transforms.json", rigid_motion(np.array([0.1, 0.2, 0.3, 1.0, 2.0, 3.0]))
    file.write_text(json.dumps({"transform": motion[:3].tolist(), "scale": 0.25}))
    np.testing.assert_allclose(read_transform(file)[:3], 0.25 * motion[:3])
    far = [[1, 0, 0, 1e300], [0, 1, 0, 0], [0, 0, 1, 0]]
    for transform in ([[1, 2], 3, 4], [1, 2, 3], far, None):
        content = {"transform": transform, "scale": 1}
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match="transform"):
            read_transform(file)


_BAD = {
    "camera_type": ["fisheye", 3],
    "camera_path": [None, [], [3], {}, [{}], "x"],
    "render_width": [None, 0, -3, 1.5, 1e300, "64", True],
    "render_height": [10**400],
    "seconds": [0, None, -1, 1e30, float("nan")],
    "crop": [3, {"crop_center": [0, 0]}, {"crop_center": [0, 0, 0], "crop_scale": [0, 1, 1]}],
}


@pytest.mark.parametrize("key, value", [(key, value) for key, values in _BAD.items() for value in values])
def test_a_damaged_path_is_a_sentence(tmp_path, key, value):
    content = {**_path().to_json(), key: value}
    (tmp_path / "film.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="film") as error:
        read_camera_path(tmp_path / "film.json")
    assert len(str(error.value)) < 300 + len(str(tmp_path))


FAR = [1, 0, 0, 1e10, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("matrix", [None, [1.0] * 15, [0.0] * 16, ["a"] * 16, [1e300] * 16, "text", [None] * 16, FAR])
def test_a_frame_that_is_no_camera_is_named(tmp_path, matrix):
    content = _path().to_json()
    content["camera_path"][7]["camera_to_world"] = matrix
    (tmp_path / "film.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"camera_path\[7\]"):
        read_camera_path(tmp_path / "film.json")

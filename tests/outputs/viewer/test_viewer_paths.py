"""Camera paths of the page are kept in the coordinates of the data set, and come back as they were."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from nerf_mini.errors import UserError
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.outputs.camera_paths import read_camera_path
from nerf_mini.outputs.viewer.paths import PathFolder
from nerf_mini.runs.folder import open_run

KEYS = [
    {"pose": look_at((4 * np.cos(a), 4 * np.sin(a), 1.0), (0, 0, 0)).reshape(-1).tolist(), "fov": 0.6 + 0.1 * a}
    for a in (0.0, 1.0, 2.0)
]
PATH = {"keyframes": KEYS, "loop": False, "seconds": 2.0, "frames_per_second": 10.0, "width": 64, "height": 48}


@pytest.fixture
def folder(own_run):
    run = open_run(own_run)
    similarity = rigid_motion(np.array([0.3, -0.2, 0.9, 5.0, 6.0, 7.0]))
    similarity[:3, :3] *= 2.5
    return PathFolder(replace(run, cameras=replace(run.cameras, to_capture=similarity)))


def test_a_preview_passes_through_the_keyframes(folder):
    shown = folder.preview(PATH)
    assert len(shown["poses"]) == len(shown["fov"]) == 20
    for place, key in ((0, 0), (-1, 2)):
        np.testing.assert_allclose(shown["poses"][place], KEYS[key]["pose"], atol=1e-9)
        assert shown["fov"][place] == pytest.approx(KEYS[key]["fov"])
    json.dumps(shown, allow_nan=False)


def test_a_kept_path_comes_back_and_lies_in_the_world_of_the_data(folder):
    told = folder.write("round", PATH)
    assert folder.names() == ["round"] and told["file"].endswith("round.json")
    assert "--path" in told["command"] and told["file"] in told["command"]
    found = folder.read("round")
    assert {name: found[name] for name in ("loop", "width", "height", "name")} == {
        "loop": False, "width": 64, "height": 48, "name": "round",
    }  # fmt: skip
    assert found["seconds"] == pytest.approx(2.0) and found["frames_per_second"] == pytest.approx(10.0)
    for back, key in zip(found["keyframes"], KEYS, strict=True):
        np.testing.assert_allclose(back["pose"], key["pose"], atol=1e-9)
        assert back["fov"] == pytest.approx(key["fov"])
    written = read_camera_path(folder.run.path / "paths" / "round.json")
    place = folder.run.cameras.to_capture @ [*np.reshape(KEYS[0]["pose"], (4, 4))[:3, 3], 1.0]
    np.testing.assert_allclose(written.poses[0][:3, 3], place[:3])


def test_a_path_without_keyframes_shows_some_of_its_frames(folder):
    told = folder.write("plain", {**PATH, "frames_per_second": 60.0})
    with open(told["file"]) as file:
        content = json.load(file)
    del content["keyframes"]
    with open(told["file"], "w") as file:
        json.dump(content, file)
    keys = folder.read("plain")["keyframes"]
    assert 2 <= len(keys) <= 24
    np.testing.assert_allclose(keys[0]["pose"], KEYS[0]["pose"], atol=1e-9)


def test_a_path_that_is_not_there_or_damaged(folder):
    assert folder.read("nothing") is None and folder.names() == []
    (folder.run.path / "paths").mkdir()
    (folder.run.path / "paths" / "bad.json").write_text('{"camera_path": 3')
    with pytest.raises(UserError, match=r"bad\.json"):
        folder.read("bad")


@pytest.mark.parametrize("name", ["", "a/b", "../config", "a.json", "x" * 41, "ä", "a\n"])
def test_names_are_no_paths(folder, name):
    for call in (lambda: folder.read(name), lambda: folder.write(name, PATH)):
        with pytest.raises(UserError, match="names of paths"):
            call()


@pytest.mark.parametrize("name", ["con", "NUL", "Aux", "com1", "LPT9"])
def test_devices_of_windows_are_no_names(folder, name):
    with pytest.raises(UserError, match="names of paths"):
        folder.write(name, PATH)
    assert folder.names() == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"keyframes": []}, "keyframes"), ({"keyframes": [3]}, "keyframes"), ({"keyframes": KEYS * 70}, "keyframes"),
     ({"keyframes": [{"pose": KEYS[0]["pose"]}]}, "fov"), ({"keyframes": [{"fov": 1.0}]}, "pose"),
     ({"loop": 1}, "loop"),
     ({"seconds": 0}, "seconds"), ({"seconds": 1e9}, "seconds"), ({"frames_per_second": None}, "frames_per_second"),
     ({"seconds": 600, "frames_per_second": 60}, "frames"), ({"width": 0}, "width"), ({"height": 1e9}, "height")],
)  # fmt: skip
def test_what_makes_no_sense_is_named(folder, changes, says):
    with pytest.raises(UserError, match=says):
        folder.write("wrong", {**PATH, **changes})
    assert folder.names() == []


def test_a_run_that_is_gone_is_not_made_again(folder):
    shutil.rmtree(folder.run.path)
    with pytest.raises(UserError, match="is gone"):
        folder.write("late", PATH)
    assert folder.names() == [] and folder.read("late") is None and not folder.run.path.exists()

"""What a page sends: accepted where it makes sense, and answered by a sentence where not, whatever it is."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.geometry.poses import look_at
from nerf_mini.outputs.viewer.requests import LOSSLESS, parse_action, parse_frame, parse_object

POSE = look_at((1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
GOOD = {
    "client": "a", "seq": 3, "pose": POSE.reshape(-1).tolist(), "width": 40, "height": 30, "fov": 0.7,
    "shading": "depth", "quality": 90, "final": True, "antialias": True, "background": [0, 0.5, 1],
    "crop": {"center": [0, 1, 2], "sides": [1, 2, 3]},
}  # fmt: skip


def parsed(cameras=5, **changes):
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return parse_frame(parse_object(json.dumps(body).encode()), cameras)


def test_a_request_says_all_that_a_frame_needs():
    request = parsed()
    assert (request.client, request.seq, request.width, request.height) == ("a", 3, 40, 30)
    np.testing.assert_array_equal(request.pose, POSE)
    assert (request.fov, request.shading, request.quality, request.final) == (0.7, "depth", 90, True)
    assert request.antialias and not parsed(antialias=...).antialias
    np.testing.assert_array_equal(request.crop.center, [0, 1, 2])
    np.testing.assert_array_equal(request.crop.sides, [1, 2, 3])
    assert request.background == (0.0, 0.5, 1.0) and request.camera is None


def test_what_may_be_left_out_may():
    request = parsed(shading=..., quality=..., final=..., crop=..., background=...)
    assert (request.shading, request.final, request.crop, request.background) == ("color", False, None, None)
    assert parsed(crop=None, background=None).crop is None


def test_a_camera_of_the_data_set_stands_for_pose_and_fov():
    request = parsed(camera=4, pose=..., fov=..., quality=LOSSLESS)
    assert request.camera == 4 and request.pose is None


def swapped(row):
    return np.vstack([np.roll(POSE[:3], 1, axis=0) * row, POSE[3:]]).reshape(-1).tolist()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client": ...}, "client"), ({"client": ""}, "client"), ({"client": "x" * 41}, "client"),
        ({"client": 3}, "client"),
        ({"seq": -1}, "seq"), ({"seq": 1.5}, "seq"), ({"seq": True}, "seq"), ({"seq": 10**400}, "seq"),
        ({"width": 0}, "width"), ({"width": 2049}, "width"), ({"height": "30"}, "height"), ({"height": ...}, "height"),
        ({"fov": 0.0}, "fov"), ({"fov": 3.2}, "fov"), ({"fov": None}, "fov"), ({"fov": 10**400}, "fov"),
        ({"pose": [0.0] * 16}, "pose"), ({"pose": [1.0] * 15}, "pose"), ({"pose": "x"}, "pose"),
        ({"pose": ...}, "pose"),
        ({"pose": (2 * POSE).reshape(-1).tolist()}, "pose"), ({"pose": swapped(-1.0)}, "mirror"),
        ({"pose": look_at((1e7, 0, 0), (0, 0, 0)).reshape(-1).tolist()}, "further"),
        ({"shading": "colour"}, "shading"), ({"shading": ["color"]}, "shading"),
        ({"quality": 0}, "quality"), ({"quality": 101}, "quality"), ({"final": 1}, "final"),
        ({"antialias": 1}, "antialias"),
        ({"crop": []}, "crop"), ({"crop": {"center": [0, 0, 0], "sides": [1, 0, 1]}}, "crop"),
        ({"crop": {"center": [0, 0], "sides": [1, 1, 1]}}, "center"), ({"crop": {"center": [0, 0, 0]}}, "sides"),
        ({"background": [0, 0, 2]}, "background"), ({"background": "white"}, "background"),
        ({"camera": 5}, "camera"), ({"camera": -1}, "camera"), ({"camera": True}, "camera"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(changes, says):
    with pytest.raises(UserError, match=says) as error:
        parsed(**changes)
    assert len(str(error.value)) < 300, "however long what was sent"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"{", b"\xff\xfe", b'{"seq": NaN}', b'{"seq": -Infinity}', b"[" * 50000, b'{"a": 1e}']
)
def test_what_is_no_object_is_refused(body):
    with pytest.raises(UserError):
        parse_object(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "camera"]), VALUES))
def test_nothing_but_a_sentence_comes_of_nonsense(changes):
    try:
        parse_frame({**GOOD, **changes}, 3)
    except UserError:
        pass


def test_actions_are_those_there_are():
    assert parse_action({"action": "save"}) == "save"
    for wrong in ({}, {"action": "stop"}, {"action": ["pause"]}):
        with pytest.raises(UserError, match="pause, resume, save"):
            parse_action(wrong)

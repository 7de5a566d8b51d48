"""cameras.json: what is written is read, and whatever else is in it is refused in a sentence."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.runs.cameras import from_json, to_json
from nerf_mini.scenes import SceneCameras

POSES = np.stack([look_at((3.0, index, 1.0), (0.0, 0.0, 0.0)) for index in range(3)])
CAMERAS = SceneCameras(
    {
        "train": Cameras.make(
            POSES, [(16, 12), (20, 10), (8, 8)], [(20.0, 21.0), (30.0, 31.0), (9.0, 9.5)],
            near=[1.0, 2.0, 3.0], far=9.0, lens=["pinhole", "radial-tangential", "pinhole"],
            lens_parameters=[[0.0, 0.0], [0.1, -0.02], [0.0, 0.0]],
        ),
        "test": Cameras.make(POSES[:1], (16, 16), 20.0, near=1.0, far=5.0),
    },
    (0.25, 0.5, 1.0),
)  # fmt: skip
HONEST = json.loads(json.dumps(to_json(CAMERAS)))


def test_what_is_written_is_read():
    found = from_json(HONEST, "cameras.json")
    assert found.background == CAMERAS.background and found.splits.keys() == CAMERAS.splits.keys()
    for split, wanted in CAMERAS.splits.items():
        for name, value in vars(wanted).items():
            np.testing.assert_array_equal(getattr(found.splits[split], name), value, err_msg=name)


def test_a_file_with_fewer_lens_parameters_is_read():
    """A later version may know a lens with more."""
    content = copy.deepcopy(HONEST)
    content["splits"]["test"]["lens_parameters"] = [[]]
    found = from_json(content, "x").splits["test"].lens_parameters
    np.testing.assert_array_equal(found, np.zeros_like(CAMERAS.train.lens_parameters[:1]))


def changed(key, value, split="train"):
    content = copy.deepcopy(HONEST)
    content["splits"][split][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({**HONEST, "background": [0, 0, 2]}, "'background' is .*colour in"),
        ({**HONEST, "background": "white"}, "'background'"),
        ({**HONEST, "to_capture": np.zeros((4, 4)).tolist()}, "'to_capture' scales by 0"),
        ({**HONEST, "to_capture": np.diag([1e200, 1e200, 1e200, 1]).tolist()}, "'to_capture' scales by 1e.*200"),
        ({**HONEST, "to_capture": np.diag([2.0, 2.0, -2.0, 1]).tolist()}, "'to_capture': .* mirrors"),
        ({**HONEST, "to_capture": np.diag([2.0, 3.0, 2.0, 1]).tolist()}, "'to_capture': .* no rotation"),
        ({**HONEST, "splits": {"test": HONEST["splits"]["test"]}}, "'splits'.*'train'"),
        ({**HONEST, "splits": {**HONEST["splits"], "other": {}}}, "'splits'"),
        ({**HONEST, "splits": []}, "'splits'"),
        ({**HONEST, "splits": {"train": 3}}, "'splits.train': must be an object"),
        (changed("focal", [[1, 1], [1, 0], [1, 1]]), "'splits.train': 'focal' must be from 1e-06"),
        (changed("focal", [[1, 1], [1, 5e-324], [1, 1]]), "'focal' must be from 1e-06"),
        (changed("center", [[1, 1], [1, -1e308], [1, 1]]), "'center' is too far away"),
        (changed("size", [[16, 10**9]] * 3), "'size'.*whole numbers of pixels, at most"),
        (changed("far", [9, 9, 1e308]), r"'far' must be at most 1e.15"),
        (changed("lens_parameters", [[1e300]] * 3), "'lens_parameters' must be at most"),
        ({**HONEST, "space": {"kind": "box", "center": [0, 0, 1e200], "radius": 1}}, "'center' is further than"),
        ({**HONEST, "space": {"kind": "box", "center": [0, 0, 0], "radius": 5e-324}}, "'radius' is 5e-324"),
        (changed("focal", [[1, 1]]), r"'focal' is .*shape \(3, 2\)"),
        (changed("focal", [[1, 1], [1], [1, 1]]), "'focal'"),
        (changed("focal", [["1", "1"]] * 3), "'focal'.*numbers"),
        (changed("focal", [[True, True]] * 3), "'focal'.*numbers"),
        (changed("center", [[1, float("nan")]] * 3), "'center' holds values that are not finite"),
        (changed("size", [[16, 0.5]] * 3), "'size'.*whole numbers"),
        (changed("size", [[16, 0]] * 3), "'size'.*whole numbers"),
        (changed("near", [1, 2, 9]), "0 <= 'near' < 'far'"),
        (changed("near", [-1, 2, 3]), "0 <= 'near' < 'far'"),
        (changed("far", [None, 9, 9]), "'far'"),
        (changed("lens", ["pinhole", "magic", "pinhole"]), "'lens' is .*pinhole, "),
        (changed("lens", "pinhole"), "'lens'"),
        (changed("lens", [[], [], []]), "'lens'"),
        (changed("lens_parameters", [[0.0] * 99] * 3), "'lens_parameters' are too many"),
        (changed("poses", []), "'poses' must be a list of at least one"),
        (changed("poses", [np.eye(4).tolist(), (2 * np.eye(4)).tolist(), np.eye(4).tolist()]), "train': camera 1"),
        (changed("poses", ["x" * 9999] * 3), "camera 0"),
    ],
)
def test_what_is_no_camera_is_refused_by_name(content, named):
    with pytest.raises(UserError, match=f"cameras.json: .*{named}|cameras.json: {named}") as raised:
        from_json(content, "cameras.json")
    assert len(str(raised.value)) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@given(data=st.data())
def test_whatever_is_put_into_it_the_file_is_read_or_refused(data):
    content = copy.deepcopy(HONEST)
    place = content
    for _ in range(data.draw(st.integers(0, 4))):
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
    place[data.draw(st.sampled_from(keys))] = data.draw(VALUES)
    try:
        from_json(content, "cameras.json")
    except UserError as error:
        assert str(error).startswith("cameras.json: ")

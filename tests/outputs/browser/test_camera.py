"""The mathematics of the page's camera, against closed forms and NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watching import PATIENCE

from nerf_mini.geometry.poses import look_at

START = {"pose": look_at((3.0, -2.0, 1.0), (0.2, 0.1, -0.3), (0, 0, 1)).ravel().tolist(), "target": [0.2, 0.1, -0.3]}
START |= {"up": [0, 0, 1], "radius": 4.0}
CAMERA = """async ([start, moves, point]) => {
    const { Camera } = await import("/assets/camera.js");
    const camera = new Camera(start, 0.8);
    for (const [name, ...values] of moves) camera[name](...values);
    const { pose, target, distance } = camera;
    return { pose, target, distance, seen: camera.projection(640, 480)(point) };
}"""
FLIGHT = """async ([start, pose, share]) => {
    const { Camera } = await import("/assets/camera.js");
    const camera = new Camera(start, 0.8);
    camera.flight(pose, 1.2)(share);
    return [camera.pose, camera.fov];
}"""
angles = st.floats(-3.0, 3.0)


@pytest.fixture(scope="module")
def page(browser, server):
    """The server's page, of which only a module is wanted."""
    page = browser.new_page()
    page.set_default_timeout(1e3 * PATIENCE)
    page.goto(server.url + "assets/camera.js")
    yield page
    page.close()


def moved(page, *moves, point=(0, 0, 0)):
    return page.evaluate(CAMERA, [START, list(moves), list(point)])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(angles, angles), max_size=6), st.floats(0.3, 3.0))
def test_turning_and_zooming_keep_the_target(page, turns, factor):
    camera = moved(page, *(["orbit", *turn] for turn in turns), ["zoom", factor])
    pose = np.reshape(camera["pose"], (4, 4))
    np.testing.assert_allclose(camera["target"], START["target"], atol=1e-9)
    np.testing.assert_allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) > 0
    distance = np.linalg.norm(np.subtract(START["pose"][3::4][:3], START["target"]))
    np.testing.assert_allclose(camera["distance"], factor * distance, rtol=1e-9)
    assert abs(pose[2, 2]) <= np.sin(1.55) + 1e-9  # never straight up or down
    assert abs(pose[2, 0]) < 1e-9  # the horizon stays level


def test_a_rolled_camera_settles_level(page):
    c, s = np.cos(0.4), np.sin(0.4)
    rolled = np.reshape(START["pose"], (4, 4)) @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    camera = moved(page, ["place", rolled.ravel().tolist()], *[["orbit", 0.01, 0.0]] * 120)
    assert abs(camera["pose"][8]) < 1e-3


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-2.0, 2.0)] * 3))
def test_points_are_projected_as_numpy_does(page, point):
    camera = moved(page, ["orbit", 0.4, -0.2], ["pan", 0.1, 0.05], ["walk", 0.1, 0.2, -0.3], point=point)
    x, y, z = (np.linalg.inv(np.reshape(camera["pose"], (4, 4))) @ [*point, 1.0])[:3]
    focal = 240 / np.tan(0.4)
    if z < -0.01:
        np.testing.assert_allclose(camera["seen"], [320 - focal * x / z, 240 + focal * y / z, -z], rtol=1e-7, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-4.0, 4.0)] * 3), angles)
def test_flights_begin_here_and_end_there(page, eye, roll):
    c, s = np.cos(roll), np.sin(roll)
    up = (s, 0.1, c)
    pose = look_at(eye, (5.0, 4.5, 0.5), up)
    start, _ = page.evaluate(FLIGHT, [START, pose.ravel().tolist(), 0])
    half, fov = page.evaluate(FLIGHT, [START, pose.ravel().tolist(), 0.5])
    end, last = page.evaluate(FLIGHT, [START, pose.ravel().tolist(), 1])
    np.testing.assert_allclose(start, START["pose"], atol=1e-9)
    np.testing.assert_array_equal(end, pose.ravel())
    assert fov == pytest.approx(1.0) and last == 1.2
    turn = np.reshape(half, (4, 4))[:3, :3]
    np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-9)
    first, second = (np.trace(turn.T @ np.reshape(p, (4, 4))[:3, :3]) for p in (START["pose"], pose.ravel()))
    np.testing.assert_allclose(first, second, atol=1e-6)  # halfway: as far from either

"""Lenses: there and back, closed forms, where images end, and derivatives, at the optical axis too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff import check_grads, jacobian
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.lenses import LENSES

seeds = st.integers(0, 2**32 - 1)
names = pytest.mark.parametrize("name", LENSES)


def parameters_of(name: str, seed: int, size: float = 0.15) -> np.ndarray:
    """Random parameters, the tangential ones of the size that lenses have."""
    lens = LENSES[name]
    values = np.random.default_rng(seed).uniform(-size, size, len(lens.parameters))
    return values * [0.1 if key.startswith("p") else 1.0 for key in lens.parameters]


def disc(count: int, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Random places within a distance from the middle: (count, 2)."""
    angle, distance = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.random(count))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def nearly_folding(lens, parameters: np.ndarray) -> float:
    """The angle from the axis from which on the image hardly grows, for a lens without p1 and p2."""
    angle = np.linspace(0.0, 1.5, 3000)
    landing = lens.project(np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1), parameters)[:, 0]
    slow = ~(np.diff(landing) * np.cos(angle[1:]) ** 2 > 0.02 * angle[1])  # in the measure of the plane
    return angle[slow.argmax()] if slow.any() else np.inf


def distance_of(places: np.ndarray) -> np.ndarray:
    return np.linalg.norm(places, axis=-1)


# ----------------------------------------------------------------------------------------------------------------------
# There and back


@names
@given(seeds)
def test_the_light_of_a_direction_lands_where_it_came_from(name, seed):
    """Places that have a direction: the direction is of unit length and lands on the place."""
    lens, parameters = LENSES[name], parameters_of(name, seed)
    places = disc(64, 1.5, np.random.default_rng(seed))
    directions = lens.unproject(places, parameters)
    seen = np.isfinite(directions[:, 0])
    assert seen[distance_of(places) < 0.5].all()
    np.testing.assert_allclose(np.linalg.norm(directions[seen], axis=1), 1.0, atol=1e-12)
    back = lens.project(directions[seen], parameters)
    np.testing.assert_allclose(back, places[seen], atol=1e-9)


@names
@given(seeds)
def test_a_place_looks_where_its_light_comes_from(name, seed):
    """Directions that have a place, of any length: the place looks in that direction.

    Where the image nearly folds, p1 and p2 decide whether it does, and such places may be given up; and a little on the
    plane is much in the direction.
    """
    lens, parameters, rng = LENSES[name], parameters_of(name, seed), np.random.default_rng(seed)
    directions = rng.normal(size=(64, 3))
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    places = lens.project(directions, parameters)
    np.testing.assert_allclose(lens.project(3.0 * directions, parameters), places, atol=1e-12)
    ahead = unit[:, 2] > 0.85
    assert np.isfinite(places[ahead]).all()
    np.testing.assert_allclose(lens.unproject(places[ahead], parameters), unit[ahead], atol=1e-9)
    straight = parameters * [0.0 if key.startswith("p") else 1.0 for key in lens.parameters]
    places = lens.project(directions, straight)
    seen = (distance_of(places) < 1.5) & (np.arccos(unit[:, 2]) < nearly_folding(lens, straight))
    np.testing.assert_allclose(lens.unproject(places[seen], straight), unit[seen], atol=2e-6)


@names
def test_each_place_has_the_parameters_of_its_own_lens(name):
    lens, rng = LENSES[name], np.random.default_rng(0)
    places = disc(7, 0.5, rng)
    parameters = np.stack([parameters_of(name, seed) for seed in range(7)])
    together = lens.unproject(places, parameters)
    for place, values, direction in zip(places, parameters, together, strict=True):
        np.testing.assert_array_equal(lens.unproject(place[None], values[None]), [direction])
    np.testing.assert_allclose(lens.project(together, parameters), places, atol=1e-12)


@names
def test_a_direction_does_not_depend_on_the_other_places(name):
    """Bit for bit: batches may be cut into parts."""
    lens, parameters = LENSES[name], parameters_of(name, 3, 0.4)
    places = disc(40, 1.6, np.random.default_rng(1))
    whole = lens.unproject(places, parameters)
    for first, last in ((0, 1), (1, 17), (17, 40)):
        np.testing.assert_array_equal(lens.unproject(places[first:last], parameters), whole[first:last])


# ----------------------------------------------------------------------------------------------------------------------
# Closed forms


@given(st.floats(-0.4, 0.4), st.floats(0.0, 0.9))
def test_one_coefficient_is_inverted_by_cardano(k1, distance):
    """k1 r^3 + r = r': the root that is r' for k1 = 0, by Cardano's and Viete's formulas."""
    lens = LENSES["radial-tangential"]
    place = distance * np.array([[0.6, -0.8]])
    direction = lens.unproject(place, np.array([k1, *[0.0] * 7]))[0]
    if abs(k1) < 1e-6:
        root = distance - k1 * distance**3
    elif k1 > 0:
        p, q = 1 / (3 * k1), distance / (2 * k1)
        root = np.cbrt(q + np.sqrt(q * q + p**3)) + np.cbrt(q - np.sqrt(q * q + p**3))
    elif distance > 2 / (3 * np.sqrt(-3 * k1)):  # beyond the fold
        assert np.isnan(direction).all()
        return
    else:
        size = 1 / np.sqrt(-3 * k1)
        root = 2 * size * np.sin(np.arcsin(min(distance / (2 * size / 3), 1.0)) / 3)
    np.testing.assert_allclose(direction[:2] / direction[2], root * place[0] / max(distance, 1e-300), atol=2e-7)
    if k1 > 0 or distance < 0.99 * 2 / (3 * np.sqrt(max(-3 * k1, 1e-300))):
        np.testing.assert_allclose(direction[:2] / direction[2], root * place[0] / max(distance, 1e-300), atol=1e-9)


@given(seeds)
def test_a_rational_lens_against_a_table(seed):
    """Coefficients as large as calibrations give them, which nearly cancel; the inverse by bisection in a table."""
    rng = np.random.default_rng(seed)
    top = rng.uniform(-0.5, 3.0, 3)
    bottom = top + rng.uniform(-0.1, 0.1, 3)
    r = np.linspace(0.0, 2.0, 20001)
    d = r * (1 + r**2 * (top[0] + r**2 * (top[1] + r**2 * top[2])))
    d /= 1 + r**2 * (bottom[0] + r**2 * (bottom[1] + r**2 * bottom[2]))
    rising = np.minimum.accumulate(np.diff(d) > 0)
    end = int(rising.sum())
    parameters = np.array([top[0], top[1], 0.0, 0.0, top[2], *bottom])
    wanted = np.linspace(0.0, min(0.98 * d[end], 2.0), 50)
    directions = LENSES["radial-tangential"].unproject(wanted[:, None] * [0.28, 0.96], parameters)
    found = np.linalg.norm(directions[:, :2], axis=1) / directions[:, 2]
    np.testing.assert_allclose(found, np.interp(wanted, d[: end + 1], r[: end + 1]), atol=2e-6)


def test_the_denominator_of_opencv():
    """By hand: r^2 = 1/2, d = (1 + .2/2 + .04/4 + .016/8) / (1 + .1/2 + .08/4 - .04/8), and p1, p2 across."""
    parameters = np.array([0.2, 0.04, 0.01, -0.02, 0.016, 0.1, 0.08, -0.04])
    d = 1.112 / 1.065
    place = LENSES["radial-tangential"].project(np.array([1.0, -1.0, 2.0]), parameters)
    x, y = 0.5, -0.5
    wanted = [
        x * d + 2 * 0.01 * x * y - 0.02 * (0.5 + 2 * x * x),
        y * d + 0.01 * (0.5 + 2 * y * y) - 2 * 0.02 * x * y,
    ]
    np.testing.assert_allclose(place, wanted, rtol=1e-14)


@given(seeds)
def test_polynomial_lenses_agree_up_to_r6(seed):
    """And with the fourth coefficient, r^8 is added to the factor of the radius."""
    values, rng = parameters_of("radial-polynomial", seed), np.random.default_rng(seed)
    directions = np.concatenate([disc(20, 0.8, rng), np.ones((20, 1))], axis=1)
    k1, k2, p1, p2, k3, k4 = values
    plain = LENSES["radial-tangential"].project(directions, np.array([k1, k2, p1, p2, k3, 0.0, 0.0, 0.0]))
    added = k4 * distance_of(directions[:, :2]) ** 8
    found = LENSES["radial-polynomial"].project(directions, values)
    seen = np.isfinite(found + plain).all(axis=1)
    np.testing.assert_allclose(found[seen], (plain + directions[:, :2] * added[:, None])[seen], atol=1e-14)


@given(st.floats(0.05, 2.5), st.floats(0.0, 5.0))
def test_the_lens_with_a_field_of_view(omega, radius):
    """r' = atan(2 r tan(omega / 2)) / omega; half the field of view lands at half; nothing does beyond pi / 2."""
    lens, parameter = LENSES["fov"], np.array([omega])
    landed = np.arctan(2 * radius * np.tan(omega / 2)) / omega
    place = lens.project(np.array([0.6 * radius, -0.8 * radius, 1.0]), parameter)
    np.testing.assert_allclose(place, [0.6 * landed, -0.8 * landed], atol=1e-12)
    direction = lens.unproject(np.array([0.5, 0.0]), parameter)
    np.testing.assert_allclose(direction, [np.sin(np.arctan(0.5)), 0.0, np.cos(np.arctan(0.5))], atol=1e-12)
    assert np.isnan(lens.unproject(np.array([0.0, 1.001 * np.pi / 2 / omega]), parameter)).all()
    pinhole = lens.project(np.array([radius, 0.0, 1.0]), np.zeros(1))
    np.testing.assert_allclose(pinhole, [radius, 0.0], rtol=1e-12)


@given(st.floats(0.0, 3.1415), st.floats(-3.0, 3.0))
def test_a_fisheye_without_coefficients_is_equidistant(theta, azimuth):
    direction = np.array([np.sin(theta) * np.cos(azimuth), np.sin(theta) * np.sin(azimuth), np.cos(theta)])
    place = theta * np.array([np.cos(azimuth), np.sin(azimuth)])
    lens, none = LENSES["fisheye"], np.zeros(4)
    np.testing.assert_allclose(lens.project(direction, none), place, atol=1e-12)
    np.testing.assert_allclose(lens.unproject(place, none), direction, atol=1e-12)


@given(seeds)
def test_a_fisheye_is_its_polynomial_of_the_angle(seed):
    lens, k, rng = LENSES["fisheye"], parameters_of("fisheye", seed, 0.02), np.random.default_rng(seed)
    theta = rng.uniform(0.0, 1.7, 30)
    theta_d = theta * (1 + k[0] * theta**2 + k[1] * theta**4 + k[2] * theta**6 + k[3] * theta**8)
    place = lens.project(np.stack([0 * theta, -np.sin(theta), np.cos(theta)], axis=1), k)
    slope = np.polynomial.Polynomial([1, 0, 3 * k[0], 0, 5 * k[1], 0, 7 * k[2], 0, 9 * k[3]])
    ends = [root.real for root in slope.roots() if abs(root.imag) < 1e-12 and root.real > 0]
    seen = theta < min(ends, default=np.inf)
    np.testing.assert_allclose(place[seen], np.stack([0 * theta, -theta_d], axis=1)[seen], atol=1e-12)
    assert np.isnan(place[~seen]).all()


def test_what_is_beside_and_behind_a_fisheye_has_an_image():
    camera = Cameras.make(np.eye(4), (100, 100), 15.0, lens="fisheye", lens_parameters=[0.0, 0.0, 0.0, 0.0])
    points = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])  # right; up and back; straight back
    found = camera.project(points, [0, 0, 0])
    np.testing.assert_allclose(found[:2], [[50 + 15 * np.pi / 2, 50], [50, 50 - 15 * 3 * np.pi / 4]])
    assert np.isnan(found[2]).all()


def test_the_places_of_a_panorama():
    """360 x 180 pixels, a degree each: ahead, right, up, behind, and the seam on either side of it."""
    camera = Cameras.make(np.eye(4), (360, 180), (180 / np.pi, 180 / np.pi), lens="equirectangular")
    points = np.array([[0, 0, -1], [1, 0, 0], [0, 1, 0], [0, -1, 0], [-1e-9, 0, 1], [1e-9, 0, 1], [0, 1, -1]])
    found = camera.project(2.0 * points, np.zeros(7, int))
    wanted = [[180, 90], [270, 90], [180, 0], [180, 180], [0, 90], [360, 90], [180, 45]]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    left, right = camera.rays(0, [-0.5, 359.5], [30.0, 30.0], np.float64).directions
    np.testing.assert_allclose(left, right, atol=1e-12)
    poles = camera.rays(0, np.arange(5.0), np.full(5, -0.5), np.float64).directions
    np.testing.assert_allclose(poles, np.tile([0.0, 1.0, 0.0], (5, 1)), atol=1e-12)


# ----------------------------------------------------------------------------------------------------------------------
# Where images end


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("radial-tangential", [-0.3]),
        ("radial-tangential", [0.16, -0.231]),
        ("radial-tangential", [0.0578, -0.0805, -0.00098, 0.00016]),
        ("radial-tangential", [0.0, 0.0, 0.0, 0.0, 0.0, 0.4]),
        ("radial-polynomial", [0.1, 0.05, 0.0, 0.0, -0.04, -0.02]),
        ("fisheye", [-0.1]),
        ("fisheye", [0.05, -0.02, 0.001, -0.001]),
    ],
)
def test_beyond_the_fold_there_is_nothing(name, parameters):
    """Towards the border the direction moves outwards, until it ends; project ends at the same direction."""
    lens = LENSES[name]
    values = np.array([*parameters, *[0.0] * (len(lens.parameters) - len(parameters))])
    angle = np.linspace(0.0, 1.56 if name != "fisheye" else 3.1, 4000)
    landing = lens.project(np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1), values)[:, 0]
    end = np.flatnonzero(np.isfinite(landing))[-1]
    assert np.isfinite(landing[: end + 1]).all() and 100 < end < 3990
    assert (np.diff(landing[: end + 1]) > 0).all()
    most = landing[end]
    places = np.stack([np.linspace(0.0, 2.0 * most, 2000), np.zeros(2000)], axis=1)
    directions = lens.unproject(places, values)
    seen = np.isfinite(directions[:, 0])
    assert seen[places[:, 0] < most].all() and not seen[places[:, 0] > most * 1.001].any()
    assert (np.diff(np.arctan2(directions[seen, 0], directions[seen, 2])) > 0).all()
    np.testing.assert_allclose(lens.project(directions[seen], values), places[seen], atol=1e-9)


def test_nothing_lands_where_nothing_is():
    for lens in LENSES.values():
        parameters = np.zeros(len(lens.parameters))
        assert np.isnan(lens.unproject(np.full((2, 2), np.nan), parameters)).any()
        assert np.isnan(lens.project(np.full((2, 3), np.nan), parameters)).any()


def test_valid_pixels_are_those_with_a_ray():
    cameras = Cameras.make(
        np.tile(np.eye(4), (4, 1, 1)), (40, 30), 20.0, center=(17.0, 16.0),
        lens=["pinhole", "radial-tangential", "radial-tangential", "fisheye"],
        lens_parameters=[[0.0], [-0.3], [0.05], [-0.2]],
    )  # fmt: skip
    for view, whole in enumerate([True, False, True, False]):
        valid = cameras.valid_pixels(view)
        assert valid.shape == (30, 40) and valid.dtype == bool and valid.all() == whole
        wanted = np.isfinite(cameras.image_rays(view, np.float64).directions[:, 0]).reshape(30, 40)
        np.testing.assert_array_equal(valid, wanted)
        assert valid[16, 17]


def test_frustums_of_lenses_that_see_all_around_are_unbounded():
    cameras = Cameras.make(
        np.tile(np.eye(4), (4, 1, 1)), (40, 40), (12.0, 12.0),
        lens=["fisheye", "equirectangular", "radial-tangential", "pinhole"],
        lens_parameters=[[0.0], [0.0], [-0.3], [0.0]],
    )  # fmt: skip
    unbounded = [-np.inf, np.inf, -np.inf, np.inf]
    np.testing.assert_array_equal(cameras.frustums()[:3], [unbounded] * 3)
    np.testing.assert_allclose(cameras.frustums()[3], [-20 / 12, 20 / 12, -20 / 12, 20 / 12])


@names
@given(seeds)
def test_frustums_are_never_too_small(name, seed):
    rng = np.random.default_rng(seed)
    camera = Cameras.make(
        np.eye(4), rng.integers(20, 60, 2), rng.uniform(25, 60, 2), rng.uniform(10, 30, 2), lens=name,
        lens_parameters=parameters_of(name, seed),
    )  # fmt: skip
    directions = camera.image_rays(0, np.float64).directions * [1, -1, -1]
    left, right, top, bottom = camera.frustums()[0]
    seen = np.isfinite(directions[:, 0])
    assert (directions[seen, 2] > 0).all() or left == -np.inf
    x, y = (directions[seen, :2] / directions[seen, 2:]).T
    assert left <= x.min() and x.max() <= right and top <= y.min() and y.max() <= bottom


# ----------------------------------------------------------------------------------------------------------------------
# Derivatives


@names
@pytest.mark.parametrize("radius", [0.0, 1e-9, 0.02, 0.5])
def test_both_maps_are_differentiable_at_the_axis_and_off_it(name, radius):
    lens, parameters = LENSES[name], parameters_of(name, 7, 0.1)
    places = radius * np.array([[0.6, 0.8], [-0.8, 0.6], [1.0, 0.0]])
    directions = 1.3 * lens.unproject(places, parameters)
    rows = np.broadcast_to(parameters, (3, len(parameters))).copy()
    check_grads(lens.unproject, (places, rows))
    check_grads(lens.project, (directions, rows))


@pytest.mark.parametrize("name", [name for name in LENSES if name != "pinhole"])
def test_at_the_axis_every_lens_is_a_pinhole(name):
    """To first order: the Jacobians are those of (x, y) -> (x, y, 1) and back, but that fov also magnifies."""
    lens = LENSES[name]
    parameters = parameters_of(name, 2)
    size = 2 * np.tan(parameters[0] / 2) / parameters[0] if name == "fov" else 1.0
    unproject = jacobian(lambda place: lens.unproject(place, parameters))(np.zeros(2))
    np.testing.assert_allclose(size * unproject, [[1, 0], [0, 1], [0, 0]], atol=1e-15)
    project = jacobian(lambda direction: lens.project(direction, parameters))(np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(project / size, [[0.5, 0, 0], [0, 0.5, 0]], atol=1e-15)


def test_derivatives_beside_and_behind_a_fisheye():
    lens, parameters = LENSES["fisheye"], np.tile([0.01, 0.002, 0.0003, 0.00002], (3, 1))
    places = np.array([[1.5, 0.3], [0.0, -2.0], [-1.2, 1.4]])
    directions = lens.unproject(places, parameters)
    assert directions[1, 2] < 0
    check_grads(lens.unproject, (places, parameters), order=1)
    check_grads(lens.project, (directions, parameters), order=1)


@names
def test_directions_are_the_same_under_differentiation(name):
    lens, parameters = LENSES[name], parameters_of(name, 4)
    places = disc(20, 0.8, np.random.default_rng(0))
    kept = []
    jacobian(lambda place: kept.append(lens.unproject(place, parameters)) or np.sum(place))(places)
    np.testing.assert_allclose(getattr(kept[0], "primal", kept[0]), lens.unproject(places, parameters), atol=1e-15)

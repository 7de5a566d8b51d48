"""Toy scenes: the ray tracer against analytic geometry, the blobs against independent integration, the written sets."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.rays import Rays
from nerf_mini.io.images import composite
from nerf_mini.scenes import load_scene
from nerf_mini.scenes.scene import WHITE
from nerf_mini.scenes.synthetic import SCENES, default_blobs, make_scene
from nerf_mini.scenes.synthetic.making import RADIUS, hemisphere_poses
from nerf_mini.scenes.synthetic.primitives import Box, Capsule, Cone, Sphere
from nerf_mini.scenes.synthetic.surfaces import lattice, shapes
from nerf_mini.scenes.synthetic.textures import bands, checker, gradient, solid
from nerf_mini.scenes.synthetic.tracer import Lighting, Surface, SurfaceScene, render_surfaces

SIZE, ANGLE = 40, 0.69
FROM_ABOVE = Cameras.from_field_of_view(look_at((0.0, 0.0, 4.0), (0.0, 0.0, 0.0)), SIZE, SIZE, ANGLE)
NOON = Lighting(sun_direction=(0.0, 0.0, 1.0), sun=(0.6, 0.6, 0.6), sky=(0.2, 0.2, 0.2), ground=(0.2, 0.2, 0.2))

SHAPES = {
    "sphere": Sphere((0.2, -0.1, 0.3), 0.7),
    "box": Box((0.1, 0.2, -0.1), (0.5, 0.3, 0.4), 31.0),
    "cylinder": Cone((0.1, 0.0, -0.4), 0.9, 0.5, 0.5),
    "cone": Cone((0.0, 0.1, -0.5), 1.1, 0.6, 0.0),
    "truncated cone": Cone((0.0, 0.1, -0.5), 0.8, 0.3, 0.7),
    "capsule": Capsule((-0.4, 0.1, -0.3), (0.5, 0.3, 0.4), 0.25),
}


def _inside(shape, points: np.ndarray) -> np.ndarray:
    """Whether points lie in a shape, from its definition as a set."""
    match shape:
        case Sphere(center, radius):
            return np.linalg.norm(points - center, axis=1) < radius
        case Box(center, half, turn):
            angle = -math.radians(turn)
            x, y, z = (points - center).T
            turned = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle), z
            return np.all(np.abs(np.stack(turned, axis=1)) < half, axis=1)
        case Cone(base, height, bottom, top):
            x, y, z = (points - base).T
            return (z > 0.0) & (z < height) & (np.hypot(x, y) < bottom + (top - bottom) * z / height)
        case Capsule(start, end, radius):
            segment = np.subtract(end, start)
            share = np.clip((points - start) @ segment / (segment @ segment), 0.0, 1.0)
            return np.linalg.norm(points - start - share[:, None] * segment, axis=1) < radius
    raise AssertionError(shape)


def _random_rays(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rays from a sphere of radius 3 towards points near the origin."""
    rng = np.random.default_rng(5)
    origins = rng.normal(size=(count, 3))
    origins *= 3.0 / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = rng.uniform(-0.8, 0.8, (count, 3)) - origins
    return origins, directions / np.linalg.norm(directions, axis=1, keepdims=True)


# ----------------------------------------------------------------------------------------------------------------------
# Shapes and the tracer


@pytest.mark.parametrize("name", SHAPES)
def test_rays_enter_a_shape_where_marching_finds_it(name):
    shape = SHAPES[name]
    origins, directions = _random_rays(400)
    distances = shape.intersect(origins, directions)
    steps = np.linspace(0.0, 6.0, 3001)
    marched = np.full(len(origins), np.inf)
    for i, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        within = _inside(shape, origin + steps[:, None] * direction)
        if within.any():
            marched[i] = steps[np.argmax(within)]
    assert 100 < np.isfinite(marched).sum() < 390
    both = np.isfinite(marched) & np.isfinite(distances)
    np.testing.assert_array_less(np.abs(distances[both] - marched[both]), 2.1e-3)
    assert (np.isfinite(marched) & ~np.isfinite(distances)).sum() == 0
    grazing = np.isfinite(distances) & ~np.isfinite(marched)  # chords shorter than a step
    assert grazing.sum() <= 4


@pytest.mark.parametrize("name", SHAPES)
def test_normals_are_unit_and_point_out_of_the_shape(name):
    shape = SHAPES[name]
    origins, directions = _random_rays(400)
    distances = shape.intersect(origins, directions)
    hit = np.isfinite(distances)
    points = origins[hit] + distances[hit, None] * directions[hit]
    normals = shape.normals(points)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-12)
    assert (np.sum(normals * directions[hit], axis=1) < 1e-6).all()
    inside, outside = _inside(shape, points - 1e-5 * normals), _inside(shape, points + 1e-5 * normals)
    assert inside.mean() > 0.99 and not outside.any()  # a point within 1e-5 of a sharp edge may be inside of neither


@pytest.mark.parametrize("name", SHAPES)
def test_bounds_contain_the_shape(name):
    center, radius = SHAPES[name].bounds
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (20000, 3))
    points = points[_inside(SHAPES[name], points)]
    assert (np.linalg.norm(points - center, axis=1) <= radius).all()


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.2, 0.6), st.floats(2.5, 6.0))
def test_the_silhouette_of_a_sphere_has_the_analytic_area(x, y, radius, distance):
    """A cone of half angle a whose axis is b off the optical axis cuts the image plane in an ellipse.

    Its half axes are f (tan(b + a) - tan(b - a)) / 2 and f sin(a) / sqrt(cos(b)^2 - sin(a)^2).
    """
    away = math.hypot(x, y, distance)
    opening, tilt = math.asin(radius / away), math.acos(distance / away)
    major = 0.5 * (math.tan(tilt + opening) - math.tan(tilt - opening))
    minor = math.sin(opening) / math.sqrt(math.cos(tilt) ** 2 - math.sin(opening) ** 2)
    camera = Cameras.from_field_of_view(np.eye(4), 40, 40, 1.2)
    scene = SurfaceScene((Surface(Sphere((x, y, -distance), radius), solid("#ffffff")),), NOON)
    alpha = render_surfaces(scene, camera)[..., 3] / 255.0
    # 4 x 4 rays a pixel miss the area by up to 1.43 pixels where the circle has the symmetry of their lattice, by 0.61
    # elsewhere: the largest of 1500 random spheres each
    assert alpha.sum() == pytest.approx(math.pi * camera.focal[0, 0] ** 2 * major * minor, abs=2.0)


def test_a_matt_floor_under_a_noon_sun_has_the_colour_of_the_formula():
    floor = SurfaceScene((Surface(Box((0.0, 0.0, -0.5), (9.0, 9.0, 0.5)), solid("#80ff40")),), NOON)
    image = render_surfaces(floor, FROM_ABOVE)
    reflectance = (np.array([0x80, 0xFF, 0x40]) / 255.0) ** 2.2
    expected = (reflectance * (0.6 + 0.2)) ** (1.0 / 2.2) * 255.0
    np.testing.assert_allclose(image[..., :3], np.broadcast_to(expected, (40, 40, 3)), atol=0.5 + 1e-9)
    assert (image[..., 3] == 255).all()


def test_shadows_darken_what_lies_below_and_nothing_else():
    floor = Surface(Box((0.0, 0.0, -0.5), (9.0, 9.0, 0.5)), solid("#808080"))
    plate = Surface(Box((0.0, 0.0, 5.0), (0.5, 0.5, 0.1)), solid("#808080"))  # above the camera, which cannot see it
    light = render_surfaces(SurfaceScene((floor,), NOON), FROM_ABOVE)[..., 0]
    shaded = render_surfaces(SurfaceScene((floor, plate), NOON), FROM_ABOVE)[..., 0]
    half_side = 0.5 / 4.0 * FROM_ABOVE.focal[0, 0]  # of the shadow's image in pixels
    distance = np.abs(np.arange(40) + 0.5 - 20.0)
    inner = (distance < half_side - 1.0)[:, None] & (distance < half_side - 1.0)
    outer = (distance > half_side + 1.0)[:, None] | (distance > half_side + 1.0)
    assert (shaded[outer] == light[outer]).all()
    reflectance = (0x80 / 255.0) ** 2.2
    assert np.abs(shaded[inner] - (reflectance * 0.2) ** (1.0 / 2.2) * 255.0).max() <= 0.5


def test_a_spread_sun_softens_the_edge_of_shadows():
    floor = Surface(Box((0.0, 0.0, -0.5), (9.0, 9.0, 0.5)), solid("#808080"))
    plate = Surface(Box((0.0, 0.0, 5.0), (0.5, 0.5, 0.1)), solid("#808080"))
    wide = Lighting(NOON.sun_direction, NOON.sun, NOON.sky, NOON.ground, sun_spread=0.1)
    levels = [
        len(np.unique(render_surfaces(SurfaceScene((floor, plate), light), FROM_ABOVE)[..., 0]))
        for light in (NOON, wide)
    ]
    assert levels[1] > 2 * levels[0]


def test_a_highlight_lies_where_the_mirror_direction_is():
    ball = Surface(Sphere((0.0, 0.0, 0.0), 1.0), solid("#404040"), specular=0.9, shininess=80.0)
    pose = look_at((4.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    camera = Cameras.from_field_of_view(pose, 80, 80, ANGLE)
    light = Lighting((1.0, 0.0, 1.0), (0.8, 0.8, 0.8), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
    image = render_surfaces(SurfaceScene((ball,), light), camera)
    row, column = np.unravel_index(np.argmax(image[..., 0]), (80, 80))
    # The normal halfway between sun and camera, found by iterating, for the camera is near.
    normal = np.array([1.0, 0.0, 0.0])
    for _ in range(50):
        to_camera = pose[:3, 3] - normal
        normal = to_camera / np.linalg.norm(to_camera) + np.array([1.0, 0.0, 1.0]) / math.sqrt(2.0)
        normal /= np.linalg.norm(normal)
    ((x, y),) = camera.project(normal[None], [0])
    assert abs(column + 0.5 - x) <= 1.5 and abs(row + 0.5 - y) <= 1.5


def test_neighbours_hide_the_sky():
    """Without a sun the floor darkens towards a ball, and only through its occluder."""
    dusk = Lighting((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    floor = Surface(Box((0.0, 0.0, -0.5), (9.0, 9.0, 0.5)), solid("#ffffff"))
    for occluder in (0.0, 0.3):
        ball = Surface(Sphere((0.0, 0.0, 0.3), 0.3), solid("#ffffff"), occluder=occluder)
        beside = render_surfaces(SurfaceScene((floor, ball), dusk), FROM_ABOVE)[20, 28:, 0].astype(int)
        assert (np.diff(beside) >= 0).all()
        assert (beside[-1] - beside[0] > 5) == (occluder > 0.0)


def test_textures():
    points = np.array([[0.1, 0.1, 0.0], [0.6, 0.1, 0.5], [-0.1, 0.1, 1.0]])
    np.testing.assert_array_equal(checker("#000000", "#ffffff", 0.5)(points)[:, 0], [0.0, 1.0, 1.0])
    np.testing.assert_allclose(gradient("#000000", "#ffffff", 0.0, 1.0)(points)[:, 0], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(bands("#000000", "#ffffff", 0.5, 0.0)(points)[:, 0], [0.0, 1.0, 0.0])


@pytest.mark.parametrize("scene", [shapes(), lattice()], ids=["shapes", "lattice"])
def test_the_scenes_stay_within_their_bounds(scene):
    """Silhouettes from outside of the cube of side 2.6 fit into the cube's: nothing sticks out."""
    centers, radii = scene.bounds
    assert (np.linalg.norm(centers, axis=1) - radii < 1.3).all()
    angle = 2.0 * math.atan(1.3 / 20.0) * 1.2
    for position in ((21.3, 0.0, 0.0), (0.0, 21.3, 0.0), (0.0, 0.0, 21.3)):
        wide = Cameras.from_field_of_view(look_at(position, (0.0, 0.0, 0.0)), 64, 64, angle)
        alpha = render_surfaces(scene, wide, supersampling=1)[..., 3]
        rows, columns = np.nonzero(alpha)
        reach = 1.3 / 20.0 * wide.focal[0, 0]
        assert max(np.abs(rows - 31.5).max(), np.abs(columns - 31.5).max()) <= reach


# ----------------------------------------------------------------------------------------------------------------------
# Blobs

NEAR, FAR = 2.0, 6.0


def _origins_and_directions(rays: Rays) -> tuple[np.ndarray, np.ndarray]:
    return rays.origins, rays.directions


def _blob_rays() -> tuple[np.ndarray, np.ndarray]:
    pose = look_at((2.4, -2.6, 1.8), (0.0, 0.0, 0.0))
    return _origins_and_directions(Cameras.from_field_of_view(pose, 12, 12, ANGLE).image_rays(dtype=np.float64))


def test_blob_images_have_converged_to_1e_6():
    volume, rays = default_blobs(), _blob_rays()
    default, doubled = volume.render_exact(*rays, NEAR, FAR), volume.render_exact(*rays, NEAR, FAR, panels=32)
    for value, truth in zip(default, doubled, strict=True):
        np.testing.assert_allclose(value, truth, rtol=0.0, atol=1e-7)


def test_blob_opacity_is_the_closed_form():
    """Along a line a Gaussian integrates to an error function."""
    volume, (origins, directions) = default_blobs(), _blob_rays()
    _, opacity, _ = volume.render_exact(origins, directions, NEAR, FAR)
    for i, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        depth = 0.0
        for center, scale, peak in zip(volume.centers, volume.scales, volume.peaks, strict=True):
            closest = (center - origin) @ direction
            across = np.sum((center - origin) ** 2) - closest**2
            ends = [math.erf((t - closest) / (scale * math.sqrt(2.0))) for t in (NEAR, FAR)]
            chord = scale * math.sqrt(math.pi / 2.0) * (ends[1] - ends[0])
            depth += peak * math.exp(-0.5 * across / scale**2) * chord
        assert opacity[i] == pytest.approx(1.0 - math.exp(-depth), abs=1e-10)


def test_blob_colours_and_depths_equal_a_fine_riemann_sum():
    """The sum of the paper, T_i (1 - exp(-sigma_i delta)) c_i, with 40000 samples through `density` and `color`."""
    volume, (origins, directions) = default_blobs(), _blob_rays()
    chosen = slice(30, 144, 16)
    color, opacity, depth = volume.render_exact(origins[chosen], directions[chosen], NEAR, FAR)
    edges = np.linspace(NEAR, FAR, 40001)
    t, delta = 0.5 * (edges[1:] + edges[:-1]), (FAR - NEAR) / 40000
    for i, (origin, direction) in enumerate(zip(origins[chosen], directions[chosen], strict=True)):
        points = origin + t[:, None] * direction
        optical = volume.density(points) * delta
        weights = np.exp(-(np.cumsum(optical) - optical)) * -np.expm1(-optical)
        np.testing.assert_allclose(color[i], weights @ volume.color(points), atol=1e-6)
        assert opacity[i] == pytest.approx(weights.sum(), abs=1e-6)
        assert depth[i] == pytest.approx(weights @ t / weights.sum(), abs=1e-6)


def test_blobs_far_away_and_rays_that_miss():
    volume = default_blobs()
    far_point = np.full((2, 3, 3), 1e3)
    np.testing.assert_array_equal(volume.density(far_point), np.zeros((2, 3)))
    assert np.isfinite(volume.color(far_point)).all() and volume.color(far_point).shape == (2, 3, 3)
    color, opacity, depth = volume.render_exact(np.full((1, 3), 90.0), np.array([[0.0, 0.0, 1.0]]), NEAR, FAR)
    assert not color.any() and not opacity.any() and not depth.any()


# ----------------------------------------------------------------------------------------------------------------------
# Written data sets


def _contents(folder) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_a_data_set_and_the_same_every_time(name, tmp_path):
    done = []
    first = make_scene(name, tmp_path / "a", size=16, views=4, seed=3, progress=lambda *counts: done.append(counts))
    again = make_scene(name, tmp_path / "b", size=16, views=4, seed=3)
    assert _contents(first) == _contents(again)
    assert done == [(i, 6) for i in range(1, 7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]  # nothing temporary is left
    scene = load_scene(first)
    assert {split: len(views) for split, views in scene.splits.items()} == {"train": 4, "val": 1, "test": 1}
    train = scene.splits["train"]
    assert set(train.cameras.near) == {2.0} and set(train.cameras.far) == {6.0} and scene.background == WHITE
    assert (train.cameras.size == 16).all() and train.pixels.shape == (4 * 16 * 16, 4)
    assert (train.pixels[:, 3] == 0).any() and (train.pixels[:, 3] > 200).any()
    other = make_scene(name, tmp_path / "c", size=16, views=4, seed=4)
    assert _contents(first)["transforms_train.json"] != _contents(other)["transforms_train.json"]


def test_blob_images_are_the_exact_ones(tmp_path):
    views = load_scene(make_scene("blobs", tmp_path / "blobs", size=16, views=1)).splits["train"]
    rays = _origins_and_directions(views.cameras.image_rays(0, np.float64))
    color, opacity, _ = default_blobs().render_exact(*rays, NEAR, FAR)
    for background in (0.0, 1.0):
        expected = color + background * (1.0 - opacity)[:, None]
        found = composite(views.image(0), (background,) * 3).reshape(-1, 3)
        assert np.abs(found - expected).max() <= 1.01 / 255.0  # colour and alpha are rounded, half a level each


def test_cameras_are_spread_over_the_hemisphere_and_splits_differ():
    train, test = (hemisphere_poses(60, np.random.default_rng([0, split])) for split in (0, 2))
    for poses in (train, test):
        np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3], axis=1), RADIUS)
        np.testing.assert_allclose(poses[:, :3, 2], poses[:, :3, 3] / RADIUS, atol=1e-12)  # towards the origin
        assert (poses[:, 2, 3] > 0.0).all()
        gaps = np.linalg.norm(poses[:, None, :3, 3] - poses[:, :3, 3], axis=2) + 1e9 * np.eye(60)
        assert gaps.min() > 0.05 * RADIUS
        assert gaps.min(axis=1).max() < 0.5 * RADIUS
    across = np.linalg.norm(train[:, None, :3, 3] - test[:, :3, 3], axis=2)
    assert across.min() > 1e-3


def test_bad_requests_for_a_scene(tmp_path):
    make = partial(make_scene, "shapes", tmp_path / "new", size=8, views=1)
    with pytest.raises(UserError, match="no toy scene 'teapot'; the scenes are shapes, blobs, lattice"):
        make_scene("teapot", tmp_path / "new")
    with pytest.raises(UserError, match="at least 8 pixels and at most 4096, not 7"):
        make(size=7)
    with pytest.raises(UserError, match="at least 1 and at most 10000, not 0"):
        make(views=0)
    with pytest.raises(UserError, match="at least 0 and at most 9223372036854775807, but is -1"):
        make(seed=-1)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not an empty folder"):
        make_scene("shapes", tmp_path / "taken", size=8, views=1)
    with pytest.raises(UserError, match="cannot be written"):
        make_scene("shapes", tmp_path / "taken" / "thesis.tex" / "below", size=8, views=1)
    assert not (tmp_path / "new").exists()


def test_a_scene_that_fails_half_way_leaves_nothing(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_scene("shapes", tmp_path / "new", size=8, views=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    assert make_scene("shapes", tmp_path / "empty", size=8, views=1) == tmp_path / "empty"

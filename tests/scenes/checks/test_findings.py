"""Checks of data sets: a sound one passes, and each damage is called by its name."""

from dataclasses import replace

import numpy as np
import pytest
from known_scene import FOCAL, VIEWS, WIDTH, capture, with_cameras, with_pictures, with_poses, without_points
from PIL import Image, ImageFilter

from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.geometry.space import Space
from nerf_mini.outputs.overview import scene_overview
from nerf_mini.scenes import Scene, Views
from nerf_mini.scenes.checks import Survey, agreement, findings, memory, pictures, quick_findings, summary
from nerf_mini.scenes.checks.facts import rows
from nerf_mini.scenes.checks.points import reprojection_errors
from nerf_mini.scenes.settling import settled

FLIP, MIRROR = np.diag([1.0, -1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def sound() -> Scene:
    return capture()


@pytest.fixture(scope="module")
def bare(sound) -> Scene:
    """The same without sparse points, so that pictures and poses must speak for themselves."""
    return without_points(sound)


@pytest.fixture(autouse=True)
def few_references(monkeypatch):
    monkeypatch.setattr(agreement, "REFERENCES", 3)


def doubts(found) -> dict[str, str]:
    return {finding.code: finding.severity for finding in found if finding.severity != "note"}


def transposed(poses):
    poses[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    return poses


def settled_wildly(scene) -> Scene:
    """The scene in a turned, shifted and scaled world, then settled: what checks find must not depend on it."""
    motion = rigid_motion(np.array([0.4, -0.8, 0.3, 5.0, -2.0, 1.0]))
    moved = with_poses(scene, lambda poses: motion @ poses)
    points = scene.points
    if points is not None:
        points = replace(points, positions=points.positions @ motion[:3, :3].T + motion[:3, 3])
    return settled(replace(moved, points=points))


# -- sound -------------------------------------------------------------------------------------------------------------


def test_a_sound_capture_passes_without_a_warning(sound):
    assert doubts(findings(sound)) == doubts(findings(settled_wildly(without_points(sound)))) == {}


def test_what_is_in_it_is_said(sound):
    facts = summary(sound)
    assert facts.views == {"train": 15, "test": 3} and facts.kind == "arrays"
    assert facts.focal == (FOCAL, FOCAL) and facts.lenses == ("radial-tangential",)
    assert facts.field_of_view[0] == pytest.approx(np.degrees(2 * np.arctan(WIDTH / 2 / FOCAL)))
    assert facts.sparse_points == 20 * (VIEWS - 2) and facts.reprojection == pytest.approx(0.2, abs=0.06)
    assert {"views": "15 train, 3 test", "space": "unbounded"}.items() <= dict(rows(facts)).items()


def test_a_survey_knows_where_the_axes_meet(bare):
    survey = Survey(bare)
    np.testing.assert_allclose(survey.target, (0.0, 0.0, -0.1), atol=1e-9)
    assert survey.front == 1.0 and survey.miss < 1e-9
    turned = Survey(settled_wildly(bare))
    assert turned.spread == pytest.approx(survey.spread) and turned.distance == pytest.approx(1.0, rel=0.2)


def test_capture_poses_undo_settling(bare):
    scene = settled_wildly(bare)
    motion = rigid_motion(np.array([0.4, -0.8, 0.3, 5.0, -2.0, 1.0]))
    np.testing.assert_allclose(Survey(scene).capture_poses, motion @ Survey(bare).cameras.poses, atol=1e-9)


def test_matches_tell_exposure(bare):
    """Pictures of twice the light: their windows are one stop brighter, whatever they show."""

    def brighter(pictures):
        for view in range(0, VIEWS, 2):
            pictures[view] = exposed(pictures[view], -1.0)
        return pictures

    found = agreement.judged_views(Survey(with_pictures(bare, brighter)))
    stops = [match.stops for its in found.values() for match in its.values() if np.isfinite(match.stops)]
    assert 0.2 < np.mean(np.abs(stops) > 0.5) < 0.95
    assert np.quantile(np.abs(np.abs(stops) - np.round(np.abs(stops))), 0.9) < 0.15


# -- poses -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("axes", lambda poses: poses @ FLIP),
        ("inverse", np.linalg.inv),
        ("inverse", lambda poses: np.linalg.inv(poses @ FLIP)),
        ("transposed", transposed),
        ("mirrored", lambda poses: MIRROR @ poses @ MIRROR),
    ],
    ids=["OpenCV axes", "world to camera", "world to camera, OpenCV axes", "transposed", "mirrored"],
)
def test_pictures_tell_how_poses_are_meant(bare, code, change):
    """Also after the scene was settled: what is meant are the matrices of the files."""
    motion = rigid_motion(np.array([0.4, -0.8, 0.3, 0.2, -0.1, 0.3]))
    damaged = settled(with_poses(bare, lambda poses: change(motion @ poses)))
    assert doubts(agreement.photometric(Survey(damaged))) == {code: "error"}


@pytest.mark.parametrize(
    ("codes", "change"),
    [
        ({"axes"}, lambda poses: poses @ FLIP),
        ({"axes", "poses-astray"}, np.linalg.inv),  # a circle of cameras turns into one that looks outwards
        ({"mirrored"}, lambda poses: MIRROR @ poses),
    ],
    ids=["OpenCV axes", "world to camera", "mirrored"],
)
def test_a_quick_look_at_poses(bare, codes, change):
    around = with_poses(bare, spun)
    assert not codes & set(doubts(quick_findings(around)))
    assert codes & set(doubts(quick_findings(with_poses(around, change))))


def spun(poses):
    """Cameras all around, at various heights, that look about the same way inwards."""
    rng = np.random.default_rng(len(poses))
    angle, height = np.linspace(0, 2 * np.pi, len(poses), endpoint=False), rng.uniform(0.2, 2.0, len(poses))
    places = np.stack([3 * np.cos(angle), 3 * np.sin(angle), height], axis=1)
    return np.stack([look_at(place, rng.normal(size=3) * 0.1) for place in places])


def test_scaled_and_skewed_poses_are_no_rotations(bare):
    def scaled(poses):
        poses[:, :3, :3] *= 1.1
        return poses

    assert doubts(quick_findings(with_poses(bare, scaled)))["rotations"] == "error"


def test_sparse_points_tell_wrong_poses_at_once(sound):
    found = doubts(quick_findings(with_poses(sound, lambda poses: poses @ FLIP)))
    assert found["reprojection-behind"] == "error"


# -- intrinsics --------------------------------------------------------------------------------------------------------


def test_twice_the_focal_length_is_found_by_pictures_and_by_points(sound, bare):
    def doubled(cameras):
        return replace(cameras, focal=2 * cameras.focal)

    assert doubts(agreement.photometric(Survey(with_cameras(bare, doubled)))) == {"focal": "error"}
    assert doubts(quick_findings(with_cameras(sound, doubled)))["reprojection"] == "error"


def test_degrees_in_place_of_radians(bare):
    angle = 2 * np.arctan(WIDTH / 2 / FOCAL)
    wrong = 0.5 * WIDTH / np.tan(0.5 * np.radians(angle))
    found = doubts(
        quick_findings(with_cameras(bare, lambda cameras: replace(cameras, focal=cameras.focal * 0 + wrong)))
    )
    assert "focal" in found


def test_an_ignored_lens_is_found_by_sparse_points(sound):
    """Pictures of 960 pixels: at 60 the lens moves nothing by more than a pixel or two."""
    factor, splits = 16, {}
    for split, views in sound.splits.items():
        cameras = replace(views.cameras.scaled(factor), lens_parameters=0 * views.cameras.lens_parameters)
        pixels = [np.kron(views.image(i), np.ones((factor, factor, 1), np.uint8)) for i in range(len(views))]
        splits[split] = Views.from_images(cameras, pixels, views.names)
    seen = sound.points.observations
    points = replace(sound.points, observations=replace(seen, place=factor * seen.place))
    assert "reprojection" in doubts(quick_findings(replace(sound, splits=splits, points=points)))


def test_off_center_and_oblong_pixels(bare):
    def off(cameras):
        return replace(cameras, center=cameras.center + (8.0, 0.0), focal=cameras.focal * (1.0, 1.2))

    assert {"center", "pixels"} <= set(doubts(quick_findings(with_cameras(bare, off))))


def test_exif_of_the_files(bare, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26  # mm
    expected = 26 * np.hypot(WIDTH, 45) / 43.27
    for view in range(VIEWS):
        Image.new("RGB", (4 * WIDTH, 180)).save(tmp_path / f"{view:04d}.jpg", exif=exif)
    scene = replace(bare, path=tmp_path)
    as_told = with_cameras(scene, lambda cameras: replace(cameras, focal=0 * cameras.focal + expected))
    assert "focal-exif" not in doubts(quick_findings(as_told))
    assert "focal-exif" in doubts(quick_findings(scene))


# -- pictures ----------------------------------------------------------------------------------------------------------


def exposed(picture, stops):
    return (255 * np.clip((picture / 255.0) ** 2.2 * 2.0**stops, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)


def blurred(picture):
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))


def one_changed(view, change):
    def changed(pictures):
        return [change(picture) if index == view else picture for index, picture in enumerate(pictures)]

    return changed


def swapped(pictures):
    pictures[2], pictures[14] = pictures[14], pictures[2]
    return pictures


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("order", lambda pictures: pictures[1:] + pictures[:1]),
        ("misfit", swapped),
        ("exposure", one_changed(8, lambda picture: exposed(picture, -1.2))),
    ],
    ids=["shifted", "swapped", "one darker"],
)
def test_pictures_that_contradict_their_neighbours(bare, code, change):
    assert code in doubts(agreement.photometric(Survey(with_pictures(bare, change))))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("identical-pictures", lambda pictures: [*pictures[:5], pictures[4], *pictures[6:]]),
        ("identical-pictures", lambda pictures: [pictures[0]] * len(pictures)),
        ("blur", one_changed(7, blurred)),
        ("exposure", lambda pictures: [exposed(p, -2.0 * (i > 9)) for i, p in enumerate(pictures)]),
        ("blank", one_changed(3, np.zeros_like)),
    ],
    ids=["double", "all the same", "blur", "half darker", "blank"],
)
def test_pictures_that_should_not_be_there(bare, code, change):
    survey = Survey(with_pictures(bare, change))
    assert code in doubts(finding for check in pictures.CHECKS + pictures.QUICK for finding in check(survey))


def test_a_held_out_picture_that_is_trained_on(bare):
    same = with_pictures(bare, lambda pictures: [*pictures[:3], pictures[2], *pictures[4:]])
    assert {"leak", "identical-pictures"} == set(doubts(pictures.doubles(Survey(same))))


def masked(scene, share):
    def valid(views):
        return replace(views, valid=np.arange(len(views.pixels)) % 100 < 100 * share)

    return replace(scene, splits={split: valid(views) for split, views in scene.splits.items()})


def test_masks_the_other_way_round(bare):
    assert "masks" not in doubts(quick_findings(masked(bare, 0.8)))
    assert "masks" in doubts(quick_findings(masked(bare, 0.2)))
    assert summary(masked(bare, 0.8)).ignored == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("value", "code"), [(255, "alpha"), (0, "alpha-empty")])
def test_an_alpha_channel_that_says_nothing(bare, value, code):
    def with_alpha(pictures):
        return [np.dstack([picture, np.full(picture.shape[:2], value, np.uint8)]) for picture in pictures]

    assert code in doubts(quick_findings(with_pictures(bare, with_alpha)))


# -- where cameras stand -----------------------------------------------------------------------------------------------


def scaled_places(factor):
    def change(poses):
        poses[:, :3, 3] *= factor
        return poses

    return change


@pytest.mark.parametrize("factor", [0.05, 20.0])
def test_a_scale_that_does_not_fit_near_and_far(bare, factor):
    assert "scale" in doubts(quick_findings(with_poses(bare, scaled_places(factor))))


def test_points_beyond_the_box_and_far(sound):
    boxed = replace(sound, space=Space("box", (0.0, 0.0, 0.0), 0.4))
    assert "box-points" in doubts(quick_findings(boxed))
    cut = with_cameras(sound, lambda cameras: replace(cameras, far=0 * cameras.far + 3.3))
    assert "bounds" in doubts(quick_findings(cut))


def test_cameras_at_the_wall_of_a_settled_box_are_no_fault(bare):
    """Such a box has its size from what it holds, or is a room: how far off cameras stand is no sign of anything."""

    def transparent(pictures):
        ball = np.hypot(*(np.indices(pictures[0].shape[:2]) - np.array(pictures[0].shape[:2])[:, None, None] / 2)) < 15
        return [np.dstack([picture, np.where(ball, 255, 0).astype(np.uint8)]) for picture in pictures]

    close = replace(with_pictures(bare, transparent), space=Space("box", (0.0, 0.0, 0.0), Survey(bare).distance * 1.01))
    for scene in (settled(bare, space="box"), settled(with_pictures(bare, transparent)), close):
        assert scene.space.kind == "box" and not {"box", "scale"} & set(doubts(quick_findings(scene)))
    speck = replace(bare, space=Space("box", (0.0, 0.0, 0.0), 0.01))
    assert "box" in doubts(quick_findings(speck))


def test_poses_that_occur_twice(bare):
    def doubled(poses):
        poses[1] = poses[0]
        return poses

    assert "duplicate-poses" in doubts(quick_findings(with_poses(bare, doubled)))


def test_turning_on_the_spot(sound):
    def standing(poses):
        poses[:, :3, 3] = np.array([3.0, 0.0, 1.0]) + 1e-4 * poses[:, :3, 3]
        return poses

    assert "standing" in doubts(quick_findings(with_poses(sound, standing)))


def test_few_views_far_apart(bare):
    few = replace(bare, splits={"train": bare.splits["train"]})
    train = few.splits["train"]
    some = np.array([0, 7, 14])
    views = Views.from_images(train.cameras[some], [train.image(i) for i in some], [train.names[i] for i in some])
    found = quick_findings(replace(few, splits={"train": views}))
    assert {"few-views", "sparse"} <= set(doubts(found)) and "no-test" in [finding.code for finding in found]


# -- sparse points and memory ------------------------------------------------------------------------------------------


def test_errors_are_those_of_the_full_size(sound):
    """Points seen in pictures three times as large: the ratio is theirs, and errors are in their pixels."""
    seen = sound.points.observations
    size = np.tile(3 * sound.splits["train"].cameras.size[:1], (len(seen.names), 1))
    points = replace(sound.points, observations=replace(seen, place=3 * seen.place, size=size))
    small, large = reprojection_errors(Survey(sound)), reprojection_errors(Survey(replace(sound, points=points)))
    assert small.ratio == 1.0 and large.ratio == pytest.approx(3.0, rel=5e-3)
    assert np.median(large.pixels) == pytest.approx(3 * np.median(small.pixels), rel=0.2)


def test_points_that_no_camera_can_see_are_told_without_infinities(sound):
    behind = with_poses(sound, lambda poses: poses @ FLIP)
    assert summary(behind).reprojection is None
    texts = " ".join(finding.text for finding in quick_findings(behind))
    assert "nowhere near" in texts and " inf " not in texts and " nan " not in texts


def test_views_whose_points_are_elsewhere(sound):
    """One picture's points belong to another."""
    seen = sound.points.observations
    image = np.where(seen.image == 6, 0, seen.image)
    points = replace(sound.points, observations=replace(seen, image=image))
    assert "reprojection-views" in doubts(quick_findings(replace(sound, points=points)))


def test_a_forecast_of_memory():
    assert [finding.code for finding in memory(9 << 30, 10 << 30)] == ["memory"]
    assert not list(memory(5 << 30, 10 << 30)) and not list(memory(9 << 30, None))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_data_sets_raise_nothing(bare, count):
    train = bare.splits["train"]
    views = Views.from_images(train.cameras[:count], [train.image(i) for i in range(count)], train.names[:count])
    findings(replace(bare, splits={"train": views}))


@pytest.mark.parametrize("lens", ["fisheye", "equirectangular"])
def test_lenses_that_see_sideways_are_looked_at_too(bare, lens):
    """What flat pictures alone can answer is left out, and nothing is raised."""

    def sideways(cameras):
        focal = cameras.size / (2 * np.pi, np.pi) if lens == "equirectangular" else cameras.focal / 3
        lenses, straight = np.full(len(cameras), lens), np.zeros_like(cameras.lens_parameters)
        center = 0.5 * cameras.size
        return replace(cameras, lens=lenses, focal=focal, center=center, lens_parameters=straight)

    scene = with_cameras(bare, sideways)
    findings(scene)
    assert not {"focal", "lens"} & set(doubts(quick_findings(scene)))
    assert "pixels" in dict(rows(summary(scene)))["size"]
    assert scene_overview(scene).std() > 0

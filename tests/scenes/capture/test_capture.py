"""Photos to a data set: what is asked of structure from motion, what of its answer is believed, what is written."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.geometry.alignment import in_world
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at, rigid_motion
from nerf_mini.scenes.capture import CaptureOptions, capture_photos, gathering, work_folder
from nerf_mini.scenes.capture.capturing import pairs_to_match
from nerf_mini.scenes.capture.engine import Recipe
from nerf_mini.scenes.capture.gathering import frames_of
from nerf_mini.scenes.capture.models import Model, accepted, components, largest

COUNT, WIDTH, HEIGHT, FOCAL = 12, 64, 48, 60.0
WORLD = rigid_motion(np.array([0.3, 0.9, -0.4, 2.0, 5.0, -1.0]))  # as structure from motion leaves it


def true_model(names, size=(WIDTH, HEIGHT)) -> Model:
    """Cameras on an arc, z up before the world is turned, that all see the same 400 points."""
    rng = np.random.default_rng(0)
    angle = np.linspace(-0.6, 0.6, len(names))
    poses = np.stack([look_at((4 * np.cos(a), 4 * np.sin(a), 1.0), (0.0, 0.0, 0.0)) for a in angle])
    scale = size[0] / WIDTH
    cameras = Cameras.make(
        WORLD @ poses, size, FOCAL * scale, (scale * 31.0, scale * 25.0), lens="radial-tangential",
        lens_parameters=(0.05, -0.01),
    )  # fmt: skip
    positions = rng.uniform(-0.5, 0.5, (400, 3)) @ WORLD[:3, :3].T + WORLD[:3, 3]
    image, point = (a.ravel() for a in np.indices((len(names), len(positions))))
    place = cameras.project(positions[point], image)
    return Model(tuple(names), cameras, positions, point, image, place, 0.4)


class FakeEngine:
    """An engine that knows the truth, and keeps a record of what it was asked."""

    def __init__(self, found=None, interrupted_at=None):
        self.found, self.interrupted_at = found, interrupted_at
        self.described, self.pairs, self.recipe = [], [], None

    def features(self, database, folder, names, size, recipe):
        for name in names:
            assert re.fullmatch(r"\d{5}\.[a-z]+", name), "lists of names are split at spaces"
            with Image.open(folder / name) as image:
                assert image.size == size
        self.described.append((tuple(names), size))
        self.recipe = recipe
        before = database.read_text().split() if database.exists() else []
        database.write_text(" ".join([*before, *names]))

    def known(self, database):
        return set(database.read_text().split()) if database.exists() else set()

    def match(self, database, pairs, recipe):
        if self.interrupted_at == "match":
            raise KeyboardInterrupt
        self.pairs += pairs

    def models(self, database, folder, work, recipe, another):
        work.mkdir()
        for _ in range(3):
            another()
        names = sorted(self.known(database))
        return self.found(names) if self.found else [true_model(names[:2]), true_model(names)]


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(1, COUNT + 1):
        Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(folder / f"photo{number}.png")
    return folder


def poses_of(folder: Path) -> dict[str, np.ndarray]:
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    return {frame["file_path"]: np.array(frame["transform_matrix"]) for frame in frames}


# -- what is written ---------------------------------------------------------------------------------------------------


def test_a_data_set_appears_whole_upright_and_with_its_pictures(photos, tmp_path):
    data, stages = tmp_path / "data", []
    made = capture_photos(photos, data, progress=lambda *report: stages.append(report), engine=FakeEngine())
    assert made.missing == () and made.warnings == () and made.shrunk == 0
    assert not work_folder(data).exists()
    assert [stage for stage in dict.fromkeys(stage for stage, _, _ in stages)] == [
        "features", "matches", "poses", "pictures",
    ]  # fmt: skip
    for photo in photos.iterdir():
        assert (data / "images" / photo.name).read_bytes() == photo.read_bytes()
    assert (data / "sparse" / "0" / "points3D.bin").stat().st_size > 400 * 43
    found = np.stack(list(poses_of(data).values()))
    up = found[:, :3, 1].mean(axis=0)
    np.testing.assert_allclose(up / np.linalg.norm(up), (0, 0, 1), atol=1e-9)


def test_written_poses_are_those_found_but_for_a_motion(photos, tmp_path):
    made = capture_photos(photos, tmp_path / "data", engine=FakeEngine())
    truth, found = true_model(made.model.names), made.model
    motion = found.cameras.poses[0] @ np.linalg.inv(truth.cameras.poses[0])
    np.testing.assert_allclose(found.cameras.poses, motion @ truth.cameras.poses, atol=1e-9)
    np.testing.assert_allclose(found.positions, truth.positions @ motion[:3, :3].T + motion[:3, 3], atol=1e-9)
    assert np.linalg.det(motion[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(list(poses_of(tmp_path / "data").values()), found.cameras.poses, atol=1e-9)


@pytest.mark.parametrize("max_size", [1600, 32, 50])
def test_shrunk_pictures_keep_what_projects_where(photos, tmp_path, max_size):
    made = capture_photos(photos, tmp_path / "data", CaptureOptions(max_size=max_size), engine=FakeEngine())
    model = made.model
    assert made.shrunk == (COUNT if max_size < WIDTH else 0)
    for view, name in enumerate(model.names):
        with Image.open(tmp_path / "data" / "images" / name) as image:
            assert image.size == tuple(model.cameras.size[view]) and max(image.size) <= max(max_size, 32)
    np.testing.assert_allclose(model.cameras.project(model.positions[model.point], model.image), model.place, atol=1e-6)


def test_a_turned_photo_stays_as_it_is_stored(tmp_path):
    """Poses are those of stored pixels: a smaller picture must not ask to be turned, nor be."""
    folder, exif = tmp_path / "photos", Image.Exif()
    folder.mkdir()
    exif[0x0112] = 6
    for number in range(5):
        Image.new("RGB", (WIDTH, HEIGHT), (40 * number, 0, 0)).save(folder / f"{number}.jpg", exif=exif)
    capture_photos(folder, tmp_path / "data", CaptureOptions(max_size=32), engine=FakeEngine())
    with Image.open(tmp_path / "data" / "images" / "3.jpg") as image:
        assert image.size == (32, 24) and 0x0112 not in image.getexif()


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_recipes_follow_the_number_of_photos(photos, tmp_path):
    few = FakeEngine()
    capture_photos(photos, tmp_path / "few", engine=few)
    assert few.recipe == Recipe("SIMPLE_RADIAL")
    for number in range(COUNT + 1, 31):
        Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(photos / f"photo{number}.png")
    many = FakeEngine()
    capture_photos(photos, tmp_path / "many", CaptureOptions(seed=3), engine=many)
    assert many.recipe == Recipe("OPENCV", refine_center=True, seed=3)
    assert len(many.pairs) == 30 * 29 / 2


def test_pairs():
    assert len(pairs_to_match(67, sequential=True)) == 342 and len(pairs_to_match(77, sequential=True)) == 412
    for sequential in (True, False):
        pairs = pairs_to_match(40, sequential)
        assert len(set(pairs)) == len(pairs) and all(a < b for a, b in pairs)
        assert {(i, i + 1) for i in range(39)} <= set(pairs)


def test_a_sequence_follows_the_numbers_in_names(photos, tmp_path):
    engine = FakeEngine()
    capture_photos(photos, tmp_path / "data", CaptureOptions(matching="sequential"), engine=engine)
    assert ("00002.png", "00003.png") in engine.pairs and ("00009.png", "00010.png") in engine.pairs
    assert ("00001.png", "00012.png") not in engine.pairs


def test_photos_may_have_any_name(photos, tmp_path):
    """The data set keeps the names, of which the engine is told nothing."""
    names = ["# first.png", "a b.png", "sub folder/x  y.PNG", "é\u4e2d.png"]
    (photos / "sub folder").mkdir()
    for number, name in enumerate(names, start=1):
        (photos / f"photo{number}.png").rename(photos / name)
    engine = FakeEngine()
    with pytest.raises(KeyboardInterrupt):
        capture_photos(photos, tmp_path / "data", engine=FakeEngine(interrupted_at="match"))
    made = capture_photos(photos, tmp_path / "data", engine=engine)
    assert engine.described == [] and len(engine.pairs) == COUNT * (COUNT - 1) / 2
    assert made.missing == () and set(names) < set(made.model.names)
    for name in names:
        assert (tmp_path / "data" / "images" / name).read_bytes() == (photos / name).read_bytes()
    assert set(poses_of(tmp_path / "data")) == {f"images/{name}" for name in made.model.names}


def test_a_photo_that_takes_the_place_of_another_is_not_taken_for_it(photos, tmp_path):
    """Two photos that swap names, and with them their plain names, are sought again."""
    with pytest.raises(KeyboardInterrupt):
        capture_photos(photos, tmp_path / "data", engine=FakeEngine(interrupted_at="match"))
    for old, new in (("photo3", "x"), ("photo4", "photo3"), ("x", "photo4")):
        (photos / f"{old}.png").rename(photos / f"{new}.png")
    engine = FakeEngine()
    capture_photos(photos, tmp_path / "data", engine=engine)
    assert sum(len(names) for names, _ in engine.described) == COUNT


def test_photos_of_several_sizes_have_several_cameras(photos, tmp_path):
    for number in (2, 5):
        Image.new("RGB", (HEIGHT, WIDTH)).save(photos / f"photo{number}.png")
    engine = FakeEngine()
    capture_photos(photos, tmp_path / "data", CaptureOptions(max_size=65), engine=FakeEngine(lambda n: [true_model(n)]))
    with pytest.raises(UserError, match="no picture got a pose"):
        engine.found = lambda names: []
        capture_photos(photos, tmp_path / "other", engine=engine)
    asked = {name: size for names, size in engine.described for name in names}
    assert asked["00002.png"] == (HEIGHT, WIDTH) and asked["00003.png"] == (WIDTH, HEIGHT)
    assert len(asked) == COUNT == sum(len(names) for names, _ in engine.described)


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_an_interrupted_capture_goes_on(photos, tmp_path):
    data = tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        capture_photos(photos, data, engine=FakeEngine(interrupted_at="match"))
    assert not data.exists() and work_folder(data).exists()
    second = FakeEngine()
    capture_photos(photos, data, engine=second)
    assert second.described == [] and len(second.pairs) == COUNT * (COUNT - 1) / 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "photos"]


@pytest.mark.parametrize("change", ["photo", "seed", "restart"])
def test_what_changed_is_sought_again(photos, tmp_path, change):
    data, options = tmp_path / "data", CaptureOptions()
    with pytest.raises(KeyboardInterrupt):
        capture_photos(photos, data, engine=FakeEngine(interrupted_at="match"))
    if change == "photo":
        Image.new("RGB", (WIDTH, HEIGHT)).save(photos / "photo3.png")
    options = replace(options, seed=1) if change == "seed" else replace(options, restart=change == "restart")
    engine = FakeEngine()
    capture_photos(photos, data, options, engine=engine)
    assert sum(len(names) for names, _ in engine.described) == COUNT


# -- what is believed --------------------------------------------------------------------------------------------------


NAMES = [f"{index:02d}.jpg" for index in range(20)]


def cut(model: Model, group: np.ndarray) -> Model:
    """The model with pictures of two groups seeing different points."""
    other = np.isin(model.image, group)
    point = np.where(other, model.point + len(model.positions), model.point)
    return replace(model, positions=np.concatenate([model.positions] * 2), point=point)


def test_a_sound_model_is_accepted_as_it_is():
    model = true_model(NAMES)
    assert accepted(model, NAMES) == (model, [])
    assert [len(group) for group in components(model)] == [20]


def test_pictures_without_a_link_to_the_others_are_left_out():
    model = cut(true_model(NAMES), np.array([3, 17]))
    assert [group.tolist() for group in components(model)][1] == [3, 17]
    kept, warnings = accepted(model, NAMES)
    assert len(kept) == 18 and "03.jpg" in warnings[0] and "17.jpg" in warnings[0]
    assert len(kept.positions) == 400 and kept.point.max() == 399 and kept.image.max() == 17
    np.testing.assert_allclose(kept.cameras.project(kept.positions[kept.point], kept.image), kept.place, atol=1e-9)
    with pytest.raises(UserError, match="only 9 of 20 pictures"):
        accepted(cut(true_model(NAMES), np.arange(11)).kept(np.r_[0:9, 11:20]), NAMES)


def test_cameras_far_from_all_others_are_left_out():
    model = true_model(NAMES)
    poses = model.cameras.poses.copy()
    poses[4, :3, 3] += 1000.0
    kept, warnings = accepted(replace(model, cameras=replace(model.cameras, poses=poses)), NAMES)
    assert "04.jpg" not in kept.names and "04.jpg" in warnings[0] and "far away" in warnings[0]


@pytest.mark.parametrize(("count", "outcome"), [(9, "refused"), (11, "warned"), (18, "fine"), (20, "fine")])
def test_too_few_pictures_with_a_pose(count, outcome):
    model = true_model(NAMES[:count])
    if outcome == "refused":
        with pytest.raises(UserError, match=rf"only {count} of 20 .*without one: 09.jpg, 10.jpg.*texture"):
            accepted(model, NAMES)
    else:
        assert any("only 11 of 20" in warning for warning in accepted(model, NAMES)[1]) == (outcome == "warned")


def pointless(model: Model) -> Model:
    return replace(model, positions=model.positions[:30], point=model.point % 30)


@pytest.mark.parametrize(
    "damage",
    [
        pointless,
        lambda model: replace(model, error=0.0),
        lambda model: replace(model, cameras=replace(model.cameras, focal=20 * model.cameras.focal)),
    ],
    ids=["few points", "an exact fit", "a telescope"],
)
def test_poses_without_parallax_are_refused(damage):
    with pytest.raises(UserError, match="turn without moving"):
        accepted(damage(true_model(NAMES)), NAMES)


def test_coarse_poses_are_said():
    assert "3.0 pixels" in accepted(replace(true_model(NAMES), error=3.0), NAMES)[1][0]


def test_the_largest_of_several_models_counts():
    assert len(largest([true_model(NAMES[:2]), true_model(NAMES), true_model(NAMES[:5])])) == 20
    assert largest([]) is None


# -- bad input ---------------------------------------------------------------------------------------------------------


def refused(photos, output, match, **options):
    with pytest.raises(UserError, match=match):
        capture_photos(photos, output, CaptureOptions(**options), engine=FakeEngine())
    assert not (output.exists() and any(output.iterdir()))


def test_folders_without_enough_photos(photos, tmp_path):
    data, empty = tmp_path / "data", tmp_path / "empty"
    empty.mkdir()
    refused(empty, data, "holds no photos")
    refused(tmp_path / "nowhere", data, "no such file")
    for name in ("photo1.png", "photo2.png"):
        (empty / name).write_bytes((photos / name).read_bytes())
    (empty / "broken.jpg").write_bytes(b"not a picture")
    (empty / "IMG_1.HEIC").write_bytes(b"")
    refused(empty, data, r"holds 2 photos .*2 files that cannot be read, such as IMG_1.HEIC; at least 3")
    refused(photos / "photo1.png", data, "neither a folder of photos nor a video")


def test_files_that_cannot_be_read_are_left_out_and_named(photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"not a picture")
    file = photos / "photo4.png"
    file.write_bytes(file.read_bytes()[:600])
    made = capture_photos(photos, tmp_path / "data", engine=FakeEngine())
    assert made.unreadable == ("broken.jpg", "photo4.png") and len(made.model) == COUNT - 1


def test_a_photo_that_vanishes_leaves_nothing_half_written(photos, tmp_path):
    def found(names):
        (photos / "photo4.png").unlink()
        return [true_model(names)]

    with pytest.raises(UserError, match=r"photo4.png: cannot be read"):
        capture_photos(photos, tmp_path / "data", engine=FakeEngine(found))
    assert not (tmp_path / "data").exists()


def test_an_output_that_is_taken_stays_as_it_is(photos, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("kept")
    with pytest.raises(UserError, match="exists already"):
        capture_photos(photos, tmp_path / "data", engine=FakeEngine())
    assert (tmp_path / "data" / "mine").read_text() == "kept"


@pytest.mark.parametrize("option", [{"frames": 2}, {"max_size": 8}, {"seed": -1}, {"threads": -1}])
def test_options_out_of_range(photos, tmp_path, option):
    refused(photos, tmp_path / "data", "must be at least", **option)


def test_without_pycolmap_the_extra_is_named(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    assert main(["capture", str(photos), "--output", str(tmp_path / "data")]) == 2
    assert "pip install 'nerf-mini[photos]'" in capsys.readouterr().err


# -- videos ------------------------------------------------------------------------------------------------------------


def test_a_video_gives_the_sharpest_frame_of_each_stretch(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    rng = np.random.default_rng(3)
    sharp = np.kron(rng.integers(0, 255, (12, 16, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    soft = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(6)))
    writer = imageio_ffmpeg.write_frames(str(tmp_path / "walk.mp4"), (128, 96), fps=10, quality=9, macro_block_size=1)
    writer.send(None)
    for index in range(40):
        writer.send(np.ascontiguousarray((255 - sharp if index == 21 else sharp) if index % 8 == 5 else soft))
    writer.close()
    engine = FakeEngine()
    made = capture_photos(tmp_path / "walk.mp4", tmp_path / "data", CaptureOptions(frames=5), engine=engine)
    assert made.model.names == tuple(f"{index:05d}.jpg" for index in range(1, 6))
    assert len(engine.pairs) == 4 + 3 + 1  # one after the other: 1, 2 and 4 apart
    for index in range(5):
        with Image.open(tmp_path / "data" / "images" / f"{index + 1:05d}.jpg") as image:
            wanted = 255 - sharp if index == 2 else sharp
            assert np.abs(np.asarray(image).astype(float) - wanted).mean() < 12
    with pytest.raises(UserError, match="gave 2 frames"):
        frames_of(tmp_path / "walk.mp4", tmp_path / "few", 2, 640, lambda *_: None)


@pytest.mark.parametrize(
    ("total", "decoded", "count"), [(299, 299, 150), (40, 40, 7), (40, 43, 7), (40, 37, 7), (5, 5, 9)]
)
def test_a_video_gives_as_many_frames_as_asked_for(tmp_path, monkeypatch, total, decoded, count):
    """Stretches differ by a frame at most, whatever the number of frames; which is an estimate."""
    frames = [np.full((4, 4, 3), index % 256, np.uint8) for index in range(decoded)]
    monkeypatch.setattr(gathering, "_opened", lambda video: (iter(frames), total))
    stages = []
    frames_of(tmp_path / "walk.mp4", tmp_path / "frames", count, 640, lambda *report: stages.append(report))
    assert len(list((tmp_path / "frames").iterdir())) == min(count, total)
    assert stages[-1] == ("frames", total, total) and [done for _, done, _ in stages] == sorted(s[1] for s in stages)
    lengths = np.diff([0, *(done for _, done, _ in stages)])
    assert lengths.max() - lengths.min() <= 1


def test_a_video_that_is_none(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "walk.mp4").write_bytes(b"no video at all" * 100)
    refused(tmp_path / "walk.mp4", tmp_path / "data", "cannot be read as a video")
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["walk.mp4"]


# -- the real engine ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_photos_of_a_known_scene_get_their_poses(tmp_path):
    """A textured ball on a floor, at 480 pixels: poses agree with the truth after alignment."""
    pytest.importorskip("pycolmap")
    sys.path[:0] = [str(Path(__file__).parents[2] / folder) for folder in ("scenes/checks", "geometry")]
    from aligning import aligning, pose_errors
    from known_scene import capture

    scene = capture(scale=6.0)
    folder = tmp_path / "photos"
    folder.mkdir()
    truth = {}
    for views in scene.splits.values():
        for index, name in enumerate(views.names):
            Image.fromarray(views.image(index)).save(folder / f"a {name}.png")
            truth[f"a {name}.png"] = views.cameras.poses[index]
    made = capture_photos(folder, tmp_path / "data", CaptureOptions(threads=1))
    assert len(made.model) >= 16 and made.model.error < 1.0
    wanted = np.stack([truth[name] for name in made.model.names])
    found = in_world(made.model.cameras, aligning(made.model.cameras.poses, wanted))
    angle, distance = pose_errors(found.poses, wanted)
    assert np.sqrt(np.mean(distance**2)) < 0.02 * 3 and np.median(angle) < np.radians(2)

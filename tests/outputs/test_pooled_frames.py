"""Frames made by a pool: the same files as one process writes, and none that is there already is made again."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import nerf_mini.outputs.pooled_frames as pooled
from nerf_mini.errors import UserError
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.crop import Crop
from nerf_mini.outputs.novel_views import RenderRequest, render_views
from nerf_mini.outputs.pooled_frames import Frame
from nerf_mini.pool import Pool
from nerf_mini.runs.checkpoint import checkpoint_files
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.workers import RunAt


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as executor:
        yield Pool(executor)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != pooled.RECORD}


@pytest.fixture
def made(monkeypatch):
    """The frames that were made, as they are."""
    frames, make = [], pooled.make_frame

    def noticing(frame):
        frames.append(frame)
        return make(frame)

    monkeypatch.setattr(pooled, "make_frame", noticing)
    return frames


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"maps": True},
        {"path": "test", "scale": 1.5},
        {"path": "train", "views": 2},
        {"scale": 0.5, "maps": True},
        {"scale": 0.5, "antialias": False},
    ],
)
def test_the_files_are_those_of_one_process(own_run, pool, tmp_path, options):
    run, request = open_run(own_run), {"views": 3, **options}
    alone = render_views(run, RenderRequest(output=tmp_path / "alone", **request))
    steps = []
    shared = render_views(
        run, RenderRequest(output=tmp_path / "pool", **request), lambda *step: steps.append(step), pool=pool
    )
    assert files(tmp_path / "pool") == files(tmp_path / "alone")
    assert [file.name for file in shared.files] == [file.name for file in alone.files] and shared.step == alone.step
    total = steps[0][1]
    assert steps == [(done, total) for done in range(total + 1)]


def test_a_film_is_that_of_one_process_and_leaves_no_frames(own_run, pool, tmp_path):
    request = {"views": 3, "maps": True}
    render_views(open_run(own_run), RenderRequest(output=tmp_path / "a" / "film.gif", **request))
    render_views(open_run(own_run), RenderRequest(output=tmp_path / "b" / "film.gif", **request), pool=pool)
    assert files(tmp_path / "a") == files(tmp_path / "b") and len(files(tmp_path / "b")) == 3


def test_frames_that_are_there_are_kept_and_damaged_ones_made_again(own_run, pool, tmp_path, made):
    run, request, said = open_run(own_run), RenderRequest(views=4, output=tmp_path), []
    render_views(run, request, pool=pool)
    first = files(tmp_path)
    assert len(made) == 4
    render_views(run, request, warn=said.append, pool=pool)
    assert len(made) == 4 and said == ["4 of 4 frames are there already"]
    (tmp_path / "color_001.png").unlink()
    (tmp_path / "color_002.png").write_bytes(first["color_002.png"][:-1])
    render_views(run, request, pool=pool)
    assert len(made) == 6 and files(tmp_path) == first
    with open(tmp_path / pooled.RECORD, "ab") as record:  # cut off while it was written, and worse
        record.write(b'{"file": "color_003.png", "mark": "0\nnot json\n[]\n{"crc": 1e999}\n\xff\xfe\n')
    render_views(run, request, pool=pool)
    assert len(made) == 6


def test_frames_of_another_checkpoint_film_or_size_are_made_again(own_run, pool, tmp_path, made):
    request = RenderRequest(views=2, output=tmp_path)
    render_views(open_run(own_run), request, pool=pool)
    render_views(open_run(own_run), RenderRequest(views=2, output=tmp_path, scale=2), pool=pool)
    assert len(made) == 4
    render_views(open_run(own_run), RenderRequest(path="test", output=tmp_path), pool=pool)
    assert len(made) == 6
    checkpoint_files(own_run / "checkpoints")[-1].unlink()  # the one before it is then the newest
    result = render_views(open_run(own_run), RenderRequest(path="test", output=tmp_path), pool=pool)
    assert len(made) == 8 and result.step == 16


def test_pictures_of_half_the_size_differ_from_those_with_jagged_edges(own_run, pool, tmp_path, made):
    """Else the cases above would show nothing; and neither are those in the folder taken for the others."""
    smooth = RenderRequest(views=2, scale=0.5, output=tmp_path)
    render_views(open_run(own_run), smooth, pool=pool)
    first = files(tmp_path)
    render_views(open_run(own_run), replace(smooth, antialias=False), pool=pool)
    assert len(made) == 4 and files(tmp_path) != first
    render_views(open_run(own_run), smooth, pool=pool)
    assert len(made) == 6 and files(tmp_path) == first


FRAME = Frame(
    RunAt(Path("run"), 20, "20-0badcafe"),
    Cameras.make(np.eye(4), (8, 6), 10.0, near=1.0, far=2.0),
    None,
    None,
    ("color",),
    None,
    True,
)


@pytest.mark.parametrize(
    "change",
    [
        {"run": replace(FRAME.run, mark="20-0badcaff")},
        *({"camera": replace(FRAME.camera, **{name: 2 * getattr(FRAME.camera, name)})}
          for name in ("poses", "focal", "center", "size", "near", "far")),
        {"camera": replace(FRAME.camera, lens=np.array(["fisheye"]))},
        {"camera": replace(FRAME.camera, lens_parameters=FRAME.camera.lens_parameters + 0.1)},
        {"background": (0.0, 0.0, 0.0)}, {"background": (0.0, 0.0, 0.5)},
        {"crop": Crop(np.zeros(3), np.ones(3))}, {"crop": Crop(np.zeros(3), 2 * np.ones(3))},
        {"kinds": ("color", "depth", "opacity")}, {"nearest": 0.0}, {"nearest": 0.5}, {"antialias": False},
    ],
)  # fmt: skip
def test_the_mark_changes_with_all_that_a_picture_depends_on(change):
    changed = replace(FRAME, **change)
    assert changed.mark != FRAME.mark and changed.mark == replace(changed).mark


def test_the_cases_above_name_every_field_and_the_place_of_a_run_does_not_matter():
    names = {field.name for field in fields(Frame)}
    tried = {name for mark in test_the_mark_changes_with_all_that_a_picture_depends_on.pytestmark
             for change in mark.args[1] for name in change}  # fmt: skip
    assert tried == names
    assert replace(FRAME, run=replace(FRAME.run, path=Path("elsewhere"))).mark == FRAME.mark


def test_what_has_arrived_stays_when_the_work_breaks_off(own_run, pool, tmp_path, monkeypatch):
    run, request = open_run(own_run), RenderRequest(views=6, output=tmp_path / "film.webp")
    make, count = pooled.make_frame, [0]

    def break_off(frame):
        count[0] += 1
        if count[0] == 4:
            raise UserError("the power is gone")
        return make(frame)

    monkeypatch.setattr(pooled, "make_frame", break_off)
    with pytest.raises(UserError, match="the power is gone"):
        render_views(run, request, pool=pool)
    kept = files(tmp_path / "film.webp.frames")
    assert len(kept) >= 3 and not (tmp_path / "film.webp").exists()
    said = []
    render_views(run, request, warn=said.append, pool=pool)
    assert said == [f"{len(kept)} of 6 frames are there already"]
    assert list(files(tmp_path)) == ["film.webp"] and not (tmp_path / "film.webp.frames").exists()


def test_a_run_that_goes_away_or_changes_is_a_sentence(own_run, pool, tmp_path):
    run, request = open_run(own_run), RenderRequest(views=2, output=tmp_path / "frames")
    frames = []

    class Late(Pool):
        def submit(self, *arguments):
            shutil.rmtree(own_run, ignore_errors=True)
            frames.append(arguments)
            return super().submit(*arguments)

    with pytest.raises(UserError, match=r"there is no such run here. Workers need the run folder at the same path"):
        render_views(run, request, pool=Late(pool.executor))
    assert frames and not (tmp_path / "frames").exists()


def test_progressive_pictures_and_a_pool_do_not_go_together(own_run, pool):
    with pytest.raises(UserError, match="leave out --cluster"):
        render_views(open_run(own_run), RenderRequest(progressive=True), pool=pool)


def test_a_folder_that_cannot_be_written_to_is_a_sentence(own_run, pool, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        render_views(open_run(own_run), RenderRequest(views=2, output=tmp_path / "file" / "frames"), pool=pool)


def test_records_say_what_files_show(own_run, pool, tmp_path):
    render_views(open_run(own_run), RenderRequest(views=2, output=tmp_path), pool=pool)
    lines = [json.loads(line) for line in (tmp_path / pooled.RECORD).read_text().splitlines()]
    assert sorted(line["file"] for line in lines) == ["color_000.png", "color_001.png"]
    assert len({line["mark"] for line in lines}) == 2

"""Pictures that have changed since a run began are known by name."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.outputs.report import report_of_run
from nerf_mini.runs.evaluation import evaluation_file, read_evaluation
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.pictures import changed_pictures, digits_of
from nerf_mini.runs.restoring import load_trainer
from nerf_mini.runs.session import resume, start
from nerf_mini.scenes import load_scene


@pytest.fixture
def run(own_blobs, tmp_path, tiny_config):
    """A run of a data set that a test may damage."""
    start(own_blobs, tmp_path / "run", tiny_config(max_steps=4)).train()
    return tmp_path / "run"


def repaint(file):
    """One pixel of a picture gets another value, by one."""
    pixels = np.array(Image.open(file))
    pixels[3, 5, 0] ^= 1
    Image.fromarray(pixels).save(file)


def test_digits_follow_pixels_and_masks_and_nothing_else(blobs):
    views = load_scene(blobs).splits["train"]
    digits = digits_of(views)
    assert len(set(digits)) == len(views) and digits == digits_of(load_scene(blobs).splits["train"])
    pixels = views.pixels.copy()
    pixels[views.starts[2] + 7, 1] ^= 1
    changed = digits_of(replace(views, pixels=pixels))
    assert [a != b for a, b in zip(digits, changed, strict=True)] == [i == 2 for i in range(len(views))]
    valid = np.ones(len(views.pixels), bool)
    assert digits_of(replace(views, valid=valid)) == digits, "a mask that hides nothing"
    valid[views.starts[1]] = False
    masked = digits_of(replace(views, valid=valid))
    assert [a != b for a, b in zip(digits, masked, strict=True)] == [i == 1 for i in range(len(views))]


def test_a_training_does_not_go_on_with_other_pictures(run, own_blobs):
    repaint(own_blobs / "train" / "r_003.png")
    with pytest.raises(UserError, match=r"the picture train/r_003 is not the one.*--output.*remove .*pictures\.json"):
        resume(run)
    (run / "pictures.json").unlink()
    resume(run)
    assert not changed_pictures(run, load_scene(own_blobs)), "from now on these are its pictures"
    repaint(own_blobs / "train" / "r_003.png")
    with pytest.raises(UserError, match="r_003"):
        resume(run)


def test_the_same_pixels_in_another_file_are_the_same(run, own_blobs):
    file = own_blobs / "train" / "r_000.png"
    Image.open(file).save(file, compress_level=1)
    assert resume(run).trainer.step_count == 4


def test_scores_against_other_pictures_say_so(run, own_blobs, capsys):
    repaint(own_blobs / "test" / "r_001.png")
    assert main(["eval", str(run)]) == 0
    assert "warning: not the pictures that the run began with: test/r_001" in capsys.readouterr().out
    assert read_evaluation(evaluation_file(open_run(run), "test")).protocol.changed == ("test/r_001",)
    page = report_of_run(run)
    assert "picture test/r_001 is not the one that the run began with" in page.read_text()
    said = []
    load_trainer(run, warn=said.append)
    assert "test/r_001" in said[0]
    assert main(["eval", str(run), "--scales", "1"]) == 0
    assert "test/r_001" in capsys.readouterr().out


def test_scores_of_other_pictures_are_not_taken_for_those_of_these(run, own_blobs):
    assert main(["eval", str(run)]) == 0
    pixels = np.array(Image.open(own_blobs / "test" / "r_001.png"))
    Image.fromarray(255 - pixels).save(own_blobs / "test" / "r_001.png")
    before = json.loads((run / "eval" / "test.json").read_text())["psnr"]
    report_of_run(run)
    assert json.loads((run / "report.json").read_text())["psnr"] != pytest.approx(before)


@pytest.mark.parametrize(
    "damage",
    [
        {"splits": 3}, {"splits": {"other": {}}}, {"splits": {"train": 3}}, {"splits": {"train": {"names": ["a"]}}},
        {"splits": {"train": {"names": ["a"], "digits": [3]}}}, {"splits": {"train": {"names": [], "digits": ["a"]}}},
        {"format": 9}, {"format": None}, {"version": "changed"},
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_by_name(run, own_blobs, damage):
    file = run / "pictures.json"
    kept = {} if "version" in damage else {"checksum": None}
    file.write_text(json.dumps({**json.loads(file.read_text()), **kept, **damage}))
    with pytest.raises(UserError, match=r"pictures\.json: "):
        resume(run)


def test_a_run_that_knows_no_pictures_takes_any(run, own_blobs):
    (run / "pictures.json").unlink()
    repaint(own_blobs / "train" / "r_000.png")
    assert not changed_pictures(run, load_scene(own_blobs))

"""Whole pages: well-formed, in one file, with nothing of names or numbers that they should not hold."""

import json
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.outputs.report import compare_runs, making, report_of_run, write_gallery
from nerf_mini.outputs.report.gallery import reported
from nerf_mini.outputs.report.markup import EMPTY, Markup, joined, tag
from nerf_mini.rendering import images
from nerf_mini.runs.checkpoint import checkpoint_files

EVIL = "<script>alert(1)&\"'{}$x"  # a slash cannot be in a name


class Page(HTMLParser):
    """Elements and text of a page; fails where tags do not match."""

    def __init__(self, file: Path):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in EMPTY:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self.open and self.open.pop() == name, f"</{name}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def all(self, name: str, **wanted):
        return [a for n, a in self.elements if n == name and all(a.get(key) == value for key, value in wanted.items())]


def sound(file: Path) -> Page:
    """A page that is well-formed, holds all it shows, and no value that is none."""
    page = Page(file)
    assert page.source.startswith("<!doctype html>")
    for name, attributes in page.elements:
        for key in ("src", "srcset", "poster", "data", "action"):
            assert attributes.get(key, "data:").startswith("data:"), (name, attributes[key][:60])
        if name in ("a", "link"):
            assert "//" not in attributes["href"]
        assert not [key for key in attributes if key.startswith("on")], "handlers would be barred"
        assert name not in ("iframe", "object", "embed", "base", "form")
    without_pictures = re.sub(r"data:image/webp;base64,[\w+/=]*", "", page.source)
    assert "http:" not in without_pictures and "https:" not in without_pictures and "url(" not in without_pictures
    assert not re.search(r"\b(nan|inf|infinity|null|undefined)\b", page.words, re.IGNORECASE)
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policy["content"]
    assert len(page.all("img")) <= 4 * 12 + 2
    return page


@pytest.fixture
def short_films(monkeypatch):
    """Galleries of small pictures."""
    monkeypatch.setattr("nerf_mini.outputs.report.gallery.FRAMES", 3)
    monkeypatch.setattr("nerf_mini.outputs.report.gallery.LONGEST", 24)


# -- one run -----------------------------------------------------------------------------------------------------------


def test_a_report_is_one_sound_file(reported_run):
    page = sound(reported_run / "report.html")
    facts = json.loads((reported_run / "report.json").read_text(), parse_constant=pytest.fail)
    assert f"{facts['psnr']:.2f} dB" in page.words and facts["fingerprint"] in page.words
    assert facts["command"] in page.words and "r_000" in page.words and "r_001" in page.words
    assert len(page.all("svg")) == 4 and len(page.all("input", type="range")) == 2
    assert all(image["alt"] for image in page.all("img"))
    for heading in ("The run", "Curves", "Held-out views", "Scores", "Cameras", "Settings"):
        assert heading in page.words
    assert len(page.all("details")) == 1 and "a few decibels up or down mean little" in page.words
    assert not list(reported_run.glob(".*")), "no temporary file stays"


def test_training_ends_with_a_report_unless_it_is_unwanted(blobs, tmp_path, tiny_options, monkeypatch, capsys):
    """And renders each test view once, for scores and pictures both."""
    rendered = []
    real = images.render_image
    monkeypatch.setattr(
        "nerf_mini.training.trainer.render_image", lambda *rest: rendered.append(rest[2]) or real(*rest)
    )
    short = [*tiny_options, "--max-steps", "4", "--validate-every", "99"]
    assert main(["train", str(blobs), "--output", str(tmp_path / "bare"), *short, "--no-report"]) == 0
    before = len(rendered)
    assert not (tmp_path / "bare" / "report.html").exists()
    assert main(["train", str(blobs), "--output", str(tmp_path / "run"), *short]) == 0
    assert len(rendered) - before == before == 2
    printed = capsys.readouterr().out
    assert f"report: {tmp_path / 'run' / 'report.html'}" in printed
    page = sound(tmp_path / "run" / "report.html")
    assert "Trained on" in page.words
    first = json.loads((tmp_path / "run" / "report.json").read_text())
    assert main(["report", str(tmp_path / "run")]) == 0
    again = json.loads((tmp_path / "run" / "report.json").read_text())
    assert again["trained_on"] == first["trained_on"] is not None, "a later report remembers the machine"
    assert again["fingerprint"] == first["fingerprint"] and again["psnr"] == first["psnr"]
    bare = json.loads(report_of_run(tmp_path / "bare").with_suffix(".json").read_text())
    assert bare["trained_on"] is None and bare["fingerprint"] == first["fingerprint"]


def test_names_are_text_whatever_they_are(own_blobs, tmp_path, tiny_config, short_films):
    """Names of runs, of data sets and of pictures come from the disk."""
    from nerf_mini.runs.session import start

    scene = own_blobs.rename(tmp_path / f"data {EVIL}")
    file = scene / "transforms_test.json"
    content = json.loads(file.read_text())
    picture = scene / "test" / "r_000.png"
    picture.rename(picture.with_name(f"{EVIL}.png"))
    content["frames"][0]["file_path"] = f"./test/{EVIL}"
    file.write_text(json.dumps(content))
    run = tmp_path / f"run {EVIL}"
    start(scene, run, tiny_config(max_steps=10)).train()
    for page in (
        report_of_run(run), compare_runs(run, run, tmp_path / "both.html"), write_gallery([run], tmp_path / "all.html")
    ):  # fmt: skip
        found = sound(page)
        assert EVIL in found.words and len(found.all("script")) == 1
        assert page.read_text().count("<script") == 1, "the page's own"


def test_scores_of_an_evaluation_of_the_same_step_are_taken(own_run, monkeypatch):
    assert main(["eval", str(own_run)]) == 0
    file = own_run / "eval" / "test.json"
    content = json.loads(file.read_text())
    content["views"][0]["psnr"], content["checksum"] = content["views"][0]["psnr"] + 1, None
    file.write_text(json.dumps(content))
    told = json.loads(report_of_run(own_run).with_suffix(".json").read_text())
    assert told["scores"]["views"][0]["psnr"] == content["views"][0]["psnr"]
    content["step"] = 7
    file.write_text(json.dumps(content))
    fresh = json.loads(report_of_run(own_run).with_suffix(".json").read_text())
    assert fresh["scores"]["views"][0]["psnr"] == pytest.approx(content["views"][0]["psnr"] - 1)
    file.write_text("{")
    report_of_run(own_run)
    assert main(["eval", str(own_run), "--fit-test", "exposure"]) == 0
    assert "exposure of each test view fitted" in sound(report_of_run(own_run)).words


def test_equal_pictures_have_no_bound(own_run):
    """A PSNR without a bound is said as such, and is null in JSON."""
    assert main(["eval", str(own_run)]) == 0
    file = own_run / "eval" / "test.json"
    content = json.loads(file.read_text())
    for view in content["views"]:
        view["psnr"] = view["ssim"] = None
    content["checksum"] = None
    file.write_text(json.dumps(content))
    page = sound(report_of_run(own_run))
    assert "∞" in page.words
    assert json.loads((own_run / "report.json").read_text(), parse_constant=pytest.fail)["psnr"] is None


def test_masked_pixels_are_hatched_and_said(own_run, monkeypatch, blobs):
    from nerf_mini.scenes import Scene, Views, load_scene

    scene = load_scene(blobs)
    test = scene.splits["test"]
    valid = np.arange(len(test.pixels)) % 4 > 0
    masked = Views(test.cameras, test.pixels, test.names, valid)
    changed = Scene(scene.name, scene.path, scene.kind, {**scene.splits, "test": masked}, scene.background)
    monkeypatch.setattr("nerf_mini.runs.folder.Run.read_scene", lambda self, splits, data=None: changed)
    page = sound(report_of_run(own_run))
    assert "25.0 % of the pixels" in page.words and "hatched where masked out" in page.words


def test_without_its_data_a_run_shows_what_it_can(own_run, tmp_path):
    def move(content):
        return {**content, "data": str(tmp_path / "gone"), "checksum": None}

    config = own_run / "config.json"
    config.write_text(json.dumps(move(json.loads(config.read_text()))))
    page = sound(report_of_run(own_run))
    assert "not there any more" in page.words and "test view 0" in page.words and "Scores" not in page.words
    assert len(page.all("svg")) == 4 and not page.all("input") and "depth of" in str(page.all("img"))
    keeps_to_itself(own_run, tmp_path)


def test_a_damaged_checkpoint_is_a_warning(own_run):
    newest = checkpoint_files(own_run / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:999])
    page = sound(report_of_run(own_run))
    assert "Falling back to the checkpoint of step 16" in page.words and "is at step 16 of 20" in page.words
    assert f"{own_run.name}/checkpoints/{newest.name}" in page.words
    keeps_to_itself(own_run, own_run.parent)


def keeps_to_itself(run: Path, folder: Path) -> None:
    """Whoever gets a report does not learn where this machine keeps things."""
    for name in ("report.html", "report.json"):
        text = (run / name).read_text(encoding="utf-8")
        assert run.name in text and str(folder) not in text and str(Path.home()) not in text


def test_views_are_few_however_many_there_are(reported_run, tmp_path, monkeypatch):
    """Training views stand in for test views: 10 are scored, of which 6 and the worst are shown."""
    run = Path(shutil.copytree(reported_run, tmp_path / "run"))
    found = making.opened(run)
    views = found.trainer.scene.splits["train"]
    monkeypatch.setattr(type(found), "views", property(lambda self: views))
    scores, album = making.scored(found, 12, making._quiet)
    assert len(scores.views) == 10 and len(album.shown) in (6, 7)
    worst = min(scores.views, key=lambda view: view.psnr)
    assert worst.name in [view.name for view in album.shown]
    assert len(making.scored(found, 3, making._quiet)[1].shown) == 3


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main(["report", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def test_what_cannot_be_reported_is_a_sentence(own_run, tmp_path, capsys, other_run):
    assert "name a run folder" in refused(capsys)
    assert "is not a run folder" in refused(capsys, tmp_path / "none")
    assert "ends in .html" in refused(capsys, own_run, "--output", tmp_path / "page.pdf")
    assert "at least 1" in refused(capsys, own_run, "--max-views", "0")
    assert "too many to compare" in refused(capsys, own_run, own_run, own_run)
    assert "says where the page goes" in refused(capsys, own_run, "--gallery", "a.html", "--output", "b.html")
    assert "nowhere: the data set" in refused(capsys, own_run, "--data", tmp_path / "nowhere")
    shutil.rmtree(own_run / "checkpoints")
    assert "holds no checkpoint yet" in refused(capsys, own_run)
    assert "holds no checkpoint yet" in refused(capsys, other_run, own_run)
    assert not list(tmp_path.rglob("*.html")) and not list(tmp_path.rglob("report*.json"))


def test_runs_of_different_data_are_not_compared(own_run, tmp_path, capsys, tiny_config):
    from nerf_mini.runs.session import start
    from nerf_mini.scenes.synthetic import make_scene

    make_scene("blobs", tmp_path / "other-data", size=16, views=10, seed=4)
    start(tmp_path / "other-data", tmp_path / "other", tiny_config(max_steps=2)).train()
    message = refused(capsys, own_run, tmp_path / "other")
    assert "different data" in message and "--gallery" in message


# -- two runs, and many ------------------------------------------------------------------------------------------------


def test_two_runs_stand_side_by_side(own_run, other_run):
    page = sound(compare_runs(own_run, other_run))
    assert (own_run / "report-and-other.html").exists()
    told = json.loads((own_run / "report-and-other.json").read_text(), parse_constant=pytest.fail)
    difference = told["runs"][1]["psnr"] - told["runs"][0]["psnr"]
    assert f"{difference:+.2f}".replace("-", "−") in page.words
    assert len(page.all("input", type="range")) == 2 and len(page.all("svg")) == 4
    assert "Settings that differ" in page.words and "seed" in page.words and "max_steps" in page.words
    assert page.words.count("truth") >= 2


def test_a_run_is_the_same_as_itself_and_names_are_told_apart(own_run, tmp_path):
    twin = Path(shutil.copytree(own_run, tmp_path / "elsewhere" / own_run.name))
    page = sound(compare_runs(own_run, twin, tmp_path / "both.html"))
    assert "same to the bit" in page.words and "settings are the same" in page.words
    assert f"elsewhere/{own_run.name}" in page.words and f"{tmp_path.name}/{own_run.name}" in page.words


def test_a_gallery_makes_missing_reports_and_links_to_them(own_run, reported_run, tmp_path, short_films):
    before = (reported_run / "report.html").stat().st_mtime_ns
    gallery = write_gallery([own_run, reported_run], tmp_path / "deep" / "gallery.html")
    page = sound(gallery)
    assert (reported_run / "report.html").stat().st_mtime_ns == before, "it is up to date"
    links = [link["href"] for link in page.all("a")]
    assert [(gallery.parent / link).resolve() for link in links] == [
        (run / "report.html").resolve() for run in (own_run, reported_run)
    ]
    told = json.loads((own_run / "report.json").read_text())
    assert f"{told['psnr']:.2f} dB on 2 test views" in page.words


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_that_are_no_text_are_escaped(own_run, tmp_path, short_films):
    run = own_run.rename(tmp_path / os.fsdecode(b"run \xff"))
    for page in (
        report_of_run(run), compare_runs(run, run, tmp_path / "both.html"), write_gallery([run], tmp_path / "all.html")
    ):  # fmt: skip
        assert "run \\udcff" in sound(page).words
    assert "run%20%FF/report.html" in page.read_text()


@pytest.mark.parametrize("value", [10**400, 1e308, float("nan"), float("inf"), True, "1", [], {}])
@pytest.mark.parametrize("key", ["psnr", "seconds", "step", "scores"])
def test_a_gallery_takes_nothing_from_a_report_that_is_damaged(reported_run, tmp_path, key, value):
    told = json.loads((reported_run / "report.json").read_text())
    file = tmp_path / "report.json"
    file.write_text(json.dumps(told))
    assert reported(file, told["step"]) is not None
    file.write_text(json.dumps({**told, key: value, "checksum": None}))
    taken = reported(file, told["step"])
    assert taken is None or (key == "scores" and not value and taken.views == 0)


# -- markup ------------------------------------------------------------------------------------------------------------


def test_text_is_escaped_and_markup_is_not():
    inside = tag("b", "a < b & c")
    assert inside == "<b>a &lt; b &amp; c</b>" and isinstance(inside, Markup)
    assert tag("p", inside, None, ["x", ("<", 3)], class_="a \"quoted' <name>", hidden=True, id=None) == (
        '<p class="a &quot;quoted&#x27; &lt;name&gt;" hidden><b>a &lt; b &amp; c</b>x&lt;3</p>'
    )
    assert tag("img", alt="") == '<img alt="">' and joined() == ""


def test_a_report_that_cannot_be_written_leaves_nothing(own_run, monkeypatch):
    monkeypatch.setattr(making, "report_page", lambda report: (_ for _ in ()).throw(UserError("full")))
    with pytest.raises(UserError, match="full"):
        report_of_run(own_run)
    assert not list(own_run.glob("report*"))

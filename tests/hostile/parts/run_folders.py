"""Damaged run folders, opened by everything that opens them: refused in a sentence, or the result is what it was.

Damaged bytes must be noticed: a command that then succeeds gives the result of the whole run, or that of its older
checkpoint, saying so. Where values were changed on purpose, with a checksum that fits or is null, another result is
fine as long as it is sound.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from .. import sound
from ..cases import ROOT, Case, Outcome, fault_of, outcome_of
from ..run_damages import BYTES, edit, edit_a_line, other_archive, tamper

OLD = ROOT / "tests" / "runs" / "data" / "version-0.1.0"
STEPS = {"instant": 8, "nerf": 8, "old": 602}  # to which a resumed run goes
RUN, SCENE = Path("run"), Path("scene")  # in the folder of a case


@dataclass(frozen=True)
class Trial:
    """A command that opens a run: how it is tried in the working folder, and what it has made, to be compared."""

    outcome: Callable[[str], Outcome]
    result: Callable[[str], object]


@dataclass(frozen=True)
class Damage:
    """What is done to a run in the working folder.

    Attributes:
        apply: does it.
        must_be_noticed: whether the result must be what it was, or a message say why not.
        older: whether the result may be that of the older checkpoint without a word, since the newest is gone.
    """

    apply: Callable[[random.Random], object]
    must_be_noticed: bool = True
    older: bool = False


def cases(seed: int, count: int) -> Iterator[Case]:
    """Sound runs, each damaged once and opened once."""
    for index in range(count):
        place = f"run_folders {seed} {index}"
        rng = random.Random(place)
        source = rng.choice(["instant", "instant", "nerf", "old"])
        trial = rng.choice([*list(TRIALS), *QUICK * 3])
        if rng.random() < 0.08 and source != "old":
            trial = rng.choice(["resume", "eval", "report"])
            yield Case(f"{index} {source} {trial} after a picture changed", _changed_picture(source, trial, place))
            continue
        name, damage = _drawn(source, rng)
        yield Case(f"{index} {source} {trial} after {name}", _case(source, trial, damage, place))


# ----------------------------------------------------------------------------------------------------------------------
# Damages


def _drawn(source: str, rng: random.Random) -> tuple[str, Damage]:
    """A damage and its name."""
    if rng.random() < 0.1:
        name = rng.choice(list(FOLDER))
        return name, FOLDER[name]
    file = rng.choice(list(FILES if source != "old" else OLD_FILES))
    kinds = list(BYTES) + (["values"] * 5 if source != "old" or file != "newest" else [])
    kind = rng.choice(kinds + (["archive"] if "est" in file else []))
    if kind == "values":
        change = edit_a_line if file == "metrics.jsonl" else tamper if file in ("newest", "oldest") else edit
        return f"values of {file}", Damage(lambda r: change(_file(file), r), must_be_noticed=False)
    if kind == "archive":
        return f"another archive as {file}", Damage(lambda r: other_archive(_file(file), r))
    sealed = source != "old" or file == "newest"
    return f"{kind} in {file}", Damage(lambda r: BYTES[kind](_file(file), r), must_be_noticed=sealed)


FILES = (
    "config.json", "cameras.json", "pictures.json", "metrics.jsonl", "newest", "newest", "oldest", "eval/test.json",
    "report.json", "film.json",
)  # fmt: skip
OLD_FILES = ("config.json", "cameras.json", "metrics.jsonl", "newest")


def _file(name: str) -> Path:
    if name in ("newest", "oldest"):
        found = sorted((RUN / "checkpoints").glob("step-*.npz"))
        return found[-1 if name == "newest" else 0]
    return RUN / name


def _remove(name: str) -> Callable[[random.Random], object]:
    return lambda rng: _file(name).unlink(missing_ok=True)


def _as_folder(name: str) -> Callable[[random.Random], object]:
    def change(rng: random.Random) -> None:
        file = _file(name)
        file.unlink(missing_ok=True)
        (file / "inside").mkdir(parents=True)

    return change


def _as_link(name: str, target: str) -> Callable[[random.Random], object]:
    def change(rng: random.Random) -> None:
        file = _file(name)
        file.unlink(missing_ok=True)
        file.symlink_to(target)

    return change


def _named(name: str) -> Callable[[random.Random], object]:
    return lambda rng: shutil.copy(_file("oldest"), RUN / "checkpoints" / name)


def _swap(first: str, second: str) -> Callable[[random.Random], object]:
    def change(rng: random.Random) -> None:
        a, b = _file(first), _file(second)
        content = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(content)

    return change


FOLDER: dict[str, Damage] = {
    **{
        f"{what} {name}": Damage(change(name), older=name == "newest")
        for name in ("config.json", "cameras.json", "metrics.jsonl", "newest")
        for what, change in (("no", _remove), ("a folder as", _as_folder))
    },
    "a link to itself as config.json": Damage(_as_link("config.json", "config.json")),
    "a link to nowhere as metrics.jsonl": Damage(_as_link("metrics.jsonl", "nowhere/file"), must_be_noticed=False),
    "a link to itself as the newest checkpoint": Damage(_as_link("newest", "step-0000006.npz"), older=True),
    "no checkpoints": Damage(lambda rng: shutil.rmtree(RUN / "checkpoints")),
    "a file as checkpoints": Damage(lambda rng: (shutil.rmtree(RUN / "checkpoints"), _write("checkpoints"))),
    "a file as renders": Damage(lambda rng: (shutil.rmtree(RUN / "renders", True), _write("renders"))),
    "a file as eval": Damage(lambda rng: (shutil.rmtree(RUN / "eval", True), _write("eval"))),
    "a checkpoint of step 99999999": Damage(_named("step-99999999.npz")),
    "a checkpoint of a step of 200 digits": Damage(_named(f"step-{'9' * 200}.npz")),
    "a checkpoint of no step": Damage(_named("step-x.npz")),
    "a checkpoint of a step in other digits": Damage(_named("step-٣.npz")),
    "the oldest checkpoint as the newest": Damage(_swap("newest", "oldest")),
    "cameras as configuration": Damage(_swap("config.json", "cameras.json")),
    "an empty folder": Damage(lambda rng: (shutil.rmtree(RUN), RUN.mkdir())),
}


def _write(name: str) -> None:
    (RUN / name).write_text("no folder")


# ----------------------------------------------------------------------------------------------------------------------
# Commands


def _pictures(folder: str) -> object:
    digest = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*.png")):
        digest.update(np.asarray(Image.open(file)).tobytes())
    return digest.hexdigest()


def _scores(file: Path) -> object:
    """Of a file of eval or report, without times."""
    told = json.loads(file.read_text(), parse_constant=_no_constant)
    found = told.get("scores") or told
    return json.dumps([[view["name"], view["psnr"], view["ssim"]] for view in found["views"]])


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} in a result")


def _parameters(source: str) -> object:
    with np.load(RUN / "checkpoints" / f"step-{STEPS[source]:07d}.npz") as archive:
        return hashlib.sha256(b"".join(archive[n].tobytes() for n in sorted(archive.files) if "/" in n)).hexdigest()


def _resume(source: str) -> Outcome:
    words = ["--resume", "--max-steps", STEPS[source], "--no-report"]
    if source == "old":
        words += ["--levels", "3"]  # as it was, said again
    return outcome_of(["train", SCENE, "--output", RUN, *words])


def _called(function: Callable[[list[str]], object]) -> Outcome:
    """What a command does, called by itself; it is handed a list for what it says."""
    from nerf_mini.errors import UserError

    said: list[str] = []
    began, code, raised = time.perf_counter(), 0, ""
    try:
        function(said)
    except UserError as error:
        code = 2
        said.append(str(error))
    except Exception:
        raised = traceback.format_exc()
    seconds = time.perf_counter() - began
    return Outcome((function.__name__,), None if raised else code, "", "\n".join(said), seconds, raised)


def _view(said: list[str]) -> None:
    """`nerf-mini view`, until it listens."""
    from nerf_mini.outputs.viewer.serving import Show

    show = Show(RUN, warn=said.append)
    Path("view.json").write_text(json.dumps([show.info()["step"]], allow_nan=False))
    show.jobs.close()


def _gallery(said: list[str]) -> None:
    """`nerf-mini report --gallery`, but for the film, which takes long."""
    from nerf_mini.outputs.report.gallery import reported
    from nerf_mini.outputs.report.opening import opened

    found = opened(RUN, SCENE)
    said.extend(found.problems)
    told = reported(RUN / "report.json", found.trainer.step_count)
    page = [None if told is None else [told.psnr, told.views, told.step, told.method], found.trainer.step_count]
    Path("gallery.json").write_text(json.dumps(page, allow_nan=False))


TRIALS = {
    "render": Trial(
        lambda source: outcome_of(["render", RUN, "--views", "1", "--output", "views"]),
        lambda source: _pictures("views"),
    ),
    "render a film": Trial(
        lambda source: outcome_of(["render", RUN, "--path", RUN / "film.json", "--output", "film"]),
        lambda source: _pictures("film"),
    ),
    "eval": Trial(
        lambda source: outcome_of(["eval", RUN, "--data", SCENE]), lambda source: _scores(RUN / "eval" / "test.json")
    ),
    "resume": Trial(_resume, _parameters),
    "export": Trial(
        lambda source: outcome_of(["export", RUN, "points", "--points", "50", "--output", "points.ply"]),
        lambda source: hashlib.sha256(Path("points.ply").read_bytes()).hexdigest(),
    ),
    "report": Trial(
        lambda source: outcome_of(["report", RUN, "--output", "page.html", "--data", SCENE, "--max-views", "1"]),
        lambda source: _scores(Path("page.json")),
    ),
    "view": Trial(lambda source: _called(_view), lambda source: Path("view.json").read_text()),
    "gallery": Trial(lambda source: _called(_gallery), lambda source: Path("gallery.json").read_text()),
}
QUICK = ["render", "export", "view", "gallery"]

# ----------------------------------------------------------------------------------------------------------------------
# Cases


def _case(source: str, trial: str, damage: Damage, seed: str) -> Callable[[Path], str | None]:
    def run(folder: Path) -> str | None:
        wanted = _wanted(source, trial)  # before this case's own files
        _copy(source)
        damage.apply(random.Random(f"{seed}, applied"))
        outcome = TRIALS[trial].outcome(source)
        fault = fault_of(outcome)
        if fault is not None or outcome.code != 0:
            return fault
        try:
            found = TRIALS[trial].result(source)
        except Exception:
            return f"says that it is done, but the result is none: {traceback.format_exc()[-300:]}"
        return _compared(found, wanted, outcome, damage)

    return run


def _compared(found: object, wanted: tuple[object, object], outcome: Outcome, damage: Damage) -> str | None:
    newest, older = wanted
    if not damage.must_be_noticed or found == newest:
        return None
    if found == older and (damage.older or "Falling back" in outcome.printed):
        return None
    if outcome.arguments == ("_gallery",) and json.loads(str(found))[0] is None:
        return None  # shows no score, which is sound, rather than one that may be wrong
    if outcome.arguments[0] == "report" and "damaged" in Path("page.html").read_text():
        return None  # says so on its page
    return f"silent garbage: another result without a word; it said {outcome.printed[-200:]!r}"


def _changed_picture(source: str, trial: str, seed: str) -> Callable[[Path], str | None]:
    """A pixel of a picture of the data set is another by one."""

    def run(folder: Path) -> str | None:
        _copy(source)
        rng = random.Random(f"{seed}, applied")
        file = rng.choice(sorted(SCENE.glob("test/*.png" if trial == "report" else "t*/*.png")))
        pixels = np.array(Image.open(file))
        pixels[rng.randrange(sound.SIZE), rng.randrange(sound.SIZE), rng.randrange(3)] ^= 1
        Image.fromarray(pixels).save(file)
        outcome = TRIALS[trial].outcome(source)
        fault = fault_of(outcome)
        if fault is not None:
            return fault
        name = f"{file.parent.name}/{file.stem}"
        said = Path("page.html").read_text() if trial == "report" else outcome.printed
        if name not in said or (trial == "resume") != outcome.refused:
            return f"went on with another picture {name}: {outcome.printed[-200:]!r}"
        return None

    return run


def _copy(source: str) -> None:
    """A sound run, and its data set, in the working folder."""
    sound.copied(_prepared(source) / "run", RUN)
    sound.copied(_prepared(source) / "scene", SCENE)


@cache
def _prepared(source: str) -> Path:
    """A run with all files that commands leave in it, beside its data set."""
    from nerf_mini.outputs.camera_paths import CameraPath, write_camera_path
    from nerf_mini.runs.folder import open_run

    place = sound.run("instant").parent / f"folder-{source}"
    shutil.copytree(OLD / "run" if source == "old" else sound.run(source), place / "run")
    shutil.copytree(OLD / "scene" if source == "old" else sound.scene(), place / "scene")
    with _inside(place):
        if source != "old":
            assert outcome_of(["eval", RUN, "--data", SCENE]).code == 0
        poses = open_run(RUN).cameras.train.poses[:1]
        write_camera_path(RUN / "film.json", CameraPath(poses, np.array([0.6]), (12, 10), 1.0, None, None, None))
    return place


@cache
def _wanted(source: str, trial: str) -> tuple[object, object]:
    """The result of a trial with the whole run, and with its newest checkpoint gone."""
    found = []
    for newest_gone in (False, True):
        place = _prepared(source).parent / f"{source}-{trial}-{newest_gone}".replace(" ", "-")
        place.mkdir()
        with _inside(place), contextlib.redirect_stdout(io.StringIO()):
            _copy(source)
            if newest_gone and source != "old":
                _file("newest").unlink()
            outcome = TRIALS[trial].outcome(source)
            assert outcome.code == 0, outcome
            found.append(TRIALS[trial].result(source))
    return found[0], found[1]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)

"""Pages from runs: the report of one, two side by side, and a gallery of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from nerf_mini.errors import UserError
from nerf_mini.geometry.alignment import in_world
from nerf_mini.io.files import real_path, write_bytes, write_json
from nerf_mini.outputs.overview import cameras_overview
from nerf_mini.outputs.report.album import Album, spread
from nerf_mini.outputs.report.comparison import Side, comparison_page
from nerf_mini.outputs.report.doubts import Evidence, doubts_about
from nerf_mini.outputs.report.facts import Facts, gather, run_name, write_facts
from nerf_mini.outputs.report.gallery import Card, animated, gallery_page, link_from, reported
from nerf_mini.outputs.report.opening import OpenedRun, Progress, opened, restricted, scored
from nerf_mini.outputs.report.page import RunReport, report_page
from nerf_mini.outputs.report.pictures import data_uri
from nerf_mini.runs.evaluation import ScoredView, spread_indices
from nerf_mini.runs.folder import Run, open_run, same_cameras
from nerf_mini.runs.history import read_history
from nerf_mini.runs.records import Evaluation
from nerf_mini.runs.session import Session
from nerf_mini.scenes import Scene, SceneCameras
from nerf_mini.training import Trainer

MOST_VIEWS = 12  # that are scored if nobody says how many
_AFTER_TRAINING = 8
PAGE = "report.html"


def _quiet(done: int, total: int) -> None:
    """Shows no progress."""


def report_of_session(session: Session, between: Callable[[], None] = lambda: None) -> tuple[Evaluation | None, Path]:
    """Score test views of a run that has just been trained, and write RUN/report.html and RUN/report.json.

    Each view is rendered once, for both; `between` is called after each. Returns the scores, None for a data set
    without test views, and the page.
    """
    trainer = session.trainer
    views = None if trainer.scene is None else trainer.scene.splits.get("test")
    chosen = () if views is None else spread(spread_indices(len(views), _AFTER_TRAINING))
    album = Album(trainer, views, chosen)

    def keep(view: ScoredView) -> None:
        album.add(view)
        between()

    scores = session.evaluate(_AFTER_TRAINING, keep)
    found = OpenedRun(session.run, trainer)
    return scores, _write_report(found, scores, album, session.run.path / PAGE, just_trained=True)


def report_of_run(
    path: Path, output: Path | None = None, max_views: int = MOST_VIEWS, data: Path | None = None,
    progress: Progress = _quiet,
) -> Path:  # fmt: skip
    """Write the report of a run: RUN/report.html, or `output`, and a .json beside it; returns the page.

    Scores are taken of at most `max_views` test views, or are those of RUN/eval/test.json where these are of the same
    step. `data` says where the data set is if it has moved. Raises UserError as `opening.opened`.
    """
    page = _html_file(path / PAGE if output is None else output)
    found = opened(path, data)
    scores, album = scored(found, max_views, progress)
    return _write_report(found, scores, album, page)


def _write_report(
    found: OpenedRun, scores: Evaluation | None, album: Album, page: Path, just_trained: bool = False
) -> Path:
    facts = gather(found.run, found.trainer, scores, just_trained)
    report = RunReport(facts, (), read_history(found.run.metrics), album.shown, _drawing(found.trainer))
    said = doubts_about(_evidence(found, report, album))
    write_bytes(page, report_page(replace(report, doubts=said)))
    write_facts(facts, page.with_suffix(".json"), doubts=[asdict(doubt) for doubt in said])
    return page


def _evidence(found: OpenedRun, report: RunReport, album: Album) -> Evidence:
    masked = [view.pictures.masked for view in report.views]
    share = sum(masked) / len(masked) if masked else 0.0
    return Evidence(report.facts, report.history, album.border_share, share, found.problems, found.missing_data)


def _drawing(trainer: Trainer) -> str:
    """The cameras, as they were refined where they were."""
    points = None if trainer.scene is None else trainer.scene.points
    return data_uri(cameras_overview(trainer.refined_cameras, None if points is None else points.positions))


def _html_file(path: Path) -> Path:
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise UserError(f"{path}: name a file that ends in .html.")
    return path


# -- two runs ----------------------------------------------------------------------------------------------------------


def compare_runs(
    first: Path, second: Path, output: Path | None = None, max_views: int = MOST_VIEWS, data: Path | None = None,
    progress: Progress = _quiet,
) -> Path:  # fmt: skip
    """Write a page with two runs of the same data side by side: FIRST/report-and-<second>.html, or `output`, and a
    .json beside it; returns the page.

    Raises UserError for runs of different data, and as `report_of_run`.
    """
    default = first / f"report-and-{run_name(second)}.html"
    page = _html_file(default if output is None else output)
    one = opened(first, data)
    other = opened(second, data, _shared_scene(one, second))
    require_same_data(one.run, other.run)
    scores, album = scored(one, max_views, progress)
    shown = [view.index for view in album.shown]
    others, beside = scored(other, max_views, progress, shown)
    names = {v.name for v in (scores.views if scores else ())} & {v.name for v in (others.views if others else ())}
    sides = []
    for found, own, views in ((one, scores, album), (other, others, beside)):
        common = restricted(own, names) if own is not None and names else None
        facts = gather(found.run, found.trainer, common, just_trained=False)
        report = RunReport(facts, (), read_history(found.run.metrics), views.shown, "")
        said = doubts_about(_evidence(found, report, views))
        sides.append(Side(replace(report, doubts=said)))
    left, right = _told_apart(sides, first, second)
    write_bytes(page, comparison_page(left, right))
    write_json(page.with_suffix(".json"), {"format": 1, "runs": [side.facts.to_json() for side in (left, right)]})
    return page


def _shared_scene(one: OpenedRun, second: Path) -> Scene | None:
    """The data set of a run that is open, if another one reads it in the same way."""
    other, scene = open_run(second), one.trainer.scene
    if scene is None or other.data != one.run.data or other.config.scene != one.run.config.scene:
        return None
    return scene if _all_alike(other.cameras, one.run.cameras) else None


def _all_alike(first: SceneCameras, second: SceneCameras) -> bool:
    """Whether cameras stand in the same places of the same world."""
    same = first.splits.keys() == second.splits.keys() and first.space == second.space
    return same and all(same_cameras(first.splits[name], second.splits[name]) for name in first.splits)


def require_same_data(first: Run, second: Run) -> None:
    """Raise a UserError for runs of different data: their cameras do not stand in the same places of the capture."""
    for split in ("train", "test"):
        sides = [run.cameras.splits.get(split) for run in (first, second)]
        given = [
            None if cameras is None else in_world(cameras, run.cameras.to_capture)
            for cameras, run in zip(sides, (first, second), strict=True)
        ]
        if given[0] is given[1] is None:
            continue
        if given[0] is None or given[1] is None or not same_cameras(given[0], given[1]):
            kind = "training" if split == "train" else split
            raise UserError(
                f"{first.path} and {second.path} are runs of different data: their {kind} cameras differ. Only runs of"
                " the same data can be compared; --gallery shows others."
            )


def _told_apart(sides: Sequence[Side], first: Path, second: Path) -> tuple[Side, Side]:
    """Names of runs whose folders are called the same get that of the folder around them."""
    left, right = sides
    if left.name != right.name:
        return left, right
    around = [f"{real_path(path).parent.name}/{run_name(path)}" for path in (first, second)]
    if around[0] == around[1]:
        around = [f"{name} ({number})" for number, name in enumerate(around, start=1)]
    return left.called(around[0]), right.called(around[1])


# -- many runs ---------------------------------------------------------------------------------------------------------


def write_gallery(runs: Sequence[Path], output: Path, max_views: int = MOST_VIEWS, progress: Progress = _quiet) -> Path:
    """Write a page that shows some runs, each with an orbit and a link to its report, which is made where it is missing
    or of an earlier step. Raises UserError as `report_of_run`."""
    page, cards = _html_file(output), []
    for done, path in enumerate(runs, start=1):
        found = opened(path)
        told = reported(path / "report.json", found.trainer.step_count)
        if told is None or not (path / PAGE).is_file():
            scores, album = scored(found, max_views, _quiet)
            _write_report(found, scores, album, path / PAGE)
            told = reported(path / "report.json", found.trainer.step_count)
        still, moving = animated(found.trainer)
        cards.append(Card(run_name(path), still, moving, told, link_from(page, path / PAGE)))
        progress(done, len(runs))
    write_bytes(page, gallery_page(cards))
    return page


__all__ = ["MOST_VIEWS", "Facts", "compare_runs", "report_of_run", "report_of_session", "write_gallery"]

"""A run as its report needs it: trainer, scores, pictures of some views, and what was wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from nerf_mini.errors import UserError
from nerf_mini.io.files import real_path
from nerf_mini.outputs.report.album import Album, spread
from nerf_mini.runs.evaluation import ScoredView, evaluate_views, evaluation_file, read_evaluation, spread_indices
from nerf_mini.runs.folder import Run, open_run
from nerf_mini.runs.pictures import Changes, changed_pictures
from nerf_mini.runs.records import Evaluation
from nerf_mini.runs.restoring import restored_trainer
from nerf_mini.scenes import Scene, Views
from nerf_mini.training import Trainer

Progress = Callable[[int, int], None]
"""Called with the numbers of views done and to do."""


@dataclass(frozen=True)
class OpenedRun:
    """A run with its trainer.

    Attributes:
        problems: sentences about damaged checkpoints and changed pictures.
        missing_data: why the data set could not be read; None where it was.
        changed: views whose pictures are not those that the run began with, as in `Protocol`.
    """

    run: Run
    trainer: Trainer
    problems: tuple[str, ...] = ()
    missing_data: str | None = None
    changed: tuple[str, ...] = ()

    @property
    def views(self) -> Views | None:
        """The test views; None where there is no data, or no such split."""
        scene = self.trainer.scene
        return None if scene is None else scene.splits.get("test")


def opened(path: Path, data: Path | None = None, shared: Scene | None = None) -> OpenedRun:
    """A run at its newest sound checkpoint, with its data if there is any.

    Args:
        data: where the data set is; it must be that of the run.
        shared: the data set, if it is in memory.

    Raises UserError for a folder that is no run, for one without a sound checkpoint, and for `data` of another run.
    """
    run = open_run(path)
    scene, missing = shared, None
    if scene is None:
        try:
            scene = run.read_scene(("train", "test"), data)
        except UserError as error:
            if data is not None:
                raise
            missing = handed_on(str(error), run)
    problems: list[str] = []
    changes = Changes(run.path) if scene is None else changed_pictures(run.path, scene)
    if changes:
        problems.append(f"{str(changes)[0].upper()}{str(changes)[1:]}")
    trainer = restored_trainer(run, scene, problems.append)
    return OpenedRun(run, trainer, tuple(handed_on(problem, run) for problem in problems), missing, changes.views)


def handed_on(text: str, run: Run) -> str:
    """A sentence for others: the folders of the run and of its data become their names, and that of the user ~."""
    home, data = Path(os.path.expanduser("~")), [] if run.data is None else [run.data]
    for folder in sorted({run.path, real_path(run.path), *data, home}, key=lambda folder: -len(str(folder))):
        if len(folder.parts) > 1:
            text = text.replace(str(folder), "~" if folder == home else folder.name)
    return text


def scored(
    found: OpenedRun, max_views: int, progress: Progress, chosen: Collection[int] | None = None
) -> tuple[Evaluation | None, Album]:
    """Scores of test views, and an album of some of them.

    RUN/eval/test.json is taken where it is of the same step and of at least as many views: then only those that are
    shown are rendered. Without data, test views are rendered without their truth, and scores are those of that file.

    Args:
        max_views: how many views are scored at most, evenly spread.
        chosen: the views for the album, instead of evenly spread ones.
    """
    spread_indices(1, max_views)  # a wrong number is refused whatever is taken
    saved = _saved_scores(found)
    if found.views is None:
        return saved, _unscored_album(found, saved, progress)
    indices = spread_indices(len(found.views), max_views)
    known = None if saved is None else _indices_of(saved, found.views)
    if saved is None or known is None or len(saved.views) + len(saved.protocol.skipped) < len(indices):
        album = Album(found.trainer, found.views, spread(indices) if chosen is None else chosen)
        return evaluate_views(found.trainer, found.views, indices, _counting(album, len(indices), progress)), album
    ranked = sorted(zip(known, saved.views, strict=True), key=lambda pair: pair[1].psnr)
    shown = {*spread(known), ranked[0][0]} if chosen is None else set(chosen)
    album = Album(found.trainer, found.views, shown)
    evaluate_views(found.trainer, found.views, sorted(shown), _counting(album, len(shown), progress))
    return saved, album


def _counting(album: Album, total: int, progress: Progress) -> Callable[[ScoredView], None]:
    done = 0

    def report(view: ScoredView) -> None:
        nonlocal done
        album.add(view)
        done += 1
        progress(done, total)

    return report


def _unscored_album(found: OpenedRun, saved: Evaluation | None, progress: Progress) -> Album:
    """Renderings of test cameras, whose truth is not known; none where the run has no test cameras."""
    cameras = found.run.cameras.splits.get("test")
    count = 0 if cameras is None or found.missing_data is None else len(cameras)
    album = Album(found.trainer, None, spread(range(count)) if count else ())
    names = [f"test view {index}" for index in range(count)]
    if saved is not None and len(saved.views) == count:
        names = [view.name for view in saved.views]
    for done, index in enumerate(sorted(album.chosen), start=1):
        if cameras is not None:
            album.add_rendering(index, names[index], found.trainer.render(cameras, index))
        progress(done, len(album.chosen))
    return album


def _saved_scores(found: OpenedRun) -> Evaluation | None:
    """What `nerf-mini eval` wrote of this step."""
    file = evaluation_file(found.run, "test")
    if not file.is_file():
        return None
    try:
        scores = read_evaluation(file)
    except UserError:  # it is taken anew
        return None
    fits = scores.step == found.trainer.step_count and scores.protocol.fit == "none"
    fits = fits and (found.views is None or scores.protocol.changed == found.changed)
    return scores if fits else None


def _indices_of(scores: Evaluation, views: Views) -> list[int] | None:
    """Which views were scored; None where they are not these."""
    known = {name: index for index, name in enumerate(views.names)}
    if not all(view.name in known for view in scores.views) or len(known) < len(views):
        return None
    return [known[view.name] for view in scores.views]


def restricted(scores: Evaluation, names: Collection[str]) -> Evaluation:
    """The scores of some of the views."""
    return replace(scores, views=tuple(view for view in scores.views if view.name in names))

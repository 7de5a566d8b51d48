"""The photometric vote: under which reading of the poses do neighbouring pictures show the same things?

It needs nothing but pictures and poses, and tells apart what no look at the poses can: axes, inverse, mirror, order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Survey, natural
from nerf_mini.scenes.checks.lens import focal
from nerf_mini.scenes.checks.planes import Flattened, Match, matches, same_sizes

REFERENCES = 8
LEAD = 0.1  # by which a reading must be better to be believed
LONGER_LEAD, SHORTER_LEAD = 0.03, 0.08  # of focal lengths: a shorter one fits a little better even where it is wrong
POOR = 0.5  # what unrelated pictures reach, about
MISFIT, MOST_JUDGED = 0.25, 60
WELL = 0.7  # score of a neighbour whose brightness is compared
JUMP = 0.5  # stops between what neighbours show of the same places
JUDGED_SIZE = 64  # pixels, where single views are judged
_FEWEST = 4
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])

Order = Callable[[Survey], np.ndarray | None]


@dataclass(frozen=True)
class Hypothesis:
    """A reading of the files: what their matrices are, how long the focal length is, which picture a pose belongs to.

    Attributes:
        code: of the finding, if it is the best.
        meaning: what the data would be, to follow "as if".
        advice: what to do then.
        poses: file's matrices (V, 4, 4) -> camera-to-world with OpenGL axes.
        focal: a factor on focal lengths.
        order: which picture each pose belongs to, (V,); None where the hypothesis does not apply.
        lead: by how much it must be better than the data as they are.
    """

    code: str
    meaning: str
    advice: str
    poses: Callable[[np.ndarray], np.ndarray] = lambda poses: poses
    focal: float = 1.0
    order: Order | None = None
    lead: float = LEAD


def _transposed(poses: np.ndarray) -> np.ndarray:
    turned = poses.copy()
    turned[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    return turned


def _shifted(step: int) -> Order:
    def order(survey: Survey) -> np.ndarray | None:
        if not same_sizes(survey.cameras):
            return None
        pictures = np.empty(len(survey), np.int64)
        pictures[survey.order] = np.roll(survey.order, step)
        return pictures

    return order


def _resorted(survey: Survey) -> np.ndarray | None:
    """Poses in natural order of names, pictures in lexicographic order, or the other way round."""
    by_text = sorted(range(len(survey)), key=lambda view: survey.names[view])
    by_number = sorted(range(len(survey)), key=lambda view: natural(survey.names[view]))
    if by_text == by_number or not same_sizes(survey.cameras):
        return None
    pictures = np.empty(len(survey), np.int64)
    pictures[np.array(by_text)] = by_number
    return pictures


def _inverse_order(order: Order) -> Order:
    def inverse(survey: Survey) -> np.ndarray | None:
        pictures = order(survey)
        return None if pictures is None else np.argsort(pictures)

    return inverse


_AXES = "Negate the second and third column of each pose (OpenCV's axes are x right, y down, z forward)."
_INVERT = "Invert each matrix: poses must be camera-to-world."
_MIRRORED = "An axis of the world was negated together with one of the cameras: undo either and convert again."
_ORDER = "Check how pictures and poses are paired: a picture may be missing, or names sorted otherwise."
_FOCAL = "Focal lengths must be in pixels, for pictures of this size."

AS_IS = Hypothesis("as-is", "they were right", "Nothing to do.")
HYPOTHESES = (
    AS_IS,
    Hypothesis("axes", "the poses had OpenCV's axes", _AXES, lambda m: m @ _FLIP),
    Hypothesis("inverse", "the matrices were world-to-camera", _INVERT, np.linalg.inv),
    Hypothesis(
        "inverse", "the matrices were world-to-camera with OpenCV's axes", f"{_INVERT} {_AXES}",
        lambda m: np.linalg.inv(m) @ _FLIP,
    ),
    Hypothesis("transposed", "the rotations were transposed", "Transpose the 3x3 part of each pose.", _transposed),
    Hypothesis("mirrored", "the world were mirrored", _MIRRORED, lambda m: _MIRROR @ m @ _MIRROR),
    Hypothesis(
        "mirrored", "the world were mirrored and the cameras upside down", _MIRRORED,
        lambda m: _MIRROR @ m @ _MIRROR @ np.diag([-1.0, -1.0, 1.0, 1.0]),
    ),
    Hypothesis(
        "mirrored", "the world were mirrored and the cameras turned round", _MIRRORED,
        lambda m: _MIRROR @ m @ _MIRROR @ np.diag([-1.0, 1.0, -1.0, 1.0]),
    ),
    Hypothesis("order", "each picture belonged to the next pose", _ORDER, order=_shifted(1)),
    Hypothesis("order", "each picture belonged to the previous pose", _ORDER, order=_shifted(-1)),
    Hypothesis("order", "pictures were sorted as text and poses by number", _ORDER, order=_resorted),
    Hypothesis("order", "pictures were sorted by number and poses as text", _ORDER, order=_inverse_order(_resorted)),
    Hypothesis("focal", "the focal length were half as long", _FOCAL, focal=0.5, lead=SHORTER_LEAD),
    Hypothesis("focal", "the focal length were twice as long", _FOCAL, focal=2.0, lead=LONGER_LEAD),
)  # fmt: skip


@dataclass(frozen=True)
class Vote:
    """A hypothesis and its score: the mean over references, 0 where too few can be scored."""

    hypothesis: Hypothesis
    score: float


def votes(survey: Survey) -> list[Vote]:
    """The score of each hypothesis that applies; none where there are too few views."""
    if len(survey) < _FEWEST:
        return []
    count = len(survey.scene.splits["train"])
    references = np.unique(np.linspace(0, count - 1, min(count, REFERENCES)).astype(int)).tolist()
    references = [survey.places.index(("train", index)) for index in references]
    pictures = Flattened(survey)

    def score(hypothesis: Hypothesis) -> Vote | None:
        order = None if hypothesis.order is None else hypothesis.order(survey)
        if hypothesis.order is not None and order is None:
            return None
        poses = hypothesis.poses(survey.capture_poses)
        found = [matches(pictures, poses, view, hypothesis.focal, order) for view in references]
        scores = [np.mean([match.score for match in by_view.values()]) for by_view in found if by_view]
        enough = len(scores) >= max(2, len(references) // 3)
        return Vote(hypothesis, float(np.mean(scores)) if enough else 0.0)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy lets others work while it does
        return [vote for vote in pool.map(score, HYPOTHESES) if vote is not None]


def photometric(survey: Survey) -> Iterator[Finding]:
    """The vote, and where the poses hold, which single views do not fit."""
    if any(finding.code == "focal" for finding in focal(survey)):  # nothing fits then
        return
    of_vote = list(vote(survey))
    yield from of_vote
    if all(finding.severity == "note" for finding in of_vote):
        yield from misfits(survey)


def vote(survey: Survey) -> Iterator[Finding]:
    """The best reading, where it is not the one at hand."""
    found = votes(survey)
    if not found:
        return
    as_is, others = found[0], found[1:]
    readings = [other for other in others if other.hypothesis.focal == 1]  # a shorter focal length always fits well
    better = [other for other in others if other.score > as_is.score + other.hypothesis.lead]
    if better:
        best = max(better, key=lambda vote: vote.score)
        text = (
            f"Neighbouring pictures agree much better as if {best.hypothesis.meaning} "
            f"({best.score:.2f} against {as_is.score:.2f})."
        )
        yield Finding(best.hypothesis.code, "error", text, best.hypothesis.advice)
    elif as_is.score == 0:
        yield Finding("vote", "note", "Too few pictures overlap to try the poses on them.", "Nothing to do.")
    elif as_is.score < POOR or as_is.score < max(other.score for other in readings):
        text = f"Neighbouring pictures hardly agree about the scene ({as_is.score:.2f}), however the poses are read."
        advice = "Check that pictures and poses belong together, and how far neighbours are apart."
        yield Finding("disagreement", "warning", text, advice)
    else:
        runner_up = max(readings, key=lambda vote: vote.score)
        text = (
            f"Neighbouring pictures agree ({as_is.score:.2f}); of other readings of the poses the best is as if "
            f"{runner_up.hypothesis.meaning} ({runner_up.score:.2f})."
        )
        yield Finding("vote", "note", text, "Nothing to do.")


def misfits(survey: Survey) -> Iterator[Finding]:
    """Single views that agree with none of their neighbours, where others do; and those of another brightness."""
    if len(survey) < 2 * _FEWEST:
        return
    found = judged_views(survey)
    scores = {view: max(match.score for match in its.values()) for view, its in found.items() if its}
    median = float(np.median(list(scores.values()))) if scores else 0.0
    off = [view for view, score in scores.items() if score < median - MISFIT]
    if off and median > POOR + MISFIT:
        text = f"{len(off)} pictures do not fit what their neighbours show: {survey.listed(off)}."
        advice = "They are another pose's pictures, or their poses are wrong: leave them out, or put them right."
        yield Finding("misfit", "warning", text, advice)
    stops = {view: _brighter(its) for view, its in found.items()}
    jumps = [view for view, brighter in stops.items() if abs(brighter) > JUMP]
    if jumps:
        most = max(abs(stops[view]) for view in jumps)
        text = (
            f"{len(jumps)} of {len(found)} pictures show the same places up to {most:.1f} stops brighter or darker "
            f"than their neighbours: {survey.listed(jumps)}."
        )
        advice = "Fix exposure and white balance when you take pictures; --exposure lets the training correct them."
        yield Finding("exposure", "warning", text, advice)


def _brighter(found: dict[int, Match]) -> float:
    """By how many stops a view is brighter than its neighbours: the median, 0 where fewer than two can tell."""
    stops = [match.stops for match in found.values() if np.isfinite(match.stops) and match.score > WELL]
    return float(np.median(stops)) if len(stops) >= 2 else 0.0


def judged_views(survey: Survey) -> dict[int, dict[int, Match]]:
    """How well views agree with their neighbours, in small: all of them, or some where they are many."""
    judged = np.unique(np.linspace(0, len(survey) - 1, min(len(survey), MOST_JUDGED)).astype(int)).tolist()
    pictures = Flattened(survey, JUDGED_SIZE)
    return {view: matches(pictures, survey.cameras.poses, view) for view in judged}


CHECKS = (photometric,)

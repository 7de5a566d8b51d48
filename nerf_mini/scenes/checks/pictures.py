"""Checks of the pictures themselves: blur, exposure, doubles, blank ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Severity, Survey, exposure

BLUR_WIDTH, BLURRED, AROUND = 256, 0.4, 3
JUMP, RANGE = 1.5, 2.0  # of exposure, in stops
SAME = 1.0 / 255  # mean difference of pictures that are one
BLANK = 1.0 / 255  # standard deviation of a picture that shows nothing
_MOVED = 1e-3  # of the distance of what is looked at, between poses that differ
THUMB = 24  # pixels along the longer side by which doubles are looked for


def blur(survey: Survey) -> Iterator[Finding]:
    """The variance of the Laplacian of each grey picture at 256 pixels, over the median of its neighbours in order."""
    values = np.array([sharpness(survey.small(view, BLUR_WIDTH)) for view in survey.order])
    blurred = survey.order[_against_neighbours(values) < BLURRED]
    if len(blurred):
        text = f"{len(blurred)} of {len(survey)} pictures are much less sharp than their neighbours: "
        advice = "Leave them out: a blurred picture costs more than it brings."
        yield Finding("blur", "warning", f"{text}{survey.listed(sorted(blurred))}.", advice)


def sharpness(grey: np.ndarray) -> float:
    """The variance of the Laplacian with 4 neighbours, of a picture (h, w)."""
    if min(grey.shape) < 3:
        return 0.0
    middle = grey[1:-1, 1:-1]
    return float(np.var(grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle))


def _against_neighbours(values: np.ndarray) -> np.ndarray:
    """Each value over the median of up to three before and after it; 1 where that is not positive."""
    ratios = np.ones(len(values))
    for index in range(len(values)):
        others = np.concatenate([values[max(0, index - AROUND) : index], values[index + 1 : index + 1 + AROUND]])
        median = float(np.median(others)) if len(others) else 0.0
        ratios[index] = values[index] / median if median > 0 else 1.0
    return ratios


def exposures(survey: Survey) -> Iterator[Finding]:
    """EV = log2 of the mean linear luma of opaque pictures: its jumps between neighbours, and its range."""
    if any(views.has_alpha for views in survey.scene.splits.values()) or len(survey) < 2:
        return
    values = np.array([exposure(survey.sampled[view]) for view in survey.order])
    jumps = np.abs(np.diff(values))
    after = survey.order[1:][jumps > JUMP]
    if len(after):
        named = survey.listed(after)
        text = f"The brightness jumps by up to {jumps.max():.1f} stops between neighbouring pictures: {named}."
        advice = "Fix exposure and white balance when you take pictures; --exposure lets the training correct them."
        yield Finding("exposure", "warning", text, advice)
    elif np.ptp(values) > RANGE:
        text = f"The brightness ranges over {np.ptp(values):.1f} stops."
        yield Finding("exposure-range", "note", text, "If that is the camera's doing, try --exposure.")


def doubles(survey: Survey) -> Iterator[Finding]:
    """Pictures that are the same, by a mean difference below 1/255."""
    pairs = _same_pictures(survey)
    if not pairs:
        return
    trained = [split == "train" for split, _ in survey.places]
    repeated = sorted({b for _, b in pairs})
    apart = np.linalg.norm(np.diff(survey.positions[np.array(pairs)], axis=1)[:, 0], axis=1)
    text = f"{len(repeated)} of {len(survey)} pictures are the same as another: {survey.listed(repeated)}."
    if (apart > _MOVED * survey.distance).any():
        advice = "They have different poses, which cannot be: some pictures are not those that the poses belong to."
        yield Finding("identical-pictures", "error", text, advice)
    else:
        severity: Severity = "warning" if any(trained[a] or trained[b] for a, b in pairs) else "note"
        yield Finding("identical-pictures", severity, text, "Remove doubles: they count twice and teach nothing new.")
    leaked = [b if trained[a] else a for a, b in pairs if trained[a] != trained[b]]
    if leaked:
        text = f"{len(leaked)} held-out pictures are among those to train on, too: {survey.listed(leaked)}."
        yield Finding("leak", "warning", text, "Scores on them mean nothing; remove them from either.")


def _same_pictures(survey: Survey) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, each b once: found among thumbnails, and looked at more closely."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for view, size in enumerate(survey.cameras.size.tolist()):
        shapes.setdefault(tuple(size), []).append(view)
    pairs = []
    for views in shapes.values():
        thumbs = np.stack([survey.small(view, THUMB).ravel() for view in views])
        for b in range(1, len(views)):
            close = np.flatnonzero(np.abs(thumbs[:b] - thumbs[b]).mean(axis=1) < SAME)
            first = next((a for a in close.tolist() if _same(survey, views[a], views[b])), None)
            if first is not None and thumbs[b].std() > BLANK:
                pairs.append((views[first], views[b]))
    return pairs


def _same(survey: Survey, a: int, b: int) -> bool:
    return float(np.abs(survey.small(a, BLUR_WIDTH) - survey.small(b, BLUR_WIDTH)).mean()) < SAME


def blank(survey: Survey) -> Iterator[Finding]:
    """Pictures of one colour."""
    empty = [view for view, pixels in enumerate(survey.sampled) if pixels.astype(np.float32).std(axis=0).max() < 1.0]
    if empty:
        text = f"{len(empty)} of {len(survey)} pictures are of one colour: {survey.listed(empty)}."
        yield Finding("blank", "warning", text, "Leave them out.")


CHECKS = (blur, doubles)
QUICK = (exposures, blank)

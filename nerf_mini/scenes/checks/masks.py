"""Checks of what of the pictures counts: masks and alpha."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nerf_mini.scenes.checks.base import Finding, Survey

MOST_IGNORED, HARDLY_ANY = 0.5, 0.01


def ignored(survey: Survey) -> Iterator[Finding]:
    """The share of pixels that masks ignore: more than half suggests that black and white are exchanged."""
    kept = [1.0 if mask is None else float(mask.mean()) for mask in map(survey.mask, range(len(survey)))]
    if min(kept) == 1.0:
        return
    share = 1.0 - float(np.mean(kept))
    if share > MOST_IGNORED:
        text = f"Masks and lens leave out {share:.0%} of all pixels."
        advice = (
            "Black means ignore. If the masks are the other way round, invert them; to cut out an object, use "
            "pictures with alpha instead."
        )
        yield Finding("masks", "warning", text, advice)
    else:
        yield Finding("masked", "note", f"Masks and lens leave out {share:.1%} of all pixels.", "Nothing to do.")
    empty = [view for view, left in enumerate(kept) if left < HARDLY_ANY]
    if empty:
        text = f"The masks leave next to nothing of {len(empty)} pictures: {survey.listed(empty)}."
        yield Finding("masks-empty", "warning", text, "Check these masks, or leave the pictures out.")


def alpha(survey: Survey) -> Iterator[Finding]:
    """An alpha channel that is the same everywhere says nothing."""
    values = [pixels[:, 3] for pixels in survey.sampled if pixels.shape[1] == 4]
    if not values:
        return
    if all(np.all(value == 255) for value in values):
        text = "The pictures have an alpha channel that is opaque everywhere."
        advice = "Save them without it: with it they pass for pictures of an object on nothing."
        yield Finding("alpha", "warning", text, advice)
    clear = [view for view, value in enumerate(values) if np.all(value == 0)]
    if clear:
        text = f"{len(clear)} of {len(values)} pictures are transparent all over: {survey.listed(clear)}."
        yield Finding("alpha-empty", "error" if len(clear) == len(values) else "warning", text, "Check their alpha.")


CHECKS = (ignored, alpha)

"""Checks of a data set before a run is wasted on it, each a few lines that say what is wrong and what to do.

A family of checks is a module with CHECKS, functions from a `Survey` to findings, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable

from nerf_mini.scenes.checks import (
    agreement,
    extent,
    lens,
    masks,
    orientation,
    pictures,
    points,
    spread,
)
from nerf_mini.scenes.checks.base import SEVERITIES, Check, Finding, Severity, Survey
from nerf_mini.scenes.checks.facts import summary
from nerf_mini.scenes.checks.forecast import memory, memory_of_machine
from nerf_mini.scenes.scene import Scene

# Those that take a fraction of a second, and those that look closely at the pictures.
QUICK_CHECKS: tuple[Check, ...] = (
    *orientation.CHECKS, *lens.CHECKS, *spread.CHECKS, *extent.CHECKS, *points.CHECKS, *masks.CHECKS,
    *pictures.QUICK,
)  # fmt: skip
CLOSE_CHECKS: tuple[Check, ...] = (*pictures.CHECKS, *agreement.CHECKS)

_GUESSES = ("axes", "poses-astray", "inside-out")  # from poses alone: pictures know better
_PROOFS = ("vote",)


def quick_findings(scene: Scene) -> list[Finding]:
    """What can be told without looking closely at the pictures, the worst first."""
    return _sorted(_run(QUICK_CHECKS, Survey(scene), None))


def findings(scene: Scene, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """What all checks find, the worst first.

    Args:
        progress: called with the numbers of checks done and to do.
    """
    found = _once_each(_run((*QUICK_CHECKS, *CLOSE_CHECKS), Survey(scene), progress))
    agreed = any(finding.code in _PROOFS and finding.text.startswith("Neighbouring") for finding in found)
    return _sorted([_relieved(finding) if agreed and finding.code in _GUESSES else finding for finding in found])


def _run(checks: tuple[Check, ...], survey: Survey, progress: Callable[[int, int], None] | None) -> list[Finding]:
    found: list[Finding] = []
    for done, check in enumerate(checks, start=1):
        found += check(survey)
        if progress is not None:
            progress(done, len(checks))
    return found


def _once_each(found: list[Finding]) -> list[Finding]:
    """One finding of each code: the worst, and of these the last, which looked most closely."""
    kept: dict[str, Finding] = {}
    for finding in found:
        before = kept.get(finding.code)
        if before is None or SEVERITIES.index(finding.severity) >= SEVERITIES.index(before.severity):
            kept[finding.code] = finding
    return list(kept.values())


def _relieved(finding: Finding) -> Finding:
    """A suspicion about poses that the pictures do not share."""
    text = f"{finding.text} The pictures agree with the poses all the same."
    return Finding("inside-out", "note", text, finding.advice)


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: -SEVERITIES.index(finding.severity))


__all__ = [
    "CLOSE_CHECKS",
    "QUICK_CHECKS",
    "Check",
    "Finding",
    "Severity",
    "Survey",
    "findings",
    "memory",
    "memory_of_machine",
    "quick_findings",
    "summary",
]

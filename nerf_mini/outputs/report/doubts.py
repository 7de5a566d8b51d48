"""What one should know before one believes a report: each a sentence. A new one is a function in `DOUBTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from nerf_mini.errors import listed
from nerf_mini.outputs.report.facts import Facts
from nerf_mini.outputs.report.wording import count, counted, figure
from nerf_mini.runs.history import History

FEW_VIEWS = 4
FIRM_SHARE = 0.01  # of opaque pixels, that may see something at a face of the box


@dataclass(frozen=True)
class Doubt:
    """A sentence, and whether it warns or is good to know."""

    severity: Literal["note", "warning"]
    text: str


@dataclass(frozen=True)
class Evidence:
    """What doubts are drawn from.

    Attributes:
        history: the metrics.
        border_share: the share of opaque pixels that see something at a face of the box.
        masked: the share of pixels of the views that are shown which masks hide.
        problems: sentences about damaged checkpoints and the like, which came up when the run was opened.
        missing_data: why the data set could not be read; None where it was.
    """

    facts: Facts
    history: History
    border_share: float = 0.0
    masked: float = 0.0
    problems: tuple[str, ...] = ()
    missing_data: str | None = None


def doubts_about(evidence: Evidence) -> tuple[Doubt, ...]:
    """All that there is to say, warnings first."""
    found = [doubt for of in DOUBTS for doubt in of(evidence)]
    return tuple(sorted(found, key=lambda doubt: doubt.severity != "warning"))


def _problems(evidence: Evidence) -> Iterator[Doubt]:
    for problem in evidence.problems:
        yield Doubt("warning", problem)
    if evidence.history.damaged:
        lines = counted(evidence.history.damaged, "line")
        yield Doubt("warning", f"{lines} of metrics.jsonl cannot be read; the curves do without.")
    elif not evidence.history.steps:
        yield Doubt("note", "The run has logged no step yet, and so there are no curves.")


def _data(evidence: Evidence) -> Iterator[Doubt]:
    if evidence.missing_data is not None:
        text = f"The pictures of the data set are not shown: {evidence.missing_data}"
        earlier = "" if evidence.facts.scores is None else " Scores are those of an earlier `nerf-mini eval`."
        yield Doubt("warning", text + earlier)
    elif not evidence.facts.test_views:
        text = "The data set holds no views out, so nothing says how new views come out."
        yield Doubt("warning", f"{text} --test-every 8 holds some out.")


def _end(evidence: Evidence) -> Iterator[Doubt]:
    facts = evidence.facts
    if facts.planned_steps is not None and facts.step < facts.planned_steps:
        text = f"The run is at step {count(facts.step)} of {count(facts.planned_steps)}; --resume goes on with it."
        yield Doubt("note", text)


def _scores(evidence: Evidence) -> Iterator[Doubt]:
    facts, scores = evidence.facts, evidence.facts.scores
    if scores is None:
        return
    if len(scores.views) < FEW_VIEWS:
        views = counted(len(scores.views), "view")
        yield Doubt("warning", f"The score is that of {views}: a few decibels up or down mean little.")
    elif len(scores.views) + len(scores.protocol.skipped) < facts.test_views:
        text = f"Scored were {len(scores.views)} of {facts.test_views} test views, evenly spread;"
        yield Doubt("note", f"{text} `nerf-mini report --max-views` takes more.")
    if scores.protocol.skipped:
        names = listed(scores.protocol.skipped)
        yield Doubt("note", f"Left out, because masks leave nothing to score: {names}.")


def _fits(evidence: Evidence) -> Iterator[Doubt]:
    facts = evidence.facts
    for fitted in facts.fitted:
        text = f"With the {fitted.fit} of each test view fitted on its left half, the right halves reach"
        yield Doubt("note", f"{text} {figure(fitted.psnr)} dB ({counted(fitted.views, 'view')}).")
    known = {fitted.fit for fitted in facts.fitted}
    learnt = ("refine", "none", "poses", "Training cameras"), ("exposure", "off", "exposure", "Exposures")
    for setting, off, fit, what in learnt:
        if facts.settings.get(setting, off) != off and fit not in known and facts.scores is not None:
            text = f"{what} were learnt, those of test views are as given, and may cost them decibels;"
            yield Doubt("note", f"{text} `nerf-mini eval --fit-test {fit}` says how many.")


def _appearance(evidence: Evidence) -> Iterator[Doubt]:
    if evidence.facts.settings.get("appearance_codes") and evidence.facts.scores is not None:
        yield Doubt("note", "Test views have the mean of the appearances learnt, which may cost them decibels.")


def _masks(evidence: Evidence) -> Iterator[Doubt]:
    if evidence.masked > 0:
        share = f"{100 * evidence.masked:.1f} %"
        yield Doubt("note", f"{share} of the pixels of the views shown are masked out: hatched, and not scored.")


def _border(evidence: Evidence) -> Iterator[Doubt]:
    if evidence.border_share > FIRM_SHARE:
        text = f"{100 * evidence.border_share:.1f} % of what is seen lies at a face of the box around the scene, which"
        yield Doubt("warning", f"{text} may cut something off; try a larger --cube-side, or --space unbounded.")


DOUBTS: tuple[Callable[[Evidence], Iterable[Doubt]], ...] = (
    _problems, _data, _end, _scores, _fits, _appearance, _masks, _border,
)  # fmt: skip

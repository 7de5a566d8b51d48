"""What will take long is said, once of each stage."""

import re

from nerf_mini.outputs.export import forecast
from nerf_mini.outputs.export.forecast import Forecast


def told(monkeypatch, seconds_each: float, total: int, stages=("densities",)) -> tuple[list, list[str]]:
    """What a work of even pace passes on, and what is said of it."""
    passed, said, now = [], [], [0.0]
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    progress = Forecast(lambda *words: passed.append(words), said.append)
    for stage in stages:
        for done in range(1, total + 1):
            now[0] += seconds_each
            progress(stage, done, total)
    return passed, said


def test_everything_is_passed_on_and_short_work_says_nothing(monkeypatch):
    passed, said = told(monkeypatch, 1.0, 60)
    assert passed == [("densities", done, 60) for done in range(1, 61)] and not said


def test_long_work_is_said_once_of_each_stage(monkeypatch):
    _, said = told(monkeypatch, 2.0, 1000, ("densities", "looking"))
    assert len(said) == 2 and said[0].startswith("densities: 9 of 1000;") and said[1].startswith("looking:")
    minutes = int(re.search(r"about (\d+) minutes", said[0])[1])
    assert minutes == round(2.0 * 991 / 60)


def test_a_stage_of_which_nothing_more_is_done_is_not_divided_by(monkeypatch):
    said, now = [], [0.0]
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    progress = Forecast(lambda *words: None, said.append)
    for _ in range(3):
        progress("points", 0, 10**8)
        now[0] += 100.0
    assert not said

"""Figures that stay, and the guard against slow-downs."""

import json
from dataclasses import replace

import pytest

from nerf_mini.benchmark import history
from nerf_mini.benchmark.history import Entry, figures_of, guard, read_entries
from nerf_mini.errors import UserError


class Clock:
    """Time that passes as functions say."""

    def __init__(self, monkeypatch):
        self.now, self.speed, self.calls = 0.0, 1.0, []
        monkeypatch.setattr("nerf_mini.benchmark.timing.time.perf_counter", lambda: self.now)

    def thing(self, name, seconds):
        def function():
            self.calls.append(name)
            self.now += seconds * self.speed

        return function


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def compared(file, clock, seconds, version, monkeypatch, **options):
    """A guard of a version whose only thing takes some seconds, with a yardstick of one; what it says."""
    monkeypatch.setattr(history, "__version__", version)
    said = []
    timed, unit = {"step": clock.thing("step", seconds)}, clock.thing("unit", 1.0)
    guard(file, 3, say=said.append, timed=timed, unit=unit, **options)
    return "\n".join(said)


def test_figures_do_not_depend_on_the_speed_of_the_day(clock):
    timed, unit = {"a": clock.thing("a", 3.0), "b": clock.thing("b", 0.5)}, clock.thing("unit", 2.0)
    for clock.speed in (1.0, 0.1, 7.0):
        assert figures_of(timed, unit, 4) == pytest.approx({"a": 1.5, "b": 0.25})
    assert clock.calls[3:7] == ["a", "unit", "b", "unit"], "in turn"


def test_a_machine_is_added_and_later_versions_are_compared(tmp_path, clock, monkeypatch):
    file = tmp_path / "figures.json"
    assert "ratio" not in compared(file, clock, 2.0, "1.0", monkeypatch)
    assert "1.10" in compared(file, clock, 2.2, "1.1", monkeypatch)
    assert [entry.version for entry in read_entries(file)] == ["1.0", "1.1"]
    compared(file, clock, 2.1, "1.1", monkeypatch)
    assert [entry.figures["step"] for entry in read_entries(file)] == pytest.approx([2.0, 2.1])


def test_what_became_slower_is_refused_and_not_written(tmp_path, clock, monkeypatch):
    file = tmp_path / "figures.json"
    compared(file, clock, 2.0, "1.0", monkeypatch)
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"step: takes 1\.50 times as long as in version 1\.0.*1\.3 is allowed"):
        compared(file, clock, 3.0, "1.1", monkeypatch)
    assert file.read_bytes() == before
    assert "1.50" in compared(file, clock, 3.0, "1.1", monkeypatch, tolerance=1.6)


def test_a_hiccup_is_measured_again(tmp_path, clock, monkeypatch):
    file = tmp_path / "figures.json"
    compared(file, clock, 2.0, "1.0", monkeypatch)
    monkeypatch.setattr(history, "__version__", "1.1")
    slow = iter([5.0] * 4)  # the first attempt

    def step():
        clock.now += next(slow, 2.0)

    guard(file, 3, say=lambda line: None, timed={"step": step}, unit=clock.thing("unit", 1.0))
    assert read_entries(file)[-1].figures["step"] == pytest.approx(2.0)


def test_other_machines_are_not_compared(tmp_path, clock, monkeypatch):
    file = tmp_path / "figures.json"
    compared(file, clock, 2.0, "1.0", monkeypatch)
    (own,) = read_entries(file)
    history._write(file, [replace(own, cpu="another", figures={"step": 0.1})])
    assert "ratio" not in compared(file, clock, 2.0, "1.1", monkeypatch)
    assert [entry.cpu for entry in read_entries(file)] == ["another", own.cpu]


GOOD = {"version": "1", "cpu": "c", "threads": 2, "system": "s", "figures": {"step": 2.0}}


@pytest.mark.parametrize(
    "content",
    [
        {}, {"format": 2, "entries": []}, {"format": 1, "entries": {}}, {"format": 1, "entries": [3]},
        {"format": 1, "entries": [{**GOOD, "more": 1}]}, {"format": 1, "entries": [{**GOOD, "threads": "2"}]},
        *({"format": 1, "entries": [{**GOOD, "figures": f}]} for f in ([], {"a": 0}, {"a": True}, {"a": 10**400})),
        {"format": 1, "entries": [{**GOOD, "cpu": 3}]},
    ],
)  # fmt: skip
def test_what_is_no_history_is_refused(tmp_path, content):
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"figures\.json: "):
        read_entries(file)


def test_a_history_is_read_as_it_was_written(tmp_path):
    file, entries = tmp_path / "figures.json", [Entry("1", "c", 2, "s", {"a": 1.5}), Entry("2", "d", 1, "s", {})]
    history._write(file, entries)
    assert read_entries(file) == entries


@pytest.mark.parametrize("tolerance", [1.0, 0.0, float("nan"), float("inf"), 1e9])
def test_a_tolerance_that_makes_no_sense_is_refused(tmp_path, tolerance):
    with pytest.raises(UserError, match="--tolerance"):
        guard(tmp_path / "x.json", 1, tolerance, timed={"a": lambda: None}, unit=lambda: None)

"""A short share of the campaign; `python -m tests.hostile` runs all of it."""

import pytest

from .campaign import table, tally, tried_out
from .cases import Case, Outcome, fault_of, outcome_of
from .parts import PARTS

SHARE = 20  # cases of each part
SHARES = {"kills": 3, "faults": 12}  # where a case takes seconds, or a process of its own


@pytest.mark.parametrize("part", PARTS)
def test_a_share_of_each_part_holds(part):
    share = SHARES.get(part, SHARE)
    found = tally(part, seed=7, count=share)
    assert found.tried in (0, share), "a part has fewer cases than it was asked for"
    assert not found.failures, "\n".join(map(str, found.failures))


def test_the_table_adds_up():
    tallies = [tally(part, 0, 0) for part in PARTS]
    assert table(tallies).splitlines()[-1].split() == ["all", "0", "0"]


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (Outcome(("x",), 0, "PSNR 31.20 dB\n", "", 1.0), None),
        (Outcome(("x",), 2, "", "nerf-mini: no such file: inf.png\n", 1.0), None),
        (Outcome(("x",), 0, "PSNR nan dB\n", "", 1.0), "not finite"),
        (Outcome(("x",), None, "", "", 61.0), "no answer"),
        (Outcome(("x",), 2, "", "", 1.0), "without a word"),
        (Outcome(("x",), 2, "", "no \x1b[2J", 1.0), "control character"),
        (Outcome(("x",), 2, "", "no " * 999, 1.0), "a message of"),
        (Outcome(("x",), 2, "", "no", 1.0, changed=("run/config.json",)), "left or changed"),
        (Outcome(("x",), 0, "done", "", 1.0, changed=("run/.a.1.tmp",)), "temporary"),
        (Outcome(("x",), 0, "done", "", 1.0, warned="x.py:3: overflow"), "warned"),
        (Outcome(("x",), None, "", "", 1.0, raised="Traceback\nKeyError: 1"), "raised KeyError"),
    ],
)
def test_what_does_not_hold_is_found(outcome, fault):
    found = fault_of(outcome)
    assert (found is None) if fault is None else (found is not None and fault in found)


def test_a_command_that_hangs_is_stopped(monkeypatch):
    def hang(arguments):
        while True:
            pass

    monkeypatch.setattr("nerf_mini.cli.program.main", hang)
    assert outcome_of(["x"], seconds=0.2).code is None


def test_a_case_that_raises_is_a_failure():
    def broken(folder):
        raise KeyError(folder)

    assert "the case itself raised" in str(tried_out(Case("broken", broken)))

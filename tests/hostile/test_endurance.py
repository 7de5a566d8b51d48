"""What the endurance run takes for growth."""

import pytest

from .endurance import Sample, growth


def samples_of(seconds, leak=0.0, memory_leak=0.0):
    """Samples of a process that trains for some seconds, with more threads and handles, then renders for as long, and
    so on, later ever longer; `leak` handles and `memory_leak` MB remain of each second."""
    found, now = [], 0
    while now < 4000:
        for threads, handles in ((7, 11), (3, 7)):
            length = seconds * (1 + now // 1000) if threads == 7 else seconds
            for _ in range(length):
                memory = 465 + memory_leak * now
                found.append(Sample(now / 12, memory, threads, handles + int(leak * now), 17, now, now))
                now += 1
    return found


def test_longer_trainings_are_no_growth():
    assert growth(samples_of(20)) == []


@pytest.mark.parametrize(("leak", "told"), [({"leak": 0.002}, "handles"), ({"memory_leak": 0.03}, "memory")])
def test_what_remains_is_growth(leak, told):
    (found,) = growth(samples_of(20, **leak))
    assert told in found and "grown" in found


def test_a_few_samples_tell_nothing():
    assert growth(samples_of(20)[:8]) == ["too short to tell"]

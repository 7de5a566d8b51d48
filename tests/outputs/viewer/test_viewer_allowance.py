"""What pictures may take from a training: a share of all time at rest, and at once what gets sharper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.outputs.viewer.allowance import MOST_DEBT, SETTLING, SHARE, SHARPER, Allowance
from nerf_mini.outputs.viewer.requests import FrameRequest


def sharp(client="a", side=100):
    return FrameRequest(client, 0, side, side, final=True)


COARSE = FrameRequest("a", 0, 40, 30)


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=40), st.floats(0.005, 0.2))
def test_the_share_holds_whatever_the_pictures_take(costs, pause):
    allowance, now, spent = Allowance(), 0.0, 0.0
    assert allowance.is_due(sharp(), now), "the first one at once"
    for cost in costs:
        while not allowance.is_due(sharp(), now):
            now += pause
        assert spent <= SHARE * now + 1e-9, "all of it is paid before the next one"
        allowance.rendered(sharp(), True, now, now + cost)
        now, spent = now + cost, spent + cost
    assert spent + pause >= SHARE * (now - costs[0] / SHARE), "and no more than that is waited for"


def test_a_picture_that_is_given_up_is_paid_for_too():
    allowance = Allowance()
    allowance.rendered(sharp(), False, 0.0, 1.0)
    assert not allowance.is_due(sharp(), 0.9 / SHARE)
    assert allowance.is_due(sharp(), 1.0 / SHARE + 1e-6)


def test_coarse_frames_always_come_and_cost_nothing():
    allowance = Allowance()
    allowance.rendered(sharp(), True, 0.0, 1.0)
    allowance.moved("a", 1.0)
    assert allowance.is_due(COARSE, 1.0)
    assert not allowance.is_due(sharp(), 1.0 + SETTLING)


def test_after_a_movement_pictures_come_at_once_as_long_as_they_get_sharper():
    allowance = Allowance()
    allowance.rendered(sharp(), True, 0.0, 1.0)
    allowance.moved("a", 1.0)
    for side in (50, 100):
        assert allowance.is_due(sharp(side=side), 1.2)
        allowance.rendered(sharp(side=side), True, 1.2, 1.2)
    assert not allowance.is_due(sharp(side=100), 1.2)
    assert not allowance.is_due(sharp(side=int(100 * SHARPER**0.5)), 1.2)
    assert allowance.is_due(sharp("b"), 1.2), "another page has its own"
    allowance.moved("a", 1.3)
    assert allowance.is_due(sharp(side=50), 1.3)


def test_a_picture_that_was_given_up_may_be_asked_for_once_more_in_a_smaller_size():
    allowance = Allowance()
    allowance.moved("a", 0.0)
    allowance.rendered(sharp(side=100), False, 0.0, 1.0)
    assert allowance.is_due(sharp(side=50), 1.0)


def test_who_moved_for_long_does_not_wait_for_long():
    allowance = Allowance()
    for second in range(100):
        allowance.moved("a", float(second))
        allowance.rendered(sharp(), True, second, second + 1.0)
    assert not allowance.is_due(sharp(), 100.0 + 0.9 * MOST_DEBT / SHARE)
    assert allowance.is_due(sharp(), 100.0 + 1.1 * MOST_DEBT / SHARE)


@pytest.mark.parametrize("clients", [1, 1000])
def test_pages_that_come_and_go_leave_little(clients):
    allowance = Allowance()
    for number in range(clients):
        allowance.rendered(sharp(f"page {number}"), True, number, number)
    assert len(allowance._pixels) <= 8

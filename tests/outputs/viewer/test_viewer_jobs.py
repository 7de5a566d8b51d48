"""The queue before the one thread that renders: the latest request of a page, and all pages in turn."""

import threading

import pytest

from nerf_mini.errors import UserError
from nerf_mini.outputs.viewer.jobs import MOST_CLIENTS, Frame, Jobs
from nerf_mini.outputs.viewer.requests import FrameRequest

FRAME = Frame(b"x", "image/png", 1.0, 1.0, 5, 0)


def asked(jobs, client="a", seq=0, final=False):
    return jobs.submit(FrameRequest(client, seq, 8, 8, final=final))


def test_a_newer_request_takes_the_place_of_a_waiting_one():
    jobs = Jobs()
    first, second = asked(jobs, seq=1), asked(jobs, seq=2)
    assert first.wait(0) and first.outcome == "superseded" and len(jobs) == 1
    assert jobs.take(0) is second and jobs.take(0) is None
    jobs.done(second, FRAME)
    assert second.wait(0) and second.outcome is FRAME


def test_a_request_that_was_overtaken_on_the_way_is_not_rendered():
    jobs = Jobs()
    later = asked(jobs, seq=7)
    assert asked(jobs, seq=6).outcome == "superseded"
    assert jobs.take(0) is later


@pytest.mark.parametrize("final", [True, False])
def test_a_running_frame_is_given_up_only_if_it_is_final(final):
    jobs = Jobs()
    running = asked(jobs, seq=1, final=final)
    assert jobs.take(0) is running
    asked(jobs, "b", seq=1)
    assert not running.cancelled, "other pages do not matter"
    asked(jobs, seq=2)
    assert running.cancelled is final


def test_pages_are_served_in_turn():
    jobs, order = Jobs(), []
    for client in "abc":
        asked(jobs, client)
    for seq in range(1, 7):
        job = jobs.take(0)
        order.append(job.request.client)
        asked(jobs, job.request.client, seq)  # the busiest page asks again before its frame is done
        jobs.done(job, FRAME)
    assert "".join(order) == "abcabc"


def test_what_is_not_accepted_keeps_waiting():
    jobs = Jobs()
    sharp, coarse = asked(jobs, "a", final=True), asked(jobs, "b")
    moving = lambda request: not request.final  # noqa: E731
    assert jobs.take(0, moving) is coarse
    jobs.done(coarse, FRAME)
    assert jobs.take(0, moving) is None and not sharp.wait(0)
    assert jobs.take(0) is sharp


def test_eight_pages_are_served_and_idle_ones_make_room():
    jobs = Jobs()
    for number in range(MOST_CLIENTS):
        asked(jobs, str(number))
    with pytest.raises(UserError, match="close one"):
        asked(jobs, "ninth")
    job = jobs.take(0)
    with pytest.raises(UserError, match="close one"):
        asked(jobs, "ninth")
    jobs.done(job, FRAME)
    asked(jobs, "ninth")
    for number in range(1000):  # pages that come and go leave nothing behind
        jobs.withdraw(asked(jobs, f"passing {number}")) if number else jobs.withdraw(asked(jobs, "ninth", 1))
    assert len(jobs._latest) <= MOST_CLIENTS


def test_a_page_that_is_gone_is_not_rendered_for():
    jobs = Jobs()
    waiting, running = asked(jobs, "a"), asked(jobs, "b")
    jobs.withdraw(waiting)
    assert waiting.outcome == "superseded" and jobs.take(0) is running
    jobs.withdraw(running)
    assert running.cancelled
    jobs.done(running, "superseded")
    assert running.wait(0)


def test_a_request_wakes_whoever_waits_for_one_and_closing_everybody():
    jobs, taken = Jobs(), []
    thread = threading.Thread(target=lambda: taken.append(jobs.take(30)))
    thread.start()
    job = asked(jobs)
    thread.join(10)
    assert taken == [job]
    waiting = asked(jobs, "b")
    jobs.close()
    assert job.wait(0) and waiting.wait(0) and job.cancelled
    assert jobs.take(30) is None and asked(jobs, "c").outcome == "superseded"

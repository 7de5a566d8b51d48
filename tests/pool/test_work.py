"""Tasks on a pool: each is done once, whatever workers do; what cannot be mended is a sentence."""

import platform
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor

import numba
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import nerf_mini.pool.work as work
from nerf_mini.errors import UserError
from nerf_mini.pool import Patience, Pool, completed, open_pool
from nerf_mini.pool.worker import Sender, perform


def squared(value: int) -> int:
    return value * value


class Scripted(Executor):
    """Does tasks at once, but for those that a script says something else of: "silent", "dies", "gone"."""

    def __init__(self, script: list[str]):
        self.script = script

    def submit(self, function, *arguments):
        future = Future()
        what = self.script.pop(0) if self.script else "done"
        if what == "dies":
            future.set_exception(BrokenExecutor("a process died"))
        elif what == "gone":
            future.set_exception(CancelledError())
        elif what == "done":
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_exception(error)
        return future


class Renewed(Pool):
    def renew(self):
        return True


HASTY = Patience(least=0.01, factor=0.0, alone=0.05)


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch):
    monkeypatch.setattr(work, "_TICK", 0.01)


def test_any_executor_does():
    with ThreadPoolExecutor(3) as executor:
        found = list(completed(Pool(executor), squared, range(100)))
    assert len(found) == 100 and dict(found) == {i: i * i for i in range(100)}


def test_no_task_is_no_work():
    assert list(completed(Pool(Scripted([])), squared, [])) == []


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["done", "done", "silent", "dies"]), max_size=12), st.integers(1, 6))
@example(["done", "done", "dies", "silent", "silent", "silent", "silent"], 4)  # a death does not count as a silence
def test_every_task_is_done_once_whatever_workers_do(script, count):
    """Deaths come with results in between, the first answers, and no task can meet silence too often."""
    kept = ["done"]
    for what in script:
        too_much = "dies" in kept[-4:] if what == "dies" else what == "silent" and kept.count(what) == work.COPIES
        kept.append("done" if too_much else what)
    said = []
    pool = Renewed(Scripted(kept))
    found = list(completed(pool, squared, range(count), said.append, Patience(least=0.005, factor=0.0)))
    assert sorted(found) == [(i, i * i) for i in range(count)]


def test_a_silent_worker_costs_its_task_only_and_is_told():
    said = []
    found = dict(completed(Pool(Scripted(["done", "silent"])), squared, range(5), said.append, HASTY))
    assert found == {i: i * i for i in range(5)}
    assert said == ["no answer for 0 s; task 2 goes to another worker too"]


def test_workers_that_are_all_silent_are_not_waited_for_without_end():
    script = ["done"] + ["silent"] * 99
    with pytest.raises(UserError, match=r"does not answer any more.* 1 of 3 are done; the same command goes on"):
        list(completed(Pool(Scripted(script)), squared, range(3), lambda text: None, HASTY))


def test_deaths_without_a_result_end_the_work():
    said = []
    with pytest.raises(UserError, match=r"died 4 times without a result. Is there enough memory.* 0 of 3 are done"):
        list(completed(Renewed(Scripted(["dies"] * 99)), squared, range(3), said.append))
    assert said == ["a worker died; what it was doing comes again"] * 3
    with pytest.raises(UserError, match="died 1 times"):  # an executor that nobody can replace
        list(completed(Pool(Scripted(["dies"])), squared, range(3)))


def test_an_engine_that_is_gone_is_a_sentence():
    with pytest.raises(UserError, match=r"the pool gave the work up\. 2 of 3 are done"):
        list(completed(Pool(Scripted(["done", "gone"])), squared, range(3)))


def test_a_pool_without_workers_is_waited_for_and_then_given_up():
    class Empty(Pool):
        def workers(self):
            return 0

    said = []
    with pytest.raises(UserError, match=r"the pool has no worker, or does not answer, for 0 s. 0 of 2 are done"):
        list(completed(Empty(Scripted(["silent"] * 9)), squared, range(2), said.append, HASTY))
    assert said == ["the pool has no worker; waiting 0.05 s for one"]


def test_what_a_task_raises_arrives():
    def refuse(value):
        raise UserError(f"{value} is wrong")

    with pytest.raises(UserError, match=r"^7 is wrong$"):
        list(completed(Pool(Scripted([])), refuse, [7]))
    with pytest.raises(ZeroDivisionError):
        list(completed(Pool(Scripted([])), lambda value: 1 / value, [0]))


def test_closing_the_results_gives_up_the_rest():
    given_up, futures = [], []

    class Noticing(Pool):
        def submit(self, *arguments):
            futures.append(super().submit(*arguments))
            return futures[-1]

        def abandon(self, seconds):
            given_up.append(seconds)

    running = Future()
    running.set_running_or_notify_cancel()  # which cannot be cancelled any more
    results = completed(Noticing(Scripted(["done", "silent", "silent"])), squared, range(3))
    assert next(results) == (0, 0)
    results.close()
    assert all(future.cancelled() for future in futures[1:]) and given_up == []


# -- workers -----------------------------------------------------------------------------------------------------------


def test_one_task_of_a_process_after_the_other():
    """Two threads that launch kernels at once end some of Numba's threading layers."""
    busy, most = [0], [0]

    def count(value):
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        time.sleep(0.002)
        busy[0] -= 1

    with ThreadPoolExecutor(4) as executor:
        list(completed(Pool(executor), count, range(20)))
    assert most[0] == 1 and threading.active_count() >= 1


def test_kernels_take_the_threads_that_a_worker_of_this_host_is_to_take():
    here, before = platform.node(), numba.get_num_threads()
    assert perform(Sender({here: 1}), numba.get_num_threads).value == 1
    most = numba.config.NUMBA_NUM_THREADS
    assert perform(Sender({here: 10_000}), numba.get_num_threads).value == most
    assert perform(Sender({"elsewhere": 1}), numba.get_num_threads).value == most
    assert numba.get_num_threads() == before


def test_another_version_is_refused_by_name_and_number():
    with pytest.raises(UserError, match=r"the worker on .* has nerf-mini .*, and here has 0\.0\.1: install the same"):
        perform(Sender(host="here", version="0.0.1"), squared, 2)


def test_errors_of_other_hosts_say_which():
    def refuse():
        raise UserError("the disk is full")

    with pytest.raises(UserError, match=f"^on {platform.node()}: the disk is full$"):
        perform(Sender(host="elsewhere"), refuse)
    with pytest.raises(UserError, match=r"^the disk is full$"):
        perform(Sender(), refuse)


def test_results_from_another_processor_are_told_once(monkeypatch):
    said, stamps = [], iter(["own", *["another"] * 9])
    monkeypatch.setattr(work, "stamp", lambda: next(stamps))
    assert len(list(completed(Pool(Scripted([])), squared, range(3), said.append))) == 3
    assert len(said) == 1 and "the last bits of what it makes may differ" in said[0]


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "must be local, local:N"),
        ("host:8786", "such as tcp://host:8786"),
        ("local:0", "must be from 1 to 1024 processes"),
        ("local:999999999", "must be from 1 to 1024 processes"),
        ("local:two", "must be local, local:N"),
        ("nothing.json", "there is no such file"),
        ("x" * 5000, "'xxx"),
    ],
)
def test_bad_addresses_get_a_sentence(address, words):
    with pytest.raises(UserError, match=r"^--cluster ") as caught:
        open_pool(address)
    assert words in str(caught.value) and len(str(caught.value)) < 300


def test_dask_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r'needs the extra "cluster": pip install "nerf-mini\[cluster\]"'):
        open_pool("tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://no such host:1", "what://host:1", "tcp://host:99999"])
def test_schedulers_that_do_not_answer_get_a_sentence(address, monkeypatch):
    pytest.importorskip("distributed")
    import nerf_mini.pool.dask_pool as dask_pool

    monkeypatch.setattr(dask_pool, "ANSWER", 0.3)
    with pytest.raises(UserError, match=r"no Dask scheduler answers there|must be local"):
        open_pool(address)

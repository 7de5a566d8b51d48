"""Processes of this machine that die or freeze cost their frames only, and these come again."""

import os
import signal
import subprocess
import sys
import time

import pytest

from nerf_mini.cli.program import main
from nerf_mini.pool import Patience, completed
from nerf_mini.pool.processes import LocalPool

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def hurt(pool, number):
    os.kill(next(process.pid for process in pool._context.started if process.is_alive()), number)


@needs_signals
def test_a_process_that_is_killed_is_replaced(render):
    alone, said = render(None), []
    with LocalPool(2) as pool:
        found = render(pool, lambda done: hurt(pool, signal.SIGKILL) if done == 3 else None, warn=said.append)
        assert len(pool._context.started) == 2
    assert found == alone and said == ["a worker died; what it was doing comes again"]


@needs_signals
@pytest.mark.slow
def test_a_process_that_freezes_is_left_behind(render):
    alone, said = render(None), []
    with LocalPool(2) as pool:
        found = render(pool, lambda done: hurt(pool, signal.SIGSTOP) if done == 3 else None, warn=said.append)
        started = pool._context.started
    assert found == alone and said and all("goes to another worker too" in text for text in said)
    assert not any(process.is_alive() for process in started)


@pytest.mark.slow
def test_the_command_renders_and_scores_on_processes(own_run, tmp_path):
    assert main(["render", str(own_run), "--views", "3", "--cluster", "local:2", "--output", str(tmp_path / "a")]) == 0
    assert main(["render", str(own_run), "--views", "3", "--output", str(tmp_path / "b")]) == 0
    for file in (tmp_path / "b").iterdir():
        assert (tmp_path / "a" / file.name).read_bytes() == file.read_bytes()
    assert main(["eval", str(own_run), "--cluster", "local"]) == 0


def napping(seconds):
    time.sleep(seconds)
    return os.getpid()


PARENT = """
from nerf_mini.pool import completed
from nerf_mini.pool.processes import LocalPool
from test_processes import napping
if __name__ == "__main__":
    with LocalPool(2) as pool:
        for _, pid in completed(pool, napping, [0, 0, 0, 0, 600, 600]):
            print(pid, flush=True)
"""


@needs_signals
@pytest.mark.slow
def test_workers_do_not_outlive_who_started_them(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    pids = {int(parent.stdout.readline()) for _ in range(4)}
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_closing_early_ends_processes_soon():
    with LocalPool(1) as pool:
        results = completed(pool, napping, [0, 600], patience=Patience(leave=0.5))
        assert next(results)[0] == 0
        started = time.monotonic()
        results.close()
        assert time.monotonic() - started < 10

"""Frames on a Dask scheduler whose workers are processes of their own, which are killed and frozen."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from nerf_mini.errors import UserError
from nerf_mini.pool import open_pool
from nerf_mini.pool.dask_pool import DaskPool

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]


class Cluster:
    """A scheduler and workers, each a process."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.scheduler = self._started("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._said(self.scheduler, r"Scheduler at:\s*(tcp://\S+)")

    def worker(self, **environment):
        found = self._started(
            "dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", **environment
        )
        self._said(found, r"(Registered to:)")
        return found

    def _started(self, module, *options, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *options], stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env={**os.environ, "NUMBA_NUM_THREADS": "1", **environment},
        )  # fmt: skip
        self.processes.append(process)
        return process

    def _said(self, process, pattern):
        for line in process.stderr:
            found = re.search(pattern, line)
            if found:
                return found[1]
        raise AssertionError("it ended")

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
            process.stderr.close()


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("number", [None, signal.SIGKILL, signal.SIGSTOP])
def test_all_frames_come_whatever_happens_to_a_worker(cluster, render, number):
    workers = [cluster.worker() for _ in range(2)]
    alone = render(None)
    with open_pool(cluster.address) as pool:
        assert pool.workers() == 2 and list(pool.threads.values()) == [max(1, len(os.sched_getaffinity(0)) // 2)]
        found = render(pool, lambda done: workers[0].send_signal(number) if done == 4 and number else None)
    assert found == alone


def test_a_scheduler_that_dies_is_a_sentence_and_the_same_command_goes_on(cluster, render, tmp_path):
    cluster.worker()
    with open_pool(cluster.address) as pool, pytest.raises(UserError, match=r"is gone, or restarted. \d+ of 24 are"):
        render(pool, lambda done: cluster.scheduler.kill() if done == 4 else None)
    assert len(list((tmp_path / "pool").glob("*.png"))) >= 4
    again, said = Cluster(tmp_path), []
    try:
        again.worker()
        with open_pool(again.address) as pool:
            assert render(pool, warn=said.append) == render(None)
    finally:
        again.close()
    assert "frames are there already" in said[0]


def test_workers_without_the_package_or_with_another_version_are_named(cluster, tmp_path, monkeypatch):
    hidden = tmp_path / "hidden"
    (hidden / "nerf_mini").mkdir(parents=True)
    (hidden / "nerf_mini" / "__init__.py").write_text("raise ImportError('hidden')\n")
    path = os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])
    worker = cluster.worker(PYTHONPATH=path)
    with pytest.raises(UserError, match=r"no nerf-mini can be imported on 127\.0\.0\.1:\d+: install"):
        DaskPool(cluster.address)
    worker.kill()
    worker.wait()
    (hidden / "nerf_mini" / "__init__.py").write_text("__version__ = '0.0.1'\n")
    cluster.worker(PYTHONPATH=path)
    time.sleep(0.5)
    with pytest.raises(UserError, match=r"another version of nerf-mini .* is on 127\.0\.0\.1:\d+ \(0\.0\.1\)"):
        DaskPool(cluster.address)

"""Real ranks, started by mpiexec: the same bits for any number of them, and an end, within seconds, to what fails."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from nerf_mini.runs.checkpoint import checkpoint_files

pytest.importorskip("mpi4py", reason="needs mpi4py: pip install 'nerf-mini[mpi]'")
BESIDE_PYTHON = shutil.which("mpiexec", path=sysconfig.get_path("scripts"))
MPIEXEC = BESIDE_PYTHON or shutil.which("mpiexec")
pytestmark = [
    pytest.mark.skipif(MPIEXEC is None, reason="needs mpiexec, which comes with the package mpich"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
LIMIT = 120  # seconds, far more than needed


@pytest.fixture
def mpiexec(tmp_path):
    """A function that starts ranks of Python: (number, arguments) to a process with its own group."""
    started = []

    def start(ranks, *arguments, **environment):
        process = subprocess.Popen(
            [MPIEXEC, "-n", str(ranks), sys.executable, *map(str, arguments)], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "NUMBA_NUM_THREADS": "1", "UCX_LOG_LEVEL": "error", **environment},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


RANK = Path(__file__).with_name("rank.py")


def ended(process):
    """Exit code and output of a process that ends by itself."""
    output, _ = process.communicate(timeout=LIMIT)
    return process.returncode, output


def bits(mpiexec, tmp_path, ranks, method, blobs):
    code, output = ended(mpiexec(ranks, RANK, "bits", method, blobs, tmp_path / "out"))
    assert code == 0, output
    return json.loads((tmp_path / "out").read_text())


@pytest.mark.parametrize("method", ["instant", pytest.param("nerf", marks=pytest.mark.slow)])
def test_three_ranks_have_the_bits_of_one_process(mpiexec, tmp_path, blobs, method):
    found = bits(mpiexec, tmp_path, 3, method, blobs)
    assert found["sparse"] == found["dense"] == found["alone"] and found["ranks"] == 3
    assert found["library"] != found["alone"], "a control: sums of the library's own order show"
    assert found["sums differ"]
    if method == "instant":
        assert found["sparse bytes"] < found["dense bytes"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["instant", "nerf"])
def test_any_number_of_ranks_has_the_bits_of_one_process(mpiexec, tmp_path, blobs, method):
    for ranks in (1, 2, 4):
        found = bits(mpiexec, tmp_path, ranks, method, blobs)
        assert found["sparse"] == found["dense"] == found["alone"] and found["ranks"] == ranks


@pytest.mark.parametrize(
    ("task", "code", "text"),
    [
        ("raise", 1, "ValueError: one of us has a fault"),
        ("lead", 2, "what was led has failed"),
        ("refuse", 2, "rank 1 on .*: the disk of this host is full."),
        pytest.param("wait", None, "has heard nothing from the others for 5 s and gives up", marks=pytest.mark.slow),
    ],
)
def test_what_happens_to_one_rank_ends_all_within_seconds(mpiexec, blobs, task, code, text):
    process = mpiexec(2, RANK, task, "nerf", blobs)
    returned, output = ended(process)
    assert returned != 0 and (code is None or returned == code), output
    assert re.search(text, output) and output.count("told once") <= 1, output
    assert not processes_of(process), "nobody is left"


def processes_of(process):
    """Members of the group of a process, by the system's table; empty where there is no such table."""
    command = ["ps", "-o", "pid=,stat=", "-g", str(process.pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if "Z" not in line]


@pytest.mark.slow
def test_a_killed_training_goes_on_with_another_number_of_ranks(mpiexec, tmp_path, blobs, tiny_options):
    options = ["-m", "nerf_mini", "train", blobs, *tiny_options, "--shards", "4", "--max-steps", "3000", "--no-report"]
    options += ["--checkpoint-every", "20", "--distributed", "mpi", "--output"]
    process = mpiexec(4, *options, tmp_path / "run")
    deadline = time.monotonic() + LIMIT
    while not any("0000020" in file.name for file in checkpoint_files(tmp_path / "run" / "checkpoints")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    ranks = subprocess.run(["pgrep", "-f", str(tmp_path / "run")], capture_output=True, text=True, check=True).stdout
    victims = [int(pid) for pid in ranks.split() if int(pid) != process.pid]
    os.kill(max(victims), signal.SIGKILL)
    code, output = ended(process)
    assert code != 0, output
    assert not processes_of(process)
    reached = checkpoint_files(tmp_path / "run" / "checkpoints")[-1]
    step = int(reached.stem.removeprefix("step-"))
    longer = ["--max-steps", str(step + 20)]
    code, output = ended(mpiexec(3, *options, tmp_path / "run", "--resume", *longer))
    assert code == 0 and f"continuing {tmp_path / 'run'} from step {step}" in output, output
    code, output = ended(mpiexec(1, *options, tmp_path / "whole", *longer))
    assert code == 0, output
    import numpy as np

    resumed, whole = (np.load(checkpoint_files(tmp_path / name / "checkpoints")[-1]) for name in ("run", "whole"))
    for name in whole.files:
        if name not in ("meta", "checksum"):
            np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)

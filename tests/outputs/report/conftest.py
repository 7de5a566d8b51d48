"""Reports of a run of 20 steps on pictures of 16 x 16."""

import shutil
from pathlib import Path

import pytest

from nerf_mini.outputs.report import report_of_run


@pytest.fixture(scope="session")
def reported_run(run_folder, tmp_path_factory) -> Path:
    """A run with its report. Not to be written to."""
    folder = Path(shutil.copytree(run_folder, tmp_path_factory.mktemp("reported") / "blobs"))
    report_of_run(folder)
    return folder


@pytest.fixture
def other_run(run_folder, tmp_path, blobs, tiny_config) -> Path:
    """A run of the same data with another seed."""
    from nerf_mini.runs.session import start

    start(blobs, tmp_path / "other", tiny_config(seed=5, max_steps=10)).train()
    return tmp_path / "other"

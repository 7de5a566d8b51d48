"""A run whose frames take long enough for something to happen to a worker meanwhile."""

import hashlib
from pathlib import Path

import pytest

from nerf_mini.outputs.novel_views import RenderRequest, render_views
from nerf_mini.runs.folder import open_run

VIEWS = 24


@pytest.fixture
def render(own_run, tmp_path):
    """A function that renders on a pool, None for one process, and calls back at each frame; returns a digest of all
    frames."""

    def frames(pool, at_frame=lambda done: None, scale=2.0, views=VIEWS, warn=lambda text: None) -> str:
        folder = tmp_path / ("alone" if pool is None else "pool")
        request = RenderRequest(views=views, scale=scale, output=folder)
        render_views(open_run(own_run), request, lambda done, total: at_frame(done), warn, pool)
        return digest(folder, views)

    return frames


def digest(folder: Path, views: int) -> str:
    found = sorted(folder.glob("*.png"))
    assert len(found) == views
    return hashlib.sha256(b"".join(file.read_bytes() for file in found)).hexdigest()

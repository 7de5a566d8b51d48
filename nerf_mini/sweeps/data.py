"""The data sets of a sweep: synthetic ones are made when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nerf_mini.errors import UserError
from nerf_mini.scenes.synthetic import CAPTURES, CaptureSettings, make_capture, make_scene
from nerf_mini.sweeps.plan import Source

MADE = "_scenes"  # the folder of what is made, below that of the sweep; no scene is called so


def data_of(source: Source, output: Path) -> Path:
    """Where the data set of a source is, or will be."""
    return output / MADE / source.folder if source.path is None else source.path


def prepared(source: Source, output: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """The data set of a source, made if it is not there; several processes may ask for it at once.

    Raises UserError for options that make no sense, and for a place that cannot be written to.
    """
    path = data_of(source, output)
    if source.path is not None or path.is_dir():
        return path
    assert source.make is not None
    try:
        if source.make in CAPTURES:
            make_capture(source.make, path, CaptureSettings(**dict(source.options)), progress)
        else:
            make_scene(source.make, path, progress=progress, **dict(source.options))
    except UserError:
        if not path.is_dir():  # another process was faster
            raise
    return path

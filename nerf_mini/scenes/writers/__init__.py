"""Writers of captures: cameras, masks and sparse points in the formats of other programs, one module each.

A new format is a module with a `WRITER`, and one entry here.
"""

from nerf_mini.scenes.writers import colmap, instant_ngp, llff, nerfstudio
from nerf_mini.scenes.writers.base import Capture, Writer

WRITERS: dict[str, Writer] = {
    writer.kind: writer
    for writer in (nerfstudio.WRITER, instant_ngp.WRITER, llff.WRITER, colmap.WRITER, colmap.TEXT_WRITER)
}

__all__ = ["WRITERS", "Capture", "Writer"]

"""Points as PLY files, which MeshLab, CloudCompare and Blender open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerf_mini.io.files import write_atomically

_CHANNELS = ("red", "green", "blue")


def write_ply_points(path: Path, positions: np.ndarray, colors: np.ndarray, normals: np.ndarray | None = None) -> None:
    """Points (n, 3), in float32, with colours (n, 3) uint8 and normals (n, 3), as vertices of a binary PLY file.

    Raises UserError if the disk is full or the place cannot be written to.
    """
    kinds = [(name, "<f4") for name in ("x", "y", "z", *(() if normals is None else ("nx", "ny", "nz")))]
    vertices = np.empty(len(positions), [*kinds, *((channel, "u1") for channel in _CHANNELS)])
    columns = [*positions.T, *([] if normals is None else normals.T)]
    for column, (name, _) in zip(columns, kinds, strict=True):
        vertices[name] = column
    for column, name in enumerate(_CHANNELS):
        vertices[name] = colors[:, column]
    properties = [f"property float {name}" for name, _ in kinds] + [f"property uchar {name}" for name in _CHANNELS]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}", *properties, "end_header"]
    begin = ("\n".join(header) + "\n").encode()

    def write(file) -> None:
        file.write(begin)
        file.write(vertices.view(np.uint8).data)

    write_atomically(path, write)

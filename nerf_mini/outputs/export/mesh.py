"""The surface of a scene as a coloured triangle mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nerf_mini import ops
from nerf_mini.errors import UserError
from nerf_mini.outputs.export.base import Exported, Exporter, ExportTask
from nerf_mini.outputs.export.boxes import chosen_box, surface_level
from nerf_mini.outputs.export.lattices import Lattice, density_slabs
from nerf_mini.outputs.export.mesh_files import SUFFIXES, require_trimesh, upright_rotation, write_mesh
from nerf_mini.outputs.export.sight import closeness, colors_from_outside, sight_of, some_cameras
from nerf_mini.outputs.export.triangle_meshes import TriangleMesh
from nerf_mini.outputs.memory import require_memory_for_mesh

RESOLUTION = 256
LEAST_PART = 0.01  # of the faces of the largest connected part
OUTSIDE = 0.02  # of the box's side: from where vertices are looked at that no camera sees


def write(task: ExportTask) -> Exported:
    """See `Exporter`."""
    box = chosen_box(task)
    lattice = Lattice.filling(box, task.request.resolution or RESOLUTION)
    require_memory_for_mesh(lattice.shape)
    scale = task.world.scale
    given = task.request.level
    level = surface_level(task.trainer, box, task.world) if given is None else given * scale
    mesh = surface(task, lattice, level)
    least = 1.0 if task.request.largest else LEAST_PART
    mesh = colored(task, mesh.large_parts(least), lattice, least)
    placed = TriangleMesh(task.world.points(mesh.vertices), mesh.faces, mesh.colors)
    write_mesh(task.output, placed, upright_rotation(up_in_capture(task)))
    record = _record(task, lattice, level, placed)
    closed = "watertight" if record["watertight"] else "open"
    summary = f"{len(placed.vertices)} vertices, {len(placed.faces)} faces, {closed}; level {record['level']:.3g}"
    return Exported((task.output,), summary, record)


def up_in_capture(task: ExportTask) -> np.ndarray:
    """The unit vector (3,) that points up in the capture: scenes have z up, or y where they lie before the cameras."""
    space = task.trainer.cameras.space
    up = (0.0, 1.0, 0.0) if space is not None and space.kind == "forward" else (0.0, 0.0, 1.0)
    return task.world.directions(np.array(up))


def surface(task: ExportTask, lattice: Lattice, level: float) -> TriangleMesh:
    """All of the surface on which the density has a level, in the scene; open where it reaches the border of the box.

    Raises UserError where there is none.
    """
    highest = 0.0

    def slabs() -> Iterator[np.ndarray]:
        nonlocal highest
        done = 0
        for slab in density_slabs(task.trainer, lattice):
            done += len(slab)
            highest = max(highest, float(slab.max()))
            task.progress("densities", done, lattice.shape[0])
            yield slab

    found = ops.surface_nets(slabs(), level)
    if not len(found.faces):
        scale = task.world.scale
        raise UserError(
            f"the box holds no surface of density {level / scale:.3g}; the highest density in it is"
            f" {highest / scale:.3g}. Choose another --box, or a lower --level."
        )
    return TriangleMesh(lattice.points(found.vertices), found.faces)


def colored(task: ExportTask, mesh: TriangleMesh, lattice: Lattice, least_part: float) -> TriangleMesh:
    """The part of a mesh that training cameras see, unless all is wanted, and colours for it."""
    normals, side = mesh.normals(), float(np.max(lattice.box.sides))
    cameras = some_cameras(task.trainer.training_cameras, max(lattice.shape))
    sight = sight_of(task.trainer, cameras, mesh.vertices, normals, closeness(lattice.spacing, side), task.progress)
    colors, known = sight.colors()
    if not task.trainer.model.region.croppable:  # behind what is seen no picture says what the field is to be
        colors, known = mesh.spread(colors, known)
    colors[~known] = colors_from_outside(task.trainer, mesh.vertices[~known], normals[~known], OUTSIDE * side)
    mesh = TriangleMesh(mesh.vertices, mesh.faces, colors)
    if task.request.keep_unseen:
        return mesh
    seen = sight.seen[mesh.faces].any(axis=1)
    if not seen.any():
        raise UserError("no training camera sees anything of this surface: choose another --box or --level.")
    return mesh.with_faces(seen).large_parts(least_part)


def _record(task: ExportTask, lattice: Lattice, level: float, mesh: TriangleMesh) -> dict[str, Any]:
    scale, (open_edges, shared_edges) = task.world.scale, mesh.odd_edges()
    return {
        "level": level / scale,
        "box": task.world.box_record(lattice.box),
        "resolution": max(lattice.shape),
        "cells": list(lattice.shape),
        "spacing": lattice.spacing * scale,
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "parts": len(np.unique(mesh.parts())),
        "watertight": open_edges == 0 and shared_edges == 0,
        "open_edges": open_edges,
        "shared_edges": shared_edges,
        "axes": "those of the capture",
        "up": up_in_capture(task).tolist(),
    }


EXPORTER = Exporter(
    "mesh",
    "the surface as coloured triangles",
    SUFFIXES,
    ("resolution", "level", "box", "largest", "keep_unseen"),
    write,
    require_trimesh,
)

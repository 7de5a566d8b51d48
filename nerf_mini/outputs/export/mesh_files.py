"""Meshes as files, which trimesh writes: GLB, PLY, OBJ, STL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nerf_mini.errors import UserError
from nerf_mini.io.files import write_bytes
from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.export.triangle_meshes import TriangleMesh

SUFFIXES = (".glb", ".ply", ".obj", ".stl")
ABOUT_UP = 0.95  # cosine: 18 degrees
_LINEAR_COLOR = "_LINEAR_COLOR"
_UNLIT = "KHR_materials_unlit"


def require_trimesh(output: Path) -> None:
    """Meshes need a library, which is an extra."""
    try:
        import trimesh  # noqa: F401
    except ImportError as error:
        raise UserError(
            f'{output}: meshes are written by trimesh, the extra "mesh": pip install "nerf-mini[mesh]". Points are'
            " exported without it."
        ) from error


def write_mesh(file: Path, mesh: TriangleMesh, upright: np.ndarray) -> None:
    """Write a mesh with colours in the format of the suffix, in its own coordinates.

    upright (3, 3): the rotation after which y is up, as viewers of glTF expect; a .glb says that it is to be turned so.
    """
    import trimesh

    if file.suffix.lower() == ".glb":
        write_bytes(file, _glb(mesh, upright))
        return
    assert mesh.colors is not None
    opaque = np.full((len(mesh.vertices), 1), 255, np.uint8)
    colors = np.concatenate([to_uint8(mesh.colors), opaque], axis=1)
    made = trimesh.Trimesh(
        mesh.vertices, mesh.faces, vertex_normals=mesh.normals(), vertex_colors=colors, process=False, validate=False
    )
    options: dict[str, Any] = {".ply": {"vertex_normal": True}, ".obj": {"include_normals": True}}
    data = made.export(file_type=file.suffix.lower()[1:], **options.get(file.suffix.lower(), {}))
    write_bytes(file, data.encode() if isinstance(data, str) else bytes(data))


def _glb(mesh: TriangleMesh, upright: np.ndarray) -> bytes:
    """With glTF's linear colours, in 16 bits, and a material that no light changes: there is light in the colours
    already."""
    import trimesh

    assert mesh.colors is not None
    linear = np.ones((len(mesh.vertices), 4))
    linear[:, :3] = to_linear(mesh.colors)
    made = trimesh.Trimesh(
        mesh.vertices, mesh.faces, process=False, validate=False,
        vertex_attributes={_LINEAR_COLOR: (linear * 65535 + 0.5).astype(np.uint16)},
    )  # fmt: skip
    scene, turn = trimesh.Scene(), np.eye(4)
    turn[:3, :3] = upright
    scene.add_geometry(made, transform=turn)
    return trimesh.exchange.gltf.export_glb(scene, include_normals=False, tree_postprocessor=_with_colors)


def _with_colors(tree: dict[str, Any]) -> None:
    """What trimesh does not write: colours of 16 bits, and the material without light."""
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), _UNLIT})
    tree["materials"] = [
        {
            "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1},
            "doubleSided": True,
            "extensions": {_UNLIT: {}},
        }
    ]
    for primitive in (primitive for mesh in tree["meshes"] for primitive in mesh["primitives"]):
        attributes = primitive["attributes"]
        attributes["COLOR_0"] = attributes.pop(_LINEAR_COLOR)
        accessor = tree["accessors"][attributes["COLOR_0"]]
        accessor["normalized"] = True
        accessor.pop("min", None)
        accessor.pop("max", None)
        primitive["material"] = 0


def upright_rotation(up: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) after which y is up, of a world where the unit vector `up` (3,) is.

    Where that is about z it is (x, z, -y) exactly, which importers into worlds with z up undo. Else it is followed by
    the shortest rotation from there: 1 + [v] + [v]^2 / (1 + c) with v = a x b, c = a . b (Rodrigues).
    """
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    if up[2] > ABOUT_UP:
        return turn
    (x, y, z), y_axis = turn @ up, np.array([0.0, 1.0, 0.0])
    if y < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0]) @ turn
    a, _, c = np.cross((x, y, z), y_axis)
    cross = np.array([[0.0, -c, 0.0], [c, 0.0, -a], [0.0, a, 0.0]])
    return (np.eye(3) + cross + cross @ cross / (1.0 + y)) @ turn


def to_linear(colors: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] as linear light (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)

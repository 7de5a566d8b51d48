"""The wall around the kernels, and what the occupancy operators promise to callers who are not the sampler."""

import ast
from pathlib import Path

import numpy as np

import nerf_mini
from nerf_mini import ops


def test_only_operators_import_kernels():
    root = Path(nerf_mini.__file__).parent
    others = [path for path in root.rglob("*.py") if path.relative_to(root).parts[0] not in ("ops", "kernels")]
    assert len(others) > 20
    for path in others:
        if path.relative_to(root).parts[0] == "benchmark" or path.name == "warm_up.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = getattr(node, "module", None) or ""
            imported = [f"{module}.{name}" if isinstance(node, ast.ImportFrom) else name for name in names]
            assert not any(name.startswith("nerf_mini.kernels") for name in imported), path


def test_a_margin_and_a_camera_of_another_size_keep_more_cells():
    cube, pose = np.array([-1.0, -1.0, -1.0, 2.0]), np.eye(4)
    pose[2, 3] = 3.0  # looks along -z at the cube
    poses = np.stack([pose, pose])

    def seen(widths, margin=0.0):
        density = np.zeros((16, 16, 16), np.float32)
        sizes = np.column_stack([widths, [16, 16]])
        ops.mark_unseen(density, cube, poses, sizes, np.full((2, 2), 60.0), sizes / 2, margin)
        return density != ops.UNSEEN

    narrow = seen([16, 16])
    assert 0 < narrow.sum() < 16**3
    for more in (seen([16, 40]), seen([16, 16], margin=8.0)):
        assert np.all(more[narrow]) and more.sum() > narrow.sum()

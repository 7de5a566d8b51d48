"""How near an exported mesh of the toy scene `shapes` is to the exact one: python scripts/measure_export.py RUN."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "outputs" / "export")]

from exact_surfaces import signed_distance  # noqa: E402

from nerf_mini.io.images import composite  # noqa: E402
from nerf_mini.outputs.export.base import ExportRequest, ExportTask  # noqa: E402
from nerf_mini.outputs.export.boxes import chosen_box, surface_level  # noqa: E402
from nerf_mini.outputs.export.lattices import Lattice  # noqa: E402
from nerf_mini.outputs.export.mesh import LEAST_PART, colored, surface  # noqa: E402
from nerf_mini.outputs.export.sight import between_pixels, closeness  # noqa: E402
from nerf_mini.outputs.export.training_rays import reached  # noqa: E402
from nerf_mini.outputs.export.triangle_meshes import TriangleMesh  # noqa: E402
from nerf_mini.runs.restoring import load_trainer  # noqa: E402
from nerf_mini.scenes.synthetic.surfaces import shapes  # noqa: E402
from nerf_mini.training import Trainer  # noqa: E402

STEEP, EDGE = 0.3, 0.1  # least cosine; how far the pixels around a vertex may see before or behind it
SHOWN = 0.7  # transmittance where what a pixel shows ends


def say_distances(name: str, vertices: np.ndarray) -> None:
    signed = signed_distance(shapes(), vertices)
    away = np.abs(signed)
    print(
        f"{name}: {len(vertices)} vertices, median {np.median(away):.4f}, mean {away.mean():.4f},"
        f" 95 % {np.quantile(away, 0.95):.4f}, signed median {np.median(signed):+.4f}"
    )


def color_psnr(trainer: Trainer, mesh: TriangleMesh, close: float) -> dict[str, float]:
    """Of vertex colours against the held-out pictures, in dB, mean over the views: at the vertices that a view sees in
    pixels of the object alone; of these, where it looks steeply enough; and where no edge of something else is near."""
    views, normals = trainer.views_of("test"), mesh.normals()
    assert mesh.colors is not None
    found: dict[str, list[float]] = {"all": [], "steep": [], "no edge near": []}
    for view in range(len(views)):
        camera, image = views.cameras[view], views.image(view)
        height, width = image.shape[:2]
        far = reached(trainer, camera.image_rays(), SHOWN).reshape(height, width, 1)
        place = camera.project(mesh.vertices, np.zeros(len(mesh.vertices), np.int64))
        towards = camera.poses[0, :3, 3] - mesh.vertices
        distance = np.linalg.norm(towards, axis=1)
        cosine = np.sum(normals * towards, axis=1) / distance
        (seen,) = np.nonzero((place > 0).all(axis=1) & (place < [width, height]).all(axis=1) & (cosine > 0))
        column, row = place[seen].astype(np.int64).T
        alpha = image[..., 3:].astype(np.float32) / 255
        truth = between_pixels(np.concatenate([composite(image, 1.0), alpha], axis=2), place[seen])
        kept = (distance[seen] < far[row, column, 0] + close) & (truth[:, 3] > 0.99)
        seen, truth = seen[kept], truth[kept, :3]
        squared = np.mean((mesh.colors[seen] - truth) ** 2, axis=1)
        wide = np.pad(far[..., 0], 1, mode="edge")
        around = np.stack([wide[i : i + height, j : j + width] for i in range(3) for j in range(3)])
        column, row = place[seen].astype(np.int64).T
        low, high = around.min(axis=0)[row, column], around.max(axis=0)[row, column]
        even = (high - distance[seen] < EDGE) & (distance[seen] - low < EDGE)
        for name, chosen in (("all", even | True), ("steep", cosine[seen] > STEEP), ("no edge near", even)):
            found[name].append(-10 * np.log10(squared[chosen].mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "shapes")
    parser.add_argument("--resolution", type=int, default=256)
    arguments = parser.parse_args()
    trainer = load_trainer(arguments.run, arguments.data)
    task = ExportTask(trainer, ExportRequest(resolution=arguments.resolution), Path("mesh.ply"))
    started, worked = time.perf_counter(), time.process_time()
    box = chosen_box(task)
    lattice = Lattice.filling(box, arguments.resolution)
    level = surface_level(trainer, box, task.world)
    whole = surface(task, lattice, level).large_parts(LEAST_PART)
    mesh = colored(task, whole, lattice, LEAST_PART)
    print(
        f"level {level:.2f}; {len(mesh.faces)} faces in {time.perf_counter() - started:.1f} s, of CPU"
        f" {time.process_time() - worked:.1f} s"
    )
    say_distances("all of the surface", whole.vertices)
    say_distances("what cameras see", mesh.vertices)
    close = closeness(lattice.spacing, float(box.sides.max()))
    for name, value in color_psnr(trainer, mesh, close).items():
        print(f"colours, {name}: {value:.2f} dB")


if __name__ == "__main__":
    main()

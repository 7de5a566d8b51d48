"""A tiny capture with known cameras and points, and writers of it in every format.

What a lens does to a point is written here from the formulas of the formats' documentation, not taken from the library.
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nerf_mini.geometry.poses import look_at
from nerf_mini.io.images import write_image

WIDTH, HEIGHT = 24, 16
OPENGL = np.diag([1.0, -1.0, -1.0])


@dataclass
class Capture:
    """Cameras on an arc about the origin, in a world that is tilted, moved and scaled."""

    names: list[str]
    poses: np.ndarray  # (V, 4, 4), camera-to-world, OpenGL axes
    focal: np.ndarray  # (V, 2)
    center: np.ndarray  # (V, 2)
    points: np.ndarray  # (n, 3)
    size: tuple[int, int] = (WIDTH, HEIGHT)
    lens: str = "pinhole"
    coefficients: dict[str, float] = field(default_factory=dict)
    near: float = 1.5
    far: float = 40.0

    def places(self, view: int) -> np.ndarray:
        """Where the points are in a picture, in pixels from its top left corner: (n, 2)."""
        pose = self.poses[view]
        x, y, z = ((self.points - pose[:3, 3]) @ pose[:3, :3] @ OPENGL).T
        assert (z > 0).all()
        return self.center[view] + self.focal[view] * np.stack(
            _bent(self.lens, self.coefficients, x / z, y / z), axis=1
        )

    def images(self) -> list[np.ndarray]:
        rng = np.random.default_rng(7)
        return [rng.integers(0, 256, (self.size[1], self.size[0], 3)).astype(np.uint8) for _ in self.names]


def _bent(lens: str, k: dict[str, float], u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lens models of COLMAP and OpenCV: u = X / Z and v = Y / Z to x', y'."""
    k1, k2, k3, k4, p1, p2 = (k.get(name, 0.0) for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if lens == "fisheye":
        r = np.sqrt(u**2 + v**2)
        theta = np.arctan(r)
        scale = theta * (1 + k1 * theta**2 + k2 * theta**4 + k3 * theta**6 + k4 * theta**8) / r
        return u * scale, v * scale
    r2 = u**2 + v**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return (
        u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u**2),
        v * radial + 2 * p2 * u * v + p1 * (r2 + 2 * v**2),
    )


def make_capture(views: int = 9, lens: str = "pinhole", shared: bool = True, **coefficients: float) -> Capture:
    rng = np.random.default_rng(3)
    world = np.eye(4)
    axis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    world[:3, :3], world[:3, 3] = 2.5 * axis * np.linalg.det(axis), (3.0, -1.0, 4.0)
    poses = []
    for angle in np.linspace(0, 4.5, views):
        pose = world @ look_at((4 * np.cos(angle), 4 * np.sin(angle), 1.5), (0.0, 0.0, 0.0))
        pose[:3, :3] /= 2.5
        poses.append(pose)
    points = rng.uniform(-0.6, 0.6, (12, 3)) @ world[:3, :3].T + world[:3, 3]
    focal, center = np.full((views, 2), (21.0, 22.0)), np.full((views, 2), (11.5, 8.25))
    if not shared:
        focal, center = focal + rng.uniform(-1, 1, (views, 2)), center + rng.uniform(-1, 1, (views, 2))
    names = [f"p{index:02d}.png" for index in range(views)]
    return Capture(names, np.stack(poses), focal, center, points, lens=lens, coefficients=coefficients)


def write_pictures(folder: Path, capture: Capture) -> None:
    for name, image in zip(capture.names, capture.images(), strict=True):
        write_image(folder / "images" / name, image)


# ----------------------------------------------------------------------------------------------------------------------
# nerfstudio and instant-ngp


def write_transforms(folder: Path, capture: Capture, file: str = "transforms.json", **top: object) -> Path:
    """Intrinsics at the top where all pictures share them, else in the frames."""
    shared = len(np.unique(capture.focal, axis=0)) == 1
    models = {"pinhole": "OPENCV", "radial-tangential": "OPENCV", "fisheye": "OPENCV_FISHEYE"}
    content = {"camera_model": models[capture.lens], **capture.coefficients}
    frames = []
    for name, pose, focal, center in zip(capture.names, capture.poses, capture.focal, capture.center, strict=True):
        camera = {
            "fl_x": focal[0], "fl_y": focal[1], "cx": center[0], "cy": center[1],
            "w": capture.size[0], "h": capture.size[1],
        }  # fmt: skip
        frames.append({"file_path": f"images/{name}", "transform_matrix": pose.tolist(), **({} if shared else camera)})
        content.update(camera if shared else {})
    write_pictures(folder, capture)
    (folder / file).write_text(json.dumps({**content, "frames": frames, **top}))
    return folder


# ----------------------------------------------------------------------------------------------------------------------
# COLMAP

_ORDERS = {
    "PINHOLE": (1, ()), "OPENCV": (4, ("k1", "k2", "p1", "p2")), "OPENCV_FISHEYE": (5, ("k1", "k2", "k3", "k4")),
}  # fmt: skip
_OF_LENS = {"pinhole": "PINHOLE", "radial-tangential": "OPENCV", "fisheye": "OPENCV_FISHEYE"}
NO_POINT = 2**64 - 1


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """w, x, y, z of a rotation, by the eigenvector of its symmetric matrix (Bar-Itzhack 2000)."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    x, y, z, w = np.linalg.eigh(k / 3)[1][:, -1]
    return np.array([w, x, y, z])


def colmap_tables(capture: Capture) -> tuple[list, list, list]:
    """Cameras, images and points as rows of a model; ids are not contiguous, and images not in the order of names."""
    model = _OF_LENS[capture.lens]
    number, names = _ORDERS[model]
    values = [capture.coefficients.get(name, 0.0) for name in names]
    cameras, images = [], []
    for view, name in enumerate(capture.names):
        cameras.append(
            (10 + 3 * view, number, model, *capture.size, [*capture.focal[view], *capture.center[view], *values])
        )
        world = np.linalg.inv(capture.poses[view])
        rotation, translation = OPENGL @ world[:3, :3], OPENGL @ world[:3, 3]
        features = [(x, y, 100 + 7 * i) for i, (x, y) in enumerate(capture.places(view))]
        features.insert(1, (0.5, 0.5, NO_POINT))
        images.append((500 - 2 * view, _quaternion(rotation), translation, 10 + 3 * view, name, features))
    track = [(500 - 2 * view, 0) for view in range(len(capture.names))]
    points = [(100 + 7 * i, point, track) for i, point in enumerate(capture.points)]
    return cameras, images[::-1], points


def write_colmap(folder: Path, capture: Capture, text: bool = False, model: str = "sparse/0") -> Path:
    write_pictures(folder, capture)
    place = folder / model
    place.mkdir(parents=True, exist_ok=True)
    for part, content in (colmap_text if text else colmap_bytes)(capture).items():
        if isinstance(content, bytes):
            (place / f"{part}.bin").write_bytes(content)
        else:
            (place / f"{part}.txt").write_text(content)
    return folder


def colmap_bytes(capture: Capture) -> dict[str, bytes]:
    cameras, images, points = colmap_tables(capture)
    c, i, p = (struct.pack("<Q", len(table)) for table in (cameras, images, points))
    for number, model, _, width, height, values in cameras:
        c += struct.pack(f"<IiQQ{len(values)}d", number, model, width, height, *values)
    for number, q, t, camera, name, features in images:
        i += struct.pack("<I7dI", number, *q, *t, camera) + name.encode() + b"\0" + struct.pack("<Q", len(features))
        i += b"".join(struct.pack("<ddQ", *feature) for feature in features)
    for number, place, track in points:
        p += struct.pack("<Q3d3BdQ", number, *place, 1, 2, 3, 0.25, len(track))
        p += b"".join(struct.pack("<II", *seen) for seen in track)
    return {"cameras": c, "images": i, "points3D": p}


def colmap_text(capture: Capture) -> dict[str, str]:
    def row(*values: object) -> str:
        return " ".join(repr(float(v)) if isinstance(v, float) else str(v) for v in values) + "\n"

    cameras, images, points = colmap_tables(capture)
    c, i, p = "# cameras\n", "# images\n", "# points\n"
    for number, _, model, width, height, values in cameras:
        c += row(number, model, width, height, *values)
    for number, q, t, camera, name, features in images:
        i += row(number, *q, *t, camera, name)
        i += row(*(value for x, y, k in features for value in (float(x), float(y), -1 if k == NO_POINT else k)))
    for number, place, track in points:
        p += row(number, *place, 1, 2, 3, 0.25, *(value for seen in track for value in seen))
    return {"cameras": c, "images": i, "points3D": p}


# ----------------------------------------------------------------------------------------------------------------------
# LLFF


def write_llff(folder: Path, capture: Capture) -> Path:
    """One focal length and the middle as centre are all that this format knows."""
    write_pictures(folder, capture)
    np.save(folder / "poses_bounds.npy", llff_rows(capture))
    return folder


def llff_rows(capture: Capture) -> np.ndarray:
    rows = []
    for pose, focal in zip(capture.poses, capture.focal, strict=True):
        right, up, back, position = pose[:3].T
        matrix = np.stack([-up, right, back, position, (capture.size[1], capture.size[0], focal[0])], axis=1)
        rows.append([*matrix.reshape(-1), capture.near, capture.far])
    return np.array(rows)

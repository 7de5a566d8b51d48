"""Toy scenes, drawn by our own code from analytic descriptions: data whose truth is known."""

from nerf_mini.scenes.synthetic.blobs import BlobVolume, default_blobs
from nerf_mini.scenes.synthetic.capturing import CAPTURES, CaptureSettings, make_capture
from nerf_mini.scenes.synthetic.making import SCENES, ToyScene, make_scene

__all__ = [
    "CAPTURES",
    "SCENES",
    "BlobVolume",
    "CaptureSettings",
    "ToyScene",
    "default_blobs",
    "make_capture",
    "make_scene",
]

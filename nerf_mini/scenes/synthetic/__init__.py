"""Toy scenes, drawn by our own code from analytic descriptions: data whose truth is known."""

from nerf_mini.scenes.synthetic.blobs import BlobVolume, default_blobs
from nerf_mini.scenes.synthetic.making import SCENES, ToyScene, make_scene

__all__ = ["SCENES", "BlobVolume", "ToyScene", "default_blobs", "make_scene"]

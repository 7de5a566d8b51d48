"""Data sets: reading them, and making synthetic ones whose truth is known."""

from nerf_mini.scenes.loading import load_scene
from nerf_mini.scenes.scene import SPLITS, Scene, Views

__all__ = ["SPLITS", "Scene", "Views", "load_scene"]

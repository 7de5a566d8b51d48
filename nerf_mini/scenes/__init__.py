"""Data sets: reading them, drawing from them, and making synthetic ones whose truth is known."""

from nerf_mini.scenes.arrays import scene_from_arrays
from nerf_mini.scenes.batches import PixelBatch, draw_pixels
from nerf_mini.scenes.loading import load_scene
from nerf_mini.scenes.scene import BLACK, SPLITS, WHITE, Scene, SceneCameras, Views
from nerf_mini.scenes.shuffling import Shuffled

__all__ = [
    "BLACK",
    "SPLITS",
    "WHITE",
    "PixelBatch",
    "Scene",
    "SceneCameras",
    "Shuffled",
    "Views",
    "draw_pixels",
    "load_scene",
    "scene_from_arrays",
]

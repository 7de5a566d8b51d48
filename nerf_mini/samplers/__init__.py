"""Where along a ray to look."""

from nerf_mini.samplers.hierarchical import fine_samples
from nerf_mini.samplers.occupancy import cube_of_cameras
from nerf_mini.samplers.samples import RaySamples, pack, pack_part
from nerf_mini.samplers.stratified import stratified_samples

__all__ = ["RaySamples", "cube_of_cameras", "fine_samples", "pack", "pack_part", "stratified_samples"]

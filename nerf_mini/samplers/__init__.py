"""Where along a ray to look."""

from .hierarchical import fine_samples
from .occupancy import cube_of_cameras
from .packing import RaySamples, pack, pack_part
from .stratified import stratified_samples

__all__ = ["RaySamples", "cube_of_cameras", "fine_samples", "pack", "pack_part", "stratified_samples"]

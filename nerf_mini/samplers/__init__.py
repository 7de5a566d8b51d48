"""Where along a ray to look."""

from nerf_mini.samplers.base import Density, Sampler
from nerf_mini.samplers.hierarchical import fine_samples
from nerf_mini.samplers.occupancy import OccupancyGrid, OccupancySampler
from nerf_mini.samplers.samples import Samples, pack, pack_part
from nerf_mini.samplers.stratified import StratifiedSampler, stratified_samples

__all__ = [
    "Density",
    "OccupancyGrid",
    "OccupancySampler",
    "Sampler",
    "Samples",
    "StratifiedSampler",
    "fine_samples",
    "pack",
    "pack_part",
    "stratified_samples",
]

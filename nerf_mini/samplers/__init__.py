"""Where along a ray to look."""

from .hierarchical import fine_samples
from .packing import RaySamples, pack
from .stratified import stratified_samples

__all__ = ["RaySamples", "fine_samples", "pack", "stratified_samples"]

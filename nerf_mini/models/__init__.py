"""Models: wiring of region, sampler and field. A new one is a module, and one line here."""

from nerf_mini.config import Config, InstantConfig
from nerf_mini.models.base import Model
from nerf_mini.models.instant import OccupancyModel, instant_model, occupancy_nerf_model
from nerf_mini.models.nerf import NerfModel
from nerf_mini.models.precision import resolve_precision
from nerf_mini.scenes import SceneCameras


def make_model(config: Config, scene: SceneCameras) -> Model:
    """The model that a configuration asks for, for a scene seen by these cameras."""
    settings = config.model
    if isinstance(settings, InstantConfig):
        return instant_model(config, settings, scene)
    if settings.sampler == "occupancy":
        return occupancy_nerf_model(config, settings, scene)
    return NerfModel(config, settings, scene)


__all__ = ["Model", "NerfModel", "OccupancyModel", "make_model", "resolve_precision"]

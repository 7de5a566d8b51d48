"""Configuration: one frozen dataclass per part, with limits on its fields, and presets of all of them."""

from nerf_mini.config.presets import DEFAULT_PRESETS, PRESETS, Preset
from nerf_mini.config.sections import (
    Config,
    HashGridConfig,
    HierarchicalConfig,
    InstantConfig,
    LossConfig,
    MethodName,
    NerfConfig,
    NetworkConfig,
    OccupancyConfig,
    OptimiserConfig,
    SceneConfig,
    TrainingConfig,
)
from nerf_mini.config.settings import differences, from_dict, from_preset, to_dict, with_settings

__all__ = [
    "DEFAULT_PRESETS",
    "PRESETS",
    "Config",
    "HashGridConfig",
    "HierarchicalConfig",
    "InstantConfig",
    "LossConfig",
    "MethodName",
    "NerfConfig",
    "NetworkConfig",
    "OccupancyConfig",
    "OptimiserConfig",
    "Preset",
    "SceneConfig",
    "TrainingConfig",
    "differences",
    "from_dict",
    "from_preset",
    "to_dict",
    "with_settings",
]

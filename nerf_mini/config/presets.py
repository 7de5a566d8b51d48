"""Configurations by name. A preset is the choice of a model too."""

from __future__ import annotations

from dataclasses import dataclass

from nerf_mini.config.sections import (
    Config,
    HashGridConfig,
    HierarchicalConfig,
    InstantConfig,
    MethodName,
    NerfConfig,
    NetworkConfig,
    OptimiserConfig,
    TrainingConfig,
)


@dataclass(frozen=True)
class Preset:
    """A configuration, and in a few words what it is for."""

    description: str
    config: Config


PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "instant, a minute on two cores",
        Config(training=TrainingConfig(max_steps=2500, supersampling=1)),
    ),
    "default": Preset("instant, five minutes on two cores", Config()),
    "best": Preset(
        "instant, twenty minutes on two cores",
        Config(
            model=InstantConfig(HashGridConfig(log2_entries=19, color_layers=2)),
            training=TrainingConfig(max_steps=40_000),
        ),
    ),
    "small": Preset(
        "nerf, minutes on two cores",
        Config(
            model=NerfConfig(),
            optimiser=OptimiserConfig(
                learning_rate=8e-3, final_rate=3e-4, decay="exponential", decay_steps=6000, epsilon=1e-7
            ),
            training=TrainingConfig(crop_steps=400, max_steps=8000, checkpoint_every=1000, validate_every=2000),
        ),
    ),
    "paper": Preset(
        "nerf, the networks and samples of the paper, hours to days",
        Config(
            model=NerfConfig(
                rays=1024,
                network=NetworkConfig(
                    depth=8, width=256, skip=5, position_frequencies=10, identity=True, factor_pi=False, scale=1.0,
                    density_activation="relu",
                ),
                hierarchical=HierarchicalConfig(coarse_samples=64, fine_samples=128),
            ),
            optimiser=OptimiserConfig(
                learning_rate=5e-4, final_rate=5e-5, decay="exponential", decay_steps=500_000, beta2=0.999,
                epsilon=1e-7,
            ),
            training=TrainingConfig(crop_steps=500, max_steps=200_000, checkpoint_every=500, validate_every=2500),
        ),
    ),
}  # fmt: skip

DEFAULT_PRESETS: dict[MethodName, str] = {"instant": "default", "nerf": "small"}
"""The preset of a method that is named alone; the first entry is that of a command line that names neither."""

"""Where a configuration comes from: the nearest preset, and the options of `train` that make it of that preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nerf_mini.config.limits import flag
from nerf_mini.config.presets import DEFAULT_PRESETS, PRESETS
from nerf_mini.config.sections import Config
from nerf_mini.config.settings import from_preset, setting_values

OF_EVERY_RUN = ("seed", "precision", "max_steps")  # settings that make no other preset of a configuration


@dataclass(frozen=True)
class Change:
    """A setting with its value, and that of the preset."""

    name: str
    value: Any
    preset: Any


def changes(config: Config, base: Config) -> tuple[Change, ...]:
    """The settings in which a configuration differs from another one of its method."""
    values = setting_values(base)
    return tuple(Change(name, v, values[name]) for name, v in setting_values(config).items() if v != values[name])


def preset_as_asked(name: str, config: Config) -> Config:
    """A preset with the number of steps of a configuration, as the command line makes it: a schedule as long as the
    run comes with another number of steps."""
    own = PRESETS[name].config
    most = config.training.max_steps
    return own if most == own.training.max_steps else from_preset(name, max_steps=most)


def nearest_preset(config: Config) -> str:
    """The name of the preset of the same method from which the fewest settings differ.

    Presets that differ in their number of steps alone are told apart by it where that is one of theirs; else the
    method's default one is taken.
    """

    def distance(name: str) -> tuple[int, bool, bool]:
        found = changes(config, preset_as_asked(name, config))
        as_long = config.training.max_steps == PRESETS[name].config.training.max_steps
        counted = sum(change.name not in OF_EVERY_RUN for change in found)
        return counted, not as_long, name != DEFAULT_PRESETS[config.method]

    return min((name for name, preset in PRESETS.items() if preset.config.method == config.method), key=distance)


def options(config: Config, preset: str) -> list[str]:
    """Words of a command line that make a configuration of a preset: ["--preset", "quick", "--levels", "12"].

    A run without a number of steps needs --max-seconds besides. Left out is bfloat16, which is taken where the CPU has
    it; float32 is named, for the same bits on a CPU that has bfloat16.
    """
    words = ["--preset", preset]
    most = config.training.max_steps
    if most is not None and most != PRESETS[preset].config.training.max_steps:
        words += ["--max-steps", str(most)]
    for change in changes(config, preset_as_asked(preset, config)):
        if change.name == "max_steps" or (change.name == "precision" and change.value != "float32"):
            continue
        if isinstance(change.value, bool):
            words.append(flag(change.name) if change.value else flag("no_" + change.name))
        else:
            words += [flag(change.name), str(change.value)]
    return words

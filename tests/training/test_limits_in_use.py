"""The largest value that a setting may have is one that works, or is refused in a sentence before anything is made."""

import dataclasses
import math

import numpy as np
import pytest

from nerf_mini.config import PRESETS, from_preset
from nerf_mini.config.limits import Limit, Section, hints, of_kind
from nerf_mini.errors import UserError
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer

SMALL = {
    "default": {
        "levels": 4, "log2_entries": 8, "base_resolution": 4, "finest_resolution": 16, "hidden_width": 16,
        "color_layers": 1, "samples_per_step": 1024, "march_steps": 64, "occupancy_resolution": 16,
    },
    "small": {
        "depth": 2, "width": 16, "position_frequencies": 3, "direction_frequencies": 1, "coarse_samples": 8,
        "fine_samples": 8, "rays": 64,
    },
}  # fmt: skip
LONG_STEPS = {"occupancy_resolution", "hidden_width", "width", "coarse_samples", "fine_samples", "batch"}
"""Settings of which a step at the limit is no more than long: only its memory is looked at."""


def largest(section: type[Section]) -> dict[str, float]:
    """Of the numeric settings of a section that have an upper limit, by name."""
    found = {}
    for name, hint in hints(section).items():
        limits = [limit for limit in getattr(hint, "__metadata__", ()) if isinstance(limit, Limit)]
        most = min((limit.most for limit in limits if hasattr(limit, "most")), default=None)
        if most is not None:
            below = float(np.nextafter(most, -math.inf)) if of_kind(0.5, hint) else most - 1  # of an open limit
            found[name] = most if all(limit.holds(most) for limit in limits) else below
    return found


def sections(config):
    yield type(config)
    for entry in dataclasses.fields(config):
        if isinstance(own := getattr(config, entry.name), Section):
            yield from sections(own)


@pytest.mark.parametrize("preset", SMALL)
def test_the_largest_value_of_each_setting_trains_or_is_refused(preset, blobs):
    scene, refused = load_scene(blobs), []
    values = {name: most for section in sections(PRESETS[preset].config) for name, most in largest(section).items()}
    assert len(values) > 30
    for name, most in values.items():
        try:
            trainer = Trainer(from_preset(preset, **{**SMALL[preset], name: most}), scene.cameras, scene)
            if name not in LONG_STEPS:
                assert math.isfinite(trainer.step().loss), name
        except UserError as error:
            assert "--" + name.replace("_", "-") in str(error) or "memory" in str(error), (name, str(error))
            refused.append(name)
    assert len(refused) < 8, refused

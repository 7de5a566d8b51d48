"""The help of train says of each setting what it is for, and within which limit."""

import dataclasses

import pytest

from nerf_mini.cli.arguments import parse_train
from nerf_mini.cli.setting_help import help_text
from nerf_mini.config import PRESETS
from nerf_mini.config.limits import Limit, Section, hints
from nerf_mini.config.sections import OccupancyConfig, OptimiserConfig


def sections(config: Section):
    """A configuration and all sections in it."""
    yield config
    for entry in dataclasses.fields(config):
        if isinstance(own := getattr(config, entry.name), Section):
            yield from sections(own)


def test_a_text_is_one_paragraph_and_ends_with_the_limit():
    text = help_text(OccupancyConfig, "occupancy_resolution")
    assert text.startswith("Cells along the side of the occupancy grid") and "\n" not in text
    assert text.endswith("unbounded scene. A power of two, at least 8 and at most 512.")
    assert (
        help_text(OptimiserConfig, "learning_rate") == "Learning rate at the first step. At least 1e-12 and at most 10."
    )


@pytest.mark.parametrize("preset", ["default", "small"])
def test_every_limit_is_in_the_help(preset, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parse_train(["--preset", preset, "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for section in sections(PRESETS[preset].config):
        for name, hint in hints(type(section)).items():
            text = help_text(type(section), name)
            if not isinstance(getattr(section, name), Section):
                assert text and text in shown
            for limit in getattr(hint, "__metadata__", ()):
                if isinstance(limit, Limit):
                    assert str(limit).removesuffix(" and finite") in text.lower()

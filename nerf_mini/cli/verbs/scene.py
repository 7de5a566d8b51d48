"""nerf-mini scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

from nerf_mini.cli.arguments import SceneArguments
from nerf_mini.cli.progress import counting_bar, say
from nerf_mini.config.limits import flag
from nerf_mini.errors import UserError, quoted
from nerf_mini.scenes.synthetic import CAPTURES, SCENES, CaptureSettings, make_capture, make_scene

_OF_CAPTURES = ("format", "lens", "exposure", "passer_by", "mixed_sizes")


def run(arguments: SceneArguments) -> None:
    """Make a synthetic data set."""
    if arguments.name not in (*SCENES, *CAPTURES):
        known = ", ".join((*SCENES, *CAPTURES))
        raise UserError(f"there is no toy scene {quoted(arguments.name)}; the scenes are {known}.")
    with counting_bar("ray tracing") as report:
        folder = (_make_capture if arguments.name in CAPTURES else _make_object)(arguments, report)
    say(f"made: {folder}")


def _given(arguments: SceneArguments) -> dict[str, object]:
    """The settings that differ from their defaults."""
    defaults = {field.name: field.default for field in fields(arguments)}
    given = {key: value for key, value in asdict(arguments).items() if value != defaults[key]}
    return {key: value for key, value in given.items() if key not in ("name", "output")}


def _make_object(arguments: SceneArguments, report: Callable[[int, int], None]) -> Path:
    given = _given(arguments)
    for key in _OF_CAPTURES:
        if key in given:
            raise UserError(f"{flag(key)} is an option of the captures {', '.join(CAPTURES)}, not of {arguments.name}.")
    return make_scene(arguments.name, arguments.output, progress=report, **given)  # type: ignore[arg-type]


def _make_capture(arguments: SceneArguments, report: Callable[[int, int], None]) -> Path:
    settings = CaptureSettings(**_given(arguments))  # type: ignore[arg-type]
    return make_capture(arguments.name, arguments.output, settings, report)

"""Limits of settings: what holds, and how they read."""

import dataclasses
import typing

import pytest

from nerf_mini.cli import arguments
from nerf_mini.config import PRESETS, Config, from_preset
from nerf_mini.config.limits import AtLeast, Between, Limit, Section, hints, require_within_limits
from nerf_mini.config.settings import setting_values
from nerf_mini.errors import UserError

VERBS = [getattr(arguments, name) for name in dir(arguments) if name.endswith("Arguments") and name != "Arguments"]
CHECKED_ELSEWHERE = {
    "port",
    "frames_per_second",
    "points",
    "resolution",
    "box",
    "only",
    "exposure",
}  # by what they mean


def sections(config):
    yield config
    for entry in dataclasses.fields(config):
        if isinstance(own := getattr(config, entry.name), Section):
            yield from sections(own)


def is_numeric(hint) -> bool:
    hint = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    return bool({int, float} & {hint, *typing.get_args(hint)})


def limits_of(hint) -> list[Limit]:
    return [limit for limit in getattr(hint, "__metadata__", ()) if isinstance(limit, Limit)]


def test_limits_read_as_people_write_them():
    assert str(Between(1, 2**20)) == "at least 1 and at most 1048576"
    assert str(Between(0, 2**63 - 1)) == "at least 0 and at most 9223372036854775807"
    assert str(Between(1e-12, 10.0)) == "at least 1e-12 and at most 10"
    assert str(Between(0.0, 1, least_open=True, most_open=True)) == "more than 0 and less than 1"
    assert str(AtLeast(2)) == "at least 2"


@pytest.mark.parametrize("preset", ["default", "small"])
def test_every_number_of_a_configuration_has_two_limits(preset):
    """Beyond some size nothing can be computed, and 1e308 is never what somebody wants."""
    for section in sections(PRESETS[preset].config):
        for name, hint in hints(type(section)).items():
            if is_numeric(hint) and name != "features" and name != "skip":  # a choice; and below the depth
                for absurd in (1e308, -1e308, float("nan"), float("inf"), 10**400):
                    assert any(not limit.holds(absurd) for limit in limits_of(hint)), name


@pytest.mark.parametrize("kind", VERBS)
def test_every_number_of_a_verb_has_limits(kind):
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        if is_numeric(hint) and name not in CHECKED_ELSEWHERE:
            assert limits_of(hint), name


@pytest.mark.parametrize("method", ["default", "small"])
@pytest.mark.parametrize("value", [1e308, -1e308, float("nan"), float("inf"), 10**400, -(10**400)])
def test_absurd_numbers_are_refused_by_name(method, value):
    for name, default in setting_values(PRESETS[method].config).items():
        if isinstance(default, int | float) and not isinstance(default, bool):
            with pytest.raises(UserError, match="--" + name.replace("_", "-")):
                from_preset(method, **{name: value})


def test_limits_of_any_dataclass_are_enforced():
    @dataclasses.dataclass(frozen=True)
    class Options:
        size: typing.Annotated[int | None, Between(1, 9)] = None
        corners: typing.Annotated[tuple[float, float], Between(-1.0, 1.0)] = (0.0, 0.0)

    Options.__module__ = __name__
    require_within_limits(Options())
    with pytest.raises(UserError, match="--size 10: must be at least 1 and at most 9"):
        require_within_limits(Options(10))
    with pytest.raises(UserError, match="--corners"):
        require_within_limits(Options(None, (0.0, float("nan"))))


def test_the_defaults_are_within_their_limits():
    for preset in PRESETS.values():
        require_within_limits(preset.config)
    assert isinstance(from_preset("default", max_steps=1), Config)

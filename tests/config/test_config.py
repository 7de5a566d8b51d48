"""Settings by name, limits on fields, presets, and configurations as plain values."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.config import (
    DEFAULT_PRESETS,
    PRESETS,
    Config,
    HashGridConfig,
    InstantConfig,
    NerfConfig,
    NetworkConfig,
    OccupancyConfig,
    SceneConfig,
    differences,
    from_dict,
    from_preset,
    to_dict,
    with_settings,
)
from nerf_mini.config.limits import AtLeast, Between, Positive, PowerOfTwo
from nerf_mini.config.settings import setting_names
from nerf_mini.errors import UserError


@pytest.mark.parametrize("model", [NerfConfig(), InstantConfig()])
def test_no_two_settings_have_one_name(model):
    names = list(setting_names(Config(model=model)))
    assert len(set(names)) == len(names) > 20


def test_every_setting_is_explained_where_it_is_declared():
    import ast
    import inspect

    import nerf_mini.config.sections as sections

    for kind in ast.parse(inspect.getsource(sections)).body:
        if isinstance(kind, ast.ClassDef):
            for field, following in zip(kind.body, kind.body[1:] + [ast.Pass()], strict=True):
                if isinstance(field, ast.AnnAssign) and "Config" not in ast.unparse(field.annotation):
                    assert isinstance(following, ast.Expr), f"{kind.name}.{ast.unparse(field.target)} has no docstring"


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        (AtLeast(1), [1, 2, 10**9], [0, -1]),
        (AtLeast(0.0), [0.0, 1e300], [-1e-9, float("inf"), float("nan")]),
        (Positive(), [1e-300, 5], [0, -1, float("inf"), float("nan")]),
        (Between(0, 1), [0, 0.5, 1], [-0.1, 1.1, float("nan")]),
        (Between(0, 1, least_open=True), [1e-9, 1], [0]),
        (Between(0, 1, most_open=True), [0, 0.999], [1]),
        (PowerOfTwo(8, 512), [8, 64, 512], [4, 9, 1024, 0, -8]),
    ],
    ids=str,
)
def test_limits(limit, inside, outside):
    assert all(limit.holds(value) for value in inside)
    assert not any(limit.holds(value) for value in outside)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: NetworkConfig(depth=0), "--depth 0: must be at least 1"),
        (lambda: NetworkConfig(width=2.5), "--width 2.5: must be a whole number"),
        (lambda: NetworkConfig(identity=1), "--identity 1: must be true or false"),
        (lambda: NetworkConfig(skip=4), "--skip 4: must lie between 1 and depth - 1 = 3"),
        (lambda: NetworkConfig(position_frequencies=0), "--position-frequencies 0"),
        (
            lambda: NetworkConfig(density_activation="gelu"),
            "--density-activation 'gelu': must be one of relu, softplus",
        ),
        (lambda: HashGridConfig(features=3), "--features 3: must be one of 2, 4"),
        (lambda: HashGridConfig(base_resolution=9, finest_resolution=8), "--finest-resolution 8.*--base-resolution 9"),
        (lambda: OccupancyConfig(occupancy_resolution=24), "--occupancy-resolution 24: must be a power of two"),
        (lambda: OccupancyConfig(samples_per_step=100, march_steps=1024), "--samples-per-step 100.*--march-steps 1024"),
        (
            lambda: OccupancyConfig(cube_side=float("inf")),
            "--cube-side inf: must be at least 1e-09 and at most",
        ),
        (lambda: SceneConfig(near=3, far=2.0), "--near 3: must be less than --far 2.0"),
        (lambda: Config(model=3), "--model 3"),
        (lambda: Config(seed=True), "--seed True: must be a whole number"),
        (lambda: Config(seed="7" * 500), r"--seed '7+\.\.\.: must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_value_and_limit(make, named):
    with pytest.raises(UserError, match=named) as raised:
        make()
    assert len(str(raised.value)) < 200


# -- settings by name --------------------------------------------------------------------------------------------------


def test_settings_are_found_in_whatever_section_they_are():
    config = from_preset("quick", levels=12, march_steps=64, distortion=0.1, near=1.5, seed=3)
    assert (config.model.grid.levels, config.model.occupancy.march_steps) == (12, 64)
    assert (config.losses.distortion, config.scene.near, config.seed) == (0.1, 1.5, 3)
    assert with_settings(config) is config
    kept = with_settings(config, seed=0)
    assert kept.model == config.model and kept.training == config.training


@pytest.mark.parametrize(
    ("name", "hint"),
    [("levls", "Did you mean levels"), ("maxsteps", "max_steps"), ("depth", "It is one of nerf"), ("zzz", "'zzz'")],
)
def test_an_unknown_setting_is_refused_with_what_may_have_been_meant(name, hint):
    with pytest.raises(UserError, match=hint):
        from_preset("quick", **{name: 1})


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=f"'fast'.*{', '.join(PRESETS)}"):
        from_preset("fast")


def test_presets_are_of_the_method_that_they_are_listed_under():
    assert {PRESETS[preset].config.method: preset for preset in DEFAULT_PRESETS.values()} == DEFAULT_PRESETS
    assert all(preset.description.startswith(preset.config.method) for preset in PRESETS.values())


# -- the schedule of the learning rate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_the_learning_rate_decays_over_another_length_of_the_run(preset):
    """It is not the preset's schedule cut short; a schedule that is given stays."""
    assert from_preset(preset, max_steps=600).optimiser.decay_steps is None
    assert from_preset(preset, max_steps=600, decay_steps=50).optimiser.decay_steps == 50
    assert from_preset(preset, seed=1).optimiser == PRESETS[preset].config.optimiser


# -- plain values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_configuration_survives_json(preset):
    config = from_preset(preset, near=1, seed=5)
    assert from_dict(json.loads(json.dumps(to_dict(config))), "config.json") == config


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def places(values, path=()):
    """The path of every value and section in nested dicts."""
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@given(preset=st.sampled_from(sorted(PRESETS)), data=st.data())
def test_whatever_is_put_into_a_saved_configuration_it_is_valid_or_refused(preset, data):
    values = to_dict(from_preset(preset))
    path = data.draw(st.sampled_from(sorted(places(values))))
    section = values
    for key in path[:-1]:
        section = section[key]
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        section[path[-1]] = data.draw(VALUES)
    elif change == "remove":
        del section[path[-1]]
    else:
        section["no such key"] = data.draw(VALUES)
    try:
        config = from_dict(values, "config.json")
    except UserError as error:
        assert str(error).startswith("config.json: ")
        return
    assert change == "replace"
    again = to_dict(config)
    for key in path:
        again = again[key]
    assert again == section[path[-1]]


def test_differences_name_the_settings_and_leave_out_the_end_of_the_run():
    old = from_preset("small", precision="float32")
    new = with_settings(old, precision="auto", max_steps=5, width=32, seed=1)
    assert differences(old, new) == ["seed: 0 in the run, 1 now", "model.network.width: 64 in the run, 32 now"]
    assert differences(old, with_settings(old, precision="bfloat16"))
    assert differences(old, from_preset("quick")) == ["method: nerf in the run, instant now"]


def test_sections_are_values():
    assert dataclasses.replace(Config(), seed=0) == Config() and hash(Config()) == hash(Config())


def test_settings_may_come_as_text():
    given = from_preset("quick", max_steps="600", learning_rate="1e-3", background="white", finest_resolution="None")
    assert given == from_preset("quick", max_steps=600, learning_rate=1e-3, background="white", finest_resolution=None)
    with pytest.raises(UserError, match="--max-steps 'many': must be a whole number"):
        from_preset("quick", max_steps="many")

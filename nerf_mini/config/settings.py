"""Configurations from settings by name, as plain values, and what differs between two of them."""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

from nerf_mini.config.limits import bare, described, hints, of_kind
from nerf_mini.config.presets import PRESETS
from nerf_mini.config.sections import MODELS, Config
from nerf_mini.errors import UserError, quoted


def from_preset(preset: str = "default", **settings: Any) -> Config:
    """A preset with some settings replaced: from_preset("quick", max_steps=600, levels=12).

    Where `max_steps` is among them and `decay_steps` is not, the learning rate decays over the new length of the run.
    Raises UserError as `with_settings`, and for a name that is no preset's.
    """
    if preset not in PRESETS:
        raise UserError(f"there is no preset {quoted(preset)}; the presets are {', '.join(PRESETS)}.")
    if "max_steps" in settings:
        settings = {"decay_steps": None, **settings}
    return with_settings(PRESETS[preset].config, **settings)


def with_settings(config: Config, **settings: Any) -> Config:
    """A configuration with some settings replaced, by name, in whatever section they are.

    Values may be given as text, as other programs hand them on: "600" for 600. Raises UserError for a name that is no
    setting of its model, listing near ones, and for a value of the wrong kind or out of its limits.
    """
    known = set(setting_names(config))
    for name in settings:
        if name not in known:
            raise UserError(f"{config.method} has no setting {quoted(name)}.{_hint(name, config)}")
    return _replaced(config, settings)


def setting_names(section: Any) -> Iterator[str]:
    """The names of all settings in a section and the sections within. No two of a configuration are the same."""
    for entry in dataclasses.fields(section):
        value = getattr(section, entry.name)
        if dataclasses.is_dataclass(value):
            yield from setting_names(value)
        else:
            yield entry.name


def setting_values(section: Any) -> dict[str, Any]:
    """All settings in a section and the sections within, by name."""
    values: dict[str, Any] = {}
    for entry in dataclasses.fields(section):
        value = getattr(section, entry.name)
        values |= setting_values(value) if dataclasses.is_dataclass(value) else {entry.name: value}
    return values


def _hint(name: str, config: Config) -> str:
    """What may have been meant by an unknown name."""
    for method, model in MODELS.items():
        if method != config.method and name in setting_names(model()):
            return f" It is one of {method}."
    near = difflib.get_close_matches(name, list(setting_names(config)), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _replaced(section: Any, settings: dict[str, Any]) -> Any:
    """A section with those of the settings that lie in it or in a section within."""
    changes = {}
    for entry in dataclasses.fields(section):
        value = getattr(section, entry.name)
        if dataclasses.is_dataclass(value):
            changed = _replaced(value, settings)
            if changed is not value:
                changes[entry.name] = changed
        elif entry.name in settings:
            changes[entry.name] = _from_text(settings[entry.name], hints(type(section))[entry.name])
    return dataclasses.replace(section, **changes) if changes else section


def _from_text(value: Any, hint: Any) -> Any:
    """A value that came as text, from the command line of another program, as what it means; others as they are."""
    if not isinstance(value, str) or of_kind(value, hint):
        return value
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(value.lower(), value))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value  # the section says what is wrong with it


def to_dict(config: Config) -> dict[str, Any]:
    """Nested plain values, as saved in config.json; the model's say which "method" they are of."""
    values = dataclasses.asdict(config)
    values["model"] = {"method": config.method, **values["model"]}
    return values


def from_dict(values: Any, where: str) -> Config:
    """The inverse of `to_dict`; `where` names the file in messages.

    Raises UserError for unknown or missing keys, and for values of the wrong kind or out of their limits.
    """
    try:
        return _built(Config, values, "")
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _built(section: type, values: Any, path: str) -> Any:
    """A section from plain values; `path` of keys, each followed by a dot, says where they are."""
    if not isinstance(values, dict):
        raise UserError(f"{path.rstrip('.') or 'config'!r} must be an object, not {quoted(values)}.")
    known = hints(section)
    for key in values:
        if key not in known:
            raise UserError(f"unknown key {quoted(path + str(key))}.")
    for key in known:
        if key not in values:
            raise UserError(f"lacks the key {path + key!r}.")
    return section(**{key: _member(hint, values[key], path + key) for key, hint in known.items()})


def _member(hint: Any, value: Any, path: str) -> Any:
    if path == "model":
        return _model(value)
    if dataclasses.is_dataclass(bare(hint)):
        return _built(bare(hint), value, path + ".")
    if not of_kind(value, hint):
        raise UserError(f"{path!r} is {quoted(value)}; it must be {described(hint)}.")
    return value


def _model(value: Any) -> Any:
    """The section of the method that the values name."""
    method = value.get("method") if isinstance(value, dict) else None
    if not isinstance(method, str) or method not in MODELS:
        raise UserError(f"'model.method' is {quoted(method)}; it must be {' or '.join(MODELS)}.")
    return _built(MODELS[method], {key: v for key, v in value.items() if key != "method"}, "model.")  # type: ignore[index]


def differences(old: Config, new: Config) -> list[str]:
    """One line for each setting in which two configurations differ.

    Not counted are the end of the run, which changes no step before it, and a precision that is left to the run.
    """
    before, after = dict(_flat(to_dict(old))), dict(_flat(to_dict(new)))
    if old.method != new.method:
        return [f"method: {old.method} in the run, {new.method} now"]
    return [
        f"{key}: {before[key]} in the run, {after[key]} now"
        for key in before
        if before[key] != after[key] and key != "training.max_steps" and (key, after[key]) != ("precision", "auto")
    ]


def _flat(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, path + key + ".")
        else:
            yield path + key, value

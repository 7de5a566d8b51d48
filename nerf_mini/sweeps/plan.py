"""What a sweep file says: scenes x settings x seeds.

    seeds = [0, 1]                          # by default [0]
    scenes = ["shapes", "../photos/cup"]    # synthetic scenes, or data sets beside the file

    [settings.quick]                        # by default the preset "default"
    preset = "quick"
    levels = 12                             # any setting of `nerf-mini train`

Instead of a list, scenes may be tables: [scenes.NAME] with `path`, or with `make` (by default the NAME) and the options
of `nerf-mini scene`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from nerf_mini.config import Config, from_preset, with_settings
from nerf_mini.config.limits import LARGEST_SEED, LARGEST_SIZE, MOST_VIEWS
from nerf_mini.errors import UserError, quoted
from nerf_mini.io.files import real_path
from nerf_mini.scenes.synthetic import CAPTURES, SCENES, CaptureSettings

LONGEST_FILE = 1 << 20  # bytes
MOST_RUNS = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEYS = ("seeds", "scenes", "settings", "test_views")
_OBJECT_KEYS = ("size", "views", "seed")
_KINDS: dict[str, type | tuple[type, ...]] = {"float": (int, float), "str": str, "bool": bool, "int": int}


@dataclass(frozen=True)
class Source:
    """A data set that is there at `path`, or the synthetic scene `make` with options of `nerf-mini scene`."""

    name: str
    path: Path | None = None
    make: str | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def folder(self) -> str:
        """What the folder of a synthetic scene is called: its name, and options that it was given."""
        return "-".join([str(self.make), *(f"{key}-{value}".lower() for key, value in self.options)])


@dataclass(frozen=True)
class Task:
    """A training of the plan, by its number from 0 on."""

    number: int
    source: Source
    settings: str
    config: Config

    @property
    def seed(self) -> int:
        """That of the training."""
        return self.config.seed

    @property
    def folder(self) -> Path:
        """Where its run is, below the folder of the sweep."""
        return Path(self.source.name) / self.settings / f"seed-{self.seed}"

    def __str__(self) -> str:
        return f"{self.source.name}, {self.settings}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All trainings of a sweep; test_views: how many test views are scored, None: all."""

    name: str
    sources: tuple[Source, ...]
    settings: Mapping[str, Config]
    seeds: tuple[int, ...]
    test_views: int | None = None

    @property
    def tasks(self) -> list[Task]:
        """Seeds first, so that every scene and setting has been seen once before one is repeated."""
        combined = product(self.seeds, self.sources, self.settings.items())
        return [
            Task(number, source, name, with_settings(config, seed=seed))
            for number, (seed, source, (name, config)) in enumerate(combined)
        ]


def read_plan(file: Path) -> Plan:
    """The plan in a file. Raises UserError, naming the file and the key, where it makes none."""
    content = _read(file)
    for key in content:
        if key not in _KEYS:
            raise UserError(f"{file}: unknown key {quoted(key)}; there are {', '.join(_KEYS)}.")
    sources = tuple(_sources(content.get("scenes"), file))
    settings = dict(_settings(content.get("settings", {"default": {}}), file))
    seeds = _seeds(content.get("seeds", [0]), file)
    runs = len(sources) * len(settings) * len(seeds)
    if runs > MOST_RUNS:
        raise UserError(f"{file}: these are {runs} runs; a sweep has at most {MOST_RUNS}.")
    views = content.get("test_views")
    if views is not None:
        _require(views, int, file, "test_views", 1, MOST_VIEWS)
    return Plan(file.stem, sources, settings, seeds, views)


def _read(file: Path) -> dict[str, Any]:
    try:
        with open(file, "rb") as stream:
            data = stream.read(LONGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error}).") from error
    if len(data) > LONGEST_FILE:
        raise UserError(f"{file}: is larger than {LONGEST_FILE >> 20} MB, and so no sweep file.")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of numbers with thousands of digits
        raise UserError(f"{file}: is not valid TOML ({str(error)[:120]}).") from error


def _require(value: Any, kind: type | tuple[type, ...], file: Path, key: str, least: float, most: float) -> None:
    wanted = "a whole number" if kind is int else "a number"
    fits = isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most  # type: ignore[operator]
    if not fits:
        raise UserError(f"{file}: {key} is {quoted(value)}; it must be {wanted} from {least:g} to {most:g}.")


def _named(name: str, file: Path, where: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{file}: {where} {quoted(name)}: names become folders; take letters, digits, hyphens, dots, underscores."
        )
    return name


# -- seeds -------------------------------------------------------------------------------------------------------------


def _seeds(found: Any, file: Path) -> tuple[int, ...]:
    if not isinstance(found, list) or not found:
        raise UserError(f"{file}: seeds is {quoted(found)}; it must be a list of whole numbers, such as [0, 1].")
    for seed in found:
        _require(seed, int, file, "seeds", 0, LARGEST_SEED)
    if len(set(found)) < len(found):
        raise UserError(f"{file}: seeds has a number twice: {quoted(found)}.")
    return tuple(found)


# -- settings ----------------------------------------------------------------------------------------------------------


def _settings(found: Any, file: Path) -> Iterator[tuple[str, Config]]:
    if not isinstance(found, dict) or not found:
        raise UserError(f"{file}: settings must be tables, such as [settings.quick], not {quoted(found)}.")
    for name, values in found.items():
        where = f"settings.{_named(name, file, 'settings')}"
        if not isinstance(values, dict):
            raise UserError(f"{file}: {where} is {quoted(values)}; it must be a table: [{where}].")
        yield name, _config(values, f"{file}: {where}")


def _config(values: dict[str, Any], where: str) -> Config:
    """A configuration, checked as the command line's is."""
    given = dict(values)
    preset = given.pop("preset", "default")
    if "seed" in given:
        raise UserError(
            f"{where}: the seed is not one of the settings; the file has a list of its own: seeds = [0, 1]."
        )
    if "max_seconds" in given:
        raise UserError(f"{where}: a run bound by time ends at another step each time; give max_steps.")
    if not isinstance(preset, str):
        raise UserError(f"{where}: preset is {quoted(preset)}; it must be the name of a preset.")
    try:
        config = from_preset(preset, **given)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if config.training.max_steps is None:
        raise UserError(f"{where}: nothing ends this run: give max_steps.")
    return config


# -- scenes ------------------------------------------------------------------------------------------------------------


def _sources(found: Any, file: Path) -> Iterator[Source]:
    if isinstance(found, list) and found and all(isinstance(entry, str) for entry in found):
        tables = [({} if _known(entry) else {"path": entry}, entry) for entry in found]
        sources = [_source(entry if not table else Path(entry).stem, table, file) for table, entry in tables]
    elif isinstance(found, dict) and found:
        sources = [_source(name, table, file) for name, table in found.items()]
    else:
        raise UserError(
            f'{file}: scenes is {quoted(found)}; it must be a list, such as ["shapes", "photos/cup"], or tables,'
            " such as [scenes.shapes]."
        )
    names = [source.name for source in sources]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file}: two scenes are called {quoted(twice)}: name them by tables, [scenes.NAME].")
    yield from sources


def _known(name: str) -> bool:
    return name in SCENES or name in CAPTURES


def _source(name: str, table: Any, file: Path) -> Source:
    where = f"scenes.{_named(name, file, 'scene')}"
    if not isinstance(table, dict):
        raise UserError(f"{file}: {where} is {quoted(table)}; it must be a table: [{where}].")
    if "path" in table:
        return _at_path(name, table, file, where)
    make = table.get("make", name)
    if not isinstance(make, str) or not _known(make):
        raise UserError(
            f"{file}: {where}: there is no synthetic scene {quoted(make)}; there are {', '.join((*SCENES, *CAPTURES))}."
            " A data set has a path."
        )
    options = {key: value for key, value in table.items() if key != "make"}
    kinds = {entry.name: str(entry.type) for entry in fields(CaptureSettings)}
    known = tuple(kinds) if make in CAPTURES else _OBJECT_KEYS
    for key, value in options.items():
        if key not in known:
            raise UserError(f"{file}: {where}: {make} has no option {quoted(key)}; it has {', '.join(known)}.")
        _check_option(key, value, kinds[key], file, where)
    return Source(name, None, make, tuple(sorted(options.items())))


def _at_path(name: str, table: dict[str, Any], file: Path, where: str) -> Source:
    given = table["path"]
    if len(table) > 1 or not isinstance(given, str) or "\0" in given:
        raise UserError(f"{file}: {where}: a data set has a path, a text, and no other key, not {quoted(table)}.")
    path = real_path(file.parent / os.path.expanduser(given))
    if not path.exists():
        raise UserError(f"{file}: {where}: there is no data set {path}.")
    return Source(name, path)


def _check_option(key: str, value: Any, kind: str, file: Path, where: str) -> None:
    """The kind of an option, and sizes that somebody could wait for; what else is wrong is said when it is made."""
    most = {"size": LARGEST_SIZE, "views": MOST_VIEWS, "seed": LARGEST_SEED, "exposure": 100}.get(key)
    if most is not None:
        least = 8 if key == "size" else 0 if key in ("seed", "exposure") else 1
        _require(value, _KINDS[kind.partition(" ")[0]], file, f"{where}.{key}", least, most)
    elif not isinstance(value, _KINDS[kind.partition(" ")[0]]):
        raise UserError(f"{file}: {where}.{key} is {quoted(value)}; it must be of the kind {kind.partition(' ')[0]}.")

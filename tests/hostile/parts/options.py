"""Every option of every verb with absurd values: numbers that no one can mean, names that no file can have."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .. import sound
from ..cases import SECONDS, Case, Outcome, fault_of, outcome_of

NUMBERS = (
    "0", "-0.0", "-1", "1", "2", "1e308", "-1e308", "5e-324", "-5e-324", "2.2250738585072014e-308", "nan", "-nan",
    "inf", "-inf", "1e400", "1e999999999", "1" + "0" * 300, "9" * 400, "-" + "9" * 400, "9" * 5000, "0." + "0" * 400,
    "2147483647", "2147483648", "-2147483649", "4294967296", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "1000000000", "1e9", "1e15", "1e-15", "1e-300", "0x10", "1_000_000", "\u0661\u0662", "1,5",
    "1/0", "1e", "--1", "None", "True", "1j", "16777217", "1048576", "4097", "65536", "300", "33", "0.5", "0.999999999",
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "-", "--", "\x1b[31mred\x07", "a\nb\rc", "\u202egnp.exe", "\x9b2J", "x" * 300, "x" * 5000, "\u200b",
    "\udcff\udc80", "a/" * 3000, "[" * 10_000, "{" * 10_000, "(" * 10_000 + ")" * 10_000, "'", '"', "%s%n{}", ";ls",
    "$(touch here)", "e\u0301", "\U0001f600", "null", "nan", "local:0", "local:99999999999", "tcp://", "x://y", "1/0",
    "tcp://127.0.0.1:99999999", "1," * 2000, "0/1", "1/2,1/2", "1/" + "9" * 400, "1,nan", "9" * 5000,
)  # fmt: skip
PATHS = (
    "file", "folder", "full", "link", "circle", "nowhere", "file/below", "nowhere/below/this", "unreadable.json",
    "out.png", "out.gif", "out.mp4", "out.html", "out.json", "out.zip", "out.", ".out", "out\x1b[2J.png", "n" * 255,
    "n" * 256 + ".png", "n" * 250 + ".json", "circle/x.png", "link/x.html", "folder/", "./out/../out2", "out.PNG",
    "out.glb", "out.toml",
)  # fmt: skip
POSITIONAL = ("<data>", "<run>", "<file>", "<name>", "<outdoors>", "<kind>", "<photos>", "<capture>")
LONG_WORK = ("--views", "--frames", "--points", "--resolution", "--size", "--rays", "--samples-per-step", "--threads")
"""Options that may be asked for more than a campaign has time for."""

VIEWING = 2.0  # seconds; a server that answers goes on for ever


@dataclass(frozen=True)
class Verb:
    """A verb with words that make a sound and short command; `options` follow them, each with a value or alone."""

    name: str
    words: Callable[[Path], Sequence[object]]
    options: tuple[str, ...]
    flags: tuple[str, ...] = ()
    alone: bool = False
    """whether the command has no end, so that no answer is a sound one once it has said where it listens"""


def cases(seed: int, count: int) -> Iterator[Case]:
    """Command lines of one absurd option, seldom of two or three."""
    verbs = _verbs()
    if count:
        sound.warm_up()
    weights = [len(verb.options) ** 0.5 for verb in verbs]
    for number in range(count):
        rng = random.Random(f"options {seed} {number}")
        verb = rng.choices(verbs, weights)[0]
        chosen = rng.sample(verb.options, min(len(verb.options), rng.choices((1, 2, 3), (8, 2, 1))[0]))
        given = [(option, _value(option, rng)) for option in chosen]
        flags = [flag for flag in verb.flags if rng.random() < 0.1]
        described = " ".join(f"{option} {value[:40]!r}({len(value)})" for option, value in given)
        yield Case(f"{number} {verb.name} {described} {' '.join(flags)}".strip(), _trial(verb, given, flags))


def _value(option: str, rng: random.Random) -> str:
    value = rng.choice(rng.choices((NUMBERS, TEXTS, PATHS), _likely(option))[0])
    return "33" if option in LONG_WORK and value.isdecimal() and 33 < int(value[:9]) < 10**8 else value


def _trial(verb: Verb, given: Sequence[tuple[str, str]], flags: Sequence[str]) -> Callable[[Path], str | None]:
    def run(folder: Path) -> str | None:
        _furnish(folder)
        words = [str(word) for word in verb.words(folder)]
        positional = {option: value for option, value in given if option.startswith("<")}
        words = [positional.get(word, word) for word in words]
        for option, value in given:
            if not option.startswith("<"):
                words = _without(words, option) + [f"{option}={value}"]
        words += [flag for flag in flags if flag not in words]
        words = [sound_words.get(word, lambda word=word: word)() for word in words]
        outcome = outcome_of([verb.name, *words], VIEWING if verb.alone else SECONDS)
        return None if verb.alone and _listens(outcome) else fault_of(outcome, _outputs(outcome))

    return run


def _outputs(outcome: Outcome) -> tuple[str, ...]:
    """What even a refused command may leave: a training that was begun keeps what it had."""
    text = outcome.err
    if outcome.arguments[0] == "capture":  # what it found is kept for the next call, in a hidden folder beside
        return (".",)
    begun = outcome.arguments[0] in ("train", "sweep") and ("at step" in text or "is saved" in text)
    return ("out", "runs", "swept") if begun else ()


def _listens(outcome: Outcome) -> bool:
    return outcome.code is None and not outcome.raised and "http://" in outcome.printed


def _without(words: Sequence[str], option: str) -> list[str]:
    """A command line without an option and its value."""
    kept, skipped = [], False
    for word in words:
        if not skipped and word != option:
            kept.append(word)
        skipped = word == option
    return kept


def _furnish(folder: Path) -> None:
    """What paths of `PATHS` lead to."""
    (folder / "file").write_text("not what you think")
    (folder / "folder").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "letter.txt").write_text("Dear")
    (folder / "link").symlink_to(folder / "folder")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "unreadable.json").write_bytes(b"\xff\xfe[[[[")


def _likely(option: str) -> tuple[int, int, int]:
    """How often a number, a text and a path is tried."""
    if (
        option in ("--output", "--data", "--json", "--picture", "--gallery", "--transform", "--path")
        or option[0] == "<"
    ):
        return 1, 4, 6
    return (2, 6, 2) if option in ("--cluster", "--scales", "--split", "--format", "--host") else (8, 2, 1)


# ----------------------------------------------------------------------------------------------------------------------
# The verbs

sound_words: dict[str, Callable[[], str]] = {
    "<data>": lambda: str(sound.scene()),
    "<capture>": lambda: str(sound.scene("nerfstudio")),
    "<run>": lambda: str(_own_run()),
    "<second>": lambda: str(sound.run("nerf")),
    "<name>": lambda: "blobs",
    "<outdoors>": lambda: "garden",
    "<kind>": lambda: "points",
    "<file>": lambda: _plan(),
    "<photos>": lambda: str(sound.scene("nerfstudio") / "images"),
}


def _own_run() -> Path:
    return sound.copied(sound.run(), Path.cwd() / "run")


def _plan() -> str:
    Path("plan.toml").write_text(f'scenes = ["{sound.scene()}"]\n[settings.one]\nmax_steps = 1\nlevels = 2\n')
    return "plan.toml"


@cache
def _verbs() -> tuple[Verb, ...]:
    from nerf_mini.cli import arguments as of
    from nerf_mini.config import DEFAULT_PRESETS, PRESETS
    from nerf_mini.config.settings import setting_values

    made = []
    for method, preset in DEFAULT_PRESETS.items():
        values = setting_values(PRESETS[preset].config)
        settings = [_option(name) for name, value in values.items() if not isinstance(value, bool)]
        own, flags = _options(of.TrainArguments)
        words = ("<data>", "--output", "out", *sound.OPTIONS[method], "--no-report", "--max-seconds", "3")
        made.append(Verb("train", lambda folder, words=words: words, ("<data>", *own, *settings), ("--resume", *flags)))
    capture = ("<capture>", "--output", "out", *sound.OPTIONS["instant"], "--no-report", "--max-seconds", "3")
    of_captures = ("exposure", "appearance_codes", "appearance_penalty", "exposure_rate", "exposure_penalty", "refine",
                   "refine_from", "coarse_steps", "pose_rate", "final_pose_rate", "lens_rate", "position_penalty",
                   "rotation_penalty", "near", "far", "downscale", "test_every", "space", "distortion")  # fmt: skip
    with_all = (
        "--exposure",
        "per-image",
        "--refine",
        "poses+focal+lens",
        "--refine-from",
        "0",
        "--appearance-codes",
        "2",
    )
    made.append(Verb("train", lambda folder: (*capture, *with_all), tuple(map(_option, of_captures))))
    for name, kind, *words in (
        ("eval", of.EvalArguments, "<run>"),
        ("eval", of.EvalArguments, "<run>", "--max-views", "1", "--fit-test", "exposure"),
        ("render", of.RenderArguments, "<run>", "--views", "1", "--output", "out"),
        ("report", of.ReportArguments, "<run>"),
        ("report", of.ReportArguments, "<run>", "<second>"),
        ("export", of.ExportArguments, "<run>", "<kind>", "--points", "50"),
        ("export", of.ExportArguments, "<run>", "mesh", "--resolution", "8", "--output", "out.ply"),
        ("export", of.ExportArguments, "<run>", "maps", "--output", "out"),
        ("sweep", of.SweepArguments, "<file>", "--output", "swept", "--no-report"),
        ("scene", of.SceneArguments, "<name>", "--output", "out", "--size", "8", "--views", "2"),
        ("scene", of.SceneArguments, "<outdoors>", "--output", "out", "--size", "16", "--views", "2"),
        ("check", of.CheckArguments, "<data>"),
        ("check", of.CheckArguments, "<capture>", "--quick"),
        ("capture", of.CaptureArguments, "<photos>", "--output", "out", "--frames", "4", "--max-size", "64"),
        ("view", of.ViewArguments, "<run>", "--no-open"),
    ):
        own, flags = _options(kind)
        positional = tuple(word for word in words if word[0] == "<" and word != "<second>")
        made.append(Verb(name, lambda folder, words=words: words, (*positional, *own), flags, name == "view"))
    return tuple(made)


def _options(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options of a verb that take a value, and those that stand alone."""
    found = [entry for entry in dataclasses.fields(kind) if entry.name not in ("config", "report")]
    alone = [entry for entry in found if entry.type == "bool"]
    positional = ("data", "run", "runs", "name", "file", "photos", "kind")
    valued = [e for e in found if e not in alone and not ("Positional" in str(e.type) and e.name in positional)]
    left_out = ("no_open", "view")  # would open a browser, or serve for ever
    return tuple(_option(e.name) for e in valued), tuple(_option(e.name) for e in alone if e.name not in left_out)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")

"""The command line. Arguments are dataclasses; the work is done elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from nerf_mini.config import DEFAULT_METHOD, DEFAULT_PRESETS, PRESETS, Config
from nerf_mini.errors import UserError

FAILURE = 2  # exit code of a clear error


@dataclass(frozen=True)
class TrainArguments:
    """Train a radiance field on a data set.

    DATA is a Blender-style folder (transforms_train.json and pictures) or a tiny_nerf_data.npz; the kind is
    recognised. The result is a run folder with configuration, metrics, checkpoints and pictures.
    """

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")]
    """Folder or file of the data set."""
    preset: Literal["quick", "default", "best", "small", "paper"] = DEFAULT_PRESETS[DEFAULT_METHOD]
    """Of the instant method: quick, a minute on two cores; default, five; best, twenty. Of nerf: small, minutes on two
    cores; paper, the networks and samples of the paper, hours to days. By default the method's first that takes minutes
    (default, small)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Run folder; by default runs/<name of the data set>-<method>."""
    max_seconds: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None
    """Stop after this time, compilation included; without --max-steps the learning rate decays over it."""
    resume: bool = False
    """Continue the run in --output."""
    config: tyro.conf.OmitArgPrefixes[Config] = field(default_factory=Config)

    @property
    def run_folder(self) -> Path:
        return self.output or Path("runs") / f"{self.data.resolve().stem}-{self.config.method}"


@dataclass(frozen=True)
class EvalArguments:
    """PSNR and SSIM of a run on held-out views; writes RUN/eval/<split>.json."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    split: Literal["train", "val", "test"] = "test"
    """Which views."""
    max_views: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """At most this many views, evenly spread; by default all."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Where the data set is, if it has moved."""


@dataclass(frozen=True)
class RenderArguments:
    """Render novel views of a run, as PNG files, GIF or MP4."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    path: Literal["orbit", "spiral", "test"] = "orbit"
    """orbit and spiral circle what the training cameras look at; test repeats the test cameras."""
    views: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """How many views; by default 40, or all test cameras."""
    scale: float = 1.0
    """Multiplies width and height."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder for PNG files, or a file that ends in .gif or .mp4; by default RUN/renders/<path>."""
    maps: bool = False
    """Write depth and opacity maps too."""
    progressive: bool = False
    """Write each PNG file coarse first, and again as it gets sharper: for a viewer that reloads."""


@dataclass(frozen=True)
class SceneArguments:
    """Make a synthetic data set: ray traced views of an analytic scene, as a Blender-style folder."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name of the scene; a wrong one lists the known ones."""
    output: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder to make."""
    size: int = 100
    """Width and height of the pictures, in pixels."""
    views: int = 100
    """Training views; a tenth as many for validation and a fifth as many for testing come with them."""
    seed: int = 0
    """Of the camera positions."""


@dataclass(frozen=True)
class BenchmarkArguments:
    """Time training steps, kernels and rendering on this machine, beside its ceilings and, on request, PyTorch."""

    peer: Literal["torch"] | None = None
    """Measure the same steps in PyTorch too, taking turns."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures to this file, as a list of records."""
    rounds: int = 5
    """Timings per figure; the median counts."""


def parse_train(arguments: Sequence[str]) -> TrainArguments:
    """Defaults come from the preset, or from the run that is continued; then the options given override them."""
    preset, method = _value_of("--preset", arguments), _value_of("--method", arguments)
    fallback = DEFAULT_PRESETS.get(method or DEFAULT_METHOD, DEFAULT_PRESETS[DEFAULT_METHOD])
    parsed = _parse_train(arguments, PRESETS.get(preset or fallback, PRESETS[fallback]), preset or fallback)
    of_preset = PRESETS[parsed.preset].method
    if parsed.config.method != of_preset:
        raise UserError(f"--preset {parsed.preset} is one of the method {of_preset}, not of {parsed.config.method}.")
    unlimited = parsed.max_seconds is not None
    if parsed.resume:
        from nerf_mini.runs.folder import open_run

        config = open_run(_folder_to_resume(parsed, method)).config
        unlimited = config.training.max_steps is None
        if preset is None:
            parsed = _parse_train(arguments, config, parsed.preset)
    if unlimited and _value_of("--max-steps", arguments) is None:
        training = replace(parsed.config.training, max_steps=None)
        parsed = replace(parsed, config=replace(parsed.config, training=training))
    return parsed


def _parse_train(arguments: Sequence[str], config: Config, preset: Any) -> TrainArguments:
    preset = preset if preset in PRESETS else DEFAULT_PRESETS[DEFAULT_METHOD]  # tyro names the choices
    default = TrainArguments(data=tyro.MISSING, config=config, preset=preset)
    return tyro.cli(
        TrainArguments,
        default=default,
        args=list(arguments),
        prog="nerf-mini train",
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _folder_to_resume(parsed: TrainArguments, method: str | None) -> Path:
    """The run folder; without --output and --method, that of another method where the default one has none."""
    of_methods = [replace(parsed, config=PRESETS[preset]).run_folder for preset in DEFAULT_PRESETS.values()]
    folders = [folder for folder in of_methods if folder.exists()]
    return folders[0] if method is None and len(folders) == 1 else parsed.run_folder


def _value_of(flag: str, arguments: Sequence[str]) -> str | None:
    """The value of an option, the last one if it is given more than once; spelt with hyphens or underscores."""
    found = None
    for i, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            found = value if equals else next(iter(arguments[i + 1 :]), None)
    return found


def _train(arguments: Sequence[str]) -> None:
    parsed = parse_train(arguments)
    from nerf_mini.cli.verbs import train_command

    train_command(parsed)


def _eval(arguments: Sequence[str]) -> None:
    parsed = tyro.cli(EvalArguments, args=list(arguments), prog="nerf-mini eval")
    from nerf_mini.cli.verbs import eval_command

    eval_command(parsed)


def _render(arguments: Sequence[str]) -> None:
    parsed = tyro.cli(
        RenderArguments, args=list(arguments), prog="nerf-mini render", config=(tyro.conf.FlagCreatePairsOff,)
    )
    from nerf_mini.cli.verbs import render_command

    render_command(parsed)


def _scene(arguments: Sequence[str]) -> None:
    parsed = tyro.cli(SceneArguments, args=list(arguments), prog="nerf-mini scene")
    from nerf_mini.cli.verbs import scene_command

    scene_command(parsed)


def _benchmark(arguments: Sequence[str]) -> None:
    parsed = tyro.cli(BenchmarkArguments, args=list(arguments), prog="nerf-mini benchmark")
    from nerf_mini.cli.verbs import benchmark_command

    benchmark_command(parsed)


VERBS: dict[str, tuple[Callable[[Sequence[str]], None], str]] = {
    "train": (_train, "train a radiance field on a data set"),
    "eval": (_eval, "PSNR and SSIM of a run on held-out views"),
    "render": (_render, "novel views of a run: PNG, GIF, MP4"),
    "scene": (_scene, "make a synthetic data set"),
    "benchmark": (_benchmark, "how fast this machine trains and renders"),
}


def help_text() -> str:
    verbs = "\n".join(f"  {name:<11}{text}" for name, (_, text) in VERBS.items())
    return (
        "usage: nerf-mini VERB [OPTIONS]\n\nTrain and look at a neural radiance field on a laptop.\n\n"
        f"{verbs}\n\n`nerf-mini VERB --help` shows the options of a verb. For a start:\n\n"
        "  nerf-mini scene shapes --output shapes\n"
        "  nerf-mini train shapes --output runs/shapes --max-seconds 120\n"
        "  nerf-mini render runs/shapes --output orbit.gif\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default the process's own); returns the exit code, 2 after a clear error."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())
        return 0 if arguments else FAILURE
    if arguments[0] == "--version":
        from nerf_mini import __version__

        print(f"nerf-mini {__version__}")
        return 0
    if arguments[0] not in VERBS:
        print(f"nerf-mini: there is no verb {arguments[0]!r}.\n\n{help_text()}", file=sys.stderr)
        return FAILURE
    try:
        VERBS[arguments[0]][0](arguments[1:])
    except UserError as error:
        print(f"nerf-mini: {error}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        print("nerf-mini: interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The arguments of each verb as dataclasses, and how those of `train` get their defaults."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from nerf_mini.cli.setting_help import SETTINGS
from nerf_mini.config import DEFAULT_PRESETS, PRESETS, Config, MethodName, from_preset, with_settings
from nerf_mini.config.limits import (
    LARGEST_SEED,
    LARGEST_SIZE,
    MOST_VIEWS,
    Between,
    flag,
    require_within_limits,
)
from nerf_mini.config.sections import Distance
from nerf_mini.config.settings import setting_names
from nerf_mini.errors import UserError, plain
from nerf_mini.geometry.space import SpaceKind
from nerf_mini.io.files import real_path

Arguments = TypeVar("Arguments")
if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PRESETS)]
DEFAULT_METHOD = next(iter(DEFAULT_PRESETS))
DEFAULT_PORT = 7007  # of the viewer
NARROWEST, WIDEST = 40, 160  # columns of a page of help, whatever the terminal has

# Limits of options that are no settings of a run. Beyond them nobody would live to see the end.
Seconds = Between(0.0, 1e9, least_open=True)
Views = Between(1, 100_000)
Factor = Between(1e-4, 16.0)  # on width and height
Seed = Between(0, LARGEST_SEED)


@dataclass(frozen=True)
class TrainArguments:
    """Train a radiance field on a data set.

    DATA is a folder of photographs with poses, from nerfstudio or instant-ngp (transforms.json), COLMAP (sparse/0),
    LLFF (poses_bounds.npy) or Polycam (keyframes); a Blender-style folder (transforms_train.json and pictures); or a
    tiny_nerf_data.npz. The kind is recognised. The result is a run folder with configuration, metrics, checkpoints and
    pictures. The options listed are those of the preset's method: --preset small --help lists those of nerf.
    """

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")]
    """Folder or file of the data set."""
    method: MethodName = DEFAULT_METHOD
    """instant: a hash grid with a small network, sampled where an occupancy grid says that something is. nerf: coarse
    and fine networks with hierarchical sampling, as in the paper. A preset implies its method."""
    preset: PresetName = DEFAULT_PRESETS[DEFAULT_METHOD]
    """Of the method instant: quick, a minute on two cores; default, five; best, twenty. Of nerf: small, minutes on two
    cores; paper, the networks and samples of the paper, hours to days."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Run folder; by default runs/<name of the data set>-<method>."""
    max_seconds: Annotated[float | None, Seconds, tyro.conf.arg(metavar="SECONDS")] = None
    """Stop after this time, compilation included. Without --max-steps, nothing else ends the run, and the learning rate
    decays over this time."""
    resume: bool = False
    """Continue the run in --output."""
    view: bool = False
    """Serve a page to watch the training live: the picture from anywhere, PSNR, pause and save."""
    port: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Of --view, by default 7007; where it is taken, the next free one."""
    no_open: bool = False
    """With --view, do not open a browser."""
    report: bool = True
    """RUN/report.html when the run ends: figures, curves and held-out views on one page."""
    distributed: Literal["off", "mpi"] = "off"
    """mpi: share each step among processes that mpiexec or srun starts, on one machine or several, with as many
    --shards as processes or more (extra `mpi`)."""
    patience: Annotated[float, Between(1.0, 86_400.0), tyro.conf.arg(metavar="SECONDS")] = 300.0
    """With --distributed: how long a process waits for the others before it takes them for lost."""
    mixed_hosts: bool = False
    """With --distributed: allow different kinds of CPU, at the cost of bits that depend on which does what."""
    config: tyro.conf.OmitArgPrefixes[Config] = field(default_factory=Config)

    @property
    def view_port(self) -> int:
        """Where --view listens, if that is free."""
        return DEFAULT_PORT if self.port is None else self.port

    @property
    def run_folder(self) -> Path:
        """Where the run is, or is to be."""
        return self.output or default_folder(self.data, self.method)


@dataclass(frozen=True)
class _Choice:
    """Those of the arguments of `train` that the defaults of the others depend on."""

    method: MethodName | None = None
    preset: PresetName | None = None
    output: Path | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    resume: bool = False


@dataclass(frozen=True)
class EvalArguments:
    """PSNR and SSIM of a run on held-out views; writes RUN/eval/<split>.json."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    split: Literal["train", "val", "test"] = "test"
    """Which views."""
    max_views: Annotated[int | None, Views, tyro.conf.arg(metavar="N")] = None
    """At most this many views, evenly spread; by default all."""
    fit_test: Literal["none", "exposure", "poses"] = "none"
    """Fit each view's exposure or its pose on the left half of its picture, and score the right half."""
    scales: Annotated[str | None, tyro.conf.arg(metavar="S,S,...")] = None
    """Score pictures of several sizes, such as 1,1/2,1/4,1/8 as mip-NeRF does, and their mean, against shrunk test
    pictures; writes RUN/eval/<split>-scales.json instead."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Where the data set is, if it has moved."""
    cluster: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Score on other machines, or on several processes; see `nerf-mini render --help`."""


@dataclass(frozen=True)
class RenderArguments:
    """Render novel views of a run, as PNG files, GIF, WebP or MP4."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    path: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = "orbit"
    """orbit and spiral circle what the training cameras look at; test and train repeat the cameras of those views, as
    they were refined where they were. Or a camera_path.json of the viewer's, or of nerfstudio's."""
    views: Annotated[int | None, Views, tyro.conf.arg(metavar="N")] = None
    """How many views; by default 40, all test or training cameras, or all frames of a file."""
    scale: Annotated[float, Factor] = 1.0
    """Factor on width and height."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder for PNG files, or a file that ends in .gif, .webp or .mp4; by default RUN/renders/<path>."""
    maps: bool = False
    """Write depth and opacity maps too."""
    progressive: bool = False
    """Write each PNG file coarse first, and again as it gets sharper: for a viewer that reloads."""
    frames_per_second: Annotated[float | None, tyro.conf.arg(metavar="N")] = None
    """Of videos; by default those of the file, or 15."""
    transform: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The dataparser_transforms.json of the nerfstudio run in whose world a file's path is, where the data set was
    centred and scaled there."""
    no_antialias: bool = False
    """Only one ray in each pixel, also where training took several, and of pictures that are smaller than those trained
    on or from further away: faster, with jagged edges."""
    cluster: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Render on other machines, or on several processes: tcp://host:8786, a Dask scheduler (extra `cluster`), or
    the .json file that it wrote; local, as many processes as there are cores; local:N. Frames that are there already
    are kept."""


@dataclass(frozen=True)
class ViewArguments:
    """Fly through a run in the browser: serves a page until Ctrl-C, and shows newer checkpoints as they appear."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    port: int = DEFAULT_PORT
    """Port to listen on; where it is taken, the next free one."""
    host: str = "127.0.0.1"
    """Address to listen on. Any other address lets other machines in; the URL then carries a token."""
    no_open: bool = False
    """Do not open a browser."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Where the data set is, if it has moved."""


@dataclass(frozen=True)
class ReportArguments:
    """Write a run as one page to read and to send around: RUN/report.html, and its figures in RUN/report.json.

    Two runs of the same data are put side by side, in FIRST/report-and-<second>.html. The page is a single file that
    needs no network.
    """

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN]")]
    """Run folder, or two to compare; with --gallery as many as you like."""
    max_views: Annotated[int, Views, tyro.conf.arg(metavar="N")] = 12
    """Score at most this many test views, evenly spread, unless `nerf-mini eval` has scored as many at this step."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where the page goes instead (.html)."""
    gallery: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Make one page of all the runs (.html), each with an orbit and a link to its report."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Where the data set is, if it has moved."""


@dataclass(frozen=True)
class ExportArguments:
    """Export a run for other programs: a mesh, a point cloud, its cameras, or depth and normal maps.

    All is in the coordinates of the data set. A JSON beside the file, or in the folder, says what was done. Meshes need
    the extra `mesh`: pip install 'nerf-mini[mesh]'.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    kind: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="KIND")] = "mesh"
    """mesh: the surface, as .glb, .ply, .obj or .stl. points: as .ply. cameras: transforms.json and a COLMAP model.
    maps: depth and normals of views, as PNG files."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File, whose suffix chooses the format, or folder; by default RUN/exports/<kind>."""
    resolution: Annotated[int | None, tyro.conf.arg(metavar="CELLS")] = None
    """Of a mesh: cells along the longest side of the box, by default 256."""
    level: Annotated[float | None, Between(1e-9, 1e9), tyro.conf.arg(metavar="DENSITY")] = None
    """Of a mesh: the density on which the surface lies; by default found from the training views."""
    box: Annotated[
        tuple[float, float, float, float, float, float] | None, tyro.conf.arg(metavar="X0 Y0 Z0 X1 Y1 Z1")
    ] = None
    """Of a mesh or points: two corners of what is exported; by default the cube, or the middle, of the scene."""
    largest: bool = False
    """Of a mesh: only the largest connected part, instead of all but crumbs."""
    keep_unseen: bool = False
    """Of a mesh: also what no training camera sees: the inside, and closed bottoms, as printers want them."""
    points: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """How many points, by default 1000000."""
    split: Annotated[str | None, tyro.conf.arg(metavar="SPLIT")] = None
    """Of maps: train, val or test; by default test where there is one."""
    scale: Annotated[float | None, Factor, tyro.conf.arg(metavar="FACTOR")] = None
    """Of maps: factor on width and height."""


@dataclass(frozen=True)
class SweepArguments:
    """Train many runs from one file: scenes x settings x seeds, each a run folder, and one table of them all.

    What is finished is left out, and what was interrupted goes on: after Ctrl-C, or whatever else, the same command
    continues. The table is in OUTPUT/sweep.txt, .csv and .html.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """The plan, as TOML: see docs/machines.md, and data/benchmark.toml for one."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder of the runs; by default runs/<name of the file>."""
    only: Annotated[int | None, tyro.conf.arg(metavar="K")] = None
    """Train the run of this number alone, from 0 on: for arrays of jobs."""
    list: bool = False
    """Say which runs there are, by number, and which are finished; train nothing."""
    report: bool = True
    """Give each run a report.html of its own."""
    cluster: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Train on other machines, or several at a time; see `nerf-mini render --help`. All need the same folders."""


@dataclass(frozen=True)
class SceneArguments:
    """Make a synthetic data set: ray-traced views of an analytic scene.

    shapes, blobs and lattice are single objects, written as Blender-style folders. garden and facade are like
    photographs, in a world of their own and without an end: the options from --format on are theirs.
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name of the scene; a wrong one lists the known ones."""
    output: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder to make."""
    size: Annotated[int | None, Between(8, LARGEST_SIZE)] = None
    """Width of the pictures in pixels; height too, of objects. By default 100, of captures 160."""
    views: Annotated[int | None, Between(1, MOST_VIEWS)] = None
    """Training views of an object, by default 100; a tenth as many for validation and a fifth as many for testing come
    with them. Of captures, all pictures, by default 40."""
    seed: Annotated[int, Seed] = 0
    """Random seed for camera positions."""
    format: str | None = None
    """Format of a capture, by default nerfstudio; a wrong one lists the known ones."""
    lens: Literal["pinhole", "radial-tangential", "fisheye"] | None = None
    """Lens of a capture, by default radial-tangential, unless the format knows only the pinhole."""
    exposure: float = 0.0
    """By how many stops, up or down, the exposure of a capture may jump from picture to picture."""
    passer_by: bool = False
    """Somebody walks through the pictures of a capture; masks hide him."""
    mixed_sizes: bool = False
    """Pictures of a capture differ in size, and some are upright."""


@dataclass(frozen=True)
class CheckArguments:
    """Say what is in a data set, and what is wrong with it before a run is wasted on it.

    Exit code 0: sound; 1: doubtful; 2: cannot be read.
    """

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")]
    """Folder or file of the data set."""
    quick: bool = False
    """Only what takes a fraction of a second: poses, lenses, scale, sparse points."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write summary and findings to this file."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Draw cameras and sparse points from above and from the side into this file (.png)."""
    downscale: Annotated[float, Between(1.0, 10_000.0)] = 1.0
    """Shrink the pictures by this factor first."""
    near: Annotated[float | None, Between(0.0, 1e9)] = None
    """Nearest distance along rays, in scene units, instead of the data set's own."""
    far: Annotated[float | None, Distance] = None
    """Farthest distance along rays."""
    test_every: Annotated[int | None, Between(2, 10**6), tyro.conf.arg(metavar="N")] = None
    """Hold out every N-th picture by name, instead of what the data set says."""
    space: SpaceKind | None = None
    """What a capture fills, instead of what suits its cameras."""


@dataclass(frozen=True)
class CaptureArguments:
    """Make a data set of photos or a video: find where each picture was taken from.

    Needs the extra `photos`: pip install 'nerf-mini[photos]'. Minutes on a CPU; Ctrl-C and the same command again go on
    where they were.
    """

    photos: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PHOTOS")]
    """Folder of photos, or a video file."""
    output: Annotated[Path, tyro.conf.arg(metavar="DATA")]
    """Folder to make: pictures, transforms.json and a COLMAP model."""
    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    """Which pictures are compared. exhaustive: each with each; sequential: with those near it in order of names. auto
    is sequential for a video and for more than 120 photos."""
    frames: Annotated[int, Between(3, 10_000)] = 150
    """Of a video: how many frames to take, the sharpest of each stretch."""
    max_size: Annotated[int, Between(16, 2**16)] = 1600
    """Pixels of the longer side: larger pictures are shrunk to it."""
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0
    """Random seed."""
    threads: Annotated[int, Between(0, 1024)] = 0
    """Threads, by default all cores; the same poses to the last bit need 1."""
    restart: bool = False
    """Forget what an interrupted call found."""


@dataclass(frozen=True)
class BenchmarkArguments:
    """Time training steps, kernels and rendering on this machine, beside its ceilings and, on request, PyTorch."""

    peer: Literal["torch"] | None = None
    """Measure the same steps in PyTorch too, taking turns."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures to this file, as a list of records."""
    rounds: Annotated[int, Between(1, 10_000)] = 5
    """Timings per figure; the median counts."""
    compare: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Instead of all that: time steps and a picture in units of a yardstick, compare with the last other version that
    this history knows on this machine, and add this one to it. Ends with 2 where something has become slower."""
    tolerance: Annotated[float, Between(1.0, 100.0, least_open=True, most_open=True)] = 1.3
    """With --compare: how many times as long as before a thing may take."""


def default_folder(data: Path, method: str) -> Path:
    """The run folder of a command line that names none."""
    return Path("runs") / f"{real_path(data).stem}-{method}"


def parse(kind: type[Arguments], verb: str, arguments: Sequence[str]) -> Arguments:
    """Arguments of a verb from the command line; exits with a message where they make no sense.

    Raises UserError for a number that is not within the limits of its option.
    """
    parsed = _read(kind, f"nerf-mini {verb}", arguments)
    require_within_limits(parsed)
    return parsed


def _read(
    kind: type[Arguments], prog: str, arguments: Sequence[str], config: tuple[Any, ...] = (), **options: Any
) -> Any:
    """What tyro makes of a command line; where it makes nothing, its message tells of values as they can be read."""

    def made(words: Sequence[str]) -> Any:
        settings = (tyro.conf.FlagCreatePairsOff, *config)
        with _readable_width():
            return tyro.cli(kind, prog=prog, args=list(words), config=settings, **options)

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parsed = made(arguments)
    except SystemExit as end:
        if not end.code:
            raise
    else:
        sys.stderr.write(said.getvalue())
        return parsed
    made([plain(word) for word in arguments])
    raise UserError("an option has a value that nothing can be made of. `--help` lists the options.")


@contextmanager
def _readable_width() -> Iterator[None]:
    """Pages of help and messages as wide as can be read, and as can be laid out: in a terminal of a few columns, tyro
    would never end."""
    columns, before = shutil.get_terminal_size().columns, os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(min(max(columns, NARROWEST), WIDEST))
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def parse_train(arguments: Sequence[str]) -> TrainArguments:
    """Arguments of `train`. Defaults come from the preset, or from the run that is continued.

    Raises UserError where a preset is not one of the method named beside it.
    """
    choice, others = _read(_Choice, "nerf-mini train", arguments, return_unknown_args=True, add_help=False)
    of_preset = PRESETS[choice.preset].config.method if choice.preset else None
    if choice.method and of_preset and choice.method != of_preset:
        raise UserError(f"--preset {choice.preset} is one of the method {of_preset}, not of {choice.method}.")
    preset = choice.preset or DEFAULT_PRESETS[choice.method or DEFAULT_METHOD]
    if choice.resume and not {"-h", "--help"} & set(arguments):
        return _parse_resumed(arguments, choice, preset)
    _refuse_settings_of_another_method(others, PRESETS[preset].config)
    config = PRESETS[preset].config
    if choice.max_steps is not None or choice.max_seconds is not None:
        config = from_preset(preset, max_steps=choice.max_steps)  # whose schedule is as long as the run
    return _parse_over(arguments, preset, config)[0]


def _refuse_settings_of_another_method(arguments: Sequence[str], config: Config) -> None:
    own = set(setting_names(config))
    for method, preset in DEFAULT_PRESETS.items():
        flags = {flag(name) for name in setting_names(PRESETS[preset].config) if name not in own}
        given = [argument for argument in arguments if argument.partition("=")[0].replace("_", "-") in flags]
        if given:
            raise UserError(f"{given[0]} is a setting of the method {method}: add --method {method}.")


def _parse_resumed(arguments: Sequence[str], choice: _Choice, preset: str) -> TrainArguments:
    """Arguments of `train --resume`: without --preset, the settings of the run; how long it is, in any case."""
    from nerf_mini.runs.folder import open_run

    method = PRESETS[preset].config.method if choice.preset or choice.method else None
    parsed, _ = _parse_over(arguments, preset, PRESETS[preset].config, return_unknown_args=True)
    folder = parsed.output or _folder_to_resume(parsed.data, method)
    saved = open_run(folder).config
    if choice.preset is None and choice.method not in (None, saved.method):
        raise UserError(f"--method {choice.method}: the run in {folder} is one of {saved.method}.")
    steps, decay = saved.training.max_steps, saved.optimiser.decay_steps
    named = with_settings(PRESETS[preset].config, max_steps=steps, decay_steps=decay)
    parsed, _ = _parse_over(arguments, preset, saved if choice.preset is None else named)
    return replace(parsed, output=folder)


def _parse_over(
    arguments: Sequence[str], preset: str, config: Config, return_unknown_args: bool = False
) -> tuple[TrainArguments, list[str]]:
    """Arguments over the settings of a configuration, and those that are unknown, which by default is an error."""
    default = TrainArguments(data=tyro.MISSING, method=config.method, preset=preset, config=config)
    with SETTINGS:
        parsed = _read(
            TrainArguments, "nerf-mini train", arguments, (tyro.conf.AvoidSubcommands,), default=default,
            return_unknown_args=return_unknown_args,
        )  # fmt: skip
    made, unknown = parsed if return_unknown_args else (parsed, [])
    require_within_limits(made)
    return made, unknown


def _folder_to_resume(data: Path, method: str | None) -> Path:
    """The default run folder of the method; of whichever has one, where none is named."""
    folders = [default_folder(data, name) for name in ([method] if method else DEFAULT_PRESETS)]
    return next((folder for folder in folders if folder.exists()), folders[0])

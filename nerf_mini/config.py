"""Configuration: one frozen dataclass per concern, saved with every run."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from nerf_mini.errors import UserError


@dataclass(frozen=True)
class SceneConfig:
    """How the data set is read."""

    downscale: int = 1
    """Shrink images by this whole factor."""
    background: Literal["auto", "white", "black", "random"] = "auto"
    """Behind transparent pixels: auto is the data set's own (white for Blender scenes); random trains on random
    colours."""
    near: float | None = None
    """Distance at which rays begin, in scene units; None: the data set's."""
    far: float | None = None
    """Distance at which rays end, in scene units; None: the data set's."""


@dataclass(frozen=True)
class NetworkConfig:
    """The network; coarse and fine have the same shape."""

    depth: int = 4
    """Layers of the trunk."""
    width: int = 64
    """Units per layer."""
    skip: int | None = None
    """Join the encoded point again after this many layers; None: never."""
    position_frequencies: int = 8
    """Octaves of the positional encoding of points."""
    direction_frequencies: int | None = 4
    """Octaves of the encoding of viewing directions; None: colour does not depend on the direction."""
    identity: bool = False
    """Put the coordinates themselves in front of their encoding, as the paper's code does."""
    factor_pi: bool = True
    """Encode sin(2^k pi p) as the paper prints it; without: sin(2^k p), as its code does."""
    scale: float = 0.5
    """Scene coordinates are multiplied by this before they are encoded. The encoding repeats with period 2, so the
    scene should end up inside [-1, 1]. With an occupancy grid, its cube is put there instead."""
    density_activation: Literal["relu", "softplus"] = "softplus"
    """relu is the paper's; softplus cannot die."""


@dataclass(frozen=True)
class SamplingConfig:
    """Samples along a ray."""

    sampler: Literal["hierarchical", "occupancy"] = "hierarchical"
    """Of the method nerf. hierarchical: coarse samples, then fine ones where they saw something, with two networks, as
    in the paper; occupancy: one network, sampled where an occupancy grid says that something is."""
    coarse_samples: int = 32
    """Stratified samples of the coarse pass, of the hierarchical sampler."""
    fine_samples: int = 32
    """Further samples of the fine pass, where the coarse one saw something, of the hierarchical sampler."""
    density_noise: float = 0.0
    """Standard deviation of the noise on the raw density in training."""


@dataclass(frozen=True)
class InstantConfig:
    """The field of the instant method: a hash grid and a small network."""

    levels: int = 8
    """Grids of growing resolution."""
    features: Literal[2, 4] = 4
    """Numbers at each vertex of a grid."""
    log2_entries: int = 17
    """Finer grids are hashed into 2 to the power of this many entries."""
    base_resolution: int = 16
    """Cells along the side of the coarsest grid."""
    finest_resolution: int | None = None
    """Cells along the side of the finest grid; None: a few more than there are pixels across the cube, because finer
    grids fit the training pictures better and held-out views worse."""
    hidden_width: int = 64
    """Units per layer of the small network."""
    color_layers: int = 1
    """Hidden layers between density and colour."""


@dataclass(frozen=True)
class OccupancyConfig:
    """Sampling by an occupancy grid in a cube around the scene: of the method instant, and of --sampler occupancy."""

    samples_per_step: int = 32768
    """Samples of a training step; as many rays are drawn as give that many."""
    march_steps: int = 1024
    """Steps along the diagonal of the cube around the scene."""
    occupancy_resolution: int = 128
    """Cells along the side of the occupancy grid, a power of two."""
    cube_side: float | None = None
    """Side of the cube around the scene, in scene units; None: 3/4 of far - near."""


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam with an exponentially decaying learning rate."""

    learning_rate: float = 8e-3
    """At the first step."""
    final_rate: float = 3e-4
    """At `decay_steps`; constant from there on."""
    decay_steps: int = 6000
    """Steps from the first to the final learning rate."""
    beta1: float = 0.9
    """Decay of the mean of gradients."""
    beta2: float = 0.99
    """Decay of the mean of squared gradients."""
    epsilon: float = 1e-7
    """Added to the root of the mean of squared gradients."""


@dataclass(frozen=True)
class TrainingConfig:
    """Batches, cadence and warm-up."""

    rays: int = 256
    """Rays per step of the hierarchical sampler; with an occupancy grid, --samples-per-step decides."""
    distortion: float = 0.0
    """Weight of the distortion loss, which pulls the weight along a ray together (Barron et al. 2022)."""
    crop_steps: int = 400
    """Draw pixels from the centre of the images for this many steps: a scene in the middle is found sooner."""
    crop_fraction: float = 0.5
    """How much of width and height that centre is."""
    max_steps: int | None = 8000
    """Steps in all; None: until --max-seconds have passed, and the learning rate decays over that time. Giving
    --max-seconds alone implies None."""
    log_every: int = 100
    """Steps between lines of metrics.jsonl."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    validate_every: int = 2000
    """Steps between validation pictures."""


@dataclass(frozen=True)
class Config:
    """Everything that the result of a training depends on, besides the data."""

    method: Literal["nerf", "instant"] = "nerf"
    """nerf: coarse and fine networks with hierarchical sampling, as in the paper. instant: a hash grid with a small
    network, sampled where an occupancy grid says that something is."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the factors in the networks' products; sums and parameters are float32. auto: bfloat16 where the CPU has
    instructions for it. A run keeps what it began with; on a CPU without bfloat16 it goes on in float32."""
    seed: int = 0
    """Of the one random number generator behind initial weights, batches and samples."""
    scene: SceneConfig = field(default_factory=SceneConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    instant: InstantConfig = field(default_factory=InstantConfig)
    occupancy: OccupancyConfig = field(default_factory=OccupancyConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self):
        check(self)


PRESETS: dict[str, Config] = {}
DEFAULT_METHOD: Literal["nerf", "instant"] = "instant"
DEFAULT_PRESETS: dict[str, Literal["small", "default"]] = {"nerf": "small", "instant": "default"}  # by method


def check(config: Config) -> None:
    """Raise a UserError that names the first setting that makes no sense."""
    n, s, i, o, t = config.network, config.sampling, config.instant, config.optimiser, config.training
    grid = config.occupancy
    for name, value, least in (
        ("downscale", config.scene.downscale, 1),
        ("depth", n.depth, 1),
        ("width", n.width, 2),
        ("position-frequencies", n.position_frequencies, 0 if n.identity else 1),
        ("direction-frequencies", 0 if n.direction_frequencies is None else n.direction_frequencies, 0),
        ("coarse-samples", s.coarse_samples, 3),
        ("fine-samples", s.fine_samples, 1),
        ("density-noise", s.density_noise, 0),
        ("distortion", t.distortion, 0),
        ("levels", i.levels, 1),
        ("log2-entries", i.log2_entries, 1),
        ("base-resolution", i.base_resolution, 1),
        (
            "finest-resolution",
            i.base_resolution if i.finest_resolution is None else i.finest_resolution,
            i.base_resolution,
        ),
        ("hidden-width", i.hidden_width, 1),
        ("color-layers", i.color_layers, 1),
        ("march-steps", grid.march_steps, 1),
        ("occupancy-resolution", grid.occupancy_resolution, 8),
        ("decay-steps", o.decay_steps, 1),
        ("rays", t.rays, 1),
        ("crop-steps", t.crop_steps, 0),
        ("max-steps", 1 if t.max_steps is None else t.max_steps, 1),
        ("log-every", t.log_every, 1),
        ("checkpoint-every", t.checkpoint_every, 1),
        ("validate-every", t.validate_every, 1),
        ("seed", config.seed, 0),
    ):
        if not least <= value < math.inf:
            raise UserError(f"--{name} {value}: must be at least {least} and finite")
    for name, number in (
        ("scale", n.scale),
        ("cube-side", 1.0 if grid.cube_side is None else grid.cube_side),
        ("learning-rate", o.learning_rate),
        ("final-rate", o.final_rate),
        ("epsilon", o.epsilon),
        ("crop-fraction", t.crop_fraction),
    ):
        if not 0 < number < math.inf:
            raise UserError(f"--{name} {number}: must be positive and finite")
    for name, decay in (("beta1", o.beta1), ("beta2", o.beta2)):
        if not 0 <= decay < 1:
            raise UserError(f"--{name} {decay}: must be at least 0 and less than 1")
    if n.skip is not None and not 1 <= n.skip < n.depth:
        raise UserError(f"--skip {n.skip}: must lie between 1 and depth - 1 = {n.depth - 1}")
    if i.log2_entries > 24 or (i.finest_resolution or 0) >= 2**20:
        raise UserError("--log2-entries must be at most 24, and --finest-resolution less than 2^20")
    if grid.samples_per_step < 8 * grid.march_steps:
        raise UserError(
            f"--samples-per-step {grid.samples_per_step}: must be at least 8 times --march-steps {grid.march_steps},"
            " or a ray finds no room"
        )
    cells = grid.occupancy_resolution
    if cells & (cells - 1) or cells > 512:
        raise UserError(f"--occupancy-resolution {cells}: must be a power of two, at most 512")
    if t.crop_fraction > 1:
        raise UserError(f"--crop-fraction {t.crop_fraction}: must be at most 1")


PRESETS["small"] = Config()
PRESETS["paper"] = Config(
    network=NetworkConfig(
        depth=8, width=256, skip=5, position_frequencies=10, identity=True, factor_pi=False, scale=1.0,
        density_activation="relu",
    ),
    sampling=SamplingConfig(coarse_samples=64, fine_samples=128),
    optimiser=OptimiserConfig(learning_rate=5e-4, final_rate=5e-5, decay_steps=500_000, beta2=0.999),
    training=TrainingConfig(
        rays=1024, crop_steps=500, max_steps=200_000, log_every=100, checkpoint_every=500, validate_every=2500
    ),
)  # fmt: skip


def _instant(steps: int, **settings: Any) -> Config:
    """A training of the instant method in so many steps."""
    return Config(
        method="instant",
        instant=InstantConfig(**settings),
        optimiser=OptimiserConfig(
            learning_rate=1e-2, final_rate=1e-3, decay_steps=steps, beta1=0.9, beta2=0.99, epsilon=1e-15
        ),
        training=TrainingConfig(crop_steps=0, max_steps=steps, checkpoint_every=2000, validate_every=1000),
    )


PRESETS["quick"] = _instant(2500)
PRESETS["default"] = _instant(12_000)
PRESETS["best"] = _instant(40_000, log2_entries=19, color_layers=2)


def to_dict(config: Config) -> dict[str, Any]:
    """Nested plain values, as saved in config.json."""
    return dataclasses.asdict(config)


def from_dict(values: dict[str, Any], where: str) -> Config:
    """The inverse of `to_dict`; `where` names the file in messages.

    Raises UserError for unknown or missing keys, and for values of the wrong kind.
    """

    def build(kind, values, path):
        if not isinstance(values, dict):
            raise UserError(f"{where}: {path.rstrip('.') or 'config'!r} must be an object, not {values!r}")
        known = get_type_hints(kind)
        for key in values:
            if key not in known:
                raise UserError(f"{where}: unknown key {path + key!r}; it was written by another version of nerf-mini")
        for key, hint in known.items():
            if key not in values:
                raise UserError(
                    f"{where}: lacks the key {path + key!r}; it was written by another version of nerf-mini"
                )
            if not dataclasses.is_dataclass(hint) and not _fits(values[key], hint):
                raise UserError(f"{where}: {path + key!r} cannot be {values[key]!r}")
        return kind(**{
            key: build(hint, values[key], path + key + ".") if dataclasses.is_dataclass(hint) else values[key]
            for key, hint in known.items()
        })  # fmt: skip

    try:
        return build(Config, values, "")
    except UserError as error:
        raise UserError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value out of a JSON file is of the annotated kind; a whole number is a fine float."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is UnionType:
        return any(_fits(value, member) for member in get_args(hint))
    return type(value) in ((int, float) if hint is float else (hint,))


_LIMITS = ("training.max_steps",)  # where a training ends does not change the steps before


def differences(old: Config, new: Config) -> list[str]:
    """One line for each setting in which two configurations differ, except for where the training ends, and for a
    precision that is left to the run."""

    def flat(values, path=""):
        for key, value in values.items():
            if isinstance(value, dict):
                yield from flat(value, path + key + ".")
            else:
                yield path + key, value

    before, after = dict(flat(to_dict(old))), dict(flat(to_dict(new)))
    return [
        f"{key}: {before[key]} in the run, {after[key]} now"
        for key in before
        if before[key] != after[key] and key not in _LIMITS and (key, after[key]) != ("precision", "auto")
    ]

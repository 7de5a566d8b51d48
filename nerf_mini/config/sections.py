"""The sections of a configuration: one frozen dataclass per part, each field with its limit and what it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from nerf_mini.config.limits import LARGEST_SEED, Between, PowerOfTwo, Section
from nerf_mini.errors import UserError

MethodName = Literal["nerf", "instant"]

# Limits that several settings share. Beyond them float32 overflows, or nobody would live to see the end.
Steps = Between(1, 10**9)
StepsOrNone = Between(0, 10**9)
Rate = Between(1e-12, 10.0)  # of learning
Weight = Between(0.0, 1e6)  # of a term of the loss
Distance = Between(1e-9, 1e9)  # in scene units


@dataclass(frozen=True)
class SceneConfig(Section):
    """How the data set is read."""

    downscale: Annotated[float, Between(1, 10_000)] = 1
    """Shrink images by this factor."""
    test_every: Annotated[int | None, Between(2, 10**6)] = None
    """Hold out every n-th picture, by name, for testing; None: as the data set says, or as is usual for its format."""
    space: Literal["auto", "box", "unbounded", "forward"] = "auto"
    """What the scene of a capture fills: a cube; a middle and all around it; or what lies before cameras that look the
    same way. auto: what suits its cameras."""
    background: Literal["auto", "white", "black", "random", "learnt"] = "auto"
    """Behind transparent pixels: auto is the data set's own (white for Blender scenes), and random in captures without
    bounds, where nothing is transparent; random trains on random colours; learnt is one colour, learnt with the scene,
    behind opaque pictures of things before a wall or the sky."""
    near: Annotated[float | None, Between(0.0, 1e9)] = None
    """Distance at which rays begin, in scene units; None: the data set's."""
    far: Annotated[float | None, Distance] = None
    """Distance at which rays end, in scene units; None: the data set's."""

    def check_together(self) -> None:
        if self.near is not None and self.far is not None and not self.near < self.far:
            raise UserError(f"--near {self.near}: must be less than --far {self.far}.")


@dataclass(frozen=True)
class NetworkConfig(Section):
    """The network of the paper; coarse and fine have the same shape."""

    depth: Annotated[int, Between(1, 64)] = 4
    """Layers of the trunk."""
    width: Annotated[int, Between(2, 4096)] = 64
    """Units per layer."""
    skip: int | None = None
    """Join the encoded point again after this many layers; None: never."""
    position_frequencies: Annotated[int, Between(0, 24)] = 8
    """Octaves of the positional encoding of points. float32 has 24 binary digits, and so no more octaves."""
    direction_frequencies: Annotated[int | None, Between(0, 24)] = 4
    """Octaves of the encoding of viewing directions; None: colour does not depend on the direction."""
    identity: bool = False
    """Put the coordinates themselves in front of their encoding, as the paper's code does."""
    factor_pi: bool = True
    """Encode sin(2^k pi p) as the paper prints it; without: sin(2^k p), as its code does."""
    scale: Annotated[float, Between(1e-6, 1e6)] = 0.5
    """Factor on scene coordinates before they are encoded. The encoding repeats with period 2, so the scene should end
    up inside [-1, 1]. With an occupancy grid, its cube is put there instead."""
    density_activation: Literal["relu", "softplus"] = "softplus"
    """relu is the paper's; softplus cannot die."""

    def check_together(self) -> None:
        if self.position_frequencies == 0 and not self.identity:
            raise UserError("--position-frequencies 0: must be at least 1, or come with --identity.")
        if self.skip is not None and not 1 <= self.skip < self.depth:
            raise UserError(f"--skip {self.skip}: must lie between 1 and depth - 1 = {self.depth - 1}.")


@dataclass(frozen=True)
class HierarchicalConfig(Section):
    """Samples along a ray: evenly spread ones for the coarse network, more where it saw something for the fine one."""

    coarse_samples: Annotated[int, Between(3, 4096)] = 32
    """Stratified samples of the coarse pass."""
    fine_samples: Annotated[int, Between(1, 4096)] = 32
    """Further samples of the fine pass, where the coarse one saw something."""


@dataclass(frozen=True)
class HashGridConfig(Section):
    """A multiresolution hash grid and the small network behind it."""

    levels: Annotated[int, Between(1, 64)] = 8
    """Grids of growing resolution."""
    features: Literal[2, 4] = 4
    """Features at each vertex of a grid."""
    log2_entries: Annotated[int | None, Between(1, 24)] = None
    """Finer grids are hashed into 2 to the power of this many entries; None: 17 in a box and 19 elsewhere, where the
    finest cells are many times as many and would share entries with too many others."""
    base_resolution: Annotated[int, Between(1, 2**20, most_open=True)] = 16
    """Cells along the side of the coarsest grid."""
    finest_resolution: Annotated[int | None, Between(1, 2**20, most_open=True)] = None
    """Cells along the side of the finest grid; None: a few more than there are pixels across the cube, because finer
    grids fit the training pictures better and held-out views worse."""
    hidden_width: Annotated[int, Between(1, 4096)] = 64
    """Units per layer of the small network."""
    color_layers: Annotated[int | None, Between(1, 64)] = None
    """Hidden layers between density and colour; None: 2 in a box and 1 elsewhere, where colours that bend to each
    picture keep the air from clearing."""

    def check_together(self) -> None:
        if self.finest_resolution is not None and self.finest_resolution < self.base_resolution:
            raise UserError(
                f"--finest-resolution {self.finest_resolution}: must be at least --base-resolution"
                f" {self.base_resolution}."
            )


@dataclass(frozen=True)
class OccupancyConfig(Section):
    """Sampling where an occupancy grid, in a cube around the scene, says that something is."""

    samples_per_step: Annotated[int, Between(8, 2**26)] = 32768
    """Samples of a training step; it takes as many rays as fill them."""
    march_steps: Annotated[int | None, Between(1, 2**20)] = None
    """Steps along the diagonal of the cube around the scene; None: in a box a few more than there are pixels across it,
    1024 at most; 1024 in unbounded scenes, and 410 in what lies ahead."""
    occupancy_resolution: Annotated[int | None, PowerOfTwo(8, 512)] = None
    """Cells along the side of the occupancy grid, a power of two; None: 128, or 64 for each of the nested grids of an
    unbounded scene."""
    cube_side: Annotated[float | None, Distance] = None
    """Side of the cube around what lies in a box, in scene units; None: 3/4 of far - near, or what a capture fills."""

    def check_together(self) -> None:
        if self.march_steps is not None and self.samples_per_step < 8 * self.march_steps:
            raise UserError(
                f"--samples-per-step {self.samples_per_step}: must be at least 8 times --march-steps"
                f" {self.march_steps}, or the longest rays do not fit in."
            )


@dataclass(frozen=True)
class NerfConfig(Section):
    """Coarse and fine networks with hierarchical sampling, as in the paper (Mildenhall et al. 2020)."""

    rays: Annotated[int, Between(1, 2**22)] = 256
    """Rays per step of the hierarchical sampler; with an occupancy grid, --samples-per-step decides."""
    sampler: Literal["hierarchical", "occupancy"] = "hierarchical"
    """hierarchical: coarse samples, then fine ones where they saw something, with two networks, as in the paper;
    occupancy: one network, sampled where an occupancy grid says that something is."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    hierarchical: HierarchicalConfig = field(default_factory=HierarchicalConfig)
    occupancy: OccupancyConfig = field(default_factory=OccupancyConfig)


@dataclass(frozen=True)
class InstantConfig(Section):
    """A hash grid with a small network, sampled by an occupancy grid (Mueller et al. 2022)."""

    grid: HashGridConfig = field(default_factory=HashGridConfig)
    occupancy: OccupancyConfig = field(default_factory=OccupancyConfig)


@dataclass(frozen=True)
class LossConfig(Section):
    """The photometric loss, and what is added to it."""

    photometric: Literal["mse", "huber"] = "mse"
    """mse: squared differences of colours; huber: from a difference of 0.1 on they grow in proportion only, so that
    passers-by and what else does not fit weigh less."""
    distortion: Annotated[float | None, Weight] = None
    """Weight of the distortion loss, which pulls the weight along a ray together (Barron et al. 2022); None: 0.01 for
    captures without bounds where cells of occupancy are sampled, which it clears, and 0 elsewhere."""
    near_gradients: Literal["full", "scaled"] = "full"
    """scaled: gradients of samples near a camera fall with the square of the distance, against floaters before the lens
    (Philip and Deschaintre 2023); not for what lies ahead alone."""
    density_noise: Annotated[float, Between(0.0, 1e3)] = 0.0
    """Standard deviation of the noise on the raw density in training."""


@dataclass(frozen=True)
class ExposureConfig(Section):
    """How bright each training picture is, learnt beside the field."""

    exposure: Literal["off", "per-image"] = "off"
    """per-image: each training picture has a gain per channel, whose logarithm is 0 on the mean over pictures. New
    views have the gain 1. For pictures taken with automatic exposure."""
    exposure_rate: Annotated[float, Rate] = 5e-3
    """Learning rate of the logarithms of gains at the first step; it falls as --learning-rate does."""
    exposure_penalty: Annotated[float, Weight] = 1e-3
    """Weight of the mean square of the logarithms of gains in the loss."""


@dataclass(frozen=True)
class AppearanceConfig(Section):
    """What is peculiar to each training picture, learnt beside the field (Martin-Brualla et al. 2021)."""

    appearance_codes: Annotated[int, Between(0, 64)] = 0
    """How many numbers each training picture has of its own, which colours depend on: for pictures in different light
    or with different processing. New views have zeros, which is the mean over pictures. 8 to 16 are usual."""
    appearance_penalty: Annotated[float, Weight] = 1e-3
    """Weight of the mean square of these numbers in the loss."""


@dataclass(frozen=True)
class RefinementConfig(Section):
    """Corrections of the training cameras, learnt beside the field."""

    refine: Literal["none", "poses", "poses+focal", "poses+focal+lens"] = "none"
    """What of the training cameras is learnt: where they stand and look, their focal lengths, their lenses. Cameras
    that share focal length and lens go on sharing them."""
    refine_from: Annotated[int, StepsOrNone] = 100
    """Steps before cameras are learnt: corrections mean nothing before there is something to see."""
    coarse_steps: Annotated[int, StepsOrNone] = 1000
    """Steps over which fine detail is released while cameras are learnt: coarse detail draws a camera from further."""
    pose_rate: Annotated[float, Rate] = 1e-3
    """Learning rate of poses at the first step, in radians and in shares of the distance of what is seen."""
    final_pose_rate: Annotated[float, Rate] = 1e-4
    """Learning rate of poses at the end, as --final-rate."""
    lens_rate: Annotated[float, Rate] = 1e-4
    """Learning rate of logarithms of focal lengths and of lens parameters at the first step; it falls as --pose-rate
    does."""
    position_penalty: Annotated[float, Weight] = 1e-2
    """Weight of the mean square of moves of cameras, in shares of the distance of what is seen, in the loss."""
    rotation_penalty: Annotated[float, Weight] = 1e-3
    """Weight of the mean square of turns of cameras, in radians, in the loss."""

    @property
    def corrections(self) -> tuple[str, ...]:
        """What is learnt, by the names of `geometry.corrections`."""
        return () if self.refine == "none" else tuple(self.refine.split("+"))


@dataclass(frozen=True)
class OptimiserConfig(Section):
    """Adam with a decaying learning rate."""

    learning_rate: Annotated[float, Rate] = 1e-2
    """Learning rate at the first step."""
    final_rate: Annotated[float, Rate] = 1e-4
    """Learning rate after --decay-steps; constant from there on."""
    decay: Literal["cosine", "exponential"] = "cosine"
    """cosine: slow at both ends, so that the rate stays high for long; exponential: by the same factor in each step, as
    in the paper."""
    decay_steps: Annotated[int | None, Steps] = None
    """Steps from the first to the final learning rate; None: over --max-steps, or over the time of a run that is bound
    by --max-seconds alone."""
    beta1: Annotated[float, Between(0, 1, most_open=True)] = 0.9
    """Decay of the mean of gradients."""
    beta2: Annotated[float, Between(0, 1, most_open=True)] = 0.99
    """Decay of the mean of squared gradients."""
    epsilon: Annotated[float, Between(1e-30, 1.0)] = 1e-15
    """Added to the root of the mean of squared gradients."""


@dataclass(frozen=True)
class TrainingConfig(Section):
    """How long a run is, what it starts with and what it writes on the way."""

    crop_steps: Annotated[int, StepsOrNone] = 0
    """Draw pixels from the centre of the images for this many steps: a scene in the middle is found sooner."""
    crop_fraction: Annotated[float, Between(0.001, 1)] = 0.5
    """Share of width and height that counts as the centre."""
    supersampling: Annotated[int | None, Between(1, 8)] = None
    """n x n rays through each pixel, whose mean is compared with it: slower, and sharper in the end. None: 2 with the
    instant method in a box, 1 elsewhere."""
    supersampling_from: Annotated[int | None, StepsOrNone] = None
    """Steps with one ray through each pixel before that; None: until each has been seen about three times, 2000 at
    least."""
    batch: Annotated[int, Between(1, 1 << 12)] = 1
    """Times as many rays or samples in each step, with learning rates times the root of that: for several machines."""
    shards: Annotated[int, Between(1, 1 << 12)] = 1
    """Parts that each step is cut into, with random numbers of their own, so that as many processes can share it:
    the same bits for any number of processes, but others than with another number of shards."""
    max_steps: Annotated[int | None, Steps] = 12_000
    """Steps in all; None: until --max-seconds have passed. Giving --max-seconds alone implies None."""
    log_every: Annotated[int, Steps] = 100
    """Steps between lines of metrics.jsonl."""
    checkpoint_every: Annotated[int, Steps] = 2000
    """Steps between checkpoints."""
    validate_every: Annotated[int, Steps] = 1000
    """Steps between validation pictures."""

    def of_shard(self, count: int) -> int:
        """Of so many rays or samples of a step, those of one of its shards; more if the batch is enlarged."""
        return count * self.batch // self.shards


@dataclass(frozen=True)
class Config(Section):
    """All that a run depends on besides its data."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the factors in the networks' products; sums and parameters are float32. auto: bfloat16 where the CPU has
    instructions for it. A run keeps what it began with; on a CPU without bfloat16 it goes on in float32."""
    seed: Annotated[int, Between(0, LARGEST_SEED)] = 0
    """Seed of the random generator that draws initial weights, batches and samples."""
    model: NerfConfig | InstantConfig = field(default_factory=InstantConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    exposure: ExposureConfig = field(default_factory=ExposureConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def method(self) -> MethodName:
        """The name of the model: "nerf" or "instant"."""
        return "nerf" if isinstance(self.model, NerfConfig) else "instant"


MODELS: dict[MethodName, type[NerfConfig] | type[InstantConfig]] = {"nerf": NerfConfig, "instant": InstantConfig}

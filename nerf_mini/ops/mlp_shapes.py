"""The architectures of radiance-field networks: shapes of parameters, plain NumPy, and tables for the kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nerf_mini.ops.encoding import encode, encoding_width
from nerf_mini.ops.plan import Plan

Dense = Callable[[str, Any], Any]  # the layer of a name, x -> x @ weight + bias


class NetworkShape(Protocol):
    """What the operator `mlp` asks of an architecture; a hashable value."""

    def __hash__(self) -> int: ...

    @property
    def inputs(self) -> int:
        """Columns of what the operator is given for each sample."""

    @property
    def ray_features(self) -> int:
        """Columns of what it is given for each ray."""

    def parameter_shapes(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each layer by name, in order."""

    def reference(self, dense: Dense, inputs: Any, features: Any) -> Any:
        """Raw colour and density (samples, 4) in plain NumPy; features (samples, ray_features)."""

    def add_to(self, plan: Plan) -> None:
        """Describe the layers to the plan, in the order of evaluation."""


@dataclass(frozen=True)
class MLPShape:
    """The network of Mildenhall et al. 2020 (figure 7): `depth` layers of `width` ReLU units on the encoded point.

    Inputs are points (samples, 3), which the operator encodes itself. `skip` is the number of layers after which the
    encoded point is joined to the activations (None: never). With `direction_frequencies` None the colour does not
    depend on the viewing direction: one linear head on the trunk. Otherwise a linear layer and the ray's features, the
    encoded direction and `codes` numbers more, lead into a layer of width // 2 before the colour head.
    """

    depth: int = 8
    width: int = 256
    skip: int | None = 5
    position_frequencies: int = 10
    direction_frequencies: int | None = 4
    identity: bool = False
    factor_pi: bool = True
    codes: int = 0

    def __post_init__(self):
        if self.codes and self.direction_frequencies is None:
            raise ValueError("a network whose colour does not depend on rays has no use for codes")
        if self.depth < 1 or self.width < 2:
            raise ValueError(f"a network needs depth >= 1 and width >= 2, got {self.depth} and {self.width}")
        if self.skip is not None and not 1 <= self.skip < self.depth:
            raise ValueError(f"skip joins the encoding after layer {self.skip}, but there are {self.depth} layers")
        if min(self.position_frequencies, self.direction_frequencies or 0) < 0:
            raise ValueError("numbers of frequencies must not be negative")
        if self.position_frequencies == 0 and not self.identity:
            raise ValueError("position_frequencies 0 needs identity, or nothing of the point is left")

    @property
    def inputs(self) -> int:
        return 3

    @property
    def position_width(self) -> int:
        return encoding_width(self.position_frequencies, self.identity)

    @property
    def ray_features(self) -> int:
        """Columns of the encoded direction, and the codes."""
        if self.direction_frequencies is None:
            return 0
        return encoding_width(self.direction_frequencies, self.identity) + self.codes

    def parameter_shapes(self) -> dict[str, tuple[int, int]]:
        """See `NetworkShape`."""
        shapes = {}
        for i in range(self.depth):
            joined = self.position_width if i == self.skip else 0
            shapes[f"layer{i}"] = (self.position_width if i == 0 else self.width + joined, self.width)
        shapes["density"] = (self.width, 1)
        if self.direction_frequencies is None:
            shapes["color"] = (self.width, 3)
        else:
            shapes["feature"] = (self.width, self.width)
            shapes["view"] = (self.width + self.ray_features, self.width // 2)
            shapes["color"] = (self.width // 2, 3)
        return shapes

    def reference(self, dense: Dense, inputs: Any, features: Any) -> Any:
        """See `NetworkShape`."""
        position = encode(inputs, self.position_frequencies, identity=self.identity, factor_pi=self.factor_pi)
        h = position  # (samples, position_width)
        for i in range(self.depth):
            if i == self.skip:
                h = np.concatenate([position, h], axis=1)
            h = np.maximum(dense(f"layer{i}", h), 0.0)  # (samples, width)
        density = dense("density", h)
        if self.direction_frequencies is not None:
            h = np.concatenate([dense("feature", h), features], axis=1)
            h = np.maximum(dense("view", h), 0.0)  # (samples, width // 2)
        return np.concatenate([dense("color", h), density], axis=1)  # (samples, 4)

    def add_to(self, plan: Plan) -> None:
        """See `NetworkShape`."""
        source = plan.input_buffer(self.position_width)
        for i in range(self.depth):
            inputs = [0, source] if i == self.skip else [source]
            source = plan.layer(f"layer{i}", inputs, self.width, relu=True)
        plan.density_head("density", source)
        if self.direction_frequencies is not None:
            source = plan.bottleneck_layer("feature", [source], self.width, self.ray_features)
            source = plan.layer("view", [source], self.width // 2, relu=True)
        plan.color_head("color", source)


@dataclass(frozen=True)
class GridMLPShape:
    """The small network behind a hash grid (Mueller et al. 2022).

    One ReLU layer of `width` units and a linear one with `bottleneck` outputs, the first of which is the raw density;
    these and the ray's features lead into `color_depth` ReLU layers. Inputs are encodings (samples, inputs).
    """

    inputs: int = 32
    width: int = 64
    bottleneck: int = 16
    color_depth: int = 2
    ray_features: int = 16

    def __post_init__(self):
        if min(self.inputs, self.width, self.bottleneck, self.color_depth) < 1 or self.ray_features < 0:
            raise ValueError(f"the sizes in {self} must be at least 1, and ray_features at least 0")

    def parameter_shapes(self) -> dict[str, tuple[int, int]]:
        """See `NetworkShape`."""
        shapes = {"density0": (self.inputs, self.width), "density1": (self.width, self.bottleneck)}
        for i in range(self.color_depth):
            shapes[f"color{i}"] = (self.bottleneck + self.ray_features if i == 0 else self.width, self.width)
        shapes["color"] = (self.width, 3)
        return shapes

    def reference(self, dense: Dense, inputs: Any, features: Any) -> Any:
        """See `NetworkShape`."""
        h = np.maximum(dense("density0", inputs), 0.0)  # (samples, width)
        bottleneck = dense("density1", h)  # (samples, bottleneck)
        h = np.concatenate([bottleneck, features], axis=1)
        for i in range(self.color_depth):
            h = np.maximum(dense(f"color{i}", h), 0.0)  # (samples, width)
        return np.concatenate([dense("color", h), bottleneck[:, :1]], axis=1)  # (samples, 4)

    def add_to(self, plan: Plan) -> None:
        """See `NetworkShape`."""
        source = plan.layer("density0", [plan.input_buffer(self.inputs)], self.width, relu=True)
        source = plan.bottleneck_layer("density1", [source], self.bottleneck, self.ray_features)
        for i in range(self.color_depth):
            source = plan.layer(f"color{i}", [source], self.width, relu=True)
        plan.color_head("color", source)

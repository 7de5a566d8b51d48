"""The radiance-field network of the paper as one fused operator: encodings, layers, skip connection and heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from autodiff import fused
from nerf_mini.kernels import network as kernels
from nerf_mini.ops.encoding import encode, encoding_width, scales_of
from nerf_mini.ops.plan import TILE, Plan, flat_parameters, word_dtype


@dataclass(frozen=True)
class NetworkShape:
    """The architecture: `depth` layers of `width` ReLU units on the encoded point, heads for density and colour.

    `skip` is the number of layers after which the encoded point is joined to the activations (None: never). With
    `direction_frequencies` None the colour does not depend on the viewing direction: one linear head on the trunk.
    Otherwise a linear layer and the encoded direction lead into a layer of width // 2 before the colour head.
    """

    depth: int = 8
    width: int = 256
    skip: int | None = 5
    position_frequencies: int = 10
    direction_frequencies: int | None = 4
    identity: bool = False
    factor_pi: bool = True

    def __post_init__(self):
        if self.depth < 1 or self.width < 2:
            raise ValueError(f"a network needs depth >= 1 and width >= 2, got {self.depth} and {self.width}")
        if self.skip is not None and not 1 <= self.skip < self.depth:
            raise ValueError(f"skip joins the encoding after layer {self.skip}, but there are {self.depth} layers")
        if min(self.position_frequencies, self.direction_frequencies or 0) < 0:
            raise ValueError("numbers of frequencies must not be negative")
        if self.position_frequencies == 0 and not self.identity:
            raise ValueError("position_frequencies 0 needs identity, or nothing of the point is left")

    @property
    def position_width(self) -> int:
        return encoding_width(self.position_frequencies, self.identity)

    @property
    def direction_width(self) -> int:
        return 0 if self.direction_frequencies is None else encoding_width(self.direction_frequencies, self.identity)


def parameter_shapes(shape: NetworkShape) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of each layer by name, in order; a layer has a weight of that shape and a bias (outputs,)."""
    shapes = {}
    for i in range(shape.depth):
        joined = shape.position_width if i == shape.skip else 0
        shapes[f"layer{i}"] = (shape.position_width if i == 0 else shape.width + joined, shape.width)
    shapes["density"] = (shape.width, 1)
    if shape.direction_frequencies is None:
        shapes["color"] = (shape.width, 3)
    else:
        shapes["feature"] = (shape.width, shape.width)
        shapes["view"] = (shape.width + shape.direction_width, shape.width // 2)
        shapes["color"] = (shape.width // 2, 3)
    return shapes


# -- the reference: plain NumPy ----------------------------------------------------------------------------------------


def _reference(points, directions, ray_index, *parameters, shape, bfloat16=False):
    layers = dict(zip(parameter_shapes(shape), zip(parameters[::2], parameters[1::2], strict=True), strict=True))

    def dense(name, x):
        weight, bias = layers[name]
        return x @ weight + bias

    options = {"identity": shape.identity, "factor_pi": shape.factor_pi}
    position = encode(points, shape.position_frequencies, **options)  # (samples, position_width)
    h = position
    for i in range(shape.depth):
        if i == shape.skip:
            h = np.concatenate([position, h], axis=1)
        h = np.maximum(dense(f"layer{i}", h), 0.0)  # (samples, width)
    density = dense("density", h)
    if shape.direction_frequencies is not None:
        h = dense("feature", h)
        if shape.direction_width:
            direction = encode(directions, shape.direction_frequencies, **options)[ray_index]
            h = np.concatenate([h, direction], axis=1)
        h = np.maximum(dense("view", h), 0.0)  # (samples, width // 2)
    return np.concatenate([dense("color", h), density], axis=1)  # (samples, 4)


# -- the kernels' view: tables and packed weights ----------------------------------------------------------------------


class NetworkPlan(Plan):
    """The tables of `kernels.network` for one architecture."""

    def __init__(self, shape: NetworkShape):
        super().__init__(list(parameter_shapes(shape)), [shape.position_width, shape.direction_width])
        self.scales = scales_of(shape.position_frequencies, shape.factor_pi)
        self.direction_scales = scales_of(shape.direction_frequencies or 0, shape.factor_pi)
        self.identity = shape.identity
        layers: list[tuple] = []
        heads: list[tuple] = []
        source = 0
        for i in range(shape.depth):
            inputs = [0, source] if i == shape.skip else [source]
            source = self._layer(layers, f"layer{i}", inputs, shape.width, relu=True)
        heads.append(self._head("density", source, column=3, columns=1))
        if shape.direction_frequencies is not None:
            source = self._layer(layers, "feature", [source], shape.width, relu=False)
            inputs = [source, 1] if shape.direction_width else [source]
            source = self._layer(layers, "view", inputs, shape.width // 2, relu=True)
        heads.append(self._head("color", source, column=0, columns=3))
        self._finish()
        self.layers, self.heads = np.array(layers, np.int64), np.array(heads, np.int64)

    @property
    def tables(self) -> tuple:
        return self.buffers, self.layers, self.heads


plan_of = lru_cache(NetworkPlan)


def _encodings(plan):
    return plan.scales, plan.direction_scales, plan.identity


def _evaluate(plan, scratch, word, points, directions, ray_index, parameters):
    out = np.empty((len(points), 4), points.dtype)
    kernels.network_forward(
        np.ascontiguousarray(points), np.ascontiguousarray(directions), ray_index, *_encodings(plan), *plan.tables,
        *plan.packed(parameters, word), scratch, plan.values(points.dtype), out,
    )  # fmt: skip
    return out


def _value(points, directions, ray_index, *parameters, shape, bfloat16=False):
    plan, word = plan_of(shape), word_dtype(points.dtype, bfloat16)
    return _evaluate(plan, plan.scratch(word), word, points, directions, ray_index, parameters)


def _forward(points, directions, ray_index, *parameters, shape, bfloat16=False):
    plan, word = plan_of(shape), word_dtype(points.dtype, bfloat16)
    saved = plan.activations(word, len(points))
    return _evaluate(plan, saved.array, word, points, directions, ray_index, parameters), saved


def _backward(needs, g, saved, points, directions, ray_index, *parameters, shape, bfloat16=False):
    plan, dtype = plan_of(shape), points.dtype
    word = word_dtype(dtype, bfloat16)
    room = plan.backward_room(dtype, word)
    rows = len(points) if needs[0] or needs[1] else 0
    g_points, g_directions = np.empty((rows, 3), dtype), np.zeros((rows, 3), dtype)
    kernels.network_backward(
        np.ascontiguousarray(g), saved.array, *_encodings(plan), *plan.tables,
        *plan.packed(parameters, word, transposed=True), *room, g_points, g_directions,
    )  # fmt: skip
    total = np.zeros(directions.shape, dtype)
    if needs[1]:
        np.add.at(total, ray_index, g_directions)
    return g_points if needs[0] else None, total, None, *plan.unpack(room[-1].sum(axis=0), parameters)


def network_bytes(shape: NetworkShape, bfloat16: bool = False) -> int:
    """Memory per sample, float32, of what a forward pass keeps for the backward pass."""
    word = word_dtype(np.dtype(np.float32), bfloat16)
    return plan_of(shape).tile_words(word) * word.itemsize // TILE


_network = fused("network", reference=_reference, forward=_forward, backward=_backward, value=_value)


def network(points, directions, ray_index, parameters, shape: NetworkShape, bfloat16: bool = False):
    """Raw colour and density of samples: the network of Mildenhall et al. 2020 (figure 7), before output activations.

    points (samples, 3); directions (rays, 3), unit; ray_index (samples,) int64, the ray of each sample; parameters
    a dict of {name: {"weight": (in, out), "bias": (out,)}} for the names of `parameter_shapes(shape)`. All float
    arrays have one dtype. Returns (samples, 4): red, green, blue, density.

    With `bfloat16`, the products of float32 layers round their factors to bfloat16 where the CPU multiplies those
    faster; sums, biases and heads stay float32. It is ignored elsewhere, and for derivatives of higher order.
    """
    flat = flat_parameters(parameters, parameter_shapes(shape))
    return _network(points, directions, np.asarray(ray_index, np.int64), *flat, shape=shape, bfloat16=bfloat16)

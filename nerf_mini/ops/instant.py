"""The small network behind a hash grid as one fused operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from autodiff import fused
from nerf_mini.kernels import instant as kernels
from nerf_mini.ops.harmonics import HARMONICS
from nerf_mini.ops.plan import TILE, Plan, flat_parameters, word_dtype


@dataclass(frozen=True)
class InstantShape:
    """The architecture: one density layer and `color_depth` colour layers of `width` ReLU units.

    `encoding` is the width of the input; the density layers' `geometry` outputs, the first of which is the raw density,
    are followed by the harmonics of the direction and lead into the colour layers.
    """

    encoding: int = 32
    width: int = 64
    geometry: int = 16
    color_depth: int = 2

    def __post_init__(self):
        if min(self.encoding, self.width, self.geometry, self.color_depth) < 1:
            raise ValueError(f"every number of {self} must be at least 1")


def instant_parameter_shapes(shape: InstantShape) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of each layer by name, in order; a layer has a weight of that shape and a bias (outputs,)."""
    shapes = {"density0": (shape.encoding, shape.width), "density1": (shape.width, shape.geometry)}
    for i in range(shape.color_depth):
        shapes[f"color{i}"] = (shape.geometry + HARMONICS if i == 0 else shape.width, shape.width)
    shapes["color"] = (shape.width, 3)
    return shapes


def _reference(encoding, harmonics, ray_index, *parameters, shape, bfloat16=False):
    layers = iter(zip(parameters[::2], parameters[1::2], strict=True))

    def dense(x):
        weight, bias = next(layers)
        return x @ weight + bias

    h = np.maximum(dense(encoding), 0.0)  # (samples, width)
    geometry = dense(h)  # (samples, geometry)
    h = np.concatenate([geometry, harmonics[ray_index]], axis=1)
    for _ in range(shape.color_depth):
        h = np.maximum(dense(h), 0.0)  # (samples, width)
    return np.concatenate([dense(h), geometry[:, :1]], axis=1)  # (samples, 4)


class InstantPlan(Plan):
    """The tables of `kernels.instant` for one architecture."""

    def __init__(self, shape: InstantShape):
        super().__init__(list(instant_parameter_shapes(shape)), [shape.encoding])
        density: list[tuple] = []
        color: list[tuple] = []
        self.filled = shape.geometry  # first column of the harmonics
        source = self._layer(density, "density0", [0], shape.width, relu=True)
        source = self._layer(density, "density1", [source], shape.geometry, relu=False, room=self.filled + HARMONICS)
        self.geometry = source
        for i in range(shape.color_depth):
            source = self._layer(color, f"color{i}", [source], shape.width, relu=True)
        heads = [self._head("color", source, column=0, columns=3)]
        self._finish()
        self.density_layers, self.color_layers = np.array(density, np.int64), np.array(color, np.int64)
        self.heads = np.array(heads, np.int64)

    @property
    def tables(self) -> tuple:
        return self.buffers, self.density_layers, self.color_layers, self.heads, self.geometry, self.filled


plan_of = lru_cache(InstantPlan)


def _evaluate(plan, scratch, word, encoding, harmonics, ray_index, parameters):
    out = np.empty((len(encoding), 4), encoding.dtype)
    kernels.instant_forward(
        np.ascontiguousarray(encoding), np.ascontiguousarray(harmonics), ray_index, *plan.tables,
        *plan.packed(parameters, word), scratch, plan.values(encoding.dtype), out,
    )  # fmt: skip
    return out


def _value(encoding, harmonics, ray_index, *parameters, shape, bfloat16=False):
    plan, word = plan_of(shape), word_dtype(encoding.dtype, bfloat16)
    return _evaluate(plan, plan.scratch(word), word, encoding, harmonics, ray_index, parameters)


def _forward(encoding, harmonics, ray_index, *parameters, shape, bfloat16=False):
    plan, word = plan_of(shape), word_dtype(encoding.dtype, bfloat16)
    saved = plan.activations(word, len(encoding))
    return _evaluate(plan, saved.array, word, encoding, harmonics, ray_index, parameters), saved


def _backward(needs, g, saved, encoding, harmonics, ray_index, *parameters, shape, bfloat16=False):
    plan, dtype = plan_of(shape), encoding.dtype
    word = word_dtype(dtype, bfloat16)
    room = plan.backward_room(dtype, word)
    g_encoding = np.empty((len(encoding) if needs[0] else 0, encoding.shape[1]), dtype)
    g_harmonics = np.empty((len(encoding) if needs[1] else 0, HARMONICS), dtype)
    kernels.instant_backward(
        np.ascontiguousarray(g), saved.array, *plan.tables, *plan.packed(parameters, word, transposed=True), *room,
        g_encoding, g_harmonics,
    )  # fmt: skip
    total = None
    if needs[1]:
        total = np.zeros(harmonics.shape, dtype)
        np.add.at(total, ray_index, g_harmonics)
    return g_encoding if needs[0] else None, total, None, *plan.unpack(room[-1].sum(axis=0), parameters)


def instant_density(parameters, shape: InstantShape, bfloat16: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """The raw density alone as a function of encodings (samples, shape.encoding) -> (samples,): half the work.

    It has no derivative, and is that of the parameters as they are now.
    """
    flat, plan = flat_parameters(parameters, instant_parameter_shapes(shape)), plan_of(shape)
    dtype = flat[0].dtype
    word = word_dtype(dtype, bfloat16)
    packed, nowhere = plan.packed(flat, word, own=True), np.zeros((1, HARMONICS), dtype)

    def density(encoding: np.ndarray) -> np.ndarray:
        out, ray_index = np.empty((len(encoding), 1), dtype), np.zeros(len(encoding), np.int64)
        kernels.instant_forward(
            encoding, nowhere, ray_index, *plan.tables, *packed, plan.scratch(word), plan.values(dtype), out
        )
        return out[:, 0]

    return density


def instant_bytes(shape: InstantShape, bfloat16: bool = False) -> int:
    """Memory per sample, float32, of what a forward pass keeps for the backward pass."""
    word = word_dtype(np.dtype(np.float32), bfloat16)
    return plan_of(shape).tile_words(word) * word.itemsize // TILE


_instant = fused("instant", reference=_reference, forward=_forward, backward=_backward, value=_value)


def instant_network(encoding, harmonics, ray_index, parameters, shape: InstantShape, bfloat16: bool = False):
    """Raw colour and density of samples from their encoding and the harmonics of their rays' directions.

    encoding (samples, shape.encoding); harmonics (rays, 16); ray_index (samples,) int64, the ray of each sample;
    parameters a dict of {name: {"weight": (in, out), "bias": (out,)}} for the names of `instant_parameter_shapes`.
    All float arrays have one dtype. Returns (samples, 4): red, green, blue, density, before output activations.
    `bfloat16` is that of `network`.
    """
    if np.shape(encoding)[1:] != (shape.encoding,) or np.shape(harmonics)[1:] != (HARMONICS,):
        raise ValueError(
            f"instant_network takes encoding (n, {shape.encoding}) and harmonics (rays, {HARMONICS});"
            f" got {np.shape(encoding)} and {np.shape(harmonics)}"
        )
    flat = flat_parameters(parameters, instant_parameter_shapes(shape))
    return _instant(encoding, harmonics, np.asarray(ray_index, np.int64), *flat, shape=shape, bfloat16=bfloat16)

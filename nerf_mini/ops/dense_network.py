"""A radiance-field network as one fused operator: inputs, dense layers, per-ray features and heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from nerf_mini.kernels import dense_network as kernels
from nerf_mini.ops.encoding import scales_of
from nerf_mini.ops.mlp_shapes import GridMLPShape, MLPShape, NetworkShape
from nerf_mini.ops.plan import TILE, Plan, flat_parameters, word_dtype
from nerf_mini.ops.registry import fused_operator

plan_of = lru_cache(Plan)


def mlp_parameter_shapes(shape: NetworkShape) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of each layer by name, in order; a layer has a weight of that shape and a bias (outputs,)."""
    return shape.parameter_shapes()


def mlp_bytes(shape: NetworkShape, bfloat16: bool = False) -> int:
    """Memory per sample, float32, that a forward pass keeps for the backward pass."""
    word = word_dtype(np.dtype(np.float32), bfloat16)
    return plan_of(shape).tile_words(word) * word.itemsize // TILE


def _reference(inputs, ray_features, ray_index, *parameters, shape, bfloat16=False):
    layers = dict(zip(shape.parameter_shapes(), zip(parameters[::2], parameters[1::2], strict=True), strict=True))

    def dense(name, x):
        weight, bias = layers[name]
        return x @ weight + bias

    return shape.reference(dense, inputs, ray_features[ray_index])


def _kernel_inputs(shape, values):
    """Inputs, or their gradient, as the kernels take them."""
    if isinstance(shape, MLPShape):
        scales = scales_of(shape.position_frequencies, shape.factor_pi)
        return kernels.EncodedPoints(np.ascontiguousarray(values), scales, shape.identity)
    return kernels.Rows(np.ascontiguousarray(values))


def _evaluate(plan, scratch, word, inputs, ray_features, ray_index, parameters, shape):
    out = np.empty((len(inputs), 4), inputs.dtype)
    kernels.network_forward(
        plan.network, plan.packed_for_now(parameters, word), _kernel_inputs(shape, inputs),
        np.ascontiguousarray(ray_features), ray_index, scratch, out,
    )  # fmt: skip
    return out


def _value(inputs, ray_features, ray_index, *parameters, shape, bfloat16=False):
    plan, word = plan_of(shape), word_dtype(inputs.dtype, bfloat16)
    scratch = plan.scratch(inputs.dtype, word)
    return _evaluate(plan, scratch, word, inputs, ray_features, ray_index, parameters, shape)


def _forward(inputs, ray_features, ray_index, *parameters, shape, bfloat16=False):
    plan, word = plan_of(shape), word_dtype(inputs.dtype, bfloat16)
    saved = plan.activations(word, len(inputs))
    scratch = plan.keeping(saved, inputs.dtype)
    return _evaluate(plan, scratch, word, inputs, ray_features, ray_index, parameters, shape), saved


def _backward(needs, g, saved, inputs, ray_features, ray_index, *parameters, shape, bfloat16=False):
    plan, dtype = plan_of(shape), inputs.dtype
    word = word_dtype(dtype, bfloat16)
    scratch = plan.gradient_scratch(saved, dtype, word)
    # of every sample, for the rays' features too; no rows where they are not wanted
    g_inputs = np.empty((len(inputs) if needs[0] else 0, shape.inputs), dtype)
    g_features = np.empty((len(inputs) if needs[1] and shape.ray_features else 0, shape.ray_features), dtype)
    kernels.network_backward(
        plan.network, plan.packed_for_now(parameters, word, transposed=True), np.ascontiguousarray(g), scratch,
        _kernel_inputs(shape, g_inputs), g_features,
    )  # fmt: skip
    g_rays = None
    if needs[1]:
        g_rays = np.zeros(ray_features.shape, dtype)
        kernels.sum_by_ray(g_features, ray_index, g_rays)
    return g_inputs if needs[0] else None, g_rays, None, *plan.unpack(scratch.weights.sum(axis=0), parameters)


def _skeleton(inputs, ray_features, ray_index, *parameters, shape, bfloat16=False):
    word = word_dtype(inputs.dtype, bfloat16)
    return np.zeros((len(inputs), 4), inputs.dtype), plan_of(shape).activations(word, len(inputs))


def _example(shape):
    """Smallest arrays: what is compiled depends on their dtypes alone."""
    rng = np.random.default_rng(0)
    flat = [rng.standard_normal(s) for io in shape.parameter_shapes().values() for s in (io, io[1:])]
    inputs, features = rng.uniform(-1, 1, (3, shape.inputs)), rng.standard_normal((2, shape.ray_features))
    return [inputs, features, np.array([0, 0, 1]), *flat], {"shape": shape}


def _operator(name, shape):
    return fused_operator(
        name,
        reference=_reference,
        forward=_forward,
        backward=_backward,
        value=_value,
        example=lambda: _example(shape),
        skeleton=_skeleton,
    )


# The same functions under two names, because their kernels are compiled separately: inputs are encoded, or copied.
_OPERATORS = {
    MLPShape: _operator("mlp", MLPShape(1, 4, None, position_frequencies=1, direction_frequencies=1)),
    GridMLPShape: _operator("grid_mlp", GridMLPShape(inputs=4, width=4, bottleneck=2, color_depth=1, ray_features=4)),
}


def mlp(inputs, ray_features, ray_index, parameters, shape: NetworkShape, bfloat16: bool = False):
    """Raw colour and density of samples (samples, 4): red, green, blue, density, before output activations.

    inputs (samples, shape.inputs): points for `MLPShape`, encodings for `GridMLPShape`. ray_features (rays,
    shape.ray_features): what the colour depends on besides, such as the encoded direction. ray_index (samples,) int64:
    the ray of each sample. parameters: a dict {name: {"weight": (in, out), "bias": (out,)}} with the names of
    `mlp_parameter_shapes(shape)`. All float arrays have one dtype; all are differentiated.

    With `bfloat16`, the products of float32 layers round their factors to bfloat16 where the CPU multiplies those
    faster; sums, biases and heads stay float32. It is ignored elsewhere, and for derivatives of higher order.
    """
    ray_index = np.asarray(ray_index, np.int64)
    if np.shape(inputs) != (len(ray_index), shape.inputs) or np.shape(ray_features)[1:] != (shape.ray_features,):
        raise ValueError(
            f"mlp takes inputs (n, {shape.inputs}), ray_features (rays, {shape.ray_features}) and ray_index (n,);"
            f" got {np.shape(inputs)}, {np.shape(ray_features)} and {ray_index.shape}"
        )
    flat = flat_parameters(parameters, shape.parameter_shapes())
    return _OPERATORS[type(shape)](inputs, ray_features, ray_index, *flat, shape=shape, bfloat16=bfloat16)


def mlp_density(parameters, shape: NetworkShape, bfloat16: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """The raw density alone as a function of inputs (n, shape.inputs) -> (n,), without the work for the colour.

    It has no derivative, and is that of the parameters as they are now.
    """
    flat, plan = flat_parameters(parameters, shape.parameter_shapes()), plan_of(shape)
    dtype = flat[0].dtype
    word = word_dtype(dtype, bfloat16)
    packed = plan.packed(flat, word)
    no_features, no_index = np.zeros((0, shape.ray_features), dtype), np.zeros(0, np.int64)

    def density(inputs: np.ndarray) -> np.ndarray:
        out, scratch = np.empty((len(inputs), 1), dtype), plan.scratch(dtype, word)
        rows = _kernel_inputs(shape, inputs.astype(dtype, copy=False))
        kernels.network_forward(plan.network, packed, rows, no_features, no_index, scratch, out)
        return out[:, 0]

    return density


__all__ = ["GridMLPShape", "MLPShape", "mlp", "mlp_bytes", "mlp_density", "mlp_parameter_shapes"]

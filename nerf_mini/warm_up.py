"""Compiling the largest kernels of a training on two cores.

Numba compiles one function after the other. Where the backward kernels are not in the cache on disk yet, a second
process compiles them, by calling them on one sample, while this one does the same with the forward kernels; the
training then finds both in the cache. Nothing depends on it: what is missing is compiled when it is needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
import numpy as np

from autodiff.custom_operators import FUSED
from nerf_mini.config import Config
from nerf_mini.fields import InstantField, MLPField
from nerf_mini.kernels.dense_network import network_backward
from nerf_mini.ops import GridMLPShape, GridShape, MLPShape, composite
from nerf_mini.ops.dense_network import plan_of
from nerf_mini.ops.plan import flat_parameters, word_dtype

# One ray with one sample. The smallest networks do: what is compiled depends on dtypes alone.
_FIRST, _COUNT = np.zeros(1, np.int64), np.ones(1, np.int64)
_NUMBER, _POINT, _RAW = np.zeros(1, np.float32), np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32)
_GRID = GridShape(levels=1, features=4, log2_entries=10, base=2, finest=2)
_INSTANT = GridMLPShape(_GRID.width, width=2, bottleneck=2, color_depth=1)
_NETWORK = MLPShape(depth=1, width=2, skip=None, position_frequencies=1, direction_frequencies=1)

_HELPER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from nerf_mini.warm_up import backward_kernels
backward_kernels(*sys.argv[2:])
"""
_PATIENCE = 300.0  # seconds, after which the helper is given up


def warm_up(config: Config) -> None:
    """Have the field's and the compositing's kernels compiled or, quickly, loaded from the cache."""
    helper = None if _is_cached(config.method) else _start_helper(config)
    try:
        forward_kernels(config.method, config.precision)
        if helper is not None:
            with suppress(subprocess.TimeoutExpired):
                helper.wait(_PATIENCE)
    finally:
        if helper is not None:
            helper.kill()  # where it has not ended
            helper.wait()


def _is_cached(method: str) -> bool:
    """Whether the largest kernel is there; if that is for another dtype, CPU or Python, there is no help, and no
    harm."""
    if numba.config.DISABLE_JIT:
        return True
    kernel = network_backward
    return any(Path(kernel.stats.cache_path).glob(f"*.{kernel.__name__}-*.nbi"))


def _start_helper(config: Config) -> subprocess.Popen | None:
    """A process that runs `backward_kernels`; None where there is no second core for it, or no way to start it."""
    frozen = getattr(sys, "frozen", False)  # then the executable is the whole program, not Python
    if numba.config.NUMBA_NUM_THREADS < 2 or not sys.executable or frozen:
        return None
    # it finds modules where this process does, and -P keeps it from looking into the current folder before that
    command = [sys.executable, "-P", "-c", _HELPER, json.dumps(sys.path), config.method, config.precision]
    quiet = subprocess.DEVNULL
    with suppress(OSError):
        return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    return None


def _smallest_field(method: str, precision: str) -> tuple[Any, Any]:
    """A field of a method, and parameters for it."""
    bfloat16 = precision == "bfloat16"
    field = InstantField(_GRID, _INSTANT, bfloat16) if method == "instant" else MLPField(_NETWORK, bfloat16=bfloat16)
    return field, field.init(np.random.default_rng(0))


def forward_kernels(method: str, precision: str) -> None:
    """Call the forward kernels of a training step."""
    field, parameters = _smallest_field(method, precision)
    density, color = field(parameters, _POINT, _POINT, _FIRST)
    composite(density, color, _NUMBER, _NUMBER, _FIRST, _COUNT)


def backward_kernels(method: str, precision: str) -> None:
    """Call the backward kernels of a training step."""
    field, parameters = _smallest_field(method, precision)
    word = word_dtype(np.dtype(np.float32), field.bfloat16)
    instant = method == "instant"
    shape, layers = (_INSTANT, parameters["network"]) if instant else (_NETWORK, parameters)
    flat = flat_parameters(layers, shape.parameter_shapes())
    inputs, features = np.zeros((1, shape.inputs), np.float32), np.zeros((1, shape.ray_features), np.float32)
    saved, needs = plan_of(shape).activations(word, 1), (instant, False, False, *[True] * len(flat))
    arguments = inputs, features, _FIRST, *flat
    FUSED["mlp"].backward(needs, _RAW, saved, *arguments, shape=shape, bfloat16=field.bfloat16)
    if instant:
        FUSED["hash_grid"].backward((False, True), inputs, (), _POINT, parameters["tables"], shape=_GRID)
    FUSED["activate"].backward((True,), (_NUMBER, _POINT), (_NUMBER, _POINT), _RAW, density="exp")
    g_outputs, kept = (_POINT, _NUMBER, _NUMBER, _NUMBER), (_NUMBER, _NUMBER)
    FUSED["composite"].backward((True,) * 4, g_outputs, kept, _NUMBER, _POINT, _NUMBER, _NUMBER, _FIRST, _COUNT)

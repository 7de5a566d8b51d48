"""Each kernel alone, beside what the machine can do at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads

from autodiff import vjp
from nerf_mini.benchmark.timing import interleaved, once
from nerf_mini.benchmark.workloads import FAR, NEAR, OwnStep, Precision, Workload, field_of, multiplications
from nerf_mini.geometry.cameras import Cameras
from nerf_mini.geometry.poses import look_at
from nerf_mini.kernels.matmul import panel_matmul
from nerf_mini.ops import activate, composite, encode, mlp, mlp_parameter_shapes, sample_histogram
from nerf_mini.rendering.images import render_image
from nerf_mini.samplers import fine_samples, pack, stratified_samples
from nerf_mini.training.optimiser import adam_init, adam_update


@dataclass(frozen=True)
class Part:
    """A piece of a step: what it does in `work` units ("GFLOP" or "GB"), and the function to time."""

    name: str
    unit: str
    work: float
    run: Callable[[], object]


@njit(parallel=True)  # not cached: Numba would not notice that the product has changed
def _products(a, b, c, rows, columns, depth, repeats):
    """Products of matrices that stay in cache, one stack of them per thread."""
    for part in prange(a.shape[0]):
        floor = c.dtype.type(-np.inf)
        for _ in range(repeats):
            panel_matmul(
                a[part], 0, depth, 1, b, 0, c[part], 0, columns, c[part], 0, columns, rows, columns, depth, floor
            )


def arithmetic_ceiling(precision: Precision) -> float:
    """GFLOP/s of products that stay in cache, on all threads."""
    parts, rows, columns, depth, repeats = 2 * get_num_threads(), 128, 64, 256, 200
    rng = np.random.default_rng(0)
    a, b = rng.random((parts, rows * depth), np.float32), rng.random(depth * columns, np.float32)
    c = np.zeros((parts, rows * columns), np.float32)
    if precision == "bfloat16":  # the same bits as words of two numbers: half as many
        a, b, depth, repeats = a.view(np.uint32), b.view(np.uint32), depth // 2, 2 * repeats
    seconds = interleaved({"": lambda: _products(a, b, c, rows, columns, depth, repeats)}, 7)[""]
    return (4e-9 if precision == "bfloat16" else 2e-9) * parts * rows * columns * depth * repeats / seconds


@njit(parallel=True, cache=True)
def _copy(source, target):
    for i in prange(source.size):
        target[i] = source[i]


def bandwidth_ceiling() -> float:
    """GB/s of a copy of arrays larger than the caches, reading and writing counted."""
    source = np.ones(2**25, np.float32)
    target = np.zeros_like(source)
    return 2e-9 * source.nbytes / interleaved({"": lambda: _copy(source, target)}, 5)[""]


def parts_of(workload: Workload, precision: Precision) -> list[Part]:
    """The kernels of one training step, with the arguments that they have there."""
    step = OwnStep(workload, precision)
    bfloat16 = precision == "bfloat16"
    config, rng = step.config, np.random.default_rng(0)
    samples = workload.rays * (workload.coarse_samples + workload.fine_samples)
    flops = 2e-9 * samples * multiplications(config)
    shape = field_of(config).shape
    rays = step.batch.rays(step.cameras)
    t = stratified_samples(rays.near, rays.far, workload.coarse_samples + workload.fine_samples, rng)
    packed = pack(t, rays.far)
    points = packed.points(rays)
    parameters = step.parameters["field"]["fine"]
    features = field_of(step.config).ray_features(rays.directions)
    _, network_pullback = vjp(lambda p: mlp(points, features, packed.ray_index, p, shape, bfloat16), parameters)
    g_raw = rng.standard_normal((samples, 4), np.float32)

    density, color = rng.random(samples, np.float32), rng.random((samples, 3), np.float32)
    outputs, composite_pullback = vjp(
        lambda d, c: composite(d, c, packed.t, packed.delta, packed.starts, packed.counts), density, color
    )
    coarse_t = t[:, : workload.coarse_samples]
    weights = rng.random(coarse_t.shape, np.float32)
    u = np.sort(rng.random((workload.rays, workload.fine_samples), np.float32), axis=1)
    gradient = step.parameters
    state = adam_init(step.parameters)
    size = sum(i * o + o for i, o in mlp_parameter_shapes(shape).values())
    sample_bytes = 4e-9 * samples
    encoded_bytes = sample_bytes * (3 + shape.position_width)
    raw = rng.standard_normal((samples, 4), np.float32)
    activated, activation_pullback = vjp(lambda raw: activate(raw, "softplus"), raw)
    return [
        Part("network forward", "GFLOP", flops, lambda: mlp(
            points, features, packed.ray_index, parameters, shape, bfloat16)),
        Part("network backward", "GFLOP", 2 * flops, lambda: network_pullback(g_raw)),
        Part("encoding alone", "GB", encoded_bytes, lambda: encode(points, shape.position_frequencies, identity=True)),
        Part("activations forward", "GB", 8 * sample_bytes, lambda: activate(raw, "softplus")),
        Part("activations backward", "GB", 16 * sample_bytes, lambda: activation_pullback(activated)),
        Part("compositing forward", "GB", 8 * sample_bytes, lambda: composite(
            density, color, packed.t, packed.delta, packed.starts, packed.counts)),
        Part("compositing backward", "GB", 13 * sample_bytes, lambda: composite_pullback(outputs)),
        Part("sample positions", "GB", 4 * sample_bytes, lambda: packed.points(rays)),
        Part("inverse CDF", "GB", 4e-9 * (2 * weights.size + 2 * u.size), lambda: sample_histogram(
            coarse_t, weights[:, 1:], u)),
        Part("fine samples, merged", "GB", 4e-9 * (2 * weights.size + 3 * u.size), lambda: fine_samples(
            coarse_t, weights, workload.fine_samples, rng)),
        Part("Adam, both networks", "GB", 2 * 7 * 4e-9 * size, lambda: adam_update(
            config.optimiser, step.groups, step.parameters, gradient, state, 0.0)),
    ]  # fmt: skip


def thread_scaling(workload: Workload, precision: Precision) -> dict[int, float]:
    """Median seconds of a step for 1, 2, ... threads."""
    step, most = OwnStep(workload, precision), get_num_threads()
    seconds = {}
    for threads in sorted({1, 2, most}):
        if threads <= most:
            set_num_threads(threads)
            seconds[threads] = interleaved({"": step}, 3)[""]
    set_num_threads(most)
    return seconds


def render_seconds(workload: Workload, precision: Precision, size: int = 200) -> float:
    """Seconds for one view of size x size pixels with the workload's networks."""
    step = OwnStep(workload, precision)
    pose = look_at((0.0, -4.0, 1.0), (0.0, 0.0, 0.0))
    camera = Cameras.from_field_of_view(pose, size, size, 0.69, NEAR, FAR)

    def render():
        return render_image(step.model, step.parameters["field"], camera, np.ones(3))

    render()
    return once(render)

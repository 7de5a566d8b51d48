"""The benchmark as a whole: training steps, parts, memory and scaling, printed and as JSON records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numba import get_num_threads, set_num_threads

from nerf_mini.benchmark.instant import InstantStep, stages
from nerf_mini.benchmark.memory import measure_step
from nerf_mini.benchmark.parts import (
    Part,
    arithmetic_ceiling,
    bandwidth_ceiling,
    parts_of,
    render_seconds,
    thread_scaling,
)
from nerf_mini.benchmark.timing import REST, interleaved
from nerf_mini.benchmark.workloads import PRECISIONS, WORKLOADS, OwnStep, Precision, Workload
from nerf_mini.io.files import write_json

Say = Callable[[str], None]


def benchmark(
    peer: str | None = None, json: Path | None = None, rounds: int = 5, say: Say = print
) -> list[dict[str, Any]]:
    """Run everything; returns the records, and writes them to `json` if given. `peer` is None or "torch"."""
    if peer is not None:
        from nerf_mini.benchmark.torch_peer import import_torch

        import_torch()
    arithmetic, bandwidth = {p: arithmetic_ceiling(p) for p in PRECISIONS}, bandwidth_ceiling()
    in_cache = ", ".join(f"{rate:.0f} GFLOP/s {precision} in cache" for precision, rate in arithmetic.items())
    say(f"machine: {get_num_threads()} threads, {in_cache}, {bandwidth:.1f} GB/s copying\n")
    records = []
    for workload in WORKLOADS:
        records += _steps(workload, peer, rounds, say)
    for precision, rate in arithmetic.items():
        say("")
        records += _parts(WORKLOADS[-1], precision, rate, bandwidth, say)
    say("")
    for precision in PRECISIONS:
        records += _rendering(WORKLOADS[-1], precision, say)
        records += _scaling(WORKLOADS[-1], precision, say)
    say("")
    for precision, rate in arithmetic.items():
        records += _instant(precision, rate, bandwidth, rounds, say)
    if json is not None:
        write_json(json, records)
        say(f"\nwritten: {json}")
    return records


def _steps(workload: Workload, peer: str | None, rounds: int, say: Say) -> list[dict[str, Any]]:
    """Training steps of nerf-mini and its peer, taking turns."""
    steps: dict[tuple[str, str], Any] = {("nerf-mini", p): OwnStep(workload, p) for p in PRECISIONS}
    if peer == "torch":
        from nerf_mini.benchmark.torch_peer import TorchStep

        for precision in ("float32", "bfloat16"):
            steps["torch", precision] = TorchStep(workload, precision)
    named = {"/".join(key): step for key, step in steps.items()}
    seconds = interleaved(named, rounds, rest=REST if peer else 0.0)
    records = []
    for (implementation, precision), name in zip(steps, named, strict=True):
        memory = measure_step(workload.name, implementation, precision)
        record = {
            "name": workload.name if implementation == "nerf-mini" else f"{implementation}-{workload.name}",
            "implementation": implementation,
            "precision": precision,
            "seconds_per_step": seconds[name],
            "rays_per_second": workload.rays / seconds[name],
            "gflops": workload.flops / seconds[name] * 1e-9,
            "peak_rss_mb": memory,
        }
        records.append(record)
        own = {p: seconds[f"nerf-mini/{p}"] for p in PRECISIONS}
        ratios = [f"{seconds[name] / own[p]:.2f} ({p})" for p in PRECISIONS] if implementation != "nerf-mini" else []
        ratio = f"  speed-up of nerf-mini over it: {', '.join(ratios)}" if ratios else ""
        say(
            f"{workload.name:<12} {implementation:<10}{precision:<9} {1e3 * seconds[name]:8.1f} ms/step"
            f" {record['rays_per_second']:8.0f} rays/s {record['gflops']:6.0f} GFLOP/s"
            f" {memory or float('nan'):6.0f} MB{ratio}"
        )
    return records


def _parts(
    workload: Workload, precision: Precision, arithmetic: float, bandwidth: float, say: Say
) -> list[dict[str, Any]]:
    say(f"kernels of the fine pass of {workload.name}, {precision}")
    return _timed(parts_of(workload, precision), precision, arithmetic, bandwidth, 7, say)


def _timed(
    parts: list[Part], precision: Precision, arithmetic: float, bandwidth: float, rounds: int, say: Say,
    whole: float | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Each part alone, beside the machine's ceilings, and its share of the seconds of a whole step."""
    seconds = interleaved({part.name: part.run for part in parts}, rounds)
    records = []
    for part in parts:
        rate = part.work / seconds[part.name]
        ceiling = arithmetic if part.unit == "GFLOP" else bandwidth
        say(
            f"  {part.name:<28} {1e3 * seconds[part.name]:8.2f} ms  {rate:7.1f} {part.unit}/s,"
            f" {100 * rate / ceiling:3.0f}% of the machine's"
            + ("" if whole is None else f", {100 * seconds[part.name] / whole:3.0f}% of the step")
        )
        records.append(
            {
                "name": part.name,
                "precision": precision,
                "seconds": seconds[part.name],
                part.unit.lower() + "_per_s": rate,
            }
        )
    return records


def _instant(precision: Precision, arithmetic: float, bandwidth: float, rounds: int, say: Say) -> list[dict[str, Any]]:
    """Training samples per second of the instant method, over threads, and the share of each stage."""
    step = InstantStep.warmed_up(precision)
    records, most = [], get_num_threads()
    for threads in sorted({1, most}):
        set_num_threads(threads)
        seconds = interleaved({"": step}, 10 * rounds)[""]
        rate = step.samples / seconds
        say(
            f"instant, {precision}, {threads} thread{'s' * (threads > 1)}: {1e3 * seconds:.1f} ms/step,"
            f" {1e-6 * rate:.2f} million samples/s"
        )
        name = f"instant-threads-{threads}"
        records.append({"name": name, "precision": precision, "seconds_per_step": seconds, "samples_per_second": rate})
    parts = stages(step)
    return records + _timed(parts, precision, arithmetic, bandwidth, 3 * rounds, say, whole=seconds)


def _rendering(workload: Workload, precision: Precision, say: Say) -> list[dict[str, Any]]:
    seconds = render_seconds(workload, precision)
    say(f"one view of 200 x 200 with the networks of {workload.name}, {precision}: {seconds:.2f} s")
    return [{"name": "render-200x200", "precision": precision, "seconds": seconds}]


def _scaling(workload: Workload, precision: Precision, say: Say) -> list[dict[str, Any]]:
    """Time against threads, and against rays, samples and width, each doubled alone."""
    records: list[dict[str, Any]] = []

    def record(name: str, what: str, seconds: float) -> None:
        say(f"{workload.name}, {precision}, {what}: {1e3 * seconds:.1f} ms/step")
        records.append({"name": name, "precision": precision, "seconds_per_step": seconds})

    for threads, seconds in thread_scaling(workload, precision).items():
        record(f"{workload.name}-threads-{threads}", f"{threads} thread{'s' * (threads > 1)}", seconds)
    variants = {
        "as it is": workload,
        "twice the rays": replace(workload, rays=2 * workload.rays),
        "twice the samples": replace(
            workload, coarse_samples=2 * workload.coarse_samples, fine_samples=2 * workload.fine_samples
        ),
        "twice the width": replace(workload, width=2 * workload.width),
    }
    seconds_of = interleaved({name: OwnStep(variant, precision) for name, variant in variants.items()}, 3)
    for name, seconds in seconds_of.items():
        record(f"{workload.name}, {name}", name, seconds)
    return records

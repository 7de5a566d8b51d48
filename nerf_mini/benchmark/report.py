"""The benchmark as a whole: training steps, parts, memory and scaling, printed and as JSON records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numba import get_num_threads

from ..files import write_json
from .memory import measure_step
from .parts import arithmetic_ceiling, bandwidth_ceiling, parts_of, render_seconds, thread_scaling
from .timing import interleaved
from .workloads import WORKLOADS, OwnStep, Workload

Say = Callable[[str], None]


def benchmark(
    peer: str | None = None, json: Path | None = None, rounds: int = 5, say: Say = print
) -> list[dict[str, Any]]:
    """Run everything; returns the records, and writes them to `json` if given. `peer` is None or "torch"."""
    if peer is not None:
        from .torch_peer import import_torch

        import_torch()
    arithmetic, bandwidth = arithmetic_ceiling(), bandwidth_ceiling()
    threads = get_num_threads()
    say(f"machine: {threads} threads, {arithmetic:.0f} GFLOP/s float32 in cache, {bandwidth:.1f} GB/s copying\n")
    records = []
    for workload in WORKLOADS:
        records += _steps(workload, peer, rounds, say)
    say("")
    for record in _parts(WORKLOADS[-1], arithmetic, bandwidth, say):
        records.append(record)
    say("")
    records += _rendering(WORKLOADS[-1], say)
    records += _scaling(WORKLOADS[-1], say)
    if json is not None:
        write_json(json, records)
        say(f"\nwritten: {json}")
    return records


def _steps(workload: Workload, peer: str | None, rounds: int, say: Say) -> list[dict[str, Any]]:
    """Training steps of nerf-mini and its peer, taking turns."""
    steps: dict[tuple[str, str], Any] = {("nerf-mini", "float32"): OwnStep(workload)}
    if peer == "torch":
        from .torch_peer import TorchStep

        for precision in ("float32", "bfloat16"):
            steps["torch", precision] = TorchStep(workload, precision)
    named = {"/".join(key): step for key, step in steps.items()}
    seconds = interleaved(named, rounds)
    own = seconds["nerf-mini/float32"]
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
        ratio = (
            "" if implementation == "nerf-mini" else f"  nerf-mini float32 is {seconds[name] / own:.2f} times as fast"
        )
        say(
            f"{workload.name:<12} {implementation:<10}{precision:<9} {1e3 * seconds[name]:8.1f} ms/step"
            f" {record['rays_per_second']:8.0f} rays/s {record['gflops']:6.0f} GFLOP/s"
            f" {memory or float('nan'):6.0f} MB{ratio}"
        )
    return records


def _parts(workload: Workload, arithmetic: float, bandwidth: float, say: Say) -> list[dict[str, Any]]:
    say(f"kernels of the fine pass of {workload.name}")
    parts = parts_of(workload)
    seconds = interleaved({part.name: part.run for part in parts}, 7)
    records = []
    for part in parts:
        rate = part.work / seconds[part.name]
        ceiling = arithmetic if part.unit == "GFLOP" else bandwidth
        say(
            f"  {part.name:<22} {1e3 * seconds[part.name]:8.2f} ms  {rate:7.1f} {part.unit}/s,"
            f" {100 * rate / ceiling:3.0f}% of the machine's"
        )
        records.append(
            {
                "name": part.name,
                "precision": "float32",
                "seconds": seconds[part.name],
                part.unit.lower() + "_per_s": rate,
            }
        )
    return records


def _rendering(workload: Workload, say: Say) -> list[dict[str, Any]]:
    seconds = render_seconds(workload)
    say(f"one view of 200 x 200 with the networks of {workload.name}: {seconds:.2f} s")
    return [{"name": "render-200x200", "precision": "float32", "seconds": seconds}]


def _scaling(workload: Workload, say: Say) -> list[dict[str, Any]]:
    """Time against threads, and against rays, samples and width, each doubled alone."""
    records = []
    for threads, seconds in thread_scaling(workload).items():
        say(f"{workload.name} on {threads} thread{'s' * (threads > 1)}: {1e3 * seconds:.1f} ms/step")
        records.append(
            {"name": f"{workload.name}-threads-{threads}", "precision": "float32", "seconds_per_step": seconds}
        )
    variants = {
        "as it is": workload,
        "twice the rays": replace(workload, rays=2 * workload.rays),
        "twice the samples": replace(
            workload, coarse_samples=2 * workload.coarse_samples, fine_samples=2 * workload.fine_samples
        ),
        "twice the width": replace(workload, width=2 * workload.width),
    }
    seconds_of = interleaved({name: OwnStep(variant) for name, variant in variants.items()}, 3)
    for name, seconds in seconds_of.items():
        say(f"{workload.name}, {name}: {1e3 * seconds:.1f} ms/step")
        records.append({"name": f"{workload.name}, {name}", "precision": "float32", "seconds_per_step": seconds})
    return records

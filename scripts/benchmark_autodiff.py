"""autodiff beside HIPS/autograd, JAX (eager) and PyTorch: the same functions, in one run, those that are installed.

    python scripts/benchmark_autodiff.py --json results.json

Everything is in float64 on one core of the CPU. The libraries take turns within every round, so that a busy machine
slows all of them, and medians over the rounds are compared. In brackets: how many times slower than autodiff.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[pool] = "1"  # read when NumPy is imported: several pools of threads in one process disturb each other

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs without installation

# -- the libraries, each by the same five functions --------------------------------------------------------------------


class Autodiff:
    name, package = "autodiff", "numpy"

    def __init__(self):
        import autodiff

        self.xp, self.array, self.wait = np, np.asarray, lambda result: None
        self.grad, self.jacobian, self.hessian = autodiff.grad, autodiff.jacobian, autodiff.hessian
        self.record = autodiff.vjp


class HipsAutograd:
    name, package = "HIPS/autograd", "autograd"

    def __init__(self):
        import autograd
        import autograd.numpy

        self.xp, self.array, self.wait = autograd.numpy, np.asarray, lambda result: None
        self.grad, self.jacobian, self.hessian = autograd.grad, autograd.jacobian, autograd.hessian
        self.record = lambda f, x: autograd.make_vjp(f)(x)


class Jax:
    name, package = "JAX, eager", "jax"

    def __init__(self):
        os.environ["JAX_PLATFORMS"] = "cpu"
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        import jax

        jax.config.update("jax_enable_x64", True)
        self.xp, self.array, self.wait = jax.numpy, jax.numpy.asarray, jax.block_until_ready
        self.grad, self.jacobian, self.hessian = jax.grad, jax.jacrev, jax.hessian
        self.record = lambda f, x: jax.vjp(f, x)[0]


class PyTorch:
    name, package = "PyTorch", "torch"

    def __init__(self):
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        self.xp, self.array, self.wait = torch, torch.tensor, lambda result: None
        self.jacobian, self.hessian = torch.func.jacrev, torch.func.hessian

    def grad(self, f):
        def gradient(x, *rest):
            leaves = [p.detach().requires_grad_() for p in (x if isinstance(x, list) else [x])]
            return self.torch.autograd.grad(f(leaves if isinstance(x, list) else leaves[0], *rest), leaves)

        return gradient

    def record(self, f, x):
        return f(x.detach().requires_grad_())


LIBRARIES = (Autodiff, HipsAutograd, Jax, PyTorch)

# -- the tasks: functions of a library that return a function to time and the number of operations in it ---------------

LENGTH = 100  # operations in a chain

OPERATIONS: dict[str, Callable] = {  # (one step from y, how many operations it is)
    "y + 1.0": lambda xp, a: (lambda y: y + 1.0, 1),
    "y * y": lambda xp, a: (lambda y: y * y, 1),
    "sin(y)": lambda xp, a: (lambda y: xp.sin(y), 1),
    "tanh(y)": lambda xp, a: (lambda y: xp.tanh(y), 1),
    "a @ y": lambda xp, a: (lambda y: a @ y, 1),
    "y - sum(y)": lambda xp, a: (lambda y: y - xp.sum(y), 2),
    "y[None][0]": lambda xp, a: (lambda y: y[None][0], 2),
}


def chain(operation: Callable, pullback: bool) -> Callable:
    """Many operations on four entries: what is left is the price of differentiating, per operation."""

    def task(lib):
        step, count = operation(lib.xp, lib.array(np.eye(4)[::-1].copy()))
        steps = LENGTH // count

        def f(y):
            for _ in range(steps):
                y = step(y)
            return lib.xp.sum(y)

        x = lib.array(np.full(4, 0.5))
        gradient = lib.grad(f)
        return ((lambda: gradient(x)) if pullback else (lambda: lib.record(f, x))), steps * count + 1

    return task


def small_function(lib):
    """Logistic regression with 4 parameters on 10 points: nine operations."""
    xp, rng = lib.xp, np.random.default_rng(0)
    x, t = lib.array(rng.standard_normal((10, 4))), lib.array(rng.choice([-1.0, 1.0], 10))

    def loss(w):
        return xp.mean(xp.log(1 + xp.exp(-t * (x @ w)))) + 0.01 * xp.sum(w * w)

    gradient, w = lib.grad(loss), lib.array(rng.standard_normal(4))
    return lambda: gradient(w), 1


def network(lib):
    """20 layers of 100 tanh units on 1,000 points, the gradient by all weights and biases."""
    xp, rng = lib.xp, np.random.default_rng(0)
    parameters = [lib.array(a) for _ in range(20) for a in (rng.standard_normal((100, 100)) / 10, np.zeros(100))]
    x = lib.array(rng.standard_normal((1000, 100)))

    def loss(parameters, y):
        for w, b in zip(parameters[::2], parameters[1::2], strict=True):
            y = xp.tanh(y @ w + b)
        return xp.mean(y * y)

    gradient = lib.grad(loss)
    return lambda: gradient(parameters, x), 1


def jacobian(lib):
    """Of x -> tanh(B tanh(A x)), 100 -> 100."""
    rng = np.random.default_rng(0)
    a, b, x = (lib.array(rng.standard_normal(shape) / 10) for shape in ((100, 100), (100, 100), 100))
    of_x = lib.jacobian(lambda x: lib.xp.tanh(b @ lib.xp.tanh(a @ x)))
    return lambda: of_x(x), 1


def hessian(lib):
    """Of Rosenbrock's function of 50 variables."""
    of_x = lib.hessian(lambda x: lib.xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
    x = lib.array(np.random.default_rng(0).standard_normal(50))
    return lambda: of_x(x), 1


TASKS: dict[str, Callable] = {
    **{f"operation {name}, recorded": chain(operation, False) for name, operation in OPERATIONS.items()},
    **{f"operation {name}, with its pullback": chain(operation, True) for name, operation in OPERATIONS.items()},
    "gradient of a small function": small_function,
    "gradient of a 20-layer tanh network": network,
    "Jacobian, 100 -> 100": jacobian,
    "Hessian, 50 variables": hessian,
}

# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(task: Callable, libraries: list, rounds: int, seconds: float) -> dict[str, float]:
    """The median time, in seconds, of one unit of the task in each library; they take turns."""
    runs = []
    for lib in libraries:
        run, units = task(lib)
        for _ in range(3):
            lib.wait(run())
        once = timed(lib, run, 1)
        runs.append((lib, run, units, max(1, int(seconds / once))))
    times: dict[str, list[float]] = {lib.name: [] for lib in libraries}
    for _ in range(rounds):
        for lib, run, units, repeats in runs:
            times[lib.name].append(timed(lib, run, repeats) / units)
    return {name: statistics.median(found) for name, found in times.items()}


def timed(lib: Any, run: Callable, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        result = run()
    lib.wait(result)
    return (time.perf_counter() - start) / repeats


def memory_growth(lib: Any, gradients: int) -> float | None:
    """Bytes by which the process grows over many gradients of the small function; None where it cannot be told."""
    if not Path("/proc/self/statm").exists():
        return None
    run, _ = small_function(lib)
    for _ in range(max(1, gradients // 10)):
        lib.wait(run())
    before = resident()
    for _ in range(gradients):
        run()
    lib.wait(run())
    return resident() - before


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- the program -------------------------------------------------------------------------------------------------------


def installed() -> list:
    found = []
    for make in LIBRARIES:
        try:
            found.append(make())
        except ImportError:
            print(f"{make.name} is not installed", file=sys.stderr)
    return found


def table(results: dict[str, dict[str, float]], names: list[str]) -> str:
    """A Markdown table: one row per task, times with the ratio to autodiff."""
    rows = [["", *names]]
    for task, times in results.items():
        cells = [f"{show(times[name])} ({times[name] / times['autodiff']:.1f})" for name in names[1:]]
        rows.append([task, show(times["autodiff"]), *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(names) + 1)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def show(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="autodiff beside HIPS/autograd, JAX and PyTorch, where installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each figure; the median is taken")
    parser.add_argument("--seconds", type=float, default=0.02, help="least duration of one measurement")
    parser.add_argument("--gradients", type=int, default=10_000, help="how many, for the growth of memory")
    options = parser.parse_args(argv)

    libraries = installed()
    versions = {lib.name: f"{lib.package} {version(lib.package)}" for lib in libraries}
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {', '.join(versions.values())}")
    results = {name: measure(task, libraries, options.rounds, options.seconds) for name, task in TASKS.items()}
    print(table(results, [lib.name for lib in libraries]))
    growth = {lib.name: memory_growth(lib, options.gradients) for lib in libraries}
    for name, size in growth.items():
        told = "cannot be told here" if size is None else f"{size / 1024:.0f} kB"
        print(f"growth of memory over {options.gradients} gradients, {name}: {told}")
    if options.json:
        figures = {"python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}
        figures |= {"seconds": results, "growth_in_bytes": growth}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

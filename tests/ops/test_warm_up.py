"""Compiling in two processes: it must compile what a training uses, and nothing may depend on it."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from nerf_mini import warm_up as module
from nerf_mini.config import Config
from nerf_mini.warm_up import warm_up


@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("method", ["instant", "nerf"])
def test_a_training_step_needs_no_other_version_of_these_kernels(method, precision, blobs, tmp_path):
    script = """
        import sys
        from dataclasses import replace
        from pathlib import Path
        from nerf_mini.config import PRESETS
        from nerf_mini.kernels import activations, compositing, dense_network, hash_encoding
        from nerf_mini.training.loop import start, train_step
        from nerf_mini.warm_up import backward_kernels, forward_kernels

        data, output, method, precision = sys.argv[1:]
        config = PRESETS["default" if method == "instant" else "small"]
        training = start(Path(data), Path(output), replace(config, precision=precision))
        forward_kernels(method, training.run.config.precision)
        backward_kernels(method, training.run.config.precision)
        kernels = [
            activations.activate_forward, compositing.composite_forward,
            activations.activate_backward, compositing.composite_backward,
        ]
        if method == "instant":
            kernels += [hash_encoding.hash_grid_forward, dense_network.network_forward]
            kernels += [hash_encoding.hash_grid_backward, dense_network.network_backward]
        else:
            kernels += [dense_network.network_forward, dense_network.network_backward]
        assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)
        train_step(training)
        assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(blobs), str(tmp_path / "run")]
    subprocess.run([*command, method, precision], check=True, timeout=300)


def test_with_an_empty_cache_the_helper_compiles_and_the_training_waits(blobs, tmp_path):
    script = """
        import sys
        from dataclasses import replace
        from pathlib import Path
        from nerf_mini.config import PRESETS
        from nerf_mini.kernels.activations import activate_backward
        from nerf_mini.kernels.compositing import composite_backward
        from nerf_mini.kernels.dense_network import network_backward
        from nerf_mini.training.loop import start, train

        config = PRESETS["small"]
        config = replace(config, precision="float32", training=replace(config.training, max_steps=1))
        train(start(Path(sys.argv[1]), Path(sys.argv[2]), config))
        for kernel in (network_backward, activate_backward, composite_backward):
            assert sum(kernel.stats.cache_hits.values()) == 1, kernel
            assert not kernel.stats.cache_misses, kernel
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(blobs), str(tmp_path / "run")]
    subprocess.run(command, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}, check=True, timeout=300)


def test_what_goes_wrong_here_ends_the_helper(monkeypatch):
    helpers = []

    def fail(method, precision):
        raise RuntimeError("no kernels today")

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            helpers.append(self)

    monkeypatch.setattr(module, "_is_cached", lambda method: False)
    monkeypatch.setattr(module, "forward_kernels", fail)
    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with pytest.raises(RuntimeError, match="no kernels today"):
        warm_up(replace(Config(), precision="float32"))
    assert [helper.poll() is not None for helper in helpers] == [True]


def test_the_helper_does_not_look_into_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    helper = module._start_helper(replace(Config(), precision="float32"))
    assert helper is not None and helper.wait(timeout=300) == 0


@pytest.mark.parametrize("executable", ["", "/no/such/python"])
def test_there_need_not_be_a_helper(executable, monkeypatch):
    monkeypatch.setattr(module, "_is_cached", lambda method: False)
    monkeypatch.setattr(sys, "executable", executable)
    warm_up(replace(Config(), precision="float32"))


def test_no_helper_where_the_kernels_are_cached(monkeypatch):
    warm_up(replace(Config(), precision="float32"))
    module.backward_kernels("instant", "float32")
    monkeypatch.setattr(module, "_start_helper", lambda config: pytest.fail("a helper was started"))
    warm_up(replace(Config(), precision="float32"))


@pytest.mark.skipif(sys.platform != "linux", reason="only GNU OpenMP reads the variable")
@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_loading_the_threads_leaves_the_environment_alone(own):
    script = """
        import importlib, os
        before = dict(os.environ)
        seen = {}
        load = importlib.import_module

        def noting(name, package=None):
            seen[name] = os.environ.get("GOMP_SPINCOUNT")
            return load(name, package)

        importlib.import_module = noting
        import nerf_mini.kernels
        assert dict(os.environ) == before
        own = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & before.keys()
        assert seen.get("numba.np.ufunc.omppool") == (None if own else "1000"), seen
    """
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env={**clean, **own}, check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_kernels_run_in_a_fork_of_a_process_that_only_imported_them():
    script = """
        import multiprocessing
        import numpy as np
        import nerf_mini.kernels
        from nerf_mini.ops import activate

        def run():
            activate(np.zeros((1, 4), np.float32), "exp")

        child = multiprocessing.get_context("fork").Process(target=run)
        child.start()
        child.join()
        assert child.exitcode == 0, child.exitcode
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=120)

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
        from nerf_mini.kernels import activations, compositing, hash_grid, instant, network
        from nerf_mini.training import start, train_step
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
            kernels += [hash_grid.hash_grid_forward, instant.instant_forward]
            kernels += [hash_grid.hash_grid_backward, instant.instant_backward]
        else:
            kernels += [network.network_forward, network.network_backward]
        assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)
        train_step(training)
        assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(blobs), str(tmp_path / "run")]
    subprocess.run([*command, method, precision], check=True, timeout=300)


@pytest.mark.parametrize("method", ["instant", "nerf"])
def test_the_helper_does_its_work(method):
    helper = module._start_helper(replace(Config(), method=method, precision="float32"))
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


@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_starting_the_threads_leaves_the_environment_alone(own):
    script = """
        import os
        before = dict(os.environ)
        import numba
        started = []
        launch = numba.get_num_threads
        numba.get_num_threads = lambda: started.append(os.environ.get("GOMP_SPINCOUNT")) or launch()
        import nerf_mini.kernels
        assert dict(os.environ) == before
        own = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & before.keys()
        assert started == ([] if own else ["1000"]), started
    """
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env={**clean, **own}, check=True, timeout=60)

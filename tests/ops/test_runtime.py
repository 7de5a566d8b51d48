"""Compiling in two processes, and the cache: a training must find what was compiled, and nothing may depend on it."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import nerf_mini
from nerf_mini import runtime
from nerf_mini.ops import OperatorUse, cache_folder
from nerf_mini.runtime import warm_up

USES = [OperatorUse("mlp", constants=(0, 1)), OperatorUse("activate"), OperatorUse("composite")]


def run_script(script, *arguments, env=None, check=True, timeout=300, cwd=None):
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        check=check,
        timeout=timeout,
        capture_output=not check,
        text=True,
        cwd=cwd,
    )


@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("method", ["instant", "nerf"])
def test_a_training_step_needs_no_other_version_of_these_kernels(method, precision, blobs):
    script = """
        import sys
        from nerf_mini.config import from_preset
        from nerf_mini.kernels import activations, compositing, dense_network, hash_encoding
        from nerf_mini.scenes import load_scene
        from nerf_mini.training import Trainer

        data, method, precision = sys.argv[1:]
        scene = load_scene(data)
        config = from_preset("default" if method == "instant" else "small", precision=precision)
        trainer = Trainer(config, scene.cameras, scene)
        trainer.warm_up = lambda: None
        for use in trainer.model.operators:
            use.run_forward()
            use.run_backward()
        kernels = [
            activations.activate_forward, activations.activate_backward,
            dense_network.network_forward, dense_network.network_backward,
        ]
        if method == "instant":
            kernels += [hash_encoding.hash_grid_forward, hash_encoding.hash_grid_backward]
        assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)
        trainer.step()
        assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)
    """
    run_script(script, blobs, method, precision)


def test_with_an_empty_cache_the_helper_compiles_and_the_training_waits(blobs, tmp_path):
    script = """
        import sys
        from nerf_mini.config import from_preset
        from nerf_mini.kernels.activations import activate_backward
        from nerf_mini.kernels.compositing import composite_backward
        from nerf_mini.kernels.dense_network import network_backward
        from nerf_mini.scenes import load_scene
        from nerf_mini.training import Trainer

        scene = load_scene(sys.argv[1])
        Trainer(from_preset("small", precision="float32"), scene.cameras, scene).step()
        for kernel in (network_backward, activate_backward, composite_backward):
            assert sum(kernel.stats.cache_hits.values()) == 1, kernel
            assert not kernel.stats.cache_misses, kernel
    """
    run_script(script, blobs, env={"NUMBA_CACHE_DIR": str(tmp_path / "cache")})


def test_what_goes_wrong_here_ends_the_helper(monkeypatch, tmp_path):
    helpers = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            helpers.append(self)

    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with pytest.raises(KeyError, match="no such operator"):
        warm_up([*USES, OperatorUse("no such operator")])
    assert [helper.poll() is not None for helper in helpers] == [True]
    assert not list(tmp_path.iterdir())


def test_the_helper_does_not_look_into_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    helper = runtime._start_helper(USES)
    assert helper is not None and helper.wait(timeout=300) == 0


@pytest.mark.parametrize("executable", ["", "/no/such/python"])
def test_there_need_not_be_a_helper(executable, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "executable", executable)
    warm_up(USES)


def test_no_helper_where_the_kernels_are_cached(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    warm_up(USES)
    monkeypatch.setattr(runtime, "_start_helper", lambda uses: pytest.fail("a helper was started"))
    warm_up(USES)


def test_another_use_of_the_same_operators_is_warmed_up_by_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    warm_up(USES)
    asked = []
    monkeypatch.setattr(runtime, "_start_helper", asked.append)
    other = [OperatorUse("mlp", {"bfloat16": True}, constants=(0, 1))]
    warm_up(other)
    assert asked == [other]


# -- the cache ---------------------------------------------------------------------------------------------------------

USE_A_KERNEL = """
    import numpy as np
    from nerf_mini.kernels import activations
    from nerf_mini.ops import activate

    density, _ = activate(np.zeros((1, 4), np.float32), "exp")
    kernel = activations.activate_forward
    stats = getattr(kernel, "stats", None)
    print(density[0], sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def use_a_kernel(root, cache, first=""):
    """Density, hits and misses in a fresh process, and what it warned of."""
    env = {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(cache)}
    result = run_script(first + textwrap.dedent(USE_A_KERNEL), env=env, check=False, cwd=root)
    assert result.returncode == 0, result.stderr
    density, hits, misses = result.stdout.split()
    return float(density), int(hits), int(misses), result.stderr


def test_a_change_in_any_kernel_source_makes_cached_kernels_stale(tmp_path):
    """A kernel reads a constant of another file, whose change Numba would not notice."""
    root = tmp_path / "copy"
    for package in ("nerf_mini", "autodiff"):
        shutil.copytree(Path(nerf_mini.__file__).parents[1] / package, root / package,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    cache = tmp_path / "cache"
    assert use_a_kernel(root, cache)[:3] == (1.0, 0, 1)
    assert use_a_kernel(root, cache)[:3] == (1.0, 1, 0)
    schedule = root / "nerf_mini" / "kernels" / "schedule.py"
    schedule.write_text(schedule.read_text().replace("ACTIVATION_TILE = 512", "ACTIVATION_TILE = 256"))
    assert use_a_kernel(root, cache)[:3] == (1.0, 0, 1)
    assert use_a_kernel(root, cache)[:3] == (1.0, 1, 0)
    assert len(list(cache.rglob("*activate_forward*"))) == 1, "what is stale is deleted"


@pytest.mark.parametrize("damage", [b"", b"\x80\x05no pickle"])
def test_a_damaged_cache_file_is_written_again(damage, tmp_path):
    root, cache = Path(nerf_mini.__file__).parents[1], tmp_path / "cache"
    use_a_kernel(root, cache)
    (file,) = cache.rglob("*activate_forward*")
    sound = file.read_bytes()
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 1
    for content in (damage, sound[:-1000], bytes(flipped)):
        file.write_bytes(content)
        assert use_a_kernel(root, cache)[:3] == (1.0, 0, 1)
        assert use_a_kernel(root, cache)[:3] == (1.0, 1, 0)


def test_without_a_folder_to_write_to_kernels_are_compiled_with_one_warning(tmp_path):
    nowhere = "import numba.core.caching as c; c.CompileResultCacheImpl._locator_classes = []\n"
    density, hits, _, warning = use_a_kernel(Path(nerf_mini.__file__).parents[1], tmp_path, nowhere)
    assert (density, hits) == (1.0, 0)
    assert warning.count("set NUMBA_CACHE_DIR") == 1, warning


def test_the_cache_is_where_numba_was_told():
    folder = cache_folder()
    assert folder is not None and folder.is_dir()


# -- threads -----------------------------------------------------------------------------------------------------------


def test_importing_the_package_changes_nothing():
    script = """
        import os, sys
        before = dict(os.environ)
        import nerf_mini.models, nerf_mini.runtime, nerf_mini.training
        assert dict(os.environ) == before
        assert "numba.np.ufunc.omppool" not in sys.modules
    """
    run_script(script)


@pytest.mark.skipif(sys.platform != "linux", reason="only GNU OpenMP reads the variable")
@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_loading_the_threads_leaves_the_environment_alone(own):
    script = """
        import importlib, os
        before = dict(os.environ)
        seen = []
        load = importlib.import_module

        def noting(name, package=None):
            if name == "numba.np.ufunc.omppool":
                seen.append(os.environ.get("GOMP_SPINCOUNT"))
            return load(name, package)

        from nerf_mini.runtime import prepare
        importlib.import_module = noting
        prepare()
        assert dict(os.environ) == before
        own = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & before.keys()
        assert seen == ([] if own else ["1000"]), seen
    """
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env={**clean, **own}, check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_kernels_run_in_a_fork_of_a_process_that_is_prepared():
    script = """
        import multiprocessing
        import numpy as np
        from nerf_mini.ops import activate
        from nerf_mini.runtime import prepare

        def run():
            activate(np.zeros((1, 4), np.float32), "exp")

        prepare()
        child = multiprocessing.get_context("fork").Process(target=run)
        child.start()
        child.join()
        assert child.exitcode == 0, child.exitcode
    """
    run_script(script, timeout=120)

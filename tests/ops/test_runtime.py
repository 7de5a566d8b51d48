"""Compiling in two processes, and the cache: a training must find what was compiled, and nothing may depend on it."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
from functools import partial
from pathlib import Path

import numba
import pytest

import nerf_mini
from nerf_mini import runtime
from nerf_mini.ops import OperatorUse, cache_folder
from nerf_mini.runtime import warm_up
from nerf_mini.scenes.synthetic.capturing import CaptureSettings, make_capture

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


@pytest.fixture(scope="module")
def garden(tmp_path_factory):
    """A scene without bounds."""
    return make_capture("garden", tmp_path_factory.mktemp("scenes") / "garden", CaptureSettings(size=32, views=12))


@pytest.mark.parametrize(("data", "precision"), [("blobs", "float32"), ("blobs", "auto"), ("garden", "auto")])
@pytest.mark.parametrize("method", ["instant", "nerf"])
def test_after_the_warm_up_a_training_step_compiles_nothing(method, data, precision, request):
    script = """
        import sys
        from numba.core import event
        from nerf_mini.config import from_preset
        from nerf_mini.scenes import load_scene
        from nerf_mini.training import Trainer

        class Compiled(event.Listener):
            names = []

            def on_start(self, event):
                self.names.append(event.data["dispatcher"].py_func.__qualname__)

            def on_end(self, event):
                pass

        data, method, precision = sys.argv[1:]
        scene = load_scene(data)
        config = from_preset("default" if method == "instant" else "small", precision=precision)
        trainer = Trainer(config, scene.cameras, scene)
        trainer.warm_up = lambda: None
        for use in trainer.operators:
            for run in use.runs:
                run()
        event.register("numba:compile", Compiled())
        trainer.step()
        assert not Compiled.names, Compiled.names
    """
    run_script(script, request.getfixturevalue(data), method, precision)


def test_with_an_empty_cache_helpers_compile_and_the_training_waits(blobs, tmp_path):
    script = """
        import sys
        from nerf_mini.config import from_preset
        from nerf_mini.kernels import activations, compositing, dense_network
        from nerf_mini.scenes import load_scene
        from nerf_mini.training import Trainer

        scene = load_scene(sys.argv[1])
        Trainer(from_preset("small", precision="float32"), scene.cameras, scene).step()
        kernels = [
            dense_network.network_forward, dense_network.network_backward, activations.activate_forward,
            activations.activate_backward, compositing.composite_forward, compositing.composite_backward,
        ]
        hits = [sum(kernel.stats.cache_hits.values()) for kernel in kernels]
        misses = [sum(kernel.stats.cache_misses.values()) for kernel in kernels]
        assert [h + m for h, m in zip(hits, misses)] == [1] * len(kernels), (hits, misses)
        assert any(hits) and any(misses), (hits, misses)
    """
    run_script(script, blobs, env={"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_NUM_THREADS": "2"})


def test_processes_share_the_kernels_out_between_them(tmp_path):
    done, met = [], threading.Barrier(3)

    def take(who):
        met.wait()
        runtime._compile_unclaimed([partial(done.append, number) for number in range(200)], str(tmp_path))

    threads = [threading.Thread(target=take, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(200))


def test_without_room_for_temporary_files_kernels_are_compiled_all_the_same(two_cores, monkeypatch, tmp_path):
    """No folder for them, or none that takes a file: this process does the work."""
    done = []
    runtime._compile_unclaimed([partial(done.append, number) for number in range(3)], str(tmp_path / "gone"))
    assert done == [0, 1, 2]
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(runtime, "_start_helper", lambda uses, claims: pytest.fail("a helper was started"))
    warm_up(USES)


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 2)


def test_what_goes_wrong_here_ends_the_helper(two_cores, monkeypatch, tmp_path):
    helpers = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            helpers.append(self)

    def fail(*arguments):
        raise RuntimeError("here")

    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(runtime, "_compile_unclaimed", fail)
    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with pytest.raises(RuntimeError, match="here"):
        warm_up(USES)
    assert [helper.poll() is not None for helper in helpers] == [True]
    assert not list(tmp_path.iterdir())


def test_the_helper_does_not_look_into_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text("raise SystemExit(3)")
    (tmp_path / "claims").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    helper = runtime._start_helper(USES, str(tmp_path / "claims"))
    assert helper is not None and helper.wait(timeout=300) == 0
    assert len(list((tmp_path / "claims").iterdir())) == 2 * len(USES)


@pytest.mark.parametrize("executable", ["", "/no/such/python"])
def test_there_need_not_be_a_helper(executable, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "executable", executable)
    warm_up(USES)


def test_no_helper_where_the_kernels_are_cached(two_cores, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    warm_up(USES)
    monkeypatch.setattr(runtime, "_start_helper", lambda uses, claims: pytest.fail("a helper was started"))
    warm_up(USES)


def test_another_use_of_the_same_operators_is_warmed_up_by_itself(two_cores, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    warm_up(USES)
    asked = []
    monkeypatch.setattr(runtime, "_start_helper", lambda uses, claims: asked.append(uses))
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

"""Training: it learns, it can be stopped in any way and goes on with the same bits, and it notices when it fails."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import nerf_mini.training.loop as training_module
from autodiff import tree
from nerf_mini.cli.program import main
from nerf_mini.config import to_dict
from nerf_mini.errors import UserError
from nerf_mini.io.images import read_image
from nerf_mini.models import draw_batch
from nerf_mini.runs.checkpoint import checkpoint_files, load
from nerf_mini.runs.folder import open_run
from nerf_mini.training.loop import Progress, final_evaluation, resume, start, train, train_step


def arrays(path):
    """Everything in a checkpoint but the seconds it took."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    meta = json.loads(str(content.pop("meta")))
    meta.pop("seconds")
    return content, meta


def last_checkpoint(run):
    return checkpoint_files(run / "checkpoints")[-1]


def assert_same_bits(first, second):
    (a, meta_a), (b, meta_b) = arrays(last_checkpoint(first)), arrays(last_checkpoint(second))
    assert meta_a == meta_b
    assert a.keys() == b.keys() and len(a) > 6
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes(), name


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def trained(scene, path, config, **options):
    train(start(scene, path, config), **options)
    return path


@pytest.fixture(scope="module")
def straight(tmp_path_factory, blobs, tiny_config):
    """A training of 40 steps that ran through."""
    return trained(blobs, tmp_path_factory.mktemp("straight") / "run", tiny_config(max_steps=40))


# -- learning ----------------------------------------------------------------------------------------------------------


def test_the_loss_falls(tmp_path, blobs, tiny_config):
    losses = []
    trained(
        blobs,
        tmp_path / "run",
        tiny_config(max_steps=80),
        progress=Progress(step=lambda s, m: losses.append(m["loss"])),
    )
    assert len(losses) == 80
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


@pytest.mark.slow
@pytest.mark.parametrize(("method", "seconds", "least"), [("instant", 60, 32), ("nerf", 120, 27)])
def test_the_default_presets_learn_the_default_scene(tmp_path, method, seconds, least):
    """In this time on two cores, compilation included, at least so many dB on views never seen."""
    data, output = Path(__file__).parents[2] / "data" / "shapes", tmp_path / "run"
    command = ["train", str(data), "--method", method, "--output", str(output), "--max-seconds", str(seconds)]
    assert main(command) == 0
    assert final_evaluation(resume(output))["psnr"] > least


def test_what_a_run_folder_holds(run_folder):
    assert sorted(p.name for p in run_folder.iterdir()) == [
        "cameras.json", "checkpoints", "config.json", "metrics.jsonl", "renders",
    ]  # fmt: skip
    assert [p.name for p in checkpoint_files(run_folder / "checkpoints")] == ["step-0000016.npz", "step-0000020.npz"]
    steps = [entry["step"] for entry in metrics(run_folder) if "loss" in entry]
    assert steps == list(range(2, 21, 2))
    entry = metrics(run_folder)[0]
    assert {"step", "seconds", "loss", "psnr", "learning_rate", "rays"} <= entry.keys()


def test_validation_pictures_show_render_and_truth_side_by_side(run_folder, blobs):
    pictures = sorted((run_folder / "renders" / "validation").iterdir())
    assert [p.name for p in pictures] == ["step-0000010.png", "step-0000020.png"]
    image = read_image(pictures[-1])
    assert image.shape == (16, 32, 3)
    truth = read_image(blobs / "val" / "r_000.png").astype(float)
    alpha = truth[..., 3:] / 255
    np.testing.assert_allclose(image[:, 16:], truth[..., :3] * alpha + 255 * (1 - alpha), atol=1)
    validations = [entry for entry in metrics(run_folder) if "validation_psnr" in entry]
    assert [entry["step"] for entry in validations] == [10, 20]


def test_early_steps_draw_from_the_centre_of_the_images(tmp_path, blobs, tiny_config, monkeypatch):
    seen = []
    original = training_module.draw_batch
    monkeypatch.setattr(
        training_module, "draw_batch", lambda views, rays, background, crop, rng: seen.append(crop)
        or original(views, rays, background, crop, rng),
    )  # fmt: skip
    trained(blobs, tmp_path / "run", tiny_config(max_steps=5, crop_steps=3, crop_fraction=0.25))
    assert seen == [0.25, 0.25, 0.25, 1.0, 1.0]


# -- the same bits -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path, blobs, tiny_config, straight):
    assert_same_bits(trained(blobs, tmp_path / "same", tiny_config(max_steps=40)), straight)
    other = trained(blobs, tmp_path / "other", tiny_config(max_steps=40, seed=1))
    (a, _), (b, _) = arrays(last_checkpoint(other)), arrays(last_checkpoint(straight))
    assert all(np.any(a[name] != b[name]) for name in a if name.endswith("weight"))


def test_the_number_of_threads_does_not_change_a_bit(tmp_path, blobs, tiny_config):
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            trained(blobs, tmp_path / str(threads), tiny_config(max_steps=10, density_noise=0.5))
    finally:
        numba.set_num_threads(before)
    assert_same_bits(tmp_path / "1", tmp_path / "2")


KILLED = """
    import json, os, signal, sys
    from pathlib import Path
    from nerf_mini.config import from_dict
    from nerf_mini.training.loop import Progress, start, train

    scene, output, config = sys.argv[1:]
    training = start(Path(scene), Path(output), from_dict(json.loads(config), "test"))
    def kill(step, metrics):
        if step == 29:
            os.kill(os.getpid(), signal.SIGKILL)
    train(training, progress=Progress(step=kill))
"""


def test_killed_and_resumed_ends_with_the_same_bits(tmp_path, blobs, tiny_config, straight):
    """SIGKILL in step 29 of 40, after the checkpoint of step 24 and lines of metrics up to step 28."""
    output = tmp_path / "run"
    config = json.dumps(to_dict(tiny_config(max_steps=40)))
    code = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(blobs), str(output), config], timeout=300
    ).returncode
    assert code == -signal.SIGKILL
    assert last_checkpoint(output).name == "step-0000024.npz"
    assert metrics(output)[-1]["step"] == 28
    with open(output / "metrics.jsonl", "a") as file:
        file.write('{"step": 30, "lo')  # as if killed while writing

    training = resume(output)
    assert training.step == 24
    train(training)
    assert_same_bits(output, straight)
    for kind in ("loss", "validation_psnr"):
        found, wanted = ([(e["step"], e[kind]) for e in metrics(run) if kind in e] for run in (output, straight))
        assert found == wanted, "each step once, with the same figures"


def test_killed_before_its_first_checkpoint_a_run_can_be_resumed(tmp_path, blobs, tiny_config, straight):
    output = tmp_path / "run"
    start(blobs, output, tiny_config(max_steps=40))  # and nothing more
    train(resume(output))
    assert_same_bits(output, straight)


def test_a_finished_run_goes_on_with_more_steps(tmp_path, blobs, tiny_config, straight):
    output = trained(blobs, tmp_path / "run", tiny_config(max_steps=17))
    train(resume(output, tiny_config(max_steps=40)))
    assert_same_bits(output, straight)


def test_resuming_a_finished_run_changes_nothing(own_run):
    before = arrays(last_checkpoint(own_run))
    assert train(resume(own_run)) == "steps"
    after = arrays(last_checkpoint(own_run))
    assert before[1] == after[1] and all(np.array_equal(before[0][k], after[0][k]) for k in before[0])


# -- stopping ----------------------------------------------------------------------------------------------------------


def at_step(step, action):
    """`train_step`, with something done during the given step."""

    def patched(training, *rest):
        if training.step + 1 == step:
            action(training)
        return train_step(training, *rest)

    return patched


def test_ctrl_c_saves_and_the_printed_command_continues(tmp_path, blobs, tiny_options, straight, capsys, monkeypatch):
    output = tmp_path / "a run"  # with a space, as folders have
    arguments = ["train", str(blobs), "--output", str(output), *tiny_options, "--max-steps", "40"]
    monkeypatch.setattr(
        training_module, "train_step", at_step(13, lambda training: os.kill(os.getpid(), signal.SIGINT))
    )
    handler = signal.getsignal(signal.SIGINT)
    assert main(arguments) == 0
    assert signal.getsignal(signal.SIGINT) is handler
    printed = capsys.readouterr().out
    assert "interrupted at step 13, which is saved" in printed
    assert last_checkpoint(output).name == "step-0000013.npz"

    monkeypatch.undo()
    command = next(line for line in printed.splitlines() if "--resume" in line)
    program, *again = shlex.split(command)
    assert program == "nerf-mini"
    assert main(again) == 0
    assert_same_bits(output, straight)


def test_ctrl_c_in_a_training_bound_by_time_prints_the_time_that_is_left(
    tmp_path, blobs, tiny_options, capsys, monkeypatch
):
    at = tiny_options.index("--max-steps")
    options = tiny_options[:at] + tiny_options[at + 2 :]
    monkeypatch.setattr(training_module, "train_step", at_step(5, lambda training: os.kill(os.getpid(), signal.SIGINT)))
    assert main(["train", str(blobs), "--output", str(tmp_path / "run"), *options, "--max-seconds", "100"]) == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "--resume" in line)
    monkeypatch.undo()
    _, *again, seconds = shlex.split(command)
    assert again[-1] == "--max-seconds" and 50 < int(seconds) <= 100
    assert main([*again, "1"]) == 0
    rates = [entry["learning_rate"] for entry in metrics(tmp_path / "run") if "loss" in entry]
    assert rates[0] > 9e-3 and rates[-1] < 1.5e-3, "the rate decays from 1e-2 to 1e-3 over the time"


def test_a_bound_on_the_time_leaves_the_schedule_of_a_resumed_run_alone(tmp_path, blobs, tiny_config, straight):
    output = trained(blobs, tmp_path / "run", tiny_config(max_steps=40), max_seconds=1e-9)
    assert last_checkpoint(output).name == "step-0000001.npz"
    assert main(["train", str(blobs), "--output", str(output), "--resume", "--max-seconds", "100"]) == 0
    assert_same_bits(output, straight)


def test_a_second_ctrl_c_stops_at_once(tmp_path, blobs, tiny_config, monkeypatch):
    def twice(training):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training_module, "train_step", at_step(3, twice))
    training = start(blobs, tmp_path / "run", tiny_config())
    with pytest.raises(KeyboardInterrupt):
        train(training)
    assert training.step == 2


def test_max_seconds_bounds_the_time(tmp_path, blobs, tiny_config):
    training = start(
        blobs, tmp_path / "run", tiny_config(max_steps=10**6, validate_every=10**6, checkpoint_every=10**6)
    )
    started = time.perf_counter()
    assert train(training, max_seconds=0.5) == "time"
    assert 0.5 <= time.perf_counter() - started < 5
    assert training.step > 0
    assert last_checkpoint(tmp_path / "run").name == f"step-{training.step:07d}.npz"


def test_seconds_count_on_after_a_resume(tmp_path, blobs, tiny_config):
    train(start(blobs, tmp_path / "run", tiny_config(max_steps=4)))
    first = resume(tmp_path / "run").state.seconds
    training = resume(tmp_path / "run", tiny_config(max_steps=8))
    train(training)
    assert training.state.seconds > first > 0
    seconds = [entry["seconds"] for entry in metrics(tmp_path / "run") if "loss" in entry]
    assert seconds == sorted(seconds)


# -- failing -----------------------------------------------------------------------------------------------------------


def poison(training):
    training.state.parameters["fine"]["density"]["bias"][:] = np.nan


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_not_finite_stops_with_step_seed_and_last_good_checkpoint(
    tmp_path, blobs, tiny_config, monkeypatch
):
    monkeypatch.setattr(training_module, "train_step", at_step(13, poison))
    with pytest.raises(UserError) as error:
        trained(blobs, tmp_path / "run", tiny_config(seed=5))
    good = tmp_path / "run" / "checkpoints" / "step-0000008.npz"
    for part in ("loss", "nan", "step 13", "seed 5", str(good), "--learning-rate"):
        assert part in str(error.value)
    assert last_checkpoint(tmp_path / "run") == good


def test_a_checkpoint_is_never_written_after_a_gradient_that_is_not_finite(tmp_path, blobs, tiny_config, monkeypatch):
    """The loss of step 8 is finite, its gradient is not: the checkpoint due after step 8 would be spoilt."""
    training = start(blobs, tmp_path / "run", tiny_config(seed=5))
    honest = training.method.loss_and_gradient

    def spoilt(parameters, batch, rng):
        losses, gradient = honest(parameters, batch, rng)
        if training.step + 1 == 8:
            gradient["coarse"]["layer0"]["weight"][0, 0] = np.inf
        return losses, gradient

    monkeypatch.setattr(training.method, "loss_and_gradient", spoilt)
    with pytest.raises(UserError, match=r"gradient is not finite at step 8 \(seed 5\)"):
        train(training)
    run = open_run(tmp_path / "run")
    for path in checkpoint_files(run.checkpoints):
        state = load(path, training.state.parameters)
        assert all(np.isfinite(leaf).all() for leaf in tree.flatten(state.parameters)[0])


def kill_density(training):
    for network in training.state.parameters.values():
        network["density"]["bias"][:] = -1e3


@pytest.mark.parametrize("background", ["auto", "random"])
def test_a_collapse_to_the_background_is_detected(tmp_path, blobs, tiny_config, monkeypatch, background):
    """ReLU densities that are zero everywhere have no gradient: every ray shows the background for ever."""
    monkeypatch.setattr(training_module, "COLLAPSE_AFTER", 10)
    monkeypatch.setattr(training_module, "train_step", at_step(3, kill_density))
    config = tiny_config(density_activation="relu", seed=3, background=background)
    with pytest.raises(UserError, match=r"collapsed.*step 1\d .*seed 3.*--seed.*softplus"):
        trained(blobs, tmp_path / "run", config)


@pytest.mark.parametrize("background", ["auto", "random"])
def test_a_healthy_training_is_no_collapse(tmp_path, blobs, tiny_config, monkeypatch, background):
    monkeypatch.setattr(training_module, "COLLAPSE_AFTER", 0)
    assert train(start(blobs, tmp_path / "run", tiny_config(background=background))) == "steps"


def test_pictures_of_one_colour_are_no_collapse(tmp_path, blobs, tiny_config, monkeypatch):
    monkeypatch.setattr(training_module, "COLLAPSE_AFTER", 3)
    monkeypatch.setattr(training_module, "train_step", at_step(2, kill_density))
    training = start(blobs, tmp_path / "run", tiny_config(density_activation="relu"))
    views = training.scene.splits["train"]
    empty = dataclasses.replace(views, images=np.zeros_like(views.images))
    training.scene = dataclasses.replace(training.scene, splits={**training.scene.splits, "train": empty})
    assert train(training) == "steps"


def test_a_dead_coarse_network_is_a_collapse_too(blobs, tmp_path, tiny_config):
    """Nothing would be sampled where the scene is; the fine network alone hides that."""
    training = start(blobs, tmp_path / "run", tiny_config(density_activation="relu"))
    training.state.parameters["coarse"]["density"]["bias"][:] = -1e3
    batch = draw_batch(training.scene.splits["train"], 64, "white", 1.0, np.random.default_rng(0))
    parts, _ = training.method.loss_and_gradient(training.state.parameters, batch, np.random.default_rng(0))
    assert parts["spread"] == 0

"""Training into a folder: stopped in any way, it goes on with the same bits; trainers become runs and back."""

import gc
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from autodiff import tree
from nerf_mini.cli.program import main
from nerf_mini.config import to_dict, with_settings
from nerf_mini.errors import UserError
from nerf_mini.io.images import read_image
from nerf_mini.models import make_model
from nerf_mini.ops import BFLOAT16
from nerf_mini.runs.checkpoint import checkpoint_files, save
from nerf_mini.runs.folder import open_run, truncate_metrics
from nerf_mini.runs.restoring import load_trainer, save_trainer, shapes_of
from nerf_mini.runs.session import resume, start
from nerf_mini.scenes import load_scene, scene_from_arrays
from nerf_mini.training import Calibration, Trainer


def arrays(path):
    """Everything in a checkpoint but the seconds it took."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files if name != "checksum"}
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
    """What the lines of a run say, without their checksums."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(line.pop("crc32") for line in lines)
    return lines


def timeless(run):
    """The lines of metrics without times."""
    return [{**entry, "seconds": 0} for entry in metrics(run)]


def trained(scene, path, config, **options) -> Path:
    start(scene, path, config).train(**options)
    return path


@pytest.fixture(scope="module")
def straight(tmp_path_factory, blobs, tiny_config) -> Path:
    """40 steps without a break."""
    return trained(blobs, tmp_path_factory.mktemp("straight") / "run", tiny_config(max_steps=40))


def test_a_run_leaves_the_promised_files(run_folder):
    assert sorted(p.name for p in run_folder.iterdir()) == [
        "cameras.json", "checkpoints", "config.json", "metrics.jsonl", "pictures.json", "renders"
    ]  # fmt: skip
    assert [p.name for p in checkpoint_files(run_folder / "checkpoints")] == ["step-0000016.npz", "step-0000020.npz"]
    entries = [entry for entry in metrics(run_folder) if "loss" in entry]
    assert [entry["step"] for entry in entries] == list(range(2, 21, 2))
    assert all(
        entry.keys() == {"step", "seconds", "loss", "psnr", "learning_rate", "rays"} and entry["rays"] == 128
        for entry in entries
    )
    assert [e["step"] for e in metrics(run_folder) if "validation_psnr" in e] == [10, 20]
    picture = read_image(run_folder / "renders" / "validation" / "step-0000010.png")
    assert picture.shape == (16, 32, 3), "rendering and truth side by side"
    for name in ("config.json", "cameras.json"):
        assert json.loads((run_folder / name).read_text())["format"] == 3


def test_the_learning_rate_decays_over_the_steps_of_the_run(blobs, tmp_path, tiny_config):
    trained(blobs, tmp_path / "run", tiny_config(max_steps=20, decay_steps=None))
    rates = {entry["step"]: entry["learning_rate"] for entry in metrics(tmp_path / "run") if "loss" in entry}
    assert rates[2] == pytest.approx(1e-2 * 0.1 ** (1 / 20)) and rates[20] == pytest.approx(1e-2 * 0.1 ** (19 / 20))


def test_starting_a_run_draws_once_and_resuming_draws_nothing(blobs, tmp_path, tiny_config, monkeypatch):
    from nerf_mini.fields import MLPField

    drawn = []
    real = MLPField.init
    monkeypatch.setattr(MLPField, "init", lambda self, rng, *rest: drawn.append(type(rng)) or real(self, rng, *rest))
    start(blobs, tmp_path / "run", tiny_config())
    assert drawn.count(np.random.Generator) == 2, "the coarse and the fine network, once each"
    drawn.clear()
    resume(tmp_path / "run")
    assert np.random.Generator not in drawn


# -- stopping and going on ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["nerf", "instant"])
def test_a_resumed_run_has_the_same_bits(tmp_path, blobs, tiny, tiny_config, straight, method):
    config = tiny_config(max_steps=40) if method == "nerf" else with_settings(tiny, max_steps=40)
    whole = straight if method == "nerf" else trained(blobs, tmp_path / "whole", config)
    cut = trained(blobs, tmp_path / "cut", with_settings(config, max_steps=17))
    resume(cut, config).train()
    assert_same_bits(cut, whole)
    assert timeless(cut) == timeless(whole)


KILLED = """
    import json, os, signal, sys
    from pathlib import Path
    from nerf_mini.config import from_dict
    from nerf_mini.runs.session import start

    scene, output, config, number = sys.argv[1:]
    session = start(Path(scene), Path(output), from_dict(json.loads(config), "test"))
    end = session.train(on_step=lambda report: report.step == 21 and os.kill(os.getpid(), int(number)))
    sys.exit({"interrupted": 3}.get(end, 0))
"""


@pytest.mark.parametrize(
    ("number", "code", "saved"),
    [(signal.SIGKILL, -9, 16), (signal.SIGTERM, 3, 21), (signal.SIGHUP, 3, 21), (signal.SIGINT, 3, 21)],
)
def test_a_killed_run_goes_on_with_the_same_bits(tmp_path, blobs, tiny_config, straight, number, code, saved):
    """SIGTERM, SIGHUP and Ctrl-C finish the step and save; SIGKILL tells nobody, and the last checkpoint counts."""
    output, config = tmp_path / "run", json.dumps(to_dict(tiny_config(max_steps=40)))
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(blobs), str(output), config, str(int(number))]
    done = subprocess.run(command, timeout=300)
    assert done.returncode == code
    assert last_checkpoint(output).name == f"step-{saved:07d}.npz"
    session = resume(output)
    assert session.trainer.step_count == saved
    assert max(entry["step"] for entry in metrics(output)) <= saved
    session.train()
    assert_same_bits(output, straight)
    assert timeless(output) == timeless(straight)


def test_killed_before_its_first_step_a_run_can_be_resumed(tmp_path, blobs, tiny_config, straight):
    start(blobs, tmp_path / "run", tiny_config(max_steps=40))  # and nothing more
    resume(tmp_path / "run").train()
    assert_same_bits(tmp_path / "run", straight)


def interrupting(step, times=1, number=signal.SIGINT):
    """An `on_step` that presses Ctrl-C after a step, or sends another signal."""

    def press(report):
        for _ in range(times if report.step == step else 0):
            os.kill(os.getpid(), number)

    return press


def test_ctrl_c_saves_and_the_printed_command_continues(tmp_path, blobs, tiny_options, straight, capsys, monkeypatch):
    output = tmp_path / "a run"  # with a space, as folders have
    original = Trainer.step
    monkeypatch.setattr(
        Trainer, "step",
        lambda self, *rest: (self.step_count == 12 and os.kill(os.getpid(), signal.SIGINT), original(self, *rest))[1],
    )  # fmt: skip
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["train", str(blobs), "--output", str(output), *tiny_options, "--max-steps", "40"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    printed = capsys.readouterr().out
    assert "interrupted at step 13, which is saved" in printed
    assert last_checkpoint(output).name == "step-0000013.npz"
    monkeypatch.undo()
    program, *again = shlex.split(next(line for line in printed.splitlines() if "--resume" in line))
    assert program == "nerf-mini"
    assert main(again) == 0
    # --max-steps 40 in place of 20 decays over the same --decay-steps
    assert_same_bits(output, straight)


def test_ctrl_c_in_a_run_bound_by_time_prints_the_time_that_is_left(tmp_path, blobs, tiny_options, capsys, monkeypatch):
    options = list(tiny_options)
    for bound in ("--max-steps", "--decay-steps"):
        at = options.index(bound)
        del options[at : at + 2]
    original = Trainer.step
    monkeypatch.setattr(
        Trainer, "step",
        lambda self, *rest: (self.step_count == 4 and os.kill(os.getpid(), signal.SIGINT), original(self, *rest))[1],
    )  # fmt: skip
    assert main(["train", str(blobs), "--output", str(tmp_path / "run"), *options, "--max-seconds", "100"]) == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "--resume" in line)
    monkeypatch.undo()
    _, *again, seconds = shlex.split(command)
    assert again[-1] == "--max-seconds" and 20 < int(seconds) <= 100
    assert main([*again, "1"]) == 0
    rates = [entry["learning_rate"] for entry in metrics(tmp_path / "run") if "loss" in entry]
    assert rates[0] > 9e-3 and rates[-1] < 2e-3, "the rate decays from 1e-2 to 3e-4 or so over the time"


def test_a_second_ctrl_c_stops_at_once(tmp_path, blobs, tiny_config):
    session = start(blobs, tmp_path / "run", tiny_config())
    with pytest.raises(KeyboardInterrupt):
        session.train(on_step=interrupting(3, times=2))
    assert session.trainer.step_count == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_is_closed_may_tell_so_twice(tmp_path, blobs, tiny_config, number):
    handler = signal.getsignal(number)
    session = start(blobs, tmp_path / "run", tiny_config())
    assert session.train(on_step=interrupting(3, times=3, number=number)) == "interrupted"
    assert last_checkpoint(tmp_path / "run").name == "step-0000003.npz"
    assert signal.getsignal(number) == handler


def test_nohup_is_heeded(tmp_path, blobs, tiny_config):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        session = start(blobs, tmp_path / "run", tiny_config())
        assert session.train(on_step=interrupting(3, number=signal.SIGHUP)) == "steps"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_max_seconds_bounds_the_time(tmp_path, blobs, tiny_config):
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=10**6, validate_every=10**6, checkpoint_every=10**6))
    started = time.perf_counter()
    assert session.train(max_seconds=0.5) == "time"
    assert time.perf_counter() - started >= 0.5
    assert last_checkpoint(tmp_path / "run").name == f"step-{session.trainer.step_count:07d}.npz"


def test_seconds_count_on_after_a_resume(tmp_path, blobs, tiny_config):
    trained(blobs, tmp_path / "run", tiny_config(max_steps=4))
    first = resume(tmp_path / "run").trainer.state.seconds
    session = resume(tmp_path / "run", tiny_config(max_steps=8))
    session.train()
    assert session.trainer.state.seconds > first > 0
    seconds = [entry["seconds"] for entry in metrics(tmp_path / "run") if "loss" in entry]
    assert seconds == sorted(seconds)


def test_metrics_after_the_checkpoint_and_damaged_lines_are_dropped(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 2}\n[3]\n{"loss": 1}\n{"step": "x"}\n\xff\xfe\n{"step": 9}\n{"step": 4}\n{"st')
    truncate_metrics(file, 4)
    assert file.read_text() == '{"step": 2}\n{"step": 4}\n'


def test_a_run_that_diverges_names_its_last_good_checkpoint(tmp_path, blobs, tiny_config):
    session = start(blobs, tmp_path / "run", tiny_config())

    def poison(report):
        if report.step == 9:
            session.trainer.state.parameters["field"]["fine"]["density"]["bias"][:] = np.nan

    with pytest.raises(UserError, match=r"at step 10 .*step-0000008\.npz"):
        session.train(on_step=poison)
    assert last_checkpoint(tmp_path / "run").name == "step-0000008.npz"


# -- trainers and folders ----------------------------------------------------------------------------------------------


def test_a_trainer_is_saved_opened_and_saved_again(tmp_path, blobs, tiny_config):
    scene = load_scene(blobs)
    trainer = Trainer(tiny_config(max_steps=6), scene.cameras, scene)
    trainer.train(max_steps=6)
    assert save_trainer(trainer, tmp_path / "run") == tmp_path / "run"
    opened = load_trainer(tmp_path / "run")
    assert opened.step_count == 6 and opened.scene is not None and opened.config == trainer.config
    view = scene.splits["test"].cameras
    np.testing.assert_array_equal(opened.render(view).color, trainer.render(view).color)
    opened.train(max_steps=9)
    save_trainer(opened, tmp_path / "run")
    assert load_trainer(tmp_path / "run").step_count == 9
    assert open_run(tmp_path / "run").config.training.max_steps == 9
    assert main(["eval", str(tmp_path / "run")]) == 0
    with pytest.raises(UserError, match="holds step 9, later than step 6"):
        save_trainer(trainer, tmp_path / "run")
    other = Trainer(tiny_config(seed=7), scene.cameras, scene)
    with pytest.raises(UserError, match="holds another run"):
        save_trainer(other, tmp_path / "run")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "draft.txt").write_text("Dear")
    with pytest.raises(UserError, match="letters"):
        save_trainer(trainer, tmp_path / "letters")


def test_a_run_of_a_scene_from_arrays_needs_its_data_to_go_on(tmp_path, blobs, tiny_config):
    views = load_scene(blobs).splits["train"]
    images = [views.image(index) for index in range(len(views))]

    def scene_of(poses):
        return scene_from_arrays(images, poses, 22.0, near=2.0, far=6.0, held_out=[0])

    scene = scene_of(views.cameras.poses)
    trainer = Trainer(tiny_config(max_steps=4), scene.cameras, scene)
    trainer.train()
    save_trainer(trainer, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"] is None
    assert main(["render", str(tmp_path / "run"), "--views", "1"]) == 0
    opened = load_trainer(tmp_path / "run")
    assert opened.scene is None
    with pytest.raises(UserError, match="without its data"):
        opened.step()
    with pytest.raises(UserError, match="made from arrays"):
        resume(tmp_path / "run")
    assert load_trainer(tmp_path / "run", scene).train(max_steps=6) == "steps"
    with pytest.raises(UserError, match="another data set"):
        load_trainer(tmp_path / "run", scene_of(views.cameras.poses[::-1]))


def test_a_damaged_checkpoint_is_told_to_the_log_by_default(own_run, caplog):
    last_checkpoint(own_run).write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING, "nerf_mini"):
        assert load_trainer(own_run).step_count == 16
    assert "damaged" in caplog.text and "Falling back to the checkpoint of step 16" in caplog.text
    told = []
    load_trainer(own_run, warn=told.append)
    assert len(told) == 1


def test_learnt_cameras_are_kept_in_checkpoints(tmp_path, blobs, tiny_config):
    """What stands beside the field among the parameters comes back, and the field's shapes are still checked."""
    scene = load_scene(blobs)
    config = tiny_config(refine="poses", exposure="per-image")
    trainer = Trainer(config, scene.cameras, scene)
    state = trainer.state
    state.parameters["cameras"]["poses"] += np.arange(60, dtype=np.float32).reshape(10, 6)
    save(tmp_path, state)
    from nerf_mini.runs.checkpoint import load

    model = make_model(config, trainer.cameras)
    shapes = shapes_of(model, trainer.calibration)
    found = load(checkpoint_files(tmp_path)[0], shapes)
    for one, other in zip(tree.flatten(found.parameters)[0], tree.flatten(state.parameters)[0], strict=True):
        np.testing.assert_array_equal(one, other)
    wider = shapes_of(make_model(tiny_config(width=17), trainer.cameras), trainer.calibration)
    for other in (wider, shapes_of(model), shapes_of(model, Calibration(tiny_config(refine="poses"), scene.cameras))):
        with pytest.raises(UserError, match="or of another model"):
            load(checkpoint_files(tmp_path)[0], other)


def test_a_run_that_learns_cameras_and_exposures_is_resumed_to_the_bit(tmp_path, blobs, tiny_config):
    """With detail still held back, and cameras not learnt yet, where it stops."""
    options = {"refine": "poses+focal+lens", "refine_from": 9, "coarse_steps": 14, "exposure": "per-image"}
    config = tiny_config(max_steps=20, checkpoint_every=8, **options)
    whole = start(blobs, tmp_path / "whole", config)
    whole.train()
    start(blobs, tmp_path / "half", with_settings(config, max_steps=8)).train()
    half = resume(tmp_path / "half", config)
    half.train()
    states = [session.trainer.state for session in (whole, half)]
    for one, other in zip(*(tree.flatten([s.parameters, s.optimiser.mean])[0] for s in states), strict=True):
        np.testing.assert_array_equal(one, other)
    refined = load_trainer(tmp_path / "whole").training_cameras
    np.testing.assert_array_equal(refined.poses, half.trainer.training_cameras.poses)
    assert np.abs(refined.poses - half.trainer.cameras.train.poses).max() > 1e-4
    assert np.ptp(np.log(refined.focal[:, 0] / half.trainer.cameras.train.focal[:, 0])) < 1e-9  # one camera took all


# -- what a run leaves, and going on with it ---------------------------------------------------------------------------


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


def test_a_finished_run_goes_on_with_more_steps(tmp_path, blobs, tiny_config, straight):
    output = trained(blobs, tmp_path / "run", tiny_config(max_steps=17))
    resume(output, tiny_config(max_steps=40)).train()
    assert_same_bits(output, straight)


def test_resuming_a_finished_run_changes_nothing(own_run):
    before = arrays(last_checkpoint(own_run))
    assert resume(own_run).train() == "steps"
    after = arrays(last_checkpoint(own_run))
    assert before[1] == after[1] and all(np.array_equal(before[0][k], after[0][k]) for k in before[0])


def test_a_run_keeps_the_precision_it_began_with(tmp_path, blobs, tiny):
    run = start(blobs, tmp_path / "run", tiny).run
    assert open_run(run.path).config.precision == ("bfloat16" if BFLOAT16 else "float32")
    assert resume(run.path, tiny).run.config.precision == run.config.precision  # "auto" leaves it to the run


def test_a_precision_that_the_cpu_lacks_is_refused(tmp_path, blobs, tiny, monkeypatch):
    monkeypatch.setattr("nerf_mini.models.precision.BFLOAT16", False)
    with pytest.raises(UserError, match="no instructions for it"):
        start(blobs, tmp_path / "run", with_settings(tiny, precision="bfloat16"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "seconds", "least"), [("instant", 60, 32), ("nerf", 120, 27)])
def test_the_default_presets_learn_the_default_scene(tmp_path, method, seconds, least):
    """In this time on two cores, compilation included, at least so many dB on views never seen."""
    data, output = Path(__file__).parents[2] / "data" / "shapes", tmp_path / "run"
    command = ["train", str(data), "--method", method, "--output", str(output), "--max-seconds", str(seconds)]
    assert main(command) == 0
    assert resume(output).evaluate().psnr > least


# -- while somebody watches --------------------------------------------------------------------------------------------


def test_a_session_saves_on_request_and_not_twice(blobs, tmp_path, tiny_config, monkeypatch):
    import nerf_mini.runs.session as module

    written = []
    monkeypatch.setattr(module, "save", lambda folder, state: written.append(state.step) or save(folder, state))
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=10))
    assert session.saved_step is None

    def on_step(report):
        if report.step in (3, 8):
            session.save()
            assert session.saved_step == report.step

    session.train(on_step=on_step)
    assert written == [3, 8, 10], "step 8 was due anyway"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_whoever_holds_up_a_training_sees_the_interruption(blobs, tmp_path, tiny_config):
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=10))
    assert not session.interrupted()

    def on_step(report):
        if report.step == 4:
            assert not session.interrupted()
            os.kill(os.getpid(), signal.SIGINT)
            while not session.interrupted():
                time.sleep(0.01)

    assert session.train(on_step=on_step) == "interrupted"
    assert last_checkpoint(tmp_path / "run").name == "step-0000004.npz"


def test_a_trainer_goes_with_its_session(blobs, tmp_path, tiny_config):
    """Its memory, which the collector of cycles knows nothing of, is free at once."""
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=2))
    trainer = weakref.ref(session.trainer)
    gc.disable()
    try:
        session.train(on_step=lambda report: None)
        del session
        assert trainer() is None
    finally:
        gc.enable()

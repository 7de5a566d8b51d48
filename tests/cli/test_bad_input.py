"""Bad input of every kind: exit code 2, a message that names the culprit and the remedy, and nothing half-written."""

import errno
import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nerf_mini.io.files as files
from autodiff import tree
from nerf_mini.cli.program import main
from nerf_mini.cli.progress import say
from nerf_mini.config import PRESETS
from nerf_mini.config.settings import setting_names
from nerf_mini.errors import UserError
from nerf_mini.models import make_model
from nerf_mini.runs.checkpoint import checkpoint_files, checksum, load
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.restoring import shapes_of
from nerf_mini.training import Trainer


def listing(folder: Path) -> dict[str, bytes | None]:
    """Everything under a folder, with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command line that must be refused: exit code 2, no traceback, no file touched. Returns the message."""

    def run(*arguments, unchanged=True) -> str:
        before = listing(tmp_path)
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit:  # how the parser of arguments refuses
            code = exit.code
        printed = capsys.readouterr()
        assert code == 2, printed.out
        assert "Traceback" not in printed.err
        if unchanged:
            assert listing(tmp_path) == before
        return printed.err

    return run


def assert_names(message: str, *parts) -> None:
    flat = " ".join(message.replace("│", " ").split())  # messages may be broken into lines, and framed
    for part in parts:
        assert str(part) in flat, f"{part!r} is missing in: {flat}"


# -- data sets ---------------------------------------------------------------------------------------------------------


def edit(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    if "checksum" in content:
        content["checksum"] = None  # a file of a run that was edited on purpose
    file.write_text(json.dumps(content))


def cut_off(scene):
    file = scene / "transforms_train.json"
    file.write_text(file.read_text()[:300])


def drop(*path):
    """Remove a key of the training split's JSON, given by its path."""

    def damage(scene):
        def change(content):
            for step in path[:-1]:
                content = content[step]
            del content[path[-1]]

        edit(scene / "transforms_train.json", change)

    return damage


def stretch_pose(scene):
    def change(content):
        pose = np.array(content["frames"][3]["transform_matrix"])
        pose[:3, 0] *= 2
        content["frames"][3]["transform_matrix"] = pose.tolist()

    edit(scene / "transforms_train.json", change)


def mirror_pose(scene):
    def change(content):
        pose = np.array(content["frames"][3]["transform_matrix"])
        pose[:3, 0] *= -1
        content["frames"][3]["transform_matrix"] = pose.tolist()

    edit(scene / "transforms_train.json", change)


def no_frames(split):
    return lambda scene: edit(scene / f"transforms_{split}.json", lambda content: content.update(frames=[]))


def truncated_image(scene):
    file = scene / "test" / "r_001.png"
    file.write_bytes(file.read_bytes()[:200])


DAMAGES = {
    "no-folder": (shutil.rmtree, ["scene", "no such file or folder"]),
    "no-data-set": (lambda s: [f.unlink() for f in s.glob("*.json")], ["scene", "transforms_train.json"]),
    "only-a-test-split": (lambda s: (s / "transforms_train.json").unlink(), ["transforms_train.json"]),
    "json-cut-off": (cut_off, ["transforms_train.json", "not valid JSON", "cut off"]),
    "json-no-object": (lambda s: (s / "transforms_val.json").write_text("[1]"), ["transforms_val.json", "object"]),
    "no-camera-angle": (drop("camera_angle_x"), ["transforms_train.json", "camera_angle_x"]),
    "no-frames-key": (drop("frames"), ["transforms_train.json", "frames"]),
    "frame-without-path": (drop("frames", 2, "file_path"), ["transforms_train.json", "frame 2", "file_path"]),
    "frame-without-pose": (drop("frames", 2, "transform_matrix"), ["train.json", "frame 2", "transform_matrix"]),
    "missing-image": (lambda s: (s / "train" / "r_003.png").unlink(), ["transforms_train.json", "frame 3", "r_003"]),
    "unreadable-image": (lambda s: (s / "train" / "r_003.png").write_bytes(b"no PNG" * 9), ["frame 3", "r_003.png"]),
    "truncated-image": (truncated_image, ["transforms_test.json", "frame 1", "r_001.png"]),
    "scaled-pose": (stretch_pose, ["transforms_train.json", "frame 3", "no rotation"]),
    "mirrored-pose": (mirror_pose, ["transforms_train.json", "frame 3", "mirrors"]),
    "no-training-frames": (no_frames("train"), ["transforms_train.json", "frames", "at least one"]),
    "no-test-frames": (no_frames("test"), ["transforms_test.json", "frames", "at least one"]),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_data_set_is_refused_before_anything_is_written(own_blobs, tmp_path, refused, damage, named):
    damage(own_blobs)
    message = refused("train", own_blobs, "--output", tmp_path / "run", "--max-steps", "1")
    assert_names(message, *named)
    assert not (tmp_path / "run").exists()


def test_damaged_npz_files_are_refused(tmp_path, refused):
    file = tmp_path / "views.npz"
    np.savez(file, images=np.zeros((4, 8, 8, 3)), poses=np.tile(np.eye(4), (4, 1, 1)))
    assert_names(refused("train", file, "--output", tmp_path / "run"), file, "focal")
    file.write_bytes(file.read_bytes()[:500])
    assert_names(refused("train", file, "--output", tmp_path / "run"), file, "complete")
    file.write_bytes(b"")
    assert_names(refused("train", file, "--output", tmp_path / "run"), file)


# -- settings ----------------------------------------------------------------------------------------------------------

BAD_SETTINGS = [
    ("--depth", "0"),
    ("--width", "1"),
    ("--width", "many"),
    ("--skip", "4", "--depth", "4"),
    ("--position-frequencies", "0"),
    ("--direction-frequencies", "-1"),
    ("--density-activation", "gelu"),
    ("--scale", "0"),
    ("--scale", "inf"),
    ("--coarse-samples", "2"),
    ("--fine-samples", "0"),
    ("--density-noise", "-1"),
    ("--density-noise", "nan"),
    ("--learning-rate", "-1"),
    ("--learning-rate", "nan"),
    ("--final-rate", "0"),
    ("--decay-steps", "0"),
    ("--beta1", "1"),
    ("--beta2", "-0.1"),
    ("--epsilon", "0"),
    ("--rays", "0"),
    ("--crop-steps", "-1"),
    ("--crop-fraction", "1.5"),
    ("--max-steps", "0"),
    ("--max-steps", "None"),
    ("--log-every", "0"),
    ("--checkpoint-every", "0"),
    ("--validate-every", "0"),
    ("--seed", "-1"),
    ("--near", "5", "--far", "3"),
    ("--far", "nan"),
    ("--downscale", "0"),
    ("--downscale", "0.5"),
    ("--downscale", "100"),
    ("--background", "green"),
    ("--max-seconds", "0"),
    ("--max-seconds", "nan"),
    ("--preset", "huge"),
    ("--method", "magic"),
    ("--finest-resolution", "0"),
    ("--march-steps", "8192"),
    ("--no-such-option", "1"),
]


@pytest.mark.parametrize("options", BAD_SETTINGS, ids=" ".join)
def test_a_bad_setting_is_refused_by_name(blobs, tmp_path, refused, options):
    method = (
        "nerf"
        if options[0].removeprefix("--").replace("-", "_") in setting_names(PRESETS["small"].config)
        else "instant"
    )
    message = refused("train", blobs, "--output", tmp_path / "run", "--max-steps", "1", "--method", method, *options)
    assert_names(message, options[0].removeprefix("--"))


@pytest.mark.parametrize(
    ("method", "option"), [("nerf", "--depth=3"), ("nerf", "--coarse_samples"), ("instant", "--levels")]
)
def test_a_setting_of_the_other_method_is_refused(blobs, tmp_path, refused, method, option):
    other = "instant" if method == "nerf" else "nerf"
    message = refused("train", blobs, "--method", other, "--output", tmp_path / "run", option, "7")
    assert_names(message, option, f"add --method {method}")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "usage"),
        (["paint"], "there is no verb 'paint'"),
        (["train"], "Folder or file of the data set"),
        (["eval"], "Run folder"),
        (["render"], "Run folder"),
        (["scene"], "Name of the scene"),
        (["scene", "castle", "--output", "x"], "the scenes are shapes, blobs, lattice, garden, facade"),
        (
            ["scene", "shapes", "--output", "x", "--lens", "fisheye"],
            "--lens is an option of the captures garden, facade",
        ),
        (["scene", "garden", "--output", "x", "--views", "1"], "at least 2 pictures"),
        (["scene", "garden", "--output", "x", "--format", "llff", "--lens", "fisheye"], "must be one of pinhole"),
    ],
)
def test_an_incomplete_command_line_is_refused(tmp_path, monkeypatch, capsys, arguments, named):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as exit:
        code = exit.code
    printed = capsys.readouterr()
    assert code == 2
    assert_names(printed.out + printed.err, named)
    assert not listing(tmp_path)


@pytest.mark.parametrize(("option", "value"), [("--size", "0"), ("--views", "0"), ("--seed", "-1")])
def test_a_scene_that_cannot_be_made_leaves_nothing(tmp_path, refused, option, value):
    assert_names(refused("scene", "blobs", "--output", tmp_path / "new", option, value), option.removeprefix("--"))


def test_a_scene_never_overwrites_a_folder(own_blobs, refused):
    assert_names(refused("scene", "blobs", "--output", own_blobs), own_blobs, "Choose another")


# -- run folders -------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_another_run_is_left_alone(own_run, blobs, tiny_options, refused):
    assert_names(refused("train", blobs, "--output", own_run, *tiny_options), own_run, "--resume", "--output")


def test_a_folder_that_holds_other_files_is_left_alone(tmp_path, blobs, tiny_options, refused):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "draft.txt").write_text("Dear")
    assert_names(refused("train", blobs, "--output", tmp_path / "letters", *tiny_options), "letters", "--output")


@pytest.mark.parametrize("place", ["note", "note/run"])
def test_an_output_that_cannot_be_a_folder_is_refused(tmp_path, blobs, tiny_options, refused, place):
    (tmp_path / "note").write_text("a file")
    assert_names(refused("train", blobs, "--output", tmp_path / place, *tiny_options), tmp_path / place)


@pytest.mark.parametrize("verb", ["eval", "render", "train"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, blobs, refused, verb):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        arguments = ["train", blobs, "--resume", "--output", folder] if verb == "train" else [verb, folder]
        assert_names(refused(*arguments), folder, "not a run folder", "config.json")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def forget(key):
    return lambda file: edit(file, lambda content: content.pop(key))


def in_model(change):
    return lambda file: edit(file, lambda content: change(content["config"]["model"]))


RUN_DAMAGES = {
    "config-cut-off": ("config.json", truncate, ["JSON"]),
    "config-lacks-data": ("config.json", forget("data"), ["'data'"]),
    "config-lacks-config": ("config.json", forget("config"), ["'config'"]),
    "config-no-object": ("config.json", lambda file: file.write_text("[]"), []),
    "config-unknown-key": ("config.json", lambda f: edit(f, lambda c: c["config"].update(magic=1)), ["'magic'"]),
    "config-lacks-setting": ("config.json", in_model(lambda m: m["network"].pop("width")), ["model.network.width"]),
    "config-lacks-section": ("config.json", in_model(lambda m: m.pop("network")), ["model.network"]),
    "config-wrong-type": ("config.json", in_model(lambda m: m["network"].update(width="w")), ["network.width", "'w'"]),
    "config-out-of-limits": ("config.json", in_model(lambda m: m["network"].update(width=0)), ["--width 0"]),
    "config-long-value": ("config.json", in_model(lambda m: m["network"].update(width="w" * 9999)), ["www..."]),
    "config-section-no-object": ("config.json", in_model(lambda m: m.update(network=3)), ["model.network"]),
    "config-unknown-method": ("config.json", in_model(lambda m: m.update(method="x")), ["model.method", "'x'"]),
    "config-method-no-name": ("config.json", in_model(lambda m: m.update(method=[])), ["model.method"]),
    "config-model-no-object": ("config.json", lambda f: edit(f, lambda c: c["config"].update(model=1)), ["model"]),
    "cameras-cut-off": ("cameras.json", truncate, ["JSON"]),
    "cameras-missing": ("cameras.json", Path.unlink, ["cannot be read"]),
    "cameras-lack-splits": ("cameras.json", forget("splits"), ["'splits'"]),
    "cameras-lack-background": ("cameras.json", forget("background"), ["'background'"]),
    "cameras-newer": (
        "cameras.json",
        lambda f: edit(f, lambda c: c.update(format=4)),
        ["format 4", "knows formats up to 3"],
    ),
    "config-newer": (
        "config.json",
        lambda f: edit(f, lambda c: c.update(format=9, version="9.1")),
        ["format 9", "nerf-mini '9.1'", "pip install --upgrade"],
    ),
    "config-format-no-number": ("config.json", lambda f: edit(f, lambda c: c.update(format="x")), ["'format' is 'x'"]),
    "config-says-it-is-old": ("config.json", lambda f: edit(f, lambda c: c.update(format=1)), ["lacks the key"]),
    "cameras-say-they-are-old": ("cameras.json", forget("format"), ["lacks the key 'intrinsics'"]),
    "config-data-no-path": ("config.json", lambda f: edit(f, lambda c: c.update(data=3)), ["'data' is 3"]),
    "config-changed": (
        "config.json",
        lambda file: file.write_text(file.read_text().replace('"seed": 0', '"seed": 1')),
        ["its checksum does not fit", "edited on purpose", '"checksum": null'],
    ),
    "cameras-lack-checksum": (
        "cameras.json",
        lambda file: file.write_text(file.read_text().replace('"checksum"', '"chccksum"')),
        ["lacks its checksum", '"checksum": null'],
    ),
    "cameras-no-object": ("cameras.json", lambda file: file.write_text("7"), []),
}


@pytest.mark.parametrize(("name", "damage", "named"), RUN_DAMAGES.values(), ids=RUN_DAMAGES.keys())
def test_a_damaged_run_is_refused(own_run, blobs, refused, name, damage, named):
    damage(own_run / name)
    for arguments in (["eval", own_run], ["render", own_run], ["train", blobs, "--output", own_run, "--resume"]):
        assert_names(refused(*arguments), own_run / name, *named)


def test_resuming_with_a_different_configuration_lists_the_differences(own_run, blobs, refused):
    message = refused(
        "train", blobs, "--output", own_run, "--resume", "--width", "32", "--seed", "9", "--max-steps", "50"
    )
    assert_names(
        message, own_run, "model.network.width: 16 in the run, 32 now", "seed: 0 in the run, 9 now", "--output"
    )
    assert message.count(" in the run, ") == 2


def test_resuming_with_another_preset_lists_the_differences(own_run, blobs, refused):
    message = refused("train", blobs, "--output", own_run, "--resume", "--preset", "paper")
    assert_names(message, "network.depth: 2 in the run, 8 now", "hierarchical.coarse_samples: 8 in the run, 64 now")


def test_resuming_on_another_data_set_is_refused(own_run, tmp_path, refused):
    assert (
        main(["scene", "blobs", "--output", str(tmp_path / "other"), "--size", "16", "--views", "10", "--seed", "1"])
        == 0
    )
    assert_names(
        refused("train", tmp_path / "other", "--output", own_run, "--resume"), tmp_path / "other", "another data set"
    )


def test_a_data_set_that_has_moved_is_asked_for(own_run, own_blobs, tmp_path, refused, capsys):
    edit(own_run / "config.json", lambda content: content.update(data=str(tmp_path / "gone")))
    assert_names(refused("eval", own_run), tmp_path / "gone", "--data")
    assert main(["eval", str(own_run), "--data", str(own_blobs)]) == 0
    assert main(["render", str(own_run), "--views", "1"]) == 0, "rendering needs no data set"


def test_a_split_that_the_data_set_lacks_is_refused(own_run, own_blobs, refused):
    (own_blobs / "transforms_test.json").unlink()
    assert_names(refused("eval", own_run, "--data", own_blobs), "no split 'test'", "train")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--path", "zigzag"], ["--path"]),
        (["--views", "0"], ["--views 0"]),
        (["--scale", "0"], ["--scale"]),
        (["--scale", "nan"], ["--scale"]),
        (["--scale", "1e-3"], ["--scale"]),
        (["--output", "film.avi"], ["film.avi", ".gif", ".mp4"]),
    ],
)
def test_a_rendering_that_cannot_be_made_is_refused(own_run, refused, monkeypatch, options, named):
    monkeypatch.chdir(own_run)
    assert_names(refused("render", own_run, *options), *named)


POSE = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("changes", "options", "named"),
    [
        ({"render_width": 8192, "render_height": 8192}, ["--scale", "16"], ["131072 x 131072", "--scale"]),
        ({"seconds": 86400}, ["--output", "film.gif"], ["2 frames in 86400 s", "--frames-per-second"]),
        ({"seconds": 0.001}, ["--output", "film.webp"], ["2 frames in 0.001 s", "--frames-per-second"]),
        ({}, ["--output", "film.gif", "--frames-per-second", "1e9"], ["--frames-per-second", "0.1 to 240"]),
        ({"camera_path": [{"camera_to_world": [*POSE[:3], 1e8, *POSE[4:]], "fov": 50}]}, [], ["further than 1e+06"]),
    ],
)
def test_a_film_that_cannot_be_made_is_refused(own_run, tmp_path, refused, monkeypatch, changes, options, named):
    monkeypatch.chdir(own_run)
    frames = [{"camera_to_world": POSE, "fov": 50}] * 2
    film = {"render_width": 8, "render_height": 6, "seconds": 1, "camera_path": frames, **changes}
    (tmp_path / "film.json").write_text(json.dumps(film))
    assert_names(refused("render", own_run, "--path", tmp_path / "film.json", *options), *named)


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", LONG], ["view", LONG], ["report", LONG], ["export", LONG], ["train", LONG], ["check", LONG],
        ["render", "RUN", "--path", LONG], ["render", "RUN", "--views", "1", "--output", LONG],
        ["report", "RUN", "--output", f"{LONG}.html"], ["report", "RUN", "--gallery", f"{LONG}.html"],
        ["export", "RUN", "points", "--points", "9", "--output", f"{LONG}.ply"],
        ["export", "RUN", "cameras", "--output", LONG], ["scene", "blobs", "--output", LONG],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)  # fmt: skip
def test_a_name_that_no_file_can_have_gets_a_sentence(own_run, refused, monkeypatch, arguments):
    monkeypatch.chdir(own_run)
    message = refused(*(str(own_run) if argument == "RUN" else argument for argument in arguments))
    assert message.startswith("nerf-mini: ") and len(message) < 900, message


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_an_output_has_no_characters_for_is_escaped(monkeypatch, encoding):
    output = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", output)
    say("run \udcff")
    assert output.buffer.getvalue() == b"run \\udcff" + os.linesep.encode()


def test_memory_that_runs_out_gets_a_sentence(own_run, refused, monkeypatch):
    def greedy(*arguments):
        raise MemoryError

    monkeypatch.setattr("nerf_mini.cli.verbs.evaluate.open_run", greedy)
    assert_names(refused("eval", own_run), "not enough memory")


def test_rendering_onto_a_file_is_refused(own_run, tmp_path, refused):
    (tmp_path / "note").write_text("a file")
    for place in (tmp_path / "note", tmp_path / "note" / "pictures", tmp_path / "note" / "film.gif"):
        assert_names(refused("render", own_run, "--views", "1", "--output", place), place)


def test_a_check_leaves_both_of_its_files_or_neither(own_blobs, tmp_path, refused):
    (tmp_path / "file").write_text("")
    good, bad = tmp_path / "new" / "good", tmp_path / "file" / "bad"
    for picture, report, named in ((good, bad, "bad.json"), (bad, good, "bad.png")):
        words = ("--picture", picture.with_suffix(".png"), "--json", report.with_suffix(".json"))
        assert f"file/{named}: cannot be written" in refused("check", own_blobs, "--quick", *words)
    assert not good.parent.exists()


def test_evaluating_no_view_is_refused(own_run, refused):
    assert_names(refused("eval", own_run, "--max-views", "0"), "--max-views 0")


# -- checkpoints -------------------------------------------------------------------------------------------------------


def loaded(file: Path, run_folder: Path):
    """A checkpoint of a run, which may lie elsewhere."""
    run = open_run(run_folder)
    return load(file, shapes_of(make_model(run.config, run.cameras)))


def assert_same_leaves(found, wanted) -> None:
    for one, other in zip(tree.flatten(found)[0], tree.flatten(wanted)[0], strict=True):
        np.testing.assert_array_equal(one, other)


CORRUPTIONS = {
    "truncated": truncate,
    "garbage": lambda file: file.write_bytes(b"\x00garbage" * 1000),
    "empty": lambda file: file.write_bytes(b""),
    "npy-instead": lambda file: np.save(open(file, "wb"), np.zeros(3)),
    "another-network": lambda file: np.savez(file, meta="{}", **{"parameters/coarse/layer0/weight": np.zeros(3)}),
    "meta-lacks-keys": lambda file: rewrite_meta(file, "{}"),
    "meta-no-object": lambda file: rewrite_meta(file, "3"),
    "another-step": lambda file: rewrite(
        file, "meta", lambda meta: np.array(str(meta).replace('"step": 20', '"step": 21'))
    ),
    "another-weight": lambda file: rewrite(file, WEIGHT, lambda weight: weight + 1),
    "another-kind": lambda file: rewrite(file, WEIGHT, lambda weight: weight.view(np.int32)),
    "another-shape": lambda file: rewrite(file, WEIGHT, lambda weight: weight.reshape(-1)),
    "one-array-less": lambda file: rewrite(file, WEIGHT, lambda weight: None),
    "no-checksum": lambda file: rewrite(file, "checksum", lambda checksum: None),
    "meta-bad-generator": lambda file: rewrite_meta(file, '{"step": 20, "seconds": 1, "rng": {"bit_generator": "X"}}'),
}


WEIGHT = "parameters/field/coarse/layer0/weight"


def rewrite(file, name, change):
    """Replace an array of a checkpoint, leaving every checksum as it was; None removes it."""
    with np.load(file) as archive:
        content = {name: archive[name] for name in archive.files}
    content[name] = change(content[name])
    np.savez(file, **{name: array for name, array in content.items() if array is not None})


def rewrite_meta(file, meta):
    """Replace the metadata, and make its checksum agree."""
    rewrite(file, "meta", lambda _: np.array(meta))
    rewrite(file, "checksum", lambda _: np.array(checksum(np.array(meta))))


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_a_corrupt_checkpoint_gives_way_to_the_one_before(own_run, run_folder, blobs, capsys, corrupt):
    """And from there the training ends with the same bits: the corrupt checkpoint is written again."""
    newest = checkpoint_files(own_run / "checkpoints")[-1]
    corrupt(newest)
    for verb in ("eval", "render"):
        assert main([verb, str(own_run), *(["--views", "1"] if verb == "render" else [])]) == 0
        assert_names(capsys.readouterr().out, newest, "damaged", "step 16")
    assert main(["train", str(blobs), "--output", str(own_run), "--resume"]) == 0
    assert_names(capsys.readouterr().out, newest, "damaged", "Falling back to the checkpoint of step 16")
    again, straight = (loaded(folder / "checkpoints" / newest.name, run_folder) for folder in (own_run, run_folder))
    assert_same_leaves(again.parameters, straight.parameters)


def test_without_any_readable_checkpoint_the_commands_refuse(own_run, blobs, refused):
    older, newest = checkpoint_files(own_run / "checkpoints")
    truncate(older)
    newest.write_bytes(b"")
    for arguments in (["eval", own_run], ["render", own_run], ["train", blobs, "--output", own_run, "--resume"]):
        assert_names(refused(*arguments), older, newest, "no checkpoint can be read")


def test_a_run_without_checkpoints_is_refused(own_run, refused):
    shutil.rmtree(own_run / "checkpoints")
    assert_names(refused("render", own_run), own_run / "checkpoints", "no checkpoint")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bits=st.lists(st.integers(0, 7), min_size=1, max_size=3, unique=True))
def test_flipped_bits_never_change_what_is_read(run_folder, tmp_path, where, bits):
    """A checkpoint is read as it was written or refused, whichever bits are damaged."""
    newest = checkpoint_files(run_folder / "checkpoints")[-1]
    content = bytearray(newest.read_bytes())
    for bit in bits:
        content[int(where * len(content))] ^= 1 << bit
    damaged = tmp_path / newest.name
    damaged.write_bytes(content)
    try:
        found = loaded(damaged, run_folder)
    except UserError as error:
        assert str(damaged) in str(error)
        return
    honest = loaded(newest, run_folder)
    assert (found.step, found.seconds) == (honest.step, honest.seconds)
    assert found.rng.bit_generator.state == honest.rng.bit_generator.state
    trees = [(state.parameters, state.optimiser.mean, state.optimiser.variance) for state in (found, honest)]
    assert_same_leaves(*trees)


# -- a disk that fills up ----------------------------------------------------------------------------------------------


class FullDisk(io.FileIO):
    """A file on a disk with room for some more bytes."""

    room = 0

    def write(self, data):
        if len(data) > FullDisk.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        FullDisk.room -= len(data)
        return super().write(data)


@pytest.fixture
def fill_disk(monkeypatch):
    """A function after which `room` bytes are left for files that are written atomically."""

    def fill(room=0):
        FullDisk.room = room
        monkeypatch.setattr(
            files,
            "open",
            lambda path, mode, **options: (FullDisk if "b" in mode else open)(path, mode, **options),
            raising=False,
        )

    return fill


def fill_disk_at(step, action, monkeypatch):
    original = Trainer.step

    def patched(trainer, *rest):
        if trainer.step_count + 1 == step:
            action()
        return original(trainer, *rest)

    monkeypatch.setattr(Trainer, "step", patched)


@pytest.mark.parametrize("room", [0, 5000])
def test_a_full_disk_costs_only_the_checkpoint_that_did_not_fit(
    tmp_path, blobs, tiny_options, run_folder, refused, fill_disk, monkeypatch, room
):
    """The disk fills up in step 11; the checkpoint due at 16 fails. With space again, the run resumes from step 8."""
    output = tmp_path / "run"
    fill_disk_at(11, lambda: fill_disk(room), monkeypatch)
    message = refused("train", blobs, "--output", output, *tiny_options, unchanged=False)
    assert_names(message, output / "checkpoints" / "step-0000016.npz", "disk is full", "--resume")
    assert [p.name for p in (output / "checkpoints").iterdir() if p.name > "step-0000000.npz"] == ["step-0000008.npz"]
    assert not list(output.rglob(".*")), "no temporary file stays behind"
    monkeypatch.undo()
    assert main(["train", str(blobs), "--output", str(output), "--resume"]) == 0
    newest = "step-0000020.npz"
    again, straight = (loaded(folder / "checkpoints" / newest, run_folder) for folder in (output, run_folder))
    assert_same_leaves(again.parameters, straight.parameters)


def test_metrics_on_a_full_disk_stop_with_a_clear_error(tmp_path, blobs, tiny_options, refused, monkeypatch):
    output = tmp_path / "run"
    metrics = output / "metrics.jsonl"

    def fill():
        metrics.unlink(missing_ok=True)
        metrics.symlink_to("/dev/full")  # accepts to be opened, refuses every byte

    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    fill_disk_at(10, fill, monkeypatch)
    message = refused("train", blobs, "--output", output, *tiny_options, unchanged=False)
    assert_names(message, metrics, "disk is full", "--resume")
    assert (output / "checkpoints" / "step-0000008.npz").exists()


@pytest.mark.parametrize("room", [0, 2500, 6000])
def test_a_run_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path, blobs, tiny_options, refused, fill_disk, room):
    """Full at the cameras, at the configuration, at the first checkpoint: in each case the same command works later."""
    fill_disk(room)
    message = refused("train", blobs, "--output", tmp_path / "run", *tiny_options)
    assert_names(message, tmp_path / "run", "disk is full")


def test_pictures_and_figures_on_a_full_disk(own_run, refused, fill_disk):
    fill_disk()
    assert_names(refused("eval", own_run), own_run / "eval" / "test.json", "disk is full")
    film = own_run / "orbit.gif"
    assert_names(refused("render", own_run, "--views", "2", "--output", film), film, "disk is full")

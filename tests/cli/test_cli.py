"""The command line, end to end, and each verb's promises."""

import json
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

import nerf_mini.cli.program as cli
from nerf_mini import __version__
from nerf_mini.cli.arguments import parse_train
from nerf_mini.cli.program import VERBS, main
from nerf_mini.config import PRESETS
from nerf_mini.geometry.keyframes import Keyframes
from nerf_mini.geometry.poses import rigid_motion
from nerf_mini.io.images import read_image, to_uint8
from nerf_mini.outputs.camera_paths import CameraPath, write_camera_path
from nerf_mini.outputs.free_views import free_cameras
from nerf_mini.outputs.video import VIDEOS, video_file
from nerf_mini.runs.evaluation import target_image
from nerf_mini.runs.restoring import load_trainer
from nerf_mini.scenes import load_scene

ROOT = Path(__file__).parents[2]


def ok(*arguments) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def exit_code(*arguments) -> int:
    with pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    return exit.value.code


# -- from nothing to novel views ---------------------------------------------------------------------------------------


def test_a_capture_is_made_in_the_format_that_is_asked_for(tmp_path, capsys):
    place = tmp_path / "garden"
    ok("scene", "garden", "--output", place, "--size", 16, "--views", 3, "--format", "colmap", "--passer-by")
    assert f"made: {place}" in capsys.readouterr().out
    assert sorted(path.name for path in place.iterdir()) == ["images", "masks", "sparse", "truth"]
    assert len(list((place / "images").iterdir())) == 3


def test_scene_train_eval_render(tmp_path, tiny_options, capsys):
    scene, run, film = tmp_path / "shapes", tmp_path / "run", tmp_path / "orbit.gif"
    ok("scene", "shapes", "--output", scene, "--size", 8, "--views", 5)
    ok("train", scene, "--output", run, *tiny_options)
    ok("eval", run)
    ok("render", run, "--views", 3, "--output", film)
    ok("export", run, "cameras")
    printed = capsys.readouterr()
    for promised in (
        "made: ",
        "run folder: ",
        "finished at step 20",
        "test PSNR ",
        "test: PSNR ",
        "rendered step 20",
        "cameras: ",
    ):
        assert promised in printed.out
    for promised in ("loss ", "PSNR ", " dB", "rays/s"):
        assert promised in printed.err, "the progress line"
    assert json.loads((run / "eval" / "test.json").read_text())["views"]
    assert json.loads((run / "exports" / "cameras" / "export.json").read_text())["step"] == 20
    assert Image.open(film).n_frames == 3


def test_a_run_is_named_after_its_data_set_and_resumes_by_the_data_set_alone(
    own_blobs, tmp_path, tiny_options, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ok("train", own_blobs, *tiny_options, "--max-steps", "3")
    run = tmp_path / "runs" / "scene-nerf"
    assert (run / "checkpoints" / "step-0000003.npz").exists()
    ok("train", own_blobs, "--resume", "--max-steps", "6")
    assert (run / "checkpoints" / "step-0000006.npz").exists()


# -- eval --------------------------------------------------------------------------------------------------------------


def test_eval_writes_figures_that_the_pictures_bear_out(own_run, capsys):
    ok("eval", own_run)
    result = json.loads((own_run / "eval" / "test.json").read_text())
    assert {"psnr", "ssim", "views", "seconds_per_view"} <= result.keys()
    assert result["split"] == "test" and result["step"] == 20 and result["seconds_per_view"] > 0
    assert [view["name"] for view in result["views"]] == ["r_000", "r_001"]
    trainer = load_trainer(own_run)
    views = trainer.scene.splits["test"]
    for index, row in enumerate(result["views"]):
        image = trainer.render(views.cameras, index).color
        mse = np.mean((image.astype(np.float64) - target_image(views, index, (1.0, 1.0, 1.0))) ** 2)
        assert row["psnr"] == pytest.approx(-10 * np.log10(mse))
        assert -1 <= row["ssim"] <= 1
    for key in ("psnr", "ssim"):
        assert result[key] == pytest.approx(np.mean([view[key] for view in result["views"]]))
    printed = capsys.readouterr().out
    assert f"test: PSNR {result['psnr']:.2f} dB, SSIM {result['ssim']:.4f}, mean of 2 views at step 20" in printed


def test_eval_of_other_splits_and_fewer_views(own_run):
    ok("eval", own_run, "--split", "train", "--max-views", 3)
    views = json.loads((own_run / "eval" / "train.json").read_text())["views"]
    assert [view["name"] for view in views] == ["r_000", "r_004", "r_009"], "evenly spread"
    ok("eval", own_run, "--split", "val")
    assert len(json.loads((own_run / "eval" / "val.json").read_text())["views"]) == 1


# -- render ------------------------------------------------------------------------------------------------------------


def test_render_writes_pictures_of_the_test_cameras_with_maps(own_run):
    ok("render", own_run, "--path", "test", "--maps")
    folder = own_run / "renders" / "test"
    assert sorted(p.name for p in folder.iterdir()) == [
        f"{kind}_{number:03d}.png" for kind in ("color", "depth", "opacity") for number in range(2)
    ]
    trainer = load_trainer(own_run)
    for number in range(2):
        image = trainer.render(trainer.cameras.splits["test"], number)
        np.testing.assert_array_equal(read_image(folder / f"color_{number:03d}.png"), to_uint8(image.color))
        opacity = iio.imread(folder / f"opacity_{number:03d}.png")
        assert opacity.shape[:2] == (16, 16)
        grey = opacity if opacity.ndim == 2 else opacity[..., 0]
        np.testing.assert_array_equal(grey, to_uint8(np.clip(image.opacity, 0, 1)))


@pytest.mark.parametrize("path", ["orbit", "spiral"])
def test_render_writes_a_looping_gif_of_as_many_frames_as_views(own_run, path):
    film = own_run / "films" / "film.gif"
    ok("render", own_run, "--path", path, "--views", 4, "--scale", 1.5, "--maps", "--output", film)
    with Image.open(film) as gif:
        assert gif.n_frames == 4 and gif.size == (24, 24) and gif.info["loop"] == 0
        assert gif.info["duration"] == pytest.approx(1000 / 15, abs=10)
    for name in ("film_depth.gif", "film_opacity.gif"):  # equal frames of which may have become one
        assert iio.imread(film.with_name(name)).shape[1:3] == (24, 24)
    assert len(list(film.parent.iterdir())) == 3


def test_render_writes_mp4_with_the_extra(own_run):
    pytest.importorskip("imageio_ffmpeg")
    film = own_run / "film.mp4"
    ok("render", own_run, "--views", 3, "--scale", 2.0625, "--output", film)  # 33 pixels: an odd size
    frames = iio.imread(film)
    assert frames.shape == (3, 34, 34, 3)


def test_render_follows_a_path_from_a_file(own_run, tmp_path):
    """A film through the first two test cameras, written in the world of the data set: its ends are theirs."""
    trainer = load_trainer(own_run)
    own = trainer.cameras.splits["test"]
    keyframes = Keyframes(own.poses[:2], 2 * np.arctan(0.5 * own.size[:2, 1] / own.focal[:2, 1]))
    film = CameraPath.through(keyframes, (16, 16), seconds=2, frames_per_second=3)
    write_camera_path(tmp_path / "film.json", film.in_world(trainer.cameras.to_capture))
    ok("render", own_run, "--path", tmp_path / "film.json", "--maps")
    folder = own_run / "renders" / "film"
    assert len(list(folder.glob("color_*.png"))) == len(list(folder.glob("depth_*.png"))) == 6
    free = free_cameras(trainer, own.poses[:1], keyframes.fields_of_view[:1], (16, 16))
    np.testing.assert_array_equal(read_image(folder / "color_000.png"), to_uint8(trainer.render(free).color))
    ok("render", own_run, "--path", tmp_path / "film.json", "--views", 3, "--scale", 2, "--output", own_run / "a.webp")
    with Image.open(own_run / "a.webp") as animation:
        animation.load()
        assert animation.n_frames == 3 and animation.size == (32, 32)
        assert animation.info["duration"] == pytest.approx(2000 / 3, abs=1)


def test_a_path_in_the_world_of_nerfstudio_is_brought_back(own_run, tmp_path):
    motion, scale = rigid_motion(np.array([0.1, -0.3, 0.2, 1.0, 2.0, 3.0])), 0.2
    similarity = np.diag([scale, scale, scale, 1.0]) @ motion
    file = tmp_path / "dataparser_transforms.json"
    file.write_text(json.dumps({"transform": motion[:3].tolist(), "scale": scale}))
    poses = load_trainer(own_run).cameras.splits["test"].poses[:1]
    film = CameraPath.through(Keyframes(poses, np.array([0.7])), (16, 16), seconds=1, frames_per_second=1)
    write_camera_path(tmp_path / "own.json", film)
    write_camera_path(tmp_path / "theirs.json", film.in_world(similarity))
    ok("render", own_run, "--path", tmp_path / "own.json")
    ok("render", own_run, "--path", tmp_path / "theirs.json", "--transform", file)
    own, theirs = (read_image(own_run / "renders" / name / "color_000.png") for name in ("own", "theirs"))
    assert np.abs(own.astype(int) - theirs).max() <= 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--path", "spirals"], "neither a file nor one of orbit"),
        (["--path", "."], "neither a file"),
        (["--transform", "x.json"], "--path FILE"),
        (["--frames-per-second", "0"], "from 0.1 to 240"),
        (["--frames-per-second", "nan"], "from 0.1 to 240"),
    ],
)
def test_paths_that_are_none_are_said(own_run, capsys, options, said):
    assert main(["render", str(own_run), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_film_that_fails_leaves_no_file(tmp_path):
    for suffix in VIDEOS:
        with pytest.raises(RuntimeError), video_file(tmp_path / f"film{suffix}") as film:
            film.add(np.zeros((8, 8, 3), np.uint8))
            raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_mp4_without_the_extra_names_it_before_any_work(own_run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # makes the import fail
    assert main(["render", str(own_run), "--output", str(own_run / "film.mp4")]) == 2
    assert 'pip install "nerf-mini[video]"' in capsys.readouterr().err
    assert not (own_run / "film.mp4").exists()


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        (
            "train",
            ["--method", "--preset", "--output", "--max-steps", "--max-seconds", "--seed", "--resume", "--downscale"],
        ),
        ("eval", ["--split", "--max-views", "--fit-test", "--scales", "--data"]),
        ("render", ["--path", "orbit", "spiral", "test", "--views", "--scale", "--output", "--maps"]),
        (
            "export",
            ["mesh", "points", "cameras", "maps", "--output", "--resolution", "--level", "--box", "--keep-unseen"],
        ),
        ("scene", ["--output", "--size", "--views", "--seed", "--format", "--lens", "--exposure", "--passer-by"]),
    ],
)
def test_help_of_a_verb_lists_its_options(verb, flags, capsys):
    assert exit_code(verb, "--help") == 0
    printed = capsys.readouterr().out
    assert all(flag in printed for flag in flags)


def test_help_lists_the_verbs_and_needs_no_compiler(capsys):
    ok("--help")
    printed = capsys.readouterr().out
    assert all(f"\n  {verb} " in printed for verb in VERBS)
    ok("--version")
    assert capsys.readouterr().out.strip() == f"nerf-mini {__version__}"
    code = (
        "import sys; from nerf_mini.cli.program import main; main(['--help'])\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "slow = {'numba', 'llvmlite', 'imageio', 'PIL'} & set(sys.modules); sys.exit(f'imported {slow}' if slow else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)


def test_every_setting_is_an_option(tiny_config, tiny_options):
    assert parse_train(["data", *tiny_options]).config == tiny_config()


def test_the_paper_preset_is_the_papers():
    """8 layers of 256, skip after 5, 64 + 128 samples, encodings of 10 and 4; and single options still override it."""
    config = parse_train(["data", "--preset", "paper"]).config
    assert config == PRESETS["paper"].config
    network, sampling = config.model.network, config.model.hierarchical
    assert (network.depth, network.width, network.skip) == (8, 256, 5)
    assert (network.position_frequencies, network.direction_frequencies) == (10, 4)
    assert (sampling.coarse_samples, sampling.fine_samples, network.density_activation) == (64, 128, "relu")
    assert (config.optimiser.learning_rate, config.optimiser.final_rate) == (5e-4, 5e-5)
    other = parse_train(["data", "--preset=paper", "--width", "128", "--skip", "None"]).config
    assert (other.model.network.width, other.model.network.skip, other.model.network.depth) == (128, None, 8)


SCRIPTS = [
    ("train", "train"), ("render", "render"), ("evaluate", "eval"), ("make_scene", "scene"), ("benchmark", "benchmark")
]  # fmt: skip


@pytest.mark.parametrize(("script", "verb"), SCRIPTS)
def test_the_scripts_are_the_verbs(script, verb, monkeypatch):
    called = []
    monkeypatch.setattr(cli, "main", lambda arguments: called.append(arguments) or 7)
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "here", "--seed", "3"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), run_name="__main__")
    assert exit.value.code == 7
    assert called == [[verb, "here", "--seed", "3"]]


@pytest.mark.parametrize(("script", "verb"), SCRIPTS)
def test_the_scripts_run_in_a_fresh_clone(script, verb, tmp_path):
    """Without installation, from any folder, in an interpreter that knows the dependencies alone."""
    run = (
        "import sys, runpy; script, *folders = sys.argv[1:]; sys.path += folders; sys.argv[1:] = ['--help']\n"
        "runpy.run_path(script, run_name='__main__')"
    )
    paths = sysconfig.get_paths()
    script_file = str(ROOT / "scripts" / f"{script}.py")
    command = [sys.executable, "-S", "-P", "-E", "-c", run, script_file, paths["purelib"], paths["platlib"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"usage: nerf-mini {verb}" in done.stdout


def test_the_module_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nerf_mini", "--version"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_module("nerf_mini", run_name="__main__")
    assert exit.value.code == 0 and __version__ in capsys.readouterr().out


def test_the_set_in_the_repository_is_ready_to_train_on():
    """data/shapes: under 3 MB, all splits, 100 x 100 pixels."""
    folder = ROOT / "data" / "shapes"
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 3e6
    scene = load_scene(folder)
    assert set(scene.splits) == {"train", "val", "test"}
    assert all((views.cameras.size == 100).all() for views in scene.splits.values())


def test_progressive_pictures_on_the_command_line(own_run, tmp_path, capsys):
    assert main(["render", str(own_run), "--views", "2", "--progressive", "--output", str(tmp_path / "sharp")]) == 0
    assert main(["render", str(own_run), "--views", "2", "--output", str(tmp_path / "plain")]) == 0
    names = sorted(p.name for p in (tmp_path / "plain").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "sharp").iterdir()) == ["color_000.png", "color_001.png"]
    for name in names:
        np.testing.assert_array_equal(read_image(tmp_path / "sharp" / name), read_image(tmp_path / "plain" / name))
    assert main(["render", str(own_run), "--progressive", "--output", str(tmp_path / "x.gif")]) == 2
    assert "--progressive is for PNG files" in capsys.readouterr().err


@pytest.mark.parametrize("spelling", ["--max-steps=7", "--max_steps=7"])
def test_options_may_be_spelt_with_underscores(spelling):
    assert parse_train(["data", spelling, "--max-seconds", "9"]).config.training.max_steps == 7


def test_the_memory_of_a_training_is_told_before_it_starts(own_blobs, tiny_options, tmp_path, capsys):
    assert main(["train", str(own_blobs), *tiny_options, "--max-steps", "1", "--output", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "memory: about 0." in printed
    assert "blender, 13 pictures of 16 x 16, 3 held out: its own split files; box\n" in printed


def test_with_runs_of_both_methods_the_default_one_is_resumed(own_blobs, tiny_options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(own_blobs), *tiny_options, "--max-steps", "1"]) == 0
    (tmp_path / "runs" / "scene-instant").mkdir()
    assert main(["train", str(own_blobs), "--resume"]) == 2
    assert "scene-instant: is not a run folder" in capsys.readouterr().err


# -- check -------------------------------------------------------------------------------------------------------------


def test_check_says_what_is_in_a_data_set_and_draws_it(blobs, tmp_path, capsys):
    report, picture = tmp_path / "report.json", tmp_path / "cameras.png"
    code = main(["check", str(blobs), "--quick", "--json", str(report), "--picture", str(picture)])
    printed, found = capsys.readouterr().out, json.loads(report.read_text())
    assert "10 train, 1 val, 2 test" in printed and "focal length" in printed
    assert code == (found["verdict"] == "doubtful") and found["summary"]["views"]["train"] == 10
    assert all(set(finding) == {"code", "severity", "text", "advice"} for finding in found["findings"])
    drawn = read_image(picture)
    assert drawn.shape[1] > drawn.shape[0] > 500 and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


def test_check_finds_a_scale_that_train_warns_of(own_blobs, tmp_path, tiny_options, capsys):
    file = own_blobs / "transforms_train.json"
    content = json.loads(file.read_text())
    for frame in content["frames"]:
        for row in frame["transform_matrix"][:3]:
            row[3] *= 50
    file.write_text(json.dumps(content))
    assert main(["check", str(own_blobs), "--quick"]) == 1
    assert "error (scale): " in capsys.readouterr().out
    ok("train", own_blobs, "--output", tmp_path / "run", *tiny_options, "--max-steps", "1")
    printed = capsys.readouterr().out
    assert "error: What the cameras look at is " in printed and "nerf-mini check" in printed


def test_check_of_what_cannot_be_read(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert "no such file" in capsys.readouterr().err

"""Files of older formats: a run made by version 0.1.0 is opened, rendered, evaluated and resumed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_mini.cli.program import main
from nerf_mini.config import from_dict, from_preset, to_dict
from nerf_mini.errors import UserError
from nerf_mini.runs.checkpoint import checkpoint_files
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.formats import UPGRADES, stamp, upgrade_cameras_1_to_2, upgrade_checkpoint_1_to_2, upgraded
from nerf_mini.runs.restoring import load_trainer

OLD = Path(__file__).parent / "data" / "version-0.1.0"
PSNR = 25.34  # dB, as 0.1.0 evaluated the run


@pytest.fixture
def old(tmp_path, monkeypatch) -> Path:
    """A copy of the old run, with its data set where it says."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def test_an_old_run_is_what_it_was(old):
    trainer = load_trainer(old)
    grid = trainer.config.model.grid
    assert (grid.levels, grid.log2_entries, grid.finest_resolution, grid.hidden_width) == (3, 8, 16, 8)
    assert (trainer.step_count, trainer.config.precision, trainer.config.method) == (600, "float32", "instant")
    assert trainer.cameras.background == (1.0, 1.0, 1.0)
    assert [len(trainer.cameras.splits[split]) for split in ("train", "val", "test")] == [6, 1, 1]
    assert np.all(trainer.cameras.train.size == 16) and np.all(trainer.cameras.train.near == 2.0)
    with np.load(checkpoint_files(old / "checkpoints")[0]) as file:
        np.testing.assert_array_equal(trainer.state.parameters["field"]["tables"], file["parameters/tables"])
        np.testing.assert_array_equal(trainer.state.optimiser.variance["field"]["tables"], file["variance/tables"])
        density = file["method/density"]
        seen = density >= 0
        assert seen.any()
        np.testing.assert_allclose(3.0 * trainer.state.sampler["density"][0][seen], density[seen], rtol=1e-6)
        np.testing.assert_array_equal(trainer.state.sampler["density"][0][~seen], density[~seen])


def test_an_old_run_is_evaluated_and_rendered_as_it_was(old):
    assert main(["eval", str(old)]) == 0
    assert json.loads((old / "eval" / "test.json").read_text())["psnr"] == pytest.approx(PSNR, abs=0.05)
    assert main(["render", str(old), "--path", "test", "--output", str(old / "pictures")]) == 0
    picture = np.asarray(Image.open(old / "pictures" / "color_000.png").convert("RGB")) / 255.0
    rgba = np.asarray(Image.open(old.parent / "scene" / "test" / "r_000.png")) / 255.0
    truth = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    assert -10 * np.log10(np.mean((picture - truth) ** 2)) == pytest.approx(PSNR, abs=0.1)


def test_an_old_run_is_resumed(old, capsys):
    command = ["train", "scene", "--output", str(old), "--resume"]
    assert main([*command, "--max-steps", "640"]) == 0
    assert "continuing" in capsys.readouterr().out
    trainer = load_trainer(old)  # of an old configuration and a new checkpoint
    assert trainer.step_count == 640
    assert main(["eval", str(old)]) == 0
    assert json.loads((old / "eval" / "test.json").read_text())["psnr"] > PSNR - 1
    steps = [json.loads(line)["step"] for line in (old / "metrics.jsonl").read_text().splitlines()]
    assert steps == [100, 200, 300, 400, 500, 600]
    assert main([*command, "--levels", "4"]) == 2
    assert "model.grid.levels: 3 in the run, 4 now" in capsys.readouterr().err


def test_an_old_configuration_keeps_every_setting():
    old = json.loads((OLD / "config-nerf.json").read_text())
    new = from_dict(upgraded("config", old, "config.json")["config"], "config.json")
    assert new == from_preset(
        "small", depth=2, width=8, position_frequencies=2, direction_frequencies=1, coarse_samples=8, fine_samples=8,
        rays=64, max_steps=12, decay_steps=6000, log_every=4, checkpoint_every=8, validate_every=100,
        precision="float32", occupancy_resolution=128, march_steps=1024, distortion=0.0, supersampling=1,
    )  # fmt: skip
    old["config"]["training"]["max_steps"] = None  # bound by time: the rate decayed over it
    assert upgraded("config", old, "config.json")["config"]["optimiser"]["decay_steps"] is None


def test_a_configuration_of_format_2_decays_as_it_did():
    config = to_dict(from_preset("small", decay="exponential"))
    del config["optimiser"]["decay"]
    file = {"format": 2, "version": "0.2.0", "data": None, "config": config}
    assert from_dict(upgraded("config", file, "x")["config"], "x") == from_preset("small", decay="exponential")
    later = {"optimiser": {"decay": "cosine"}, "training": {"batch": 2, "shards": 4}}
    assert upgraded("config", {**file, "config": later}, "x")["config"] == later
    for wrong in (None, "text", {"optimiser": 3}, {}):
        with pytest.raises(UserError, match="x: "):
            upgraded("config", {**file, "config": wrong}, "x")


@pytest.mark.parametrize(("name", "color"), [("white", 1.0), ("random", 1.0), ("black", 0.0)])
def test_old_backgrounds_become_colours(name, color):
    old = json.loads((OLD / "run" / "cameras.json").read_text()) | {"background": name}
    assert upgrade_cameras_1_to_2(old)["background"] == [color] * 3


def test_arrays_of_old_checkpoints_get_their_new_names():
    arrays = {"parameters/fine/layer0/weight": np.ones(2), "mean/fine/layer0/weight": np.zeros(2)}
    arrays["method/density"] = np.array([-1.0, 0.0, 6.0], np.float32)
    arrays["method/cursor"] = np.array([7])
    new = upgrade_checkpoint_1_to_2({"meta": {"step": 3}, "arrays": arrays}, cube_side=3.0)
    assert new["meta"] == {"step": 3}
    assert set(new["arrays"]) == {
        "parameters/field/fine/layer0/weight", "mean/field/fine/layer0/weight", "sampler/density", "sampler/cursor"
    }  # fmt: skip
    np.testing.assert_array_equal(new["arrays"]["sampler/density"], np.array([[-1.0, 0.0, 2.0]], np.float32))
    assert new["arrays"]["sampler/density"].dtype == np.float32


@pytest.mark.parametrize("kind", UPGRADES)
def test_a_newer_format_is_refused_with_what_to_do(kind):
    header = stamp(kind)
    with pytest.raises(UserError, match=r"x: has format \d+ .*pip install --upgrade nerf-mini"):
        upgraded(kind, {}, "x", header | {"format": header["format"] + 1})
    assert upgraded(kind, {"a": 1}, "x", header) == {"a": 1}
    for number in (0, -1, 1.0, "1", True, None):
        with pytest.raises(UserError, match="x: 'format' is"):
            upgraded(kind, {}, "x", {"format": number})


def places(values, path=()):
    """The path of every value and section in nested dicts."""
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


# What a run of the method instant does not use, and splits that a data set may lack.
OPTIONAL = {"version", "network", "rays", "sampler", "coarse_samples", "fine_samples", "val", "test"}


@pytest.mark.parametrize("file", ["config.json", "cameras.json"])
def test_an_old_file_that_is_damaged_is_refused_in_a_sentence(old, file):
    """Every key and every section, in turn, is removed or replaced by what cannot be there."""
    honest = json.loads((old / file).read_text())
    for path in places(honest):
        for wrong in (None, "a text", [3], {"no": 1}):
            content = json.loads(json.dumps(honest))
            section = content
            for key in path[:-1]:
                section = section[key]
            if wrong is None:
                del section[path[-1]]
            else:
                section[path[-1]] = wrong
            (old / file).write_text(json.dumps(content))
            try:
                open_run(old)
            except UserError as error:
                assert str(error).startswith(f"{old / file}: ") and len(str(error)) < 500, (path, wrong)
            else:
                assert OPTIONAL & set(path) or (path, wrong) == (("data",), "a text"), f"{path} {wrong} was accepted"

"""Words of the command line that no one should have typed, and terminals that no one should have."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nerf_mini.cli.program import main
from nerf_mini.rendering.metrics import decibels
from nerf_mini.runs.session import start
from nerf_mini.scenes import load_scene

CONTROL = "\x1b[31mred\x07\x9b2J"


def ended(capsys, *words):
    try:
        code = main([str(word) for word in words])
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("columns", ["0", "1", "5", "10", "39", "10000", "x"])
def test_help_has_a_readable_width_in_any_terminal(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    code, out, _ = ended(capsys, "train", "--help")
    assert code == 0 and "--max-steps" in out
    table = [line for line in out.splitlines() if line.startswith(("│", " "))]
    assert 30 <= max(map(len, table)) <= 160
    assert os.environ["COLUMNS"] == columns


@pytest.mark.parametrize("verb", [[], ["train"]])
def test_a_reader_of_help_may_stop_reading(verb):
    words = [sys.executable, "-m", "nerf_mini", *verb, "--help"]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert command.stdout is not None and command.stderr is not None
    assert command.stdout.readline().startswith("usage: nerf-mini")
    command.stdout.close()
    assert command.stderr.read() == ""
    command.wait()


@pytest.mark.parametrize(
    "words",
    [
        [CONTROL],
        ["check", CONTROL],
        ["render", CONTROL],
        ["sweep", CONTROL],
        ["eval", "x", "--split", CONTROL],
        ["train", "x", "--levels", CONTROL],
        ["train", "x", "--" + CONTROL],
        ["check", "\udcff"],
        ["eval", "x", "--split", "\u202egnp.exe"],
    ],
)
def test_nothing_that_is_typed_controls_the_terminal(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = ended(capsys, *words)
    assert code == 2
    assert all(letter.isprintable() or letter in "\n\t" for letter in out + err)
    assert "\\x1b" in err or "\\udcff" in err or "\\u202e" in err


@pytest.mark.parametrize("words", [["check"], ["eval", "--split"], ["train", "x", "--levels"], ["scene"]])
@pytest.mark.parametrize("value", ["x" * 100_000, "[" * 10_000, "9" * 5000, "a/" * 5000, "x " * 20_000])
def test_messages_stay_short(words, value, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = ended(capsys, *words, value)
    assert code == 2 and 0 < len(out + err) < 6000


def test_names_of_pictures_do_not_control_the_terminal(own_blobs, capsys):
    text = (own_blobs / "transforms_train.json").read_text()
    (own_blobs / "transforms_train.json").write_text(text.replace("r_003", r"\u001b[2Jr_003"))
    code, _, err = ended(capsys, "check", own_blobs)
    assert code == 2 and "\x1b" not in err and r"\x1b[2Jr_003" in err


def test_numbers_that_are_not_there_have_words():
    assert decibels(31.204) == "31.20" and decibels(-3.0) == "-3.00"
    assert decibels(float("inf")) == "over 99" and decibels(float("nan")) == "unknown"


def test_a_training_whose_test_views_are_masked_is_finished_all_the_same(blobs, tiny_config, tmp_path):
    session = start(blobs, tmp_path / "run", tiny_config(max_steps=1))
    scene = load_scene(blobs)
    test = scene.splits["test"]
    object.__setattr__(test, "valid", np.zeros(len(test.pixels), bool))
    session.trainer.scene = scene
    assert session.evaluate() is None

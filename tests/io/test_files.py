"""Files and folders appear whole or not at all, and what killed processes left behind goes."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.io.files import (
    files_made_together,
    folder_made_atomically,
    read_json,
    to_json,
    write_atomically,
    write_json,
)
from nerf_mini.io.images import write_image


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    def fail(file):
        file.write(b"half")
        raise RuntimeError

    (tmp_path / "kept").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "kept", fail)
    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "new" / "deeper" / "file", fail)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"] and (tmp_path / "kept").read_bytes() == b"old"


@pytest.mark.parametrize(
    "write",
    [lambda path: write_json(path, {}), lambda path: write_image(path, __import__("numpy").zeros((2, 2)))],
    ids=["json", "image"],
)
def test_every_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch, write):
    order = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: order.append(name) or real(*a))
    write(tmp_path / "new.png")
    assert order == ["fsync", "replace"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), folder_made_atomically(tmp_path / "new") as folder:
        (folder / "file").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with folder_made_atomically(tmp_path / "new") as folder:
        (folder / "file").write_text("whole")
        assert not (tmp_path / "new").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["new"] and (tmp_path / "new" / "file").read_text() == "whole"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), UserError("there is not enough of it.")])
def test_a_temporary_folder_that_cannot_be_removed_is_named(tmp_path, monkeypatch, error):
    monkeypatch.setattr("shutil.rmtree", lambda *a, **b: None)  # a disk that no longer answers
    with pytest.raises(UserError) as raised, folder_made_atomically(tmp_path / "new") as folder:
        raise error
    assert f"{folder} cannot be removed" in str(raised.value) and str(error.args[-1]).rstrip(".") in str(raised.value)


def test_a_temporary_folder_of_a_killed_process_with_the_same_number_is_no_hindrance(tmp_path):
    with folder_made_atomically(tmp_path / "new") as folder:
        pass
    (folder / "deeper").mkdir(parents=True)
    with folder_made_atomically(tmp_path / "new") as again:
        assert again == folder and not list(again.iterdir())


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write_set(path, text):
    """A folder with files at two depths, and a file beside it."""
    with files_made_together(path) as written:
        (written / "deep").mkdir(parents=True)
        for file in (written / "a", written / "deep" / "b", written.with_name(f"{written.name}.json")):
            file.write_text(text)
            yield file


@pytest.mark.parametrize("place", ["set", "missing/set", "set/../set"])
def test_files_are_made_together_and_others_stay(tmp_path, place):
    for text in ("first", "second"):
        assert text not in contents(tmp_path).values()
        for _ in write_set(tmp_path / place, text):
            assert text not in [v for k, v in contents(tmp_path).items() if ".tmp" not in k]
        (tmp_path / place / "other").write_text("stays")
    names = {f"{place}/a", f"{place}/deep/b", f"{place}.json"}
    files = {str((tmp_path / name).resolve().relative_to(tmp_path.resolve())) for name in names}
    assert {k: v for k, v in contents(tmp_path).items() if v == "second"}.keys() == files
    assert sum(v == "stays" for v in contents(tmp_path).values()) == 1 and len(contents(tmp_path)) == 4


@pytest.mark.parametrize("moment", range(3))
@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_a_set_of_files_that_fails_leaves_what_was(tmp_path, moment, there):
    if there:
        list(write_set(tmp_path / "over" / "set", "old"))
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"of .*over.set: broken") as raised:
        for place, _ in enumerate(written := write_set(tmp_path / "over" / "set", "new")):
            if place == moment:
                here = next(path for path in tmp_path.rglob("*.tmp")) / "set"
                written.throw(UserError(f"of {here}: broken"))
    assert ".tmp" not in str(raised.value) and contents(tmp_path) == before
    assert there or not list(tmp_path.iterdir())


@pytest.mark.parametrize("moment", range(3))
def test_a_set_of_files_of_which_one_gets_no_name_leaves_no_new_one(tmp_path, monkeypatch, moment):
    (tmp_path / "set" / "deep").mkdir(parents=True)
    real, count = os.replace, iter(range(9))

    def replace(source, target):
        if next(count) == moment:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UserError, match="the disk is full"):
        list(write_set(tmp_path / "set", "new"))
    assert contents(tmp_path) == {}


def test_old_temporary_files_are_removed_and_others_stay(tmp_path):
    (tmp_path / ".scene.99.tmp").mkdir()
    for name in (".step-0000001.npz.99.tmp", ".young.png.99.tmp", ".notes.tmp", "mine.99.tmp"):
        (tmp_path / name).write_text("")
    an_hour_ago = time.time() - 3700
    for path in tmp_path.iterdir():
        if "young" not in path.name:
            os.utime(path, (an_hour_ago, an_hour_ago))
    write_json(tmp_path / "new.json", {})
    assert {p.name for p in tmp_path.iterdir()} == {".young.png.99.tmp", ".notes.tmp", "mine.99.tmp", "new.json"}


@given(content=st.binary(max_size=40) | st.sampled_from([b"[" * 10**5, b"[1]", b"7", b"1" * 5000, b"\xff", b"{}x"]))
def test_what_is_no_json_object_is_refused_with_the_name_of_the_file(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "content.json"
    path.write_bytes(content)
    try:
        assert isinstance(read_json(path), dict)
    except UserError as error:
        assert str(error).startswith(f"{path}: ")


def test_values_that_are_not_finite_become_null():
    assert json.loads(to_json({"a": [float("inf"), float("nan"), 1.5], "b": (2,)})) == {
        "a": [None, None, 1.5],
        "b": [2],
    }

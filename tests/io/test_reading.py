"""Reading what may be no file, and links that lead elsewhere."""

import os

import pytest

from nerf_mini.errors import UserError
from nerf_mini.io.files import read_bytes, read_json, read_text, real_path, require_no_way_out
from nerf_mini.runs.folder import open_run


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("read", [read_bytes, read_text, read_json])
def test_what_never_ends_is_not_read(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name, said in (("pipe", "a pipe or a device"), ("zeros", "a pipe or a device"), ("", "is a folder")):
        with pytest.raises(UserError, match=said):
            read(tmp_path / name)
    for name in ("circle", "nothing", "n" * 300, "a\0b"):
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path / name)


def test_text_is_text(tmp_path):
    (tmp_path / "a").write_bytes("naïve".encode())
    assert read_text(tmp_path / "a") == "naïve"
    (tmp_path / "b").write_bytes(b"na\xefve")
    with pytest.raises(UserError, match=r"b: cannot be read as text \(byte 2 is not UTF-8\)"):
        read_text(tmp_path / "b")


def test_links_in_a_circle_have_a_path(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert real_path(tmp_path / "circle" / "x").is_absolute()


def test_links_may_lead_anywhere_within_a_folder_and_nowhere_else(tmp_path):
    home = tmp_path / "home"
    (home / "below").mkdir(parents=True)
    (home / "within").symlink_to(home / "below")
    require_no_way_out(home)
    (tmp_path / "door").symlink_to(home)  # the folder itself may be reached through a link
    require_no_way_out(tmp_path / "door")
    (home / "below" / "out").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"below/out: is a link that leads out of"):
        require_no_way_out(home)


@pytest.mark.parametrize("place", ["metrics.jsonl", "checkpoints", "renders", "eval"])
def test_a_run_writes_nothing_through_links_out_of_its_folder(own_run, tmp_path, place):
    elsewhere = tmp_path / "elsewhere"
    if (own_run / place).exists():
        (own_run / place).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (own_run / place).symlink_to(elsewhere)
    with pytest.raises(UserError, match="leads out of"):
        open_run(own_run)

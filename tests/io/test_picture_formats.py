"""Only the formats of pictures that are documented are opened, whatever a file is called."""

import io
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from nerf_mini.errors import UserError
from nerf_mini.io.images import FORMATS, read_header, read_image

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n0 0 16 16 rectfill\nshowpage\n"


def encoded(form: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (16, 12), None).save(stream, form)
    return stream.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """The beginning of a PNG file that claims to have so many pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize("read", [read_header, read_image])
def test_what_the_system_refuses_is_said_in_words(tmp_path, monkeypatch, read):
    file = tmp_path / "picture.png"
    file.write_bytes(encoded("PNG"))

    def refuse(path, *arguments, **options):
        raise OSError(40, "Too many levels of symbolic links", str(path))

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(UserError, match=r"picture.png: cannot be read \(Too many levels of symbolic links\)\.$"):
        read(file)


@pytest.mark.parametrize("form", FORMATS)
def test_documented_formats_are_read_under_any_name(tmp_path, form):
    file = tmp_path / "picture.png"
    file.write_bytes(encoded(form))
    assert read_header(file).size == (16, 12)
    assert read_image(file).shape == (12, 16, 3)


@pytest.mark.parametrize("form", ["GIF", "PPM", "ICO", "TGA", "PDF"])
def test_other_formats_are_refused_under_any_name(tmp_path, form):
    file = tmp_path / "picture.png"
    file.write_bytes(encoded(form))
    for read in (read_header, read_image):
        with pytest.raises(UserError, match=r"picture\.png: cannot be read as an image\. .* one of PNG, JPEG"):
            read(file)


def test_postscript_starts_no_program(tmp_path, monkeypatch):
    def started(*arguments, **options):
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess, "check_call", started)
    monkeypatch.setattr(subprocess, "Popen", started)
    file = tmp_path / "picture.png"
    file.write_bytes(POSTSCRIPT)
    with pytest.raises(UserError, match="one of PNG"):
        read_image(file)


@pytest.mark.parametrize("side", [60_000, 2**31 - 1])
def test_a_size_that_cannot_be_is_refused_before_memory_is_taken(tmp_path, side, recwarn):
    file = tmp_path / "picture.png"
    file.write_bytes(png_of_size(side, side))
    with pytest.raises(UserError, match=r"picture\.png: cannot be read as an image"):
        read_header(file)
    assert not recwarn


def test_large_photographs_are_read_without_a_warning(tmp_path, recwarn):
    file = tmp_path / "picture.png"
    Image.fromarray(np.zeros((9_500, 10_000), np.uint8)).save(file)  # Pillow warns from 89 million pixels on
    assert read_header(file).size == (10_000, 9_500) and not recwarn

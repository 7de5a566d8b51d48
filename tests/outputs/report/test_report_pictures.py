"""Pictures for pages against closed forms, and numbers in words."""

import base64
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nerf_mini.outputs.report import pictures, wording
from nerf_mini.rendering.images import RenderedImage
from nerf_mini.rendering.shading import DepthScale


def decoded(uri: str) -> np.ndarray:
    kind, _, text = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text, validate=True))).convert("RGB"))


def test_the_error_is_the_mean_over_channels_on_a_fixed_scale():
    target = np.full((2, 2, 3), 0.5, np.float32)
    image = target + np.array([[[0, 0, 0], [0.03, -0.03, 0]], [[0.1, 0.1, 0.1], [0.5, 0.5, -0.5]]], np.float32)
    errors = pictures.error_map(image, target)
    np.testing.assert_allclose(errors, [[0, 0.02], [0.1, 0.5]], atol=1e-6)
    np.testing.assert_allclose(pictures.shown_errors(errors), [[0, 0.2], [1, 1]], atol=1e-5)


def test_what_is_masked_out_is_hatched_and_nothing_else(rng):
    pixels, valid = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8), rng.random((20, 30)) < 0.5
    shown = pictures.hatched(pixels, valid)
    np.testing.assert_array_equal(shown[valid], pixels[valid])
    assert len(np.unique(shown[~valid], axis=0)) == 2, "two colours of stripes"
    assert pictures.hatched(pixels, None) is pixels and pictures.hatched(pixels, np.ones((20, 30), bool)) is pixels


def test_large_pictures_are_shrunk_in_proportion_by_means():
    assert pictures.small_size(800, 600) == (800, 600) and pictures.small_size(3000, 4000) == (600, 800)
    assert pictures.small_size(10000, 1) == (800, 1)
    squares = np.kron([[0, 255], [255, 0]], np.ones((800, 800))).astype(np.uint8)
    small = pictures.shrunk(np.repeat(squares[..., None], 3, axis=2))
    assert small.shape == (800, 800, 3)
    np.testing.assert_array_equal(small[::799, ::799, 0], [[0, 255], [255, 0]])
    assert pictures.shrunk(np.tile(np.uint8([0, 255]), (1600, 800))).mean() == pytest.approx(127.5, abs=1)


def test_small_pictures_are_kept_to_the_bit_and_large_ones_are_close(rng):
    small = rng.integers(0, 256, (16, 24, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decoded(pictures.data_uri(small)), small)
    ramp = np.repeat(np.linspace(0, 255, 300)[None, :, None], 200, axis=0).repeat(3, axis=2).astype(np.uint8)
    assert np.abs(decoded(pictures.data_uri(ramp)).astype(int) - ramp).mean() < 2


def test_frames_become_a_film_without_end():
    frames = [np.full((40, 60, 3), shade, np.uint8) for shade in (0, 90, 180)]
    film = Image.open(io.BytesIO(pictures.webp(frames, 100)))
    assert film.n_frames == 3 and film.info["loop"] == 0


def test_pictures_of_a_view_mark_its_mask():
    color = np.full((16, 16, 3), 0.25, np.float32)
    image = RenderedImage(color, np.full((16, 16), 3, np.float32), np.ones((16, 16), np.float32))
    scored = np.ones((16, 16), bool)
    scored[:4] = False
    found = pictures.view_pictures(image, DepthScale(2, 4), color + 0.05, scored)
    error = decoded(found.error)
    np.testing.assert_array_equal(error[4:], 128)
    assert (error[:4] != 128).any(axis=-1).all() and found.masked == 0.25 and found.size == (16, 16)
    np.testing.assert_array_equal(decoded(found.truth), 77)
    blind = pictures.view_pictures(image, DepthScale(2, 4))
    assert blind.truth is None and blind.error is None and blind.rendering == found.rendering


# -- numbers in words --------------------------------------------------------------------------------------------------


def test_figures_are_never_nan():
    assert wording.figure(math.nan) == wording.figure(None) == "–"
    assert (wording.figure(math.inf), wording.figure(-1.25, 1)) == ("∞", "−1.2")
    assert (wording.signed(0.5), wording.signed(-0.5), wording.signed(math.inf)) == ("+0.50", "−0.50", "–")
    assert wording.count(1234567) == "1 234 567".replace(" ", wording.THIN)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_short_numbers_say_their_value(value):
    text = wording.short(value)
    assert "nan" not in text and "e" not in text
    if abs(value) < 1e300:
        plain = text.replace(wording.THIN, "").replace("−", "-").replace("·10", "e").translate(
            str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        )  # fmt: skip
        if plain.startswith("10") and text[2:3] in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹" and len(text) > 2:
            plain = "1e" + plain[2:]
        assert float(plain) == pytest.approx(value, rel=6e-3, abs=1e-300)


def test_durations_are_in_the_unit_that_suits_them():
    said = {0.1234: "0.12 s", 4.56: "4.6 s", 91.2: "91 s", 200: "3 min 20 s", 240: "4 min", 7500: "2 h 05 min"}
    assert {seconds: wording.duration(seconds) for seconds in said} == said
    assert wording.duration(math.nan) == "–"
    assert [wording.time_unit(t)[0] for t in (60, 3600, 1e5)] == ["s", "min", "h"]

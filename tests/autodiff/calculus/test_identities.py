"""Identities tried on random arrays: a false one shows both sides."""

import numpy as np
import pytest

from autodiff.calculus import holds, verify


def test_a_false_identity_shows_both_sides_and_the_place():
    with pytest.raises(
        AssertionError, match=r"trial 0 of seed 3: the left side is .*, the right side .* at index \(\d,\)"
    ):
        verify(lambda x: x, lambda x: 2 * x, (4,), seed=3)
    with pytest.raises(AssertionError, match=r"the left side has shape \(4,\), the right side \(1, 4\)"):
        verify(lambda x: x, lambda x: x[None], (4,))


def test_holds():
    assert holds(np.sin, lambda x: np.cos(x - np.pi / 2), (3, 3))
    assert not holds(np.sin, np.cos, ())
    with np.errstate(invalid="ignore"):
        assert not holds(lambda x: np.log(-(x**2)), lambda x: np.log(-(x**2)), ())  # NaN equals nothing

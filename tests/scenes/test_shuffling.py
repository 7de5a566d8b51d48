"""Drawing without replacement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.scenes import Shuffled


@settings(deadline=None)
@given(high=st.integers(1, 300), seed=st.integers(0, 2**63), sizes=st.lists(st.integers(0, 200), max_size=5))
def test_every_number_comes_once_in_each_pass(high, seed, sizes):
    numbers = Shuffled(seed)
    found = np.concatenate([np.empty(0, np.int64), *(numbers.integers(high, size=size) for size in sizes)])
    assert len(found) == sum(sizes) == numbers.drawn
    passes = len(found) // high
    for number in range(passes):
        np.testing.assert_array_equal(np.sort(found[number * high : (number + 1) * high]), np.arange(high))
    rest = found[passes * high :]
    assert len(set(rest.tolist())) == len(rest) and np.all((rest >= 0) & (rest < high))


def test_what_comes_next_follows_from_how_many_there_were():
    whole = Shuffled(3).integers(1000, size=2500)
    np.testing.assert_array_equal(Shuffled(3, 700).integers(1000, size=1800), whole[700:])


def test_seeds_and_passes_have_orders_of_their_own():
    first, second = Shuffled(0).integers(10_000, size=20_000).reshape(2, -1)
    other = Shuffled(1).integers(10_000, size=10_000)
    for a, b in ((first, second), (first, other)):
        assert np.count_nonzero(a == b) < 10  # 1 on average


@pytest.mark.parametrize("high", [1 << 16, 60_001, 100_000])
def test_parts_of_a_pass_are_as_even_as_chance_makes_them(high):
    """Pearson's chi squared of the parts of a pass over 100 equal ranges; without replacement, a little smaller."""
    parts = Shuffled(5).integers(high, size=high)[: 50 * 1000].reshape(50, 1000)
    counts = np.stack([np.bincount(part * 100 // high, minlength=100) for part in parts])
    chi_squared = np.sum((counts - 10.0) ** 2 / 10.0, axis=1)
    expected = 99 * (1 - 1000 / high)
    assert abs(chi_squared.mean() - expected) < 5 * np.sqrt(2 * 99 / 50)


def test_neighbours_are_independent():
    order = Shuffled(7).integers(100_000, size=100_000).astype(float)
    for lag in (1, 2, 3):
        assert abs(np.corrcoef(order[:-lag], order[lag:])[0, 1]) < 5 / np.sqrt(len(order))

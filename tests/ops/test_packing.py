"""What is packed comes out as it went in, to the bit; what is not packed is left alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.ops import PACKED_AT_ONCE, pack_changed, unpack


@given(st.integers(0, 40), st.floats(0, 1), st.integers(0, 99))
def test_changes_survive_the_way(words, share, seed):
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 2**32, words * PACKED_AT_ONCE, np.uint32).view(np.float32)  # NaN of all kinds among them
    after = before.copy()
    changed = rng.random(len(after)) < share
    after.view(np.uint32)[changed] ^= np.uint32(1) << rng.integers(0, 32, changed.sum(), np.uint32)
    message, found = pack_changed(after, before), before.copy()
    rest = unpack(np.concatenate([message, np.array([1, 2], np.uint32)]), found)
    assert found.tobytes() == after.tobytes() and rest.tolist() == [1, 2]
    units = changed.reshape(-1, 4).any(axis=1).sum()
    assert len(message) == words + 4 * units


def test_a_negative_zero_is_not_nothing():
    values = np.zeros(PACKED_AT_ONCE, np.float32)
    values[5] = -0.0
    message = pack_changed(values)
    assert len(message) == 1 + 4
    found = np.zeros_like(values)
    unpack(message, found)
    assert np.signbit(found).tolist() == np.signbit(values).tolist()


def test_what_was_not_packed_stays():
    values, target = np.zeros(2 * PACKED_AT_ONCE, np.float32), np.ones(2 * PACKED_AT_ONCE, np.float32)
    values[-1] = 3
    unpack(pack_changed(values), target)
    assert target[:-4].tolist() == [1] * (len(target) - 4) and target[-4:].tolist() == [0, 0, 0, 3]
